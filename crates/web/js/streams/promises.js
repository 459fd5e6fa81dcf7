"use strict";
// The promise operations that the streams standard takes from Web IDL: capabilities, "mark as handled", and calling a
// callback whose result is a promise. https://webidl.spec.whatwg.org/#js-promise-manipulation

const { ObjectFreeze, Promise, PromisePrototypeThen, PromiseReject, PromiseResolve, ReflectApply } = primordials;

// First constructor argument of every class here that only the runtime may construct, or constructs differently.
const internal = ObjectFreeze({ __proto__: null });

const resolved = PromiseResolve(undefined);

// Class fields, not assignments in constructors, everywhere in the streams: an assignment to a property that does not exist
// yet would run a setter that a guest has put on Object.prototype.
class Deferred {
  promise = undefined;
  resolve = undefined;
  reject = undefined;
  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

function ignore() {}

function markHandled(promise) {
  PromisePrototypeThen(promise, undefined, ignore);
  return promise;
}

// A throw becomes a rejection, a missing callback does nothing.
function invoke(callback, self, ...args) {
  if (callback === undefined) return resolved;
  try {
    return PromiseResolve(ReflectApply(callback, self, args));
  } catch (error) {
    return PromiseReject(error);
  }
}

exports.Deferred = Deferred;
exports.ignore = ignore;
exports.internal = internal;
exports.invoke = invoke;
exports.markHandled = markHandled;
exports.resolved = resolved;
