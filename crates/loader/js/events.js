"use strict";
// Events that the runtime delivers to a Worker beside calls: requests, tests, tail events.
//
// natives.respond(status, statusText, headers, body, manual, headOnly), natives.respondError(error),
// natives.testDone(failed, error) settle the current invocation

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
  request;
  release;
  constructor(request, release) {
    this.request = request;
    this.release = release;
  }
}

// Requests being handled, by context. With an entry that is never taken out, as the holds of web/context.
const handled = new SafeMap([[0, undefined]]);
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
  const release = hold();
  let promise;
  let request;
  try {
    request = require("web/request").requestFromNative(method, url, headers, body, cf);
    handled.set(natives.currentContext(), new Handled(request, release));
    promise = PromiseResolve(callHandler(instantiate(name, props), "fetch", request));
  } catch (error) {
    promise = PromiseReject(error);
  }
  PromisePrototypeThen(
    promise,
    (response) => {
      try {
        answer(response, method === "HEAD", request);
      } catch (error) {
        natives.respondError(error);
      }
      release();
    },
    (error) => {
      natives.respondError(error);
      release();
    },
  );
};

function answer(response, headOnly, request) {
  const { detachResponse, isResponse } = require("web/response");
  if (!isResponse(response)) {
    throw new TypeError("Incorrect type for Promise: the Promise did not resolve to 'Response'.");
  }
  const parts = detachResponse(response, (cancel) => {
    cancel(undefined);
    // A HEAD request needs no body, and has got its answer.
    if (!headOnly) abortIncoming(request);
  });
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
