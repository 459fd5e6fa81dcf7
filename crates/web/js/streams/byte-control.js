"use strict";
// The algorithms of byte streams' controllers: bytes are queued as ranges of transferred buffers, or written straight into
// the buffers of BYOB readers. https://streams.spec.whatwg.org/#rbs-controller-abstract-ops

const {
  ArrayBuffer,
  ArrayBufferIsView,
  ArrayBufferPrototypeGetByteLength,
  ArrayBufferPrototypeGetDetached,
  ArrayBufferPrototypeTransferToFixedLength,
  DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteLength,
  DataViewPrototypeGetByteOffset,
  MathMin,
  RangeError,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypedArrayPrototypeSet,
  Uint8Array,
} = primordials;
const { Queue } = require("web/streams/queue");
const { invoke } = require("web/streams/promises");
const { SourceControl, closeStream, errorStream } = require("web/streams/readable");

// Buffer, range and, for typed arrays, the constructor's name of a view; of an ArrayBuffer the whole. The prototype getters
// throw a TypeError for shared memory and for anything else.
function rangeOf(view) {
  if (!ArrayBufferIsView(view)) {
    return { __proto__: null, tag: "Uint8Array", buffer: view, offset: 0, length: ArrayBufferPrototypeGetByteLength(view) };
  }
  const tag = TypedArrayPrototypeGetSymbolToStringTag(view);
  const range =
    tag === undefined
      ? {
          __proto__: null,
          tag: "DataView",
          buffer: DataViewPrototypeGetBuffer(view),
          offset: DataViewPrototypeGetByteOffset(view),
          length: DataViewPrototypeGetByteLength(view),
        }
      : {
          __proto__: null,
          tag,
          buffer: TypedArrayPrototypeGetBuffer(view),
          offset: TypedArrayPrototypeGetByteOffset(view),
          length: TypedArrayPrototypeGetByteLength(view),
        };
  ArrayBufferPrototypeGetByteLength(range.buffer);
  return range;
}

function copyBytes(buffer, offset, length) {
  return new Uint8Array(new Uint8Array(buffer, offset, length));
}

class PullInto {
  // undefined while an automatically allocated buffer has not been asked for.
  buffer;
  bufferByteLength;
  byteOffset;
  byteLength;
  bytesFilled = 0;
  minimumFill;
  elementSize;
  View;
  // "default", "byob", or "none" once the reader let go.
  readerType;
  constructor(buffer, bufferByteLength, byteOffset, byteLength, minimumFill, elementSize, View, readerType) {
    this.buffer = buffer;
    this.bufferByteLength = bufferByteLength;
    this.byteOffset = byteOffset;
    this.byteLength = byteLength;
    this.minimumFill = minimumFill;
    this.elementSize = elementSize;
    this.View = View;
    this.readerType = readerType;
  }

  materialize() {
    if (this.buffer === undefined) this.buffer = new ArrayBuffer(this.bufferByteLength);
  }

  transfer() {
    if (this.buffer !== undefined) this.buffer = ArrayBufferPrototypeTransferToFixedLength(this.buffer);
  }

  filledView() {
    this.materialize();
    this.transfer();
    return new this.View(this.buffer, this.byteOffset, this.bytesFilled / this.elementSize);
  }
}

class ByteControl extends SourceControl {
  isBytes = true;
  autoAllocateChunkSize = 0;
  pullIntos = new Queue();
  // The object that the guest sees, while there is one.
  byobRequest = null;
  // Called when the last queued byte has been taken: how an identity stream learns that a write is consumed.
  onDrain = undefined;

  // Spelled out: the constructor that JavaScript supplies to a derived class iterates over its arguments, which a guest can
  // see.
  constructor(stream, highWaterMark, self, pull, cancel) {
    super(stream, highWaterMark, self, pull, cancel);
  }

  shouldCallPull() {
    if (!this.started || !this.canCloseOrEnqueue()) return false;
    const { reader } = this.stream;
    return (reader !== undefined && reader.requests.length > 0) || this.desiredSize() > 0;
  }

