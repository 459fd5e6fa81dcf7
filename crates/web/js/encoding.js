"use strict";
// TextEncoder, TextDecoder, atob and btoa. https://encoding.spec.whatwg.org/#api
// Streams of UTF-8 and UTF-16 keep the unfinished bytes here; only the multi-byte legacy encodings, whose decoders
// have more state than that, need a native decoder between two calls.
//
// natives.utf8Encode(string)                          -> Uint8Array; lone surrogates become U+FFFD.
// natives.utf8EncodeInto(string, uint8array)          -> [UTF-16 units read, bytes written].
// natives.encodingName(label)                         -> canonical name in lower case, or undefined for an unknown
//                                                        label and for `replacement`.
// natives.textDecode(name, bytes, fatal, ignoreBOM)   -> string; throws TypeError when fatal and malformed.
// natives.decoderNew(name, fatal, ignoreBOM)          -> integer handle of a stateful decoder.
// natives.decoderDecode(handle, bytes, flush)         -> string; throws TypeError when fatal and malformed.
// natives.decoderFree(handle)                         -> undefined; never called twice for one handle.
// natives.atob(string), natives.btoa(string)          -> string, or undefined when the input is invalid.
const {
  FinalizationRegistry,
  FinalizationRegistryPrototypeRegister,
  FinalizationRegistryPrototypeUnregister,
  RangeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypedArrayPrototypeSet,
  Uint8Array,
} = primordials;
const { argumentError, bytesOfBufferSource, defineInterface, illegalInvocation } = require("web/webidl");

class TextEncoder {
  #brand;

