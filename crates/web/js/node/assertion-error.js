"use strict";
// The errors that node:assert throws: AssertionError with its generated messages, and the TypeErrors with a `code` for
// wrong arguments. https://nodejs.org/docs/latest-v20.x/api/assert.html#class-assertassertionerror

const {
  Error, ErrorCaptureStackTrace, ObjectDefineProperty, String, StringPrototypeEndsWith,
  StringPrototypeIncludes, StringPrototypeIndexOf, StringPrototypeSlice, TypeError,
} = primordials;
const { inspect } = require("web/inspect");
const { createDiff, printValue, wholeText } = require("web/node/diff");

const HEADERS = {
  __proto__: null,
  deepStrictEqual: "Expected values to be strictly deep-equal:",
  partialDeepStrictEqual: "Expected values to be partially and strictly deep-equal:",
  strictEqual: "Expected values to be strictly equal:",
  deepEqual: "Expected values to be loosely deep-equal:",
  notDeepStrictEqual: 'Expected "actual" not to be strictly deep-equal to:',
  notStrictEqual: 'Expected "actual" to be strictly unequal to:',
  notDeepEqual: 'Expected "actual" not to be loosely deep-equal to:',
};
const REFERENCE_EQUAL = 'Expected "actual" to be reference-equal to "expected":';
const REFERENCE_UNEQUAL = 'Expected "actual" not to be reference-equal to "expected":';

const isReference = (value) => (typeof value === "object" && value !== null) || typeof value === "function";

// The message for an assertion; `custom` is what the caller gave, undefined or null if nothing.
function messageFor(operator, actual, expected, custom) {
  const hasCustom = custom !== undefined && custom !== null;
  switch (operator) {
    case "deepStrictEqual":
    case "partialDeepStrictEqual":
    case "strictEqual": {
      const byReference = operator === "strictEqual" && isReference(actual) && isReference(expected);
      const sameType = byReference && typeof actual === typeof expected;
      const header = sameType ? REFERENCE_EQUAL : HEADERS[operator];
      // As in Node 20, a message of the caller's own (not an empty one) stands over the diff instead of the header.
      return createDiff(actual, expected, hasCustom && custom !== "" ? String(custom) : header, sameType);
    }
    default:
      if (hasCustom) return String(custom);
  }
  if (operator === "notDeepStrictEqual" || operator === "notStrictEqual") return unequalMessage(operator, actual);
  return comparisonMessage(operator, printValue(actual), printValue(expected));
}

function unequalMessage(operator, actual) {
  const header = operator === "notStrictEqual" && isReference(actual) ? REFERENCE_UNEQUAL : HEADERS[operator];
  const text = wholeText(printValue(actual));
  if (StringPrototypeIncludes(text, "\n")) return `${header}\n\n${text}\n`;
  return `${header}${text.length > 5 ? "\n\n" : " "}${text}`;
}

function comparisonMessage(operator, actual, expected) {
  if (operator === "notDeepEqual" && actual === expected) {
    return shorten(`${HEADERS.notDeepEqual}\n\n${actual}`, 1024);
  }
  const left = shorten(actual, 512);
  const right = shorten(expected, 512);
  if (operator === "deepEqual") return `${HEADERS.deepEqual}\n\n${left}\n\nshould loosely deep-equal\n\n${right}`;
  if (operator === "notDeepEqual") {
    return `Expected values not to be loosely deep-equal:\n\n${left}\n\nshould not loosely deep-equal\n\n${right}`;
  }
  return `${left} ${operator} ${right}`;
}

function shorten(text, limit) {
  return text.length > limit ? `${StringPrototypeSlice(text, 0, limit - 3)}...` : text;
}

function defineHidden(object, key, value) {
  ObjectDefineProperty(object, key, { __proto__: null, value, writable: true, enumerable: false, configurable: true });
}

function define(object, key, value) {
  ObjectDefineProperty(object, key, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
}

// V8 writes the name into `stack` when the trace is captured, so the code stands in the name for that moment.
function captureStackWithCode(error, name, code, hideFrom) {
  defineHidden(error, "name", `${name} [${code}]`);
  ErrorCaptureStackTrace(error, hideFrom);
  void error.stack;
  defineHidden(error, "name", name);
}

class AssertionError extends Error {
  constructor(options) {
    const isObject = typeof options === "object" && options !== null;
    if (!isObject) throw invalidArgumentType("options", "of type object", options);
    const { message, operator, actual, expected, stackStartFn, stackStartFunction } = options;
    super(messageFor(operator, actual, expected, message));
    // In Node's order: it shows when the error is inspected.
    define(this, "generatedMessage", !message);
    defineHidden(this, "name", "AssertionError");
    define(this, "code", "ERR_ASSERTION");
    define(this, "actual", actual);
    define(this, "expected", expected);
    define(this, "operator", operator);
    captureStackWithCode(this, "AssertionError", "ERR_ASSERTION", stackStartFn ?? stackStartFunction);
  }

  toString() {
    return `${this.name} [${this.code}]: ${this.message}`;
  }
}

function codedErrorToString() {
  return `${this.name} [${this.code}]: ${this.message}`;
}

function codedTypeError(code, message, hideFrom = codedTypeError) {
  const error = new TypeError(message);
  captureStackWithCode(error, "TypeError", code, hideFrom);
  delete error.name;
  define(error, "code", code);
  defineHidden(error, "toString", codedErrorToString);
  return error;
}

// "type number (1)", "an instance of Foo", "function bar", "undefined".
function describeReceived(value) {
  if (value === undefined || value === null) return `${value}`;
  if (typeof value === "function") return `function ${value.name}`;
  if (typeof value === "object") {
    const name = value.constructor?.name;
    return name ? `an instance of ${name}` : inspect(value, { __proto__: null, depth: -1 });
  }
  if (typeof value === "string") return `type string (${inspect(shorten(value, 28))})`;
  return `type ${typeof value} (${shorten(inspect(value), 28)})`;
}

// `wanted` completes the sentence `The "name" argument must be ...`.
function invalidArgumentType(name, wanted, value) {
  const noun = StringPrototypeIncludes(name, ".") ? "property" : "argument";
  const subject = StringPrototypeEndsWith(name, " argument") ? `The ${name}` : `The "${name}" ${noun}`;
  const message = `${subject} must be ${wanted}. Received ${describeReceived(value)}`;
  return codedTypeError("ERR_INVALID_ARG_TYPE", message, invalidArgumentType);
}

// ifError keeps the frames of the error that it was given under its own, without those that both have.
function appendStack(error, stack) {
  if (typeof stack !== "string" || typeof error.stack !== "string") return;
  const start = StringPrototypeIndexOf(stack, "\n    at");
  if (start === -1) return;
  const frames = StringPrototypeSlice(stack, start);
  const end = StringPrototypeIndexOf(frames, "\n", 1);
  const first = end === -1 ? frames : StringPrototypeSlice(frames, 0, end);
  const shared = StringPrototypeIndexOf(error.stack, `${first}\n`);
  error.stack = (shared === -1 ? error.stack : StringPrototypeSlice(error.stack, 0, shared)) + frames;
}

exports.AssertionError = AssertionError;
exports.appendStack = appendStack;
exports.codedTypeError = codedTypeError;
exports.describeReceived = describeReceived;
exports.invalidArgumentType = invalidArgumentType;
