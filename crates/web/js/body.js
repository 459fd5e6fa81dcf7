"use strict";
// Bodies of requests and responses. A simple body (text, bytes, what came from outside and nobody touched) never
// becomes a stream object; `.body` makes one on demand. https://fetch.spec.whatwg.org/#body-mixin
//
// natives.bodyReadAll(handle, inCall) -> Promise<[Uint8Array]>, natives.bodyReadText(handle, inCall) -> Promise<string>,
// natives.bodyRead(handle, inCall) -> Promise<[Uint8Array] | null>, natives.bodyCancel(handle),
// natives.release(handle), natives.logError(error)
//
// Bytes that a promise of the runtime's own is fulfilled with are in a list without a prototype: it is asked for `then`.

const {
  ArrayBufferIsView, JSONParse, ObjectDefineProperty, Promise, PromiseGuarded, PromisePrototypeThen, PromiseReject,
  PromiseResolve, String, StringPrototypeIncludes, StringPrototypeSlice, StringPrototypeCharCodeAt, TypeError,
  TypedArrayPrototypeGetBuffer, TypedArrayPrototypeGetByteLength, TypedArrayPrototypeGetSymbolToStringTag,
  ArrayBufferPrototypeGetByteLength, Uint8Array, DataViewPrototypeGetBuffer, DataViewPrototypeGetByteOffset,
  DataViewPrototypeGetByteLength, TypedArrayPrototypeGetByteOffset, ObjectPrototypeToString,
  ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf, SymbolAsyncIterator, SymbolIterator, SymbolToPrimitive,
} = primordials;

// The state of one body.
class BodyState {
  // Text, Uint8Array, or undefined when it is elsewhere.
  source = undefined;
  // A native body.
  handle = 0;
  // A ReadableStream, once somebody asked for it or gave one.
  stream = undefined;
  used = false;
  // Ends reading with an AbortSignal.
  guard = undefined;
  contentType = undefined;
  // The context that the native body belongs to.
  context = 0;
  // It came with a call.
  inCall = false;
  // What collecting lets go of the native body.
  kept = undefined;
}

const { CROSS_REQUEST } = require("web/context");
const streams = () => require("web/streams/readable");

function isArrayBuffer(value) {
  try {
    ArrayBufferPrototypeGetByteLength(value);
    return true;
  } catch {
    return false;
  }
}

function viewBytes(view) {
  const typed = TypedArrayPrototypeGetSymbolToStringTag(view) !== undefined;
  const buffer = typed ? TypedArrayPrototypeGetBuffer(view) : DataViewPrototypeGetBuffer(view);
  const offset = typed ? TypedArrayPrototypeGetByteOffset(view) : DataViewPrototypeGetByteOffset(view);
  const length = typed ? TypedArrayPrototypeGetByteLength(view) : DataViewPrototypeGetByteLength(view);
  return new Uint8Array(new Uint8Array(buffer, offset, length));
}

// https://fetch.spec.whatwg.org/#concept-bodyinit-extract
function extract(init) {
  if (init === undefined || init === null) return null;
  const body = new BodyState();
  if (typeof init === "string") {
    body.source = init;
    body.contentType = "text/plain;charset=UTF-8";
  } else if (ArrayBufferIsView(init)) {
    body.source = viewBytes(init);
  } else if (typeof init === "object" && isArrayBuffer(init)) {
    body.source = new Uint8Array(new Uint8Array(init));
  } else if (typeof init !== "object" && typeof init !== "function") {
    body.source = `${init}`;
    body.contentType = "text/plain;charset=UTF-8";
  } else {
    extractObject(init, body);
  }
  return body;
}

