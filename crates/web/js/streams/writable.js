"use strict";
// WritableStream, its state machine, and writable streams over functions of the runtime.
// https://streams.spec.whatwg.org/#ws

const { PromisePrototypeThen, PromiseReject, PromiseResolve, ReflectApply, TypeError } = primordials;
const { defineInterface, illegalInvocation } = require("web/webidl");
const { Queue } = require("web/streams/queue");
const { Deferred, internal, invoke, markHandled, resolved } = require("web/streams/promises");
const dictionaries = require("web/streams/dictionaries");
const clones = require("web/clone");

const CLOSED = "This WritableStream has been closed.";
const LOCKED = "This WritableStream is currently locked to a writer.";
const RELEASED = "This WritableStream writer has been released.";

// Stands in the queue for the end of the stream.
const closeSentinel = { __proto__: null };

class WritableState {
  // "writable", "erroring", "errored" or "closed".
  state = "writable";
  error = undefined;
  writer = undefined;
  control = undefined;
  backpressure = false;
  // Deferreds of the writes that have not started, of the one at work, and of close().
  writes = new Queue();
  inFlightWrite = undefined;
  closeRequest = undefined;
  inFlightClose = undefined;
  pendingAbort = undefined;
}

// A writer. The runtime's own producers use it without the object that guests see.
class WriterLock {
  stream;
  closed = undefined;
  ready = undefined;
  constructor(stream) {
    this.stream = stream;
  }
}

class SinkControl {
  stream;
  queue = new Queue();
  started = false;
  highWaterMark;
  size;
  self;
  writeAlgorithm;
  closeAlgorithm;
  abortAlgorithm;
  // What the sink's callbacks receive: the controller that the guest sees, or for the runtime's own sinks this object.
  argument = this;
  // Sinks of bytes check and copy a chunk when it is written, so that a wrong one rejects only its own write.
  convert = undefined;
  // A pipe waits for each write and not for `ready`: the mark of a native sink says nothing of its speed.
  awaitsWrites = false;
  // Told at once of an abort, which otherwise waits for the write at work.
  onAbort = undefined;
  // The guest's view of an abort: made when it asks.
  signal = undefined;
  aborted = false;
  abortReason = undefined;

  constructor(stream, highWaterMark, size, sink) {
    this.stream = stream;
    this.highWaterMark = highWaterMark;
    this.size = size;
    this.self = sink.self;
    this.writeAlgorithm = sink.write;
    this.closeAlgorithm = sink.close;
    this.abortAlgorithm = sink.abort;
    stream.control = this;
    stream.backpressure = this.hasBackpressure();
  }

  start(start) {
    const result = start === undefined ? undefined : ReflectApply(start, this.self, [this.argument]);
    this.startWhen(PromiseResolve(result));
  }

  startWhen(promise) {
    PromisePrototypeThen(
      promise,
      () => {
        this.started = true;
        this.advance();
      },
      (error) => {
        this.started = true;
        dealWithRejection(this.stream, error);
      },
    );
  }

  desiredSize() {
    return this.highWaterMark - this.queue.total;
  }

  hasBackpressure() {
    return this.desiredSize() <= 0;
  }

  chunkSize(chunk) {
    const { size } = this;
    if (size === undefined) return 1;
    try {
      return size(chunk);
    } catch (error) {
      this.failIfWritable(error);
      return 1;
    }
  }

  enqueue(chunk, size) {
    try {
      this.queue.pushMeasured(chunk, size);
    } catch (error) {
      this.failIfWritable(error);
      return;
    }
    this.updateBackpressure();
    this.advance();
  }

  enqueueClose() {
    this.queue.push(closeSentinel, 0);
    this.advance();
  }

  updateBackpressure() {
    if (this.stream.state === "writable" && !closeQueuedOrInFlight(this.stream)) {
      updateBackpressure(this.stream, this.hasBackpressure());
    }
  }

