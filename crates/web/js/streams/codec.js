"use strict";
// Transform streams of the runtime's own: text encoding and decoding, compression and decompression.
// https://encoding.spec.whatwg.org/#interface-textencoderstream https://compression.spec.whatwg.org/
//
// natives.utf8Encode(string)                        -> Uint8Array; lone surrogates become U+FFFD.
// natives.encodingName(label)                       -> canonical name, or undefined for an unknown label.
// natives.decoderNew(name, fatal, ignoreBOM)        -> integer handle of a stateful decoder, of any encoding.
// natives.decoderDecode(handle, bytes, flush)       -> string; throws TypeError when fatal and malformed.
// natives.decoderFree(handle)                       -> undefined; never called twice for one handle.
// natives.zlibNew(format, decompress)               -> integer handle; format is "gzip", "deflate" or "deflate-raw".
// natives.zlibPush(handle, bytes, finish)           -> Uint8Array, possibly empty. When decompressing it throws TypeError:
//     "Decompression failed.", "Trailing bytes after end of compressed data", and with finish
//     "Called close() on a decompression stream with incomplete data".
// natives.zlibFree(handle)                          -> undefined; never called twice for one handle.

const {
  PromiseGuarded,
  RangeError,
  StringPrototypeCharCodeAt,
  StringPrototypeSlice,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  Uint8Array,
} = primordials;
const { bytesOfBufferSource, defineInterface, illegalInvocation } = require("web/webidl");
const { internal } = require("web/streams/promises");
const { dictionary } = require("web/streams/dictionaries");
const { ReadableStream } = require("web/streams/readable");
const { WritableStream } = require("web/streams/writable");
const { TransformStream, Transformation, handOver } = require("web/streams/transform");
const { ownBytes } = require("web/streams/native");

const NOT_BUFFER_SOURCE =
  "This TransformStream is being used as a byte stream, but received a value that is not a BufferSource.";

// How much output, in bytes or UTF-16 units, may wait for a reader before writes wait too. Not zero as the standard's default
// would have it: code for Workers awaits write() and close() before it starts to read.
const OUTPUT_MARK = 4 * 1024 * 1024;

// Input is compressed in pieces, so that one write of highly compressed data cannot become a huge output at once.
const PIECE = 16 * 1024;

const inputStrategy = { __proto__: null, highWaterMark: 1, size: undefined };
const byteOutput = { __proto__: null, highWaterMark: OUTPUT_MARK, size: TypedArrayPrototypeGetByteLength };
const textOutput = { __proto__: null, highWaterMark: OUTPUT_MARK, size: (text) => text.length };

// The two sides for a coder: an object with transform(chunk, transformation), flush(transformation) and free().
function sides(coder, outputStrategy) {
  const { flush, free, transform } = coder;
  const callbacks = { __proto__: null, self: coder, transform, flush, cancel: free };
  const transformation = new Transformation(callbacks, inputStrategy, outputStrategy);
  transformation.start(undefined);
  // An abort does not wait for a reader to take what a write has brought out so far.
  transformation.writable.control.onAbort = () => transformation.unblockWrite();
  return {
    __proto__: null,
    readable: new ReadableStream(internal, transformation.readable),
    writable: new WritableStream(internal, transformation.writable),
  };
}

class ZlibCoder {
  handle;

  constructor(format, decompress) {
    const text = `${format}`;
    if (text !== "gzip" && text !== "deflate" && text !== "deflate-raw") {
      throw new TypeError("The compression format must be either 'deflate', 'deflate-raw' or 'gzip'.");
    }
    this.handle = natives.zlibNew(text, decompress);
  }

  async transform(chunk, transformation) {
    try {
      const bytes = ownBytes(chunk, true);
      const buffer = TypedArrayPrototypeGetBuffer(bytes);
      const offset = TypedArrayPrototypeGetByteOffset(bytes);
      const length = TypedArrayPrototypeGetByteLength(bytes);
      for (let at = 0; at < length; at += PIECE) {
        if (transformation.backpressure) await PromiseGuarded(transformation.backpressureChange.promise);
        // The reader has cancelled or the writer aborted meanwhile.
        if (this.handle === 0 || transformation.writable.state !== "writable") return;
        const piece = new Uint8Array(buffer, offset + at, length - at < PIECE ? length - at : PIECE);
        const output = natives.zlibPush(this.handle, piece, false);
        if (TypedArrayPrototypeGetByteLength(output) > 0) transformation.enqueue(output);
      }
    } catch (error) {
      this.free();
      throw error;
    }
  }

