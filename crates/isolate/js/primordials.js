"use strict";
// Copies of the language's own functions, taken before any guest code runs, so that a guest who patches
// Array.prototype.push or Promise.prototype.then changes nothing for the runtime. Names follow Node's convention:
// `ArrayPrototypePush(array, item)`, `JSONStringify(value)`, `TypedArrayPrototypeGetByteLength(view)`.
// Only what some script names is kept: each copy weighs in every isolate.
// Body of a function (primordials, global, sources), with the text of all scripts.

const { apply, bind, call } = Function.prototype;
const uncurryThis = bind.bind(call);
const { defineProperty, getOwnPropertyDescriptor, getOwnPropertyNames, getPrototypeOf, hasOwn, setPrototypeOf, freeze } = Object;
const { ownKeys } = Reflect;
const OriginalPromise = Promise;
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
    copies.PromiseReject = original.reject.bind(original);
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

// Descriptors without a prototype: in what they do not say, nothing of Object.prototype must be found.
function withoutPrototype(describe) {
  return (object, key) => {
    const descriptor = describe(object, key);
    if (descriptor !== undefined) setPrototypeOf(descriptor, null);
    return descriptor;
  };
}
const describe = withoutPrototype(getOwnPropertyDescriptor);
copies.ObjectGetOwnPropertyDescriptor = describe;
copies.ReflectGetOwnPropertyDescriptor = withoutPrototype(Reflect.getOwnPropertyDescriptor);

// Promises. V8 asks each for its `constructor` and that for its species, and one that another promise or `await` waits for
// for its `then`: all of them can be a guest's. While they are not, the language's own functions do; once they are, a
// promise gets properties of its own for as long as V8 asks. Not always: the first such property would slow down every
// promise of the isolate.
const promisePrototype = OriginalPromise.prototype;
const originalThen = promisePrototype.then;
const originalSpecies = getOwnPropertyDescriptor(OriginalPromise, Symbol.species).get;
const { species } = Symbol;
const then = uncurryThis(originalThen);
const resolve = OriginalPromise.resolve.bind(OriginalPromise);
const tryDefine = Reflect.defineProperty;

function leadsToPromise() {
  const constructor = getOwnPropertyDescriptor(promisePrototype, "constructor");
  if (constructor === undefined || !hasOwn(constructor, "value") || constructor.value !== OriginalPromise) return false;
  const accessor = getOwnPropertyDescriptor(OriginalPromise, species);
  return accessor !== undefined && hasOwn(accessor, "get") && accessor.get === originalSpecies;
}

function isOrdinary(promise) {
  return getPrototypeOf(promise) === promisePrototype && !hasOwn(promise, "constructor") && leadsToPromise();
}

function hide(object, key, value) {
  return tryDefine(object, key, { __proto__: null, value, writable: true, enumerable: false, configurable: true });
}

// Without a constructor a promise leads to none but Promise itself.
function thenApart(promise, fulfilled, rejected) {
  const own = describe(promise, "constructor");
  // A guest has frozen it: one of our own waits for it.
  if (!hide(promise, "constructor", undefined)) {
    return thenApart(new OriginalPromise((settle) => settle(promise)), fulfilled, rejected);
  }
  try {
    return then(promise, fulfilled, rejected);
  } finally {
    if (own === undefined) delete promise.constructor;
    else defineProperty(promise, "constructor", own);
  }
}

// `promise` must be one. The result is an ordinary promise.
copies.PromisePrototypeThen = (promise, fulfilled, rejected) =>
  isOrdinary(promise) ? then(promise, fulfilled, rejected) : thenApart(promise, fulfilled, rejected);

copies.PromiseResolve = (value) => {
  if (typeof value !== "object" || value === null || leadsToPromise()) return resolve(value);
  if (getPrototypeOf(value) !== promisePrototype || hasOwn(value, "constructor")) return resolve(value);
  try {
    return thenApart(value, undefined, undefined);
  } catch {
    // It only looks like a promise.
    return resolve(value);
  }
};

// For `await`, and for what a function gives that V8 calls for a promise: a promise of the runtime's own, which V8 then waits
// for without a guest hearing of it.
copies.PromiseGuarded = (promise) => {
  const method = getOwnPropertyDescriptor(promisePrototype, "then");
  const isOriginal = method !== undefined && hasOwn(method, "value") && method.value === originalThen;
  if (isOriginal && isOrdinary(promise)) return promise;
  const guarded = thenApart(promise, undefined, undefined);
  hide(guarded, "constructor", undefined);
  hide(guarded, "then", originalThen);
  return guarded;
};

copies.ArrayPrototypeSymbolIterator = uncurryThis(Array.prototype[Symbol.iterator]);
for (const name of getOwnPropertyNames(copies)) {
  // The runtime itself calls PromisePrototypeThen.
  if (sources.includes(name) || name === "PromisePrototypeThen") primordials[name] = copies[name];
}
setPrototypeOf(primordials, null);
freeze(primordials);
