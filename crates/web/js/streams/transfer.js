"use strict";
// Streams that cross to another isolate in a call. The bytes of a readable stream move as a native body. A writable stream
// stays where it is: its receiver gets a function of the runtime to call for each chunk, so that a write has ended when the
// sink has taken it, and fails with the sink's own error.
//
// natives.attachBody(body) -> index in the message that is being written; natives.adoptBody(index), natives.adoptObject(index)
// -> handle of what is there; they throw where it is something else
// natives.rpcCall(handle, [], arguments) -> promise of the result; natives.release(handle)

const {
  ArrayBufferPrototypeGetByteLength,
  Error,
  MathMin,
  ObjectDefineProperty,
  ObjectSetPrototypeOf,
  PromiseGuarded,
  SymbolDispose,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
} = primordials;
const clones = require("web/clone");
const { exportFunction, requireCall, unsupported } = clones;
const { CROSS_REQUEST, sendStream, streamFromHandle } = require("web/body");
const { markHandled } = require("web/streams/promises");

// Larger chunks cross in pieces: messages have a limit, streams have none.
const MAX_PIECE = 1 << 20;

exports.encodeReadable = (stream) => {
  const { isReadableStream } = require("web/streams/readable");
  if (!isReadableStream(stream)) throw unsupported("ReadableStream");
  requireCall("ReadableStream");
  return natives.attachBody(sendStream(stream));
};

exports.decodeReadable = (index) => streamFromHandle(natives.adoptBody(index), natives.currentContext(), true);

exports.encodeWritable = (stream) => {
  const { isLocked, isWritableStream, stateOf } = require("web/streams/writable");
  if (!isWritableStream(stream)) throw unsupported("WritableStream");
  requireCall("WritableStream");
  if (isLocked(stream)) throw new TypeError("This WritableStream is currently locked to a writer.");
  const state = stateOf(stream);
  const remote = remoteSinks.get(stream);
  if (remote !== undefined && remote.isHere() && isIdle(state)) return passOn(remote, state);
  return exportFunction(sinkOf(state));
};

// Streams that came with a call -> their sinks.
const remoteSinks = new primordials.SafeWeakMap();

// Nothing that was written to it is still on its way.
function isIdle(state) {
  const { closeQueuedOrInFlight } = require("web/streams/writable");
  return state.state === "writable" && state.inFlightWrite === undefined && state.control.queue.length === 0 &&
    !closeQueuedOrInFlight(state);
}

// The next holder writes to the sink itself, and so does not need this context. The stream object stays behind, locked.
function passOn(remote, state) {
  const index = clones.attachHandle(remote.handle);
  require("web/streams/writable").acquireWriter(state);
  remote.release();
  return index;
}

// Called with an ArrayBuffer for each chunk, and without an argument to close the stream. Let go of before that, as by an
// abort or by the end of the receiver's context, it aborts the stream.
function sinkOf(state) {
  const { abort, acquireWriter, close, write } = require("web/streams/writable");
  const writer = acquireWriter(state);
  let closed = false;
  const sink = (chunk) => {
    if (chunk !== undefined) return write(writer, chunk, true);
    closed = true;
    return close(state);
  };
  // Nothing that a guest adds to Function.prototype may be found on it.
  ObjectSetPrototypeOf(sink, null);
  return ObjectDefineProperty(sink, SymbolDispose, {
    __proto__: null,
    value: () => {
      if (closed) return;
      const message = "WritableStream received over RPC was disconnected because the remote execution context has ended.";
      markHandled(abort(state, new Error(message)));
    },
  });
}

exports.decodeWritable = (index) => {
  const sink = new RemoteSink(natives.adoptObject(index));
  const stream = require("web/streams/writable").writableStreamFromNative(
    (bytes) => sink.write(bytes),
    () => sink.call([]),
    () => sink.release(),
  );
  remoteSinks.set(stream, sink);
  return stream;
};

class RemoteSink {
  handle;
  context = natives.currentContext();
  constructor(handle) {
    this.handle = handle;
  }

  isHere() {
    return this.context === natives.currentContext();
  }

  // The last call of a stream closes it or fails: the other side is let go of then.
  async call(args) {
    if (!this.isHere()) throw new Error(CROSS_REQUEST("WritableStreamSink"));
    let open = false;
    try {
      await PromiseGuarded(natives.rpcCall(this.handle, [], args));
      open = args.length > 0;
    } finally {
      if (!open) this.release();
    }
  }

  async write(bytes) {
    const buffer = TypedArrayPrototypeGetBuffer(bytes);
    const length = TypedArrayPrototypeGetByteLength(bytes);
    if (length <= MAX_PIECE && length === ArrayBufferPrototypeGetByteLength(buffer)) {
      if (length > 0) await PromiseGuarded(this.call([buffer]));
      return;
    }
    const { copyBytes } = require("web/streams/byte-control");
    let start = TypedArrayPrototypeGetByteOffset(bytes);
    const end = start + length;
    while (start < end) {
      const next = MathMin(start + MAX_PIECE, end);
      const piece = copyBytes(buffer, start, next - start);
      await PromiseGuarded(this.call([TypedArrayPrototypeGetBuffer(piece)]));
      start = next;
    }
  }

  release() {
    natives.release(this.handle);
  }
}
