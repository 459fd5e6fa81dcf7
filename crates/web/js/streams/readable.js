"use strict";
// ReadableStream, the state that it shares with controllers and readers, and what the rest of the runtime needs of readable
// streams. Controllers, readers, pipes and tees are in files of their own, loaded when they are first needed.
// https://streams.spec.whatwg.org/#rs

const {
  ObjectDefineProperty,
  PromisePrototypeThen,
  PromiseReject,
  PromiseResolve,
  ReflectApply,
  SymbolAsyncIterator,
  TypeError,
} = primordials;
const { argumentError, defineInterface, illegalInvocation } = require("web/webidl");
const { Queue } = require("web/streams/queue");
const { Deferred, ignore, internal, invoke, markHandled, resolved } = require("web/streams/promises");
const dictionaries = require("web/streams/dictionaries");
const clones = require("web/clone");

const LOCKED = "This ReadableStream is currently locked to a reader.";
const RELEASED = "This ReadableStream reader has been released.";

// State of a stream. The algorithms work on states only; the objects that guests see are thin covers over them, which guests
// can patch without reaching the algorithms.
class ReadableState {
  state = "readable";
  error = undefined;
  reader = undefined;
  disturbed = false;
  control = undefined;
  // Number of bytes that the stream will give, where that is known from the start.
  length = undefined;
  // Whether it is the readable side of an IdentityTransformStream.
  isConduit = false;
}

// A reader of either kind. The runtime's own consumers use it without a cover. A request is an object with the methods
// chunk(value), close(value) and error(reason), called at once and not in a microtask.
class ReaderLock {
  stream;
  byob;
  requests = new Queue();
  closed = undefined;
  constructor(stream, byob) {
    this.stream = stream;
    this.byob = byob;
  }
}

// What the two controllers have in common. A kind adds enqueue, close, fail, shouldCallPull, pullSteps, cancelSteps and
// releaseSteps.
class SourceControl {
  stream;
  queue = new Queue();
  isBytes = false;
  started = false;
  closeRequested = false;
  pulling = false;
  pullAgain = false;
  highWaterMark;
  self;
  pullAlgorithm;
  cancelAlgorithm;
  // What the source's callbacks receive: the controller that the guest sees, or for the runtime's own sources this object.
  argument = this;

  constructor(stream, highWaterMark, self, pull, cancel) {
    this.stream = stream;
    this.highWaterMark = highWaterMark;
    this.self = self;
    this.pullAlgorithm = pull;
    this.cancelAlgorithm = cancel;
    stream.control = this;
  }

  // Throws what the source's start() throws.
  start(start) {
    const result = start === undefined ? undefined : ReflectApply(start, this.self, [this.argument]);
    this.startWhen(PromiseResolve(result));
  }

  startWhen(promise) {
    PromisePrototypeThen(
      promise,
      () => {
        this.started = true;
        this.callPullIfNeeded();
      },
      (error) => this.fail(error),
    );
  }

  desiredSize() {
    const { state } = this.stream;
    if (state === "errored") return null;
    return state === "closed" ? 0 : this.highWaterMark - this.queue.total;
  }

  canCloseOrEnqueue() {
    return !this.closeRequested && this.stream.state === "readable";
  }

  callPullIfNeeded() {
    if (!this.shouldCallPull()) return;
    if (this.pulling) {
      this.pullAgain = true;
      return;
    }
    this.pulling = true;
    PromisePrototypeThen(
      invoke(this.pullAlgorithm, this.self, this.argument),
      () => {
        this.pulling = false;
        if (this.pullAgain) {
          this.pullAgain = false;
          this.callPullIfNeeded();
        }
      },
      (error) => this.fail(error),
    );
  }

  // Lets go of the source, which may hold much.
  clearAlgorithms() {
    this.self = undefined;
    this.pullAlgorithm = undefined;
    this.cancelAlgorithm = undefined;
  }
}

function closeStream(stream) {
  stream.state = "closed";
  const { reader } = stream;
  if (reader === undefined) return;
  if (reader.closed !== undefined) reader.closed.resolve();
  if (!reader.byob) closeRequests(reader);
}

