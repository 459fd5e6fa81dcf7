"use strict";
// Deep equality as node:assert and util.isDeepStrictEqual define it: loose (==), strict (Object.is, prototypes, symbol
// keys) and partial (everything in the expected value is found in the actual one).
// https://nodejs.org/docs/latest-v20.x/api/assert.html#comparison-details
//
// natives.valueKind(value): string, never throws: the internal slots that V8 sees, as v8::Value::Is...() without "Is":
//   "Map" "Set" "MapIterator" "SetIterator" "WeakMap" "WeakSet" "WeakRef" "Promise" "Proxy" "Date" "RegExp"
//   "NativeError" "ArrayBuffer" "SharedArrayBuffer" "DataView" "TypedArray" "ArgumentsObject" "GeneratorObject"
//   "AsyncFunction" "GeneratorFunction" "AsyncGeneratorFunction" "BooleanObject" "NumberObject" "StringObject"
//   "SymbolObject" "BigIntObject" "ModuleNamespaceObject" "External"; "" for everything else.
// natives.ownNonIndexKeys(object, withSymbols): array of the own enumerable keys that are not array indices (V8's
//   IndexFilter::kSkipIndices); throws what a proxy's traps throw.

const {
  ArrayBufferPrototypeGetByteLength, ArrayIsArray, ArrayPrototypePush, BigIntPrototypeValueOf,
  BooleanPrototypeValueOf, DataViewPrototypeGetBuffer, DataViewPrototypeGetByteLength,
  DataViewPrototypeGetByteOffset, DatePrototypeGetTime, Error, MapPrototypeForEach, MapPrototypeGet,
  MapPrototypeGetSize, MapPrototypeHas, NumberPrototypeValueOf, ObjectGetOwnPropertySymbols,
  ObjectGetPrototypeOf, ObjectIs, ObjectKeys, ObjectPrototypeHasOwnProperty, ObjectPrototypeIsPrototypeOf,
  ObjectPrototypePropertyIsEnumerable, ObjectPrototypeToString, RegExpPrototypeGetFlags,
  RegExpPrototypeGetSource, SafeMap, SafeSet, SetPrototypeForEach, SetPrototypeGetSize, SetPrototypeHas,
  SharedArrayBufferPrototypeGetByteLength, StringPrototypeValueOf, SymbolPrototypeValueOf,
  TypedArrayPrototypeGetBuffer, TypedArrayPrototypeGetByteLength, TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetLength, TypedArrayPrototypeGetSymbolToStringTag, Uint8Array,
} = primordials;

const LOOSE = 0;
const STRICT = 1;
const PARTIAL = 2;

const isObject = (value) => typeof value === "object" && value !== null;

// In a partial comparison `b` is the expected value; the other modes are symmetric.
function deepEqual(a, b, mode, seen) {
  if (a === b) return a !== 0 || mode === LOOSE || ObjectIs(a, b);
  const bothObjects = isObject(a) && isObject(b);
  if (bothObjects) return equalObjects(a, b, mode, seen);
  if (mode !== LOOSE) return a !== a && b !== b;
  if (isObject(a) || isObject(b)) return false;
  // Not ===: the loose functions are defined by this operator.
  return a == b || (a !== a && b !== b);
}

function equalObjects(a, b, mode, seen) {
  if (mode === STRICT && ObjectGetPrototypeOf(a) !== ObjectGetPrototypeOf(b)) return false;
  const tag = ObjectPrototypeToString(a);
  if (tag !== ObjectPrototypeToString(b)) return false;
  if (ArrayIsArray(a)) {
    const lengthsFit = ArrayIsArray(b) && (mode === PARTIAL ? a.length >= b.length : a.length === b.length);
    return lengthsFit && equalMembers(a, b, "Array", mode, seen);
  }
  if (ArrayIsArray(b)) return false;
  const kind = comparisonKind(a, tag);
  if (kind !== comparisonKind(b, tag)) return false;
  if (kind === "NativeError" && !equalErrors(a, b, mode, seen)) return false;
  if (!equalInternals(a, b, kind, mode)) return false;
  // The runtime's URL keeps its state in private fields, which no comparison of keys sees.
  if (tag === "[object URL]" && a.href !== b.href) return false;
  return equalMembers(a, b, kind, mode, seen);
}

