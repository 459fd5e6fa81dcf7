// Puts accessors on the prototypes that a guest can reach, and notes what they are called with. Nothing here reads what it has
// patched: objects of this file have no prototype, lists are linked.

const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, setPrototypeOf } = Object;
const { ownKeys } = Reflect;
const { hasOwn } = Object;
const apply = Function.prototype.call.bind(Function.prototype.apply);
const has = Function.prototype.call.bind(WeakSet.prototype.has);
const add = Function.prototype.call.bind(WeakSet.prototype.add);
const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";

// What the guest has made or been given, and what it can reach without any call.
const known = new WeakSet();

export function note(value) {
  if (!isObject(value) || has(known, value)) return value;
  add(known, value);
  let keys;
  try {
    keys = ownKeys(value);
  } catch {
    return value;
  }
  for (let i = 0; i < keys.length && i < 500; i++) {
    let descriptor;
    try {
      descriptor = getOwnPropertyDescriptor(value, keys[i]);
    } catch {
      return value;
    }
    if (descriptor === undefined) continue;
    setPrototypeOf(descriptor, null);
    note(descriptor.value);
    note(descriptor.get);
    note(descriptor.set);
  }
  note(getPrototypeOf(value));
  return value;
}

const typedArray = getPrototypeOf(Uint8Array);
const arrayIterator = getPrototypeOf([][Symbol.iterator]());
export const prototypes = [
  Object.prototype, Array.prototype, Function.prototype, Promise.prototype, Error.prototype, TypeError.prototype, Map.prototype,
  Set.prototype, WeakMap.prototype, RegExp.prototype, String.prototype, Number.prototype, Boolean.prototype, Symbol.prototype,
  BigInt.prototype, Date.prototype, Iterator.prototype, arrayIterator, getPrototypeOf(arrayIterator),
  getPrototypeOf(new Map().entries()), getPrototypeOf(function* () {}).prototype, getPrototypeOf(async function* () {}).prototype,
  getPrototypeOf(async () => {}), typedArray.prototype, Uint8Array.prototype, ArrayBuffer.prototype, DataView.prototype,
];

// What only the language itself asks for, of whatever it is given, and so may be asked of what is known.
let calls;

// Calls of accessors on objects that no guest knows: [key, what], as a text.
let unknown;

function shape(value) {
  if (typeof value === "function") return "a function";
  let text = "";
  const keys = ownKeys(value);
  for (let i = 0; i < keys.length && i < 6; i++) text += (i === 0 ? "" : ", ") + (typeof keys[i] === "symbol" ? "symbol" : keys[i]);
  return `{ ${text} }`;
}

function heard(how, key, receiver, value) {
  const name = typeof key === "symbol" ? `[${key.description}]` : key;
  const isNew = (object) => isObject(object) && !has(known, object);
  if (isNew(receiver)) {
    // Whether the guest is given it comes out later.
    calls = { __proto__: null, how, name, receiver, before: calls };
  }
  if (how === "set" && isNew(value)) unknown += `${name} was given ${shape(value)}; `;
}

// What V8 looks up on promises, lists and buffers, and gives as it was.
function listen(undone) {
  const replace = (object, key, descriptor) => {
    undone = { __proto__: null, object, key, original: getOwnPropertyDescriptor(object, key), before: undone };
    setPrototypeOf(undone.original, null);
    note(descriptor.get);
    note(descriptor.value);
    defineProperty(object, key, { __proto__: null, ...descriptor, configurable: true });
  };
  const classes = [Promise, Array, typedArray, Uint8Array, ArrayBuffer, RegExp];
  for (let i = 0; i < classes.length; i++) {
    const Class = classes[i];
    const original = Class.prototype.constructor;
    const get = function () {
      heard("get", "constructor", this, undefined);
      return original;
    };
    replace(Class.prototype, "constructor", { __proto__: null, get });
    if (!hasOwn(Class, Symbol.species)) continue;
    replace(Class, Symbol.species, { __proto__: null, get() { return this; } });
  }
  const methods = [Promise.prototype, "then", Promise.prototype, "catch", Promise.prototype, "finally", RegExp.prototype, "exec",
    Array.prototype, Symbol.iterator, Map.prototype, Symbol.iterator, Set.prototype, Symbol.iterator];
  for (let i = 0; i < methods.length; i += 2) {
    const method = methods[i][methods[i + 1]];
    const value = function (one, other) {
      heard("call", methods[i + 1], this, undefined);
      return note(apply(method, this, [one, other]));
    };
    replace(methods[i], methods[i + 1], { __proto__: null, value, writable: true });
  }
  return undone;
}

// -> { undo(), unknown() }. `keys`: strings; `answer(key)`: what a getter gives; `promises`: whether to listen to what V8
// looks up, too.
export function patch(keys, symbols, answer, among, promises) {
  calls = undefined;
  unknown = "";
  let undone;
  const accessor = (key) => ({
    __proto__: null,
    get() {
      heard("get", key, this, undefined);
      return answer(key);
    },
    set(value) {
      heard("set", key, this, value);
    },
    configurable: true,
  });
  const define = (key) => {
    const descriptor = accessor(key);
    note(descriptor.get);
    note(descriptor.set);
    // What is there already is the language's own.
    let free;
    for (let i = 0; i < among.length; i++) {
      if (!(key in among[i])) free = { __proto__: null, object: among[i], before: free };
    }
    for (; free !== undefined; free = free.before) {
      if (hasOwn(free.object, key)) continue;
      defineProperty(free.object, key, descriptor);
      undone = { __proto__: null, object: free.object, key, original: undefined, before: undone };
    }
  };
  for (let i = 0; i < keys.length; i++) define(keys[i]);
  for (let i = 0; i < symbols.length; i++) define(symbols[i]);
  if (promises) undone = listen(undone);
  return {
    __proto__: null,
    undo() {
      for (; undone !== undefined; undone = undone.before) {
        if (undone.original === undefined) delete undone.object[undone.key];
        else defineProperty(undone.object, undone.key, undone.original);
      }
    },
    // After undo().
    unknown() {
      let text = unknown;
      for (let call = calls; call !== undefined; call = call.before) {
        if (!has(known, call.receiver)) text += `${call.how} ${call.name} of ${shape(call.receiver)}; `;
      }
      return text;
    },
  };
}

note(globalThis);
for (const prototype of prototypes) note(prototype);