  // Starts the next operation of the queue if none is at work.
  advance() {
    const { stream } = this;
    if (!this.started || stream.inFlightWrite !== undefined) return;
    if (stream.state === "erroring") {
      finishErroring(stream);
      return;
    }
    if (this.queue.length === 0) return;
    const chunk = this.queue.head.value;
    if (chunk === closeSentinel) this.processClose();
    else this.processWrite(chunk);
  }

  processClose() {
    const { stream } = this;
    stream.inFlightClose = stream.closeRequest;
    stream.closeRequest = undefined;
    this.queue.shift();
    const closing = invoke(this.closeAlgorithm, this.self);
    this.clearAlgorithms();
    PromisePrototypeThen(
      closing,
      () => finishInFlightClose(stream),
      (error) => finishInFlightCloseWithError(stream, error),
    );
  }

  processWrite(chunk) {
    const { stream } = this;
    stream.inFlightWrite = stream.writes.shift();
    PromisePrototypeThen(
      invoke(this.writeAlgorithm, this.self, chunk, this.argument),
      () => {
        stream.inFlightWrite.resolve();
        stream.inFlightWrite = undefined;
        this.queue.shift();
        this.updateBackpressure();
        this.advance();
      },
      (error) => {
        if (stream.state === "writable") this.clearAlgorithms();
        stream.inFlightWrite.reject(error);
        stream.inFlightWrite = undefined;
        dealWithRejection(stream, error);
      },
    );
  }

  failIfWritable(error) {
    if (this.stream.state !== "writable") return;
    this.clearAlgorithms();
    startErroring(this.stream, error);
  }

  abortSteps(reason) {
    const result = invoke(this.abortAlgorithm, this.self, reason);
    this.clearAlgorithms();
    return result;
  }

  clearAlgorithms() {
    this.self = undefined;
    this.writeAlgorithm = undefined;
    this.closeAlgorithm = undefined;
    this.abortAlgorithm = undefined;
    this.size = undefined;
  }
}

function closeQueuedOrInFlight(stream) {
  return stream.closeRequest !== undefined || stream.inFlightClose !== undefined;
}

function acquireWriter(stream) {
  if (stream.writer !== undefined) throw new TypeError(LOCKED);
  stream.writer = new WriterLock(stream);
  return stream.writer;
}

function releaseWriter(writer) {
  const { stream } = writer;
  if (stream === undefined) return;
  const error = new TypeError(RELEASED);
  // Promises that are settled already are made anew, rejected, when they are asked for.
  if (writer.ready !== undefined && isReadyPending(stream)) writer.ready.reject(error);
  else writer.ready = undefined;
  if (writer.closed !== undefined && (stream.state === "writable" || stream.state === "erroring")) {
    writer.closed.reject(error);
  } else {
    writer.closed = undefined;
  }
  stream.writer = undefined;
  writer.stream = undefined;
}

function isReadyPending(stream) {
  return stream.state === "writable" && stream.backpressure && !closeQueuedOrInFlight(stream);
}

function readyPromise(writer) {
  if (writer.ready === undefined) {
    writer.ready = new Deferred();
    markHandled(writer.ready.promise);
    const { stream } = writer;
    if (stream === undefined) writer.ready.reject(new TypeError(RELEASED));
    else if (stream.state === "erroring" || stream.state === "errored") writer.ready.reject(stream.error);
    else if (!isReadyPending(stream)) writer.ready.resolve();
  }
  return writer.ready.promise;
}

function writerClosedPromise(writer) {
  if (writer.closed === undefined) {
    writer.closed = new Deferred();
    markHandled(writer.closed.promise);
    const { stream } = writer;
    if (stream === undefined) writer.closed.reject(new TypeError(RELEASED));
    else if (stream.state === "errored") writer.closed.reject(stream.error);
    else if (stream.state === "closed") writer.closed.resolve();
  }
  return writer.closed.promise;
}

