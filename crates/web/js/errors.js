"use strict";
// Errors on their way to another Worker, without the sender's stack, and in structuredClone(), with it; both with what the
// compatibility flags let through.

const {
  ArrayIsArray, ArrayPrototypePush, Error, EvalError, FunctionPrototypeToString, ObjectGetOwnPropertyDescriptor,
  ObjectGetPrototypeOf, ObjectSetPrototypeOf, RangeError, ReferenceError, String, SyntaxError, TypeError, URIError,
} = primordials;
const clones = require("web/clone");
const { define, typeName } = clones;
const objectPrototype = ObjectGetPrototypeOf({});

const classes = { __proto__: null, Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError,
  AggregateError: primordials.AggregateError, SuppressedError: Error };
// Standard names too, of classes that this script cannot reach: an Error with the name stands for them.
const otherErrors = { __proto__: null, CompileError: 1, LinkError: 1, RuntimeError: 1 };

function newError(name, message) {
  const error = name === "AggregateError" ? new classes.AggregateError([], message) : new (classes[name] ?? Error)(message);
  // Comes with the details, where they come at all.
  if (name === "AggregateError") primordials.ReflectDeleteProperty(error, "errors");
  if (name === "SuppressedError") primordials.ObjectSetPrototypeOf(error, suppressedErrorPrototype());
  return error;
}

