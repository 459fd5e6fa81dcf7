"use strict";
// The Performance interface: its clock, and the marks and measures of user timing, which exist with
// `enable_global_performance_classes` only. https://w3c.github.io/hr-time/ https://w3c.github.io/user-timing/
//
// natives.performanceNow() -> milliseconds since timeOrigin (the Unix epoch); 0 without an I/O context.
const { TypeError } = primordials;
const { argumentError, defineInterface, illegalInvocation } = require("web/webidl");
const { EventTarget } = require("web/events");

const constructionToken = { __proto__: null };
const timeline = () => require("web/user-timing");

class Performance extends EventTarget {
  #brand;

  constructor(token) {
    if (token !== constructionToken) throw new TypeError("Illegal constructor");
    super();
  }

  get timeOrigin() {
    if (!(#brand in this)) throw illegalInvocation();
    return 0;
  }

  now() {
    if (!(#brand in this)) throw illegalInvocation();
    return natives.performanceNow();
  }

  mark(name, options = undefined) {
    if (!(#brand in this)) throw illegalInvocation();
    if (arguments.length === 0) throw argumentError("Performance", "mark", 1, "string");
    return timeline().mark(`${name}`, options);
  }

  measure(name, startOrOptions = undefined, endMark = undefined) {
    if (!(#brand in this)) throw illegalInvocation();
    if (arguments.length === 0) throw argumentError("Performance", "measure", 1, "string");
    return timeline().measure(`${name}`, startOrOptions, endMark);
  }

  clearMarks(name = undefined) {
    if (!(#brand in this)) throw illegalInvocation();
    timeline().clear("mark", name === undefined ? undefined : `${name}`);
  }

  clearMeasures(name = undefined) {
    if (!(#brand in this)) throw illegalInvocation();
    timeline().clear("measure", name === undefined ? undefined : `${name}`);
  }

  getEntries() {
    if (!(#brand in this)) throw illegalInvocation();
    return timeline().entries(undefined, undefined);
  }

  getEntriesByName(name, type = undefined) {
    if (!(#brand in this)) throw illegalInvocation();
    if (arguments.length === 0) throw argumentError("Performance", "getEntriesByName", 1, "string");
    return timeline().entries(`${name}`, type === undefined ? undefined : `${type}`);
  }

  getEntriesByType(type) {
    if (!(#brand in this)) throw illegalInvocation();
    if (arguments.length === 0) throw argumentError("Performance", "getEntriesByType", 1, "string");
    return timeline().entries(undefined, `${type}`);
  }

  // Requests leave no entries: there is nothing to clear, and no buffer that could be too small.
  clearResourceTimings() {
    if (!(#brand in this)) throw illegalInvocation();
  }

  setResourceTimingBufferSize(size) {
    if (!(#brand in this)) throw illegalInvocation();
    if (arguments.length === 0) throw argumentError("Performance", "setResourceTimingBufferSize", 1, "number");
    void +size;
  }

  toJSON() {
    if (!(#brand in this)) throw illegalInvocation();
    return { timeOrigin: 0 };
  }
}

if (!natives.hasFlag("enable_global_performance_classes")) {
  const timing = ["mark", "measure", "clearMarks", "clearMeasures", "getEntries", "getEntriesByName", "getEntriesByType",
    "clearResourceTimings", "setResourceTimingBufferSize", "toJSON"];
  for (let i = 0; i < timing.length; i++) primordials.ReflectDeleteProperty(Performance.prototype, timing[i]);
}
defineInterface(Performance, "Performance");

exports.Performance = Performance;
exports.performance = new Performance(constructionToken);
