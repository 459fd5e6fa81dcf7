"use strict";
// node:assert and node:assert/strict. https://nodejs.org/docs/latest-v20.x/api/assert.html, with partialDeepStrictEqual
// of later versions. exports.default is `assert` (the default export of node:assert), exports.strict that of /strict.
//
// natives.valueKind: see node/comparisons.

const {
  ArrayPrototypePush, Error, FunctionPrototypeCall, NumberIsNaN, ObjectDefineProperty, ObjectIs, ObjectKeys,
  ObjectPrototypeIsPrototypeOf, PromiseGuarded, RegExpPrototypeExec, String,
} = primordials;
const { inspect } = require("web/inspect");
const { isDeepEqual, isDeepStrictEqual, isError, isPartialDeepStrictEqual } = require("web/node/comparisons");
const {
  AssertionError,
  appendStack,
  codedTypeError,
  describeReceived,
  invalidArgumentType,
} = require("web/node/assertion-error");

function define(object, key, value) {
  ObjectDefineProperty(object, key, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
}

// An argument; those that are not there must not be found on Array.prototype.
function item(args, index) {
  return index < args.length ? args[index] : undefined;
}

// What a function that did not throw "threw".
const NO_EXCEPTION = { __proto__: null };

const isRegExp = (value) => natives.valueKind(value) === "RegExp";

// Throws the error of a failed assertion: the caller's own, where `message` is one.
function raise(operator, actual, expected, message, stackStartFn) {
  if (isError(message)) throw message;
  throw new AssertionError({ __proto__: null, actual, expected, message, operator, stackStartFn });
}

// As raise, with a message that this file made (`generated`) or the caller gave.
function raiseWith(operator, actual, expected, message, stackStartFn, generated) {
  const error = new AssertionError({ __proto__: null, actual, expected, message, operator, stackStartFn });
  define(error, "generatedMessage", generated);
  throw error;
}

function requireBoth(count, stackStartFn) {
  if (count >= 2) return;
  const message = 'The "actual" and "expected" arguments must be specified';
  throw codedTypeError("ERR_MISSING_ARGS", message, stackStartFn);
}

// Node shows the source text of the call here; the runtime keeps no source, so the values have to do.
function requireTruthy(args, stackStartFn) {
  const value = item(args, 0);
  if (value) return;
  let message = item(args, 1);
  const generated = message === undefined || message === null;
  if (args.length === 0) message = "No value argument passed to `assert.ok()`";
  else if (isError(message)) throw message;
  raiseWith("==", value, true, message, stackStartFn, generated);
}

function ok(...args) {
  requireTruthy(args, ok);
}

function strict(...args) {
  requireTruthy(args, strict);
}

function looselyEqual(a, b) {
  // Not ===: equal and notEqual are defined by this operator.
  return a == b || (NumberIsNaN(a) && NumberIsNaN(b));
}

function equal(actual, expected, message) {
  requireBoth(arguments.length, equal);
  if (!looselyEqual(actual, expected)) raise("==", actual, expected, message, equal);
}

function notEqual(actual, expected, message) {
  requireBoth(arguments.length, notEqual);
  if (looselyEqual(actual, expected)) raise("!=", actual, expected, message, notEqual);
}

function strictEqual(actual, expected, message) {
  requireBoth(arguments.length, strictEqual);
  if (!ObjectIs(actual, expected)) raise("strictEqual", actual, expected, message, strictEqual);
}

function notStrictEqual(actual, expected, message) {
  requireBoth(arguments.length, notStrictEqual);
  if (ObjectIs(actual, expected)) raise("notStrictEqual", actual, expected, message, notStrictEqual);
}

function deepEqual(actual, expected, message) {
  requireBoth(arguments.length, deepEqual);
  if (!isDeepEqual(actual, expected)) raise("deepEqual", actual, expected, message, deepEqual);
}

function notDeepEqual(actual, expected, message) {
  requireBoth(arguments.length, notDeepEqual);
  if (isDeepEqual(actual, expected)) raise("notDeepEqual", actual, expected, message, notDeepEqual);
}

function deepStrictEqual(actual, expected, message) {
  requireBoth(arguments.length, deepStrictEqual);
  if (!isDeepStrictEqual(actual, expected)) raise("deepStrictEqual", actual, expected, message, deepStrictEqual);
}

function notDeepStrictEqual(actual, expected, message) {
  requireBoth(arguments.length, notDeepStrictEqual);
  if (isDeepStrictEqual(actual, expected)) raise("notDeepStrictEqual", actual, expected, message, notDeepStrictEqual);
}

function partialDeepStrictEqual(actual, expected, message) {
  requireBoth(arguments.length, partialDeepStrictEqual);
  if (isPartialDeepStrictEqual(actual, expected)) return;
  raise("partialDeepStrictEqual", actual, expected, message, partialDeepStrictEqual);
}

function fail(actual, expected, message, operator, stackStartFn) {
  const count = arguments.length;
  const bare = (actual === undefined || actual === null) && count <= 1;
  const shown = bare ? "Failed" : count === 1 ? actual : message;
  if (isError(shown)) throw shown;
  const sign = operator ?? (count === 2 ? "!=" : "fail");
  const generated = bare || !shown;
  raiseWith(sign, count === 1 ? undefined : actual, expected, shown, stackStartFn ?? fail, generated);
}

function ifError(error) {
  if (error === null || error === undefined) return;
  let text;
  if (typeof error === "object" && typeof error.message === "string") {
    text = error.message === "" && error.constructor ? error.constructor.name : error.message;
  } else {
    text = inspect(error);
  }
  const message = `ifError got unwanted exception: ${text}`;
  const wrapped = new AssertionError({
    __proto__: null,
    actual: error,
    expected: null,
    operator: "ifError",
    message,
    stackStartFn: ifError,
  });
  appendStack(wrapped, error.stack);
  throw wrapped;
}

function match(string, regexp, message) {
  requireMatch(string, regexp, message, true, match);
}

function doesNotMatch(string, regexp, message) {
  requireMatch(string, regexp, message, false, doesNotMatch);
}

function requireMatch(string, regexp, message, wanted, stackStartFn) {
  if (!isRegExp(regexp)) throw invalidArgumentType("regexp", "an instance of RegExp", regexp);
  const isString = typeof string === "string";
  if (isString && (RegExpPrototypeExec(regexp, string) !== null) === wanted) return;
  if (isError(message)) throw message;
  const operator = wanted ? "match" : "doesNotMatch";
  let text = message;
  if (!text && !isString) {
    text = `The "string" argument must be of type string. Received type ${typeof string} (${inspect(string)})`;
  } else if (!text) {
    text = `The input ${wanted ? "did not match" : "was expected to not match"} the regular expression `;
    text += `${inspect(regexp)}. Input:\n\n${inspect(string)}\n`;
  }
  raiseWith(operator, string, regexp, text, stackStartFn, !message);
}

function throws(fn, ...args) {
  requireException("throws", catchFrom(fn), args, throws);
}

function doesNotThrow(fn, ...args) {
  requireNoException("doesNotThrow", catchFrom(fn), args, doesNotThrow);
}

async function rejects(promiseFn, ...args) {
  const { rejection } = await PromiseGuarded(rejectionOf(promiseFn));
  requireException("rejects", rejection, args, rejects);
}

async function doesNotReject(promiseFn, ...args) {
  const { rejection } = await PromiseGuarded(rejectionOf(promiseFn));
  requireNoException("doesNotReject", rejection, args, doesNotReject);
}

function catchFrom(fn) {
  if (typeof fn !== "function") throw invalidArgumentType("fn", "of type function", fn);
  try {
    fn();
  } catch (error) {
    return error;
  }
  return NO_EXCEPTION;
}

// In an object of our own: what a promise is resolved with is asked for `then`.
async function rejectionOf(promiseFn) {
  let promise = promiseFn;
  // A stub's promise is callable, and yet a promise.
  if (typeof promiseFn === "function" && !isPromise(promiseFn)) {
    promise = promiseFn();
    if (!isPromise(promise)) {
      const message =
        'Expected instance of Promise to be returned from the "promiseFn" function but got ' +
        `${describeReceived(promise)}.`;
      throw codedTypeError("ERR_INVALID_RETURN_VALUE", message, rejectionOf);
    }
  } else if (!isPromise(promiseFn)) {
    throw invalidArgumentType("promiseFn", "of type function or an instance of Promise", promiseFn);
  }
  try {
    await promise;
  } catch (error) {
    return { __proto__: null, rejection: error };
  }
  return { __proto__: null, rejection: NO_EXCEPTION };
}

function isPromise(value) {
  if (natives.valueKind(value) === "Promise") return true;
  const isObject = (typeof value === "object" && value !== null) || typeof value === "function";
  return isObject && typeof value.then === "function" && typeof value.catch === "function";
}

// throws and rejects: `args` are the expectation and the message, or the message alone.
function requireException(operator, actual, args, stackStartFn) {
  let expected = item(args, 0);
  let message = item(args, 1);
  if (typeof expected === "string") {
    if (args.length > 1) throw wrongExpectation(expected);
    requireUnambiguous(actual, expected);
    message = expected;
    expected = undefined;
  } else if (expected !== undefined && typeof expected !== "object" && typeof expected !== "function") {
    throw wrongExpectation(expected);
  }
  if (actual === NO_EXCEPTION) {
    const noun = operator === "rejects" ? "rejection" : "exception";
    const name = expected?.name ? ` (${expected.name})` : "";
    const text = `Missing expected ${noun}${name}${message ? `: ${message}` : "."}`;
    raise(operator, undefined, expected, text, stackStartFn);
  }
  if (expected) requireExpected(operator, actual, expected, message, stackStartFn);
}

function wrongExpectation(expected) {
  return invalidArgumentType("error", "of type function or an instance of Error, RegExp, or Object", expected);
}

// throws(fn, "text") only sets the message; whoever gives the error's own text believes that it is compared.
function requireUnambiguous(actual, message) {
  const isObject = typeof actual === "object" && actual !== null;
  if ((isObject ? actual.message : actual) !== message) return;
  const subject = isObject ? `error message "${actual.message}"` : `error "${actual}"`;
  const text = `The "error/message" argument is ambiguous. The ${subject} is identical to the message.`;
  throw codedTypeError("ERR_AMBIGUOUS_ARGUMENT", text, requireUnambiguous);
}

function requireExpected(operator, actual, expected, message, stackStartFn) {
  let complaint;
  if (typeof expected === "function") {
    complaint = complaintOf(actual, expected);
  } else if (isRegExp(expected)) {
    const text = String(actual);
    if (RegExpPrototypeExec(expected, text) !== null) return;
    complaint = `The input did not match the regular expression ${inspect(expected)}. Input:\n\n${inspect(text)}\n`;
  } else {
    requireProperties(operator, actual, expected, message, stackStartFn);
  }
  if (complaint !== undefined) {
    raiseWith(operator, actual, expected, message || complaint, stackStartFn, !message);
  }
}

// What a class or a validation function finds wrong with the error; undefined if nothing.
function complaintOf(actual, expected) {
  if (expected.prototype !== undefined && actual instanceof expected) return undefined;
  if (ObjectPrototypeIsPrototypeOf(Error, expected)) {
    const start = `The error is expected to be an instance of "${expected.name}". Received `;
    if (!isError(actual)) return `${start}"${inspect(actual, { __proto__: null, depth: -1 })}"`;
    return `${start}"${actual.name}"${actual.message ? `\n\nError message:\n\n${actual.message}` : ""}`;
  }
  const result = FunctionPrototypeCall(expected, {}, actual);
  if (result === true) return undefined;
  const name = expected.name ? `"${expected.name}" ` : "";
  const text = `The ${name}validation function is expected to return "true". Received ${inspect(result)}`;
  return isError(actual) ? `${text}\n\nCaught error:\n\n${actual}` : text;
}

function requireProperties(operator, actual, expected, message, stackStartFn) {
  if (typeof actual !== "object" || actual === null) {
    const options = { __proto__: null, actual, expected, message, operator: "deepStrictEqual", stackStartFn };
    const error = new AssertionError(options);
    define(error, "operator", operator);
    throw error;
  }
  const keys = ObjectKeys(expected);
  if (isError(expected)) {
    ArrayPrototypePush(keys, "name", "message");
  } else if (keys.length === 0) {
    const text = `The argument 'error' may not be an empty object. Received ${inspect(expected)}`;
    throw codedTypeError("ERR_INVALID_ARG_VALUE", text, stackStartFn);
  }
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    if (matchesMember(actual[key], expected[key])) continue;
    if (key in actual && isDeepStrictEqual(actual[key], expected[key])) continue;
    if (message) raise(operator, actual, expected, message, stackStartFn);
    raiseProperties(operator, actual, expected, keys, stackStartFn);
  }
}

