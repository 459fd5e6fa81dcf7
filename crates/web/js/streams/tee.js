"use strict";
// tee(): two streams that both give what one stream gives. https://streams.spec.whatwg.org/#abstract-opdef-readablestreamtee

const {
  ArrayBufferIsView,
  ArrayBufferPrototypeGetByteLength,
  PromisePrototypeThen,
  Uint8Array,
} = primordials;
const { Deferred, internal, resolved } = require("web/streams/promises");
const streams = require("web/streams/readable");
const { ReadableState, ReadableStream, acquireReader, cancel, closedPromise, readDefault, releaseReader } = streams;

class Branch {
  tee;
  other = undefined;
  control = undefined;
  canceled = false;
  reason = undefined;
  readAgain = false;
  stream = new ReadableState();
  constructor(tee) {
    this.tee = tee;
  }
  pull() {
    return this.tee.pull(this);
  }
  cancel(reason) {
    return this.tee.cancel(this, reason);
  }
}

// It is the read request of its own reads, too.
class Tee {
  stream;
  reader;
  reading = false;
  first = new Branch(this);
  second = new Branch(this);
  canceled = new Deferred();
  copyForSecond = false;

  constructor(stream) {
    this.stream = stream;
    this.first.other = this.second;
    this.second.other = this.first;
    this.setReader(acquireReader(stream, false));
  }

  setReader(reader) {
    this.reader = reader;
    PromisePrototypeThen(closedPromise(reader), undefined, (error) => {
      // A reader that has been exchanged for one of the other kind says nothing of the stream.
      if (reader !== this.reader) return;
      this.first.control.fail(error);
      this.second.control.fail(error);
      this.bothEnded();
    });
  }

  bothEnded() {
    if (!this.first.canceled || !this.second.canceled) this.canceled.resolve();
  }

  cancel(branch, reason) {
    branch.canceled = true;
    branch.reason = reason;
    if (branch.other.canceled) this.cancelStream([this.first.reason, this.second.reason]);
    return this.canceled.promise;
  }

  cancelStream(reason) {
    PromisePrototypeThen(cancel(this.stream, reason), this.canceled.resolve, this.canceled.reject);
  }

  // The chunk could not be copied for the other branch.
  failBoth(error) {
    this.first.control.fail(error);
    this.second.control.fail(error);
    this.cancelStream(error);
  }

  readDone() {
    this.reading = false;
    if (this.first.readAgain) this.pull(this.first);
    else if (this.second.readAgain) this.pull(this.second);
  }

  error() {
    this.reading = false;
  }
}

// The constructors of both kinds are spelled out for the reason that ByteControl gives.
class DefaultTee extends Tee {
  constructor(stream) {
    super(stream);
  }

  pull(branch) {
    if (this.reading) {
      branch.readAgain = true;
      return resolved;
    }
    this.reading = true;
    readDefault(this.reader, this);
    return resolved;
  }

  // In a microtask of its own, so that the error of a stream that fails right after a chunk comes first, as the standard says.
  chunk(value) {
    PromisePrototypeThen(resolved, () => {
      this.first.readAgain = false;
      this.second.readAgain = false;
      let copy = value;
      try {
        if (this.copyForSecond && !this.second.canceled) copy = copyChunk(value);
      } catch (error) {
        this.failBoth(error);
        return;
      }
      if (!this.first.canceled) this.first.control.enqueue(value);
      if (!this.second.canceled) this.second.control.enqueue(copy);
      this.readDone();
    });
  }

  close() {
    this.reading = false;
    if (!this.first.canceled) this.first.control.close();
    if (!this.second.canceled) this.second.control.close();
    this.bothEnded();
  }
}