// V8 adds the class to the global object when a context starts, where guests can replace it. The language itself makes
// one when something is disposed of in vain.
let suppressedPrototype;
function suppressedErrorPrototype() {
  if (suppressedPrototype !== undefined) return suppressedPrototype;
  const disposable = {
    __proto__: null,
    [primordials.SymbolDispose]() {
      throw 1;
    },
  };
  try {
    using _suppressing = disposable;
    throw 2;
  } catch (error) {
    suppressedPrototype = ObjectGetPrototypeOf(error);
  }
  return suppressedPrototype;
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

// What an error is written for. THROWN: it ends a call, so that nothing in it may keep it from crossing, and what cannot
// cross is left out. VALUE: it is part of a message. CLONE: it is part of a value for structuredClone().
const THROWN = 0;
const VALUE = 1;
const CLONE = 2;

// -> [name, message, isDOMException, details or undefined, stack or undefined]. Never throws. Details: { thrown } when what
// was thrown is data, or { own: [key, value, ...], nested: [key, error or list, ...] }: own properties beyond name, message
// and stack, and the errors that an error refers to. Without `enhanced_error_serialization` there are none, and a name of
// the guest's own is a part of the message.
exports.encodeError = (error) => {
  errorsLeft = MAX_ERRORS;
  return encodeThrown(error);
};

// The same for an error within a value; what cannot cross is refused. Only within its own Worker does it keep its stack.
exports.encodeErrorValue = (error, cloning) => {
  // A property of an error that is being written may be cloned meanwhile.
  const left = errorsLeft;
  errorsLeft = MAX_ERRORS;
  try {
    return encodeWhole(error, 0, cloning ? CLONE : VALUE);
  } finally {
    errorsLeft = left;
  }
};

const MAX_CAUSES = 32;
// Errors within one: those that refer to the same ones twice at each depth would be without number.
const MAX_ERRORS = 1_000;
// Longer lists are not looked through for errors.
const MAX_LIST = 10_000;
let errorsLeft;

function encodeThrown(error) {
  const enhanced = natives.hasFlag("enhanced_error_serialization");
  if ((typeof error !== "object" && typeof error !== "function") || error === null) return described(String(error));
  const kind = natives.valueKind(error);
  if (kind === "NativeError") {
    if (enhanced) return encodeWhole(error, 0, THROWN);
    const message = ownText(error, "message") ?? "";
    const name = plainName(error);
    if (name in classes || name in otherErrors) return [name, message, false, undefined];
    return described(name === "" || message === "" ? `${name}${message}` : `${name}: ${message}`);
  }
  if (kind !== "Proxy" && require("web/dom-exception").isDOMException(error)) {
    return [ownText(error, "name") ?? "Error", ownText(error, "message") ?? "", true, undefined];
  }
  const data = enhanced && (kind in dataKinds || isPlainObject(error)) ? copyOf(error) : undefined;
  return described(textOf(error), data === undefined ? undefined : { thrown: data });
}

// Objects that are data, and cross as what they are when they are thrown.
const dataKinds = { __proto__: null, ArrayBuffer: 1, DataView: 1, Date: 1, Map: 1, RegExp: 1, Set: 1, TypedArray: 1 };

function encodeWhole(error, depth, mode) {
  const message = mode === THROWN ? ownText(error, "message") ?? "" : error.message;
  if (typeof message !== "string") throw clones.dataCloneError("Deserialization failed: error message is not a string");
  const name = mode === THROWN ? ownText(error, "name") : error.name;
  const hasName = typeof name === "string";
  const stack = mode === CLONE ? error.stack : undefined;
  const more = details(error, depth, mode, hasName ? [] : ["name", name]);
  const parts = [hasName ? name : "Error", message, false, more];
  if (stack !== undefined) ArrayPrototypePush(parts, String(stack));
  return parts;
}

// A copy that has nothing live in it; undefined where there can be none.
function copyOf(value) {
  try {
    return natives.structuredClone(value);
  } catch {
    return undefined;
  }
}

function described(text, more = undefined) {
  return ["Error", primordials.StringPrototypeSlice(text, 0, MAX_ERROR_TEXT), false, more];
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
  if (typeof value !== "object") return false;
  return ArrayIsArray(value) || (natives.valueKind(value) === "" && ObjectGetPrototypeOf(value) === objectPrototype);
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

const notDetails = { __proto__: null, name: 1, message: 1, stack: 1 };

// `own` begins with a name that is no text.
function details(error, depth, mode, own) {
  const nested = [];
  if (mode === THROWN) own.length = 0;
  try {
    const keys = primordials.ObjectGetOwnPropertyNames(error);
    for (let i = 0; i < keys.length; i++) {
      if (keys[i] in notDetails || (mode === THROWN && keys[i] === "remote")) continue;
      addDetail(own, nested, keys[i], error[keys[i]], depth, mode);
    }
  } catch (failure) {
    if (mode !== THROWN || depth > 0) throw failure;
    return undefined;
  }
  return own.length === 0 && nested.length === 0 ? undefined : { own, nested };
}

function addDetail(own, nested, key, value, depth, mode) {
  const inner = innerErrors(value, depth, mode);
  if (inner !== undefined) {
    ArrayPrototypePush(nested, key, inner);
  } else if (mode === THROWN && (typeof value === "function" || typeof value === "symbol")) {
    // A property that cannot cross must not keep a thrown error from crossing.
  } else if (mode === THROWN && typeof value === "object" && value !== null) {
    const copy = copyOf(value);
    if (copy !== undefined) ArrayPrototypePush(own, key, copy);
  } else {
    ArrayPrototypePush(own, key, value);
  }
}

// -> an encoded error, or a list of { error } and { value }; undefined when `value` is neither an error nor a list of some.
function innerErrors(value, depth, mode) {
  if (typeof value !== "object" || value === null) return undefined;
  const kind = natives.valueKind(value);
  if (kind === "NativeError") return { error: encodeInner(value, depth, mode) };
  if (kind === "Proxy" || !ArrayIsArray(value) || value.length > MAX_LIST) return undefined;
  const list = [];
  let found = false;
  for (let i = 0; i < value.length; i++) {
    const item = value[i];
    const isError = typeof item === "object" && item !== null && natives.valueKind(item) === "NativeError";
    found ||= isError;
    ArrayPrototypePush(list, isError ? { error: encodeInner(item, depth, mode) } : { value: item });
  }
  return found ? { list } : undefined;
}

// Errors that refer to each other in a circle cross without what they refer to, or not at all.
function encodeInner(error, depth, mode) {
  if (depth >= MAX_CAUSES || errorsLeft-- <= 0) throw clones.dataCloneError("Unable to serialize an error with that many causes.");
  return encodeWhole(error, depth + 1, mode);
}

// What came out of a message has Object.prototype, and guests may have put anything there.
function bare(object) {
  return primordials.ObjectSetPrototypeOf(object, null);
}

function addDetails(error, { own, nested }) {
  expectDetails(own);
  expectDetails(nested);
  for (let i = 0; i < own.length; i += 2) define(error, own[i], own[i + 1]);
  for (let i = 0; i < nested.length; i += 2) define(error, nested[i], decodeInner(nested[i + 1]));
}

function expectDetails(pairs) {
  clones.expect(ArrayIsArray(pairs) && pairs.length % 2 === 0);
  for (let i = 0; i < pairs.length; i += 2) clones.expect(typeof pairs[i] === "string");
}

function decodeInner(inner) {
  clones.expect(typeof inner === "object" && inner !== null);
  const { error, list, value } = bare(inner);
  if (error !== undefined) return decodeParts(error);
  if (list === undefined) return value;
  clones.expect(ArrayIsArray(list) && list.length <= MAX_LIST);
  const result = [];
  for (let i = 0; i < list.length; i++) define(result, i, decodeInner(list[i]));
  return result;
}

// The parts of an error within a message: they need not be what was written.
function decodeParts(parts) {
  clones.expect(errorsLeft-- > 0 && ArrayIsArray(parts) && (parts.length === 4 || parts.length === 5));
  const name = parts[0];
  const message = parts[1];
  const dom = parts[2];
  const more = parts[3];
  clones.expectTexts([name, message]);
  clones.expect(typeof dom === "boolean" && (more === undefined || (typeof more === "object" && more !== null)));
  const error = decodeError(name, message, dom, more, false);
  if (parts.length === 5) {
    clones.expectTexts([parts[4]]);
    define(error, "stack", parts[4]);
  }
  return error;
}

// The local object for an error that came from elsewhere; its stack starts here.
exports.decodeError = (name, message, dom, more, remote) => {
  errorsLeft = MAX_ERRORS;
  return decodeError(name, message, dom, more, remote);
};

function decodeError(name, message, dom, more, remote) {
  let error;
  if (more !== undefined) bare(more);
  if (more !== undefined && more.thrown !== undefined) {
    clones.expect(typeof more.thrown === "object" && more.thrown !== null);
    error = more.thrown;
  } else if (dom) {
    const { DOMException } = require("web/dom-exception");
    error = new DOMException(message, name);
  } else {
    error = newError(name, message);
    if (!(name in classes)) define(error, "name", name);
  }
  if (more !== undefined && more.own !== undefined) addDetails(error, more);
  if (remote) define(error, "remote", true);
  return error;
}

clones.register({ __proto__: null }, {
  __proto__: null,
  kind: "Error",
  decode: (parts) => {
    errorsLeft = MAX_ERRORS;
    return decodeParts(parts);
  },
});
