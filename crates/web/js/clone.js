"use strict";
// Host objects in structured clone: each class that can cross registers a codec here, which turns an object into a
// plain descriptor [kind, payload] and back. Errors have a form of their own, without the sender's stack.
// https://html.spec.whatwg.org/#structuredserializeinternal

const {
  Array, ArrayIsArray, ArrayPrototypePush, Error, EvalError, FunctionPrototypeToString, MapPrototypeForEach,
  ObjectDefineProperty, ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf, ObjectKeys, RangeError, ReferenceError,
  SafeMap, SetPrototypeForEach, String, SyntaxError, TypeError, URIError, Map, Set,
} = primordials;
const objectPrototype = ObjectGetPrototypeOf({});

// Codecs by the prototype of the class, and by kind on the other side.
const byPrototype = new SafeMap();
const byKind = new SafeMap();

// codec: { kind, encode(object) -> payload, decode(payload) -> object }. Scripts that are not in the snapshot register
// when they are loaded: `owner` says which script a kind on the wire needs.
function register(prototype, codec) {
  byPrototype.set(prototype, codec);
  byKind.set(codec.kind, codec);
}
const owners = { __proto__: null, Headers: "web/headers", Request: "web/request", Response: "web/response",
  Blob: "web/blob", File: "web/blob", ReadableStream: "web/streams/readable",
  WritableStream: "web/streams/writable", AbortSignal: "web/abort", DOMException: "web/dom-exception" };

// What V8 cannot hold in a value and a codec replaces: functions and proxies. Set by the RPC layer; without it they
// cannot be cloned. (value) -> [kind, payload] or undefined.
let encodeExotic = () => undefined;
exports.setExoticEncoder = (encoder) => {
  encodeExotic = encoder;
};
// (class instance without codec) -> [kind, payload] or undefined.
let encodeInstance = () => undefined;
exports.setInstanceEncoder = (encoder) => {
  encodeInstance = encoder;
};

// Whether the value goes out with a call: only there may streams cross. Set by the RPC layer.
let inCall = () => false;
exports.setCallCheck = (check) => {
  inCall = check;
};
// Whether errors cross with their own properties.
function carriesErrors() {
  return inMessage() && natives.hasFlag("enhanced_error_serialization");
}
// Whether the value goes to another Worker, in a call or as its env. Set by the RPC layer.
let inMessage = () => false;
exports.setMessageCheck = (check) => {
  inMessage = check;
};
exports.requireCall = (kind) => {
  if (!inCall()) throw dataCloneError(`${kind} can only be serialized for RPC.`);
};
// For codecs, within a call: lets the receiver call a function of the runtime. -> its index in the message
exports.exportFunction = (fn) => encodeExotic(fn)[1];

const standIns = new primordials.SafeWeakMap();

function dataCloneError(message) {
  const { DOMException } = require("web/dom-exception");
  return new DOMException(message, "DataCloneError");
}
exports.dataCloneError = dataCloneError;
// For codecs that read: bytes need not be what a codec wrote. What does not have its shape is no message.
function expect(holds) {
  if (!holds) throw dataCloneError("Unable to deserialize cloned data.");
}
exports.expect = expect;
exports.expectTexts = (list) => {
  expect(ArrayIsArray(list));
  for (let i = 0; i < list.length; i++) expect(typeof list[i] === "string");
};

function typeName(object) {
  try {
    const { constructor } = object;
    if (typeof constructor === "function") {
      const descriptor = ObjectGetOwnPropertyDescriptor(constructor, "name");
      if (descriptor !== undefined && typeof descriptor.value === "string" && descriptor.value !== "") {
        return descriptor.value;
      }
    }
  } catch {
    // A hostile getter: the object stays nameless.
  }
  return "Object";
}

function unsupported(name) {
  return dataCloneError(`Could not serialize object of type "${name}". This type does not support serialization.`);
}
exports.unsupported = unsupported;

// Prototypes of the runtime's own classes: what they make is more than its properties.
const interfaces = new primordials.SafeWeakSet();
exports.registerInterface = (prototype) => interfaces.add(prototype);

