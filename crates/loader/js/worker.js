"use strict";
// One Worker in its isolate: its exports as entrypoints, its env, and the events that the runtime delivers to it.
//
// natives.respond(status, statusText, headers, body), natives.respondError(error), natives.testDone(failed, error)
// settle the current invocation; natives.loopback(name, props) -> handle

const {
  ArrayPrototypePush, Error, ObjectDefineProperty, ObjectKeys, PromisePrototypeThen, PromiseReject, PromiseResolve,
  ReflectApply, SafeMap, TypeError, JSONParse,
} = primordials;
const { DurableObject, WorkerEntrypoint, WorkflowEntrypoint, isSubclass, setContextCheck } = require("rpc/targets");
const services = require("rpc/services");
const dispatch = require("rpc/dispatch");
const { hold, onDrop } = require("web/context");

const internal = {};
let namespace;
// The same object in handlers and as an import.
const env = {};
let loopbacks;

exports.env = env;

// Before module code runs. `value`: [name, kind, value, ...] of a project, or the env object that a parent gave.
exports.prepare = (value, isBindings) => {
  if (!isBindings) {
    const keys = ObjectKeys(value ?? {});
    for (let i = 0; i < keys.length; i++) defineEnv(keys[i], value[keys[i]]);
    return true;
  }
  for (let i = 0; i < value.length; i += 3) defineEnv(value[i], binding(value[i + 1], value[i + 2]));
  return true;
};

function defineEnv(name, value) {
  ObjectDefineProperty(env, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
}

function binding(kind, value) {
  if (kind === "json") return JSONParse(value);
  if (kind === "service") return services.serviceFromHandle(value);
  return require("loader/loader").loaderFromHandle(value);
}

exports.start = (ns) => {
  namespace = ns;
  const names = ObjectKeys(ns);
  for (let i = 0; i < names.length; i++) {
    const value = ns[names[i]];
    if (typeof value === "function" || (typeof value === "object" && value !== null)) continue;
    throw new TypeError(
      `Incorrect type for map entry '${names[i]}': the provided value is not of type 'function or ExportedHandler'.`,
    );
  }
  return true;
};

// ---- Entrypoints -----------------------------------------------------------------------------------------------

function isEntrypointClass(value) {
  return isSubclass(value, WorkerEntrypoint) || isSubclass(value, WorkflowEntrypoint);
}

class ExecutionContext {
  #brand;
  static {
    setContextCheck((value) => typeof value === "object" && value !== null && #brand in value);
  }
  // What Cloudflare's edge fills in.
  access = undefined;
  cache = undefined;
  props;
  constructor(token, props) {
    if (token !== internal) throw new TypeError("Illegal constructor");
    this.props = props;
  }
  get exports() {
    return natives.hasFlag("enable_ctx_exports") ? exports.loopbacks() : undefined;
  }
  get tracing() {
    return require("loader/tracing").tracing;
  }
  waitUntil(promise) {
    waitUntil(promise);
  }
  passThroughOnException() {}
  abort(reason = undefined) {
    natives.abortContext(reason ?? new Error("Worker execution was aborted due to call to ctx.abort()."));
  }
}
for (const name of ["exports", "tracing", "waitUntil", "passThroughOnException", "abort"]) {
  ObjectDefineProperty(ExecutionContext.prototype, name, { __proto__: null, enumerable: true });
}
ObjectDefineProperty(ExecutionContext.prototype, primordials.SymbolToStringTag, {
  __proto__: null, value: "ExecutionContext", configurable: true,
});

function waitUntil(promise) {
  natives.requireContext();
  const release = hold();
  PromisePrototypeThen(PromiseResolve(promise), release, (error) => {
    natives.reportError(error);
    release();
  });
}
exports.waitUntil = waitUntil;

// `ctx.exports`: a loopback stub for each entrypoint.
exports.loopbacks = () => {
  if (loopbacks !== undefined) return loopbacks;
  loopbacks = {};
  const names = ObjectKeys(namespace ?? {});
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    const value = loopbackOf(name, namespace[name]);
    if (value === undefined) continue;
    ObjectDefineProperty(loopbacks, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
  }
  return loopbacks;
};

function loopbackOf(name, value) {
  // Workflows are reached by their name only.
  if (isSubclass(value, WorkflowEntrypoint)) return undefined;
  if (typeof value === "function" && !isEntrypointClass(value)) return services.loopbackClass(name);
  return services.loopback((props) => specialise(name, props));
}

function specialise(name, props) {
  return require("rpc/values").encodeEnv(false, () => natives.loopback(name, props));
}

// The names of the exports that have a test handler.
exports.tests = () => {
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

// -> { target, handler }: an instance, or the exported object with what its handlers get.
function instantiate(name, props) {
  const value = namespace[name ?? "default"];
  if (value === undefined) {
    if (name === undefined) return { target: {}, handler: [env, undefined] };
    throw new Error(`Worker has no such entrypoint: ${name}`);
  }
  const ctx = new ExecutionContext(internal, props);
  if (typeof value === "function") {
    if (isSubclass(value, DurableObject)) {
      throw new Error(`Durable Objects are not supported yet: "${name ?? "default"}" cannot be used as an entrypoint.`);
    }
    if (!isEntrypointClass(value)) {
      throw new Error(
        `Worker has no such entrypoint: ${name ?? "default"} (it is a class or function that does not extend WorkerEntrypoint)`,
      );
    }
    return { target: new value(ctx, env), handler: undefined };
  }
  if (typeof value !== "object" || value === null) throw new Error(`Worker has no such entrypoint: ${name ?? "default"}`);
  return { target: value, handler: [env, ctx] };
}

function callHandler(instance, name, argument) {
  const handler = instance.target[name];
  if (typeof handler !== "function") throw new Error(`Handler does not export a ${name}() function.`);
  const args = instance.handler === undefined ? [argument] : [argument, instance.handler[0], instance.handler[1]];
  return ReflectApply(handler, instance.target, args);
}

// ---- Events ----------------------------------------------------------------------------------------------------

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
    abortIncoming(request);
  });
  if (headOnly && typeof parts[3] === "number") natives.bodyCancel(parts[3]);
  natives.respond(parts[0], parts[1], parts[2], headOnly ? null : parts[3]);
}

// `target`: [name, props].
const instantiateTarget = (target) => instantiate(target[0], target[1]);
exports.call = (target, path, args, question) => dispatch.callEntrypoint(instantiateTarget, target, path, args, question);

exports.test = (name, props) => {
  const release = hold();
  let promise;
  try {
    promise = PromiseResolve(callHandler(instantiate(name, props), "test", {}));
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
      natives.testDone(true, error);
      release();
    },
  );
};

exports.tail = (name, props, text) => {
  const release = hold();
  let promise;
  try {
    promise = PromiseResolve(callHandler(instantiate(name, props), "tail", require("loader/trace").events(text)));
  } catch (error) {
    promise = PromiseReject(error);
  }
  PromisePrototypeThen(promise, () => {
    natives.testDone(false, undefined);
    release();
  }, (error) => {
    natives.reportError(error);
    natives.testDone(false, undefined);
    release();
  });
};

exports.isReachable = dispatch.isReachable;
