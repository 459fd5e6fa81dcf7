"use strict";
// IdentityTransformStream and FixedLengthStream of Workers: pipes for bytes without a buffer, where a write ends when its bytes
// have been read. https://developers.cloudflare.com/workers/runtime-apis/streams/transformstream/#identitytransformstream

const { Error, MathTrunc, NumberIsNaN, TypeError, TypedArrayPrototypeGetBuffer } = primordials;
const { TypedArrayPrototypeGetByteLength, TypedArrayPrototypeGetByteOffset } = primordials;
const { argumentError, defineInterface } = require("web/webidl");
const { Deferred, internal, resolved } = require("web/streams/promises");
const { ReadableState, ReadableStream } = require("web/streams/readable");
const { ByteControl } = require("web/streams/byte-control");
const { TransformStream, handOver } = require("web/streams/transform");
const { createByteSink } = require("web/streams/native");
const { queuingStrategy } = require("web/streams/dictionaries");

const TOO_MANY = "Attempt to write too many bytes through a FixedLengthStream.";
const TOO_FEW = "FixedLengthStream did not see all expected bytes before close().";

// Sink of the writable side and source of the readable side. At most one write is at work, and at most one pull.
class Conduit {
  control;
  sinkControl;
  // Bytes still to come, or undefined for any number.
  remaining;
  chunk = undefined;
  writing = undefined;
  pulling = undefined;

  constructor(stream, expectedLength) {
    this.remaining = expectedLength;
    this.control = new ByteControl(stream, 0, this, this.pull, this.cancel);
    this.control.started = true;
    this.control.onDrain = () => this.consumed();
  }

  write(bytes) {
    const length = TypedArrayPrototypeGetByteLength(bytes);
    if (this.remaining !== undefined) {
      if (length > this.remaining) this.failBoth(new TypeError(TOO_MANY));
      this.remaining -= length;
    }
    if (length === 0) return resolved;
    this.writing = new Deferred();
    const { promise } = this.writing;
    this.chunk = bytes;
    if (this.pulling !== undefined) this.deliver();
    return promise;
  }

  deliver() {
    const { chunk, pulling } = this;
    this.chunk = undefined;
    this.pulling = undefined;
    const length = TypedArrayPrototypeGetByteLength(chunk);
    this.control.enqueueRange(TypedArrayPrototypeGetBuffer(chunk), TypedArrayPrototypeGetByteOffset(chunk), length);
    // A reader that waited has taken all, or a buffer's worth of it.
    if (this.control.queue.total === 0) this.consumed();
    if (pulling !== undefined) pulling.resolve();
  }

  consumed() {
    if (this.writing === undefined) return;
    this.writing.resolve();
    this.writing = undefined;
  }

  failBoth(error) {
    this.control.fail(error);
    throw error;
  }

  close() {
    if (this.remaining > 0) this.failBoth(new TypeError(TOO_FEW));
    this.control.close();
    this.control.settlePullIntos();
    if (this.pulling !== undefined) this.pulling.resolve();
  }

  // An abort does not wait for a write that nobody reads.
  abort(reason) {
    this.control.fail(reason);
    this.stopWriting(reason);
    if (this.pulling !== undefined) this.pulling.resolve();
  }

  pull() {
    if (this.chunk !== undefined) {
      this.deliver();
      return resolved;
    }
    this.pulling = new Deferred();
    return this.pulling.promise;
  }

  cancel(reason) {
    const error = reason === undefined ? new Error("Stream was cancelled.") : reason;
    this.sinkControl.failIfWritable(error);
    this.stopWriting(error);
  }

  stopWriting(reason) {
    this.chunk = undefined;
    if (this.writing !== undefined) this.writing.reject(reason);
    this.writing = undefined;
  }
}

function sides(strategy, expectedLength) {
  const { highWaterMark } = queuingStrategy(strategy, undefined);
  const stream = new ReadableState();
  stream.length = expectedLength;
  stream.isConduit = true;
  const conduit = new Conduit(stream, expectedLength);
  const sink = { __proto__: null, self: conduit, write: conduit.write, close: conduit.close, abort: undefined };
  const { control, writable } = createByteSink(sink, highWaterMark);
  control.onAbort = (reason) => conduit.abort(reason);
  conduit.sinkControl = control;
  return { __proto__: null, readable: new ReadableStream(internal, stream), writable };
}

// How many bytes the stream whose constructor runs next expects. No argument, for the reason that TransformStream gives.
let nextLength;

class IdentityTransformStream extends TransformStream {
  constructor(strategy = undefined) {
    const expectedLength = nextLength;
    nextLength = undefined;
    handOver(sides(strategy, expectedLength));
    super();
  }
}

class FixedLengthStream extends IdentityTransformStream {
  constructor(expectedLength, strategy = undefined) {
    nextLength = lengthArgument(expectedLength);
    super(strategy);
  }
}

// A number or a bigint.
function lengthArgument(value) {
  if (value === undefined) throw argumentError("FixedLengthStream", "", 1, "bigint");
  let length = value;
  if (typeof length === "bigint") {
    // Too large ones stay too large as numbers.
    length = primordials.Number(length);
  }
  length = MathTrunc(+length);
  if (NumberIsNaN(length)) throw new TypeError("The value cannot be converted because it is not an integer.");
  if (length < 0) {
    throw new TypeError(
      "The value cannot be converted because it is negative and this API expects a positive bigint.",
    );
  }
  if (length >= 2 ** 53) throw new TypeError("FixedLengthStream requires an integer expected length less than 2^53.");
  return length;
}

defineInterface(IdentityTransformStream, "IdentityTransformStream");
defineInterface(FixedLengthStream, "FixedLengthStream");

exports.FixedLengthStream = FixedLengthStream;
exports.IdentityTransformStream = IdentityTransformStream;