function matchesMember(value, pattern) {
  return typeof value === "string" && isRegExp(pattern) && RegExpPrototypeExec(pattern, value) !== null;
}

// Only the compared properties are shown, under this name.
class Comparison {
  constructor(source, keys, actual) {
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      if (!(key in source)) continue;
      const matches = actual !== undefined && matchesMember(actual[key], source[key]);
      define(this, key, matches ? actual[key] : source[key]);
    }
  }
}

function raiseProperties(operator, actual, expected, keys, stackStartFn) {
  const error = new AssertionError({
    __proto__: null,
    actual: new Comparison(actual, keys),
    expected: new Comparison(expected, keys, actual),
    operator: "deepStrictEqual",
    stackStartFn,
  });
  define(error, "actual", actual);
  define(error, "expected", expected);
  define(error, "operator", operator);
  throw error;
}

function requireNoException(operator, actual, args, stackStartFn) {
  if (actual === NO_EXCEPTION) return;
  let expected = item(args, 0);
  let message = item(args, 1);
  if (typeof expected === "string") {
    message = expected;
    expected = undefined;
  }
  if (expected && !isUnwanted(actual, expected)) throw actual;
  const noun = operator === "doesNotReject" ? "rejection" : "exception";
  const text = `Got unwanted ${noun}${message ? `: ${message}` : "."}\nActual message: "${actual && actual.message}"`;
  raise(operator, actual, expected, text, stackStartFn);
}

