"use strict";
// Events that tell the global scope of errors: https://html.spec.whatwg.org/#runtime-script-errors-2 and
// https://html.spec.whatwg.org/#unhandled-promise-rejections. As in the reference they are not cancelable, and
// preventDefault() keeps them out of logs and tails all the same.
//
// natives.reportError(error) -> undefined; takes what a listener threw, must not throw.

const { SafeWeakSet } = primordials;
const {
  ErrorEvent, PromiseRejectionEvent, dispatchTrusted, globalEventTarget, isRefused, listensToGlobal,
} = require("web/events");

// -> whether a listener called preventDefault().
function dispatch(event) {
  try {
    dispatchTrusted(globalEventTarget, event);
  } catch (error) {
    natives.reportError(error);
  }
  return isRefused(event);
}

exports.error = (error, message, filename, lineno, colno) =>
  dispatch(new ErrorEvent("error", { __proto__: null, message, filename, lineno, colno, error }));

// Promises that listeners were told of.
const unhandled = new SafeWeakSet();

exports.unhandledRejection = (promise, reason) => {
  if (!listensToGlobal("unhandledrejection")) return false;
  unhandled.add(promise);
  return dispatch(new PromiseRejectionEvent("unhandledrejection", { __proto__: null, promise, reason }));
};

exports.rejectionHandled = (promise) => {
  if (!unhandled.delete(promise)) return;
  dispatch(new PromiseRejectionEvent("rejectionhandled", { __proto__: null, promise, reason: undefined }));
};
