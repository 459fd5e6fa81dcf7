"use strict";
// Streams of this isolate on their way to a reader elsewhere, each pumped into a pipe for as long as its context is open.
//
// natives.pipeNew(length or NaN) -> [sink, body]; natives.pipeWrite(sink, bytes) -> undefined | false | Promise<boolean>;
// natives.pipeClose(sink), natives.pipeAbort(sink, error or undefined); the runtime calls exports.readerGone(sink)

const { PromisePrototypeThen, PromiseResolve, SafeMap } = primordials;
const { hold, onDrop } = require("web/context");
const { startDrain, streamLength } = require("web/streams/readable");

// Context -> sink -> { drain, whenGone }, while somebody reads.
const pumps = new SafeMap();
onDrop((context) => pumps.delete(context));

// -> a handle of the native body with what the stream gives. `whenGone` and `whenFailed` as for detachStream of web/body.
exports.start = (stream, whenGone, whenFailed) => {
  const length = streamLength(stream);
  const pipe = natives.pipeNew(length === undefined ? NaN : length);
  const sink = pipe[0];
  const drain = startDrain(stream, (chunk) => {
    const written = natives.pipeWrite(sink, chunk);
    if (written === undefined) return undefined;
    return PromisePrototypeThen(PromiseResolve(written), (taken) => {
      if (taken === false) readerGone(sink);
    });
  });
  const context = natives.currentContext();
  let inContext = pumps.get(context);
  if (inContext === undefined) {
    inContext = new SafeMap();
    pumps.set(context, inContext);
  }
  inContext.set(sink, { __proto__: null, drain, whenGone });
  // The invocation may have answered long before its stream has ended.
  const release = hold();
  PromisePrototypeThen(
    drain.outcome.promise,
    () => {
      inContext.delete(sink);
      natives.pipeClose(sink);
      release();
    },
    (error) => {
      if (inContext.delete(sink)) whenFailed(error);
      natives.pipeAbort(sink, error);
      release();
    },
  );
  return pipe[1];
};

function readerGone(sink) {
  const inContext = pumps.get(natives.currentContext());
  const pump = inContext === undefined ? undefined : inContext.get(sink);
  if (pump === undefined) return;
  inContext.delete(sink);
  // What the source does about it may take longer than its context is kept for the stream.
  const cancel = (reason) => {
    const release = hold();
    PromisePrototypeThen(pump.drain.stop(reason), release, release);
  };
  const { whenGone } = pump;
  if (whenGone === undefined) cancel(undefined);
  else whenGone(cancel);
}

exports.readerGone = readerGone;