// Objects whose classes are lazy: if nobody has touched the class, the object is none of it.
function extractObject(init, body) {
  const tag = ObjectPrototypeToString(init);
  if (tag === "[object ReadableStream]" && streams().isReadableStream(init)) {
    if (streams().isDisturbed(init)) throw new TypeError("This ReadableStream is disturbed (has already been read from), and cannot be used as a body.");
    if (streams().isLocked(init)) throw new TypeError("This ReadableStream is locked to a reader, and cannot be used as a body.");
    body.stream = init;
  } else if (tag === "[object Blob]" || tag === "[object File]") {
    const { blobBytes, blobType } = require("web/blob");
    body.source = blobBytes(init);
    if (blobType(init) !== "") body.contentType = blobType(init);
  } else if (tag === "[object URLSearchParams]") {
    body.source = String(init);
    body.contentType = "application/x-www-form-urlencoded;charset=UTF-8";
  } else if (tag === "[object FormData]") {
    const { bytes, contentType } = require("web/form-data").serializeFormData(init);
    body.source = bytes;
    body.contentType = contentType;
  } else if (natives.hasFlag("fetch_iterable_type_support") && isIterable(init)) {
    body.stream = streams().fromIterable(init);
  } else {
    body.source = String(init);
    body.contentType = "text/plain;charset=UTF-8";
  }
}

// Whether an object is a body by what it yields and not by its text: one that can be iterated asynchronously, or that can
// be iterated and has no way of its own to become a string.
function isIterable(init) {
  if (typeof init[SymbolAsyncIterator] === "function") return true;
  if (typeof init[SymbolIterator] !== "function") return false;
  if (!natives.hasFlag("fetch_iterable_type_support_override_adjustment")) return true;
  if (init[SymbolToPrimitive] !== undefined && init[SymbolToPrimitive] !== null) return false;
  const { toString } = init;
  return typeof toString !== "function" || toString === toStringOf({}) || toString === toStringOf([]);
}

function toStringOf(instance) {
  const descriptor = ObjectGetOwnPropertyDescriptor(ObjectGetPrototypeOf(instance), "toString");
  return descriptor === undefined ? undefined : descriptor.value;
}

// `handle`: of a native body, or the text of a short one.
function fromHandle(handle, inCall = false) {
  if (handle === null || handle === undefined) return null;
  const body = new BodyState();
  body.inCall = inCall;
  body.context = natives.currentContext();
  if (typeof handle === "string") body.source = handle;
  else {
    body.handle = handle;
    body.kept = keep(handle);
  }
  return body;
}

let collected;

// An object that the holders of a native body have in common: once it is collected, nobody can read the body, and whoever
// writes it is told. What was sent on or is being read has left its handle by then.
function keep(handle) {
  collected ??= new primordials.FinalizationRegistry((gone) => natives.release(gone));
  const kept = { __proto__: null };
  primordials.FinalizationRegistryPrototypeRegister(collected, kept, handle);
  return kept;
}

const USED =
  "Body has already been used. It can only be used once. Use tee() first if you need to read it twice.";

function isUsed(body) {
  return body !== null && (body.used || (body.stream !== undefined && streams().isDisturbed(body.stream)));
}

function isLocked(body) {
  return body !== null && body.stream !== undefined && streams().isLocked(body.stream);
}

// Whether it is known to have no bytes.
function isEmpty(body) {
  const { source } = body;
  if (source === undefined) return false;
  return (typeof source === "string" ? source.length : TypedArrayPrototypeGetByteLength(source)) === 0;
}

// `cf` of an initialiser: data only, and the runtime's own from now on.
function copyCf(cf, dictionary) {
  const isObject = (typeof cf === "object" || typeof cf === "function") && cf !== null;
  // Functions, and what toJSON() makes undefined, have no JSON.
  const text = isObject ? primordials.JSONStringify(cf) : undefined;
  if (text === undefined) {
    throw new TypeError(`Incorrect type for the 'cf' field on '${dictionary}': the provided value is not of type 'Object'.`);
  }
  return JSONParse(text);
}

// A header's value as it is once it is normalised. Blobs can have other types.
const normalType = /^[!-~](?:[ -~]*[!-~])?$/;

// The body's type goes into headers that no guest has seen yet, unless they say one.
function setType(headers, { contentType }) {
  if (contentType === undefined) return;
  const { Headers, getHeader, headerList } = require("web/headers");
  if (getHeader(headers, "content-type") !== null) return;
  // append() would be a method that guests can patch.
  const isNormal = primordials.RegExpPrototypeExec(normalType, contentType) !== null;
  const value = isNormal ? contentType : headerList(new Headers({ __proto__: null, type: contentType }))[1];
  primordials.ArrayPrototypePush(headerList(headers), "content-type", value);
}

