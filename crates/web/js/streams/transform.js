"use strict";
// TransformStream and its controller. https://streams.spec.whatwg.org/#ts

const { PromiseGuarded, PromisePrototypeThen, PromiseResolve, ReflectApply, TypeError } = primordials;
const { defineInterface, illegalInvocation } = require("web/webidl");
const { Deferred, internal, invoke } = require("web/streams/promises");
const dictionaries = require("web/streams/dictionaries");
const { ReadableState, ReadableStream } = require("web/streams/readable");
const { DefaultControl } = require("web/streams/readable-default");
const { SinkControl, WritableState, WritableStream } = require("web/streams/writable");

// Sink of the writable side, source of the readable side, and controller of the transformer in one. The transformer's
// functions are called as `transform(chunk, argument)`, `flush(argument)` and `cancel(reason)`.
class Transformation {
  readable = new ReadableState();
  writable = new WritableState();
  backpressure = true;
  backpressureChange = new Deferred();
  finish = undefined;
  self;
  transformAlgorithm;
  flushAlgorithm;
  cancelAlgorithm;
  passesThrough;
  argument = this;

  constructor(transformer, writableStrategy, readableStrategy) {
    this.self = transformer.self;
    this.transformAlgorithm = transformer.transform;
    this.flushAlgorithm = transformer.flush;
    this.cancelAlgorithm = transformer.cancel;
    this.passesThrough = transformer.transform === undefined;
    const sink = { __proto__: null, self: this, write: this.sinkWrite, close: this.sinkClose, abort: this.sinkAbort };
    new SinkControl(this.writable, writableStrategy.highWaterMark, writableStrategy.size, sink);
    const mark = readableStrategy.highWaterMark;
    new DefaultControl(this.readable, mark, this, this.sourcePull, this.sourceCancel).size = readableStrategy.size;
  }

  // Throws what the transformer's start() throws.
  start(start) {
    const result = start === undefined ? undefined : ReflectApply(start, this.self, [this.argument]);
    const started = PromiseResolve(result);
    this.writable.control.startWhen(started);
    this.readable.control.startWhen(started);
  }

  setBackpressure(backpressure) {
    this.backpressureChange.resolve();
    this.backpressureChange = new Deferred();
    this.backpressure = backpressure;
  }

  fail(error) {
    this.readable.control.fail(error);
    this.failWritable(error);
  }

  failWritable(error) {
    this.clearAlgorithms();
    this.writable.control.failIfWritable(error);
    this.unblockWrite();
  }

  unblockWrite() {
    if (this.backpressure) this.setBackpressure(false);
  }

  clearAlgorithms() {
    this.self = undefined;
    this.transformAlgorithm = undefined;
    this.flushAlgorithm = undefined;
    this.cancelAlgorithm = undefined;
  }

  enqueue(chunk) {
    const { readable } = this;
    if (!readable.control.canCloseOrEnqueue()) throw new TypeError("Unable to enqueue");
    try {
      readable.control.enqueue(chunk);
    } catch (error) {
      this.failWritable(error);
      throw readable.error;
    }
    const backpressure = !readable.control.shouldCallPull();
    if (backpressure !== this.backpressure) this.setBackpressure(true);
  }

  terminate() {
    this.readable.control.close();
    this.failWritable(new TypeError("The transform stream has been terminated"));
  }

  async sinkWrite(chunk) {
    if (this.backpressure) {
      await PromiseGuarded(this.backpressureChange.promise);
      if (this.writable.state === "erroring") throw this.writable.error;
    }
    try {
      if (this.passesThrough) this.enqueue(chunk);
      else await PromiseGuarded(invoke(this.transformAlgorithm, this.self, chunk, this.argument));
    } catch (error) {
      this.fail(error);
      throw error;
    }
  }

  sinkClose() {
    return this.finishWith(this.flushAlgorithm, this.argument, false, () => {
      if (this.readable.state === "errored") throw this.readable.error;
      this.readable.control.close();
    });
  }

  sinkAbort(reason) {
    return this.finishWith(this.cancelAlgorithm, reason, false, () => {
      if (this.readable.state === "errored") throw this.readable.error;
      this.readable.control.fail(reason);
    });
  }

  sourcePull() {
    this.setBackpressure(false);
    return this.backpressureChange.promise;
  }

  sourceCancel(reason) {
    return this.finishWith(this.cancelAlgorithm, reason, true, () => {
      if (this.writable.state === "errored") throw this.writable.error;
      this.writable.control.failIfWritable(reason);
      this.unblockWrite();
    });
  }

  // Whichever of close, abort and cancel comes first runs the transformer's last callback; the others share its outcome.
  finishWith(callback, argument, fromReadable, succeed) {
    if (this.finish !== undefined) return this.finish.promise;
    const finish = new Deferred();
    this.finish = finish;
    const called = invoke(callback, this.self, argument);
    this.clearAlgorithms();
    PromisePrototypeThen(
      called,
      () => {
        try {
          succeed();
          finish.resolve();
        } catch (error) {
          finish.reject(error);
        }
      },
      (error) => {
        if (fromReadable) {
          this.writable.control.failIfWritable(error);
          this.unblockWrite();
        } else {
          this.readable.control.fail(error);
        }
        finish.reject(error);
      },
    );
    return finish.promise;
  }
}

// The two sides of a transform stream of the runtime's own, for the constructor that runs next. As arguments they would go to
// whatever a guest has made the parent of a class that extends TransformStream.
let handedOver;

class TransformStream {
  #readable;
  #writable;

  constructor(transformer = undefined, writableStrategy = undefined, readableStrategy = undefined) {
    if (handedOver !== undefined) {
      this.#readable = handedOver.readable;
      this.#writable = handedOver.writable;
      handedOver = undefined;
      return;
    }
    const writableSide = dictionaries.queuingStrategy(writableStrategy, 1);
    const readableSide = dictionaries.queuingStrategy(readableStrategy, 0);
    const callbacks = dictionaries.transformer(transformer);
    const transformation = new Transformation(callbacks, writableSide, readableSide);
    transformation.argument = new TransformStreamDefaultController(internal, transformation);
    this.#readable = new ReadableStream(internal, transformation.readable);
    this.#writable = new WritableStream(internal, transformation.writable);
    transformation.start(callbacks.start);
  }

  get readable() {
    if (!(#readable in this)) throw illegalInvocation();
    return this.#readable;
  }

  get writable() {
    if (!(#readable in this)) throw illegalInvocation();
    return this.#writable;
  }
}

class TransformStreamDefaultController {
  #transformation;

  constructor(token = undefined, transformation = undefined) {
    if (token !== internal) throw new TypeError("Illegal constructor");
    this.#transformation = transformation;
  }

  get desiredSize() {
    if (!(#transformation in this)) throw illegalInvocation();
    return this.#transformation.readable.control.desiredSize();
  }

  enqueue(chunk = undefined) {
    if (!(#transformation in this)) throw illegalInvocation();
    this.#transformation.enqueue(chunk);
  }

  error(error = undefined) {
    if (!(#transformation in this)) throw illegalInvocation();
    this.#transformation.fail(error);
  }

  terminate() {
    if (!(#transformation in this)) throw illegalInvocation();
    this.#transformation.terminate();
  }
}

defineInterface(TransformStream, "TransformStream");
defineInterface(TransformStreamDefaultController, "TransformStreamDefaultController");

// `sides`: { readable, writable }
exports.handOver = (sides) => {
  handedOver = sides;
};
exports.TransformStream = TransformStream;
exports.TransformStreamDefaultController = TransformStreamDefaultController;
exports.Transformation = Transformation;