// Heirs of Error that V8 does not know as errors (DOMException) compare as errors, unless they look like plain
// objects. A proxy has no slots of its target: it is compared by what its traps answer, like any object.
function comparisonKind(value, tag) {
  const kind = natives.valueKind(value);
  if (kind !== "" && kind !== "Proxy") return kind;
  return tag !== "[object Object]" && ObjectPrototypeIsPrototypeOf(Error.prototype, value) ? "NativeError" : "";
}

function isError(value) {
  return natives.valueKind(value) === "NativeError" || ObjectPrototypeIsPrototypeOf(Error.prototype, value);
}

// These four are usually not enumerable, so that equalMembers would miss them.
function equalErrors(a, b, mode, seen) {
  if (a.message !== b.message || a.name !== b.name) return false;
  return equalOptionalField(a, b, "cause", mode, seen) && equalOptionalField(a, b, "errors", mode, seen);
}

function equalOptionalField(a, b, key, mode, seen) {
  if (a[key] === b[key] || (mode === PARTIAL && b[key] === undefined)) return true;
  // Entered into `seen` here already: an error can be its own cause.
  return withinCycleGuard(a, b, seen, (guard) => deepEqual(a[key], b[key], mode, guard));
}

function equalInternals(a, b, kind, mode) {
  switch (kind) {
    case "Date":
      return DatePrototypeGetTime(a) === DatePrototypeGetTime(b);
    case "RegExp":
      return (
        RegExpPrototypeGetSource(a) === RegExpPrototypeGetSource(b) &&
        RegExpPrototypeGetFlags(a) === RegExpPrototypeGetFlags(b) &&
        a.lastIndex === b.lastIndex
      );
    case "TypedArray":
      return equalTypedArrays(a, b, mode);
    case "DataView":
    case "ArrayBuffer":
    case "SharedArrayBuffer":
      return equalSequences(bytesOf(a, kind), bytesOf(b, kind), mode);
    case "Map":
      return sizesFit(MapPrototypeGetSize(a), MapPrototypeGetSize(b), mode);
    case "Set":
      return sizesFit(SetPrototypeGetSize(a), SetPrototypeGetSize(b), mode);
    case "NumberObject":
      return ObjectIs(NumberPrototypeValueOf(a), NumberPrototypeValueOf(b));
    case "StringObject":
      return StringPrototypeValueOf(a) === StringPrototypeValueOf(b);
    case "BooleanObject":
      return BooleanPrototypeValueOf(a) === BooleanPrototypeValueOf(b);
    case "BigIntObject":
      return BigIntPrototypeValueOf(a) === BigIntPrototypeValueOf(b);
    case "SymbolObject":
      return SymbolPrototypeValueOf(a) === SymbolPrototypeValueOf(b);
    default:
      return true;
  }
}

function sizesFit(a, b, mode) {
  return mode === PARTIAL ? a >= b : a === b;
}

function equalTypedArrays(a, b, mode) {
  const type = TypedArrayPrototypeGetSymbolToStringTag(a);
  if (type !== TypedArrayPrototypeGetSymbolToStringTag(b)) return false;
  // Equal bytes tell 0 from -0 and find NaN equal to itself, as Object.is does.
  if (mode === STRICT) return equalSequences(bytesOf(a, "TypedArray"), bytesOf(b, "TypedArray"), mode);
  return equalSequences(a, b, mode);
}

function bytesOf(value, kind) {
  let buffer = value;
  let offset = 0;
  let length;
  if (kind === "TypedArray") {
    buffer = TypedArrayPrototypeGetBuffer(value);
    offset = TypedArrayPrototypeGetByteOffset(value);
    length = TypedArrayPrototypeGetByteLength(value);
  } else if (kind === "DataView") {
    buffer = DataViewPrototypeGetBuffer(value);
    offset = DataViewPrototypeGetByteOffset(value);
    length = DataViewPrototypeGetByteLength(value);
  } else if (kind === "ArrayBuffer") {
    length = ArrayBufferPrototypeGetByteLength(value);
  } else {
    length = SharedArrayBufferPrototypeGetByteLength(value);
  }
  // A detached buffer has no bytes and cannot be viewed.
  return length === 0 ? new Uint8Array(0) : new Uint8Array(buffer, offset, length);
}

