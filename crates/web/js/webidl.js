"use strict";
// What Web IDL asks of every interface written in JavaScript: enumerable members, binding errors, pair lists and
// their iterators, the sequence-or-record union and BufferSource. https://webidl.spec.whatwg.org/
const {
  ArrayBufferIsView,
  ArrayBufferPrototypeGetByteLength,
  ArrayPrototypePush,
  DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteLength,
  DataViewPrototypeGetByteOffset,
  IteratorPrototype,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectSetPrototypeOf,
  ReflectApply,
  ReflectGetOwnPropertyDescriptor,
  ReflectOwnKeys,
  SymbolIterator,
  SymbolToStringTag,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
  Uint8Array,
} = primordials;

function illegalInvocation() {
  return new TypeError(
    "Illegal invocation: function called with incorrect `this` reference. See " +
      "https://developers.cloudflare.com/workers/observability/errors/#illegal-invocation-errors for details.",
  );
}

// `operation` is empty for a constructor; `position` counts from 1.
function argumentError(interfaceName, operation, position, type) {
  const where =
    operation === ""
      ? `Failed to construct '${interfaceName}': constructor parameter`
      : `Failed to execute '${operation}' on '${interfaceName}': parameter`;
  return new TypeError(`${where} ${position} is not of type '${type}'.`);
}

// Class syntax makes members non-enumerable, Web IDL wants them enumerable; constants go on both objects.
function defineInterface(Class, name, constants = null) {
  const prototype = Class.prototype;
  require("web/clone").registerInterface(prototype);
  const keys = ReflectOwnKeys(prototype);
  for (let i = 0; i < keys.length; i++) {
    if (keys[i] !== "constructor") ObjectDefineProperty(prototype, keys[i], { __proto__: null, enumerable: true });
  }
  const statics = ReflectOwnKeys(Class);
  for (let i = 0; i < statics.length; i++) {
    if (typeof Class[statics[i]] !== "function") continue;
    ObjectDefineProperty(Class, statics[i], { __proto__: null, enumerable: true });
  }
  ObjectDefineProperty(prototype, SymbolToStringTag, { __proto__: null, value: name, configurable: true });
  if (constants === null) return;
  const constantNames = ReflectOwnKeys(constants);
  for (let i = 0; i < constantNames.length; i++) {
    const constant = { __proto__: null, value: constants[constantNames[i]], enumerable: true };
    ObjectDefineProperty(Class, constantNames[i], constant);
    ObjectDefineProperty(prototype, constantNames[i], constant);
  }
}

// Default iterator object of a pair iterator. It reads the list that it was made with: what is added or deleted meanwhile
// shows where that list is the live one, as the standard wants.
class PairIterator {
  #pairs;
  #kind;
  #index = 0;

  constructor(prototype, pairs, kind) {
    this.#pairs = pairs;
    this.#kind = kind;
    ObjectSetPrototypeOf(this, prototype);
  }

