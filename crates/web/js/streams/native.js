"use strict";
// Byte streams whose other end is the runtime: bodies and pipes made from functions, and streams read by the runtime.
//
// natives.utf8Encode(string) -> Uint8Array

const {
  Error,
  PromiseGuarded,
  PromisePrototypeThen,
  PromiseReject,
  PromiseResolve,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  Uint8Array,
} = primordials;
const { Deferred, ignore, internal } = require("web/streams/promises");
const { bytesOfBufferSource } = require("web/webidl");
const streams = require("web/streams/readable");
const { ByteControl } = require("web/streams/byte-control");
const { ReadableState, ReadableStream } = streams;

const NOT_BYTES =
  "This TransformStream is being used as a byte stream, but received an object of non-ArrayBuffer/ArrayBufferView type " +
  "on its writable side.";

const NOT_READ_AS_BYTES = "This ReadableStream did not return bytes.";
const NOT_SENT_AS_BYTES = "Draining read encountered a value that cannot be converted to bytes";

// A chunk that was written, as bytes that no guest can change any more.
function ownBytes(chunk, owned) {
  if (typeof chunk === "string") return natives.utf8Encode(chunk);
  const bytes = bytesOfBufferSource(chunk);
  if (bytes === undefined) throw new TypeError(NOT_BYTES);
  return owned ? bytes : new Uint8Array(bytes);
}

// The bytes are the stream's from now on; a string stands for its UTF-8 bytes.
function readableStreamFromBytes(data) {
  const bytes = typeof data === "string" ? natives.utf8Encode(data) : data;
  const stream = new ReadableState();
  const control = new ByteControl(stream, 0, undefined, undefined, undefined);
  control.started = true;
  const length = TypedArrayPrototypeGetByteLength(bytes);
  stream.length = length;
  if (length > 0) {
    control.enqueueRange(TypedArrayPrototypeGetBuffer(bytes), TypedArrayPrototypeGetByteOffset(bytes), length);
  }
  control.close();
  return new ReadableStream(internal, stream);
}

class NativeSource {
  pullBytes;
  cancel;
  constructor(pullBytes, cancel) {
    this.pullBytes = pullBytes;
    this.cancel = cancel;
  }

  async pull(control) {
    const { pullBytes } = this;
    let chunk;
    do {
      // An empty chunk would leave the reader waiting without another pull.
      chunk = await PromiseGuarded(pullBytes());
    } while (chunk !== null && TypedArrayPrototypeGetByteLength(chunk[0]) === 0);
    if (chunk !== null) {
      control.enqueue(chunk[0]);
    } else if (control.canCloseOrEnqueue()) {
      control.close();
      control.settlePullIntos();
    }
  }
}

// `pull()` gives a promise for the next bytes, in a list without a prototype (a promise asks what it is fulfilled with for
// `then`), or for null at the end; it is called only while somebody reads, and never twice at a time. `cancel(reason)` is called at most once, when the reader wants no more.
function readableStreamFromNative(pull, cancel) {
  const stream = new ReadableState();
  const source = new NativeSource(pull, cancel);
  new ByteControl(stream, 0, source, source.pull, cancel).started = true;
  return new ReadableStream(internal, stream);
}

// `write(Uint8Array)`, `close()` and `abort(reason)` may give promises; one is called at a time. Without a mark, in bytes,
// the writer's desiredSize stays 1: as on Workers, only the promises of its writes tell how fast the other end is.
function createByteSink(sink, highWaterMark) {
  const { SinkControl, WritableState, WritableStream } = require("web/streams/writable");
  const size = highWaterMark === undefined ? weightless : TypedArrayPrototypeGetByteLength;
  const control = new SinkControl(new WritableState(), highWaterMark ?? 1, size, sink);
  control.convert = ownBytes;
  control.awaitsWrites = true;
  control.started = true;
  return { __proto__: null, control, writable: new WritableStream(internal, control.stream) };
}

function weightless() {
  return 0;
}

function writableStreamFromNative(write, close, abort) {
  return createByteSink({ __proto__: null, self: undefined, write, close, abort }, undefined).writable;
}

// Reads a stream to its end and keeps the lock, as consuming a body does. It is its own read request.
class Drain {
  stream;
  onChunk;
  reader;
  bytesOf;
  outcome = new Deferred();
  reading = false;
  again = false;

  constructor(stream, onChunk, bytesOf) {
    this.stream = stream;
    this.onChunk = onChunk;
    this.bytesOf = bytesOf;
    this.reader = streams.acquireReader(stream, false);
  }

  // A loop and no recursion: the queue of a stream may hold any number of chunks.
  next() {
    this.again = true;
    if (this.reading) return;
    this.reading = true;
    while (this.again) {
      this.again = false;
      streams.readDefault(this.reader, this);
    }
    this.reading = false;
  }

  chunk(value) {
    let result;
    try {
      const { bytesOf, onChunk } = this;
      result = onChunk(bytesOf(value));
    } catch (error) {
      this.fail(error);
      return;
    }
    if (result === undefined) this.next();
    else {
      PromisePrototypeThen(
        PromiseResolve(result),
        () => this.next(),
        (error) => this.fail(error),
      );
    }
  }

  close() {
    this.outcome.resolve();
  }

  error(error) {
    this.outcome.reject(error);
  }

  // Whoever took the chunks is gone. -> a promise that is settled once the stream is cancelled.
  stop(reason) {
    const error = this.stream.isConduit ? new Error("Network connection lost.") : reason;
    this.outcome.reject(error);
    return PromisePrototypeThen(streams.cancel(this.stream, error), ignore, ignore);
  }

  fail(error) {
    PromisePrototypeThen(streams.cancel(this.stream, error), ignore, ignore);
    this.outcome.reject(error);
  }
}

function bytesOnly(chunk) {
  const bytes = bytesOfBufferSource(chunk);
  if (bytes === undefined) throw new TypeError(NOT_READ_AS_BYTES);
  return bytes;
}

function bytesOrText(chunk) {
  const bytes = typeof chunk === "string" ? natives.utf8Encode(chunk) : bytesOfBufferSource(chunk);
  if (bytes === undefined) throw new TypeError(NOT_SENT_AS_BYTES);
  return bytes;
}

// Takes a state. Calls `onChunk(Uint8Array)` for each chunk, one at a time, and waits for the promise that it may give.
// Rejects with the stream's error, with what `onChunk` throws, or with a TypeError for a chunk that is not bytes; in the last
// two cases the stream is cancelled.
function drainStream(stream, onChunk) {
  try {
    return drain(stream, onChunk, bytesOnly).outcome.promise;
  } catch (error) {
    return PromiseReject(error);
  }
}

// The same for a stream that leaves the isolate, where a string stands for its UTF-8 bytes. Gives the drain, which may have
// to be stopped. Throws where the stream is locked.
function startDrain(stream, onChunk) {
  return drain(stream, onChunk, bytesOrText);
}

function drain(stream, onChunk, bytesOf) {
  const started = new Drain(stream, onChunk, bytesOf);
  started.next();
  return started;
}

exports.NOT_BYTES = NOT_BYTES;
exports.createByteSink = createByteSink;
exports.drainStream = drainStream;
exports.ownBytes = ownBytes;
exports.startDrain = startDrain;
exports.readableStreamFromBytes = readableStreamFromBytes;
exports.readableStreamFromNative = readableStreamFromNative;
exports.writableStreamFromNative = writableStreamFromNative;
