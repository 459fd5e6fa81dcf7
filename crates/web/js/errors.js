"use strict";
// Errors on their way to another Worker: without the sender's stack, with what the compatibility flags let through.

const {
  ArrayIsArray, ArrayPrototypePush, Error, EvalError, FunctionPrototypeToString, ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf, ObjectSetPrototypeOf, RangeError, ReferenceError, String, SyntaxError, TypeError,
  URIError,
} = primordials;
const clones = require("web/clone");
const { define, typeName } = clones;
const objectPrototype = ObjectGetPrototypeOf({});

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
exports.encodeError = (error, whole = false) => {
  errorsLeft = MAX_ERRORS;
  return encodeError(error, 0, whole === true);
};

const MAX_CAUSES = 32;
// Errors within one: those that refer to the same ones twice at each depth would be without number.
const MAX_ERRORS = 1_000;
let errorsLeft;

// `whole`: what cannot cross is not left out, but refused.
function encodeError(error, depth, whole) {
  const enhanced = natives.hasFlag("enhanced_error_serialization");
  if ((typeof error !== "object" && typeof error !== "function") || error === null) return described(String(error));
  const kind = natives.valueKind(error);
  const native = kind === "NativeError";
  if (!native && (kind === "Proxy" || !require("web/dom-exception").isDOMException(error))) {
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
  if (depth >= MAX_CAUSES || errorsLeft-- <= 0) throw clones.dataCloneError("Unable to serialize an error with that many causes.");
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

function addDetails(error, { own, nested }) {
  expectDetails(own);
  expectDetails(nested);
  for (let i = 0; i < own.length; i += 2) define(error, own[i], own[i + 1]);
  for (let i = 0; i < nested.length; i += 2) define(error, nested[i], decodeInner(nested[i + 1]));
}

function expectDetails(pairs) {
  clones.expect(ArrayIsArray(pairs) && pairs.length % 2 === 0 && pairs.length <= 2 * MAX_DETAILS);
  for (let i = 0; i < pairs.length; i += 2) clones.expect(typeof pairs[i] === "string");
}

function decodeInner(inner) {
  clones.expect(typeof inner === "object" && inner !== null);
  const { error, list, value } = ObjectSetPrototypeOf(inner, null);
  if (error !== undefined) return decodeParts(error);
  if (list === undefined) return value;
  clones.expect(ArrayIsArray(list) && list.length <= MAX_DETAILS);
  const result = [];
  for (let i = 0; i < list.length; i++) define(result, i, decodeInner(list[i]));
  return result;
}

// The parts of an error within a message: they need not be what was written.
function decodeParts(parts) {
  clones.expect(errorsLeft-- > 0 && ArrayIsArray(parts) && parts.length === 4);
  const name = parts[0];
  const message = parts[1];
  const dom = parts[2];
  const more = parts[3];
  clones.expectTexts([name, message]);
  clones.expect(typeof dom === "boolean" && (more === undefined || (typeof more === "object" && more !== null)));
  return decodeError(name, message, dom, more, false);
}

// The local object for an error that came from elsewhere; its stack starts here.
exports.decodeError = (name, message, dom, more, remote) => {
  errorsLeft = MAX_ERRORS;
  return decodeError(name, message, dom, more, remote);
};

function decodeError(name, message, dom, more, remote) {
  let error;
  // What they do not have must not be found on Object.prototype.
  if (more !== undefined) ObjectSetPrototypeOf(more, null);
  if (more !== undefined && more.thrown !== undefined) {
    clones.expect(typeof more.thrown === "object" && more.thrown !== null);
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
}

clones.register({ __proto__: null }, {
  __proto__: null,
  kind: "Error",
  decode: (parts) => {
    errorsLeft = MAX_ERRORS;
    return decodeParts(parts);
  },
});
