"use strict";
// The readers as guests see them, and the iterator of `for await`.
// https://streams.spec.whatwg.org/#default-reader-class https://streams.spec.whatwg.org/#byob-reader-class

const {
  ArrayBufferIsView,
  ArrayBufferPrototypeGetByteLength,
  ArrayBufferPrototypeGetDetached,
  AsyncIteratorPrototype,
  ObjectSetPrototypeOf,
  PromisePrototypeThen,
  PromiseReject,
  RangeError,
  TypeError,
} = primordials;
const { argumentError, defineInterface, illegalInvocation } = require("web/webidl");
const { Deferred, internal, resolved } = require("web/streams/promises");
const { dictionary, enforceRange } = require("web/streams/dictionaries");
const streams = require("web/streams/readable");

// A read request whose outcome is a promise for { value, done }.
class PromiseRead extends Deferred {
  // Spelled out: the constructor that JavaScript supplies to a derived class iterates over its arguments.
  constructor() {
    super();
  }
  chunk(value) {
    this.resolve({ value, done: false });
  }
  close(value) {
    this.resolve({ value, done: true });
  }
  error(error) {
    this.reject(error);
  }
}

function releasedError() {
  return new TypeError("This ReadableStream reader has been released.");
}

function cancel(reader, reason) {
  if (reader.stream === undefined) return PromiseReject(releasedError());
  return streams.cancel(reader.stream, reason);
}

class ReadableStreamDefaultReader {
  #reader;

  constructor(stream) {
    if (!streams.isReadableStream(stream)) {
      throw argumentError("ReadableStreamDefaultReader", "", 1, "ReadableStream");
    }
    this.#reader = streams.acquireReader(streams.stateOf(stream), false);
  }

