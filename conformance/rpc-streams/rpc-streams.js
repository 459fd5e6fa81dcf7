// ReadableStreams and WritableStreams as RPC arguments and results.
import assert from "node:assert";
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

const encoder = new TextEncoder();

function textStream(...parts) {
  return new ReadableStream({
    type: "bytes",
    start(controller) {
      for (const part of parts) controller.enqueue(encoder.encode(part));
      controller.close();
    },
  });
}

class Recorder extends RpcTarget {
  #order = [];
  async record(n, stream) {
    this.#order.push(n);
    if (stream) await new Response(stream).text();
  }
  get seen() {
    return this.#order;
  }
}

export class Target extends WorkerEntrypoint {
  async readText(stream) {
    return await new Response(stream).text();
  }
  async readBoth(a, b) {
    return `${await new Response(a).text()}|${await new Response(b).text()}`;
  }
  async makeStream(text) {
    return textStream(text.slice(0, 2), text.slice(2));
  }
  async makeTwo() {
    return { first: textStream("one"), second: textStream("two"), label: "pair" };
  }
  async makeLateStream() {
    const { readable, writable } = new IdentityTransformStream();
    this.ctx.waitUntil(
      (async () => {
        const writer = writable.getWriter();
        await writer.write(encoder.encode("early "));
        await scheduler.wait(2);
        await writer.write(encoder.encode("late"));
        await writer.close();
      })(),
    );
    return readable;
  }
  async echo(stream) {
    return stream;
  }
  async writeInto(writable, ...parts) {
    const writer = writable.getWriter();
    for (const part of parts) await writer.write(encoder.encode(part));
    await writer.close();
    return "written";
  }
  async writeUntilItFails(writable) {
    const writer = writable.getWriter();
    try {
      for (let i = 0; i < 1000; i++) await writer.write(encoder.encode("x"));
      await writer.close();
      return "no failure";
    } catch (error) {
      return error.message;
    }
  }
  async recorder() {
    return new Recorder();
  }
  async readOnce(stream) {
    await stream.getReader().read();
  }
  async cancel(stream) {
    await stream.cancel("of no use");
  }
  async ignore(stream) {
    return stream instanceof ReadableStream;
  }
  async makeFailingStream() {
    return failingStream();
  }
  async makeHangingStream() {
    return new ReadableStream({ type: "bytes", pull: () => new Promise(() => {}) });
  }
  async abort(writable) {
    await writable.abort(new RangeError("my reason"));
  }
  async leave(writable) {
    await writable.getWriter().write(encoder.encode("x"));
  }
  async closedWith(writable) {
    const writer = writable.getWriter();
    try {
      for (;;) await writer.write(encoder.encode("x"));
    } catch {
      return await writer.closed.catch((error) => error.message);
    }
  }
  async close(writable) {
    try {
      await writable.close();
    } catch (error) {
      return `${error.name}: ${error.message}`;
    }
  }
}

function failingStream() {
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      await scheduler.wait(1);
      controller.error(new RangeError("out of data"));
    },
  });
}

/** An endless stream, and a promise of what it is cancelled with. */
function endlessStream() {
  let cancel;
  const cancelled = new Promise((resolve) => (cancel = resolve));
  const stream = new ReadableStream({
    type: "bytes",
    async pull(controller) {
      await scheduler.wait(1);
      controller.enqueue(new Uint8Array(10));
    },
    cancel,
  });
  return { stream, cancelled };
}

/** A writable stream, and a promise of what it is aborted with. */
function abortable() {
  let abort;
  const aborted = new Promise((resolve) => (abort = resolve));
  return { writable: new WritableStream({ abort }), aborted };
}

const RELEASED = "ReadableStream sent over RPC was canceled or released by the remote execution context.";
const TRUNCATED = { name: "Error", message: "ReadableStream received over RPC disconnected prematurely." };
const CONTEXT_ENDED =
  "WritableStream received over RPC was disconnected because the remote execution context has ended.";

export const readableFromIdentityTransform = {
  async test(_controller, env) {
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const done = (async () => {
      await writer.write(encoder.encode("foo, "));
      await writer.write(encoder.encode("bar"));
      await writer.close();
    })();
    assert.strictEqual(await env.TARGET.readText(readable), "foo, bar");
    await done;
  },
};

