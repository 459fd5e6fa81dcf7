"use strict";
// The controller of streams whose chunks are arbitrary values. https://streams.spec.whatwg.org/#rs-default-controller-class

const { TypeError } = primordials;
const { defineInterface, illegalInvocation } = require("web/webidl");
const { internal, invoke } = require("web/streams/promises");
const { SourceControl, closeStream, errorStream } = require("web/streams/readable");

class DefaultControl extends SourceControl {
  size = undefined;

  // Spelled out for the reason that ByteControl gives.
  constructor(stream, highWaterMark, self, pull, cancel) {
    super(stream, highWaterMark, self, pull, cancel);
  }

  shouldCallPull() {
    if (!this.started || !this.canCloseOrEnqueue()) return false;
    const { reader } = this.stream;
    return (reader !== undefined && reader.requests.length > 0) || this.desiredSize() > 0;
  }

  // Throws when the strategy's size() throws or is wrong; the stream is errored then.
  enqueue(chunk) {
    if (!this.canCloseOrEnqueue()) return;
    const { reader } = this.stream;
    if (reader !== undefined && reader.requests.length > 0) {
      reader.requests.shift().chunk(chunk);
    } else {
      try {
        const { size } = this;
        this.queue.pushMeasured(chunk, size === undefined ? 1 : size(chunk));
      } catch (error) {
        this.fail(error);
        throw error;
      }
    }
    this.callPullIfNeeded();
  }

  close() {
    if (!this.canCloseOrEnqueue()) return;
    this.closeRequested = true;
    if (this.queue.length === 0) {
      this.clearAlgorithms();
      closeStream(this.stream);
    }
  }

  fail(error) {
    if (this.stream.state !== "readable") return;
    this.queue.clear();
    this.clearAlgorithms();
    errorStream(this.stream, error);
  }

  pullSteps(request) {
    if (this.queue.length === 0) {
      this.stream.reader.requests.push(request, 0);
      this.callPullIfNeeded();
      return;
    }
    const chunk = this.queue.shift();
    if (this.closeRequested && this.queue.length === 0) {
      this.clearAlgorithms();
      closeStream(this.stream);
    } else {
      this.callPullIfNeeded();
    }
    request.chunk(chunk);
  }

  cancelSteps(reason) {
    this.queue.clear();
    const result = invoke(this.cancelAlgorithm, this.self, reason);
    this.clearAlgorithms();
    return result;
  }

  releaseSteps() {}

  clearAlgorithms() {
    super.clearAlgorithms();
    this.size = undefined;
  }
}

class ReadableStreamDefaultController {
  #control;

  constructor(token = undefined, control = undefined) {
    if (token !== internal) throw new TypeError("Illegal constructor");
    this.#control = control;
  }

  get desiredSize() {
    if (!(#control in this)) throw illegalInvocation();
    return this.#control.desiredSize();
  }

  close() {
    if (!(#control in this)) throw illegalInvocation();
    if (!this.#control.canCloseOrEnqueue()) throw new TypeError("This ReadableStream is closed.");
    this.#control.close();
  }

  enqueue(chunk = undefined) {
    if (!(#control in this)) throw illegalInvocation();
    if (!this.#control.canCloseOrEnqueue()) throw new TypeError("Unable to enqueue");
    this.#control.enqueue(chunk);
  }

  error(error = undefined) {
    if (!(#control in this)) throw illegalInvocation();
    this.#control.fail(error);
  }
}

defineInterface(ReadableStreamDefaultController, "ReadableStreamDefaultController");

function controlFromSource(stream, source, highWaterMark = 1, size = undefined) {
  const control = new DefaultControl(stream, highWaterMark, source.self, source.pull, source.cancel);
  control.size = size;
  control.argument = new ReadableStreamDefaultController(internal, control);
  control.start(source.start);
}

exports.DefaultControl = DefaultControl;
exports.ReadableStreamDefaultController = ReadableStreamDefaultController;
exports.controlFromSource = controlFromSource;