  get closed() {
    if (!(#reader in this)) return PromiseReject(illegalInvocation());
    return streams.closedPromise(this.#reader);
  }

  cancel(reason = undefined) {
    if (!(#reader in this)) return PromiseReject(illegalInvocation());
    return cancel(this.#reader, reason);
  }

  read() {
    if (!(#reader in this)) return PromiseReject(illegalInvocation());
    if (this.#reader.stream === undefined) return PromiseReject(releasedError());
    const request = new PromiseRead();
    streams.readDefault(this.#reader, request);
    return request.promise;
  }

  releaseLock() {
    if (!(#reader in this)) throw illegalInvocation();
    streams.releaseReader(this.#reader);
  }
}

class ReadableStreamBYOBReader {
  #reader;

  constructor(stream) {
    if (!streams.isReadableStream(stream)) {
      throw argumentError("ReadableStreamBYOBReader", "", 1, "ReadableStream");
    }
    this.#reader = streams.acquireReader(streams.stateOf(stream), true);
  }

  get closed() {
    if (!(#reader in this)) return PromiseReject(illegalInvocation());
    return streams.closedPromise(this.#reader);
  }

  cancel(reason = undefined) {
    if (!(#reader in this)) return PromiseReject(illegalInvocation());
    return cancel(this.#reader, reason);
  }

  read(view, options = undefined) {
    try {
      if (!(#reader in this)) throw illegalInvocation();
      const { min = 1 } = dictionary(options, "ReadableStreamBYOBReaderReadOptions");
      return this.#readInto(view, enforceRange(min, "min"), "read");
    } catch (error) {
      return PromiseReject(error);
    }
  }

  // Workers' extension: like read(view, { min }).
  readAtLeast(minElements, view) {
    try {
      if (!(#reader in this)) throw illegalInvocation();
      return this.#readInto(view, enforceRange(minElements, "minElements"), "readAtLeast");
    } catch (error) {
      return PromiseReject(error);
    }
  }

  releaseLock() {
    if (!(#reader in this)) throw illegalInvocation();
    streams.releaseReader(this.#reader);
  }

  #readInto(view, min, operation) {
    if (!ArrayBufferIsView(view)) {
      throw argumentError("ReadableStreamBYOBReader", operation, operation === "read" ? 1 : 2, "ArrayBufferView");
    }
    const { rangeOf } = require("web/streams/byte-control");
    const { tag, buffer, length } = rangeOf(view);
    if (ArrayBufferPrototypeGetDetached(buffer)) throw new TypeError("The buffer of the view has been detached.");
    if (length === 0 || ArrayBufferPrototypeGetByteLength(buffer) === 0) {
      throw new TypeError(`You must call ${operation}() on a "byob" reader with a positive-sized TypedArray object.`);
    }
    if (min === 0) throw new TypeError("Requested invalid minimum number of bytes to read (0).");
    const bytes = min * (tag === "DataView" ? 1 : primordials[tag].BYTES_PER_ELEMENT);
    if (bytes > length) {
      const message = `Minimum bytes to read (${bytes}) exceeds size of buffer (${length}).`;
      throw operation === "read" ? new RangeError(message) : new TypeError(message);
    }
    const { stream } = this.#reader;
    if (stream === undefined) throw releasedError();
    const request = new PromiseRead();
    stream.disturbed = true;
    if (stream.state === "errored") request.error(stream.error);
    else stream.control.pullInto(view, min, request);
    return request.promise;
  }
}

// Asynchronous iterator objects: calls wait for the ones before them. https://webidl.spec.whatwg.org/#js-asynchronous-iterable
class ReadableStreamAsyncIterator {
  #reader;
  #preventCancel;
  #ongoing = undefined;
  #finished = false;

  constructor(token = undefined, reader = undefined, preventCancel = false) {
    if (token !== internal) throw new TypeError("Illegal constructor");
    this.#reader = reader;
    this.#preventCancel = preventCancel;
  }

  next() {
    if (!(#reader in this)) return PromiseReject(illegalInvocation());
    return this.#enqueue(false, undefined);
  }

  return(value = undefined) {
    if (!(#reader in this)) return PromiseReject(illegalInvocation());
    return this.#enqueue(true, value);
  }

  #enqueue(isReturn, value) {
    const previous = this.#ongoing;
    const result = new Deferred();
    this.#ongoing = result.promise;
    const step = () => {
      if (isReturn) this.#return(value, result);
      else this.#next(result);
    };
    if (previous === undefined) step();
    else PromisePrototypeThen(previous, step, step);
    return result.promise;
  }

  #next(result) {
    if (this.#finished) {
      result.resolve({ value: undefined, done: true });
      return;
    }
    const request = new IteratorRead(result, () => {
      this.#finished = true;
      streams.releaseReader(this.#reader);
    });
    streams.readDefault(this.#reader, request);
  }

  #return(value, result) {
    if (this.#finished) {
      result.resolve({ value, done: true });
      return;
    }
    this.#finished = true;
    const { stream } = this.#reader;
    const done = this.#preventCancel ? resolved : streams.cancel(stream, value);
    streams.releaseReader(this.#reader);
    PromisePrototypeThen(done, () => result.resolve({ value, done: true }), result.reject);
  }
}

// The read request of an iterator: the lock goes before the outcome is known to the caller.
class IteratorRead {
  result;
  finish;
  constructor(result, finish) {
    this.result = result;
    this.finish = finish;
  }
  chunk(value) {
    this.result.resolve({ value, done: false });
  }
  close() {
    this.finish();
    this.result.resolve({ value: undefined, done: true });
  }
  error(error) {
    this.finish();
    this.result.reject(error);
  }
}

defineInterface(ReadableStreamDefaultReader, "ReadableStreamDefaultReader");
defineInterface(ReadableStreamBYOBReader, "ReadableStreamBYOBReader");
defineInterface(ReadableStreamAsyncIterator, "ReadableStream AsyncIterator");
ObjectSetPrototypeOf(ReadableStreamAsyncIterator.prototype, AsyncIteratorPrototype);
// Iterator prototypes of Web IDL have no constructor property.
delete ReadableStreamAsyncIterator.prototype.constructor;

exports.ReadableStreamAsyncIterator = ReadableStreamAsyncIterator;
exports.ReadableStreamBYOBReader = ReadableStreamBYOBReader;
exports.ReadableStreamDefaultReader = ReadableStreamDefaultReader;