export const readableWithAJavaScriptSource = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.readText(textStream("a", "b", "c")), "abc");
  },
};

export const readableFromAResponseBody = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.readText(new Response("from a body").body), "from a body");
    assert.strictEqual(await env.TARGET.readText(new Blob(["from a blob"]).stream()), "from a blob");
  },
};

export const fixedLengthStreamAsArgument = {
  async test(_controller, env) {
    const { readable, writable } = new FixedLengthStream(6);
    const writer = writable.getWriter();
    const done = writer.write(encoder.encode("abcdef")).then(() => writer.close());
    assert.strictEqual(await env.TARGET.readText(readable), "abcdef");
    await done;
  },
};

export const emptyReadable = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.readText(textStream()), "");
  },
};

export const twoStreamsInOneCall = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.readBoth(textStream("left"), textStream("right")), "left|right");
  },
};

export const largeStreamArrivesWhole = {
  async test(_controller, env) {
    const chunk = "z".repeat(64 * 1024);
    const text = await env.TARGET.readText(textStream(...Array(32).fill(chunk)));
    assert.strictEqual(text.length, 2 * 1024 * 1024);
  },
};

export const returnedReadable = {
  async test(_controller, env) {
    const stream = await env.TARGET.makeStream("returned");
    assert.ok(stream instanceof ReadableStream);
    assert.strictEqual(await new Response(stream).text(), "returned");
  },
};

export const severalReturnedReadables = {
  async test(_controller, env) {
    const { first, second, label } = await env.TARGET.makeTwo();
    assert.strictEqual(label, "pair");
    assert.strictEqual(await new Response(second).text(), "two");
    assert.strictEqual(await new Response(first).text(), "one");
  },
};

export const dataProducedAfterTheMethodReturned = {
  async test(_controller, env) {
    assert.strictEqual(await new Response(await env.TARGET.makeLateStream()).text(), "early late");
  },
};

export const readableRoundTrip = {
  async test(_controller, env) {
    assert.strictEqual(
      await new Response(await env.TARGET.echo(textStream("there", " and back"))).text(),
      "there and back",
    );
  },
};

export const lockedReadableIsRefusedAndStaysUsable = {
  async test(_controller, env) {
    const stream = textStream("still here");
    const reader = stream.getReader();
    await assert.rejects(env.TARGET.readText(stream), {
      name: "TypeError",
      message: "The ReadableStream has been locked to a reader.",
    });
    const { value } = await reader.read();
    assert.strictEqual(new TextDecoder().decode(value), "still here");
  },
};

export const lockedWritableIsRefused = {
  async test(_controller, env) {
    for (const writable of [new IdentityTransformStream().writable, new WritableStream()]) {
      writable.getWriter();
      await assert.rejects(env.TARGET.writeInto(writable, "x"), {
        name: "TypeError",
        message: /WritableStream .*locked to a writer\.$/,
      });
    }
  },
};

export const sentReadableIsConsumed = {
  async test(_controller, env) {
    const stream = textStream("gone");
    await env.TARGET.readText(stream);
    assert.throws(() => stream.getReader(), { name: "TypeError" });
  },
};

export const writableWithAJavaScriptSink = {
  async test(_controller, env) {
    let text = "";
    let closed = false;
    const writable = new WritableStream({
      write(chunk) {
        text += new TextDecoder().decode(chunk);
      },
      close() {
        closed = true;
      },
    });
    assert.strictEqual(await env.TARGET.writeInto(writable, "one ", "two"), "written");
    assert.strictEqual(text, "one two");
    assert.strictEqual(closed, true);
  },
};

export const writableOfAnIdentityTransform = {
  async test(_controller, env) {
    const { readable, writable } = new IdentityTransformStream();
    const call = env.TARGET.writeInto(writable, "through ", "the pipe");
    assert.strictEqual(await new Response(readable).text(), "through the pipe");
    assert.strictEqual(await call, "written");
  },
};

export const failingSinkRejectsTheRemoteWriter = {
  async test(_controller, env) {
    let writes = 0;
    const writable = new WritableStream({
      write() {
        writes += 1;
        throw new RangeError("sink is full");
      },
    });
    assert.strictEqual(await env.TARGET.writeUntilItFails(writable), "sink is full");
    assert.strictEqual(writes, 1);
  },
};