// Bodies consist of bytes: what else comes through is refused by whoever reads the clone.
function copyChunk(chunk) {
  const { copyBytes, rangeOf } = require("web/streams/byte-control");
  if (!ArrayBufferIsView(chunk)) {
    try {
      ArrayBufferPrototypeGetByteLength(chunk);
    } catch {
      return chunk;
    }
  }
  const { buffer, offset, length } = rangeOf(chunk);
  return copyBytes(buffer, offset, length);
}

class ByteTee extends Tee {
  constructor(stream) {
    super(stream);
  }

  pull(branch) {
    if (this.reading) {
      branch.readAgain = true;
      return resolved;
    }
    this.reading = true;
    const wantsBuffer = branch.control.pullIntos.length > 0;
    if (wantsBuffer !== this.reader.byob) {
      releaseReader(this.reader);
      this.setReader(acquireReader(this.stream, wantsBuffer));
    }
    if (!wantsBuffer) {
      readDefault(this.reader, this);
      return resolved;
    }
    const { stream } = this;
    const request = new BufferRead(this, branch);
    stream.disturbed = true;
    if (stream.state === "errored") request.error(stream.error);
    else stream.control.pullInto(branch.control.headView(), 1, request);
    return resolved;
  }

  chunk(value) {
    PromisePrototypeThen(resolved, () => {
      const { first, second } = this;
      first.readAgain = false;
      second.readAgain = false;
      let copy = value;
      if (!first.canceled && !second.canceled) {
        try {
          copy = new Uint8Array(value);
        } catch (error) {
          this.failBoth(error);
          return;
        }
      }
      if (!first.canceled) first.control.enqueue(value);
      if (!second.canceled) second.control.enqueue(copy);
      this.readDone();
    });
  }

  close() {
    this.reading = false;
    const { first, second } = this;
    if (!first.canceled) first.control.close();
    if (!second.canceled) second.control.close();
    first.control.settlePullIntos();
    second.control.settlePullIntos();
    this.bothEnded();
  }
}

// A read into the buffer that the reader of one branch has given.
class BufferRead {
  tee;
  branch;
  constructor(tee, branch) {
    this.tee = tee;
    this.branch = branch;
  }

  chunk(view) {
    PromisePrototypeThen(resolved, () => {
      const { branch, tee } = this;
      const { other } = branch;
      branch.readAgain = false;
      other.readAgain = false;
      if (!other.canceled) {
        let copy;
        try {
          copy = new Uint8Array(view);
        } catch (error) {
          tee.failBoth(error);
          return;
        }
        if (!branch.canceled) branch.control.respondWithNewView(view);
        other.control.enqueue(copy);
      } else if (!branch.canceled) {
        branch.control.respondWithNewView(view);
      }
      tee.readDone();
    });
  }

  close(view) {
    const { branch, tee } = this;
    const { other } = branch;
    tee.reading = false;
    if (!branch.canceled) branch.control.close();
    if (!other.canceled) other.control.close();
    if (view !== undefined) {
      if (!branch.canceled) branch.control.respondWithNewView(view);
      if (!other.canceled) other.control.settlePullIntos();
    }
    tee.bothEnded();
  }

  error() {
    this.tee.reading = false;
  }
}

function branchStream(branch, Control, highWaterMark) {
  const { stream, tee } = branch;
  branch.control = new Control(stream, highWaterMark, branch, branch.pull, branch.cancel);
  stream.length = tee.stream.disturbed ? undefined : tee.stream.length;
  branch.control.startWhen(resolved);
  return new ReadableStream(internal, stream);
}

// For a clone of a body the second stream gets bytes of its own.
function tee(stream, forClone) {
  const { isBytes } = stream.control;
  const Control = isBytes
    ? require("web/streams/byte-control").ByteControl
    : require("web/streams/readable-default").DefaultControl;
  const running = isBytes ? new ByteTee(stream) : new DefaultTee(stream);
  running.copyForSecond = forClone;
  const mark = isBytes ? 0 : 1;
  return [branchStream(running.first, Control, mark), branchStream(running.second, Control, mark)];
}

exports.tee = tee;
