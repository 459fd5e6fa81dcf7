"use strict";
// `ArrayBuffer` and `SharedArrayBuffer` with a bound on those that can change their size: each reserves a piece of the
// process's address space, of which Linux gives a process some 65,000, and V8 aborts it when there are none left. A script
// of ours stands before V8's constructors for that; all else is V8's own.
// https://tc39.es/ecma262/#sec-arraybuffer-constructor
//
// natives.holdResizable() -> whether there may be one more; natives.releaseResizable()

const { FinalizationRegistry, FinalizationRegistryPrototypeRegister, ObjectDefineProperty, Proxy, RangeError, ReflectConstruct, globalThis } =
  primordials;

// Made on first use: the snapshot cannot hold one.
let collected;

function construct(target, args, as) {
  const options = args.length > 1 ? args[1] : undefined;
  const most = typeof options === "object" && options !== null ? options.maxByteLength : undefined;
  if (most === undefined) return ReflectConstruct(target, args.length > 0 ? [args[0]] : [], as);
  if (!natives.holdResizable()) {
    throw new RangeError("Array buffer allocation failed: there are too many resizable buffers");
  }
  let buffer;
  try {
    buffer = ReflectConstruct(target, [args[0], { maxByteLength: most }], as);
  } finally {
    if (buffer === undefined) natives.releaseResizable();
  }
  collected ??= new FinalizationRegistry(() => natives.releaseResizable());
  FinalizationRegistryPrototypeRegister(collected, buffer, undefined);
  return buffer;
}

function count(name) {
  const Original = globalThis[name];
  const Counted = new Proxy(Original, {
    __proto__: null,
    construct: (target, args, newTarget) => construct(target, args, newTarget === Counted ? target : newTarget),
  });
  ObjectDefineProperty(Original.prototype, "constructor", {
    __proto__: null, value: Counted, writable: true, enumerable: false, configurable: true,
  });
  ObjectDefineProperty(globalThis, name, {
    __proto__: null, value: Counted, writable: true, enumerable: false, configurable: true,
  });
}
count("ArrayBuffer");
count("SharedArrayBuffer");
