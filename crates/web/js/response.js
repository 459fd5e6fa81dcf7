"use strict";
// Response of the Fetch standard, as Workers have it. https://fetch.spec.whatwg.org/#response-class

const {
  JSONStringify, ObjectSetPrototypeOf, RangeError, RegExpPrototypeExec, TypeError,
} = primordials;
const { argumentError, defineInterface } = require("web/webidl");
const bodies = require("web/body");
const {
  Headers, cloneHeaders, copyHeaderList, decodeHeaders, getHeader, headerList, headersFromList,
} = require("web/headers");
const clones = require("web/clone");

const phrases = {
  __proto__: null, 100: "Continue", 101: "Switching Protocols", 102: "Processing", 103: "Early Hints", 200: "OK",
  201: "Created", 202: "Accepted", 203: "Non-Authoritative Information", 204: "No Content", 205: "Reset Content",
  206: "Partial Content", 207: "Multi-Status", 208: "Already Reported", 226: "IM Used", 300: "Multiple Choices",
  301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified", 305: "Use Proxy",
  307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized",
  402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
  407: "Proxy Authentication Required", 408: "Request Timeout", 409: "Conflict", 410: "Gone", 411: "Length Required",
  412: "Precondition Failed", 413: "Payload Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
  416: "Range Not Satisfiable", 417: "Expectation Failed", 418: "I'm a teapot", 421: "Misdirected Request",
  422: "Unprocessable Entity", 423: "Locked", 424: "Failed Dependency", 425: "Too Early", 426: "Upgrade Required",
  428: "Precondition Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons", 500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
  503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
  506: "Variant Also Negotiates", 507: "Insufficient Storage", 508: "Loop Detected", 510: "Not Extended",
  511: "Network Authentication Required",
};
// What W3C's and others' lists do not name is called by its class.
const classes = { __proto__: null, 2: "Successful", 3: "Redirection", 4: "Client Error", 5: "Server Error" };
const reasonPhrase = /^[^\0-\x1f]*$/;
const internal = {};
let stateOf;

function checkStatus(status) {
  status = +status;
  if (!(status >= 200 && status <= 599)) {
    throw new RangeError("Responses may only be constructed with status codes in the range 200 to 599, inclusive.");
  }
  return primordials.MathTrunc(status);
}

class Response {
  #status = 200;
  // Empty stands for the default: the reason phrase of the status, once it is sent as an answer.
  #statusText = "";
  #headers;
  #body = null;
  #url = "";
  #redirected = false;
  #cf = undefined;
  #type = "default";
  // "manual": the body is in the coding that Content-Encoding says already.
  #encodeBody = "automatic";

