"use strict";
// What guests hold: RpcStub (a live object), ServiceStub (an address; rpc/services), RpcProperty (a path on either),
// RpcPromise (a call under way). All are proxies, over functions where they can be called; the handler of each is what
// it stands for, which no guest reaches.
//
// natives.rpcCall(handle, path, arguments or undefined, context or 0, alone, question) -> promise, or false in another context
// natives.rpcPipeline(asked, path, arguments or undefined, 0, alone, question) -> promise, or undefined when the answer of
// question `asked` is on its way. `alone`: the only argument itself is given
// natives.rpcPath(names) -> a number that stands for the path in calls, or the names
// natives.fulfilledObject(promise) -> the object that it was fulfilled with, if it was

const {
  ArrayPrototypePush, ArrayPrototypeSlice, Error, ErrorCaptureStackTrace, ObjectPrototypeHasOwnProperty, ObjectSetPrototypeOf,
  PromiseGuarded, PromisePrototypeThen, PromiseReject, PromiseResolve, Proxy, ReflectApply, ReflectDefineProperty, ReflectDeleteProperty,
  ReflectGet, ReflectGetOwnPropertyDescriptor, ReflectOwnKeys, ReflectSet, SafeMap, StringPrototypeCharCodeAt, SymbolDispose,
  SymbolToStringTag, TypeError,
} = primordials;
const { CROSS_REQUEST } = require("web/context");

const MAX_PATH = 64;
const MAX_PATH_TEXT = 65_536;
// Properties that a stub keeps, so that calling a method again makes no new one.
const MAX_MEMBERS = 16;

