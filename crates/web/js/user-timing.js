"use strict";
// Marks and measures, the entries that a Worker makes of its own, and observers of them.
// https://w3c.github.io/user-timing/ https://w3c.github.io/performance-timeline/
const { ArrayPrototypePush, MathMax, PromisePrototypeThen, PromiseResolve, ReflectApply, SafeSet, TypeError } = primordials;
const { argumentError, defineInterface, illegalInvocation } = require("web/webidl");

// Entries that are kept: of more, the oldest go. They live as long as the Worker, whoever forgets to clear them.
const MAX_ENTRIES = 10_000;

const constructionToken = { __proto__: null };
let kept = [];
const observers = new SafeSet();

class PerformanceEntry {
  #name;
  #type;
  #start;
  #duration;

  constructor(token, name, type, start, duration) {
    if (token !== constructionToken) throw new TypeError("Illegal constructor");
    this.#name = name;
    this.#type = type;
    this.#start = start;
    this.#duration = duration;
  }

  get name() {
    if (!(#name in this)) throw illegalInvocation();
    return this.#name;
  }

  get entryType() {
    if (!(#name in this)) throw illegalInvocation();
    return this.#type;
  }

  get startTime() {
    if (!(#name in this)) throw illegalInvocation();
    return this.#start;
  }

  get duration() {
    if (!(#name in this)) throw illegalInvocation();
    return this.#duration;
  }

  toJSON() {
    if (!(#name in this)) throw illegalInvocation();
    const json = { name: this.#name, entryType: this.#type, startTime: this.#start, duration: this.#duration };
    const detail = detailOf(this);
    if (detail !== undefined && detail !== null) require("web/clone").define(json, "detail", detail);
    return json;
  }

  static {
    exports.nameOf = (entry) => entry.#name;
    exports.typeOf = (entry) => entry.#type;
    exports.startOf = (entry) => entry.#start;
  }
}
const { nameOf, typeOf, startOf } = exports;

class PerformanceMark extends PerformanceEntry {
  #detail;

  constructor(name, options = undefined) {
    if (arguments.length === 0) throw argumentError("PerformanceMark", "", 1, "string");
    const given = dictionary(options, "PerformanceMarkOptions");
    const start = given.startTime;
    super(constructionToken, `${name}`, "mark", start === undefined ? natives.performanceNow() : +start, 0);
    this.#detail = given.detail ?? null;
  }

  get detail() {
    if (!(#detail in this)) throw illegalInvocation();
    return this.#detail;
  }

  static {
    exports.markDetail = (entry) => (#detail in entry ? entry.#detail : undefined);
  }
}

class PerformanceMeasure extends PerformanceEntry {
  #detail;

  constructor(token, name, start, duration, detail) {
    super(token, name, "measure", start, duration);
    this.#detail = detail;
  }

  get detail() {
    if (!(#detail in this)) throw illegalInvocation();
    return this.#detail;
  }

  static {
    exports.measureDetail = (entry) => (#detail in entry ? entry.#detail : undefined);
  }
}

function detailOf(entry) {
  const detail = exports.markDetail(entry);
  return detail === undefined ? exports.measureDetail(entry) : detail;
}

function dictionary(options, name) {
  if (options === undefined || options === null) return { __proto__: null };
  if (typeof options !== "object" && typeof options !== "function") {
    throw new TypeError(`Incorrect type: the provided value is not of type '${name}'.`);
  }
  return options;
}

function add(entry) {
  if (kept.length >= MAX_ENTRIES) {
    // A tenth at a time: moving all of them for each new one would take long.
    const rest = [];
    for (let i = MAX_ENTRIES / 10; i < kept.length; i++) ArrayPrototypePush(rest, kept[i]);
    kept = rest;
  }
  ArrayPrototypePush(kept, entry);
  observers.forEach((observer) => observe(observer, entry));
  return entry;
}

exports.mark = (name, options) => add(new PerformanceMark(name, options));

// A name, and no time: the last mark of that name, as the reference has it without an error where there is none.
function timeOf(value) {
  if (typeof value === "number") return value;
  const name = `${value}`;
  for (let i = kept.length - 1; i >= 0; i--) {
    if (typeOf(kept[i]) === "mark" && nameOf(kept[i]) === name) return startOf(kept[i]);
  }
  return undefined;
}

exports.measure = (name, startOrOptions, endMark) => {
  const hasOptions = typeof startOrOptions === "object" && startOrOptions !== null;
  const options = hasOptions ? startOrOptions : { __proto__: null, start: startOrOptions };
  const { detail, duration } = options;
  const from = options.start;
  const to = endMark ?? options.end;
  let start = from === undefined ? undefined : timeOf(from);
  let end = to === undefined ? undefined : timeOf(to);
  if (end === undefined && start !== undefined && duration !== undefined) end = start + +duration;
  if (end === undefined) end = natives.performanceNow();
  if (start === undefined) start = to !== undefined && duration !== undefined ? end - +duration : 0;
  return add(new PerformanceMeasure(constructionToken, name, start, MathMax(end - start, 0), detail ?? null));
};

exports.clear = (type, name) => {
  const rest = [];
  for (let i = 0; i < kept.length; i++) {
    const goes = typeOf(kept[i]) === type && (name === undefined || nameOf(kept[i]) === name);
    if (!goes) ArrayPrototypePush(rest, kept[i]);
  }
  kept = rest;
};

exports.entries = (name, type) => select(kept, name, type);

function select(entries, name, type) {
  const found = [];
  for (let i = 0; i < entries.length; i++) {
    const fits = (name === undefined || nameOf(entries[i]) === name) && (type === undefined || typeOf(entries[i]) === type);
    if (fits) ArrayPrototypePush(found, entries[i]);
  }
  return found;
}

// ---- Observers ---------------------------------------------------------------------------------------------------

// What an observer has not seen yet, and what it wants to see.
class Observation {
  observer;
  callback;
  types = new SafeSet();
  waiting = [];
  isDue = false;
  constructor(observer, callback) {
    this.observer = observer;
    this.callback = callback;
  }
}

function observe(observation, entry) {
  if (!observation.types.has(typeOf(entry)) || observation.waiting.length >= MAX_ENTRIES) return;
  ArrayPrototypePush(observation.waiting, entry);
  if (observation.isDue) return;
  observation.isDue = true;
  PromisePrototypeThen(PromiseResolve(), () => deliver(observation));
}

function deliver(observation) {
  observation.isDue = false;
  const { observer, callback, waiting } = observation;
  if (waiting.length === 0) return;
  observation.waiting = [];
  try {
    ReflectApply(callback, observer, [new PerformanceObserverEntryList(constructionToken, waiting), observer]);
  } catch (error) {
    natives.reportError(error);
  }
}

class PerformanceObserverEntryList {
  #entries;

  constructor(token, entries) {
    if (token !== constructionToken) throw new TypeError("Illegal constructor");
    this.#entries = entries;
  }

  getEntries() {
    if (!(#entries in this)) throw illegalInvocation();
    return select(this.#entries, undefined, undefined);
  }

  getEntriesByName(name, type = undefined) {
    if (!(#entries in this)) throw illegalInvocation();
    if (arguments.length === 0) throw argumentError("PerformanceObserverEntryList", "getEntriesByName", 1, "string");
    return select(this.#entries, `${name}`, type === undefined ? undefined : `${type}`);
  }

  getEntriesByType(type) {
    if (!(#entries in this)) throw illegalInvocation();
    if (arguments.length === 0) throw argumentError("PerformanceObserverEntryList", "getEntriesByType", 1, "string");
    return select(this.#entries, undefined, `${type}`);
  }
}

class PerformanceObserver {
  #observation;

  constructor(callback) {
    if (typeof callback !== "function") throw argumentError("PerformanceObserver", "", 1, "Value");
    this.#observation = new Observation(this, callback);
  }

  static get supportedEntryTypes() {
    return ["measure", "mark"];
  }

  observe(options = undefined) {
    if (!(#observation in this)) throw illegalInvocation();
    const { entryTypes, type, buffered } = dictionary(options, "PerformanceObserverInit");
    const { types } = this.#observation;
    if (type !== undefined) {
      types.add(`${type}`);
    } else if (entryTypes !== undefined) {
      types.clear();
      // The sequence is the caller's: its own iterator decides.
      for (const entryType of entryTypes) types.add(`${entryType}`);
    }
    observers.add(this.#observation);
    if (type === undefined || !buffered) return;
    for (let i = 0; i < kept.length; i++) if (typeOf(kept[i]) === type) observe(this.#observation, kept[i]);
  }

  disconnect() {
    if (!(#observation in this)) throw illegalInvocation();
    observers.delete(this.#observation);
    this.#observation.types.clear();
    this.#observation.waiting = [];
  }

  takeRecords() {
    if (!(#observation in this)) throw illegalInvocation();
    const { waiting } = this.#observation;
    this.#observation.waiting = [];
    return waiting;
  }
}

// Requests leave no entries; the class is there for those that ask whether an entry is one.
class PerformanceResourceTiming extends PerformanceEntry {
  constructor() {
    super(undefined);
  }
}

defineInterface(PerformanceEntry, "PerformanceEntry");
defineInterface(PerformanceMark, "PerformanceMark");
defineInterface(PerformanceMeasure, "PerformanceMeasure");
defineInterface(PerformanceResourceTiming, "PerformanceResourceTiming");
defineInterface(PerformanceObserver, "PerformanceObserver");
defineInterface(PerformanceObserverEntryList, "PerformanceObserverEntryList");

exports.PerformanceEntry = PerformanceEntry;
exports.PerformanceMark = PerformanceMark;
exports.PerformanceMeasure = PerformanceMeasure;
exports.PerformanceResourceTiming = PerformanceResourceTiming;
exports.PerformanceObserver = PerformanceObserver;
exports.PerformanceObserverEntryList = PerformanceObserverEntryList;