  get encoding() {
    if (!(#brand in this)) throw illegalInvocation();
    return "utf-8";
  }

  encode(input = "") {
    if (!(#brand in this)) throw illegalInvocation();
    return natives.utf8Encode(`${input}`);
  }

  encodeInto(source, destination) {
    if (!(#brand in this)) throw illegalInvocation();
    if (arguments.length === 0) throw argumentError("TextEncoder", "encodeInto", 1, "string");
    source = `${source}`;
    // The getter answers undefined for everything that is not a typed array.
    if (TypedArrayPrototypeGetSymbolToStringTag(destination) !== "Uint8Array") {
      throw argumentError("TextEncoder", "encodeInto", 2, "Uint8Array");
    }
    const counts = natives.utf8EncodeInto(source, destination);
    return { read: counts[0], written: counts[1] };
  }
}

defineInterface(TextEncoder, "TextEncoder");

const noBytes = new Uint8Array(0);
// Frees the native decoder of a stream that was never flushed.
let abandonedDecoders = null;

class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBOM;
  // State between two calls with { stream: true }.
  #tail = noBytes;
  #bomSeen = false;
  #handle = 0;

  constructor(label = "utf-8", options = undefined) {
    label = `${label}`;
    if (options !== undefined && options !== null && typeof options !== "object" && typeof options !== "function") {
      throw argumentError("TextDecoder", "", 2, "TextDecoderOptions");
    }
    this.#fatal = !!options?.fatal;
    this.#ignoreBOM = !!options?.ignoreBOM;
    const encoding = natives.encodingName(label);
    if (encoding === undefined) throw new RangeError(`"${label}" is not a valid encoding.`);
    this.#encoding = encoding;
  }

  get encoding() {
    if (!(#fatal in this)) throw illegalInvocation();
    return this.#encoding;
  }

  get fatal() {
    if (!(#fatal in this)) throw illegalInvocation();
    return this.#fatal;
  }

  get ignoreBOM() {
    if (!(#fatal in this)) throw illegalInvocation();
    return this.#ignoreBOM;
  }

  decode(input = undefined, options = undefined) {
    if (!(#fatal in this)) throw illegalInvocation();
    if (options !== undefined && options !== null && typeof options !== "object" && typeof options !== "function") {
      throw argumentError("TextDecoder", "decode", 2, "TextDecodeOptions");
    }
    const stream = !!options?.stream;
    const bytes = input === undefined ? noBytes : bytesOfBufferSource(input);
    if (bytes === undefined) throw argumentError("TextDecoder", "decode", 1, "ArrayBuffer or ArrayBufferView");
    if (!stream && this.#handle === 0 && !this.#bomSeen && TypedArrayPrototypeGetByteLength(this.#tail) === 0) {
      return natives.textDecode(this.#encoding, bytes, this.#fatal, this.#ignoreBOM);
    }
    switch (this.#encoding) {
      case "utf-8":
      case "utf-16le":
      case "utf-16be":
        return this.#decodeUnicode(bytes, stream);
      case "gbk":
      case "gb18030":
      case "big5":
      case "euc-jp":
      case "iso-2022-jp":
      case "shift_jis":
      case "euc-kr":
        return this.#decodeLegacy(bytes, stream);
      default:
        // A byte is a character: there is nothing to keep between two calls.
        return natives.textDecode(this.#encoding, bytes, this.#fatal, this.#ignoreBOM);
    }
  }

  #decodeUnicode(bytes, stream) {
    let whole = bytes;
    const tailLength = TypedArrayPrototypeGetByteLength(this.#tail);
    const bytesLength = TypedArrayPrototypeGetByteLength(bytes);
    if (tailLength > 0) {
      whole = new Uint8Array(tailLength + bytesLength);
      TypedArrayPrototypeSet(whole, this.#tail, 0);
      TypedArrayPrototypeSet(whole, bytes, tailLength);
    }
    const length = tailLength + bytesLength;
    const kept = stream ? unfinishedBytes(whole, length, this.#encoding) : 0;
    const bomSeen = this.#bomSeen;
    // Cleared before decoding: after an error in fatal mode the decoder starts anew.
    this.#tail = noBytes;
    this.#bomSeen = false;
    let text = "";
    if (kept < length) {
      const complete = viewOf(whole, 0, length - kept);
      text = natives.textDecode(this.#encoding, complete, this.#fatal, this.#ignoreBOM || bomSeen);
    }
    if (stream) {
      // A copy: the memory is the caller's.
      if (kept > 0) this.#tail = new Uint8Array(viewOf(whole, length - kept, kept));
      this.#bomSeen = bomSeen || kept < length;
    }
    return text;
  }

  #decodeLegacy(bytes, stream) {
    if (this.#handle === 0) {
      this.#handle = natives.decoderNew(this.#encoding, this.#fatal, this.#ignoreBOM);
      abandonedDecoders ??= new FinalizationRegistry(natives.decoderFree);
      FinalizationRegistryPrototypeRegister(abandonedDecoders, this, this.#handle, this);
    }
    let finished = true;
    try {
      const text = natives.decoderDecode(this.#handle, bytes, !stream);
      finished = !stream;
      return text;
    } finally {
      if (finished) {
        FinalizationRegistryPrototypeUnregister(abandonedDecoders, this);
        natives.decoderFree(this.#handle);
        this.#handle = 0;
      }
    }
  }
}

defineInterface(TextDecoder, "TextDecoder");

function viewOf(bytes, start, length) {
  return new Uint8Array(TypedArrayPrototypeGetBuffer(bytes), TypedArrayPrototypeGetByteOffset(bytes) + start, length);
}

function unfinishedBytes(bytes, length, encoding) {
  return encoding === "utf-8" ? unfinishedUtf8(bytes, length) : unfinishedUtf16(bytes, length, encoding);
}

// How many bytes at the end are the beginning of a UTF-8 sequence that may still become valid (0 to 3).
// The second byte has narrower bounds after E0, ED, F0 and F4: what breaks them is an error at once.
function unfinishedUtf8(bytes, length) {
  for (let back = 1; back <= 3 && back <= length; back++) {
    const byte = bytes[length - back];
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    if (byte < 0xc2 || byte > 0xf4) return 0;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    if (back >= needed) return 0;
    if (back === 1) return 1;
    const second = bytes[length - back + 1];
    const lower = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    const upper = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    return second >= lower && second <= upper ? back : 0;
  }
  return 0;
}

// An odd byte, and the lead surrogate before it (0 to 3 bytes).
function unfinishedUtf16(bytes, length, encoding) {
  const odd = length % 2;
  if (length - odd < 2) return odd;
  const high = bytes[length - odd - (encoding === "utf-16le" ? 1 : 2)];
  return high >= 0xd8 && high <= 0xdb ? odd + 2 : odd;
}

function atob(data) {
  if (arguments.length === 0) throw argumentError("ServiceWorkerGlobalScope", "atob", 1, "string");
  const decoded = natives.atob(`${data}`);
  if (decoded !== undefined) return decoded;
  const { DOMException } = require("web/dom-exception");
  throw new DOMException(
    "atob() called with invalid base64-encoded data. (Only whitespace, '+', '/', alphanumeric ASCII, and up to two " +
      "terminal '=' signs when the input data length is divisible by 4 are allowed.)",
    "InvalidCharacterError",
  );
}

function btoa(data) {
  if (arguments.length === 0) throw argumentError("ServiceWorkerGlobalScope", "btoa", 1, "string");
  const encoded = natives.btoa(`${data}`);
  if (encoded !== undefined) return encoded;
  const { DOMException } = require("web/dom-exception");
  throw new DOMException(
    "btoa() can only operate on characters in the Latin1 (ISO/IEC 8859-1) range.",
    "InvalidCharacterError",
  );
}

exports.TextEncoder = TextEncoder;
exports.TextDecoder = TextDecoder;
exports.atob = atob;
exports.btoa = btoa;
