"use strict";
// The Performance interface with its clock. https://w3c.github.io/hr-time/
// User timing (mark, measure, entries) is not part of it, as in Workers without compatibility flags.
//
// natives.performanceNow() -> milliseconds since timeOrigin (the Unix epoch); 0 without an I/O context.
const { TypeError } = primordials;
const { defineInterface, illegalInvocation } = require("web/webidl");
const { EventTarget } = require("web/events");

const constructionToken = { __proto__: null };

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

  toJSON() {
    if (!(#brand in this)) throw illegalInvocation();
    return { timeOrigin: 0 };
  }
}

defineInterface(Performance, "Performance");

exports.Performance = Performance;
exports.performance = new Performance(constructionToken);
