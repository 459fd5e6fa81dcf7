"use strict";
// The Crypto interface: random values and UUIDs. https://w3c.github.io/webcrypto/#Crypto-interface
// SubtleCrypto is not there yet; each of its methods rejects with an error that names it.
//
// natives.randomFill(view) -> undefined; fills the bytes of an integer typed array. Throws without an I/O context.
// natives.randomUuid()     -> string, a version 4 UUID. Throws without an I/O context.
const {
  ArrayBufferIsView,
  ObjectDefineProperty,
  PromiseReject,
  TypeError,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetSymbolToStringTag,
} = primordials;
const { argumentError, defineInterface, illegalInvocation } = require("web/webidl");
const { DOMException } = require("web/dom-exception");

const maxRandomBytes = 65_536;
const constructionToken = { __proto__: null };

const subtleMethods = [
  "encrypt",
  "decrypt",
  "sign",
  "verify",
  "digest",
  "generateKey",
  "deriveKey",
  "deriveBits",
  "importKey",
  "exportKey",
  "wrapKey",
  "unwrapKey",
];

class SubtleCrypto {
  constructor(token) {
    if (token !== constructionToken) throw new TypeError("Illegal constructor");
  }

  static {
    for (let i = 0; i < subtleMethods.length; i++) {
      const name = subtleMethods[i];
      const value = {
        __proto__: null,
        [name]() {
          return PromiseReject(new DOMException(`crypto.subtle.${name}() is not supported yet.`, "NotSupportedError"));
        },
      }[name];
      ObjectDefineProperty(this.prototype, name, { __proto__: null, value, writable: true, configurable: true });
    }
  }
}

defineInterface(SubtleCrypto, "SubtleCrypto");

class Crypto {
  #subtle = null;

  constructor(token) {
    if (token !== constructionToken) throw new TypeError("Illegal constructor");
  }

  get subtle() {
    if (!(#subtle in this)) throw illegalInvocation();
    this.#subtle ??= new SubtleCrypto(constructionToken);
    return this.#subtle;
  }

  getRandomValues(array) {
    if (!(#subtle in this)) throw illegalInvocation();
    if (!ArrayBufferIsView(array)) throw argumentError("Crypto", "getRandomValues", 1, "ArrayBufferView");
    switch (TypedArrayPrototypeGetSymbolToStringTag(array)) {
      case "Int8Array":
      case "Uint8Array":
      case "Uint8ClampedArray":
      case "Int16Array":
      case "Uint16Array":
      case "Int32Array":
      case "Uint32Array":
      case "BigInt64Array":
      case "BigUint64Array":
        break;
      default:
        throw new DOMException(
          "ArrayBufferView argument to getRandomValues() must be an integer-typed view.",
          "TypeMismatchError",
        );
    }
    const byteLength = TypedArrayPrototypeGetByteLength(array);
    if (byteLength > maxRandomBytes) {
      throw new DOMException(
        `getRandomValues() only accepts buffers of size <= 64K but provided ${byteLength} bytes.`,
        "QuotaExceededError",
      );
    }
    natives.randomFill(array);
    return array;
  }

  randomUUID() {
    if (!(#subtle in this)) throw illegalInvocation();
    return natives.randomUuid();
  }
}

defineInterface(Crypto, "Crypto");

exports.Crypto = Crypto;
exports.SubtleCrypto = SubtleCrypto;
exports.crypto = new Crypto(constructionToken);
