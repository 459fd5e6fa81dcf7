"use strict";
// DOMException with the names and legacy codes of Web IDL. https://webidl.spec.whatwg.org/#idl-DOMException
// It is an ordinary object below Error.prototype, not a native error, so that a serialiser can tell it apart.
const { Error, ErrorCaptureStackTrace, ObjectSetPrototypeOf } = primordials;
const { defineInterface, illegalInvocation } = require("web/webidl");
const clones = require("web/clone");

const codes = {
  __proto__: null,
  IndexSizeError: 1,
  DOMStringSizeError: 2,
  HierarchyRequestError: 3,
  WrongDocumentError: 4,
  InvalidCharacterError: 5,
  NoDataAllowedError: 6,
  NoModificationAllowedError: 7,
  NotFoundError: 8,
  NotSupportedError: 9,
  InUseAttributeError: 10,
  InvalidStateError: 11,
  SyntaxError: 12,
  InvalidModificationError: 13,
  NamespaceError: 14,
  InvalidAccessError: 15,
  ValidationError: 16,
  TypeMismatchError: 17,
  SecurityError: 18,
  NetworkError: 19,
  AbortError: 20,
  URLMismatchError: 21,
  QuotaExceededError: 22,
  TimeoutError: 23,
  InvalidNodeTypeError: 24,
  DataCloneError: 25,
};

const constants = {
  __proto__: null,
  INDEX_SIZE_ERR: 1,
  DOMSTRING_SIZE_ERR: 2,
  HIERARCHY_REQUEST_ERR: 3,
  WRONG_DOCUMENT_ERR: 4,
  INVALID_CHARACTER_ERR: 5,
  NO_DATA_ALLOWED_ERR: 6,
  NO_MODIFICATION_ALLOWED_ERR: 7,
  NOT_FOUND_ERR: 8,
  NOT_SUPPORTED_ERR: 9,
  INUSE_ATTRIBUTE_ERR: 10,
  INVALID_STATE_ERR: 11,
  SYNTAX_ERR: 12,
  INVALID_MODIFICATION_ERR: 13,
  NAMESPACE_ERR: 14,
  INVALID_ACCESS_ERR: 15,
  VALIDATION_ERR: 16,
  TYPE_MISMATCH_ERR: 17,
  SECURITY_ERR: 18,
  NETWORK_ERR: 19,
  ABORT_ERR: 20,
  URL_MISMATCH_ERR: 21,
  QUOTA_EXCEEDED_ERR: 22,
  TIMEOUT_ERR: 23,
  INVALID_NODE_TYPE_ERR: 24,
  DATA_CLONE_ERR: 25,
};

class DOMException {
  #message;
  #name;

  constructor(message = "", name = "Error") {
    this.#message = `${message}`;
    this.#name = `${name}`;
    // After the fields: the first line of the stack is read through the getters below.
    ErrorCaptureStackTrace(this, DOMException);
  }

  get name() {
    if (!(#name in this)) throw illegalInvocation();
    return this.#name;
  }

  get message() {
    if (!(#name in this)) throw illegalInvocation();
    return this.#message;
  }

  get code() {
    if (!(#name in this)) throw illegalInvocation();
    return codes[this.#name] ?? 0;
  }

  static {
    exports.isDOMException = (value) => typeof value === "object" && value !== null && #name in value;
    // For logs: without the getters, which guests can patch.
    exports.describe = (value) => (#name in value ? `DOMException(${value.#name}): ${value.#message}` : undefined);
    clones.register(DOMException.prototype, {
      __proto__: null,
      kind: "DOMException",
      // Only within its own Worker does it keep its stack.
      encode: (exception, cloning) => {
        if (!(#name in exception)) throw clones.unsupported("DOMException");
        if (!cloning) return [exception.#message, exception.#name];
        return [exception.#message, exception.#name, `${exception.stack}`];
      },
      decode: (payload) => {
        clones.expectTexts(payload);
        clones.expect(payload.length === 2 || payload.length === 3);
        const exception = new DOMException(payload[0], payload[1]);
        if (payload.length === 3) clones.define(exception, "stack", payload[2]);
        return exception;
      },
    });
  }
}

defineInterface(DOMException, "DOMException", constants);
ObjectSetPrototypeOf(DOMException.prototype, Error.prototype);

exports.DOMException = DOMException;