function isUnwanted(actual, expected) {
  if (typeof expected !== "function") {
    if (isRegExp(expected)) return RegExpPrototypeExec(expected, String(actual)) !== null;
    throw invalidArgumentType("expected", "of type function or an instance of RegExp", expected);
  }
  if (expected.prototype !== undefined && actual instanceof expected) return true;
  if (ObjectPrototypeIsPrototypeOf(Error, expected)) return false;
  return FunctionPrototypeCall(expected, {}, actual) === true;
}

const functions = {
  __proto__: null,
  fail,
  AssertionError,
  ok,
  equal,
  notEqual,
  deepEqual,
  notDeepEqual,
  deepStrictEqual,
  notDeepStrictEqual,
  partialDeepStrictEqual,
  strictEqual,
  notStrictEqual,
  throws,
  rejects,
  doesNotThrow,
  doesNotReject,
  ifError,
  match,
  doesNotMatch,
};
const strictNames = {
  __proto__: null,
  equal: strictEqual,
  notEqual: notStrictEqual,
  deepEqual: deepStrictEqual,
  notDeepEqual: notDeepStrictEqual,
  strict,
};

function defineAll(target, members) {
  const names = ObjectKeys(members);
  for (let i = 0; i < names.length; i++) define(target, names[i], members[names[i]]);
  return target;
}

exports.default = defineAll(defineAll(ok, functions), { __proto__: null, strict });
exports.strict = defineAll(defineAll(strict, functions), strictNames);