function closeRequests(reader) {
  const { requests } = reader;
  reader.requests = new Queue();
  while (requests.length > 0) requests.shift().close(undefined);
}

function errorStream(stream, error) {
  stream.state = "errored";
  stream.error = error;
  const { reader } = stream;
  if (reader === undefined) return;
  if (reader.closed !== undefined) reader.closed.reject(error);
  errorRequests(reader, error);
}

function errorRequests(reader, error) {
  const { requests } = reader;
  reader.requests = new Queue();
  while (requests.length > 0) requests.shift().error(error);
}

// ReadableStreamCancel; of a state, whoever has the lock.
function cancel(stream, reason) {
  stream.disturbed = true;
  if (stream.state === "closed") return resolved;
  if (stream.state === "errored") return PromiseReject(stream.error);
  closeStream(stream);
  if (stream.reader !== undefined && stream.reader.byob) closeRequests(stream.reader);
  return PromisePrototypeThen(stream.control.cancelSteps(reason), ignore);
}

function acquireReader(stream, byob) {
  if (stream.reader !== undefined) throw new TypeError(LOCKED);
  if (byob && !stream.control.isBytes) throw new TypeError("This ReadableStream does not support BYOB reads.");
  stream.reader = new ReaderLock(stream, byob);
  return stream.reader;
}

function releaseReader(reader) {
  const { stream } = reader;
  if (stream === undefined) return;
  const error = new TypeError(RELEASED);
  if (stream.state === "readable" && reader.closed !== undefined) reader.closed.reject(error);
  else reader.closed = undefined;
  stream.control.releaseSteps();
  stream.reader = undefined;
  reader.stream = undefined;
  errorRequests(reader, error);
}

// Made on demand: most readers are never asked.
function closedPromise(reader) {
  if (reader.closed === undefined) {
    reader.closed = new Deferred();
    markHandled(reader.closed.promise);
    const { stream } = reader;
    if (stream === undefined) reader.closed.reject(new TypeError(RELEASED));
    else if (stream.state === "closed") reader.closed.resolve();
    else if (stream.state === "errored") reader.closed.reject(stream.error);
  }
  return reader.closed.promise;
}

function readDefault(reader, request) {
  const { stream } = reader;
  stream.disturbed = true;
  if (stream.state === "closed") request.close(undefined);
  else if (stream.state === "errored") request.error(stream.error);
  else stream.control.pullSteps(request);
}

let stateOf;
let isReadableStream;

class ReadableStream {
  #state;

  constructor(underlyingSource = undefined, strategy = undefined) {
    if (underlyingSource === internal) {
      this.#state = strategy;
      return;
    }
    const state = new ReadableState();
    this.#state = state;
    // Web IDL converts the strategy with the arguments, the source only in the constructor's steps.
    const { highWaterMark, size } = dictionaries.queuingStrategy(strategy, undefined);
    const source = dictionaries.underlyingSource(underlyingSource);
    const kind = source.isBytes ? "web/streams/readable-byte" : "web/streams/readable-default";
    require(kind).controlFromSource(state, source, highWaterMark, size);
  }

  static from(asyncIterable) {
    return fromIterable(asyncIterable);
  }

