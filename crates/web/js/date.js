"use strict";
// Date on the invocation's clock: 0 at module top level, where there is no invocation.
// https://tc39.es/ecma262/#sec-date-constructor

const { Date: OriginalDate, DatePrototypeToString, ObjectDefineProperty, ReflectConstruct, globalThis } = primordials;

function Date(...args) {
  if (new.target === undefined) return DatePrototypeToString(new OriginalDate(natives.dateNow()));
  if (args.length === 0) args = [natives.dateNow()];
  return ReflectConstruct(OriginalDate, args, new.target);
}

function define(target, key, value, enumerable = false) {
  ObjectDefineProperty(target, key, { __proto__: null, value, writable: true, enumerable, configurable: true });
}

ObjectDefineProperty(Date, "prototype", { __proto__: null, value: OriginalDate.prototype, writable: false });
ObjectDefineProperty(Date, "length", { __proto__: null, value: 7, configurable: true });
define(OriginalDate.prototype, "constructor", Date);
define(Date, "now", natives.dateNow);
ObjectDefineProperty(natives.dateNow, "name", { __proto__: null, value: "now", configurable: true });
define(Date, "parse", OriginalDate.parse);
define(Date, "UTC", OriginalDate.UTC);
define(globalThis, "Date", Date);