  next() {
    if (!(#pairs in this)) throw illegalInvocation();
    const pairs = this.#pairs;
    const index = this.#index;
    if (index >= pairs.length) return { value: undefined, done: true };
    this.#index = index + 2;
    const kind = this.#kind;
    if (kind === "keys") return { value: pairs[index], done: false };
    if (kind === "values") return { value: pairs[index + 1], done: false };
    return { value: [pairs[index], pairs[index + 1]], done: false };
  }
}

const pairIteratorNext = PairIterator.prototype.next;

// iterable<K, V>: `pairsOf(target)` gives the flat list [key, value, ...], the live one or, for Headers, how it is at the
// start of an iteration; it throws for a wrong `this`.
function defineIterable(Class, name, pairsOf) {
  const iteratorPrototype = ObjectCreate(IteratorPrototype, {
    __proto__: null,
    next: { __proto__: null, value: pairIteratorNext, writable: true, enumerable: true, configurable: true },
    [SymbolToStringTag]: { __proto__: null, value: `${name} Iterator`, configurable: true },
  });
  const methods = {
    __proto__: null,
    entries() {
      return new PairIterator(iteratorPrototype, pairsOf(this), "entries");
    },
    keys() {
      return new PairIterator(iteratorPrototype, pairsOf(this), "keys");
    },
    values() {
      return new PairIterator(iteratorPrototype, pairsOf(this), "values");
    },
    forEach(callback, thisArg = undefined) {
      const pairs = pairsOf(this);
      if (typeof callback !== "function") throw argumentError(name, "forEach", 1, "function");
      for (let i = 0; i < pairs.length; i += 2) {
        ReflectApply(callback, thisArg, [pairs[i + 1], pairs[i], this]);
      }
    },
  };
  const names = ReflectOwnKeys(methods);
  for (let i = 0; i < names.length; i++) {
    const value = methods[names[i]];
    ObjectDefineProperty(Class.prototype, names[i], {
      __proto__: null, value, writable: true, enumerable: true, configurable: true,
    });
  }
  ObjectDefineProperty(Class.prototype, SymbolIterator, {
    __proto__: null, value: methods.entries, writable: true, enumerable: false, configurable: true,
  });
}

// A list of pairs is kept flat: [name, value, name, value, ...]. These change it in place, because iterators read
// it, and without splice(), which asks the array's `constructor`, which guest code can replace.

// Removes the pairs of `name` (and of `value`, when given) from index `start` on.
function removePairs(list, start, name, value = undefined) {
  let kept = start;
  for (let i = start; i < list.length; i += 2) {
    if (list[i] === name && (value === undefined || list[i + 1] === value)) continue;
    if (kept !== i) {
      list[kept] = list[i];
      list[kept + 1] = list[i + 1];
    }
    kept += 2;
  }
  list.length = kept;
}

// Gives the first pair of `name` the value and removes the others; appends when there is none.
function setPair(list, name, value) {
  for (let i = 0; i < list.length; i += 2) {
    if (list[i] !== name) continue;
    list[i + 1] = value;
    removePairs(list, i + 2, name);
    return;
  }
  ArrayPrototypePush(list, name, value);
}

function pairValues(list, name) {
  const values = [];
  for (let i = 0; i < list.length; i += 2) if (list[i] === name) ArrayPrototypePush(values, list[i + 1]);
  return values;
}

// (sequence<sequence<string>> or record<string, string>) as a flat list of strings. `for of` is right here:
// the object given by the caller decides how it is iterated.
function flattenPairs(init, lengthError) {
  const flat = [];
  const method = init[SymbolIterator];
  if (method !== undefined && method !== null) {
    for (const pair of init) {
      if ((typeof pair !== "object" && typeof pair !== "function") || pair === null) {
        throw new TypeError("Incorrect type: the provided value is not of type 'Sequence'.");
      }
      let count = 0;
      for (const item of pair) {
        if (++count > 2) break;
        ArrayPrototypePush(flat, `${item}`);
      }
      if (count !== 2) throw new TypeError(lengthError);
    }
    return flat;
  }
  const keys = ReflectOwnKeys(init);
  for (let i = 0; i < keys.length; i++) {
    const descriptor = ReflectGetOwnPropertyDescriptor(init, keys[i]);
    if (descriptor === undefined || !descriptor.enumerable) continue;
    // A symbol is not a string key: the conversion throws the TypeError that Web IDL asks for.
    const key = `${keys[i]}`;
    ArrayPrototypePush(flat, key, `${init[key]}`);
  }
  return flat;
}

// A BufferSource as a Uint8Array of our own over the same memory, or undefined for any other value. A detached
// buffer has no bytes. Never subarray() or slice(): they ask `constructor`, which guest code can replace.
function bytesOfBufferSource(value) {
  if (typeof value !== "object" || value === null) return undefined;
  if (!ArrayBufferIsView(value)) {
    try {
      // Only the getter can tell a real ArrayBuffer: it throws for everything else.
      const length = ArrayBufferPrototypeGetByteLength(value);
      return length === 0 ? new Uint8Array(0) : new Uint8Array(value, 0, length);
    } catch {
      return undefined;
    }
  }
  if (TypedArrayPrototypeGetSymbolToStringTag(value) === undefined) {
    const length = DataViewPrototypeGetByteLength(value);
    return new Uint8Array(DataViewPrototypeGetBuffer(value), DataViewPrototypeGetByteOffset(value), length);
  }
  const length = TypedArrayPrototypeGetByteLength(value);
  if (length === 0) return new Uint8Array(0);
  return new Uint8Array(TypedArrayPrototypeGetBuffer(value), TypedArrayPrototypeGetByteOffset(value), length);
}

exports.illegalInvocation = illegalInvocation;
exports.argumentError = argumentError;
exports.defineInterface = defineInterface;
exports.defineIterable = defineIterable;
exports.removePairs = removePairs;
exports.setPair = setPair;
exports.pairValues = pairValues;
exports.flattenPairs = flattenPairs;
exports.bytesOfBufferSource = bytesOfBufferSource;