  // Takes the chunk's buffer over: the caller transferred it or does not use it again.
  enqueueRange(buffer, offset, length) {
    if (!this.canCloseOrEnqueue()) return;
    const first = this.pullIntos.head?.value;
    if (first !== undefined) {
      if (first.buffer !== undefined && ArrayBufferPrototypeGetDetached(first.buffer)) {
        throw new TypeError("The buffer of the pending BYOB request has been detached.");
      }
      this.invalidateRequest();
      first.transfer();
      if (first.readerType === "none") this.enqueueDetachedPullInto(first);
    }
    const { reader } = this.stream;
    if (reader !== undefined && !reader.byob) {
      this.fillReadRequests(reader);
      if (reader.requests.length === 0) {
        this.queueRange(buffer, offset, length);
      } else {
        if (this.pullIntos.length > 0) this.pullIntos.shift();
        reader.requests.shift().chunk(new Uint8Array(buffer, offset, length));
      }
    } else {
      this.queueRange(buffer, offset, length);
      if (reader !== undefined) this.commitAll(this.fillPullIntos());
    }
    this.callPullIfNeeded();
  }

  enqueue(bytes) {
    const { buffer, offset, length } = rangeOf(bytes);
    if (length > 0) this.enqueueRange(buffer, offset, length);
  }

  queueRange(buffer, offset, length) {
    this.queue.push({ __proto__: null, buffer, offset, length }, length);
  }

  queueCopy(buffer, offset, length) {
    let copy;
    try {
      copy = copyBytes(buffer, offset, length);
    } catch (error) {
      this.fail(error);
      throw error;
    }
    this.queueRange(TypedArrayPrototypeGetBuffer(copy), 0, length);
  }

  enqueueDetachedPullInto(pullInto) {
    if (pullInto.bytesFilled > 0) this.queueCopy(pullInto.buffer, pullInto.byteOffset, pullInto.bytesFilled);
    this.pullIntos.shift();
  }

  close() {
    if (!this.canCloseOrEnqueue()) return;
    if (this.queue.total > 0) {
      this.closeRequested = true;
      return;
    }
    const first = this.pullIntos.head?.value;
    if (first !== undefined && first.bytesFilled % first.elementSize !== 0) {
      const error = new TypeError("The stream was closed in the middle of an element of the BYOB reader's view.");
      this.fail(error);
      throw error;
    }
    this.clearAlgorithms();
    closeStream(this.stream);
  }

  // Gives pending BYOB reads of a closed stream their (empty or partly filled) views.
  settlePullIntos() {
    if (this.stream.state === "closed" && this.pullIntos.length > 0) this.respond(0);
  }

  fail(error) {
    if (this.stream.state !== "readable") return;
    this.clearPullIntos();
    this.queue.clear();
    this.clearAlgorithms();
    errorStream(this.stream, error);
  }

  clearPullIntos() {
    this.invalidateRequest();
    this.pullIntos.clear();
  }

  invalidateRequest() {
    if (this.byobRequest !== null) require("web/streams/readable-byte").invalidate(this.byobRequest);
    this.byobRequest = null;
  }

  // What the head descriptor still wants. A source of the runtime's own can write into it and then respond.
  headView() {
    const first = this.pullIntos.head.value;
    first.materialize();
    return new Uint8Array(first.buffer, first.byteOffset + first.bytesFilled, first.byteLength - first.bytesFilled);
  }

  pullSteps(request) {
    if (this.queue.total > 0) {
      this.fillReadRequest(request);
      return;
    }
    const size = this.autoAllocateChunkSize;
    if (size > 0) this.pullIntos.push(new PullInto(undefined, size, 0, size, 1, 1, Uint8Array, "default"), 0);
    this.stream.reader.requests.push(request, 0);
    this.callPullIfNeeded();
  }