function checkContext(body) {
  if (body.context !== 0 && body.context !== natives.currentContext()) {
    throw new primordials.Error(CROSS_REQUEST("ReadableStreamSource"));
  }
}

// The text of a short body is here already; an abort before it is read still counts.
function checkAborted({ guard }) {
  if (guard !== undefined && require("web/abort").isAborted(guard.signal)) throw guard.reason();
}

// Marks the body as read and says what it is; throws where it cannot be read any more.
function consume(body) {
  if (isUsed(body)) throw new TypeError(USED);
  if (isLocked(body)) throw new TypeError("This ReadableStream is currently locked to a reader.");
  checkContext(body);
  body.used = true;
}

async function drain(stream) {
  const chunks = [];
  let length = 0;
  const drained = streams().drainStream(stream, (chunk) => {
    primordials.ArrayPrototypePush(chunks, new Uint8Array(chunk));
    length += TypedArrayPrototypeGetByteLength(chunk);
  });
  await PromiseGuarded(drained);
  const all = new Uint8Array(length);
  for (let i = 0, offset = 0; i < chunks.length; i++) {
    primordials.TypedArrayPrototypeSet(all, chunks[i], offset);
    offset += TypedArrayPrototypeGetByteLength(chunks[i]);
  }
  return { __proto__: null, 0: all };
}

// Ends the reading of a native body when a signal aborts: the body is let go of at once, reads fail with the reason.
class Guard {
  signal;
  handle;
  fail = undefined;
  abort = () => {
    natives.bodyCancel(this.handle);
    if (this.fail !== undefined) this.fail(this.reason());
  };
  constructor(signal, handle) {
    this.signal = signal;
    this.handle = handle;
    require("web/abort").addAbortAlgorithm(signal, this.abort);
  }

  reason() {
    return require("web/abort").abortReason(this.signal);
  }

  // `read(handle)` gives a promise.
  run(read) {
    if (require("web/abort").isAborted(this.signal)) return PromiseReject(this.reason());
    return new Promise((resolve, reject) => {
      this.fail = reject;
      PromisePrototypeThen(read(this.handle), resolve, reject);
    });
  }

  // Nothing more will be read.
  done() {
    require("web/abort").removeAbortAlgorithm(this.signal, this.abort);
  }
}

exports.abortWith = (body, signal) => {
  if (body === null || body.context === 0) return;
  body.guard = new Guard(signal, body.handle);
  if (require("web/abort").isAborted(signal)) body.guard.abort();
};

function readWhole({ guard, handle, inCall }, read) {
  if (guard === undefined) return read(handle, inCall);
  const whole = guard.run(read);
  PromisePrototypeThen(whole, () => guard.done(), () => guard.done());
  return whole;
}

// -> Uint8Array or a promise of a list with it
function readBytes(body) {
  if (body === null) return new Uint8Array(0);
  consume(body);
  if (body.stream !== undefined) return drain(body.stream);
  if (body.handle !== 0) return readWhole(body, natives.bodyReadAll);
  checkAborted(body);
  return typeof body.source === "string" ? natives.utf8Encode(body.source) : new Uint8Array(body.source);
}

function decodeText(bytes) {
  return natives.textDecode("utf-8", bytes, false, false);
}

// -> string or a promise of it
function readText(body) {
  if (body === null) return "";
  if (body.stream === undefined && body.handle !== 0) {
    consume(body);
    return readWhole(body, natives.bodyReadText);
  }
  if (body.stream === undefined && typeof body.source === "string") {
    consume(body);
    checkAborted(body);
    const text = primordials.StringPrototypeToWellFormed(body.source);
    return StringPrototypeCharCodeAt(text, 0) === 0xfeff ? StringPrototypeSlice(text, 1) : text;
  }
  const bytes = readBytes(body);
  return body.stream === undefined ? decodeText(bytes) : PromisePrototypeThen(bytes, (list) => decodeText(list[0]));
}

// Runs a reader of bytes and hands them on to `then`; what it throws becomes a rejection.
function settleBytes(reader, body, then) {
  try {
    const value = reader(body);
    if (natives.isPromise(value)) return PromisePrototypeThen(value, (list) => then(list[0]));
    return PromiseResolve(then(value));
  } catch (error) {
    return PromiseReject(error);
  }
}

