"use strict";
// ReadableStream.from(): a stream over any iterable. https://streams.spec.whatwg.org/#readable-stream-from-iterable

const { ReflectApply, SymbolAsyncIterator, SymbolIterator, TypeError } = primordials;
const { argumentError } = require("web/webidl");
const { ReadableState } = require("web/streams/readable");
const { DefaultControl } = require("web/streams/readable-default");

function isObject(value) {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

// The iterable's own protocol, as a source. Reading properties of the iterable runs guest code, as the standard wants.
class IterableSource {
  iterator;
  next;
  isAsync;
  constructor(iterator, isAsync) {
    this.iterator = iterator;
    this.next = iterator.next;
    this.isAsync = isAsync;
  }

  async pull(control) {
    let result = ReflectApply(this.next, this.iterator, []);
    if (this.isAsync) result = await result;
    if (!isObject(result)) throw new TypeError("The iterator's next() must give an object.");
    const { done } = result;
    if (done) {
      control.close();
      return;
    }
    let { value } = result;
    if (!this.isAsync) {
      try {
        value = await value;
      } catch (error) {
        this.return();
        throw error;
      }
    }
    control.enqueue(value);
  }

  // An iterator over synchronous values whose promise rejected is closed; the rejection is what counts.
  return() {
    try {
      const close = this.iterator.return;
      if (close !== undefined && close !== null) ReflectApply(close, this.iterator, []);
    } catch {
      // As in AsyncFromSyncIteratorContinuation: an error of the closing is dropped.
    }
  }

  async cancel(reason) {
    const close = this.iterator.return;
    if (close === undefined || close === null) return;
    const result = await ReflectApply(close, this.iterator, [reason]);
    if (!isObject(result)) throw new TypeError("The iterator's return() must give an object.");
  }
}

function stateFromIterable(iterable) {
  if (iterable === undefined || iterable === null) throw argumentError("ReadableStream", "from", 1, "AsyncGenerator");
  let method = iterable[SymbolAsyncIterator];
  const isAsync = method !== undefined && method !== null;
  if (!isAsync) method = iterable[SymbolIterator];
  if (typeof method !== "function") throw argumentError("ReadableStream", "from", 1, "AsyncGenerator");
  const iterator = ReflectApply(method, iterable, []);
  if (!isObject(iterator)) throw new TypeError("The iterable's iterator must be an object.");
  const source = new IterableSource(iterator, isAsync);
  const stream = new ReadableState();
  const control = new DefaultControl(stream, 0, source, source.pull, source.cancel);
  control.started = true;
  return stream;
}

exports.stateFromIterable = stateFromIterable;
