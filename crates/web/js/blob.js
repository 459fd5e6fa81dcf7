"use strict";
// Blob and File over bytes in memory. https://w3c.github.io/FileAPI/
// The bytes of a blob never change, so slices and streams share them; whatever leaves as a buffer is a copy.
//
// natives.utf8Encode(string)                        -> Uint8Array; lone surrogates become U+FFFD.
// natives.textDecode(name, bytes, fatal, ignoreBOM) -> string.
// natives.dateNow()                                 -> milliseconds since 1970 on the invocation's clock.
const {
  ArrayBufferPrototypeGetByteLength,
  ArrayPrototypePush,
  MathMax,
  MathMin,
  MathTrunc,
  NumberIsFinite,
  NumberIsNaN,
  ObjectSetPrototypeOf,
  StringPrototypeCharCodeAt,
  StringPrototypeSlice,
  StringPrototypeToLowerCase,
  StringPrototypeToWellFormed,
  SymbolIterator,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypedArrayPrototypeSet,
  Uint8Array,
} = primordials;
const { argumentError, bytesOfBufferSource, defineInterface, illegalInvocation } = require("web/webidl");
const clones = require("web/clone");

// Given instead of parts, it lets the runtime hand over bytes without a copy; guest code cannot reach it.
const adopt = { __proto__: null };
// Type and bytes for the constructor of Blob that runs next. As arguments they would go to whatever a guest has made the
// parent of File.
let adopted;

class Blob {
  #bytes;
  #type;

  constructor(parts = undefined, options = undefined, bytes = undefined) {
    if (parts === adopt) {
      this.#bytes = bytes;
      this.#type = options;
      return;
    }
    if (adopted !== undefined) {
      this.#bytes = adopted.bytes;
      this.#type = adopted.type;
      adopted = undefined;
      return;
    }
    if (options !== undefined && options !== null && typeof options !== "object" && typeof options !== "function") {
      throw argumentError("Blob", "", 2, "BlobPropertyBag");
    }
    const chunks = parts === undefined ? [] : chunksOf(parts, lineEndings(options));
    this.#bytes = concatenate(chunks);
    this.#type = normalizeType(options?.type);
  }

