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

const constructionToken = { __proto__: null };

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

exports.setTimeout = setTimeout;
exports.setInterval = setInterval;
exports.clearTimeout = clearTimeout;
exports.clearInterval = clearInterval;
exports.fireTimer = fireTimer;
exports.dropContextTimers = dropContextTimers;
exports.Scheduler = Scheduler;
exports.scheduler = new Scheduler(constructionToken);
require("web/context").onDrop(exports.dropContextTimers);
