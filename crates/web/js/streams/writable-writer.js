"use strict";
// The writer and the controller of writable streams as guests see them.
// https://streams.spec.whatwg.org/#default-writer-class https://streams.spec.whatwg.org/#ws-default-controller-class

const { PromiseReject, TypeError } = primordials;
const { argumentError, defineInterface, illegalInvocation } = require("web/webidl");
const { internal } = require("web/streams/promises");
const streams = require("web/streams/writable");

function releasedError() {
  return new TypeError("This WritableStream writer has been released.");
}

class WritableStreamDefaultWriter {
  #writer;

  constructor(stream) {
    if (!streams.isWritableStream(stream)) throw argumentError("WritableStreamDefaultWriter", "", 1, "WritableStream");
    this.#writer = streams.acquireWriter(streams.stateOf(stream));
  }

  get closed() {
    if (!(#writer in this)) return PromiseReject(illegalInvocation());
    return streams.writerClosedPromise(this.#writer);
  }

  get ready() {
    if (!(#writer in this)) return PromiseReject(illegalInvocation());
    return streams.readyPromise(this.#writer);
  }

  get desiredSize() {
    if (!(#writer in this)) throw illegalInvocation();
    const { stream } = this.#writer;
    if (stream === undefined) throw releasedError();
    if (stream.state === "errored" || stream.state === "erroring") return null;
    return stream.state === "closed" ? 0 : stream.control.desiredSize();
  }

  abort(reason = undefined) {
    if (!(#writer in this)) return PromiseReject(illegalInvocation());
    const { stream } = this.#writer;
    return stream === undefined ? PromiseReject(releasedError()) : streams.abort(stream, reason);
  }

  close() {
    if (!(#writer in this)) return PromiseReject(illegalInvocation());
    const { stream } = this.#writer;
    return stream === undefined ? PromiseReject(releasedError()) : streams.close(stream);
  }

  write(chunk = undefined) {
    if (!(#writer in this)) return PromiseReject(illegalInvocation());
    return streams.write(this.#writer, chunk, false);
  }

  releaseLock() {
    if (!(#writer in this)) throw illegalInvocation();
    streams.releaseWriter(this.#writer);
  }
}

class WritableStreamDefaultController {
  #control;

  constructor(token = undefined, control = undefined) {
    if (token !== internal) throw new TypeError("Illegal constructor");
    this.#control = control;
  }

  get signal() {
    if (!(#control in this)) throw illegalInvocation();
    const control = this.#control;
    if (control.signal === undefined) {
      const { createAbortSignal, signalAbort } = require("web/abort");
      control.signal = createAbortSignal();
      if (control.aborted) signalAbort(control.signal, control.abortReason);
    }
    return control.signal;
  }

  error(error = undefined) {
    if (!(#control in this)) throw illegalInvocation();
    this.#control.failIfWritable(error);
  }
}

defineInterface(WritableStreamDefaultWriter, "WritableStreamDefaultWriter");
defineInterface(WritableStreamDefaultController, "WritableStreamDefaultController");

exports.WritableStreamDefaultController = WritableStreamDefaultController;
exports.WritableStreamDefaultWriter = WritableStreamDefaultWriter;