  get size() {
    if (!(#bytes in this)) throw illegalInvocation();
    return TypedArrayPrototypeGetByteLength(this.#bytes);
  }

  get type() {
    if (!(#bytes in this)) throw illegalInvocation();
    return this.#type;
  }

  slice(start = 0, end = undefined, contentType = "") {
    if (!(#bytes in this)) throw illegalInvocation();
    const size = TypedArrayPrototypeGetByteLength(this.#bytes);
    const from = clampIndex(start, size);
    const to = end === undefined ? size : clampIndex(end, size);
    const buffer = TypedArrayPrototypeGetBuffer(this.#bytes);
    const offset = TypedArrayPrototypeGetByteOffset(this.#bytes) + from;
    return new Blob(adopt, normalizeType(contentType), new Uint8Array(buffer, offset, MathMax(to - from, 0)));
  }

  async arrayBuffer() {
    if (!(#bytes in this)) throw illegalInvocation();
    return TypedArrayPrototypeGetBuffer(new Uint8Array(this.#bytes));
  }

  async bytes() {
    if (!(#bytes in this)) throw illegalInvocation();
    return new Uint8Array(this.#bytes);
  }

  async text() {
    if (!(#bytes in this)) throw illegalInvocation();
    return natives.textDecode("utf-8", this.#bytes, false, false);
  }

  stream() {
    if (!(#bytes in this)) throw illegalInvocation();
    return require("web/streams/readable").readableStreamFromBytes(new Uint8Array(this.#bytes));
  }

  static {
    exports.isBlob = (value) => typeof value === "object" && value !== null && #bytes in value;
    exports.blobBytes = (blob) => blob.#bytes;
    exports.blobType = (blob) => blob.#type;
    clones.register(Blob.prototype, {
      __proto__: null,
      kind: "Blob",
      encode: (blob) => {
        if (!(#bytes in blob)) throw clones.unsupported("Blob");
        return { bytes: wholeBuffer(blob.#bytes), type: blob.#type };
      },
      decode: (payload) => {
        clones.expect(typeof payload === "object" && payload !== null);
        const { bytes, type } = ObjectSetPrototypeOf(payload, null);
        clones.expect(TypedArrayPrototypeGetSymbolToStringTag(bytes) === "Uint8Array");
        clones.expect(typeof type === "string");
        return new Blob(adopt, type, bytes);
      },
    });
  }
}

defineInterface(Blob, "Blob");

// The parts of the constructor as a list of Uint8Array: https://w3c.github.io/FileAPI/#process-blob-parts
function chunksOf(parts, endings) {
  const isObject = (typeof parts === "object" && parts !== null) || typeof parts === "function";
  if (!isObject || typeof parts[SymbolIterator] !== "function") throw argumentError("Blob", "", 1, "Array");
  const chunks = [];
  // The sequence is the caller's: its own iterator decides.
  for (const part of parts) {
    if (exports.isBlob(part)) {
      ArrayPrototypePush(chunks, exports.blobBytes(part));
      continue;
    }
    const source = bytesOfBufferSource(part);
    if (source !== undefined) {
      // A copy at once: the toString() of a later part may write into this buffer.
      ArrayPrototypePush(chunks, new Uint8Array(source));
    } else {
      const text = `${part}`;
      ArrayPrototypePush(chunks, natives.utf8Encode(endings === "native" ? unixLineEndings(text) : text));
    }
  }
  return chunks;
}

function concatenate(chunks) {
  // A lone chunk is already ours.
  if (chunks.length === 1) return chunks[0];
  let size = 0;
  for (let i = 0; i < chunks.length; i++) size += TypedArrayPrototypeGetByteLength(chunks[i]);
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (let i = 0; i < chunks.length; i++) {
    TypedArrayPrototypeSet(bytes, chunks[i], offset);
    offset += TypedArrayPrototypeGetByteLength(chunks[i]);
  }
  return bytes;
}

function lineEndings(options) {
  const endings = options?.endings;
  if (endings === undefined) return "transparent";
  const text = `${endings}`;
  if (text !== "transparent" && text !== "native") {
    throw new TypeError(
      `Incorrect value "${text}" for the 'endings' field on 'BlobPropertyBag': it must be "transparent" or "native".`,
    );
  }
  return text;
}

function unixLineEndings(text) {
  let converted = "";
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (StringPrototypeCharCodeAt(text, i) !== 0x0d) continue;
    converted += `${StringPrototypeSlice(text, start, i)}\n`;
    if (StringPrototypeCharCodeAt(text, i + 1) === 0x0a) i++;
    start = i + 1;
  }
  return converted + StringPrototypeSlice(text, start);
}

// A type with a character outside printable ASCII is no type.
function normalizeType(type) {
  if (type === undefined) return "";
  const text = `${type}`;
  for (let i = 0; i < text.length; i++) {
    const code = StringPrototypeCharCodeAt(text, i);
    if (code < 0x20 || code > 0x7e) return "";
  }
  return StringPrototypeToLowerCase(text);
}

// [Clamp] long long, counted from the end when negative.
function clampIndex(index, size) {
  index = +index;
  if (NumberIsNaN(index)) return 0;
  index = MathTrunc(index);
  return index < 0 ? MathMax(size + index, 0) : MathMin(index, size);
}

class File extends Blob {
  #name;
  #lastModified;

  constructor(parts, name, options = undefined, bytes = undefined) {
    if (parts === adopt) {
      adopted = { __proto__: null, type: options.type, bytes };
      super();
    } else {
      if (parts === undefined) throw argumentError("File", "", 1, "Array");
      if (arguments.length < 2) throw argumentError("File", "", 2, "string");
      super(parts, options);
    }
    this.#name = StringPrototypeToWellFormed(`${name}`);
    const lastModified = options?.lastModified;
    this.#lastModified = lastModified === undefined ? natives.dateNow() : toLongLong(lastModified);
  }

  get name() {
    if (!(#name in this)) throw illegalInvocation();
    return this.#name;
  }

  get lastModified() {
    if (!(#name in this)) throw illegalInvocation();
    return this.#lastModified;
  }

  static {
    exports.isFile = (value) => typeof value === "object" && value !== null && #name in value;
    exports.fileName = (file) => file.#name;
    exports.fileLastModified = (file) => file.#lastModified;
    clones.register(File.prototype, {
      __proto__: null,
      kind: "File",
      encode: (file) => {
        if (!(#name in file)) throw clones.unsupported("File");
        const bytes = wholeBuffer(exports.blobBytes(file));
        return { bytes, type: exports.blobType(file), name: file.#name, lastModified: file.#lastModified };
      },
      decode: (payload) => {
        clones.expect(typeof payload === "object" && payload !== null);
        const { bytes, type, name, lastModified } = ObjectSetPrototypeOf(payload, null);
        clones.expect(TypedArrayPrototypeGetSymbolToStringTag(bytes) === "Uint8Array");
        clones.expectTexts([type, name]);
        clones.expect(typeof lastModified === "number");
        return new File(adopt, name, { __proto__: null, type, lastModified }, bytes);
      },
    });
  }
}

defineInterface(File, "File");

// A view is written with the whole buffer under it: that of a slice holds what its receiver must not see.
function wholeBuffer(bytes) {
  const size = ArrayBufferPrototypeGetByteLength(TypedArrayPrototypeGetBuffer(bytes));
  return size === TypedArrayPrototypeGetByteLength(bytes) ? bytes : new Uint8Array(bytes);
}

function toLongLong(value) {
  const number = MathTrunc(+value);
  // `+ 0` makes -0 a 0.
  return NumberIsFinite(number) ? number + 0 : 0;
}

exports.Blob = Blob;
exports.File = File;
// For the runtime. Both take over `bytes` (a Uint8Array that nobody else writes to) without a copy.
exports.blobFromBytes = (bytes, type) => new Blob(adopt, type, bytes);
exports.fileFromBytes = (bytes, name, type, lastModified = undefined) =>
  new File(adopt, name, { __proto__: null, type: normalizeType(type), lastModified }, bytes);
exports.concatenate = concatenate;
