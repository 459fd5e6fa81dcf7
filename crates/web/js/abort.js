"use strict";
// AbortController and AbortSignal. https://dom.spec.whatwg.org/#aborting-ongoing-activities
//
// natives.reportError(error) -> undefined; takes what an abort algorithm threw, must not throw.
// natives.hasFlag(name)      -> whether the compatibility flag is on.
// natives.signalOpen() -> handle of a link, natives.attach(handle) -> its index in the message that is being written, or
// undefined when it is gone; natives.signalFire(handle, reason); natives.signalListen(adopted handle, id): leads to
// remoteOutcome(id, aborted, reason).
// AbortSignal.timeout() uses web/timers, which throws without an I/O context.
const {
  ArrayIsArray,
  ArrayPrototypePush,
  SafeMap,
  SafeSet,
  SymbolIterator,
  TypeError,
} = primordials;
const { argumentError, defineInterface, illegalInvocation } = require("web/webidl");
const {
  Event,
  EventTarget,
  defineEventHandler,
  dispatchTrusted,
  hasListeners,
  observeListeners,
} = require("web/events");
const { DOMException } = require("web/dom-exception");
const clones = require("web/clone");
const { hold, onDrop } = require("web/context");

// AbortSignal has no public constructor; only this file knows the token.
const constructionToken = { __proto__: null };
// Counts aborts, so that a dependent signal that looks late still finds which source was first.
let abortCount = 0;
let signalAbort;
let dependOn;

// A signal made by any() is not known to its sources while nobody listens to it: it looks at them when asked.
// So a long-lived source does not collect a dependent for each request. Only while it has listeners or
// algorithms do the sources hold it.
class AbortSignal extends EventTarget {
  #aborted = false;
  #reason = undefined;
  #abortOrder = 0;
  // Both are sets, null while empty: each may become long, and what is in them leaves one by one.
  #algorithms = null;
  #dependents = null;
  #sources = null;
  #attached = false;
  #link = 0;
  // Whether a timer of this context will abort it.
  #timed = false;

  constructor(token) {
    if (token !== constructionToken) throw new TypeError("Illegal constructor");
    super();
  }

