"use strict";
// The controller of byte streams as guests see it, and its BYOB request. https://streams.spec.whatwg.org/#rbs-controller-class

const {
  ArrayBufferIsView,
  ArrayBufferPrototypeGetDetached,
  ArrayBufferPrototypeTransferToFixedLength,
  PromisePrototypeThen,
  RangeError,
  TypeError,
  TypedArrayPrototypeGetBuffer,
} = primordials;
const { argumentError, defineInterface, illegalInvocation } = require("web/webidl");
const { internal, resolved } = require("web/streams/promises");
const { enforceRange } = require("web/streams/dictionaries");
const { ByteControl, rangeOf } = require("web/streams/byte-control");

// Workers offer a BYOB request for reads of default readers too when the source did not say how large.
const DEFAULT_AUTO_ALLOCATE = 4096;

let invalidate;

class ReadableStreamBYOBRequest {
  #control;
  #view;
  #atLeast;

  constructor(token = undefined, control = undefined) {
    if (token !== internal) throw new TypeError("Illegal constructor");
    const first = control.pullIntos.head.value;
    this.#control = control;
    this.#view = control.headView();
    this.#atLeast = first.minimumFill - first.bytesFilled;
  }

  get view() {
    if (!(#control in this)) throw illegalInvocation();
    return this.#view;
  }

  // Workers' extension: how many bytes complete the read.
  get atLeast() {
    if (!(#control in this)) throw illegalInvocation();
    return this.#view === null ? null : this.#atLeast;
  }

  respond(bytesWritten) {
    if (!(#control in this)) throw illegalInvocation();
    const count = enforceRange(bytesWritten, "bytesWritten");
    if (this.#isOver(count)) return;
    if (ArrayBufferPrototypeGetDetached(TypedArrayPrototypeGetBuffer(this.#view))) {
      throw new TypeError("The buffer of the BYOB request has been detached.");
    }
    this.#control.respond(count);
  }

  respondWithNewView(view) {
    if (!(#control in this)) throw illegalInvocation();
    if (!ArrayBufferIsView(view)) {
      throw argumentError("ReadableStreamBYOBRequest", "respondWithNewView", 1, "ArrayBufferView");
    }
    const { buffer, length } = rangeOf(view);
    if (this.#isOver(length)) return;
    if (ArrayBufferPrototypeGetDetached(buffer)) throw new TypeError("The buffer of the view has been detached.");
    this.#control.respondWithNewView(view);
  }

  // A late respond(0) after close(), when the pending reads have been settled without it, is no mistake.
  #isOver(count) {
    if (this.#view !== null) return false;
    if (count === 0 && this.#control.stream.state === "closed") return true;
    throw new TypeError("This BYOB request has been responded to or invalidated already.");
  }

  static {
    invalidate = (request) => {
      request.#view = null;
    };
  }
}

class ReadableByteStreamController {
  #control;

  constructor(token = undefined, control = undefined) {
    if (token !== internal) throw new TypeError("Illegal constructor");
    this.#control = control;
  }

  get byobRequest() {
    if (!(#control in this)) throw illegalInvocation();
    const control = this.#control;
    if (control.byobRequest === null && control.pullIntos.length > 0) {
      control.byobRequest = new ReadableStreamBYOBRequest(internal, control);
    }
    return control.byobRequest;
  }

  get desiredSize() {
    if (!(#control in this)) throw illegalInvocation();
    return this.#control.desiredSize();
  }

  close() {
    if (!(#control in this)) throw illegalInvocation();
    const control = this.#control;
    if (!control.canCloseOrEnqueue()) throw new TypeError("This ReadableStream is closed.");
    control.close();
    // The standard leaves pending BYOB reads waiting for a respond(0); Workers settle them. The delay lets code that was
    // written for the standard respond first.
    if (control.pullIntos.length > 0) PromisePrototypeThen(resolved, () => control.settlePullIntos());
  }

  enqueue(chunk) {
    if (!(#control in this)) throw illegalInvocation();
    let range;
    try {
      range = rangeOf(chunk);
    } catch {
      throw argumentError("ReadableByteStreamController", "enqueue", 1, "BufferSource");
    }
    const { buffer, offset, length } = range;
    if (length === 0) throw new TypeError("Cannot enqueue a zero-length ArrayBuffer.");
    if (!this.#control.canCloseOrEnqueue()) throw new TypeError("Unable to enqueue");
    const taken = ArrayBufferPrototypeTransferToFixedLength(buffer);
    this.#control.enqueueRange(taken, offset, length);
  }

  error(error = undefined) {
    if (!(#control in this)) throw illegalInvocation();
    this.#control.fail(error);
  }
}

defineInterface(ReadableStreamBYOBRequest, "ReadableStreamBYOBRequest");
defineInterface(ReadableByteStreamController, "ReadableByteStreamController");

function controlFromSource(stream, source, highWaterMark = 0, size = undefined) {
  if (size !== undefined) throw new RangeError("The strategy of a byte stream cannot have a size() function.");
  const control = new ByteControl(stream, highWaterMark, source.self, source.pull, source.cancel);
  control.autoAllocateChunkSize = source.autoAllocateChunkSize ?? DEFAULT_AUTO_ALLOCATE;
  control.argument = new ReadableByteStreamController(internal, control);
  control.start(source.start);
}

exports.ReadableByteStreamController = ReadableByteStreamController;
exports.ReadableStreamBYOBRequest = ReadableStreamBYOBRequest;
exports.controlFromSource = controlFromSource;
exports.invalidate = invalidate;