// In structuredClone(), whether `object` is more than a plain object with a prototype that gets lost.
exports.isHost = (object) => {
  if (standIns.has(object)) return true;
  let prototype = ObjectGetPrototypeOf(object);
  for (; prototype !== null; prototype = ObjectGetPrototypeOf(prototype)) {
    if (byPrototype.get(prototype) !== undefined || interfaces.has(prototype)) return true;
  }
  return false;
};

// Called for every object that is not plain, while a value is written.
exports.encodeHost = (object) => {
  const exotic = standIns.get(object);
  if (exotic !== undefined) return encodeStandIn(exotic);
  let prototype = ObjectGetPrototypeOf(object);
  while (prototype !== null) {
    const codec = byPrototype.get(prototype);
    if (codec !== undefined) return [codec.kind, codec.encode(object)];
    prototype = ObjectGetPrototypeOf(prototype);
  }
  const descriptor = encodeInstance(object);
  if (descriptor !== undefined) return descriptor;
  throw unsupported(typeName(object));
};

exports.decodeHost = (descriptor) => {
  expect(ArrayIsArray(descriptor) && descriptor.length === 2);
  const kind = descriptor[0];
  let codec = byKind.get(kind);
  if (codec === undefined && typeof kind === "string" && kind in owners) {
    require(owners[kind]);
    codec = byKind.get(kind);
  }
  expect(codec !== undefined);
  return codec.decode(descriptor[1]);
};
exports.register = register;

// A copy of `value` in which functions and proxies are replaced by stand-ins. Follows what V8 itself would enumerate;
// objects that V8 hands to `encodeHost` anyway are kept as they are.
exports.prepare = (value) => {
  standInsMade = 0;
  return copy(value, new SafeMap());
};

// As many as a message can carry (MAX_CAPABILITIES in isolate/src/values.rs): more are refused before the rest of a
// huge value is copied.
const MAX_STAND_INS = 10_000;
let standInsMade = 0;

function copy(value, seen) {
  if (typeof value !== "function" && (typeof value !== "object" || value === null)) return value;
  const known = seen.get(value);
  if (known !== undefined) return known;
  const kind = typeof value === "function" ? "Function" : natives.valueKind(value);
  if (kind === "Function" || kind === "Proxy") return keep(seen, value, standIn(value));
  if (kind === "NativeError" && carriesErrors()) return keep(seen, value, standIn(value));
  if (ArrayIsArray(value)) return copyArray(value, seen);
  if (kind === "Map") return copyMap(value, seen);
  if (kind === "Set") return copySet(value, seen);
  if (kind === "" && ObjectGetPrototypeOf(value) === objectPrototype) return copyObject(value, seen);
  return value;
}

function keep(seen, value, result) {
  seen.set(value, result);
  return result;
}

// Encoded only when it is written: what it attaches belongs to the message under way then.
function standIn(value) {
  if (++standInsMade > MAX_STAND_INS) {
    throw dataCloneError(
      `A message can carry at most ${MAX_STAND_INS} functions, stubs and streams; this one has more of them.`,
    );
  }
  const object = natives.newStandIn();
  standIns.set(object, value);
  return object;
}

function encodeStandIn(value) {
  if (natives.valueKind(value) === "NativeError") return ["Error", encodeError(value, 0, true)];
  const descriptor = encodeExotic(value);
  if (descriptor !== undefined) return descriptor;
  throw dataCloneError(
    typeof value === "function" ? `${FunctionPrototypeToString(value)} could not be cloned.` : "#<Object> could not be cloned.",
  );
}

function copyObject(value, seen) {
  const result = keep(seen, value, {});
  const keys = ObjectKeys(value);
  for (let i = 0; i < keys.length; i++) define(result, keys[i], copy(value[keys[i]], seen));
  return result;
}

function copyArray(value, seen) {
  const result = keep(seen, value, new Array(value.length));
  const keys = ObjectKeys(value);
  for (let i = 0; i < keys.length; i++) define(result, keys[i], copy(value[keys[i]], seen));
  return result;
}

