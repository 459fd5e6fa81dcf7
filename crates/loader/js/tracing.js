"use strict";
// `tracing` of `cloudflare:workers` and `ctx`: spans of the guest's own. Nothing collects them: each says that it is not
// traced, and the functions run what they are given. https://developers.cloudflare.com/workers/observability/traces/

const { ReflectApply, TypeError } = primordials;
const { defineInterface } = require("web/webidl");

const internal = {};

class Span {
  constructor(token) {
    if (token !== internal) throw new TypeError("Illegal constructor");
  }
  get isTraced() {
    return false;
  }
  spanContext() {
    return { traceId: "00000000000000000000000000000000", spanId: "0000000000000000", traceFlags: 0 };
  }
  setAttribute() {
    return this;
  }
  setAttributes() {
    return this;
  }
  recordException() {}
  updateName() {
    return this;
  }
  setStatus() {
    return this;
  }
  end() {}
}
defineInterface(Span, "Span");

function run(name, fn, args) {
  if (typeof fn !== "function") {
    throw new TypeError(`Failed to execute '${name}' on 'Tracing': parameter 2 is not of type 'function'.`);
  }
  return ReflectApply(fn, undefined, args);
}

class Tracing {
  constructor(token) {
    if (token !== internal) throw new TypeError("Illegal constructor");
  }
  // (name, fn, ...args) -> what fn(span, ...args) gives
  enterSpan(name, fn, ...args) {
    const all = [new Span(internal)];
    for (let i = 0; i < args.length; i++) primordials.ArrayPrototypePush(all, args[i]);
    return run("enterSpan", fn, all);
  }
  startActiveSpan(name, options, fn) {
    return run("startActiveSpan", typeof options === "function" ? options : fn, [new Span(internal)]);
  }
  startSpan() {
    return new Span(internal);
  }
  getActiveSpan() {
    return new Span(internal);
  }
  withActiveSpan(span, fn, ...args) {
    return run("withActiveSpan", fn, args);
  }
  get Span() {
    return Span;
  }
}
defineInterface(Tracing, "Tracing");

exports.tracing = new Tracing(internal);
