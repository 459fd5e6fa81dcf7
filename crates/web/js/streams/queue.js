"use strict";
// The queue-with-sizes that controllers keep their chunks in, and the two queuing strategies that measure chunks.
// https://streams.spec.whatwg.org/#queue-with-sizes https://streams.spec.whatwg.org/#qs

const { ObjectDefineProperty, RangeError, TypeError } = primordials;
const { argumentError, defineInterface, illegalInvocation } = require("web/webidl");

// A linked list and not an array: writing to an array's next index would run a setter that a guest has put on
// Array.prototype, and removing from the front of a long array is not constant time.
class Queue {
  head = undefined;
  tail = undefined;
  length = 0;
  total = 0;

  push(value, size) {
    const node = { __proto__: null, value, size, next: undefined };
    if (this.tail === undefined) this.head = node;
    else this.tail.next = node;
    this.tail = node;
    this.length++;
    this.total += size;
  }

  shift() {
    const node = this.head;
    this.head = node.next;
    if (node.next === undefined) this.tail = undefined;
    this.length--;
    this.total -= node.size;
    // Sums of fractions are not exact: the standard says to round a negative total up.
    if (this.total < 0) this.total = 0;
    return node.value;
  }

  // EnqueueValueWithSize: the size is what a guest's size() returned.
  pushMeasured(value, size) {
    const number = +size;
    if (!(number >= 0 && number < Infinity)) {
      throw new RangeError(`The size of a chunk must be a finite, non-negative number, not ${number}.`);
    }
    this.push(value, number);
  }

  clear() {
    this.head = undefined;
    this.tail = undefined;
    this.length = 0;
    this.total = 0;
  }
}

function initHighWaterMark(init, name) {
  if (init === undefined || init === null || (typeof init !== "object" && typeof init !== "function")) {
    throw argumentError(name, "", 1, "QueuingStrategyInit");
  }
  const { highWaterMark } = init;
  if (highWaterMark === undefined) {
    throw new TypeError(`Failed to construct '${name}': the 'highWaterMark' field of its init is required.`);
  }
  return +highWaterMark;
}

// One function object for all strategies of a realm, as the standard wants. Arrow functions: neither is a constructor.
const byteLengthSize = (chunk) => chunk.byteLength;
const countSize = () => 1;
ObjectDefineProperty(byteLengthSize, "name", { __proto__: null, value: "size" });
ObjectDefineProperty(countSize, "name", { __proto__: null, value: "size" });

class ByteLengthQueuingStrategy {
  #highWaterMark;
  constructor(init) {
    this.#highWaterMark = initHighWaterMark(init, "ByteLengthQueuingStrategy");
  }
  get highWaterMark() {
    if (!(#highWaterMark in this)) throw illegalInvocation();
    return this.#highWaterMark;
  }
  get size() {
    if (!(#highWaterMark in this)) throw illegalInvocation();
    return byteLengthSize;
  }
}

class CountQueuingStrategy {
  #highWaterMark;
  constructor(init) {
    this.#highWaterMark = initHighWaterMark(init, "CountQueuingStrategy");
  }
  get highWaterMark() {
    if (!(#highWaterMark in this)) throw illegalInvocation();
    return this.#highWaterMark;
  }
  get size() {
    if (!(#highWaterMark in this)) throw illegalInvocation();
    return countSize;
  }
}

defineInterface(ByteLengthQueuingStrategy, "ByteLengthQueuingStrategy");
defineInterface(CountQueuingStrategy, "CountQueuingStrategy");

exports.ByteLengthQueuingStrategy = ByteLengthQueuingStrategy;
exports.CountQueuingStrategy = CountQueuingStrategy;
exports.Queue = Queue;
