"use strict";
// URL and URLSearchParams of the WHATWG URL standard. https://url.spec.whatwg.org/
// A URL keeps nothing but its serialisation: in that form every component can be cut out without parsing again. What
// its searchParams change is written into it when it is next read: doing so each time would make a loop quadratic.
//
// natives.urlParse(input, base)     -> the serialised URL (href), or undefined when parsing fails. `base` is a
//                                      string or undefined. Both arguments are well-formed strings.
// natives.urlSet(href, part, value) -> the href after the setter of the standard's API (`protocol`, `username`,
//                                      `password`, `host`, `hostname`, `port`, `pathname`, `search`, `hash`);
//                                      the same href when the standard ignores the value.
// natives.formParse(string)         -> flat array [name, value, ...] of application/x-www-form-urlencoded.
// natives.formSerialize(flat)       -> application/x-www-form-urlencoded string of a flat array.
const {
  ArrayPrototypePush,
  ArrayPrototypeSort,
  Error,
  ObjectDefineProperty,
  ReflectGetOwnPropertyDescriptor,
  SafeMap,
  StringPrototypeIndexOf,
  StringPrototypeLastIndexOf,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
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

// Set by static blocks below, which alone can reach the private fields.
let queryChanged;
let hrefOf;
let createSearchParams;
let refreshSearchParams;
let pairsOf;

class URLSearchParams {
  #list = [];
  #url = null;

  constructor(init = "") {
    if ((typeof init === "object" && init !== null) || typeof init === "function") {
      // An instance is copied directly, unless somebody gave it another iterator.
      if (#list in init && init[SymbolIterator] === entries) {
        for (let i = 0; i < init.#list.length; i++) ArrayPrototypePush(this.#list, init.#list[i]);
      } else {
        this.#list = scalarPairs(init);
      }
      return;
    }
    let text = StringPrototypeToWellFormed(`${init}`);
    if (StringPrototypeStartsWith(text, "?")) text = StringPrototypeSlice(text, 1);
    if (text !== "") this.#list = natives.formParse(text);
  }

  get size() {
    if (!(#list in this)) throw illegalInvocation();
    return this.#list.length / 2;
  }

  append(name, value) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 2) throw argumentError("URLSearchParams", "append", arguments.length + 1, "USVString");
    ArrayPrototypePush(this.#list, scalar(name), scalar(value));
    this.#update();
  }

  delete(name, value = undefined) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 1) throw argumentError("URLSearchParams", "delete", 1, "USVString");
    name = scalar(name);
    if (value !== undefined) value = scalar(value);
    removePairs(this.#list, 0, name, value);
    this.#update();
  }

  get(name) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 1) throw argumentError("URLSearchParams", "get", 1, "USVString");
    name = scalar(name);
    for (let i = 0; i < this.#list.length; i += 2) if (this.#list[i] === name) return this.#list[i + 1];
    return null;
  }

  getAll(name) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 1) throw argumentError("URLSearchParams", "getAll", 1, "USVString");
    return pairValues(this.#list, scalar(name));
  }

  has(name, value = undefined) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 1) throw argumentError("URLSearchParams", "has", 1, "USVString");
    name = scalar(name);
    if (value !== undefined) value = scalar(value);
    for (let i = 0; i < this.#list.length; i += 2) {
      if (this.#list[i] === name && (value === undefined || this.#list[i + 1] === value)) return true;
    }
    return false;
  }

  set(name, value) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 2) throw argumentError("URLSearchParams", "set", arguments.length + 1, "USVString");
    setPair(this.#list, scalar(name), scalar(value));
    this.#update();
  }

  sort() {
    if (!(#list in this)) throw illegalInvocation();
    const list = this.#list;
    const pairs = [];
    for (let i = 0; i < list.length; i += 2) {
      ArrayPrototypePush(pairs, { __proto__: null, name: list[i], value: list[i + 1] });
    }
    // Stable, and `<` on strings compares UTF-16 code units: what the standard wants.
    ArrayPrototypeSort(pairs, (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    for (let i = 0; i < pairs.length; i++) {
      list[i * 2] = pairs[i].name;
      list[i * 2 + 1] = pairs[i].value;
    }
    this.#update();
  }

  toString() {
    if (!(#list in this)) throw illegalInvocation();
    return natives.formSerialize(this.#list);
  }

  #update() {
    if (this.#url !== null) queryChanged(this.#url);
  }

  static {
    pairsOf = (params) => {
      if (!(#list in params)) throw illegalInvocation();
      return params.#list;
    };
    createSearchParams = (url, query) => {
      const params = new URLSearchParams(query);
      params.#url = url;
      return params;
    };
    // Changes the list in place: iterators that are under way keep reading it.
    refreshSearchParams = (params, query) => {
      const parsed = query === "" ? [] : natives.formParse(StringPrototypeSlice(query, 1));
      params.#list.length = 0;
      for (let i = 0; i < parsed.length; i++) ArrayPrototypePush(params.#list, parsed[i]);
    };
    exports.isURLSearchParams = (value) => typeof value === "object" && value !== null && #list in value;
  }
}

defineInterface(URLSearchParams, "URLSearchParams");
defineIterable(URLSearchParams, "URLSearchParams", pairsOf);
const { entries } = URLSearchParams.prototype;

function scalar(value) {
  return StringPrototypeToWellFormed(`${value}`);
}

// Record keys that become equal by the conversion to scalar values are one entry, with the last value.
function scalarPairs(init) {
  const flat = flattenPairs(init, "Invalid URL search params sequence.");
  let changed = false;
  for (let i = 0; i < flat.length; i++) {
    const converted = StringPrototypeToWellFormed(flat[i]);
    changed ||= i % 2 === 0 && converted !== flat[i];
    flat[i] = converted;
  }
  const method = init[SymbolIterator];
  if (!changed || (method !== undefined && method !== null)) return flat;
  const byName = new SafeMap();
  for (let i = 0; i < flat.length; i += 2) byName.set(flat[i], flat[i + 1]);
  const unique = [];
  byName.forEach((value, name) => ArrayPrototypePush(unique, name, value));
  return unique;
}

// Cuts one component out of a serialised URL, with the delimiters that the URL API shows. It relies on the
// serialiser: what would be a delimiter inside a component is percent-encoded there.
function component(href, part) {
  const protocolEnd = StringPrototypeIndexOf(href, ":") + 1;
  if (part === "protocol") return StringPrototypeSlice(href, 0, protocolEnd);
  let hashStart = StringPrototypeIndexOf(href, "#", protocolEnd);
  if (hashStart === -1) hashStart = href.length;
  if (part === "hash") return href.length - hashStart > 1 ? StringPrototypeSlice(href, hashStart) : "";
  let searchStart = StringPrototypeIndexOf(href, "?", protocolEnd);
  if (searchStart === -1 || searchStart > hashStart) searchStart = hashStart;
  if (part === "search") return hashStart - searchStart > 1 ? StringPrototypeSlice(href, searchStart, hashStart) : "";

  const hasHost = StringPrototypeStartsWith(href, "//", protocolEnd);
  let pathStart = protocolEnd;
  if (hasHost) {
    pathStart = StringPrototypeIndexOf(href, "/", protocolEnd + 2);
    if (pathStart === -1 || pathStart > searchStart) pathStart = searchStart;
  }
  if (part === "pathname") {
    // "/." stands before a path that begins with "//" when there is no host, and is not part of the path.
    if (!hasHost && StringPrototypeStartsWith(href, "/.//", pathStart)) pathStart += 2;
    return StringPrototypeSlice(href, pathStart, searchStart);
  }
  return hasHost ? authorityComponent(StringPrototypeSlice(href, protocolEnd + 2, pathStart), part) : "";
}

function authorityComponent(authority, part) {
  const at = StringPrototypeIndexOf(authority, "@");
  if (part === "username" || part === "password") {
    const userinfo = at === -1 ? "" : StringPrototypeSlice(authority, 0, at);
    const colon = StringPrototypeIndexOf(userinfo, ":");
    if (part === "password") return colon === -1 ? "" : StringPrototypeSlice(userinfo, colon + 1);
    return colon === -1 ? userinfo : StringPrototypeSlice(userinfo, 0, colon);
  }
  const host = StringPrototypeSlice(authority, at + 1);
  if (part === "host") return host;
  const colon = StringPrototypeLastIndexOf(host, ":");
  // The colons inside the brackets of an IPv6 address are not the port's.
  const hasPort = colon > StringPrototypeLastIndexOf(host, "]");
  if (part === "port") return hasPort ? StringPrototypeSlice(host, colon + 1) : "";
  return hasPort ? StringPrototypeSlice(host, 0, colon) : host;
}

function originOf(href) {
  const protocol = component(href, "protocol");
  switch (protocol) {
    case "http:":
    case "https:":
    case "ws:":
    case "wss:":
    case "ftp:":
      return `${protocol}//${component(href, "host")}`;
    case "blob:": {
      const inner = natives.urlParse(component(href, "pathname"), undefined);
      if (inner === undefined) return "null";
      const innerProtocol = component(inner, "protocol");
      return innerProtocol === "http:" || innerProtocol === "https:" ? originOf(inner) : "null";
    }
    default:
      return "null";
  }
}

function parse(url, base) {
  return natives.urlParse(scalar(url), base === undefined ? undefined : scalar(base));
}

class URL {
  #href;
  #searchParams = null;
  // Whether the query in `#href` is older than `#searchParams`.
  #isStale = false;

  constructor(url, base = undefined) {
    if (arguments.length === 0) throw argumentError("URL", "", 1, "USVString");
    const href = parse(url, base);
    if (href === undefined) throw new TypeError("Invalid URL string.");
    this.#href = href;
  }

  static canParse(url, base = undefined) {
    if (arguments.length === 0) throw argumentError("URL", "canParse", 1, "USVString");
    return parse(url, base) !== undefined;
  }

  static parse(url, base = undefined) {
    if (arguments.length === 0) throw argumentError("URL", "parse", 1, "USVString");
    const href = parse(url, base);
    return href === undefined ? null : new URL(href);
  }

  static createObjectURL() {
    throw new Error("URL.createObjectURL() is not implemented");
  }

  static revokeObjectURL() {
    throw new Error("URL.revokeObjectURL() is not implemented");
  }

  get href() {
    if (!(#href in this)) throw illegalInvocation();
    return this.#serialized();
  }

  set href(value) {
    if (!(#href in this)) throw illegalInvocation();
    const href = parse(value, undefined);
    if (href === undefined) {
      throw new TypeError(
        "Failed to set the 'href' property on 'URL': the provided value is not of type 'valid URL string'.",
      );
    }
    this.#setHref(href);
  }

  get origin() {
    if (!(#href in this)) throw illegalInvocation();
    return originOf(this.#serialized());
  }

  get searchParams() {
    if (!(#href in this)) throw illegalInvocation();
    this.#searchParams ??= createSearchParams(this, component(this.#href, "search"));
    return this.#searchParams;
  }

  toString() {
    if (!(#href in this)) throw illegalInvocation();
    return this.#serialized();
  }

  toJSON() {
    if (!(#href in this)) throw illegalInvocation();
    return this.#serialized();
  }

  #serialized() {
    if (this.#isStale) {
      this.#href = natives.urlSet(this.#href, "search", natives.formSerialize(pairsOf(this.#searchParams)));
      this.#isStale = false;
    }
    return this.#href;
  }

  #setHref(href) {
    this.#href = href;
    this.#isStale = false;
    if (this.#searchParams !== null) refreshSearchParams(this.#searchParams, component(href, "search"));
  }

  static #defineComponent(part) {
    const accessors = {
      __proto__: null,
      get [part]() {
        if (!(#href in this)) throw illegalInvocation();
        return component(this.#serialized(), part);
      },
      set [part](value) {
        if (!(#href in this)) throw illegalInvocation();
        value = scalar(value);
        const href = natives.urlSet(this.#serialized(), part, value);
        if (part === "search") this.#setHref(href);
        else this.#href = href;
      },
    };
    const descriptor = ReflectGetOwnPropertyDescriptor(accessors, part);
    ObjectDefineProperty(URL.prototype, part, {
      __proto__: null, get: descriptor.get, set: descriptor.set, enumerable: true, configurable: true,
    });
  }

  static {
    const parts = ["protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];
    for (let i = 0; i < parts.length; i++) URL.#defineComponent(parts[i]);

    queryChanged = (url) => {
      url.#isStale = true;
    };
    hrefOf = (url) => url.#serialized();
    exports.isURL = (value) => typeof value === "object" && value !== null && #href in value;
  }
}

defineInterface(URL, "URL");

exports.URL = URL;
exports.URLSearchParams = URLSearchParams;
// For the runtime: the serialisation of a URL object, a component of a serialised URL, and its origin.
exports.hrefOf = hrefOf;
exports.urlComponent = component;
exports.urlOrigin = originOf;
// The live flat list [name, value, ...] of a URLSearchParams object.
exports.searchParamsList = pairsOf;
