"use strict";
// Copies of the language's own functions, taken before any guest code runs, so that a guest who patches
// Array.prototype.push or Promise.prototype.then changes nothing for the runtime. Names follow Node's convention:
// `ArrayPrototypePush(array, item)`, `JSONStringify(value)`, `TypedArrayPrototypeGetByteLength(view)`.
// Only what some script names is kept: each copy weighs in every isolate.
// Body of a function (primordials, global, sources), with the text of all scripts.

const { apply, bind, call } = Function.prototype;
const uncurryThis = bind.bind(call);
const { defineProperty, getOwnPropertyDescriptor, getOwnPropertyNames, getPrototypeOf, setPrototypeOf, freeze } = Object;
const { ownKeys } = Reflect;
const copies = {};

function keyName(key) {
  if (typeof key === "symbol") {
    // Symbol.iterator -> SymbolIterator
    const name = key.description.slice("Symbol.".length);
    return "Symbol" + name[0].toUpperCase() + name.slice(1);
  }
  return key[0].toUpperCase() + key.slice(1);
}

function copyAll(source, prefix, unbound) {
  const keys = ownKeys(source);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    if (typeof key === "symbol" && !(key.description || "").startsWith("Symbol.")) continue;
    const descriptor = getOwnPropertyDescriptor(source, key);
    const name = prefix + keyName(key);
    if (descriptor.get !== undefined) {
      copies[prefix + "Get" + keyName(key)] = unbound ? uncurryThis(descriptor.get) : descriptor.get.bind(source);
    } else if (typeof descriptor.value === "function") {
      if (key === "constructor") continue;
      copies[name] = unbound ? uncurryThis(descriptor.value) : descriptor.value.bind(source);
    } else {
      copies[name] = descriptor.value;
    }
  }
}

for (const name of ["JSON", "Math", "Reflect", "Atomics"]) copyAll(global[name], name, false);

for (const name of [
  "AggregateError", "Array", "ArrayBuffer", "BigInt", "Boolean", "DataView", "Date", "Error", "EvalError",
  "FinalizationRegistry", "Function", "Map", "Number", "Object", "Promise", "Proxy", "RangeError", "ReferenceError",
  "RegExp", "Set", "String", "Symbol", "SyntaxError", "TypeError", "URIError", "WeakMap", "WeakRef", "WeakSet",
  "Uint8Array", "Uint8ClampedArray", "Uint16Array", "Uint32Array", "Int8Array", "Int16Array", "Int32Array",
  "Float32Array", "Float64Array", "BigInt64Array", "BigUint64Array",
]) {
  const original = global[name];
  copies[name] = original;
  if (name === "Promise") {
    for (const method of ["all", "allSettled", "any", "race", "resolve", "reject", "withResolvers"]) {
      copies["Promise" + keyName(method)] = original[method].bind(original);
    }
  } else if (name !== "Proxy" && name !== "Function") {
    copyAll(original, name, false);
  }
  if (original.prototype) copyAll(original.prototype, name + "Prototype", true);
}

const TypedArray = getPrototypeOf(Uint8Array);
copies.TypedArray = TypedArray;
copyAll(TypedArray, "TypedArray", false);
copyAll(TypedArray.prototype, "TypedArrayPrototype", true);
const ArrayIteratorPrototype = getPrototypeOf([][Symbol.iterator]());
copies.ArrayIteratorPrototype = ArrayIteratorPrototype;
copies.ArrayIteratorPrototypeNext = uncurryThis(ArrayIteratorPrototype.next);
copies.IteratorPrototype = getPrototypeOf(ArrayIteratorPrototype);
copies.AsyncIteratorPrototype = getPrototypeOf(getPrototypeOf(async function* () {}).prototype);
copies.AsyncFunctionPrototype = getPrototypeOf(async function () {});
copies.GeneratorPrototype = getPrototypeOf(getPrototypeOf(function* () {}).prototype);

for (const name of ["decodeURI", "decodeURIComponent", "encodeURI", "encodeURIComponent", "parseInt", "parseFloat", "isNaN", "isFinite"]) {
  copies[name] = global[name];
}
copies.globalThis = global;
copies.uncurryThis = uncurryThis;
copies.FunctionPrototypeApply = uncurryThis(apply);
copies.FunctionPrototypeCall = uncurryThis(call);
copies.FunctionPrototypeBind = uncurryThis(bind);
copies.ErrorCaptureStackTrace = Error.captureStackTrace;

// Collections whose methods the runtime calls directly: their prototypes are frozen copies that no guest reaches.
function makeSafe(Original, Safe) {
  const keys = ownKeys(Original.prototype);
  for (let i = 0; i < keys.length; i++) {
    if (keys[i] === "constructor") continue;
    defineProperty(Safe.prototype, keys[i], getOwnPropertyDescriptor(Original.prototype, keys[i]));
  }
  setPrototypeOf(Safe.prototype, null);
  freeze(Safe.prototype);
  return Safe;
}
copies.SafeMap = makeSafe(Map, class SafeMap extends Map {});
copies.SafeSet = makeSafe(Set, class SafeSet extends Set {});
copies.SafeWeakMap = makeSafe(WeakMap, class SafeWeakMap extends WeakMap {});
copies.SafeWeakSet = makeSafe(WeakSet, class SafeWeakSet extends WeakSet {});

// The runtime's own lists: what guests put on Array.prototype or Object.prototype (a setter for "0", `constructor` with a
// species), or in place of the latter, must neither change them nor get hold of them.
const arrayPrototype = Array.prototype;
const objectPrototype = Object.prototype;
function append(array, item) {
  const index = array.length;
  if (getPrototypeOf(arrayPrototype) !== objectPrototype || index in array) {
    defineProperty(array, index, { __proto__: null, value: item, writable: true, enumerable: true, configurable: true });
  } else {
    array[index] = item;
  }
}
copies.ArrayPrototypePush = function (array, item) {
  append(array, item);
  for (let i = 2; i < arguments.length; i++) append(array, arguments[i]);
};
copies.ArrayPrototypeSlice = (array, start = 0, end = array.length) => {
  const copy = [];
  for (let i = start; i < end; i++) append(copy, array[i]);
  return copy;
};

copies.ArrayPrototypeSymbolIterator = uncurryThis(Array.prototype[Symbol.iterator]);
for (const name of getOwnPropertyNames(copies)) {
  if (sources.includes(name)) primordials[name] = copies[name];
}
setPrototypeOf(primordials, null);
freeze(primordials);