// The same for text.
function settle(reader, body, then) {
  try {
    const value = reader(body);
    if (typeof value === "object" && value !== null && natives.isPromise(value)) {
      return then === undefined ? value : PromisePrototypeThen(value, then);
    }
    return PromiseResolve(then === undefined ? value : then(value));
  } catch (error) {
    return PromiseReject(error);
  }
}

function streamOf(body) {
  if (body === null) return null;
  if (body.stream !== undefined) return body.stream;
  if (body.used) {
    body.stream = streams().spentStream();
    body.source = undefined;
  } else if (body.handle !== 0) {
    body.stream = streamFromHandle(body.handle, body.context, body.inCall, body.guard, body.kept);
  } else if (body.guard !== undefined) {
    body.stream = guardedTextStream(natives.utf8Encode(body.source), body);
    body.source = undefined;
  } else {
    // The source stays: a request whose stream nobody has read can be sent again.
    body.stream = streams().readableStreamFromBytes(
      typeof body.source === "string" ? natives.utf8Encode(body.source) : new Uint8Array(body.source),
    );
  }
  return body.stream;
}

function guardedTextStream(bytes, body) {
  let given = false;
  return streams().readableStreamFromNative(
    () => {
      checkAborted(body);
      const chunk = given ? null : bytes;
      given = true;
      return PromiseResolve(chunk === null ? null : { __proto__: null, 0: chunk });
    },
    () => body.guard.done(),
  );
}

// Streams over native bodies that nobody has read: sent on, the native body moves and no byte goes through JavaScript.
// stream -> { handle, context }
const nativeBodies = new primordials.SafeWeakMap();

// A stream over a native body of this context. `inCall`: it came with a call, so that its readers are not told why it failed.
function streamFromHandle(handle, context, inCall, guard = undefined, kept = keep(handle)) {
  const native = { __proto__: null, handle, context, guard, kept };
  const stream = streams().readableStreamFromNative(
    () => {
      checkContext(native);
      return guard === undefined ? natives.bodyRead(handle, inCall) : guardedRead(guard);
    },
    () => {
      guard?.done();
      natives.bodyCancel(handle);
    },
  );
  nativeBodies.set(stream, native);
  return stream;
}

function guardedRead(guard) {
  return PromisePrototypeThen(
    guard.run(natives.bodyRead),
    (chunk) => {
      if (chunk === null) guard.done();
      return chunk;
    },
    (error) => {
      guard.done();
      throw error;
    },
  );
}

// What natives take for a body: null, text, bytes or a handle. Consumes it. `whenGone`, `whenFailed` as for detachStream.
function detach(body, whenGone, whenFailed) {
  if (body === null) return null;
  consume(body);
  if (body.stream !== undefined) {
    if (body.source === undefined) return detachStream(body.stream, whenGone, whenFailed);
    leaveLocked(body);
  }
  body.guard?.done();
  return body.handle !== 0 ? body.handle : body.source;
}

// A handle of a native body with what the stream gives. Should its reader go before its end, `whenGone(cancel)` cancels the
// stream with a reason; without it the reason is undefined. `whenFailed(error)` is told what the stream fails with.
function detachStream(stream, whenGone, whenFailed) {
  const native = nativeBodies.get(stream);
  const { acquireReader, isDisturbed, isLocked, stateOf } = streams();
  if (native !== undefined && !isDisturbed(stream) && !isLocked(stream)) {
    checkContext(native);
    nativeBodies.delete(stream);
    native.guard?.done();
    // The stream object stays behind, locked for good.
    acquireReader(stateOf(stream), false);
    return native.handle;
  }
  return require("web/pumps").start(stream, whenGone, whenFailed);
}

// As detachStream, for what goes out with a call. What is left of a stream of the runtime's own cannot.
function sendStream(stream) {
  const { isDisturbed, isLocked, isNative } = streams();
  if (isLocked(stream)) throw new TypeError(LOCKED_IN_CALL);
  if (isDisturbed(stream) && isNative(stream)) throw new TypeError("This ReadableStream is disturbed.");
  return detachStream(stream, released, natives.logError);
}

