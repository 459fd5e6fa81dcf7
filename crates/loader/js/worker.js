"use strict";
// One Worker in its isolate: its exports as entrypoints, its env, and the calls that arrive. (Other events: loader/events.)
//
// natives.loopback(name, props) -> handle; natives.passThroughOnException()

const {
  Error, JSONParse, ObjectDefineProperty, ObjectKeys, PromisePrototypeThen, PromiseResolve, ReflectApply, TypeError,
} = primordials;
const { DurableObject, WorkerEntrypoint, WorkflowEntrypoint, isSubclass, setContextCheck } = require("rpc/targets");
const services = require("rpc/services");
const dispatch = require("rpc/dispatch");
const { hold } = require("web/context");

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

let isContext;

class ExecutionContext {
  #brand;
  static {
    isContext = (value) => typeof value === "object" && value !== null && #brand in value;
    setContextCheck(isContext);
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
  passThroughOnException() {
    if (!isContext(this)) throw require("web/webidl").illegalInvocation();
    natives.passThroughOnException();
  }
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
require("web/clone").registerInterface(ExecutionContext.prototype);

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
  if (typeof value === "function" && !isEntrypointClass(value)) return require("rpc/loopbacks").loopbackClass(name);
  return require("rpc/loopbacks").loopback((props) => specialise(name, props));
}

function specialise(name, props) {
  return require("rpc/values").encodeEnv(false, () => natives.loopback(name, props));
}

function noEntrypoint(name) {
  natives.misdirected();
  return new Error(`Worker has no such entrypoint: ${name}`);
}

// -> { target, handler }: an instance, or the exported object with what its handlers get.
function instantiate(name, props) {
  const value = namespace[name ?? "default"];
  if (value === undefined) {
    if (name === undefined) return { target: { __proto__: null }, handler: [env, undefined] };
    throw noEntrypoint(name);
  }
  const ctx = new ExecutionContext(internal, props);
  if (typeof value === "function") {
    if (isSubclass(value, DurableObject)) {
      throw new Error(`Durable Objects are not supported yet: "${name ?? "default"}" cannot be used as an entrypoint.`);
    }
    if (!isEntrypointClass(value)) {
      throw noEntrypoint(`${name ?? "default"} (it is a class or function that does not extend WorkerEntrypoint)`);
    }
    return { target: new value(ctx, env), handler: undefined };
  }
  if (typeof value !== "object" || value === null) throw noEntrypoint(name ?? "default");
  return { target: value, handler: [env, ctx] };
}

function callHandler(instance, name, argument) {
  const handler = instance.target[name];
  if (typeof handler !== "function") throw new Error(`Handler does not export a ${name}() function.`);
  const args = instance.handler === undefined ? [argument] : [argument, instance.handler[0], instance.handler[1]];
  return ReflectApply(handler, instance.target, args);
}

// `target`: [name, props].
const instantiateTarget = (target) => instantiate(target[0], target[1]);
exports.call = (target, path, args, question) => dispatch.callEntrypoint(instantiateTarget, target, path, args, question);

exports.isReachable = dispatch.isReachable;
exports.callHandler = callHandler;
exports.instantiate = instantiate;
exports.isEntrypointClass = isEntrypointClass;
exports.namespace = () => namespace;
