"use strict";
// Events that the runtime delivers to a Worker beside calls: requests, tests, tail events.
//
// natives.respond(status, statusText, headers, body, manual, headOnly), natives.respondError(error),
// natives.testDone(failed, error) settle the current invocation; natives.respondError gives true where the request is to
// pass through instead. natives.bodyFailed(error): what the body of its answer failed with

const {
  ArrayPrototypePush, ObjectKeys, PromisePrototypeThen, PromiseReject, PromiseResolve, SafeMap, TypeError,
} = primordials;
const { callHandler, instantiate, isEntrypointClass, namespace: exported } = require("loader/worker");
const { hold, onDrop } = require("web/context");

// The names of the exports that have a test handler.
exports.tests = () => {
  const namespace = exported();
  const found = [];
  const names = ObjectKeys(namespace);
  for (let i = 0; i < names.length; i++) {
    const value = namespace[names[i]];
    if (typeof value === "object" && value !== null && typeof value.test === "function") ArrayPrototypePush(found, names[i]);
    else if (typeof value === "function" && isEntrypointClass(value) && typeof value.prototype.test === "function") {
      ArrayPrototypePush(found, names[i]);
    }
  }
  return found;
};

// The names under which the module exports something that can be an entrypoint.
exports.entrypoints = () => {
  const namespace = exported();
  const found = [];
  const names = ObjectKeys(namespace);
  for (let i = 0; i < names.length; i++) {
    const kind = typeof namespace[names[i]];
    if (kind === "function" || (kind === "object" && namespace[names[i]] !== null)) ArrayPrototypePush(found, names[i]);
  }
  return found;
};

class Handled {
  request = undefined;
  headOnly;
  release = hold();
  constructor(headOnly) {
    this.headOnly = headOnly;
  }
}

// Requests being handled, by context. With an entry that is never taken out, as the holds of web/context.
const handled = new SafeMap();
handled.set(0, undefined);
onDrop((context) => handled.delete(context));

// Whoever sent the request is gone: the handler no longer keeps the context open.
exports.cancel = (context) => {
  const event = handled.get(context);
  if (event === undefined) return;
  abortIncoming(event.request);
  event.release();
};

function abortIncoming(request) {
  if (natives.hasFlag("enable_request_signal")) require("web/request").abortIncoming(request);
}

exports.fetch = (name, props, method, url, headers, body, cf) => {
  const event = new Handled(method === "HEAD");
  let promise;
  try {
    event.request = require("web/request").requestFromNative(method, url, headers, body, cf);
    handled.set(natives.currentContext(), event);
    promise = PromiseResolve(callHandler(instantiate(name, props), "fetch", event.request));
  } catch (error) {
    promise = PromiseReject(error);
  }
  PromisePrototypeThen(
    promise,
    (response) => {
      try {
        answer(response, event);
      } catch (error) {
        return fail(error, event);
      }
      event.release();
    },
    (error) => fail(error, event),
  );
};

function fail(error, event) {
  if (natives.respondError(error)) passThrough(event);
  else event.release();
}

// An invocation that will never answer, and asked for that: its request passes through.
exports.passThrough = (context) => passThrough(handled.get(context));

// The request goes where this Worker's own requests go, with its body if that was not touched.
function passThrough(event) {
  const { passableRequest } = require("web/request");
  const passed = require("web/fetch").send(natives.fetch, passableRequest(event.request));
  const answered = PromisePrototypeThen(passed, (response) => answer(response, event));
  PromisePrototypeThen(answered, event.release, (error) => {
    natives.logError(error);
    const { Response } = require("web/response");
    answer(new Response(null, { __proto__: null, status: 500 }), event);
    event.release();
  });
}

function answer(response, { request, headOnly }) {
  const { detachResponse, isResponse } = require("web/response");
  if (!isResponse(response)) {
    throw new TypeError("Incorrect type for Promise: the Promise did not resolve to 'Response'.");
  }
  const gone = (cancel) => {
    cancel(undefined);
    // A HEAD request needs no body, and has got its answer.
    if (!headOnly) abortIncoming(request);
  };
  const parts = detachResponse(response, gone, natives.bodyFailed);
  natives.respond(parts[0], parts[1], parts[2], parts[3], parts[4], headOnly);
}

exports.test = (name, props) => {
  handle(name, props, "test", () => ({}), (error) => natives.testDone(true, error));
};

exports.tail = (name, props, text) => {
  handle(name, props, "tail", () => require("loader/trace").events(text), (error) => {
    natives.reportError(error);
    natives.testDone(false, undefined);
  });
};

// An event without an answer of its own: it is done, or `failed` tells how it failed.
function handle(name, props, handler, argument, failed) {
  const release = hold();
  let promise;
  try {
    promise = PromiseResolve(callHandler(instantiate(name, props), handler, argument()));
  } catch (error) {
    promise = PromiseReject(error);
  }
  PromisePrototypeThen(
    promise,
    () => {
      natives.testDone(false, undefined);
      release();
    },
    (error) => {
      failed(error);
      release();
    },
  );
}