function copyMap(value, seen) {
  const result = keep(seen, value, new Map());
  const entries = [];
  MapPrototypeForEach(value, (item, key) => ArrayPrototypePush(entries, key, item));
  for (let i = 0; i < entries.length; i += 2) {
    primordials.MapPrototypeSet(result, copy(entries[i], seen), copy(entries[i + 1], seen));
  }
  return result;
}

function copySet(value, seen) {
  const result = keep(seen, value, new Set());
  const entries = [];
  SetPrototypeForEach(value, (item) => ArrayPrototypePush(entries, item));
  for (let i = 0; i < entries.length; i++) primordials.SetPrototypeAdd(result, copy(entries[i], seen));
  return result;
}

function define(target, key, value) {
  ObjectDefineProperty(target, key, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
}

// ---- Errors ----------------------------------------------------------------------------------------------------

const classes = { __proto__: null, Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError,
  AggregateError: primordials.AggregateError };
// Standard names too, of classes that are not there yet when this script runs: an Error with the name stands for them.
const otherErrors = { __proto__: null, CompileError: 1, LinkError: 1, RuntimeError: 1, SuppressedError: 1 };

function newError(name, message) {
  if (name !== "AggregateError") return new (classes[name] ?? Error)(message);
  const error = new classes.AggregateError([], message);
  // Comes with the details, where they come at all.
  primordials.ReflectDeleteProperty(error, "errors");
  return error;
}

// Names and messages of errors cross up to this length.
const MAX_ERROR_TEXT = 65_536;

function ownText(error, key) {
  try {
    const value = error[key];
    return value === undefined ? undefined : primordials.StringPrototypeSlice(`${value}`, 0, MAX_ERROR_TEXT);
  } catch {
    return undefined;
  }
}

// -> [name, message, isDOMException, details or undefined]. Never throws. Details: { thrown } when a plain object was
// thrown, or { own: [key, value, ...], nested: [key, error or list, ...] }: own properties beyond name, message and stack,
// and the errors that an error refers to, each without its stack. Without `enhanced_error_serialization` there are none,
// and a name of the guest's own is a part of the message.
exports.encodeError = (error) => encodeError(error, 0, false);

const MAX_CAUSES = 32;

// `whole`: what cannot cross is not left out, but refused.
function encodeError(error, depth, whole) {
  const enhanced = natives.hasFlag("enhanced_error_serialization");
  if ((typeof error !== "object" && typeof error !== "function") || error === null) return described(String(error));
  const kind = natives.valueKind(error);
  const native = kind === "NativeError";
  if (!native && (kind === "Proxy" || !isDOMException(error))) {
    const plain = enhanced && typeof error === "object" && isPlainObject(error);
    return described(textOf(error), plain ? { thrown: error } : undefined);
  }
  const message = ownText(error, "message") ?? "";
  if (!native) return [ownText(error, "name") ?? "Error", message, true, enhanced ? details(error, depth, whole) : undefined];
  if (enhanced) return [ownText(error, "name") ?? "Error", message, false, details(error, depth, whole)];
  const name = plainName(error);
  if (name in classes || name in otherErrors) return [name, message, false, undefined];
  return described(name === "" || message === "" ? `${name}${message}` : `${name}: ${message}`);
}

function described(text, more = undefined) {
  return ["Error", text, false, more];
}

// What is thrown and no error, as text, without asking it.
function textOf(value) {
  if (typeof value === "function") return FunctionPrototypeToString(value);
  if (natives.valueKind(value) === "Proxy") {
    try {
      return primordials.StringPrototypeSlice(`${value}`, 0, MAX_ERROR_TEXT);
    } catch {
      return "#<Object>";
    }
  }
  return `#<${typeName(value)}>`;
}

function isPlainObject(value) {
  return natives.valueKind(value) === "" && ObjectGetPrototypeOf(value) === objectPrototype;
}

// The name of an error as far as it is data: of a getter's, nothing is known.
function plainName(error) {
  for (let object = error; object !== null; object = ObjectGetPrototypeOf(object)) {
    if (natives.valueKind(object) === "Proxy") break;
    const descriptor = ObjectGetOwnPropertyDescriptor(object, "name");
    if (descriptor !== undefined) return typeof descriptor.value === "string" ? descriptor.value : "Error";
  }
  return "Error";
}

const notDetails = { __proto__: null, name: 1, message: 1, stack: 1, remote: 1 };
const MAX_DETAILS = 64;

function details(error, depth, whole) {
  const own = [];
  const nested = [];
  try {
    const keys = primordials.ObjectGetOwnPropertyNames(error);
    for (let i = 0; i < keys.length && i < MAX_DETAILS; i++) {
      if (keys[i] in notDetails && !(whole && keys[i] === "remote")) continue;
      const value = error[keys[i]];
      const inner = innerErrors(value, depth, whole);
      if (inner !== undefined) ArrayPrototypePush(nested, keys[i], inner);
      // A property that cannot cross must not keep a thrown error from crossing.
      else if (whole || (typeof value !== "function" && typeof value !== "symbol")) ArrayPrototypePush(own, keys[i], value);
    }
  } catch (failure) {
    if (whole || depth > 0) throw failure;
    return undefined;
  }
  return own.length === 0 && nested.length === 0 ? undefined : { own, nested };
}

// -> an encoded error, or a list of { error } and { value }; undefined when `value` is neither an error nor a list of some.
function innerErrors(value, depth, whole) {
  if (typeof value !== "object" || value === null) return undefined;
  // Errors that refer to each other in a circle cross without what they refer to.
  if (depth >= MAX_CAUSES) throw dataCloneError("Unable to serialize an error with that many causes.");
  if (natives.valueKind(value) === "NativeError") return { error: encodeError(value, depth + 1, whole) };
  if (!ArrayIsArray(value)) return undefined;
  const list = [];
  let found = false;
  for (let i = 0; i < value.length && i < MAX_DETAILS; i++) {
    const item = value[i];
    const isError = typeof item === "object" && item !== null && natives.valueKind(item) === "NativeError";
    found ||= isError;
    ArrayPrototypePush(list, isError ? { error: encodeError(item, depth + 1, whole) } : { value: item });
  }
  return found ? { list } : undefined;
}

function isDOMException(error) {
  let prototype = ObjectGetPrototypeOf(error);
  while (prototype !== null) {
    if (prototype === domExceptionPrototype) return true;
    prototype = ObjectGetPrototypeOf(prototype);
  }
  return false;
}
let domExceptionPrototype;
exports.setDOMExceptionPrototype = (prototype) => {
  domExceptionPrototype = prototype;
};

function addDetails(error, { own, nested }) {
  for (let i = 0; i < own.length; i += 2) define(error, own[i], own[i + 1]);
  for (let i = 0; i < nested.length; i += 2) define(error, nested[i], decodeInner(nested[i + 1]));
}

function decodeInner({ error, list, value }) {
  if (error !== undefined) return exports.decodeError(error[0], error[1], error[2], error[3], false);
  if (list === undefined) return value;
  const result = [];
  for (let i = 0; i < list.length; i++) define(result, i, decodeInner(list[i]));
  return result;
}

// The local object for an error that came from elsewhere; its stack starts here.
exports.decodeError = (name, message, dom, more, remote) => {
  let error;
  if (more !== undefined && more.thrown !== undefined) {
    error = more.thrown;
  } else if (dom) {
    const { DOMException } = require("web/dom-exception");
    error = new DOMException(message, name);
  } else {
    error = newError(name, message);
    if (!(name in classes)) {
      ObjectDefineProperty(error, "name", { __proto__: null, value: name, writable: true, configurable: true });
    }
  }
  if (more !== undefined && more.own !== undefined) addDetails(error, more);
  if (remote) {
    ObjectDefineProperty(error, "remote", { __proto__: null, value: true, writable: true, configurable: true, enumerable: true });
  }
  return error;
};

register({ __proto__: null }, {
  __proto__: null,
  kind: "Error",
  decode: (parts) => exports.decodeError(parts[0], parts[1], parts[2], parts[3], false),
});
