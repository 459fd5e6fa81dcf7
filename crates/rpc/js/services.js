"use strict";
// Services: addresses that are called like stubs and fetched from, and those of `ctx.exports`.
//
// natives.serviceFetch(handle, method, url, headers, body, cf, redirect, canceller) -> as natives.fetch

const { Error, PromiseReject, Proxy, SymbolDispose, SymbolToStringTag, TypeError } = primordials;
const {
  State, callable, checkContext, disposeStub, handleOf, memberOf, ownMember, ownMembers, releaseWhenCollected,
} = require("rpc/stubs");

class ServiceStub {
  constructor() {
    throw new TypeError("Illegal constructor");
  }
}

const plain = {};

class ServiceState extends State {
  kind = "service";
  handle;
  members = undefined;
  // Gives the handle, where that is not there yet.
  loopback = undefined;
  isLoopback = false;
  tag = "Fetcher";
  constructor(handle, context) {
    super(context);
    this.handle = handle;
  }
  has(target, key) {
    return typeof key === "string" && key !== "then";
  }
  getPrototypeOf() {
    return ServiceStub.prototype;
  }
  get(target, key) {
    const known = this.members === undefined ? undefined : this.members.get(key);
    if (known !== undefined) return known;
    if (key === "fetch") return (input, init) => fetchService(this, input, init);
    if (key === "connect") return () => refuseConnect();
    if (key === SymbolDispose) return () => disposeService(this);
    if (typeof key === "symbol") return key === SymbolToStringTag ? this.tag : undefined;
    if (key === "then") return undefined;
    if (key in ownMembers) return ownMember(key, ServiceStub);
    return memberOf(this, key);
  }
}

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
  return new Proxy(plain, new ServiceState(handle, context));
}

// `ctx.exports.X`: a service with empty props, that can also be called with props to give a specialised one.
// `specialise(props)` gives the handle.
class LoopbackState extends ServiceState {
  isLoopback = true;
  tag = "LoopbackServiceStub";
  specialise;
  constructor(specialise) {
    super(0, 0);
    this.specialise = specialise;
    this.loopback = () => specialise(undefined);
  }
  getPrototypeOf() {
    return LoopbackServiceStub.prototype;
  }
  apply(target, _this, args) {
    const options = args[0] ?? {};
    if (args.length === 0 || (typeof options !== "object" && typeof options !== "function")) {
      throw new TypeError(
        "Failed to execute '(called as function)' on 'LoopbackServiceStub': parameter 1 is not of type 'Options'.",
      );
    }
    return releaseWhenCollected(serviceFromHandle(this.specialise(propsOf(options, "Options"))));
  }
}
class LoopbackServiceStub extends ServiceStub {}

// The props of an options object of the dictionary type `type`.
function propsOf(options, type) {
  const { props } = options;
  if (props !== undefined && ((typeof props !== "object" && typeof props !== "function") || props === null)) {
    throw new TypeError(`Incorrect type for the 'props' field on '${type}': the provided value is not of type 'Object'.`);
  }
  return props;
}

// `ctx.exports.X` of a class that is no entrypoint: a Durable Object's, if there were any.
class LoopbackDurableObjectClass {
  constructor() {
    throw new TypeError("Illegal constructor");
  }
}
function loopbackClass(name) {
  const refuse = primordials.FunctionPrototypeBind(() => {
    throw new Error(`Durable Objects are not supported yet: ctx.exports.${name} cannot be used as a class.`);
  }, undefined);
  return primordials.ObjectSetPrototypeOf(refuse, LoopbackDurableObjectClass.prototype);
}
primordials.ObjectDefineProperty(LoopbackDurableObjectClass.prototype, SymbolToStringTag, {
  __proto__: null, value: "LoopbackDurableObjectClass", configurable: true,
});

function loopback(specialise) {
  return new Proxy(callable, new LoopbackState(specialise));
}

exports.ServiceStub = ServiceStub;
exports.isLoopbackClass = (value) =>
  primordials.ObjectGetPrototypeOf(value) === LoopbackDurableObjectClass.prototype;
exports.loopback = loopback;
exports.loopbackClass = loopbackClass;
exports.serviceFromHandle = serviceFromHandle;
