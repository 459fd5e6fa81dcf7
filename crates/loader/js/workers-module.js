"use strict";
// The module `cloudflare:workers`. https://developers.cloudflare.com/workers/runtime-apis/

const { Proxy } = primordials;
const targets = require("rpc/targets");
const stubs = require("rpc/stubs");
const worker = require("loader/worker");

exports.DurableObject = targets.DurableObject;
exports.RpcTarget = targets.RpcTarget;
exports.WorkerEntrypoint = targets.WorkerEntrypoint;
exports.WorkflowEntrypoint = targets.WorkflowEntrypoint;
exports.RpcPromise = stubs.RpcPromise;
exports.RpcProperty = stubs.RpcProperty;
exports.RpcStub = stubs.RpcStub;
exports.ServiceStub = stubs.ServiceStub;
exports.env = worker.env;
exports.waitUntil = worker.waitUntil;

// Ends this Worker: its isolate, and with it every call under way.
exports.abortIsolate = (reason) => {
  natives.abortIsolate(reason === undefined ? "" : `${reason}`);
  // Nothing of the guest runs any more: the runtime stops the isolate here.
  for (;;);
};
exports.withEnv = () => {
  throw new primordials.Error("withEnv() is not supported yet.");
};

// `exports` shows what `ctx.exports` has; when it is imported, the exports themselves are not there yet.
exports.exports = new Proxy({}, {
  __proto__: null,
  get: (_, key) => worker.loopbacks()[key],
  has: (_, key) => key in worker.loopbacks(),
  ownKeys: () => primordials.ReflectOwnKeys(worker.loopbacks()),
  getOwnPropertyDescriptor: (_, key) => primordials.ObjectGetOwnPropertyDescriptor(worker.loopbacks(), key),
  set: () => false,
  defineProperty: () => false,
  deleteProperty: () => false,
});
