"use strict";
// The constructors of `Intl`, counted: what they make lies in memory that V8 tells nobody of, some tens of kilobytes each.
// https://tc39.es/ecma402/
//
// natives.countForeign() counts one more object; now and then the runtime looks how many are left

const { ObjectDefineProperty, ObjectGetOwnPropertyNames, Proxy, ReflectApply, ReflectConstruct, globalThis } = primordials;

const { Intl } = globalThis;

const handler = {
  __proto__: null,
  construct(target, args, newTarget) {
    natives.countForeign();
    // The constructor itself stands behind the proxy, whose prototype is the same.
    return ReflectConstruct(target, args, newTarget.prototype === target.prototype ? target : newTarget);
  },
  apply(target, receiver, args) {
    natives.countForeign();
    return ReflectApply(target, receiver, args);
  },
};

function count(Original) {
  const Counted = new Proxy(Original, handler);
  replace(Original.prototype, "constructor", Counted);
  return Counted;
}

function replace(object, name, value) {
  ObjectDefineProperty(object, name, { __proto__: null, value, writable: true, enumerable: false, configurable: true });
}

const names = ObjectGetOwnPropertyNames(Intl);
for (let i = 0; i < names.length; i++) {
  const value = Intl[names[i]];
  if (typeof value === "function" && typeof value.prototype === "object") replace(Intl, names[i], count(value));
}

const { segment } = Intl.Segmenter.prototype;
const counted = {
  segment(string) {
    natives.countForeign();
    return ReflectApply(segment, this, [string]);
  },
};
replace(Intl.Segmenter.prototype, "segment", counted.segment);