function updateBackpressure(stream, backpressure) {
  const { writer } = stream;
  if (writer !== undefined && writer.ready !== undefined && backpressure !== stream.backpressure) {
    if (backpressure) writer.ready = undefined;
    else writer.ready.resolve();
  }
  stream.backpressure = backpressure;
}

// `owned` says that nobody else will change the chunk's bytes.
function write(writer, chunk, owned) {
  const { stream } = writer;
  if (stream === undefined) return PromiseReject(new TypeError(RELEASED));
  const { control } = stream;
  if (control.convert !== undefined) {
    try {
      chunk = control.convert(chunk, owned);
    } catch (error) {
      return PromiseReject(error);
    }
  }
  const size = control.chunkSize(chunk);
  // A guest's size() may have released the writer.
  if (writer.stream !== stream) return PromiseReject(new TypeError(RELEASED));
  if (stream.state === "errored") return PromiseReject(stream.error);
  if (closeQueuedOrInFlight(stream) || stream.state === "closed") return PromiseReject(new TypeError(CLOSED));
  if (stream.state === "erroring") return PromiseReject(stream.error);
  const request = new Deferred();
  stream.writes.push(request, 0);
  control.enqueue(chunk, size);
  return request.promise;
}

function close(stream) {
  if (stream.state === "closed" || stream.state === "errored" || closeQueuedOrInFlight(stream)) {
    return PromiseReject(new TypeError(CLOSED));
  }
  const request = new Deferred();
  const { writer } = stream;
  if (writer !== undefined && writer.ready !== undefined && isReadyPending(stream)) writer.ready.resolve();
  stream.closeRequest = request;
  stream.control.enqueueClose();
  return request.promise;
}

function abort(stream, reason) {
  if (stream.state === "closed" || stream.state === "errored") return resolved;
  const { control } = stream;
  if (!control.aborted) {
    control.aborted = true;
    control.abortReason = reason;
    if (control.signal !== undefined) require("web/abort").signalAbort(control.signal, reason);
    if (control.onAbort !== undefined) control.onAbort(reason);
  }
  // Listeners of the signal may have changed the state.
  if (stream.state === "closed" || stream.state === "errored") return resolved;
  if (stream.pendingAbort !== undefined) return stream.pendingAbort.request.promise;
  const wasAlreadyErroring = stream.state === "erroring";
  const request = new Deferred();
  stream.pendingAbort = { __proto__: null, request, reason: wasAlreadyErroring ? undefined : reason, wasAlreadyErroring };
  if (!wasAlreadyErroring) startErroring(stream, reason);
  return request.promise;
}

function dealWithRejection(stream, error) {
  if (stream.state === "writable") startErroring(stream, error);
  else finishErroring(stream);
}

function startErroring(stream, reason) {
  const { control, writer } = stream;
  if (writer !== undefined && writer.ready !== undefined) {
    if (isReadyPending(stream)) writer.ready.reject(reason);
    else writer.ready = undefined;
  }
  stream.state = "erroring";
  stream.error = reason;
  if (stream.inFlightWrite === undefined && stream.inFlightClose === undefined && control.started) finishErroring(stream);
}

function finishErroring(stream) {
  stream.state = "errored";
  stream.control.queue.clear();
  const { error, pendingAbort, writes } = stream;
  stream.writes = new Queue();
  while (writes.length > 0) writes.shift().reject(error);
  if (pendingAbort === undefined) {
    rejectCloseAndClosed(stream);
    return;
  }
  const { request, reason } = pendingAbort;
  stream.pendingAbort = undefined;
  if (pendingAbort.wasAlreadyErroring) {
    request.reject(error);
    rejectCloseAndClosed(stream);
    return;
  }
  PromisePrototypeThen(
    stream.control.abortSteps(reason),
    () => {
      request.resolve();
      rejectCloseAndClosed(stream);
    },
    (abortError) => {
      request.reject(abortError);
      rejectCloseAndClosed(stream);
    },
  );
}

