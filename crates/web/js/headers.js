"use strict";
// Headers of the Fetch standard, as Workers have it: no forbidden names, getAll("Set-Cookie"), values may hold any
// Unicode text (it goes over the wire as UTF-8). https://fetch.spec.whatwg.org/#headers-class
//
// natives: none.
const {
  ArrayPrototypePush,
  ArrayPrototypeSlice,
  ArrayPrototypeSort,
  RegExpPrototypeExec,
  StringPrototypeCharCodeAt,
  StringPrototypeSlice,
  StringPrototypeToLowerCase,
  StringPrototypeToWellFormed,
  SymbolIterator,
  TypeError,
} = primordials;
const {
  argumentError,
  defineInterface,
  defineIterable,
  flattenPairs,
  illegalInvocation,
  pairValues,
  removePairs,
  setPair,
} = require("web/webidl");
const clones = require("web/clone");

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const forbiddenInValue = /[\0\r\n]/;

function normalizeName(name) {
  name = `${name}`;
  if (RegExpPrototypeExec(token, name) === null) throw new TypeError("Invalid header name.");
  return StringPrototypeToLowerCase(name);
}

// Strips HTTP whitespace at both ends: https://fetch.spec.whatwg.org/#concept-header-value-normalize
function normalizeValue(value) {
  value = StringPrototypeToWellFormed(`${value}`);
  let start = 0;
  let end = value.length;
  while (start < end && isWhitespace(StringPrototypeCharCodeAt(value, start))) start++;
  while (end > start && isWhitespace(StringPrototypeCharCodeAt(value, end - 1))) end--;
  if (end - start !== value.length) value = StringPrototypeSlice(value, start, end);
  if (RegExpPrototypeExec(forbiddenInValue, value) !== null) {
    throw new TypeError("Invalid header value.");
  }
  return value;
}

function isWhitespace(code) {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

class Headers {
  // [name in lower case, value, ...] in the order of insertion.
  #list = [];
  #immutable = false;
  // The list as iteration shows it; made on demand, dropped by each change and never changed itself: iterators read on
  // in it, as in the reference.
  #sorted = null;

  constructor(init = undefined) {
    if (init === undefined) return;
    if (init === null || (typeof init !== "object" && typeof init !== "function")) {
      throw argumentError("Headers", "", 1, "Headers or Sequence or object");
    }
    // An instance is copied directly, unless somebody gave it another iterator.
    if (#list in init && init[SymbolIterator] === entries) {
      for (let i = 0; i < init.#list.length; i++) ArrayPrototypePush(this.#list, init.#list[i]);
      return;
    }
    const flat = flattenPairs(
      init,
      "To initialize a Headers object from a sequence, each inner sequence must have exactly two elements.",
    );
    for (let i = 0; i < flat.length; i += 2) {
      const name = normalizeName(flat[i]);
      ArrayPrototypePush(this.#list, name, normalizeValue(flat[i + 1]));
    }
  }

  get(name) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 1) throw argumentError("Headers", "get", 1, "string");
    return combine(this.#list, normalizeName(name));
  }

  getAll(name) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 1) throw argumentError("Headers", "getAll", 1, "string");
    if (StringPrototypeToLowerCase(`${name}`) !== "set-cookie") {
      throw new TypeError('getAll() can only be used with the header name "Set-Cookie".');
    }
    return pairValues(this.#list, "set-cookie");
  }

  getSetCookie() {
    if (!(#list in this)) throw illegalInvocation();
    return pairValues(this.#list, "set-cookie");
  }

  has(name) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 1) throw argumentError("Headers", "has", 1, "string");
    name = normalizeName(name);
    for (let i = 0; i < this.#list.length; i += 2) if (this.#list[i] === name) return true;
    return false;
  }

  set(name, value) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 2) throw argumentError("Headers", "set", arguments.length + 1, "string");
    name = normalizeName(name);
    value = normalizeValue(value);
    setPair(this.#changing(), name, value);
  }

  append(name, value) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 2) throw argumentError("Headers", "append", arguments.length + 1, "string");
    name = normalizeName(name);
    value = normalizeValue(value);
    ArrayPrototypePush(this.#changing(), name, value);
  }

  delete(name) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 1) throw argumentError("Headers", "delete", 1, "string");
    name = normalizeName(name);
    removePairs(this.#changing(), 0, name);
  }

  #changing() {
    if (this.#immutable) throw new TypeError("Can't modify immutable headers.");
    this.#sorted = null;
    return this.#list;
  }

  static {
    exports.isHeaders = (value) => typeof value === "object" && value !== null && #list in value;
    // The live list: to be read only, changes go through the class.
    exports.headerList = (headers) => headers.#list;
    exports.copyHeaderList = (headers) => ArrayPrototypeSlice(headers.#list);
    // Takes over `list`, whose names are in lower case and whose values are normalised.
    exports.headersFromList = (list, guard) => {
      const headers = new Headers();
      headers.#list = list;
      headers.#immutable = guard === "immutable";
      return headers;
    };
    // A copy that can be changed as little as the original.
    exports.cloneHeaders = (headers) =>
      exports.headersFromList(exports.copyHeaderList(headers), headers.#immutable ? "immutable" : "none");
    exports.getHeader = (headers, name) => combine(headers.#list, name);
    exports.sortedPairs = (headers) => {
      if (!(#list in headers)) throw illegalInvocation();
      headers.#sorted ??= sortAndCombine(headers.#list);
      return headers.#sorted;
    };
  }
}

function combine(list, name) {
  let combined = null;
  for (let i = 0; i < list.length; i += 2) {
    if (list[i] === name) combined = combined === null ? list[i + 1] : `${combined}, ${list[i + 1]}`;
  }
  return combined;
}

// https://fetch.spec.whatwg.org/#concept-header-list-sort-and-combine
function sortAndCombine(list) {
  const order = [];
  for (let i = 0; i < list.length; i += 2) ArrayPrototypePush(order, i);
  ArrayPrototypeSort(order, (a, b) => (list[a] < list[b] ? -1 : list[a] > list[b] ? 1 : a - b));
  const sorted = [];
  for (let i = 0; i < order.length; i++) {
    const name = list[order[i]];
    const value = list[order[i] + 1];
    const last = sorted.length - 2;
    if (last >= 0 && sorted[last] === name && name !== "set-cookie") sorted[last + 1] = `${sorted[last + 1]}, ${value}`;
    else ArrayPrototypePush(sorted, name, value);
  }
  return sorted;
}

defineInterface(Headers, "Headers");
defineIterable(Headers, "Headers", exports.sortedPairs);
const { entries } = Headers.prototype;

exports.Headers = Headers;

clones.register(Headers.prototype, {
  __proto__: null,
  kind: "Headers",
  // A copy: guests could get at what is sent by way of Object.prototype.
  encode: exports.copyHeaderList,
  decode: decodeHeaders,
});

// The headers of a list that came in a message, which need not be what was encoded.
function decodeHeaders(list) {
  clones.expectTexts(list);
  clones.expect(list.length % 2 === 0);
  const checked = [];
  try {
    for (let i = 0; i < list.length; i += 2) {
      ArrayPrototypePush(checked, normalizeName(list[i]), normalizeValue(list[i + 1]));
    }
  } catch {
    clones.expect(false);
  }
  return exports.headersFromList(checked, "none");
}

exports.decodeHeaders = decodeHeaders;