  get aborted() {
    if (!(#aborted in this)) throw illegalInvocation();
    return this.#isAborted();
  }

  get reason() {
    if (!(#aborted in this)) throw illegalInvocation();
    this.#isAborted();
    return this.#reason;
  }

  throwIfAborted() {
    if (!(#aborted in this)) throw illegalInvocation();
    if (this.#isAborted()) throw this.#reason;
  }

  static abort(reason = undefined) {
    const signal = new AbortSignal(constructionToken);
    signalAbort(signal, reason);
    return signal;
  }

  static timeout(milliseconds) {
    if (arguments.length === 0) throw argumentError("AbortSignal", "timeout", 1, "number");
    const delay = +milliseconds;
    const signal = new AbortSignal(constructionToken);
    signal.#timed = true;
    require("web/timers").startTimeout(abortWithTimeout, delay, signal);
    return signal;
  }

  static any(signals) {
    const isObject = (typeof signals === "object" && signals !== null) || typeof signals === "function";
    if (!isObject || signals[SymbolIterator] === undefined) {
      throw argumentError("AbortSignal", "any", 1, "Array");
    }
    const result = new AbortSignal(constructionToken);
    result.#sources = [];
    const seen = new SafeSet();
    let index = 0;
    // The sequence is the caller's: its own iterator decides.
    for (const signal of signals) {
      if (!exports.isAbortSignal(signal)) {
        throw new TypeError(
          `Incorrect type for array element ${index}: the provided value is not of type 'AbortSignal'.`,
        );
      }
      index++;
      dependOn(result, signal, seen);
    }
    if (!result.#aborted) observeListeners(result, (target) => target.#updateAttachment());
    return result;
  }

  #isAborted() {
    if (this.#aborted || this.#sources === null) return this.#aborted;
    let first = null;
    for (let i = 0; i < this.#sources.length; i++) {
      const source = this.#sources[i];
      if (source.#aborted && (first === null || source.#abortOrder < first.#abortOrder)) first = source;
    }
    if (first !== null) this.#settle(first.#reason, first.#abortOrder);
    return this.#aborted;
  }

  #settle(reason, order) {
    this.#aborted = true;
    this.#reason = reason;
    this.#abortOrder = order;
    this.#detach();
    this.#sources = null;
  }

  // `failed` is called with what listeners throw, where dispatching does not report that itself.
  #runAbortSteps(failed) {
    const algorithms = this.#algorithms;
    this.#algorithms = null;
    if (algorithms !== null) {
      algorithms.forEach((algorithm) => {
        try {
          algorithm(this.#reason);
        } catch (error) {
          natives.reportError(error);
        }
      });
    }
    if (!hasListeners(this, "abort")) return;
    try {
      dispatchTrusted(this, new Event("abort"));
    } catch (error) {
      failed(error);
    }
  }

  // Lets the sources hold this signal exactly while somebody waits for it.
  #updateAttachment() {
    if (this.#isAborted() || this.#sources === null) return;
    const wanted = (this.#algorithms !== null && this.#algorithms.size > 0) || hasListeners(this, "abort");
    if (!wanted) this.#detach();
    else if (!this.#attached) {
      this.#attached = true;
      for (let i = 0; i < this.#sources.length; i++) {
        const source = this.#sources[i];
        source.#dependents ??= new SafeSet();
        source.#dependents.add(this);
      }
    }
  }

  #detach() {
    if (!this.#attached) return;
    this.#attached = false;
    for (let i = 0; i < this.#sources.length; i++) {
      this.#sources[i].#dependents?.delete(this);
    }
  }

  static {
    exports.isAborted = (signal) => signal.#isAborted();
    exports.abortReason = (signal) => (signal.#isAborted() ? signal.#reason : undefined);
    exports.isAbortSignal = (value) => typeof value === "object" && value !== null && #aborted in value;

    // Only signals without sources of their own become sources, so that no chain has to be walked.
    // Each source once: signals made of the same ones would have twice as many each time.
    const addSource = (result, source, seen) => {
      if (seen.has(source)) return;
      seen.add(source);
      ArrayPrototypePush(result.#sources, source);
    };

    dependOn = (result, signal, seen) => {
      if (result.#aborted) return;
      if (signal.#isAborted()) result.#settle(signal.#reason, signal.#abortOrder);
      else if (signal.#sources === null) addSource(result, signal, seen);
      else for (let i = 0; i < signal.#sources.length; i++) addSource(result, signal.#sources[i], seen);
    };

    signalAbort = (signal, reason, failed = natives.reportError) => {
      if (signal.#isAborted()) return;
      const order = ++abortCount;
      if (reason === undefined) reason = new DOMException("The operation was aborted", "AbortError");
      signal.#settle(reason, order);
      const dependents = signal.#dependents;
      signal.#dependents = null;
      // All states first, then all steps: a listener must not see a dependent that is not aborted yet.
      const aborted = [signal];
      dependents?.forEach((dependent) => {
        if (dependent.#aborted) return;
        dependent.#settle(signal.#reason, order);
        ArrayPrototypePush(aborted, dependent);
      });
      for (let i = 0; i < aborted.length; i++) aborted[i].#runAbortSteps(failed);
    };

    exports.addAbortAlgorithm = (signal, algorithm) => {
      if (signal.#isAborted()) return;
      signal.#algorithms ??= new SafeSet();
      signal.#algorithms.add(algorithm);
      signal.#updateAttachment();
    };

    // The index, in the message that is being written, of what connects receivers to the signal.
    exports.attachLink = (signal) => {
      let index = signal.#link === 0 ? undefined : natives.attach(signal.#link);
      if (index === undefined) {
        // The first time, or the context that sent it before has ended.
        const link = natives.signalOpen();
        signal.#link = link;
        exports.addAbortAlgorithm(signal, (reason) => fire(link, reason));
        // The timer is this context's: it stays open until the signal has aborted.
        if (signal.#timed) exports.addAbortAlgorithm(signal, hold());
        index = natives.attach(link);
      }
      return index;
    };

    exports.removeAbortAlgorithm = (signal, algorithm) => {
      if (signal.#algorithms === null) return;
      signal.#algorithms.delete(algorithm);
      signal.#updateAttachment();
    };
  }
}

defineInterface(AbortSignal, "AbortSignal");
// A signal that is aborted already is a value: its reason. Any other stays connected, for as long as the sender's context
// lives; neither end keeps the other's context open.
clones.register(AbortSignal.prototype, {
  __proto__: null,
  kind: "AbortSignal",
  encode: (signal) => {
    if (!exports.isAbortSignal(signal)) throw clones.unsupported("AbortSignal");
    if (!natives.hasFlag("enable_abortsignal_rpc")) {
      throw clones.dataCloneError("AbortSignal serialization is not enabled.");
    }
    clones.requireCall("AbortSignal");
    if (exports.isAborted(signal)) return [true, exports.abortReason(signal)];
    return [false, exports.attachLink(signal)];
  },
  decode: (payload) => {
    clones.expect(ArrayIsArray(payload) && payload.length === 2 && typeof payload[0] === "boolean");
    const signal = exports.createAbortSignal();
    if (payload[0]) signalAbort(signal, payload[1]);
    else listenTo(signal, payload[1]);
    return signal;
  },
});

// Signals that came from elsewhere and may still abort: id -> { signal, context }.
const remote = new SafeMap();
let nextRemote = 0;

function listenTo(signal, index) {
  const link = natives.adoptSignal(index);
  const id = ++nextRemote;
  remote.set(id, { __proto__: null, signal, context: natives.currentContext() });
  natives.signalListen(link, id);
}

exports.remoteOutcome = (id, aborted, reason) => {
  const entry = remote.get(id);
  remote.delete(id);
  if (entry !== undefined && aborted) signalAbort(entry.signal, reason);
};

onDrop((context) => {
  remote.forEach((entry, id) => {
    if (entry.context === context) remote.delete(id);
  });
});
defineEventHandler(AbortSignal.prototype, "abort");

function fire(link, reason) {
  try {
    natives.signalFire(link, reason);
  } catch {
    // A reason that cannot be cloned stays here; the abort itself crosses.
    natives.signalFire(link, new DOMException("The operation was aborted", "AbortError"));
  }
}

function abortWithTimeout(signal) {
  signalAbort(signal, new DOMException("The operation was aborted due to timeout", "TimeoutError"));
}

class AbortController {
  #signal = new AbortSignal(constructionToken);

  get signal() {
    if (!(#signal in this)) throw illegalInvocation();
    return this.#signal;
  }

  abort(reason = undefined) {
    if (!(#signal in this)) throw illegalInvocation();
    let thrown;
    signalAbort(this.#signal, reason, (error) => {
      thrown ??= { __proto__: null, error };
    });
    if (thrown !== undefined) throw thrown.error;
  }
}

defineInterface(AbortController, "AbortController");

exports.AbortController = AbortController;
exports.AbortSignal = AbortSignal;
// For the runtime: a signal without a controller, and the way to abort it.
exports.createAbortSignal = () => new AbortSignal(constructionToken);
exports.signalAbort = signalAbort;
