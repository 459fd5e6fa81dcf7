"use strict";
// What guests hold: ServiceStub (an address), RpcStub (a live object), RpcProperty (a path on either), RpcPromise (a
// call under way). All but ServiceStub are proxies over functions, so that they can be called; what a proxy stands for
// is in `states`, which no guest reaches.
//
// natives.rpcCall(handle, path, arguments or undefined) -> [promise, question]
// natives.rpcPipeline(question, path, arguments or undefined) -> the same, or undefined when the answer is on its way
// natives.serviceFetch(handle, method, url, headers, body, cf, redirect, canceller) -> as natives.fetch

const {
  ArrayPrototypePush, ArrayPrototypeSlice, Error, ErrorCaptureStackTrace, PromisePrototypeThen, PromiseReject, Proxy,
  ReflectApply, SafeWeakMap, SymbolDispose, SymbolToStringTag, TypeError,
} = primordials;
const { CROSS_REQUEST } = require("web/context");

const MAX_PATH = 64;
const MAX_PATH_TEXT = 65_536;
const states = new SafeWeakMap();
// On the functions and objects behind the proxies, which nobody else can reach.
const kState = primordials.Symbol("state");

class RpcStub {
  constructor(target) {
    return require("rpc/values").localStub(target);
  }
}
class RpcPromise {
  constructor() {
    throw new TypeError("Illegal constructor");
  }
}
class RpcProperty {
  constructor() {
    throw new TypeError("Illegal constructor");
  }
}
class ServiceStub {
  constructor() {
    throw new TypeError("Illegal constructor");
  }
}

// What a proxy stands for. Kinds: "service" and "stub" have a handle; "promise" has a promise and its question;
// "property" has a root (a state of the other kinds) and a path.
class State {
  kind;
  handle = 0;
  context = 0;
  disposed = false;
  promise = undefined;
  question = 0;
  settled = false;
  value = undefined;
  root = undefined;
  path = undefined;
  loopback = undefined;
  constructor(kind) {
    this.kind = kind;
  }
}

function checkContext(state) {
  if (state.context !== 0 && state.context !== natives.currentContext()) {
    throw new Error(CROSS_REQUEST(state.kind === "promise" ? "RpcPromise" : state.kind === "property" ? "RpcProperty" : "RpcStub"));
  }
}

// ---- Calls ---------------------------------------------------------------------------------------------------------

// Sends a call, or reads a property when `args` is undefined. Gives a new promise state; never throws.
function send(root, path, args) {
  const result = new State("promise");
  result.context = natives.currentContext();
  try {
    if (root.kind === "promise") sendOnPromise(root, path, args, result);
    else sendOnHandle(root, path, args, result);
  } catch (error) {
    result.promise = PromiseReject(error);
    // The caller may never look at the promise of a call whose result it does not want.
  }
  return result;
}

function sendOnHandle(root, path, args, result) {
  checkContext(root);
  if (root.disposed) throw new Error("RPC stub used after being disposed.");
  natives.requireContext();
  const { encodeArguments } = require("rpc/values");
  const sent = encodeArguments(args, (encoded) => natives.rpcCall(handleOf(root), path, encoded));
  accept(sent, result);
}

function handleOf(state) {
  if (state.handle === 0 && state.loopback !== undefined) state.handle = state.loopback();
  return state.handle;
}

function sendOnPromise(root, path, args, result) {
  checkContext(root);
  if (root.disposed) throw new Error("RPC promise used after being disposed.");
  if (!root.settled && root.question !== 0) {
    const { encodeArguments } = require("rpc/values");
    const sent = encodeArguments(args, (encoded) => natives.rpcPipeline(root.question, path, encoded));
    if (sent !== undefined) return accept(sent, result);
  }
  // The answer is here, or about to be: the call goes on from the value itself.
  result.promise = PromisePrototypeThen(root.promise, (value) => callValue(value, path, args));
}

function accept(sent, result) {
  result.question = sent[1];
  result.promise = PromisePrototypeThen(
    sent[0],
    (message) => {
      result.settled = true;
      const value = require("rpc/values").takeResult(message);
      if (result.disposed) disposeValue(value);
      return value;
    },
    function rejected(error) {
      result.settled = true;
      // The stack is the caller's: V8 adds the asynchronous frames that wait for this promise.
      if (typeof error === "object" && error !== null) ErrorCaptureStackTrace(error, rejected);
      throw error;
    },
  );
}

function callValue(value, path, args) {
  if (typeof value !== "object" && typeof value !== "function") {
    throw new TypeError("Can't pipeline on RPC that did not return an object.");
  }
  const { callLocal } = require("rpc/dispatch");
  return callLocal(value, path, args);
}

// Calls a stub once and lets it go.
function callAndDispose(stub) {
  const state = states.get(stub);
  const { promise } = send(state, [], []);
  PromisePrototypeThen(promise, () => disposeStub(state), () => disposeStub(state));
}

