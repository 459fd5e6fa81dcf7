"use strict";
// setTimeout, setInterval, their clear functions and scheduler.wait(). A timer belongs to the I/O context that
// started it and ends with it. https://html.spec.whatwg.org/#timers
//
// natives.timerStart(delayMs, repeat) -> id (positive integer, never used twice in an isolate); throws without an
//                                        I/O context. The runtime then calls exports.fireTimer(id) in that context.
// natives.timerStop(id)               -> undefined; ignores an id that is gone.
// natives.currentContext()            -> id of the current I/O context, 0 without one.
// natives.requireContext()            -> the same, but throws without one.
// natives.reportError(error)          -> undefined; takes what a callback threw, must not throw.
const {
  MathMax,
  MathMin,
  MathTrunc,
  Promise,
  PromiseGuarded,
  ReflectApply,
  SafeMap,
  SafeSet,
  SymbolDispose,
  SymbolToPrimitive,
  TypeError,
  globalThis,
} = primordials;
const { argumentError, defineInterface, illegalInvocation } = require("web/webidl");

const maxActiveTimers = 10_000;
// 100 years, as Workers clamps it.
const maxDelayMs = 3_153_600_000_000;

// id -> { callback, args, repeat, context }
const timers = new SafeMap();
// I/O context -> SafeSet of the ids of its active timers.
const timersOfContext = new SafeMap();

function start(name, callback, delay, repeat, args) {
  if (typeof callback !== "function") throw argumentError("ServiceWorkerGlobalScope", name, 1, "function");
  // NaN counts as 0. An interval of 0 would occupy the isolate for good, so its least is 1.
  const delayMs = MathMin(MathMax(MathTrunc(+delay) || 0, repeat ? 1 : 0), maxDelayMs);
  const context = natives.requireContext();
  let ids = timersOfContext.get(context);
  if (ids === undefined) timersOfContext.set(context, (ids = new SafeSet()));
  if (ids.size >= maxActiveTimers) {
    const { DOMException } = require("web/dom-exception");
    throw new DOMException("You have exceeded the number of active timeouts you may set.", "QuotaExceededError");
  }
  const id = natives.timerStart(delayMs, repeat);
  timers.set(id, { __proto__: null, callback, args, repeat, context });
  ids.add(id);
  return id;
}

function forget(id, context) {
  timers.delete(id);
  const ids = timersOfContext.get(context);
  ids.delete(id);
  if (ids.size === 0) timersOfContext.delete(context);
}

function setTimeout(callback, delay = 0, ...args) {
  return start("setTimeout", callback, delay, false, args);
}

function setInterval(callback, delay = 0, ...args) {
  return start("setInterval", callback, delay, true, args);
}

// Only a timer of the current context: an id is a number that guest code can guess.
function stop(id) {
  const timer = timers.get(id);
  if (timer === undefined || timer.context !== natives.currentContext()) return;
  forget(id, timer.context);
  natives.timerStop(id);
}

function clearTimeout(id = undefined) {
  stop(+id);
}

function clearInterval(id = undefined) {
  stop(+id);
}

// ---- As in Node: objects in place of numbers -----------------------------------------------------------------------
// https://nodejs.org/api/timers.html

const constructionToken = { __proto__: null };

class Timeout {
  #id = 0;
  #callback;
  #delay;
  #repeat;
  #args;
  #isRef = true;

  constructor(token, name, callback, delay, repeat, args) {
    if (token !== constructionToken) throw new TypeError("Illegal constructor");
    this.#callback = callback;
    this.#delay = delay;
    this.#repeat = repeat;
    this.#args = args;
    this.#id = start(name, callback, delay, repeat, args);
  }