const LOCKED_IN_CALL = "The ReadableStream has been locked to a reader.";

function released(cancel) {
  cancel(new primordials.Error("ReadableStream sent over RPC was canceled or released by the remote execution context."));
}

// As detach, for what goes out with a call.
function send(body) {
  if (body === null) return null;
  if (body.used) throw new TypeError(LOCKED_IN_CALL);
  if (body.stream === undefined) return detach(body, undefined, undefined);
  const handle = sendStream(body.stream);
  body.used = true;
  return handle;
}

// The stream object of a body that is taken from its source stays behind, locked for good.
function leaveLocked(body) {
  streams().acquireReader(streams().stateOf(body.stream), false);
}

// https://fetch.spec.whatwg.org/#concept-body-clone
function clone(body) {
  if (body === null) return null;
  if (body.used || isLocked(body)) throw new TypeError("This ReadableStream is currently locked to a reader,");
  const copy = new BodyState();
  copy.contentType = body.contentType;
  const hasSource = body.source !== undefined && body.handle === 0;
  if (hasSource && (body.stream === undefined || !streams().isDisturbed(body.stream))) {
    if (body.stream !== undefined) {
      leaveLocked(body);
      body.stream = undefined;
    }
    copy.source = body.source;
    copy.context = body.context;
    copy.guard = body.guard;
    return copy;
  }
  const branches = streams().teeForClone(streamOf(body));
  body.stream = branches[0];
  body.handle = 0;
  body.source = undefined;
  copy.stream = branches[1];
  return copy;
}

// Adds the mixin to a class. `stateOf(object)` gives its BodyState or null, and throws for a wrong receiver;
// `typeOf(object)` its Content-Type header.
function mixin(Class, stateOf, typeOf) {
  const members = {
    __proto__: null,
    get body() {
      return streamOf(stateOf(this));
    },
    get bodyUsed() {
      return isUsed(stateOf(this));
    },
    arrayBuffer() {
      return settleBytes((o) => readBytes(stateOf(o)), this, (bytes) => TypedArrayPrototypeGetBuffer(bytes));
    },
    bytes() {
      return settleBytes((o) => readBytes(stateOf(o)), this, (bytes) => bytes);
    },
    text() {
      return settle((o) => readText(stateOf(o)), this);
    },
    json() {
      return settle((o) => readText(stateOf(o)), this, (text) => JSONParse(text));
    },
    blob() {
      const header = typeOf(this);
      const type = header === null ? "" : require("web/mime-type").extract(header);
      return settleBytes((o) => readBytes(stateOf(o)), this, (bytes) => require("web/blob").blobFromBytes(bytes, type));
    },
    formData() {
      const type = typeOf(this);
      return settleBytes(
        (o) => {
          if (isUsed(stateOf(o))) throw new TypeError(USED);
          if (type === null) throw new TypeError("Parsing a Body as FormData requires a Content-Type header.");
          if (!(StringPrototypeIncludes(type, "multipart/form-data") || StringPrototypeIncludes(type, "application/x-www-form-urlencoded"))) {
            throw new TypeError(
              `Unrecognized Content-Type header value. FormData can only parse the following MIME types: multipart/form-data, application/x-www-form-urlencoded`,
            );
          }
          return readBytes(stateOf(o));
        },
        this,
        (bytes) => require("web/form-data").parseFormData(bytes, type),
      );
    },
  };
  const names = primordials.ReflectOwnKeys(members);
  for (let i = 0; i < names.length; i++) {
    ObjectDefineProperty(Class.prototype, names[i], primordials.ReflectGetOwnPropertyDescriptor(members, names[i]));
  }
}

exports.clone = clone;
exports.copyCf = copyCf;
exports.detach = detach;
exports.detachStream = detachStream;
exports.extract = extract;
exports.fromHandle = fromHandle;
exports.isEmpty = isEmpty;
exports.isLocked = isLocked;
exports.isUsed = isUsed;
exports.send = send;
exports.sendStream = sendStream;
exports.setType = setType;
exports.mixin = mixin;
exports.streamFromHandle = streamFromHandle;
exports.streamOf = streamOf;
exports.BodyState = BodyState;
