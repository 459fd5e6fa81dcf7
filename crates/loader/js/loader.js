"use strict";
// The loader binding: WorkerLoader { get, load } and WorkerStub { getEntrypoint, fetch }.
// https://developers.cloudflare.com/dynamic-workers/
//
// natives.loaderLoad(spec) -> worker; natives.loaderGet(loader, id or undefined) -> [worker, guard or 0, promise of
// whether code is to be provided];
// natives.loaderEvict(loader, id) -> boolean; natives.loaderProvide(guard, spec), natives.loaderFail(guard, error);
// natives.workerEntrypoint(worker, name, props, limits) -> service

const { Error, FinalizationRegistry, PromisePrototypeThen, Symbol, SymbolDispose, TypeError } =
  primordials;
const { specify, limitsOf, wrongType } = require("loader/code");
const { encodeEnv } = require("rpc/values");
const services = require("rpc/services");
const stubs = require("rpc/stubs");
const { CROSS_REQUEST } = require("web/context");
const { defineInterface, illegalInvocation } = require("web/webidl");

const internal = {};

// What a stub keeps is let go of in a later turn after it was collected, never inside a garbage collection.
const collected = new FinalizationRegistry((handle) => natives.release(handle));
const register = primordials.FinalizationRegistryPrototypeRegister;
const unregister = primordials.FinalizationRegistryPrototypeUnregister;

class WorkerLoader {
  #handle;
  constructor(token, handle) {
    if (token !== internal) throw new TypeError("Illegal constructor");
    this.#handle = handle;
  }

  // Throws where it is no loader, and where no request is being handled.
  static #handleOf(loader) {
    if (!isObject(loader) || !(#handle in loader)) throw illegalInvocation();
    natives.requireContext();
    return loader.#handle;
  }

  get(name, getCode) {
    const handle = WorkerLoader.#handleOf(this);
    if (arguments.length === 0) {
      throw new TypeError("Failed to execute 'get' on 'WorkerLoader': parameter 1 is not of type 'string'.");
    }
    if (typeof getCode !== "function") {
      throw new TypeError("Failed to execute 'get' on 'WorkerLoader': parameter 2 is not of type 'function'.");
    }
    const id = name === null || name === undefined ? undefined : `${name}`;
    const found = natives.loaderGet(handle, id);
    if (found[1] !== 0) provide(found[1], found[2], getCode);
    return new WorkerStub(internal, found[0]);
  }

  // Forgets a named child at once; an addition of ours. -> whether there was one
  evict(name) {
    const handle = WorkerLoader.#handleOf(this);
    return natives.loaderEvict(handle, `${name}`);
  }

  load(code) {
    WorkerLoader.#handleOf(this);
    const spec = specify(code);
    return new WorkerStub(internal, encodeEnv(true, () => natives.loaderLoad(spec)));
  }
}

const notNeeded = Symbol("not needed");

// Calls back for the code in a later turn, and hands on what it gives, or why it gives nothing. Where another's callback
// has the turn, that one's code may make this one's needless.
function provide(guard, turn, getCode) {
  const given = PromisePrototypeThen(turn, (mine) => {
    if (!mine) return notNeeded;
    const code = getCode();
    if (code === undefined || code === null || typeof code === "object" || typeof code === "function") return code;
    throw new TypeError("Callback returned incorrect type; expected 'Promise'");
  });
  PromisePrototypeThen(
    PromisePrototypeThen(given, (code) => {
      if (code === notNeeded) return natives.release(guard);
      if ((typeof code !== "object" && typeof code !== "function") || code === null) {
        throw new TypeError("Incorrect type for Promise: the Promise did not resolve to 'WorkerCode'.");
      }
      const spec = specify(code);
      encodeEnv(false, () => natives.loaderProvide(guard, spec));
    }),
    undefined,
    (error) => natives.loaderFail(guard, error),
  );
}

class WorkerStub {
  #handle;
  #context;
  constructor(token, handle) {
    if (token !== internal) throw new TypeError("Illegal constructor");
    this.#handle = handle;
    this.#context = natives.currentContext();
    register(collected, this, handle, this);
  }

  getEntrypoint(name = undefined, options = undefined) {
    if (!isObject(this) || !(#handle in this)) throw illegalInvocation();
    if (this.#context !== natives.currentContext()) throw new Error(CROSS_REQUEST("WorkerStub"));
    if (this.#handle === 0) throw new Error("WorkerStub used after being disposed.");
    const entrypoint = name === null || name === undefined ? undefined : `${name}`;
    const given = optionsOf(options);
    const props = given.props;
    if (props !== undefined && !isObject(props)) throw wrongType("props", "Object", "EntrypointOptions");
    const limits = limitsOf(given.limits, "EntrypointOptions");
    const handle = encodeEnv(false, () => natives.workerEntrypoint(this.#handle, entrypoint, props, limits));
    return stubs.releaseWhenCollected(services.serviceFromHandle(handle, this.#context));
  }

  getDurableObjectClass() {
    throw new Error("Durable Objects in dynamic workers (getDurableObjectClass) are not supported yet.");
  }

  // The default entrypoint's, as a convenience of ours.
  fetch(input, init = undefined) {
    return this.getEntrypoint().fetch(input, init);
  }

  [SymbolDispose]() {
    if (this.#handle === 0) return;
    unregister(collected, this);
    natives.release(this.#handle);
    this.#handle = 0;
  }
}

function isObject(value) {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function optionsOf(options) {
  if (options === null || options === undefined) return { __proto__: null };
  if (isObject(options)) return options;
  throw new TypeError("Failed to execute 'getEntrypoint' on 'WorkerStub': parameter 2 is not of type 'EntrypointOptions'.");
}

defineInterface(WorkerLoader, "WorkerLoader");
defineInterface(WorkerStub, "WorkerStub");
exports.loaderFromHandle = (handle) => new WorkerLoader(internal, handle);
