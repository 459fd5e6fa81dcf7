"use strict";
// Host objects in structured clone: each class that can cross registers a codec here, which turns an object into a
// plain descriptor [kind, payload] and back.
// https://html.spec.whatwg.org/#structuredserializeinternal

const {
  Array, ArrayIsArray, ArrayPrototypePush, FunctionPrototypeToString, MapPrototypeForEach, ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf, ObjectKeys, SafeMap, SetPrototypeForEach, Map, Set,
  StringPrototypeSlice,
} = primordials;
const objectPrototype = ObjectGetPrototypeOf({});

// Codecs by the prototype of the class, and by kind on the other side.
const byPrototype = new SafeMap();
const byKind = new SafeMap();

// codec: { kind, encode(object, cloning) -> payload, decode(payload) -> object }. Scripts that are not in the snapshot register
// when they are loaded: `owner` says which script a kind on the wire needs.
function register(prototype, codec) {
  byPrototype.set(prototype, codec);
  byKind.set(codec.kind, codec);
}
const owners = { __proto__: null, Headers: "web/headers", Request: "web/request", Response: "web/response",
  Blob: "web/blob", File: "web/blob", ReadableStream: "web/streams/readable",
  WritableStream: "web/streams/writable", Error: "web/errors", AbortSignal: "web/abort", DOMException: "web/dom-exception" };

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
  return natives.hasFlag("enhanced_error_serialization");
}
exports.requireCall = (kind) => {
  if (!inCall()) throw dataCloneError(`${kind} can only be serialized for RPC.`);
};
// For codecs, within a call: lets the receiver call a function of the runtime. -> its index in the message
exports.exportFunction = (fn) => encodeExotic(fn)[1];
// For codecs, within a call: passes on a live object that came with a call. (handle) -> its index in the message
exports.setHandleEncoder = (encoder) => {
  exports.attachHandle = encoder;
};

const standIns = new primordials.SafeWeakMap();
// With a prototype that no plain object has: V8 asks what becomes of those that have it.
const standInPrototype = { __proto__: null };

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

exports.define = define;
exports.typeName = typeName;
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

// Called for every object that is not plain, while a value is written; `cloning`: by structuredClone().
exports.encodeHost = (object, cloning = false) => {
  const exotic = standIns.get(object);
  if (exotic !== undefined) return encodeStandIn(exotic, cloning);
  let prototype = ObjectGetPrototypeOf(object);
  while (prototype !== null) {
    const codec = byPrototype.get(prototype);
    if (codec !== undefined) return [codec.kind, codec.encode(object, cloning)];
    prototype = ObjectGetPrototypeOf(prototype);
  }
  const descriptor = encodeInstance(object);
  if (descriptor !== undefined) return descriptor;
  throw unsupported(typeName(object));
};

// A value was refused half-way. What it had up to there still goes the way of what is sent in a call, into a message that
// is dropped: streams have moved, and targets are let go of.
exports.encodeRefused = (objects) => {
  if (!inCall()) return;
  for (let i = 0; i < objects.length; i++) {
    try {
      exports.encodeHost(objects[i]);
    } catch {
      return;
    }
  }
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
exports.prepare = (value, cloning) => {
  standInsMade = 0;
  copiesInstances = cloning;
  return copy(value, new SafeMap());
};

// As many as a message can carry (MAX_CAPABILITIES in isolate/src/values.rs): more are refused before the rest of a
// huge value is copied.
const MAX_STAND_INS = 10_000;
let standInsMade = 0;
// Instances of guests' classes are plain objects for structuredClone().
let copiesInstances = false;

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
  if (kind !== "") return value;
  const prototype = ObjectGetPrototypeOf(value);
  const isPlain = prototype === null || prototype === objectPrototype || (copiesInstances && !exports.isHost(value));
  return isPlain ? copyObject(value, seen) : value;
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
  const object = { __proto__: standInPrototype };
  standIns.set(object, value);
  return object;
}

function encodeStandIn(value, cloning) {
  if (natives.valueKind(value) === "NativeError") return ["Error", require("web/errors").encodeErrorValue(value, cloning)];
  const descriptor = encodeExotic(value);
  if (descriptor !== undefined) return descriptor;
  throw dataCloneError(
    typeof value === "function" ? `${excerpt(FunctionPrototypeToString(value))} could not be cloned.` : "#<Object> could not be cloned.",
  );
}

// The source of a function as V8 shows it in errors.
function excerpt(text) {
  if (text.length <= 128) return text;
  return `${StringPrototypeSlice(text, 0, 111)}...<omitted>...${StringPrototypeSlice(text, -2)}`;
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
