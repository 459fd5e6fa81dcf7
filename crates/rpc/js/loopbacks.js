"use strict";
// What `ctx.exports` has: services of the Worker's own entrypoints, and what stands for its other classes.

const { Error, Proxy, SymbolToStringTag, TypeError } = primordials;
const { callable, releaseWhenCollected } = require("rpc/stubs");
const { ServiceState, ServiceStub, serviceFromHandle, setLoopbackClasses } = require("rpc/services");

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
    const options = args.length === 0 ? undefined : args[0] ?? { __proto__: null };
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
setLoopbackClasses(LoopbackDurableObjectClass.prototype);
primordials.ObjectDefineProperty(LoopbackDurableObjectClass.prototype, SymbolToStringTag, {
  __proto__: null, value: "LoopbackDurableObjectClass", configurable: true,
});

function loopback(specialise) {
  return new Proxy(callable, new LoopbackState(specialise));
}

exports.loopback = loopback;
exports.loopbackClass = loopbackClass;