function rejectCloseAndClosed(stream) {
  if (stream.closeRequest !== undefined) {
    stream.closeRequest.reject(stream.error);
    stream.closeRequest = undefined;
  }
  if (stream.writer !== undefined && stream.writer.closed !== undefined) stream.writer.closed.reject(stream.error);
}

function finishInFlightClose(stream) {
  stream.inFlightClose.resolve();
  stream.inFlightClose = undefined;
  if (stream.state === "erroring") {
    // The close was faster than the error.
    stream.error = undefined;
    if (stream.pendingAbort !== undefined) stream.pendingAbort.request.resolve();
    stream.pendingAbort = undefined;
  }
  stream.state = "closed";
  if (stream.writer !== undefined && stream.writer.closed !== undefined) stream.writer.closed.resolve();
}

function finishInFlightCloseWithError(stream, error) {
  stream.inFlightClose.reject(error);
  stream.inFlightClose = undefined;
  if (stream.pendingAbort !== undefined) stream.pendingAbort.request.reject(error);
  stream.pendingAbort = undefined;
  dealWithRejection(stream, error);
}

let stateOf;
let isWritableStream;

class WritableStream {
  #state;

  constructor(underlyingSink = undefined, strategy = undefined) {
    if (underlyingSink === internal) {
      this.#state = strategy;
      return;
    }
    this.#state = new WritableState();
    const { highWaterMark, size } = dictionaries.queuingStrategy(strategy, 1);
    const sink = dictionaries.underlyingSink(underlyingSink);
    const control = new SinkControl(this.#state, highWaterMark, size, sink);
    const { WritableStreamDefaultController } = require("web/streams/writable-writer");
    control.argument = new WritableStreamDefaultController(internal, control);
    control.start(sink.start);
  }

  get locked() {
    if (!(#state in this)) throw illegalInvocation();
    return this.#state.writer !== undefined;
  }

  abort(reason = undefined) {
    if (!isWritableStream(this)) return PromiseReject(illegalInvocation());
    if (this.#state.writer !== undefined) return PromiseReject(new TypeError(LOCKED));
    return abort(this.#state, reason);
  }

  close() {
    if (!isWritableStream(this)) return PromiseReject(illegalInvocation());
    if (this.#state.writer !== undefined) return PromiseReject(new TypeError(LOCKED));
    return close(this.#state);
  }

  getWriter() {
    if (!(#state in this)) throw illegalInvocation();
    const { WritableStreamDefaultWriter } = require("web/streams/writable-writer");
    return new WritableStreamDefaultWriter(this);
  }

  static {
    stateOf = (stream) => stream.#state;
    isWritableStream = (value) => typeof value === "object" && value !== null && #state in value;
  }
}

defineInterface(WritableStream, "WritableStream");
clones.register(WritableStream.prototype, {
  __proto__: null,
  kind: "WritableStream",
  encode: (stream) => require("web/streams/transfer").encodeWritable(stream),
  decode: (payload) => require("web/streams/transfer").decodeWritable(payload),
});

exports.WritableStream = WritableStream;

// For the rest of the runtime. All take and give WritableStream objects.
exports.isWritableStream = isWritableStream;
exports.isLocked = (stream) => stateOf(stream).writer !== undefined;
exports.streamState = (stream) => stateOf(stream).state;
exports.writableStreamFromNative = (write, close, abort) =>
  require("web/streams/native").writableStreamFromNative(write, close, abort);

// For the other files of the streams. All take and give states.
exports.SinkControl = SinkControl;
exports.WritableState = WritableState;
exports.abort = abort;
exports.acquireWriter = acquireWriter;
exports.close = close;
exports.closeQueuedOrInFlight = closeQueuedOrInFlight;
exports.readyPromise = readyPromise;
exports.releaseWriter = releaseWriter;
exports.stateOf = stateOf;
exports.write = write;
exports.writerClosedPromise = writerClosedPromise;