  // Begins anew, whether it was fired or cleared.
  refresh() {
    stop(this.#id);
    this.#id = start("setTimeout", this.#callback, this.#delay, this.#repeat, this.#args);
    return this;
  }

  // An invocation does not wait for timers, whatever these say.
  unref() {
    this.#isRef = false;
    return this;
  }

  ref() {
    this.#isRef = true;
    return this;
  }

  hasRef() {
    return this.#isRef;
  }

  close() {
    stop(this.#id);
    return this;
  }

  [SymbolToPrimitive]() {
    return this.#id;
  }

  [SymbolDispose]() {
    stop(this.#id);
  }

  static {
    exports.timeoutId = (value) => (typeof value === "object" && value !== null && #id in value ? value.#id : undefined);
  }
}
const { timeoutId } = exports;

class Immediate {
  #id;
  #isRef = true;

  constructor(token, callback, args) {
    if (token !== constructionToken) throw new TypeError("Illegal constructor");
    this.#id = start("setImmediate", callback, 0, false, args);
  }

  unref() {
    this.#isRef = false;
    return this;
  }

  ref() {
    this.#isRef = true;
    return this;
  }

  hasRef() {
    return this.#isRef;
  }

  [SymbolDispose]() {
    stop(this.#id);
  }

  static {
    exports.immediateId = (value) => (typeof value === "object" && value !== null && #id in value ? value.#id : undefined);
  }
}
const { immediateId } = exports;

function checkCallback(callback) {
  if (typeof callback === "function") return;
  const { codedTypeError, describeReceived } = require("web/node/assertion-error");
  const text = `The "callback" argument must be of type function. Received ${describeReceived(callback)}`;
  throw codedTypeError("ERR_INVALID_ARG_TYPE", text, checkCallback);
}

function nodeSetTimeout(callback, delay, ...args) {
  checkCallback(callback);
  return new Timeout(constructionToken, "setTimeout", callback, delay, false, args);
}

function nodeSetInterval(callback, delay, ...args) {
  checkCallback(callback);
  return new Timeout(constructionToken, "setInterval", callback, delay, true, args);
}

function nodeClear(timer) {
  if (typeof timer === "number") stop(timer);
  const id = timeoutId(timer);
  if (id !== undefined) stop(id);
}

function setImmediate(callback, ...args) {
  return new Immediate(constructionToken, callback, args);
}

function clearImmediate(immediate = undefined) {
  if (immediate === undefined || immediate === null) return;
  const id = immediateId(immediate);
  if (id === undefined) throw argumentError("ServiceWorkerGlobalScope", "clearImmediate", 1, "Immediate");
  stop(id);
}

// Called by the runtime, in the timer's context, when its time has come.
function fireTimer(id) {
  const timer = timers.get(id);
  if (timer === undefined) return;
  if (!timer.repeat) forget(id, timer.context);
  try {
    ReflectApply(timer.callback, globalThis, timer.args);
  } catch (error) {
    natives.reportError(error);
  }
}

// Called by the runtime when a context ends. The native timers of the context are the runtime's to stop.
function dropContextTimers(context) {
  const ids = timersOfContext.get(context);
  if (ids === undefined) return;
  timersOfContext.delete(context);
  ids.forEach((id) => timers.delete(id));
}

class Scheduler {
  #brand;

  constructor(token) {
    if (token !== constructionToken) throw new TypeError("Illegal constructor");
  }

  // Resolves after `delay` milliseconds, or rejects with the reason of `options.signal`.
  async wait(delay, options = undefined) {
    if (!(#brand in this)) throw illegalInvocation();
    if (arguments.length === 0) throw argumentError("Scheduler", "wait", 1, "number");
    const signal = options?.signal;
    // `await`, because returning a promise from an async function would look up its `then`.
    if (signal === undefined) {
      return await PromiseGuarded(new Promise((resolve) => start("wait", resolve, delay, false, [])));
    }
    const { abortReason, addAbortAlgorithm, isAborted, isAbortSignal, removeAbortAlgorithm } = require("web/abort");
    if (!isAbortSignal(signal)) {
      throw new TypeError(
        "Incorrect type for the 'signal' field on 'WaitOptions': the provided value is not of type 'AbortSignal'.",
      );
    }
    if (isAborted(signal)) throw abortReason(signal);
    const waited = new Promise((resolve, reject) => {
      const onAbort = (reason) => {
        stop(id);
        reject(reason);
      };
      const finish = () => {
        removeAbortAlgorithm(signal, onAbort);
        resolve();
      };
      const id = start("wait", finish, delay, false, []);
      addAbortAlgorithm(signal, onAbort);
    });
    return await PromiseGuarded(waited);
  }
}

defineInterface(Scheduler, "Scheduler");

// What the runtime's own scripts use, whatever guests see.
exports.startTimeout = setTimeout;

function named(name, fn) {
  primordials.ObjectDefineProperty(fn, "name", { __proto__: null, value: name, configurable: true });
  return fn;
}

if (natives.hasFlag("enable_nodejs_global_timers")) {
  exports.setTimeout = named("setTimeout", nodeSetTimeout);
  exports.setInterval = named("setInterval", nodeSetInterval);
  exports.clearTimeout = named("clearTimeout", (timer) => nodeClear(timer));
  exports.clearInterval = named("clearInterval", (timer) => nodeClear(timer));
} else {
  exports.setTimeout = setTimeout;
  exports.setInterval = setInterval;
  exports.clearTimeout = clearTimeout;
  exports.clearInterval = clearInterval;
}
exports.setImmediate = setImmediate;
exports.clearImmediate = clearImmediate;
exports.fireTimer = fireTimer;
exports.dropContextTimers = dropContextTimers;
exports.Scheduler = Scheduler;
exports.scheduler = new Scheduler(constructionToken);
require("web/context").onDrop(exports.dropContextTimers);
