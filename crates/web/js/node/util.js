"use strict";
// node:util, the part of it that tests and small libraries use. https://nodejs.org/docs/latest-v20.x/api/util.html
// exports.default is the module's object.
//
// natives.valueKind: see node/comparisons.

const {
  ArrayBufferIsView, ArrayPrototypePush, BigIntPrototypeToString, FunctionPrototypeToString, JSONStringify, Number,
  NumberParseFloat, NumberParseInt, NumberPrototypeToString, ObjectDefineProperty, ObjectGetPrototypeOf, ObjectIs, ObjectSetPrototypeOf, Promise,
  ReflectApply, ReflectConstruct, ReflectGetOwnPropertyDescriptor, ReflectOwnKeys, SafeSet, String, StringPrototypeCharCodeAt,
  StringPrototypeIncludes, StringPrototypeSlice, SymbolFor, TypedArrayPrototypeGetSymbolToStringTag,
  globalThis,
} = primordials;
const { inspect } = require("web/inspect");
const { isDeepStrictEqual } = require("web/node/comparisons");
const { invalidArgumentType } = require("web/node/assertion-error");

const KINDS = [
  "External", "Date", "ArgumentsObject", "BigIntObject", "BooleanObject", "NumberObject", "StringObject",
  "SymbolObject", "NativeError", "RegExp", "GeneratorObject", "Promise", "Map", "Set", "MapIterator",
  "SetIterator", "WeakMap", "WeakSet", "ArrayBuffer", "DataView", "SharedArrayBuffer", "Proxy",
  "ModuleNamespaceObject", "TypedArray",
];
const UNIONS = {
  __proto__: null,
  isAsyncFunction: ["AsyncFunction", "AsyncGeneratorFunction"],
  isGeneratorFunction: ["GeneratorFunction", "AsyncGeneratorFunction"],
  isAnyArrayBuffer: ["ArrayBuffer", "SharedArrayBuffer"],
  isBoxedPrimitive: ["BooleanObject", "NumberObject", "StringObject", "SymbolObject", "BigIntObject"],
};
const TYPED_ARRAYS = [
  "Uint8Array", "Uint8ClampedArray", "Uint16Array", "Uint32Array", "Int8Array", "Int16Array", "Int32Array",
  "Float32Array", "Float64Array", "BigInt64Array", "BigUint64Array",
];

function makeTypes() {
  const types = { isArrayBufferView: (value) => ArrayBufferIsView(value) };
  for (let i = 0; i < KINDS.length; i++) {
    const kind = KINDS[i];
    addType(types, `is${kind}`, (value) => natives.valueKind(value) === kind);
  }
  for (let i = 0; i < TYPED_ARRAYS.length; i++) {
    const type = TYPED_ARRAYS[i];
    addType(types, `is${type}`, (value) => TypedArrayPrototypeGetSymbolToStringTag(value) === type);
  }
  const names = ReflectOwnKeys(UNIONS);
  for (let i = 0; i < names.length; i++) {
    const kinds = UNIONS[names[i]];
    addType(types, names[i], (value) => isOneOf(natives.valueKind(value), kinds));
  }
  return types;
}

function addType(types, name, test) {
  ObjectDefineProperty(test, "name", { __proto__: null, value: name, configurable: true });
  define(types, name, test);
}

