"use strict";
// Event, EventTarget and the event interfaces that Workers have, without a tree: an event is dispatched at its
// target only. https://dom.spec.whatwg.org/#events
//
// natives.reportException(error) -> undefined; takes an exception that nobody caught, must not throw.
// natives.hasFlag(name) -> whether the compatibility flag is on.
const {
  ArrayPrototypePush,
  ArrayPrototypeSlice,
  ObjectDefineProperty,
  ObjectFreeze,
  PromiseResolve,
  ReflectApply,
  ReflectGetOwnPropertyDescriptor,
  SafeMap,
  StringPrototypeToWellFormed,
  TypeError,
  globalThis,
} = primordials;
const { argumentError, defineInterface, illegalInvocation } = require("web/webidl");

// Set by static blocks below, which alone can reach the private fields.
let dispatchTo;
let listenerList;
let changeListeners;

class Event {
  #type;
  #bubbles;
  #cancelable;
  #composed;
  #trusted = false;
  #canceled = false;
  #propagationStopped = false;
  #immediatelyStopped = false;
  #dispatching = false;
  #inPassiveListener = false;
  // preventDefault() was called, cancelable or not.
  #refused = false;
  #target = null;
  #currentTarget = null;

  constructor(type, init = undefined) {
    if (arguments.length === 0) throw argumentError("Event", "", 1, "string");
    this.#type = `${type}`;
    if (init !== undefined && init !== null && typeof init !== "object" && typeof init !== "function") {
      throw argumentError("Event", "", 2, "EventInit");
    }
    this.#bubbles = !!init?.bubbles;
    this.#cancelable = !!init?.cancelable;
    this.#composed = !!init?.composed;
  }

