"use strict";
// Request of the Fetch standard, as Workers have it. https://fetch.spec.whatwg.org/#request-class

const {
  JSONParse, JSONStringify, ObjectSetPrototypeOf, StringPrototypeToUpperCase,
  TypeError,
} = primordials;
const { defineInterface } = require("web/webidl");
const bodies = require("web/body");
const {
  Headers, cloneHeaders, copyHeaderList, decodeHeaders, getHeader, headerList, headersFromList,
} = require("web/headers");
const clones = require("web/clone");

const redirects = { __proto__: null, follow: 1, manual: 1 };
const cacheModes = { __proto__: null, "no-store": 1, "no-cache": 1 };
const methods = {
  __proto__: null, GET: 1, HEAD: 1, POST: 1, PUT: 1, DELETE: 1, PATCH: 1, PURGE: 1, OPTIONS: 1, TRACE: 1, COPY: 1, LOCK: 1,
  MKCOL: 1, MOVE: 1, PROPFIND: 1, PROPPATCH: 1, SEARCH: 1, UNLOCK: 1, ACL: 1, REPORT: 1, MKACTIVITY: 1, CHECKOUT: 1,
  MERGE: 1, MSEARCH: 1, NOTIFY: 1, SUBSCRIBE: 1, UNSUBSCRIBE: 1, QUERY: 1, BAN: 1,
};
const internal = {};
let stateOf;

function normalizeMethod(method) {
  method = `${method}`;
  const canonical = StringPrototypeToUpperCase(method);
  if (!(canonical in methods)) throw new TypeError(`Invalid HTTP method string: ${method}`);
  return canonical;
}

function parseUrl(input) {
  const href = natives.urlParse(primordials.StringPrototypeToWellFormed(`${input}`), undefined);
  if (href === undefined) throw new TypeError(`Invalid URL: ${input}`);
  return href;
}

class Request {
  #method = "GET";
  #url = "";
  #headers;
  #body = null;
  #redirect = "follow";
  #signal = undefined;
  // What `signal` shows of a request that was given none: nobody can abort it, and it never crosses.
  #idleSignal = undefined;
  #cf = undefined;
  #cfText = undefined;
  #cache = undefined;
  // Whether it was sent here: its signal says that the sender is gone.
  #incoming = false;