function define(object, key, value) {
  ObjectDefineProperty(object, key, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
}

function isOneOf(kind, kinds) {
  for (let i = 0; i < kinds.length; i++) if (kinds[i] === kind) return true;
  return false;
}

function formatNumber(value) {
  return ObjectIs(value, -0) ? "-0" : NumberPrototypeToString(value, 10);
}

function formatNumeric(value, parse) {
  if (typeof value === "bigint") return `${BigIntPrototypeToString(value, 10)}n`;
  return typeof value === "symbol" ? "NaN" : formatNumber(parse(value));
}

function formatString(value) {
  if (typeof value === "number") return formatNumber(value);
  if (typeof value === "bigint") return `${BigIntPrototypeToString(value, 10)}n`;
  if (typeof value !== "object" || value === null || hasOwnText(value)) return String(value);
  return inspect(value, { __proto__: null, depth: 0, compact: 3 });
}

// Whether the object has a toString that is written in JavaScript, as guest classes and the runtime's own have.
function hasOwnText(value) {
  const toString = value.toString;
  if (typeof toString !== "function") return false;
  return !StringPrototypeIncludes(FunctionPrototypeToString(toString), "[native code]");
}

function formatJson(value) {
  try {
    return String(JSONStringify(value));
  } catch (error) {
    if (StringPrototypeIncludes(String(error?.message), "circular structure")) return "[Circular]";
    throw error;
  }
}

function formatDirective(directive, value) {
  switch (directive) {
    case 115: // s
      return formatString(value);
    case 100: // d
      return formatNumeric(value, typeof value === "object" ? numberOfObject : Number);
    case 105: // i
      return formatNumeric(value, NumberParseInt);
    case 102: // f
      return typeof value === "symbol" ? "NaN" : formatNumber(NumberParseFloat(value));
    case 106: // j
      return formatJson(value);
    case 79: // O
      return inspect(value);
    case 111: // o
      return inspect(value, { __proto__: null, showHidden: true, showProxy: true, depth: 4 });
    case 99: // c: styles for a console that has them
      return "";
    default:
      return undefined;
  }
}

// %d shows an object as NaN without calling it back.
function numberOfObject(value) {
  return value === null ? 0 : NaN;
}

function format(...args) {
  const first = args.length > 0 ? args[0] : undefined;
  let text = "";
  let next = 0;
  if (typeof first === "string") {
    next = 1;
    if (args.length === 1) return first;
    let start = 0;
    for (let i = 0; i < first.length - 1; i++) {
      if (StringPrototypeCharCodeAt(first, i) !== 37) continue;
      const directive = StringPrototypeCharCodeAt(first, i + 1);
      if (directive === 37) {
        text += StringPrototypeSlice(first, start, ++i);
        start = i + 1;
        continue;
      }
      if (next >= args.length) continue;
      const shown = formatDirective(directive, args[next]);
      if (shown === undefined) continue;
      next++;
      text += StringPrototypeSlice(first, start, i++) + shown;
      start = i + 1;
    }
    text += StringPrototypeSlice(first, start);
  }
  for (; next < args.length; next++) {
    const value = args[next];
    text += (next === 0 ? "" : " ") + (typeof value === "string" ? value : inspect(value));
  }
  return text;
}

const customPromisify = SymbolFor("nodejs.util.promisify.custom");

function promisify(original) {
  if (typeof original !== "function") throw invalidArgumentType("original", "of type function", original);
  const custom = original[customPromisify];
  if (custom !== undefined && custom !== null) {
    if (typeof custom !== "function") throw invalidArgumentType("util.promisify.custom", "of type function", custom);
    return markPromisified(custom);
  }
  function promisified(...args) {
    return new Promise((resolve, reject) => {
      ArrayPrototypePush(args, (error, value) => {
        if (error) reject(error);
        else resolve(value);
      });
      ReflectApply(original, this, args);
    });
  }
  ObjectSetPrototypeOf(promisified, ObjectGetPrototypeOf(original));
  markPromisified(promisified);
  const keys = ReflectOwnKeys(original);
  for (let i = 0; i < keys.length; i++) {
    ObjectDefineProperty(promisified, keys[i], ReflectGetOwnPropertyDescriptor(original, keys[i]));
  }
  return promisified;
}
define(promisify, "custom", customPromisify);

function markPromisified(fn) {
  const mark = { __proto__: null, value: fn, enumerable: false, writable: false, configurable: true };
  return ObjectDefineProperty(fn, customPromisify, mark);
}

function inherits(constructor, superConstructor) {
  if (constructor === undefined || constructor === null) {
    throw invalidArgumentType("ctor", "of type function", constructor);
  }
  if (superConstructor === undefined || superConstructor === null) {
    throw invalidArgumentType("superCtor", "of type function", superConstructor);
  }
  if (superConstructor.prototype === undefined) {
    throw invalidArgumentType("superCtor.prototype", "of type object", superConstructor.prototype);
  }
  const value = superConstructor;
  ObjectDefineProperty(constructor, "super_", { __proto__: null, value, writable: true, configurable: true });
  ObjectSetPrototypeOf(constructor.prototype, superConstructor.prototype);
}

const warnedCodes = new SafeSet();

function deprecate(fn, message, code) {
  if (typeof fn !== "function") throw invalidArgumentType("fn", "of type function", fn);
  let warned = false;
  function deprecated(...args) {
    if (!warned) {
      warned = true;
      warnOnce(message, code);
    }
    if (new.target) return ReflectConstruct(fn, args, new.target);
    return ReflectApply(fn, this, args);
  }
  ObjectSetPrototypeOf(deprecated, fn);
  // instanceof has to work with the deprecated constructor too.
  if (fn.prototype) deprecated.prototype = fn.prototype;
  return deprecated;
}

function warnOnce(message, code) {
  if (code !== undefined) {
    if (warnedCodes.has(code)) return;
    warnedCodes.add(code);
  }
  globalThis.console?.warn(`${code === undefined ? "" : `[${code}] `}DeprecationWarning: ${message}`);
}

exports.default = {
  deprecate,
  format,
  inherits,
  inspect,
  isDeepStrictEqual,
  promisify,
  types: makeTypes(),
  TextDecoder: globalThis.TextDecoder,
  TextEncoder: globalThis.TextEncoder,
};
