"use strict";
// Conversion of the dictionaries that guests hand to stream constructors and methods: underlying source, sink, transformer,
// queuing strategy, pipe options. Members are read in the order of Web IDL. https://webidl.spec.whatwg.org/#js-dictionary

const { MathTrunc, NumberMAX_SAFE_INTEGER, ObjectFreeze, RangeError, TypeError } = primordials;

const empty = ObjectFreeze({ __proto__: null });

// undefined and null stand for the empty dictionary.
function dictionary(value, type) {
  if (value === undefined || value === null) return empty;
  if (typeof value !== "object" && typeof value !== "function") {
    throw new TypeError(`Incorrect type: the provided value is not of type '${type}'.`);
  }
  return value;
}

// An optional callback function.
function callbackMember(dict, name, type) {
  const value = dict[name];
  if (value !== undefined && typeof value !== "function") {
    throw new TypeError(
      `Incorrect type for the '${name}' field on '${type}': the provided value is not of type 'function'.`,
    );
  }
  return value;
}

// [EnforceRange] unsigned long long.
function enforceRange(value, what) {
  const number = MathTrunc(+value);
  if (!(number >= 0 && number <= NumberMAX_SAFE_INTEGER)) {
    throw new TypeError(`${what} must be a non-negative integer below 2^53.`);
  }
  return number;
}

// The marks and sizes of the stream that is being made; `defaultMark` is in the unit of the strategy.
function queuingStrategy(value, defaultMark) {
  const dict = dictionary(value, "QueuingStrategy");
  let highWaterMark = dict.highWaterMark;
  if (highWaterMark !== undefined) highWaterMark = +highWaterMark;
  const size = callbackMember(dict, "size", "QueuingStrategy");
  if (highWaterMark !== undefined && !(highWaterMark >= 0)) {
    throw new RangeError(`highWaterMark must be a non-negative number, not ${highWaterMark}.`);
  }
  return { __proto__: null, highWaterMark: highWaterMark ?? defaultMark, size };
}

function underlyingSource(value) {
  const dict = dictionary(value, "UnderlyingSource");
  let autoAllocateChunkSize = dict.autoAllocateChunkSize;
  if (autoAllocateChunkSize !== undefined) {
    autoAllocateChunkSize = enforceRange(autoAllocateChunkSize, "The autoAllocateChunkSize option");
  }
  const cancel = callbackMember(dict, "cancel", "UnderlyingSource");
  const pull = callbackMember(dict, "pull", "UnderlyingSource");
  const start = callbackMember(dict, "start", "UnderlyingSource");
  let type = dict.type;
  if (type !== undefined) {
    type = `${type}`;
    if (type !== "bytes") throw new TypeError(`"${type}" is not a valid type of ReadableStream.`);
  }
  if (autoAllocateChunkSize === 0) throw new TypeError("The autoAllocateChunkSize option cannot be zero.");
  return { __proto__: null, self: value, autoAllocateChunkSize, cancel, pull, start, isBytes: type !== undefined };
}

function underlyingSink(value) {
  const dict = dictionary(value, "UnderlyingSink");
  const abort = callbackMember(dict, "abort", "UnderlyingSink");
  const close = callbackMember(dict, "close", "UnderlyingSink");
  const start = callbackMember(dict, "start", "UnderlyingSink");
  if (dict.type !== undefined) throw new RangeError("The type of an UnderlyingSink must be undefined.");
  const write = callbackMember(dict, "write", "UnderlyingSink");
  return { __proto__: null, self: value, abort, close, start, write };
}

function transformer(value) {
  const dict = dictionary(value, "Transformer");
  const cancel = callbackMember(dict, "cancel", "Transformer");
  const flush = callbackMember(dict, "flush", "Transformer");
  const { readableType } = dict;
  const start = callbackMember(dict, "start", "Transformer");
  const transform = callbackMember(dict, "transform", "Transformer");
  const { writableType } = dict;
  if (readableType !== undefined) throw new RangeError("transformer.readableType must be undefined.");
  if (writableType !== undefined) throw new RangeError("transformer.writableType must be undefined.");
  return { __proto__: null, self: value, cancel, flush, start, transform };
}

function pipeOptions(value) {
  const dict = dictionary(value, "PipeToOptions");
  const preventAbort = !!dict.preventAbort;
  const preventCancel = !!dict.preventCancel;
  const preventClose = !!dict.preventClose;
  const { signal } = dict;
  // The abort classes are not loaded for a pipe that has no signal.
  if (signal !== undefined && !require("web/abort").isAbortSignal(signal)) {
    throw new TypeError(
      "Incorrect type for the 'signal' field on 'PipeToOptions': the provided value is not of type 'AbortSignal'.",
    );
  }
  return { __proto__: null, preventAbort, preventCancel, preventClose, signal };
}

exports.dictionary = dictionary;
exports.enforceRange = enforceRange;
exports.pipeOptions = pipeOptions;
exports.queuingStrategy = queuingStrategy;
exports.transformer = transformer;
exports.underlyingSink = underlyingSink;
exports.underlyingSource = underlyingSource;