  flush(transformation) {
    try {
      const output = natives.zlibPush(this.handle, new Uint8Array(0), true);
      if (TypedArrayPrototypeGetByteLength(output) > 0) transformation.enqueue(output);
    } finally {
      this.free();
    }
  }

  free() {
    if (this.handle !== 0) natives.zlibFree(this.handle);
    this.handle = 0;
  }
}

class CompressionStream extends TransformStream {
  constructor(format) {
    handOver(sides(new ZlibCoder(format, false), byteOutput));
    super();
  }
}

class DecompressionStream extends TransformStream {
  constructor(format) {
    handOver(sides(new ZlibCoder(format, true), byteOutput));
    super();
  }
}

class Utf8Coder {
  // A high surrogate at the end of a chunk waits for its other half.
  pending = "";

  transform(chunk, transformation) {
    const text = this.pending + `${chunk}`;
    const end = text.length - 1;
    const last = end >= 0 ? StringPrototypeCharCodeAt(text, end) : 0;
    const isSplit = last >= 0xd800 && last <= 0xdbff;
    this.pending = isSplit ? text[end] : "";
    const whole = isSplit ? StringPrototypeSlice(text, 0, end) : text;
    if (whole !== "") transformation.enqueue(natives.utf8Encode(whole));
  }

  flush(transformation) {
    if (this.pending !== "") transformation.enqueue(natives.utf8Encode(this.pending));
  }

  free() {}
}

class TextEncoderStream extends TransformStream {
  #brand;

  constructor() {
    handOver(sides(new Utf8Coder(), byteOutput));
    super();
  }

  get encoding() {
    if (!(#brand in this)) throw illegalInvocation();
    return "utf-8";
  }
}

class TextCoder {
  encoding;
  fatal;
  ignoreBOM;
  handle = 0;

  constructor(label, options) {
    this.encoding = natives.encodingName(label);
    if (this.encoding === undefined) throw new RangeError(`"${label}" is not a valid encoding.`);
    const { fatal, ignoreBOM } = dictionary(options, "TextDecoderOptions");
    this.fatal = !!fatal;
    this.ignoreBOM = !!ignoreBOM;
  }

  transform(chunk, transformation) {
    const bytes = bytesOfBufferSource(chunk);
    if (bytes === undefined) {
      this.free();
      throw new TypeError(NOT_BUFFER_SOURCE);
    }
    if (this.handle === 0) this.handle = natives.decoderNew(this.encoding, this.fatal, this.ignoreBOM);
    this.decode(bytes, false, transformation);
  }

  flush(transformation) {
    if (this.handle === 0) return;
    this.decode(new Uint8Array(0), true, transformation);
    this.free();
  }

  decode(bytes, flush, transformation) {
    let text;
    try {
      text = natives.decoderDecode(this.handle, bytes, flush);
    } catch (error) {
      this.free();
      throw error;
    }
    if (text !== "") transformation.enqueue(text);
  }

  free() {
    if (this.handle !== 0) natives.decoderFree(this.handle);
    this.handle = 0;
  }
}

class TextDecoderStream extends TransformStream {
  #coder;

  constructor(label = "utf-8", options = undefined) {
    const coder = new TextCoder(`${label}`, options);
    handOver(sides(coder, textOutput));
    super();
    this.#coder = coder;
  }

  get encoding() {
    if (!(#coder in this)) throw illegalInvocation();
    return this.#coder.encoding;
  }

  get fatal() {
    if (!(#coder in this)) throw illegalInvocation();
    return this.#coder.fatal;
  }

  get ignoreBOM() {
    if (!(#coder in this)) throw illegalInvocation();
    return this.#coder.ignoreBOM;
  }
}

defineInterface(CompressionStream, "CompressionStream");
defineInterface(DecompressionStream, "DecompressionStream");
defineInterface(TextDecoderStream, "TextDecoderStream");
defineInterface(TextEncoderStream, "TextEncoderStream");

exports.CompressionStream = CompressionStream;
exports.DecompressionStream = DecompressionStream;
exports.TextDecoderStream = TextDecoderStream;
exports.TextEncoderStream = TextEncoderStream;
