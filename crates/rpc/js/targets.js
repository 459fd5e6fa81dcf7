"use strict";
// The classes of `cloudflare:workers` that guests extend, and the marks by which the runtime knows them.
// https://developers.cloudflare.com/workers/runtime-apis/bindings/service-bindings/rpc/

const { ObjectGetPrototypeOf, TypeError } = primordials;

class RpcTarget {}

function wrongContext(Class, type) {
  return new TypeError(`Failed to construct '${Class}': constructor parameter 1 is not of type '${type}'.`);
}

// `ctx` and `env` are own members: visible to the class, invisible over RPC.
class WorkerEntrypoint {
  ctx;
  env;
  constructor(ctx, env) {
    if ((typeof ctx !== "object" && typeof ctx !== "function") || ctx === null) {
      throw wrongContext("WorkerEntrypoint", "Object");
    }
    this.ctx = ctx;
    this.env = env;
  }
}

// Can be imported and extended; nothing makes instances, because there are no Durable Objects yet.
class DurableObject {
  constructor() {
    throw wrongContext("DurableObjectBase", "DurableObjectState");
  }
}

// An entrypoint like any other; what would run its steps does not exist yet.
class WorkflowEntrypoint {
  ctx;
  env;
  constructor(ctx, env) {
    if (!isExecutionContext(ctx)) throw wrongContext("WorkflowEntrypoint", "ExecutionContext");
    this.ctx = ctx;
    this.env = env;
  }
}

let isExecutionContext = () => false;
exports.setContextCheck = (check) => {
  isExecutionContext = check;
};

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
