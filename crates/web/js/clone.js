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

const classes = { __proto__: null, Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError };

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

// -> [name, message, isDOMException, { own, cause, errors } or undefined]. Never throws.
exports.encodeError = (error) => encodeError(error, 0);

const MAX_CAUSES = 8;

function encodeError(error, depth) {
  if (typeof error !== "object" || error === null) {
    let text;
    try {
      text = String(error);
    } catch {
      text = "An exception that cannot be shown.";
    }
    return ["Error", text, false, undefined];
  }
  const name = ownText(error, "name");
  const message = ownText(error, "message");
  if (name === undefined && message === undefined) {
    let text = "[object Object]";
    try {
      text = `${error}`;
    } catch {
      // Not even that: the default stands.
    }
    return ["Error", text, false, undefined];
  }
  const dom = natives.valueKind(error) !== "NativeError" && isDOMException(error);
  return [name ?? "Error", message ?? "", dom, beyond(error, depth)];
}

// Own properties, and the errors that an error refers to, each without its stack.
function beyond(error, depth) {
  const own = ownProperties(error);
  let cause;
  if (depth < MAX_CAUSES && ObjectGetOwnPropertyDescriptor(error, "cause") !== undefined) {
    cause = nested(ownValue(error, "cause"), depth);
  }
  return own === undefined && cause === undefined ? undefined : { own, cause };
}

function ownValue(error, key) {
  try {
    return error[key];
  } catch {
    return undefined;
  }
}

function nested(value, depth) {
  if (typeof value === "object" && value !== null && natives.valueKind(value) === "NativeError") {
    return { error: encodeError(value, depth + 1) };
  }
  return typeof value === "function" || typeof value === "symbol" ? undefined : { value };
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

const notProperties = { __proto__: null, name: 1, message: 1, stack: 1, remote: 1, cause: 1 };

function ownProperties(error) {
  let result;
  try {
    const keys = ObjectKeys(error);
    for (let i = 0; i < keys.length && i < 64; i++) {
      if (keys[i] in notProperties) continue;
      const value = error[keys[i]];
      // A property that cannot cross must not keep the error from crossing.
      if (typeof value === "function" || typeof value === "symbol") continue;
      result ??= {};
      define(result, keys[i], value);
    }
  } catch {
    return undefined;
  }
  return result;
}

function addProperties(error, { own, cause }) {
  if (own !== undefined) {
    const keys = ObjectKeys(own);
    for (let i = 0; i < keys.length; i++) define(error, keys[i], own[keys[i]]);
  }
  if (cause !== undefined) {
    const { error: inner } = cause;
    const value = inner === undefined ? cause.value : exports.decodeError(inner[0], inner[1], inner[2], inner[3], false);
    ObjectDefineProperty(error, "cause", { __proto__: null, value, writable: true, configurable: true });
  }
}

// The local object for an error that came from elsewhere; its stack starts here.
exports.decodeError = (name, message, dom, properties, remote) => {
  let error;
  if (dom) {
    const { DOMException } = require("web/dom-exception");
    error = new DOMException(message, name);
  } else {
    const Class = classes[name] ?? Error;
    error = new Class(message);
    if (!(name in classes)) {
      ObjectDefineProperty(error, "name", { __proto__: null, value: name, writable: true, configurable: true });
    }
  }
  if (properties !== undefined) addProperties(error, properties);
  if (remote) {
    ObjectDefineProperty(error, "remote", { __proto__: null, value: true, writable: true, configurable: true, enumerable: true });
  }
  return error;
};