  get locked() {
    if (!(#state in this)) throw illegalInvocation();
    return this.#state.reader !== undefined;
  }

  cancel(reason = undefined) {
    if (!isReadableStream(this)) return PromiseReject(illegalInvocation());
    if (this.#state.reader !== undefined) return PromiseReject(new TypeError(LOCKED));
    return cancel(this.#state, reason);
  }

  getReader(options = undefined) {
    if (!(#state in this)) throw illegalInvocation();
    const { mode } = dictionaries.dictionary(options, "ReadableStreamGetReaderOptions");
    const readers = require("web/streams/readable-readers");
    if (mode === undefined) return new readers.ReadableStreamDefaultReader(this);
    if (`${mode}` === "byob") return new readers.ReadableStreamBYOBReader(this);
    throw new TypeError("mode must be undefined or 'byob' in call to getReader().");
  }

  pipeThrough(transform, options = undefined) {
    if (!(#state in this)) throw illegalInvocation();
    return require("web/streams/pipe").pipeThrough(this.#state, transform, options);
  }

  pipeTo(destination, options = undefined) {
    if (!isReadableStream(this)) return PromiseReject(illegalInvocation());
    const { isWritableStream, stateOf: writableStateOf } = require("web/streams/writable");
    if (!isWritableStream(destination)) {
      return PromiseReject(argumentError("ReadableStream", "pipeTo", 1, "WritableStream"));
    }
    try {
      return require("web/streams/pipe").pipe(this.#state, writableStateOf(destination), dictionaries.pipeOptions(options));
    } catch (error) {
      return PromiseReject(error);
    }
  }

  tee() {
    if (!(#state in this)) throw illegalInvocation();
    return require("web/streams/tee").tee(this.#state, false);
  }

  values(options = undefined) {
    if (!(#state in this)) throw illegalInvocation();
    const { preventCancel } = dictionaries.dictionary(options, "ReadableStreamIteratorOptions");
    const { ReadableStreamAsyncIterator } = require("web/streams/readable-readers");
    return new ReadableStreamAsyncIterator(internal, acquireReader(this.#state, false), !!preventCancel);
  }

  static {
    stateOf = (stream) => stream.#state;
    isReadableStream = (value) => typeof value === "object" && value !== null && #state in value;
  }
}

function fromIterable(iterable) {
  return new ReadableStream(internal, require("web/streams/readable-from").stateFromIterable(iterable));
}

defineInterface(ReadableStream, "ReadableStream");
clones.register(ReadableStream.prototype, {
  __proto__: null,
  kind: "ReadableStream",
  encode: (stream) => require("web/streams/transfer").encodeReadable(stream),
  decode: (payload) => require("web/streams/transfer").decodeReadable(payload),
});
ObjectDefineProperty(ReadableStream, "from", { __proto__: null, enumerable: true });
ObjectDefineProperty(ReadableStream.prototype, SymbolAsyncIterator, {
  __proto__: null,
  value: ReadableStream.prototype.values,
  writable: true,
  configurable: true,
});

exports.fromIterable = fromIterable;
exports.ReadableStream = ReadableStream;

// For the rest of the runtime. All take and give ReadableStream objects.
exports.isReadableStream = isReadableStream;
exports.isLocked = (stream) => stateOf(stream).reader !== undefined;
exports.isDisturbed = (stream) => stateOf(stream).disturbed;
// Whether its bytes come from the runtime, not from a source of the guest's.
exports.isNative = (stream) => {
  const { control } = stateOf(stream);
  return control.isBytes && control.argument === control;
};
exports.streamState = (stream) => stateOf(stream).state;
exports.streamLength = (stream) => (stateOf(stream).disturbed ? undefined : stateOf(stream).length);
exports.cancelStream = (stream, reason) => cancel(stateOf(stream), reason);
exports.teeForClone = (stream) => require("web/streams/tee").tee(stateOf(stream), true);
exports.readableStreamFromBytes = (bytes) => require("web/streams/native").readableStreamFromBytes(bytes);
exports.readableStreamFromNative = (pull, cancel) =>
  require("web/streams/native").readableStreamFromNative(pull, cancel);
// What is left of a body that was read whole without a stream: disturbed, locked for good.
exports.spentStream = () => {
  const stream = exports.readableStreamFromBytes(new primordials.Uint8Array(0));
  const state = stateOf(stream);
  state.disturbed = true;
  acquireReader(state, false);
  return stream;
};
exports.drainStream = (stream, onChunk) => require("web/streams/native").drainStream(stateOf(stream), onChunk);

// For the other files of the streams. All take and give states.
exports.startDrain = (stream, onChunk) => require("web/streams/native").startDrain(stateOf(stream), onChunk);
exports.ReadableState = ReadableState;
exports.SourceControl = SourceControl;
exports.acquireReader = acquireReader;
exports.cancel = cancel;
exports.closeStream = closeStream;
exports.closedPromise = closedPromise;
exports.errorStream = errorStream;
exports.readDefault = readDefault;
exports.releaseReader = releaseReader;
exports.stateOf = stateOf;