// Partial: `b` is a subsequence of `a`.
function equalSequences(a, b, mode) {
  const lengthA = TypedArrayPrototypeGetLength(a);
  const lengthB = TypedArrayPrototypeGetLength(b);
  if (!sizesFit(lengthA, lengthB, mode)) return false;
  let found = 0;
  for (let i = 0; i < lengthA && found < lengthB; i++) {
    if (mode === PARTIAL ? ObjectIs(a[i], b[found]) : a[i] === b[found]) found++;
    else if (mode !== PARTIAL) return false;
  }
  return found === lengthB;
}

function comparableKeys(value, kind, mode) {
  if (kind === "Array" || kind === "TypedArray") return natives.ownNonIndexKeys(value, mode !== LOOSE);
  const keys = ObjectKeys(value);
  if (mode === LOOSE) return keys;
  const symbols = ObjectGetOwnPropertySymbols(value);
  for (let i = 0; i < symbols.length; i++) {
    if (ObjectPrototypePropertyIsEnumerable(value, symbols[i])) ArrayPrototypePush(keys, symbols[i]);
  }
  return keys;
}

function equalMembers(a, b, kind, mode, seen) {
  const keys = comparableKeys(b, kind, mode);
  if (mode !== PARTIAL && comparableKeys(a, kind, mode).length !== keys.length) return false;
  for (let i = 0; i < keys.length; i++) {
    if (!ObjectPrototypePropertyIsEnumerable(a, keys[i])) return false;
  }
  const hasItems = kind === "Array" || kind === "Map" || kind === "Set";
  if (keys.length === 0 && !hasItems) return true;
  return withinCycleGuard(a, b, seen, (guard) => {
    if (kind === "Array" && !equalItems(a, b, mode, guard)) return false;
    if ((kind === "Map" || kind === "Set") && !equalCollections(a, b, kind === "Map", mode, guard)) return false;
    for (let i = 0; i < keys.length; i++) {
      if (!deepEqual(a[keys[i]], b[keys[i]], mode, guard)) return false;
    }
    return true;
  });
}

// A pair that is being compared further up is taken as equal: cycles are equal when unrolling them shows no difference.
function withinCycleGuard(a, b, seen, compare) {
  const guard = seen ?? new SafeMap();
  let partners = guard.get(a);
  if (partners === undefined) guard.set(a, (partners = new SafeSet()));
  else if (partners.has(b)) return true;
  partners.add(b);
  const equal = compare(guard);
  partners.delete(b);
  if (partners.size === 0) guard.delete(a);
  return equal;
}

function equalItems(a, b, mode, seen) {
  if (mode === PARTIAL) return containsItems(a, b, seen);
  for (let i = 0; i < a.length; i++) {
    const present = ObjectPrototypeHasOwnProperty(a, i);
    if (present !== ObjectPrototypeHasOwnProperty(b, i)) return false;
    if (!present) return equalSparseTails(a, b, i, mode, seen);
    if (!deepEqual(a[i], b[i], mode, seen)) return false;
  }
  return true;
}

// From the first hole on by keys: the length of a sparse array says nothing about how much is in it.
function equalSparseTails(a, b, start, mode, seen) {
  const keys = ObjectKeys(a);
  if (keys.length !== ObjectKeys(b).length) return false;
  for (let i = start; i < keys.length; i++) {
    if (!ObjectPrototypeHasOwnProperty(b, keys[i]) || !deepEqual(a[keys[i]], b[keys[i]], mode, seen)) return false;
  }
  return true;
}