  cancelSteps(reason) {
    this.clearPullIntos();
    this.queue.clear();
    const result = invoke(this.cancelAlgorithm, this.self, reason);
    this.clearAlgorithms();
    return result;
  }

  // Bytes that a source still writes into the buffer of a reader that let go are kept for the next reader.
  releaseSteps() {
    const first = this.pullIntos.head?.value;
    if (first === undefined) return;
    first.readerType = "none";
    this.pullIntos.clear();
    this.pullIntos.push(first, 0);
  }

  fillReadRequests(reader) {
    while (reader.requests.length > 0 && this.queue.total > 0) {
      // An automatically allocated buffer is not needed for bytes that are here.
      if (this.pullIntos.length > 0) this.pullIntos.shift();
      this.fillReadRequest(reader.requests.shift());
    }
  }

  fillReadRequest(request) {
    const { buffer, offset, length } = this.queue.shift();
    this.handleQueueDrain();
    request.chunk(new Uint8Array(buffer, offset, length));
  }

  handleQueueDrain() {
    if (this.queue.total === 0 && this.onDrain !== undefined) this.onDrain();
    if (this.queue.total === 0 && this.closeRequested) {
      this.clearAlgorithms();
      closeStream(this.stream);
    } else {
      this.callPullIfNeeded();
    }
  }

  // BYOB read. `min` counts elements.
  pullInto(view, min, request) {
    const { tag, buffer, offset, length } = rangeOf(view);
    const View = primordials[tag];
    const elementSize = tag === "DataView" ? 1 : View.BYTES_PER_ELEMENT;
    const bufferByteLength = ArrayBufferPrototypeGetByteLength(buffer);
    let taken;
    try {
      taken = ArrayBufferPrototypeTransferToFixedLength(buffer);
    } catch (error) {
      request.error(error);
      return;
    }
    const pullInto = new PullInto(taken, bufferByteLength, offset, length, min * elementSize, elementSize, View, "byob");
    const { stream } = this;
    if (this.pullIntos.length > 0) {
      this.pullIntos.push(pullInto, 0);
      stream.reader.requests.push(request, 0);
      return;
    }
    if (stream.state === "closed") {
      request.close(new View(taken, offset, 0));
      return;
    }
    if (this.queue.total > 0) {
      const ready = this.fillFromQueue(pullInto);
      const ends = this.closeRequested && !ready;
      if (ends && pullInto.bytesFilled % elementSize !== 0) {
        const error = new TypeError("The stream ends in the middle of an element of the BYOB reader's view.");
        this.fail(error);
        request.error(error);
        return;
      }
      // Where the standard makes an end before `min` an error, Workers give what there is.
      if (ready || ends) {
        const filled = pullInto.filledView();
        this.handleQueueDrain();
        request.chunk(filled);
        return;
      }
    }
    this.pullIntos.push(pullInto, 0);
    stream.reader.requests.push(request, 0);
    this.callPullIfNeeded();
  }

  // Moves queued bytes into a descriptor; true when it can be given to the reader.
  fillFromQueue(pullInto) {
    let remaining = MathMin(this.queue.total, pullInto.byteLength - pullInto.bytesFilled);
    const aligned = pullInto.bytesFilled + remaining - ((pullInto.bytesFilled + remaining) % pullInto.elementSize);
    const ready = aligned >= pullInto.minimumFill;
    if (ready) remaining = aligned - pullInto.bytesFilled;
    pullInto.materialize();
    const target = new Uint8Array(pullInto.buffer);
    while (remaining > 0) {
      const node = this.queue.head;
      const entry = node.value;
      const count = MathMin(remaining, entry.length);
      const source = new Uint8Array(entry.buffer, entry.offset, count);
      TypedArrayPrototypeSet(target, source, pullInto.byteOffset + pullInto.bytesFilled);
      if (count === entry.length) {
        this.queue.shift();
      } else {
        entry.offset += count;
        entry.length -= count;
        node.size -= count;
        this.queue.total -= count;
      }
      pullInto.bytesFilled += count;
      remaining -= count;
    }
    if (this.queue.total === 0 && this.onDrain !== undefined) this.onDrain();
    return ready;
  }