  constructor(input, init = undefined) {
    if (input === internal) return;
    if (arguments.length === 0) {
      throw new TypeError("Failed to construct 'Request': constructor parameter 1 is not of type 'Request or string'.");
    }
    let source;
    if (typeof input === "object" && input !== null && #url in input) {
      source = input;
      this.#method = source.#method;
      this.#url = source.#url;
      this.#redirect = source.#redirect;
      this.#signal = source.#passedSignal();
      this.#cf = source.#cf;
      this.#cfText = source.#cfText;
      this.#cache = source.#cache;
    } else {
      this.#url = parseUrl(input);
    }
    let headers;
    let body;
    if (init !== undefined && init !== null) {
      if (typeof init !== "object" && typeof init !== "function") {
        throw new TypeError("Failed to construct 'Request': constructor parameter 2 is not of type 'RequestInitializerDict or Request'.");
      }
      if (init.method !== undefined) this.#method = normalizeMethod(init.method);
      headers = init.headers;
      body = init.body;
      if (init.redirect !== undefined) {
        this.#redirect = `${init.redirect}`;
        if (!(this.#redirect in redirects)) {
          throw new TypeError(`Invalid redirect value, must be one of "follow" or "manual" ("error" won't be implemented since it does not make sense at the edge; use "manual" and check the response status code).`);
        }
      }
      if (init.signal !== undefined) this.#signal = checkSignal(init.signal);
      const { cf } = init;
      if (cf !== undefined) this.#cf = bodies.copyCf(cf, "RequestInitializerDict");
      checkIntegrity(init.integrity);
      if (init.cache !== undefined) {
        if (!natives.hasFlag("cache_option_enabled")) {
          throw new primordials.Error("The 'cache' field on 'RequestInitializerDict' is not implemented.");
        }
        this.#cache = `${init.cache}`;
        if (!(this.#cache in cacheModes) || this.#cache === "no-cache" && !natives.hasFlag("cache_no_cache_enabled")) {
          throw new TypeError(`Unsupported cache mode: ${this.#cache}`);
        }
      }
    }
    if (headers !== undefined) this.#headers = new Headers(headers);
    else if (source !== undefined) this.#headers = headersFromList(copyHeaderList(source.#headers), "request");
    else this.#headers = new Headers();
    if (body !== undefined && body !== null) {
      if (this.#method === "GET" || this.#method === "HEAD") {
        throw new TypeError("Request with a GET or HEAD method cannot have a body.");
      }
      this.#setBody(bodies.extract(body));
    } else if (body === undefined && source !== undefined && source.#body !== null) {
      this.#takeBody(source);
    }
  }

  // Without a flag, the signal of a request that was sent here does not go with it.
  #passedSignal() {
    if (!this.#incoming) return this.#signal;
    const passed = natives.hasFlag("enable_request_signal") && natives.hasFlag("request_signal_passthrough");
    return passed ? this.signal : undefined;
  }

  #setBody(body) {
    this.#body = body;
    bodies.setType(this.#headers, body);
  }

  // The new request takes the body over: the old one is used from now on.
  #takeBody(source) {
    if (bodies.isUsed(source.#body)) throw new TypeError("Cannot reconstruct a Request with a used body.");
    if (bodies.isLocked(source.#body)) throw new TypeError("The ReadableStream has been locked to a reader.");
    const taken = source.#body;
    const left = new bodies.BodyState();
    left.used = true;
    left.source = "";
    source.#body = left;
    this.#body = taken;
  }

  get method() {
    return this.#method;
  }
  get url() {
    return this.#url;
  }
  get headers() {
    return this.#headers;
  }
  get redirect() {
    return this.#redirect;
  }
  get fetcher() {
    stateOf(this);
    return null;
  }
  get signal() {
    stateOf(this);
    if (this.#signal !== undefined && this.#signal !== null) return this.#signal;
    this.#idleSignal ??= require("web/abort").createAbortSignal();
    return this.#idleSignal;
  }
  get cf() {
    if (this.#cf === undefined && this.#cfText !== undefined) this.#cf = JSONParse(this.#cfText);
    return this.#cf;
  }
  get integrity() {
    stateOf(this);
    return "";
  }
  get keepalive() {
    stateOf(this);
    return false;
  }
  get cache() {
    stateOf(this);
    return this.#cache;
  }

  clone() {
    const copy = new Request(internal);
    copy.#method = this.#method;
    copy.#url = this.#url;
    copy.#headers = cloneHeaders(this.#headers);
    copy.#redirect = this.#redirect;
    copy.#signal = this.#signal;
    copy.#cf = this.#cf;
    copy.#cfText = this.#cfText;
    copy.#cache = this.#cache;
    copy.#body = bodies.clone(this.#body);
    return copy;
  }

  static {
    stateOf = (request) => {
      if (typeof request !== "object" || request === null || !(#url in request)) {
        throw new TypeError("Illegal invocation");
      }
      return request.#body;
    };
    exports.isRequest = (value) => typeof value === "object" && value !== null && #url in value;
    exports.requestFromNative = (method, url, list, handle, cfText, redirect = "manual") => {
      const request = new Request(internal);
      request.#method = method;
      request.#url = url;
      request.#headers = headersFromList(list, "immutable");
      request.#body = bodies.fromHandle(handle);
      request.#cfText = cfText;
      request.#redirect = redirect;
      request.#incoming = true;
      return request;
    };
    exports.signalOf = (request) => request.#signal;
    exports.abortIncoming = (request) => {
      const { DOMException } = require("web/dom-exception");
      require("web/abort").signalAbort(request.signal, new DOMException("The client has disconnected", "AbortError"));
    };
    // A request that was sent here, to be sent on: without its body, where that was touched.
    exports.passableRequest = (request) => {
      const passable = new Request(internal);
      passable.#method = request.#method;
      passable.#url = request.#url;
      passable.#headers = request.#headers;
      passable.#redirect = request.#redirect;
      passable.#cf = request.#cf;
      passable.#cfText = request.#cfText;
      const body = request.#body;
      if (!bodies.isUsed(body) && !bodies.isLocked(body)) passable.#body = body;
      else passable.#headers = headersFromList(withoutLength(headerList(request.#headers)), "immutable");
      return passable;
    };
    // -> [method, url, headers, body for natives, cf as JSON, redirect]; consumes the body.
    exports.detachRequest = (request) => {
      const body = bodies.detach(request.#body, connectionLost, natives.reportError);
      return [request.#method, request.#url, sentHeaders(request), body, cfText(request), request.#redirect];
    };
    // A cache mode tells the caches on the way, unless the program tells them something itself.
    const sentHeaders = (request) => {
      if (request.#cache === undefined) return headerList(request.#headers);
      const list = copyHeaderList(request.#headers);
      addUnlessSet(list, "cache-control", "no-cache");
      addUnlessSet(list, "pragma", "no-cache");
      return list;
    };
    const cfText = (request) => {
      if (request.#cfText !== undefined && request.#cf === undefined) return request.#cfText;
      return request.#cf === undefined ? undefined : JSONStringify(request.#cf);
    };
    clones.register(Request.prototype, {
      __proto__: null,
      kind: "Request",
      encode: (request) => {
        if (request.#body !== null) clones.requireCall("ReadableStream");
        const body = bodies.send(request.#body);
        // All fields at once: assigning one would run a setter on Object.prototype. Without that prototype it would
        // count as a host object.
        return { method: request.#method, url: request.#url, headers: copyHeaderList(request.#headers),
          body: body === null ? null : natives.attachBody(body), cf: cfText(request), redirect: request.#redirect,
          signal: request.#signal ?? undefined, cache: request.#cache };
      },
      decode: (payload) => {
        clones.expect(typeof payload === "object" && payload !== null);
        // What it does not have must not be found on Object.prototype.
        ObjectSetPrototypeOf(payload, null);
        const { method, url, headers, body, cf, redirect, signal, cache } = payload;
        clones.expectTexts([method, url, redirect, cf ?? "", cache ?? ""]);
        clones.expect(method in methods && redirect in redirects && (cache === undefined || cache in cacheModes));
        const href = natives.urlParse(url, undefined);
        clones.expect(href !== undefined && (cf === undefined || isObjectText(cf)));
        const checked = decodeHeaders(headers);
        clones.expect(signal === undefined || require("web/abort").isAbortSignal(signal));
        const handle = body === null ? null : natives.adoptBody(body);
        const request = exports.requestFromNative(method, href, [], null, cf, redirect);
        request.#headers = checked;
        request.#body = bodies.fromHandle(handle, true);
        request.#signal = signal;
        request.#cache = cache;
        request.#incoming = false;
        return request;
      },
    });
  }
}

function addUnlessSet(list, name, value) {
  for (let i = 0; i < list.length; i += 2) if (list[i] === name) return;
  primordials.ArrayPrototypePush(list, name, value);
}

function withoutLength(list) {
  const kept = [];
  for (let i = 0; i < list.length; i += 2) {
    if (list[i] !== "content-length") primordials.ArrayPrototypePush(kept, list[i], list[i + 1]);
  }
  return kept;
}

function isObjectText(text) {
  try {
    const value = JSONParse(text);
    return typeof value === "object" && value !== null;
  } catch {
    return false;
  }
}

function connectionLost(cancel) {
  cancel(new primordials.Error("Network connection lost."));
}

function checkIntegrity(integrity) {
  if (integrity === undefined || `${integrity}` === "") return;
  throw new TypeError(
    "Subrequest integrity checking is not implemented. The integrity option must be either undefined or an empty string.",
  );
}

function checkSignal(signal) {
  if (signal === null) return null;
  if (!require("web/abort").isAbortSignal(signal)) {
    throw new TypeError("Incorrect type for the 'signal' field on 'RequestInitializerDict': the provided value is not of type 'AbortSignal'.");
  }
  return signal;
}

bodies.mixin(Request, stateOf, (request) => getHeader(request.headers, "content-type"));
defineInterface(Request, "Request");
exports.Request = Request;