class RpcStub {
  constructor(target) {
    if ((typeof target !== "object" && typeof target !== "function") || target === null) {
      throw new TypeError("Failed to construct 'JsRpcStub': constructor parameter 1 is not of type 'Object'.");
    }
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

// What a proxy stands for, and its handler: the traps get it as `this`. Kinds: "service" and "stub" have a handle;
// "promise" has a promise and its question; "property" has a root (a state of the other kinds) and a path.
class State {
  // Only what is made here has it.
  #own;
  context;
  disposed = false;
  constructor(context) {
    this.context = context;
  }
  static is(value) {
    return #own in value;
  }
  // What the guest itself has put on it: an object, once there is anything. It hides what would be found remotely.
  own = undefined;
  hasOwn(key) {
    return this.own !== undefined && ObjectPrototypeHasOwnProperty(this.own, key);
  }
  get(target, key, receiver) {
    return this.own !== undefined && this.hasOwn(key) ? ReflectGet(this.own, key, receiver) : this.find(key);
  }
  has(target, key) {
    return this.hasOwn(key) || this.mayFind(key);
  }
  set(target, key, value, receiver) {
    return ReflectSet(this.own ?? noProperties, key, value, receiver);
  }
  // All proxies have the same target, which has none of these properties: a proxy may show only what can be taken away.
  defineProperty(target, key, descriptor) {
    ObjectSetPrototypeOf(descriptor, null);
    if (descriptor.configurable === false) return false;
    this.own ??= { __proto__: null };
    descriptor.configurable = true;
    return ReflectDefineProperty(this.own, key, descriptor);
  }
  deleteProperty(target, key) {
    return this.own === undefined || ReflectDeleteProperty(this.own, key);
  }
  setPrototypeOf() {
    return false;
  }
  preventExtensions() {
    return false;
  }
  ownKeys() {
    return this.own === undefined ? [] : ReflectOwnKeys(this.own);
  }
  getOwnPropertyDescriptor(target, key) {
    return this.own === undefined ? undefined : ReflectGetOwnPropertyDescriptor(this.own, key);
  }
}
const noProperties = { __proto__: null };
// Or a guest could give Object.prototype a trap that is missing here, and get hold of a state.
ObjectSetPrototypeOf(State.prototype, null);

// An arrow function: callable, not a constructor.
const callable = () => {};

function stateOf(value) {
  if (typeof value !== "function" && (typeof value !== "object" || value === null)) return undefined;
  const handler = natives.proxyHandler(value);
  return handler !== undefined && State.is(handler) ? handler : undefined;
}

function crossRequest(state) {
  return new Error(CROSS_REQUEST(state.kind === "promise" ? "JsRpcPromise" : "Client"));
}

function checkContext(state) {
  if (state.context !== 0 && state.context !== natives.currentContext()) throw crossRequest(state);
}

// ---- Calls ---------------------------------------------------------------------------------------------------------

// Scripts that require this one, and so cannot be required before it has run.
let values;
let dispatch;

// The numbers of questions that may be named to natives.rpcPipeline, again and again.
const MAX_QUESTION = 0x3fff_ffff;
let lastQuestion = 0;

function nextQuestion() {
  lastQuestion = lastQuestion === MAX_QUESTION ? 1 : lastQuestion + 1;
  return lastQuestion;
}

// Sends a call, or reads a property when `args` is undefined. `path`: names, or the number of a path. Gives a new promise
// state; never throws.
function send(root, path, args) {
  const result = new PromiseState(natives.currentContext());
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
  if (root.disposed) throw new Error("RPC stub used after being disposed.");
  values ??= require("rpc/values");
  const handle = handleOf(root);
  const question = nextQuestion();
  const sent = values.encodeArguments(args, natives.rpcCall, handle, path, root.context, question);
  if (sent === false) throw crossRequest(root);
  // The runtime settles the promise with what the caller gets.
  result.promise = sent;
  result.question = question;
}

function handleOf(state) {
  if (state.handle === 0 && state.loopback !== undefined) state.handle = state.loopback();
  return state.handle;
}

function sendOnPromise(root, path, args, result) {
  checkContext(root);
  if (root.disposed) throw new Error("RPC promise used after being disposed.");
  if (root.question !== 0) {
    values ??= require("rpc/values");
    const question = nextQuestion();
    const sent = values.encodeArguments(args, natives.rpcPipeline, root.question, path, 0, question);
    if (sent !== undefined) {
      result.promise = sent;
      result.question = question;
      return;
    }
  }
  // The answer is here, or about to be: the call goes on from the value itself, in the order of the calls on what it holds.
  const value = natives.fulfilledObject(root.promise);
  if (value !== undefined) {
    result.promise = callValue(value, path, args);
    return;
  }
  result.promise = PromisePrototypeThen(root.promise, (value) => PromiseGuarded(callValue(value, path, args)));
}

// As if it had been called where the value came from.
function remoteError(error) {
  const { decodeError, encodeError } = require("web/errors");
  const parts = encodeError(error);
  throw decodeError(parts[0], parts[1], parts[2], parts[3], true);
}

// What a call's promise is resolved with when the call has failed. The error's stack becomes the caller's: V8 adds the
// asynchronous frames that wait for the promise, which it can only once that waits for this one.
exports.reject = (error) => {
  const soon = PromisePrototypeThen(PromiseResolve(), () => {});
  return PromiseGuarded(PromisePrototypeThen(soon, () => stampAndThrow(error)));
};

function stampAndThrow(error) {
  const isError = natives.valueKind(error) === "NativeError" || require("web/dom-exception").isDOMException(error);
  if (isError) ErrorCaptureStackTrace(error, stampAndThrow);
  throw error;
}

function callValue(value, path, args) {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) {
    throw new TypeError("Can't pipeline on RPC that did not return an object.");
  }
  dispatch ??= require("rpc/dispatch");
  values ??= require("rpc/values");
  try {
    const result = values.copyResult(dispatch.callLocal(value, path, args));
    return PromisePrototypeThen(PromiseResolve(result), undefined, remoteError);
  } catch (error) {
    remoteError(error);
  }
}

// Calls a stub once and lets it go.
function callAndDispose(stub) {
  const state = stateOf(stub);
  const { promise } = send(state, [], []);
  PromisePrototypeThen(promise, () => disposeStub(state), () => disposeStub(state));
}

function disposeValue(value) {
  if (typeof value === "function" || (typeof value === "object" && value !== null)) {
    const state = stateOf(value);
    if (state !== undefined && state.kind === "stub") return disposeStub(state);
    const dispose = value[SymbolDispose];
    if (typeof dispose === "function") ReflectApply(dispose, value, []);
  }
}

// Members that every object has are answered here and never go over RPC.
const objectPrototype = primordials.ObjectGetPrototypeOf({});
const ownMembers = { __proto__: null, constructor: undefined };
for (const key of ["toString", "toLocaleString", "valueOf", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable"]) {
  ownMembers[key] = objectPrototype[key];
}
function ownMember(key, Class) {
  return key === "constructor" ? Class : ownMembers[key];
}

// ---- Properties ----------------------------------------------------------------------------------------------------

class PropertyState extends State {
  kind = "property";
  root;
  names;
  // What calls name the path by.
  path;
  constructor(root, names, path) {
    super(root.context);
    this.root = root;
    this.names = names;
    this.path = path;
  }
  mayFind(key) {
    return typeof key === "string" && !isIndex(key);
  }
  getPrototypeOf() {
    return RpcProperty.prototype;
  }
  // A stub gives the same property to whoever asks next. One that a guest has changed is that guest's alone.
  defineProperty(target, key, descriptor) {
    const { members } = this.root;
    if (members !== undefined && this.names.length === 1) members.delete(this.names[0]);
    return super.defineProperty(target, key, descriptor);
  }
  apply(target, _this, args) {
    return new Proxy(callable, send(this.root, this.path, args));
  }
  find(key) {
    if (typeof key === "symbol") return key === SymbolToStringTag ? "JsRpcProperty" : undefined;
    if (key === "then" || key === "catch" || key === "finally") return thenMethod(this, key);
    if (key in ownMembers) return ownMember(key, RpcProperty);
    if (isIndex(key)) return undefined;
    return propertyOf(this.root, this.names, key);
  }
}

function propertyOf(root, names, name) {
  if (names.length > MAX_PATH) throw new TypeError(`RPC pipelined property path is too deep (max ${MAX_PATH}).`);
  let length = name.length;
  for (let i = 0; i < names.length; i++) length += names[i].length;
  if (length > MAX_PATH_TEXT) {
    throw new TypeError(`RPC property path is too long: its names have ${length} characters (max ${MAX_PATH_TEXT}).`);
  }
  const longer = ArrayPrototypeSlice(names);
  ArrayPrototypePush(longer, name);
  return newProperty(root, longer, longer);
}

function newProperty(root, names, path) {
  const Class = names[names.length - 1] === "toJSON" ? ToJsonState : PropertyState;
  return new Proxy(callable, new Class(root, names, path));
}

// JSON.stringify() asks whatever it meets for this method and passes one string. No call is made for that: a service is an
// empty object to it, what can be called is left out.
class ToJsonState extends PropertyState {
  apply(target, _this, args) {
    if (args.length !== 1 || typeof args[0] !== "string") return super.apply(target, _this, args);
    return this.names.length === 1 && this.root.kind === "service" ? {} : undefined;
  }
}

// Stubs are no lists: what is named as an item of one is not there.
const MAX_INDEX = 4_294_967_294;
function isIndex(name) {
  const first = StringPrototypeCharCodeAt(name, 0);
  if (!(first >= 0x30 && first <= 0x39)) return false;
  const index = +name;
  return index <= MAX_INDEX && `${index >>> 0}` === name;
}

// A property of a stub that keeps those that were asked for.
function memberOf(state, name) {
  if (isIndex(name)) return undefined;
  const full = state.members !== undefined && state.members.size >= MAX_MEMBERS;
  if (full || name.length > MAX_PATH_TEXT) return propertyOf(state, [], name);
  const names = [name];
  const member = newProperty(state, names, natives.rpcPath(names));
  (state.members ??= new SafeMap()).set(name, member);
  return member;
}

// ---- Promises ------------------------------------------------------------------------------------------------------

class PromiseState extends State {
  kind = "promise";
  promise = undefined;
  question = 0;
  mayFind(key) {
    return typeof key === "string" ? !isIndex(key) : key === SymbolDispose;
  }
  getPrototypeOf() {
    return RpcPromise.prototype;
  }
  apply(target, _this, args) {
    return new Proxy(callable, send(this, [], args));
  }
  find(key) {
    if (key === "then" || key === "catch" || key === "finally") return thenMethod(this, key);
    if (key === SymbolDispose) return () => disposePromise(this);
    if (typeof key === "symbol") return key === SymbolToStringTag ? "JsRpcPromise" : undefined;
    if (key in ownMembers) return ownMember(key, RpcPromise);
    if (isIndex(key)) return undefined;
    return propertyOf(this, [], key);
  }
}

// A promise for the state: of a property, a reading of it.
function promiseOf(state) {
  return state.kind === "promise" ? state.promise : send(state.root, state.path, undefined).promise;
}

// Any context may wait for a promise; what comes with it belongs to the one that made the call.
function thenMethod(state, name) {
  if (name === "then") return (fulfilled, rejected) => PromisePrototypeThen(promiseOf(state), fulfilled, rejected);
  if (name === "catch") return (rejected) => PromisePrototypeThen(promiseOf(state), undefined, rejected);
  return (done) => finallyOf(promiseOf(state), done);
}

// As Promise.prototype.finally, which would call `then` of guests.
function finallyOf(promise, done) {
  if (typeof done !== "function") return PromisePrototypeThen(promise, done, done);
  const after = (settle) => PromiseGuarded(PromisePrototypeThen(PromiseResolve(done()), settle));
  return PromisePrototypeThen(
    promise,
    (value) => after(() => value),
    (error) => after(() => { throw error; }),
  );
}

function disposePromise(state) {
  if (state.disposed) return;
  state.disposed = true;
  const value = natives.fulfilledObject(state.promise);
  if (value !== undefined) disposeValue(value);
  else PromisePrototypeThen(state.promise, disposeValue, () => {});
}

// ---- Stubs ---------------------------------------------------------------------------------------------------------

class StubState extends State {
  kind = "stub";
  handle;
  members = undefined;
  constructor(handle, context) {
    super(context);
    this.handle = handle;
  }
  mayFind(key) {
    return typeof key === "string" ? key !== "then" && !isIndex(key) : key === SymbolDispose;
  }
  getPrototypeOf() {
    return RpcStub.prototype;
  }
  apply(target, _this, args) {
    whole ??= natives.rpcPath([]);
    return new Proxy(callable, send(this, whole, args));
  }
  find(key) {
    const known = this.members === undefined ? undefined : this.members.get(key);
    if (known !== undefined) return known;
    if (key === SymbolDispose) return () => disposeStub(this);
    if (typeof key === "symbol") return key === SymbolToStringTag ? "JsRpcStub" : undefined;
    if (key === "then") return undefined;
    if (key === "dup") return () => dup(this);
    if (key in ownMembers) return ownMember(key, RpcStub);
    return memberOf(this, key);
  }
}
// The path of the target itself.
let whole;

function disposeStub(state) {
  if (state.disposed) return;
  state.disposed = true;
  if (collected !== undefined) primordials.FinalizationRegistryPrototypeUnregister(collected, state);
  if (state.handle !== 0) natives.release(state.handle);
}

function dup(state) {
  checkContext(state);
  // It came as one that was disposed of.
  if (state.handle === 0) return disposedStub();
  if (state.disposed) throw new Error("RPC stub used after being disposed.");
  return stubFromHandle(natives.dupHandle(state.handle));
}

function stubFromHandle(handle) {
  return new Proxy(callable, new StubState(handle, natives.currentContext()));
}

function disposedStub() {
  const state = new StubState(0, natives.currentContext());
  state.disposed = true;
  return new Proxy(callable, state);
}

// Handles that outlive any one stub of theirs are let go of in a later turn after the last was collected, never inside
// a garbage collection. The state is watched, not the proxy: methods may be torn off.
let collected;
function releaseWhenCollected(stub) {
  const state = stateOf(stub);
  collected ??= new primordials.FinalizationRegistry((handle) => natives.release(handle));
  primordials.FinalizationRegistryPrototypeRegister(collected, state, state.handle, state);
  return stub;
}

exports.RpcPromise = RpcPromise;
exports.RpcProperty = RpcProperty;
exports.RpcStub = RpcStub;
exports.State = State;
exports.callAndDispose = callAndDispose;
exports.callable = callable;
exports.checkContext = checkContext;
exports.disposeStub = disposeStub;
exports.disposedStub = disposedStub;
exports.disposeValue = disposeValue;
exports.handleOf = handleOf;
exports.isIndex = isIndex;
exports.memberOf = memberOf;
exports.ownMember = ownMember;
exports.ownMembers = ownMembers;
exports.promiseOf = promiseOf;
exports.releaseWhenCollected = releaseWhenCollected;
exports.stateOf = stateOf;
exports.stubFromHandle = stubFromHandle;