  // ProcessPullIntoDescriptorsUsingQueue: all are filled before a reader sees one.
  fillPullIntos() {
    const filled = new Queue();
    while (this.pullIntos.length > 0 && this.queue.total > 0) {
      if (this.fillFromQueue(this.pullIntos.head.value)) filled.push(this.pullIntos.shift(), 0);
    }
    return filled;
  }

  commitAll(filled) {
    while (filled.length > 0) this.commit(filled.shift());
  }

  commit(pullInto) {
    const { reader, state } = this.stream;
    const view = pullInto.filledView();
    const request = reader.requests.shift();
    // A read with `min` that the end of the stream cut short is no `done` yet: nothing that came may be overlooked.
    if (state === "closed" && pullInto.bytesFilled === 0) request.close(view);
    else request.chunk(view);
  }

  respond(bytesWritten) {
    const first = this.pullIntos.head.value;
    if (this.stream.state === "closed") {
      if (bytesWritten !== 0) throw new TypeError("The bytesWritten must be zero after the stream is closed.");
    } else if (bytesWritten === 0) {
      throw new TypeError("The bytesWritten must be more than zero while the stream is open.");
    } else if (first.bytesFilled + bytesWritten > first.byteLength) {
      throw new RangeError(`Too many bytes [${bytesWritten}] in response to a BYOB read request.`);
    }
    first.transfer();
    this.respondInternal(bytesWritten);
  }

  respondWithNewView(view) {
    const { buffer, offset, length } = rangeOf(view);
    const first = this.pullIntos.head.value;
    if (this.stream.state === "closed") {
      if (length !== 0) throw new TypeError("The view must be empty after the stream is closed.");
    } else if (length === 0) {
      throw new TypeError("The view must not be empty while the stream is open.");
    }
    if (first.byteOffset + first.bytesFilled !== offset) {
      throw new RangeError("The view does not start where the BYOB request starts.");
    }
    if (first.bufferByteLength !== ArrayBufferPrototypeGetByteLength(buffer)) {
      throw new RangeError("The underlying ArrayBuffer is not the correct length.");
    }
    if (first.bytesFilled + length > first.byteLength) {
      throw new RangeError(`Too many bytes [${length}] in response to a BYOB read request.`);
    }
    first.buffer = ArrayBufferPrototypeTransferToFixedLength(buffer);
    this.respondInternal(length);
  }

  respondInternal(bytesWritten) {
    const first = this.pullIntos.head.value;
    this.invalidateRequest();
    if (this.stream.state === "closed") {
      if (first.readerType === "none") this.pullIntos.shift();
      const { reader } = this.stream;
      if (reader !== undefined && reader.byob) {
        while (reader.requests.length > 0) this.commit(this.pullIntos.shift());
      }
    } else {
      this.respondInReadableState(first, bytesWritten);
    }
    this.callPullIfNeeded();
  }

  respondInReadableState(first, bytesWritten) {
    first.materialize();
    first.bytesFilled += bytesWritten;
    if (first.readerType === "none") {
      this.enqueueDetachedPullInto(first);
      const { reader } = this.stream;
      if (reader !== undefined && !reader.byob) this.fillReadRequests(reader);
      else this.commitAll(this.fillPullIntos());
      return;
    }
    if (first.bytesFilled < first.minimumFill) return;
    this.pullIntos.shift();
    const remainder = first.bytesFilled % first.elementSize;
    if (remainder > 0) {
      this.queueCopy(first.buffer, first.byteOffset + first.bytesFilled - remainder, remainder);
      first.bytesFilled -= remainder;
    }
    const filled = this.fillPullIntos();
    this.commit(first);
    this.commitAll(filled);
  }
}

exports.ByteControl = ByteControl;
exports.copyBytes = copyBytes;
exports.rangeOf = rangeOf;