function disposeValue(value) {
  if (typeof value === "function" || (typeof value === "object" && value !== null)) {
    const dispose = value[SymbolDispose];
    if (typeof dispose === "function") ReflectApply(dispose, value, []);
  }
}

// Members that every object has are answered here and never go over RPC.
const ownMembers = {
  __proto__: null, constructor: 1, toString: 1, toLocaleString: 1, valueOf: 1, hasOwnProperty: 1, isPrototypeOf: 1,
  propertyIsEnumerable: 1,
};
function ownMember(target, key, Class) {
  return key === "constructor" ? Class : target[key];
}

// ---- Proxies -------------------------------------------------------------------------------------------------------

function propertyOf(root, path, name) {
  if (path.length >= MAX_PATH) throw new TypeError(`RPC pipelined property path is too deep (max ${MAX_PATH}).`);
  const state = new State("property");
  state.root = root;
  state.context = root.context;
  let length = name.length;
  for (let i = 0; i < path.length; i++) length += path[i].length;
  if (length > MAX_PATH_TEXT) {
    throw new TypeError(`RPC property path is too long: its names have ${length} characters (max ${MAX_PATH_TEXT}).`);
  }
  const longer = ArrayPrototypeSlice(path);
  ArrayPrototypePush(longer, name);
  state.path = longer;
  return cover(state, propertyHandler);
}

function cover(state, handler) {
  const target = function () {};
  target[kState] = state;
  const proxy = new Proxy(target, handler);
  states.set(proxy, state);
  return proxy;
}

// A promise for the state: of a property, the reading of it.
function promiseOf(state) {
  if (state.kind === "promise") return state.promise;
  if (state.promise === undefined) state.promise = send(state.root, state.path, undefined).promise;
  return state.promise;
}

function thenMethod(state, name) {
  if (name === "then") return (fulfilled, rejected) => PromisePrototypeThen(own(state), fulfilled, rejected);
  if (name === "catch") return (rejected) => PromisePrototypeThen(own(state), undefined, rejected);
  return (done) => primordials.PromisePrototypeFinally(own(state), done);
}

// Awaiting in another context than that of the call is an error, unless what came is plain data.
function own(state) {
  if (state.context === 0 || state.context === natives.currentContext()) return promiseOf(state);
  return PromisePrototypeThen(promiseOf(state), (value) => {
    if (typeof value === "function" && states.has(value)) throw new Error(CROSS_REQUEST("RpcPromise"));
    return value;
  });
}

const common = {
  __proto__: null,
  set: () => false,
  defineProperty: () => false,
  deleteProperty: () => false,
  setPrototypeOf: () => false,
  has: (target, key) => typeof key === "string",
  ownKeys: () => ["prototype"],
  // The state behind a proxy is nobody's business: whoever had it could name any handle of the isolate.
  getOwnPropertyDescriptor: (target, key) =>
    key === "prototype" ? primordials.ReflectGetOwnPropertyDescriptor(target, key) : undefined,
};

const propertyHandler = {
  __proto__: null,
  ...common,
  getPrototypeOf: () => RpcProperty.prototype,
  apply(target, _this, args) {
    const { root, path } = target[kState];
    return promiseProxy(send(root, path, args));
  },
  get(target, key) {
    const state = target[kState];
    if (typeof key === "symbol") return key === SymbolToStringTag ? "RpcProperty" : undefined;
    if (key === "then" || key === "catch" || key === "finally") return thenMethod(state, key);
    if (key in ownMembers) return ownMember(target, key, RpcProperty);
    return propertyOf(state.root, state.path, key);
  },
};

const promiseHandler = {
  __proto__: null,
  ...common,
  getPrototypeOf: () => RpcPromise.prototype,
  apply(target, _this, args) {
    return promiseProxy(send(target[kState], [], args));
  },
  get(target, key) {
    const state = target[kState];
    if (key === SymbolDispose) return () => disposePromise(state);
    if (typeof key === "symbol") return key === SymbolToStringTag ? "RpcPromise" : undefined;
    if (key === "then" || key === "catch" || key === "finally") return thenMethod(state, key);
    if (key in ownMembers) return ownMember(target, key, RpcPromise);
    return propertyOf(state, [], key);
  },
};

function disposePromise(state) {
  if (state.disposed) return;
  state.disposed = true;
  PromisePrototypeThen(state.promise, disposeValue, () => {});
}

const stubHandler = {
  __proto__: null,
  ...common,
  getPrototypeOf: () => RpcStub.prototype,
  apply(target, _this, args) {
    return promiseProxy(send(target[kState], [], args));
  },
  get(target, key, receiver) {
    const state = target[kState];
    if (key === SymbolDispose) return () => disposeStub(state);
    if (typeof key === "symbol") return key === SymbolToStringTag ? "RpcStub" : undefined;
    if (key === "then") return undefined;
    if (key === "dup") return () => dup(state);
    if (key === "onRpcBroken") return undefined;
    if (key in ownMembers) return ownMember(target, key, RpcStub);
    return propertyOf(state, [], key);
  },
};