  constructor(body = undefined, init = undefined) {
    if (body === internal) return;
    let headers;
    if (init !== undefined && init !== null) {
      if (typeof init !== "object" && typeof init !== "function") {
        throw new TypeError("Failed to construct 'Response': constructor parameter 2 is not of type 'InitializerDict or Response'.");
      }
      if (init.status !== undefined) this.#status = checkStatus(init.status);
      headers = init.headers;
      const text = init.statusText;
      this.#statusText = text === undefined ? "" : `${text}`;
      if (RegExpPrototypeExec(reasonPhrase, this.#statusText) === null) throw new TypeError("Invalid statusText");
      const { cf } = init;
      if (cf !== undefined) this.#cf = bodies.copyCf(cf, "InitializerDict");
      if (init.encodeBody !== undefined) this.#encodeBody = checkEncodeBody(init.encodeBody);
    }
    this.#headers = headers === undefined ? new Headers() : new Headers(headers);
    if (body !== undefined && body !== null) this.#setBody(bodies.extract(body));
  }

  #setBody(body) {
    if (!isNullBodyStatus(this.#status)) {
      this.#body = body;
      bodies.setType(this.#headers, body);
    } else if (!bodies.isEmpty(body)) {
      throw new TypeError("Response with null body status (101, 204, 205, or 304) cannot have a body.");
    }
  }

  get status() {
    return this.#status;
  }
  get statusText() {
    return this.#statusText;
  }
  get headers() {
    return this.#headers;
  }
  get ok() {
    return this.#status >= 200 && this.#status <= 299;
  }
  get url() {
    return this.#url;
  }
  get redirected() {
    return this.#redirected;
  }
  get cf() {
    return this.#cf;
  }
  get type() {
    return this.#type;
  }
  get webSocket() {
    stateOf(this);
    return null;
  }

  clone() {
    const copy = new Response(internal);
    copy.#status = this.#status;
    copy.#statusText = this.#statusText;
    copy.#headers = cloneHeaders(this.#headers);
    copy.#url = this.#url;
    copy.#redirected = this.#redirected;
    copy.#cf = this.#cf;
    copy.#type = this.#type;
    copy.#encodeBody = this.#encodeBody;
    copy.#body = bodies.clone(this.#body);
    return copy;
  }

  static error() {
    const response = new Response(internal);
    response.#status = 0;
    response.#statusText = "";
    response.#type = "error";
    response.#headers = new Headers();
    return response;
  }

  static redirect(url, status = 302) {
    if (arguments.length === 0) throw argumentError("Response", "redirect", 1, "string");
    const href = natives.urlParse(`${url}`, undefined);
    if (href === undefined) throw new TypeError(`Unable to parse URL: ${url}`);
    status |= 0;
    if (status !== 301 && status !== 302 && status !== 303 && status !== 307 && status !== 308) {
      throw new RangeError(`${status} is not a redirect status code. It must be one of: 301, 302, 303, 307, or 308.`);
    }
    const response = new Response(null, { __proto__: null, status });
    response.#headers = headersFromList(["location", href], "immutable");
    return response;
  }

  static json(data, init = undefined) {
    if (arguments.length === 0) throw argumentError("Response", "json", 1, "Value");
    const body = bodies.extract(`${JSONStringify(data)}`);
    body.contentType = "application/json";
    const response = new Response(null, init);
    response.#setBody(body);
    return response;
  }

  static {
    stateOf = (response) => {
      if (typeof response !== "object" || response === null || !(#status in response)) {
        throw new TypeError("Illegal invocation");
      }
      return response.#body;
    };
    exports.abortBody = (response, signal) => bodies.abortWith(response.#body, signal);
    exports.isResponse = (value) => typeof value === "object" && value !== null && #status in value;
    exports.responseFromNative = (status, statusText, list, handle, url, redirected, guard) => {
      const response = new Response(internal);
      response.#status = status;
      response.#statusText = statusText;
      response.#headers = headersFromList(list, guard);
      response.#body = bodies.fromHandle(handle);
      response.#url = url;
      response.#redirected = redirected;
      return response;
    };
    // -> [status, statusText, headers, body for natives, whether it is coded already]; consumes the body.
    // `whenGone` and `whenFailed` as for detachStream.
    exports.detachResponse = (response, whenGone, whenFailed) => {
      if (response.#status === 0) throw new TypeError("Return value from serve handler must not be an error response (like Response.error())");
      const body = bodies.detach(response.#body, whenGone, whenFailed);
      const status = response.#status;
      let text = response.#statusText;
      if (text === "") text = phrases[status] ?? classes[primordials.MathTrunc(status / 100)];
      return [status, text, headerList(response.#headers), body, response.#encodeBody === "manual"];
    };
    clones.register(Response.prototype, {
      __proto__: null,
      kind: "Response",
      encode: (response) => {
        if (response.#body !== null) clones.requireCall("ReadableStream");
        const body = bodies.send(response.#body);
        return { status: response.#status, statusText: response.#statusText,
          headers: copyHeaderList(response.#headers),
          body: body === null ? null : natives.attachBody(body), cf: response.#cf, url: response.#url,
          encodeBody: response.#encodeBody };
      },
      decode: (payload) => {
        clones.expect(typeof payload === "object" && payload !== null);
        // What it does not have must not be found on Object.prototype.
        ObjectSetPrototypeOf(payload, null);
        const { status, statusText, headers, body, cf, url, encodeBody } = payload;
        clones.expect(status === 0 || (status >>> 0 === status && status >= 200 && status <= 999));
        clones.expectTexts([statusText, url]);
        clones.expect(RegExpPrototypeExec(reasonPhrase, statusText) !== null);
        clones.expect(encodeBody === "automatic" || encodeBody === "manual");
        const checked = decodeHeaders(headers);
        const handle = body === null ? null : natives.adoptBody(body);
        const response = exports.responseFromNative(status, statusText, [], null, url, false, "none");
        response.#headers = checked;
        response.#body = bodies.fromHandle(handle, true);
        response.#cf = cf;
        if (status === 0) response.#type = "error";
        response.#encodeBody = encodeBody;
        return response;
      },
    });
  }
}

function checkEncodeBody(value) {
  value = `${value}`;
  if (value !== "automatic" && value !== "manual") throw new TypeError(`encodeBody: unexpected value: ${value}`);
  return value;
}

function isNullBodyStatus(status) {
  return status === 101 || status === 204 || status === 205 || status === 304;
}

bodies.mixin(Response, stateOf, (response) => getHeader(response.headers, "content-type"));
defineInterface(Response, "Response");
exports.Response = Response;
exports.isNullBodyStatus = isNullBodyStatus;
