"use strict";
// pipeTo() and pipeThrough(): moves chunks from a readable to a writable stream, and closing, errors and aborts between them.
// https://streams.spec.whatwg.org/#readable-stream-pipe-to

const { PromisePrototypeThen, TypeError } = primordials;
const { Deferred, ignore, markHandled, resolved } = require("web/streams/promises");
const { dictionary, pipeOptions } = require("web/streams/dictionaries");
const readable = require("web/streams/readable");
const writable = require("web/streams/writable");

// It is its own read request.
class Pipe {
  source;
  destination;
  options;
  reader;
  writer;
  outcome = new Deferred();
  shuttingDown = false;
  // Settles when the newest write has ended, whatever its outcome.
  currentWrite = resolved;
  onAbort = undefined;

  constructor(source, destination, options) {
    this.source = source;
    this.destination = destination;
    this.options = options;
    this.reader = readable.acquireReader(source, false);
    try {
      this.writer = writable.acquireWriter(destination);
    } catch (error) {
      readable.releaseReader(this.reader);
      throw error;
    }
    source.disturbed = true;
  }

  start() {
    const { destination, source } = this;
    const { signal } = this.options;
    if (signal !== undefined) {
      const { abortReason, addAbortAlgorithm, isAborted } = require("web/abort");
      this.onAbort = () => this.abort(abortReason(signal));
      if (isAborted(signal)) {
        this.onAbort();
        return;
      }
      addAbortAlgorithm(signal, this.onAbort);
    }
    // The order matters when both streams have ended already.
    const sourceErrored = (error) => this.sourceErrored(error);
    const destinationErrored = (error) => this.destinationErrored(error);
    if (source.state === "errored") sourceErrored(source.error);
    if (destination.state === "errored") destinationErrored(destination.error);
    if (source.state === "closed") this.sourceClosed();
    if (destination.state === "closed" || writable.closeQueuedOrInFlight(destination)) this.destinationClosed();
    if (this.shuttingDown) return;
    PromisePrototypeThen(readable.closedPromise(this.reader), () => this.sourceClosed(), sourceErrored);
    PromisePrototypeThen(writable.writerClosedPromise(this.writer), ignore, destinationErrored);
    this.step();
  }

  step() {
    if (this.shuttingDown) return;
    const ready = this.destination.control.awaitsWrites ? this.currentWrite : writable.readyPromise(this.writer);
    PromisePrototypeThen(
      ready,
      () => {
        if (!this.shuttingDown) readable.readDefault(this.reader, this);
      },
      // destinationErrored() hears of it.
      ignore,
    );
  }

  // A write does not start inside the enqueue() of the source.
  chunk(value) {
    const written = new Deferred();
    this.currentWrite = written.promise;
    PromisePrototypeThen(resolved, () => {
      if (this.writer.stream === undefined) written.resolve();
      else PromisePrototypeThen(writable.write(this.writer, value, true), written.resolve, this.writeFailed(written));
      this.step();
    });
  }

  // Errors of a sink reach the pipe through the state of the stream; a chunk that was refused leaves that state as it was.
  writeFailed(written) {
    return (error) => {
      written.resolve();
      if (this.destination.state === "writable") {
        this.shutdown(
          () => {
            const { preventAbort, preventCancel } = this.options;
            const cancelled = preventCancel ? resolved : readable.cancel(this.source, error);
            return both(preventAbort ? resolved : writable.abort(this.destination, error), cancelled);
          },
          true,
          error,
        );
      }
    };
  }

  // The closed promise of the reader brings these.
  close() {}
  error() {}

  sourceErrored(error) {
    if (this.options.preventAbort) this.shutdown(undefined, true, error);
    else this.shutdown(() => writable.abort(this.destination, error), true, error);
  }

  sourceClosed() {
    if (this.options.preventClose) this.shutdown(undefined, false, undefined);
    else this.shutdown(() => this.closeDestination(), false, undefined);
  }

  destinationErrored(error) {
    if (this.options.preventCancel) this.shutdown(undefined, true, error);
    else this.shutdown(() => readable.cancel(this.source, error), true, error);
  }

  destinationClosed() {
    if (!this.shuttingDown) this.destinationErrored(new TypeError("This WritableStream has been closed."));
  }

  // WritableStreamDefaultWriterCloseWithErrorPropagation
  closeDestination() {
    const { destination } = this;
    if (destination.state === "closed" || writable.closeQueuedOrInFlight(destination)) return resolved;
    return destination.state === "errored" ? writable.writerClosedPromise(this.writer) : writable.close(destination);
  }

  abort(reason) {
    const { preventAbort, preventCancel } = this.options;
    this.shutdown(
      () => {
        const { destination, source } = this;
        const aborts = !preventAbort && destination.state === "writable";
        const cancels = !preventCancel && source.state === "readable";
        const aborted = aborts ? writable.abort(destination, reason) : resolved;
        return both(aborted, cancels ? readable.cancel(source, reason) : resolved);
      },
      true,
      reason,
    );
  }

  // Ends the pipe, after the writes at work and then the action.
  shutdown(action, isError, error) {
    if (this.shuttingDown) return;
    this.shuttingDown = true;
    const { destination } = this;
    const finish = () => {
      if (action === undefined) this.finalize(isError, error);
      else {
        PromisePrototypeThen(
          action(),
          () => this.finalize(isError, error),
          (actionError) => this.finalize(true, actionError),
        );
      }
    };
    if (destination.state === "writable" && !writable.closeQueuedOrInFlight(destination)) this.afterWrites(finish);
    else finish();
  }

  // A read that was under way may still bring a chunk, which is written too.
  afterWrites(finish) {
    const waited = this.currentWrite;
    PromisePrototypeThen(waited, () => {
      if (waited === this.currentWrite) finish();
      else this.afterWrites(finish);
    });
  }

  finalize(isError, error) {
    writable.releaseWriter(this.writer);
    readable.releaseReader(this.reader);
    if (this.onAbort !== undefined) require("web/abort").removeAbortAlgorithm(this.options.signal, this.onAbort);
    if (isError) this.outcome.reject(error);
    else this.outcome.resolve();
  }
}

// Fulfils when both have; rejects with the first rejection.
function both(first, second) {
  const outcome = new Deferred();
  PromisePrototypeThen(first, () => PromisePrototypeThen(second, outcome.resolve, ignore), outcome.reject);
  PromisePrototypeThen(second, undefined, outcome.reject);
  return outcome.promise;
}

// Takes states. Throws when one of them is locked.
function pipe(source, destination, options) {
  const running = new Pipe(source, destination, options);
  running.start();
  return running.outcome.promise;
}

function pipeThrough(source, transform, rawOptions) {
  const pair = dictionary(transform, "Transform");
  const readableSide = pair.readable;
  if (!readable.isReadableStream(readableSide)) throw pairError("readable", "ReadableStream");
  const writableSide = pair.writable;
  if (!writable.isWritableStream(writableSide)) throw pairError("writable", "WritableStream");
  const options = pipeOptions(rawOptions);
  markHandled(pipe(source, writable.stateOf(writableSide), options));
  return readableSide;
}

function pairError(field, type) {
  return new TypeError(
    `Incorrect type for the '${field}' field on 'Transform': the provided value is not of type '${type}'.`,
  );
}

exports.pipe = pipe;
exports.pipeThrough = pipeThrough;
