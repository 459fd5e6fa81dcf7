"use strict";
// What tail Workers get: console arguments as data, and the events as objects.

const {
  ArrayIsArray, ArrayPrototypeJoin, ArrayPrototypePush, JSONParse, JSONStringify, ObjectDefineProperty,
  ObjectGetPrototypeOf, ObjectPrototypeHasOwnProperty,
} = primordials;
const { isPlain } = require("rpc/values");

// Console arguments for a trace, by the reference's rules: primitives, arrays, plain objects and what has a toJSON as
// JSON, everything else as text, and what is neither as {}.
exports.argumentsText = (args) => {
  const parts = [];
  for (let i = 0; i < args.length; i++) {
    let text;
    try {
      text = argumentText(args[i]);
    } catch {
      // Cycles, symbols, hostile getters.
    }
    ArrayPrototypePush(parts, text ?? "{}");
  }
  return `[${ArrayPrototypeJoin(parts, ",")}]`;
};

function argumentText(value) {
  if (value === undefined) return "null";
  const isObject = typeof value === "object" && value !== null;
  const isJson = isObject && (ArrayIsArray(value) || isPlain(value) || ObjectGetPrototypeOf(value) === null);
  const asText = isObject && !isJson && typeof value.toJSON !== "function";
  const text = asText || typeof value === "bigint" || typeof value === "function" ? `${value}` : value;
  return JSONStringify(text);
}

// What tail events carry of requests, with the method by which the reference gives what it redacted.
exports.events = (text) => {
  const events = JSONParse(text);
  const { event } = events[0];
  // Other events have no request, whatever all objects may inherit.
  if (event !== null && ObjectPrototypeHasOwnProperty(event, "request")) {
    const { request } = event;
    const { unredacted } = request;
    delete request.unredacted;
    const getUnredacted = () => ({ ...request, ...unredacted });
    ObjectDefineProperty(request, "getUnredacted", { __proto__: null, value: getUnredacted });
  }
  return events;
};
