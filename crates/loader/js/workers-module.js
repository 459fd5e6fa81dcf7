"use strict";
// The module `cloudflare:workers`. https://developers.cloudflare.com/workers/runtime-apis/
//
// natives.overrides() -> what withEnv() and its like put in place for the running code and what it starts, or undefined

const { Proxy, ReflectDeleteProperty, ReflectGet, ReflectGetOwnPropertyDescriptor, ReflectGetPrototypeOf,
  ReflectHas, ReflectOwnKeys, ReflectSet, Symbol } = primordials;
const targets = require("rpc/targets");
const services = require("rpc/services");
const stubs = require("rpc/stubs");
const worker = require("loader/worker");

exports.DurableObject = targets.DurableObject;
exports.RpcTarget = targets.RpcTarget;
exports.WorkerEntrypoint = targets.WorkerEntrypoint;
exports.WorkflowEntrypoint = targets.WorkflowEntrypoint;
exports.RpcPromise = stubs.RpcPromise;
exports.RpcProperty = stubs.RpcProperty;
exports.RpcStub = stubs.RpcStub;
exports.ServiceStub = services.ServiceStub;
exports.waitUntil = worker.waitUntil;
// What Cloudflare's edge fills in; without an edge in front there is nothing behind it.
exports.cache = {};
// The key of a method by which a Durable Object would give persistent stubs back.
exports.restore = Symbol("cloudflare:workers restore");

// Ends this Worker: its isolate, and with it every call under way.
exports.abortIsolate = function abortIsolate(reason) {
  natives.abortIsolate(reason === undefined ? "" : `${reason}`);
  // Nothing of the guest runs any more: the runtime stops the isolate here.
  for (;;);
};

// ---- env and exports as imports ------------------------------------------------------------------------------------

// Once a Worker has used one of the with...() functions, reading an import asks what is in place.
let used = false;

function inPlace(key, own) {
  if (!used) return own();
  const value = natives.overrides()?.[key];
  return value === undefined ? own() : value;
}

function view(current, set, getPrototypeOf = undefined) {
  return new Proxy({}, {
    __proto__: null,
    getPrototypeOf,
    get: (_, key) => ReflectGet(current(), key),
    has: (_, key) => ReflectHas(current(), key),
    ownKeys: () => ReflectOwnKeys(current()),
    getOwnPropertyDescriptor: (_, key) => {
      const descriptor = ReflectGetOwnPropertyDescriptor(current(), key);
      // A proxy may not show what its target lacks as fixed.
      if (descriptor !== undefined) descriptor.configurable = true;
      return descriptor;
    },
    set,
    defineProperty: () => false,
    deleteProperty: (_, key) => ReflectDeleteProperty(current(), key),
  });
}

const tracing = () => require("loader/tracing").tracing;
// Its classes are made when somebody looks.
exports.tracing = view(tracing, () => false, () => ReflectGetPrototypeOf(tracing()));

const currentEnv = () => inPlace("env", () => worker.env);
// What `ctx.exports` has; when the module is imported, the exports themselves are not there yet.
const currentExports = () => inPlace("exports", worker.loopbacks);
exports.env = view(currentEnv, (_, key, value) => ReflectSet(currentEnv(), key, value));
exports.exports = view(currentExports, () => true);

exports.withEnv = function withEnv(newEnv, fn) {
  used = true;
  return require("loader/with-env").withEnv(newEnv, fn);
};
exports.withExports = function withExports(newExports, fn) {
  used = true;
  return require("loader/with-env").withExports(newExports, fn);
};
exports.withEnvAndExports = function withEnvAndExports(newEnv, newExports, fn) {
  used = true;
  return require("loader/with-env").withEnvAndExports(newEnv, newExports, fn);
};
