"use strict";
// The classes of `cloudflare:workers` that guests extend, and the marks by which the runtime knows them.
// https://developers.cloudflare.com/workers/runtime-apis/bindings/service-bindings/rpc/

const { ObjectDefineProperty, ObjectGetPrototypeOf } = primordials;

class RpcTarget {}

// `ctx` and `env` are own, non-enumerable members: visible to the class, invisible over RPC.
function defineContext(object, ctx, env) {
  ObjectDefineProperty(object, "ctx", { __proto__: null, value: ctx, writable: true, configurable: true });
  ObjectDefineProperty(object, "env", { __proto__: null, value: env, writable: true, configurable: true });
}

class WorkerEntrypoint {
  constructor(ctx, env) {
    defineContext(this, ctx, env);
  }
}

class DurableObject {
  constructor(ctx, env) {
    defineContext(this, ctx, env);
  }
}

class WorkflowEntrypoint {
  constructor(ctx, env) {
    defineContext(this, ctx, env);
  }
}

// Whether `Class` is `Base` or extends it; guests cannot fake it by Symbol.hasInstance.
function isSubclass(Class, Base) {
  let current = Class;
  while (typeof current === "function") {
    if (current === Base) return true;
    current = ObjectGetPrototypeOf(current);
  }
  return false;
}

function hasPrototype(object, prototype) {
  let current = ObjectGetPrototypeOf(object);
  while (current !== null) {
    if (current === prototype) return true;
    current = ObjectGetPrototypeOf(current);
  }
  return false;
}

exports.DurableObject = DurableObject;
exports.RpcTarget = RpcTarget;
exports.WorkerEntrypoint = WorkerEntrypoint;
exports.WorkflowEntrypoint = WorkflowEntrypoint;
exports.hasPrototype = hasPrototype;
exports.isSubclass = isSubclass;