function disposeStub(state) {
  if (state.disposed) return;
  state.disposed = true;
  if (collected !== undefined) primordials.FinalizationRegistryPrototypeUnregister(collected, state);
  if (state.handle !== 0) natives.release(state.handle);
}

function dup(state) {
  checkContext(state);
  if (state.disposed) throw new Error("RPC stub used after being disposed.");
  return stubFromHandle(natives.dupHandle(state.handle));
}

function stubFromHandle(handle) {
  const state = new State("stub");
  state.handle = handle;
  state.context = natives.currentContext();
  return cover(state, stubHandler);
}

function promiseProxy(state) {
  // Nobody may be interested in the outcome of a call; that alone is not an unhandled rejection of the guest's.
  return cover(state, promiseHandler);
}

// ---- Services ------------------------------------------------------------------------------------------------------

const serviceHandler = {
  __proto__: null,
  ownKeys: () => [],
  getOwnPropertyDescriptor: () => undefined,
  set: () => false,
  defineProperty: () => false,
  deleteProperty: () => false,
  setPrototypeOf: () => false,
  getPrototypeOf: () => ServiceStub.prototype,
  has: (target, key) => typeof key === "string",
  get(target, key, receiver) {
    const state = target[kState];
    if (key === "fetch") return (input, init) => fetchService(state, input, init);
    if (key === "connect") return () => refuseConnect();
    if (key === SymbolDispose) return () => disposeService(state);
    if (typeof key === "symbol") return key === SymbolToStringTag ? "ServiceStub" : undefined;
    if (key === "then") return undefined;
    if (key in ownMembers) return ownMember(target, key, ServiceStub);
    return propertyOf(state, [], key);
  },
};

// An address holds nothing, except one of a Worker that was loaded: that keeps the Worker.
function disposeService(state) {
  if (state.context !== 0) disposeStub(state);
}

function refuseConnect() {
  throw new Error("connect() on a service binding is not supported yet.");
}

function fetchService(state, input, init) {
  try {
    natives.requireContext();
    checkContext(state);
    if (state.disposed) throw new Error("RPC stub used after being disposed.");
    const { Request } = require("web/request");
    const request = new Request(input, init);
    const handle = handleOf(state);
    return require("web/fetch").send(
      (method, url, headers, body, cf, redirect, canceller) =>
        natives.serviceFetch(handle, method, url, headers, body, cf, redirect, canceller),
      request,
    );
  } catch (error) {
    return PromiseReject(error);
  }
}

function serviceFromHandle(handle, context = 0) {
  const state = new State("service");
  state.handle = handle;
  state.context = context;
  return serviceFromState(state);
}

// Handles that outlive any one stub of theirs are let go of in a later turn after the last was collected, never inside
// a garbage collection. The state is watched, not the proxy: methods may be torn off.
let collected;
function releaseWhenCollected(service) {
  const state = states.get(service);
  collected ??= new primordials.FinalizationRegistry((handle) => natives.release(handle));
  primordials.FinalizationRegistryPrototypeRegister(collected, state, state.handle, state);
  return service;
}

function serviceFromState(state) {
  const target = {};
  target[kState] = state;
  const proxy = new Proxy(target, serviceHandler);
  states.set(proxy, state);
  return proxy;
}

// `ctx.exports.X`: a service with empty props, that can also be called with props to give a specialised one.
// `specialise(options)` gives the handle.
const loopbackHandler = {
  __proto__: null,
  ...serviceHandler,
  getPrototypeOf: () => LoopbackServiceStub.prototype,
  apply(target, _this, args) {
    return releaseWhenCollected(serviceFromHandle(target[kState].specialise(args[0])));
  },
  ownKeys: common.ownKeys,
  getOwnPropertyDescriptor: common.getOwnPropertyDescriptor,
};
class LoopbackServiceStub extends ServiceStub {}

function loopback(specialise) {
  const state = new State("service");
  state.loopback = () => specialise(undefined);
  state.specialise = specialise;
  state.isLoopback = true;
  const target = function () {};
  target[kState] = state;
  const proxy = new Proxy(target, loopbackHandler);
  states.set(proxy, state);
  return proxy;
}

exports.RpcPromise = RpcPromise;
exports.RpcProperty = RpcProperty;
exports.RpcStub = RpcStub;
exports.ServiceStub = ServiceStub;
exports.callAndDispose = callAndDispose;
exports.disposeValue = disposeValue;
exports.handleOf = handleOf;
exports.loopback = loopback;
exports.promiseOf = promiseOf;
exports.releaseWhenCollected = releaseWhenCollected;
exports.send = send;
exports.promiseProxy = promiseProxy;
exports.propertyOf = propertyOf;
exports.serviceFromHandle = serviceFromHandle;
exports.serviceFromState = serviceFromState;
exports.State = State;
exports.stateOf = (value) =>
  (typeof value === "object" && value !== null) || typeof value === "function" ? states.get(value) : undefined;
exports.stubFromHandle = stubFromHandle;