  get type() {
    return this.#type;
  }
  get bubbles() {
    return this.#bubbles;
  }
  get cancelable() {
    return this.#cancelable;
  }
  get composed() {
    return this.#composed;
  }
  get defaultPrevented() {
    return this.#canceled;
  }
  get eventPhase() {
    return this.#currentTarget === null ? 0 : 2;
  }
  get target() {
    return this.#target;
  }
  get srcElement() {
    return this.#target;
  }
  get currentTarget() {
    return this.#currentTarget;
  }
  // Workers give no time here: it would be a clock that runs without I/O.
  get timeStamp() {
    if (!(#type in this)) throw illegalInvocation();
    return 0;
  }
  get isTrusted() {
    return this.#trusted;
  }
  get returnValue() {
    return !this.#canceled;
  }
  set returnValue(value) {
    if (!value) this.#cancel();
  }
  get cancelBubble() {
    return this.#propagationStopped;
  }
  set cancelBubble(value) {
    if (value) this.#propagationStopped = true;
  }
  preventDefault() {
    this.#cancel();
  }
  stopPropagation() {
    this.#propagationStopped = true;
  }
  stopImmediatePropagation() {
    this.#propagationStopped = true;
    this.#immediatelyStopped = true;
  }
  composedPath() {
    return this.#currentTarget === null ? [] : [this.#currentTarget];
  }

  #cancel() {
    this.#refused = true;
    if (this.#cancelable && !this.#inPassiveListener) this.#canceled = true;
  }

  // One round over the listeners: "inner invoke" of the standard.
  #invoke(eventTarget, list, capture) {
    // A listener may add or remove others while we are here: walk over a copy.
    const snapshot = ArrayPrototypeSlice(list.items);
    for (let i = 0; i < snapshot.length && !this.#immediatelyStopped; i++) {
      const listener = snapshot[i];
      if (listener.removed || listener.capture !== capture) continue;
      // Removing a listener takes its callback off it.
      const { callback, isHandler } = listener;
      if (listener.once) changeListeners(eventTarget, this.#type, listener, false);
      this.#inPassiveListener = listener.passive;
      try {
        if (typeof callback === "function") {
          const result = ReflectApply(callback, this.#currentTarget, [this]);
          if (isHandler && result === false) this.#cancel();
        } else if (!isHandler) {
          callHandleEvent(callback, this);
        }
      } catch (error) {
        failed(error);
      }
      this.#inPassiveListener = false;
    }
  }

  // `onerror` and its like may be plain properties, which code sets on any target. They come before listeners.
  #callHandler(handler) {
    if (typeof handler !== "function") return;
    try {
      const result = ReflectApply(handler, this.#currentTarget, [this]);
      if (result === (this.#type === "error")) this.#cancel();
    } catch (error) {
      failed(error);
    }
  }

  #reset() {
    this.#currentTarget = null;
    this.#dispatching = false;
    this.#inPassiveListener = false;
    this.#propagationStopped = false;
    this.#immediatelyStopped = false;
  }

  static {
    exports.isEvent = (value) => typeof value === "object" && value !== null && #type in value;
    exports.isRefused = (event) => event.#refused;

    // The result is false when a listener called preventDefault(). `trusted` is for events of the runtime.
    dispatchTo = (event, eventTarget, publicTarget, trusted) => {
      if (event.#dispatching) {
        const { DOMException } = require("web/dom-exception");
        throw new DOMException("The event is already being dispatched.", "InvalidStateError");
      }
      event.#trusted = trusted;
      event.#dispatching = true;
      event.#target = publicTarget;
      event.#currentTarget = publicTarget;
      try {
        const list = listenerList(eventTarget, event.#type);
        if (handlerIn(list) === null) event.#callHandler(publicTarget[`on${event.#type}`]);
        if (list !== undefined) {
          if (!event.#propagationStopped) event.#invoke(eventTarget, list, true);
          if (!event.#propagationStopped) event.#invoke(eventTarget, list, false);
        }
      } finally {
        event.#reset();
      }
      return !event.#canceled;
    };
  }
}

defineInterface(Event, "Event", { __proto__: null, NONE: 0, CAPTURING_PHASE: 1, AT_TARGET: 2, BUBBLING_PHASE: 3 });

// What a listener threw. Before the flag, it ends the dispatch, and whoever dispatched the event gets it.
function failed(error) {
  if (!natives.hasFlag("spec_compliant_dispatch_exceptions")) throw error;
  natives.reportException(error);
}

// A callback interface: `handleEvent` is looked up at each call.
function callHandleEvent(callback, event) {
  const { handleEvent } = callback;
  if (typeof handleEvent !== "function") {
    throw new TypeError(
      "Incorrect type for the 'handleEvent' field on 'HandlerObject': the provided value is not of type 'function'.",
    );
  }
  ReflectApply(handleEvent, callback, [event]);
}

class EventTarget {
  // type -> its listeners: { items, live, handler, index }; made with the first one.
  #listeners = null;
  // Called as observer(target, type) when a listener was added or removed.
  #observer = null;

  addEventListener(type, callback, options = undefined) {
    const target = EventTarget.#receiver(this);
    const isListener = typeof callback === "function" || typeof callback === "object" || callback === undefined;
    if (arguments.length < 2 || !isListener) {
      throw argumentError("EventTarget", "addEventListener", 2, "function or HandlerObject");
    }
    type = `${type}`;
    const listener = listenerFromOptions(callback, options);
    const { signal } = listener;
    if (signal !== null && require("web/abort").isAborted(signal)) return;
    if (callback === undefined || callback === null) return;
    if (findListener(listenerList(target, type), callback, listener.capture) !== null) return;
    changeListeners(target, type, listener, true);
    if (signal !== null) {
      listener.abortAlgorithm = () => changeListeners(target, type, listener, false);
      require("web/abort").addAbortAlgorithm(signal, listener.abortAlgorithm);
    }
  }

  removeEventListener(type, callback, options = undefined) {
    const target = EventTarget.#receiver(this);
    if (arguments.length < 2) {
      throw argumentError("EventTarget", "removeEventListener", 2, "function or HandlerObject");
    }
    type = `${type}`;
    const isObject = (typeof options === "object" && options !== null) || typeof options === "function";
    const listener = findListener(listenerList(target, type), callback, isObject ? !!options.capture : !!options);
    if (listener !== null) changeListeners(target, type, listener, false);
  }

  dispatchEvent(event) {
    const target = EventTarget.#receiver(this);
    if (!exports.isEvent(event)) throw argumentError("EventTarget", "dispatchEvent", 1, "Event");
    return dispatchTo(event, target, target === globalEventTarget ? globalThis : target, false);
  }

  // The global object has no private fields: a hidden target keeps its listeners.
  static #receiver(self) {
    if (self === undefined || self === null || self === globalThis) return globalEventTarget;
    if (!(#listeners in self)) throw illegalInvocation();
    return self;
  }

  static {
    listenerList = (target, type) => (target.#listeners === null ? undefined : target.#listeners.get(type));

    changeListeners = (target, type, listener, add) => {
      if (add) {
        target.#listeners ??= new SafeMap();
        let list = target.#listeners.get(type);
        if (list === undefined) {
          list = { __proto__: null, items: [], live: 0, handler: null, index: null };
          target.#listeners.set(type, list);
        }
        addToList(list, listener);
      } else {
        if (listener.removed) return;
        const list = target.#listeners.get(type);
        removeFromList(list, listener);
        if (list.live === 0) target.#listeners.delete(type);
        if (listener.abortAlgorithm !== null) {
          require("web/abort").removeAbortAlgorithm(listener.signal, listener.abortAlgorithm);
        }
      }
      if (target.#observer !== null) target.#observer(target, type);
    };

    exports.observeListeners = (target, observer) => {
      target.#observer = observer;
    };
  }
}

defineInterface(EventTarget, "EventTarget");
const globalEventTarget = new EventTarget();

// Reads AddEventListenerOptions. `isHandler` marks an `onabort`-like attribute.
function listenerFromOptions(callback, options) {
  const listener = {
    __proto__: null,
    callback,
    capture: false,
    once: false,
    passive: false,
    isHandler: false,
    removed: false,
    signal: null,
    abortAlgorithm: null,
  };
  if ((typeof options !== "object" || options === null) && typeof options !== "function") {
    listener.capture = !!options;
    return listener;
  }
  listener.capture = !!options.capture;
  listener.once = !!options.once;
  listener.passive = !!options.passive;
  const { signal } = options;
  if (signal !== undefined) {
    if (!require("web/abort").isAbortSignal(signal)) {
      throw new TypeError(
        "Incorrect type for the 'signal' field on 'AddEventListenerOptions': the provided value is not of type " +
          "'AbortSignal'.",
      );
    }
    listener.signal = signal;
  }
  return listener;
}

// The listeners of one type: `items` holds them in the order in which they were added, among them removed ones, at most
// as many as `live` ones. A long list has an `index`: for bubbling and capturing listeners, callback -> listener.
const longList = 16;

function addToList(list, listener) {
  ArrayPrototypePush(list.items, listener);
  list.live++;
  if (listener.isHandler) list.handler = listener;
  else if (list.index !== null) addToIndex(list.index, listener);
  else if (list.live > longList) {
    list.index = { __proto__: null, bubbling: new SafeMap(), capturing: new SafeMap() };
    for (let i = 0; i < list.items.length; i++) addToIndex(list.index, list.items[i]);
  }
}

function addToIndex(index, listener) {
  if (listener.removed || listener.isHandler) return;
  (listener.capture ? index.capturing : index.bubbling).set(listener.callback, listener);
}

function removeFromList(list, listener) {
  const { items } = list;
  if (listener.isHandler) list.handler = null;
  else if (list.index !== null) (listener.capture ? list.index.capturing : list.index.bubbling).delete(listener.callback);
  listener.removed = true;
  listener.callback = null;
  list.live--;
  if (list.live * 2 > items.length) return;
  // No splice(): it asks the array's `constructor`, which guest code can replace.
  let kept = 0;
  for (let i = 0; i < items.length; i++) if (!items[i].removed) items[kept++] = items[i];
  items.length = kept;
}

function findListener(list, callback, capture) {
  if (list === undefined || callback === null) return null;
  if (list.index !== null) return (capture ? list.index.capturing : list.index.bubbling).get(callback) ?? null;
  for (let i = 0; i < list.items.length; i++) {
    const listener = list.items[i];
    if (listener.callback === callback && listener.capture === capture && !listener.isHandler) return listener;
  }
  return null;
}

const handlerIn = (list) => (list === undefined ? null : list.handler);

// Defines the event handler IDL attribute `on<type>`: https://html.spec.whatwg.org/#event-handler-idl-attributes
function defineEventHandler(prototype, type) {
  ObjectDefineProperty(prototype, `on${type}`, {
    __proto__: null,
    get() {
      return handlerIn(listenerList(this, type))?.callback ?? null;
    },
    set(value) {
      const callable = typeof value === "function" || (typeof value === "object" && value !== null);
      const listener = handlerIn(listenerList(this, type));
      if (!callable) {
        if (listener !== null) changeListeners(this, type, listener, false);
      } else if (listener !== null) {
        listener.callback = value;
      } else {
        const added = listenerFromOptions(value, undefined);
        added.isHandler = true;
        changeListeners(this, type, added, true);
      }
    },
    enumerable: true,
    configurable: true,
  });
}

const converters = {
  __proto__: null,
  any: (value) => value,
  boolean: (value) => !!value,
  DOMString: (value) => `${value}`,
  USVString: (value) => StringPrototypeToWellFormed(`${value}`),
  "unsigned short": (value) => value & 0xffff,
  "unsigned long": (value) => value >>> 0,
};

// Makes an event interface whose attributes only repeat the members of its init dictionary.
// `attributes` is a list of [name, Web IDL type, default]; a default of `required` has none.
const required = { __proto__: null };
function defineEventInterface(name, attributes) {
  const Class = {
    [name]: class extends Event {
      #values = { __proto__: null };

      constructor(type, init = undefined) {
        if (arguments.length === 0) throw argumentError(name, "", 1, "string");
        super(type, init);
        for (let i = 0; i < attributes.length; i++) {
          const attribute = attributes[i][0];
          const given = init?.[attribute];
          if (given === undefined && attributes[i][2] === required) {
            throw new TypeError(`Failed to construct '${name}': the '${attribute}' field of parameter 2 is required.`);
          }
          this.#values[attribute] = given === undefined ? attributes[i][2] : converters[attributes[i][1]](given);
        }
      }

      static {
        for (let i = 0; i < attributes.length; i++) {
          const attribute = attributes[i][0];
          const accessor = {
            __proto__: null,
            get [attribute]() {
              if (!(#values in this)) throw illegalInvocation();
              return this.#values[attribute];
            },
          };
          ObjectDefineProperty(this.prototype, attribute, {
            __proto__: null,
            get: ReflectGetOwnPropertyDescriptor(accessor, attribute).get,
            enumerable: true,
            configurable: true,
          });
        }
      }
    },
  }[name];
  defineInterface(Class, name);
  return Class;
}

class ExtendableEvent extends Event {
  #waitUntil;

  // Only the runtime makes these: `waitUntil(promise)` keeps the invocation alive until the promise settles.
  constructor(type, init, waitUntil) {
    if (typeof waitUntil !== "function") throw new TypeError("Illegal constructor");
    super(type, init);
    this.#waitUntil = waitUntil;
  }

  waitUntil(promise) {
    if (!(#waitUntil in this)) throw illegalInvocation();
    if (arguments.length === 0) throw argumentError("ExtendableEvent", "waitUntil", 1, "Promise");
    const waitUntil = this.#waitUntil;
    waitUntil(PromiseResolve(promise));
  }
}

defineInterface(ExtendableEvent, "ExtendableEvent");

const CustomEvent = defineEventInterface("CustomEvent", [["detail", "any", null]]);
const ErrorEvent = defineEventInterface("ErrorEvent", [
  ["message", "DOMString", ""],
  ["filename", "USVString", ""],
  ["lineno", "unsigned long", 0],
  ["colno", "unsigned long", 0],
  ["error", "any", undefined],
]);
const MessageEvent = defineEventInterface("MessageEvent", [
  ["data", "any", null],
  ["origin", "USVString", ""],
  ["lastEventId", "DOMString", ""],
  ["source", "any", null],
  ["ports", "any", ObjectFreeze([])],
]);
const CloseEvent = defineEventInterface("CloseEvent", [
  ["wasClean", "boolean", false],
  ["code", "unsigned short", 0],
  ["reason", "USVString", ""],
]);
const PromiseRejectionEvent = defineEventInterface("PromiseRejectionEvent", [
  ["promise", "any", required],
  ["reason", "any", undefined],
]);

exports.Event = Event;
exports.EventTarget = EventTarget;
exports.CustomEvent = CustomEvent;
exports.ErrorEvent = ErrorEvent;
exports.MessageEvent = MessageEvent;
exports.CloseEvent = CloseEvent;
exports.PromiseRejectionEvent = PromiseRejectionEvent;
exports.ExtendableEvent = ExtendableEvent;
exports.defineEventHandler = defineEventHandler;
exports.globalEventTarget = globalEventTarget;
// Called without `this`, or on the global object, they mean the global object's own listeners.
exports.addEventListener = EventTarget.prototype.addEventListener;
exports.removeEventListener = EventTarget.prototype.removeEventListener;
exports.dispatchEvent = EventTarget.prototype.dispatchEvent;
exports.listensToGlobal = (type) =>
  listenerList(globalEventTarget, type) !== undefined || typeof globalThis[`on${type}`] === "function";
exports.hasListeners = (target, type) => listenerList(target, type) !== undefined;
// Dispatches an event of the runtime's own (isTrusted is true); false when a listener cancelled it.
exports.dispatchTrusted = (target, event) =>
  dispatchTo(event, target, target === globalEventTarget ? globalThis : target, true);
