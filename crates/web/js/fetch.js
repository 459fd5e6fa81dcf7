"use strict";
// fetch(): one hop at a time to where the context's requests go, redirects followed here, so that each hop goes
// through the same outbound again. https://fetch.spec.whatwg.org/#fetch-method
//
// natives.fetch(method, url, headers, body, cf, canceller) -> Promise<[status, statusText, headers, body handle or null]>,
// without user name and password; natives.newCanceller() -> handle or undefined, to be released

const { ArrayPrototypeJoin, ArrayPrototypePush, Promise, PromiseGuarded, PromisePrototypeThen } = primordials;
const { PromiseReject, RegExpPrototypeExec, TypeError } = primordials;
const { Request, detachRequest, signalOf } = require("web/request");
const { argumentError } = require("web/webidl");
const { abortBody, isNullBodyStatus, responseFromNative } = require("web/response");

const MAX_REDIRECTS = 20;
const hasAuthority = /^[^:]+:\/\//;

// Sends a Request through `hop`, a function with the signature of natives.fetch.
function send(hop, request) {
  const signal = signalOf(request);
  if (signal !== undefined && signal !== null) return abortable(signal, hop, request);
  return follow(hop, request);
}

async function abortable(signal, hop, request) {
  const { abortReason, addAbortAlgorithm, isAborted, removeAbortAlgorithm } = require("web/abort");
  if (isAborted(signal)) throw abortReason(signal);
  const canceller = natives.newCanceller();
  let abort;
  const aborted = new Promise((_, reject) => {
    abort = () => {
      reject(abortReason(signal));
      natives.release(canceller);
    };
  });
  // A redirect that comes too late is not followed.
  const cancellable = (method, url, headers, body, cf) => {
    if (isAborted(signal)) throw abortReason(signal);
    return hop(method, url, headers, body, cf, canceller);
  };
  addAbortAlgorithm(signal, abort);
  try {
    const answer = follow(cancellable, request);
    // An answer that comes too late has a body that nobody reads.
    PromisePrototypeThen(answer, (response) => abortBody(response, signal), () => {});
    const first = new Promise((resolve, reject) => {
      PromisePrototypeThen(answer, resolve, reject);
      PromisePrototypeThen(aborted, undefined, reject);
    });
    return await PromiseGuarded(first);
  } finally {
    removeAbortAlgorithm(signal, abort);
    natives.release(canceller);
  }
}

async function follow(hop, request) {
  let { 0: method, 1: url, 2: headers, 3: body, 4: cf, 5: redirect } = detachRequest(request);
  if (!isHttp(url)) return require("web/data-url").load(method, url);
  url = withoutFragment(url);
  let visited;
  for (let count = 0; ; count++) {
    // A body that is text or bytes can be sent again on a redirect that keeps it; a stream cannot.
    let answer;
    try {
      answer = await PromiseGuarded(hop(method, url, headers, body, cf));
    } catch (error) {
      // The stack is the caller's: V8 adds the asynchronous frames that wait for this function.
      if (typeof error === "object" && error !== null) primordials.ErrorCaptureStackTrace(error, follow);
      throw error;
    }
    const status = answer[0];
    const location = redirect === "follow" && isRedirect(status) ? find(answer[2], "location") : undefined;
    if (location === undefined || location === "") {
      // Only an answer that cannot have a body has none.
      const body = answer[3] ?? (method === "HEAD" || isNullBodyStatus(status) ? null : "");
      return responseFromNative(status, answer[1], answer[2], body, url, count > 0, "immutable");
    }
    if (answer[3] !== null) natives.bodyCancel(answer[3]);
    const next = natives.urlParse(location, url);
    if (next === undefined || RegExpPrototypeExec(hasAuthority, next) === null) {
      throw new TypeError("Invalid Location header; unable to follow redirect.");
    }
    ArrayPrototypePush(visited ??= [], url);
    if (count === MAX_REDIRECTS) throw new TypeError(`Too many redirects.${ArrayPrototypeJoin(visited, ", ")}`);
    if (status === 303) {
      if (method !== "HEAD") method = "GET";
      body = null;
    } else if (typeof body === "number") {
      throw new TypeError("A request with a one-time-use body (it was initialized from a stream, not a buffer) encountered a redirect requiring the body to be retransmitted. To avoid this error in the future, construct this request from a buffer-like body initializer.");
    }
    if ((status === 301 || status === 302) && method === "POST") {
      method = "GET";
      body = null;
    }
    if (origin(next) !== origin(url)) headers = without(headers, "authorization");
    url = withoutFragment(next);
  }
}

// Fragments stay with whoever wrote the URL.
function withoutFragment(href) {
  const end = primordials.StringPrototypeIndexOf(href, "#");
  return end < 0 ? href : primordials.StringPrototypeSlice(href, 0, end);
}

function isHttp(href) {
  return primordials.StringPrototypeStartsWith(href, "http:") || primordials.StringPrototypeStartsWith(href, "https:");
}

function isRedirect(status) {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

function find(list, name) {
  for (let i = 0; i < list.length; i += 2) if (primordials.StringPrototypeToLowerCase(list[i]) === name) return list[i + 1];
  return undefined;
}

function without(list, name) {
  const kept = [];
  for (let i = 0; i < list.length; i += 2) {
    if (list[i] !== name) ArrayPrototypePush(kept, list[i], list[i + 1]);
  }
  return kept;
}

// Scheme, host and port of a serialised URL.
function origin(href) {
  const start = primordials.StringPrototypeIndexOf(href, "//") + 2;
  let end = primordials.StringPrototypeIndexOf(href, "/", start);
  if (end < 0) end = href.length;
  return primordials.StringPrototypeSlice(href, 0, end);
}

function fetch(input = undefined, init = undefined) {
  try {
    if (arguments.length === 0) throw argumentError("ServiceWorkerGlobalScope", "fetch", 1, "Request or string");
    natives.requireContext();
    const request = new Request(input, init);
    return send(natives.fetch, request);
  } catch (error) {
    return PromiseReject(error);
  }
}

exports.send = send;
exports.fetch = fetch;
