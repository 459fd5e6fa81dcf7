"use strict";
// Services: addresses that are called like stubs and fetched from.
//
// natives.serviceFetch(handle, method, url, headers, body, cf, canceller) -> as natives.fetch

const { Error, PromiseReject, Proxy, SymbolDispose, SymbolToStringTag, TypeError } = primordials;
const {
  State, callable, checkContext, disposeStub, handleOf, isIndex, memberOf, ownMember, ownMembers,
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
  mayFind(key) {
    return typeof key === "string" && key !== "then" && !isIndex(key);
  }
  getPrototypeOf() {
    return ServiceStub.prototype;
  }
  find(key) {
    const known = this.members === undefined ? undefined : this.members.get(key);
    if (known !== undefined) return known;
    if (key === "fetch") return (input, init) => fetchService(this, input, init);
    if (key === "connect") return () => refuseConnect();
    // An address holds nothing, except one of a Worker that was loaded: that keeps the Worker.
    if (key === SymbolDispose && this.context !== 0) return () => disposeStub(this);
    if (typeof key === "symbol") return key === SymbolToStringTag ? this.tag : undefined;
    if (key === "then") return undefined;
    if (key in ownMembers) return ownMember(key, ServiceStub);
    return memberOf(this, key);
  }
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
      (method, url, headers, body, cf, canceller) =>
        natives.serviceFetch(handle, method, url, headers, body, cf, canceller),
      request,
    );
  } catch (error) {
    return PromiseReject(error);
  }
}

function serviceFromHandle(handle, context = 0) {
  return new Proxy(plain, new ServiceState(handle, context));
}

// The prototype of what stands for classes in `ctx.exports`, once there is any.
let loopbackClasses;

exports.isLoopbackClass = (value) =>
  loopbackClasses !== undefined && primordials.ObjectGetPrototypeOf(value) === loopbackClasses;
exports.setLoopbackClasses = (prototype) => {
  loopbackClasses = prototype;
};
exports.ServiceState = ServiceState;
exports.ServiceStub = ServiceStub;
exports.serviceFromHandle = serviceFromHandle;