// The items of `b` occur in `a` in the same order. A hole in `a` gives nothing, one in `b` asks for nothing.
function containsItems(a, b, seen) {
  const wanted = ObjectKeys(b);
  // Index keys come first among the own keys.
  const items = wanted.length - natives.ownNonIndexKeys(b, false).length;
  let at = 0;
  for (let i = 0; i < items; i++) {
    const item = b[wanted[i]];
    while (at < a.length && !(ObjectPrototypeHasOwnProperty(a, at) && deepEqual(a[at], item, PARTIAL, seen))) at++;
    if (at++ >= a.length) return false;
  }
  return true;
}

// A Set is compared as a Map without values.
function equalCollections(a, b, isMap, mode, seen) {
  const settled = new SafeSet();
  const needed = [];
  const expected = collectionKeys(b, isMap);
  for (let i = 0; i < expected.length; i++) {
    const key = expected[i];
    if (hasKey(a, key, isMap) && equalValues(a, key, b, key, isMap, mode, seen)) {
      settled.add(key);
      continue;
    }
    if (!isObject(key) && (mode !== LOOSE || !mayMatchLoosely(a, b, key, isMap))) return false;
    ArrayPrototypePush(needed, key);
  }
  const candidates = [];
  const actual = collectionKeys(a, isMap);
  for (let i = 0; i < actual.length; i++) {
    if (!settled.has(actual[i]) && (isObject(actual[i]) || mode === LOOSE)) ArrayPrototypePush(candidates, actual[i]);
  }
  if (!sizesFit(candidates.length, needed.length, mode)) return false;
  const search = {
    __proto__: null, a, b, isMap, mode, seen, candidates, needed, holders: new SafeMap(), tried: null, free: 0,
  };
  for (let i = 0; i < needed.length; i++) {
    search.tried = new SafeSet();
    if (!claimCandidate(search, i)) return false;
  }
  return true;
}

function collectionKeys(collection, isMap) {
  const keys = [];
  if (isMap) MapPrototypeForEach(collection, (_value, key) => ArrayPrototypePush(keys, key));
  else SetPrototypeForEach(collection, (key) => ArrayPrototypePush(keys, key));
  return keys;
}

function hasKey(collection, key, isMap) {
  return isMap ? MapPrototypeHas(collection, key) : SetPrototypeHas(collection, key);
}

function equalValues(a, keyA, b, keyB, isMap, mode, seen) {
  return !isMap || deepEqual(MapPrototypeGet(a, keyA), MapPrototypeGet(b, keyB), mode, seen);
}

// null and undefined equal only each other, so both must not stand on the same side.
function mayMatchLoosely(a, b, key, isMap) {
  if (key !== null && key !== undefined) return true;
  const partner = key === null ? undefined : null;
  return hasKey(a, partner, isMap) && !hasKey(b, partner, isMap);
}

// One step of Kuhn's bipartite matching. For deep equality, which is transitive, the first fit is as good as any
// other; "contains" is not symmetric, and an earlier claim may have to move to another candidate.
function claimCandidate(search, index) {
  const { a, b, isMap, mode, seen, candidates, holders, tried } = search;
  const key = search.needed[index];
  // Equal collections are mostly in the same order: not from the start again over what is held for good.
  if (mode !== PARTIAL) while (holders.has(search.free)) search.free++;
  for (let i = search.free; i < candidates.length; i++) {
    const holder = holders.get(i);
    if (tried.has(i) || (holder !== undefined && mode !== PARTIAL)) continue;
    if (!deepEqual(candidates[i], key, mode, seen)) continue;
    if (!equalValues(a, candidates[i], b, key, isMap, mode, seen)) continue;
    tried.add(i);
    if (holder === undefined || claimCandidate(search, holder)) {
      holders.set(i, index);
      return true;
    }
  }
  return false;
}

exports.isError = isError;
exports.isDeepEqual = (a, b) => deepEqual(a, b, LOOSE, undefined);
exports.isDeepStrictEqual = (a, b) => deepEqual(a, b, STRICT, undefined);
exports.isPartialDeepStrictEqual = (actual, expected) => deepEqual(actual, expected, PARTIAL, undefined);