export const streamsInsideHttpTypes = {
  async test(_controller, env) {
    const response = await env.TARGET.echo(new Response(textStream("body ", "stream")));
    assert.strictEqual(await response.text(), "body stream");
  },
};

export const callsWithStreamsStayInOrder = {
  async test(_controller, env) {
    using recorder = await env.TARGET.recorder();
    const calls = [
      recorder.record(1),
      recorder.record(2, textStream("s")),
      recorder.record(3),
      recorder.record(4, textStream("t")),
    ];
    await Promise.all(calls);
    assert.deepStrictEqual(await recorder.seen, [1, 2, 3, 4]);
  },
};

export const objectStreamsAreRefused = {
  async test(_controller, env) {
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue({ not: "bytes" });
        controller.close();
      },
    });
    await assert.rejects(env.TARGET.readText(stream));
  },
};

export const sourceIsCancelledWhenItsReaderIsGone = {
  async test(_controller, env) {
    for (const method of ["cancel", "readOnce", "ignore"]) {
      const { stream, cancelled } = endlessStream();
      await env.TARGET[method](stream);
      assert.strictEqual((await cancelled).message, RELEASED, method);
    }
  },
};

export const failingSourceCutsTheStreamOff = {
  async test(_controller, env) {
    await assert.rejects(env.TARGET.readText(failingStream()), TRUNCATED);
    await assert.rejects(new Response(await env.TARGET.makeFailingStream()).text(), TRUNCATED);
  },
};

export const hangingSourceCutsTheStreamOff = {
  async test(_controller, env) {
    const stream = await env.TARGET.makeHangingStream();
    await assert.rejects(stream.getReader().read(), TRUNCATED);
  },
};

export const abortReasonIsNotTransmitted = {
  async test(_controller, env) {
    const { writable, aborted } = abortable();
    await env.TARGET.abort(writable);
    assert.strictEqual((await aborted).message, CONTEXT_ENDED);
  },
};

export const writableOfAContextThatEndsIsAborted = {
  async test(_controller, env) {
    const { writable, aborted } = abortable();
    await env.TARGET.leave(writable);
    assert.strictEqual((await aborted).message, CONTEXT_ENDED);
  },
};

export const writerLearnsThatTheReadableIsCancelled = {
  async test(_controller, env) {
    for (const [given, expected] of [[new RangeError("enough"), "enough"], [undefined, "Stream was cancelled."]]) {
      const { readable, writable } = new IdentityTransformStream();
      const closed = env.TARGET.closedWith(writable);
      const reader = readable.getReader();
      await reader.read();
      await reader.cancel(given);
      assert.strictEqual(await closed, expected);
    }
  },
};

export const failingCloseRejectsTheRemoteClose = {
  async test(_controller, env) {
    const writable = new WritableStream({
      close() {
        throw new RangeError("not yet");
      },
    });
    assert.strictEqual(await env.TARGET.close(writable), "RangeError: not yet");
  },
};

/** Bytes that a producer is ahead of its reader by. Far under what it could make in the meantime. */
const MOST_AHEAD = 1 << 20;

export const readableHoldsItsSourceBack = {
  async test(_controller, env) {
    let produced = 0;
    const stream = new ReadableStream({
      type: "bytes",
      pull(controller) {
        produced += 16_384;
        controller.enqueue(new Uint8Array(16_384));
      },
    });
    const reader = (await env.TARGET.echo(stream)).getReader();
    let consumed = 0;
    for (let turn = 0; turn < 50; turn++) {
      consumed += (await reader.read()).value.length;
      await scheduler.wait(1);
      assert.ok(produced - consumed <= MOST_AHEAD, `${produced - consumed} bytes ahead`);
    }
    await reader.cancel();
  },
};

export const writableHoldsItsWriterBack = {
  async test(_controller, env) {
    const { readable, writable } = new IdentityTransformStream();
    const parts = Array(200).fill("x".repeat(16_384));
    let ended = false;
    const call = env.TARGET.writeInto(writable, ...parts).then(() => (ended = true));
    const reader = readable.getReader();
    await reader.read();
    await scheduler.wait(20);
    assert.strictEqual(ended, false);
    for (;;) if ((await reader.read()).done) break;
    await call;
  },
};
