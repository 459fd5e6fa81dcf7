// Streams that cross an RPC boundary: what counts as bytes, readers of every kind, why a stream may not be sent, and what
// either end learns when the other gives up.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

const encoder = new TextEncoder();
const CUT_OFF = { name: "Error", message: "ReadableStream received over RPC disconnected prematurely." };
const RELEASED = "ReadableStream sent over RPC was canceled or released by the remote execution context.";
const LOCKED = { name: "TypeError", message: "The ReadableStream has been locked to a reader." };
const DISTURBED = { name: "TypeError", message: "This ReadableStream is disturbed." };
const NOT_BYTES = "Draining read encountered a value that cannot be converted to bytes";

/** A stream of any chunks, as they are. */
function streamOf(...chunks) {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

/** `count` chunks of one byte. */
function bytes(count) {
  let sent = 0;
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      controller.enqueue(new Uint8Array([sent & 255]));
      if (++sent === count) controller.close();
    },
  });
}

/** Two chunks, then this error. */
function failing(error) {
  let sent = 0;
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      await scheduler.wait(1);
      if (sent++ < 2) controller.enqueue(encoder.encode("x"));
      else controller.error(error);
    },
  });
}

/** An endless stream, and a promise of what it is cancelled with. */
function endless() {
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

async function countBytes(stream) {
  let count = 0;
  for await (const chunk of stream) {
    assert.ok(chunk instanceof Uint8Array);
    count += chunk.length;
  }
  return count;
}

async function readWithOwnBuffer(stream) {
  const reader = stream.getReader({ mode: "byob" });
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(4));
    if (done) return text;
    assert.ok(value.length >= 1 && value.length <= 4);
    text += decoder.decode(value, { stream: true });
  }
}

export class Target extends WorkerEntrypoint {
  async text(stream) {
    return await new Response(stream).text();
  }
  async count(stream) {
    return await countBytes(stream);
  }
  async ownBuffer(stream) {
    return await readWithOwnBuffer(stream);
  }
  async tee(stream) {
    const [a, b] = stream.tee();
    return [await new Response(a).text(), await new Response(b).text()];
  }
  async echo(value) {
    return value;
  }
  async textChunks() {
    return streamOf("caf\u00e9 ", encoder.encode("bytes"));
  }
  async numberChunks() {
    return streamOf(42);
  }
  async bytes(count) {
    return bytes(count);
  }
  async failing() {
    return failing(new RangeError("out of data"));
  }
  async failingResponse() {
    return new Response(failing(new RangeError("out of data")));
  }
  async cancel(stream, reason) {
    await stream.cancel(reason);
  }
  async cancelBody(message) {
    await message.body.cancel(new RangeError("of no use"));
  }
  async readAndCancel(stream, reason) {
    const reader = stream.getReader();
    await reader.read();
    await reader.cancel(reason);
  }
  async write(writable, chunk) {
    const writer = writable.getWriter();
    await writer.write(chunk);
    await writer.close();
    return "written";
  }
  async writeUntilItFails(writable) {
    const writer = writable.getWriter();
    for (;;) {
      try {
        await writer.write(encoder.encode("x"));
      } catch (error) {
        return `${error.name}: ${error.message}`;
      }
    }
  }
  async abortStream(reason) {
    const { ctx } = this;
    let sent = 0;
    return new ReadableStream({
      type: "bytes",
      async pull(controller) {
        controller.enqueue(encoder.encode("x"));
        await scheduler.wait(1);
        if (sent++ === 3) ctx.abort(reason);
      },
    });
  }
  async fetch(request) {
    const { ctx } = this;
    const { pathname } = new URL(request.url);
    let sent = 0;
    return new Response(
      new ReadableStream({
        type: "bytes",
        async pull(controller) {
          controller.enqueue(encoder.encode("x"));
          await scheduler.wait(1);
          if (sent++ < 3) return;
          if (pathname === "/abort") ctx.abort(new RangeError("aborted"));
          else controller.error(new RangeError("failed"));
        },
      }),
    );
  }
}

export class Middle extends WorkerEntrypoint {
  async text(stream) {
    return await this.env.TARGET.text(stream);
  }
  async failing() {
    return await this.env.TARGET.failing();
  }
  async cancel(stream, reason) {
    await this.env.TARGET.cancel(stream, reason);
  }
}

export const stringsCrossAsUtf8 = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.text(streamOf("gr\u00fc", "\u00df", encoder.encode("e"))), "gr\u00fc\u00dfe");
    assert.strictEqual(await new Response(await env.TARGET.textChunks()).text(), "caf\u00e9 bytes");
    assert.strictEqual(await (await env.TARGET.echo(new Response(streamOf("in a body")))).text(), "in a body");
  },
};

export const emptyChunksAreLeftOut = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.count(streamOf("", new Uint8Array(0), "a")), 1);
  },
};

export const everyKindOfBytesCrosses = {
  async test(_controller, env) {
    const view = new DataView(new ArrayBuffer(5), 1, 2);
    const chunks = [new Uint8Array(3), new ArrayBuffer(3), new Uint16Array(2), view];
    assert.strictEqual(await env.TARGET.count(streamOf(...chunks)), 12);
  },
};

export const otherChunksCutTheStreamOff = {
  async test(_controller, env) {
    for (const chunk of [null, undefined, true, 4, {}, [1], Object("x"), Symbol("x"), new Blob(["x"])]) {
      await assert.rejects(env.TARGET.text(streamOf(chunk)), CUT_OFF);
    }
    await assert.rejects(new Response(await env.TARGET.numberChunks()).text(), CUT_OFF);
  },
};

export const sourceOfOtherChunksLearnsWhy = {
  async test(_controller, env) {
    let cancel;
    const cancelled = new Promise((resolve) => (cancel = resolve));
    const stream = new ReadableStream({ pull: (controller) => controller.enqueue(4), cancel });
    await assert.rejects(env.TARGET.text(stream), CUT_OFF);
    const reason = await cancelled;
    assert.ok(reason instanceof TypeError);
    assert.strictEqual(reason.message, NOT_BYTES);
  },
};

export const readIntoOwnBuffers = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.ownBuffer(streamOf("abcdefg", "hi")), "abcdefghi");
    assert.strictEqual(await readWithOwnBuffer(await env.TARGET.textChunks()), "caf\u00e9 bytes");
  },
};

export const readAtLeastSoMuch = {
  async test(_controller, env) {
    const reader = (await env.TARGET.bytes(6)).getReader({ mode: "byob" });
    const { done, value } = await reader.readAtLeast(4, new Uint8Array(8));
    assert.deepStrictEqual([done, value.length, value.buffer.byteLength], [false, 4, 8]);
    const other = (await env.TARGET.bytes(6)).getReader({ mode: "byob" });
    assert.strictEqual((await other.read(new Uint8Array(8), { min: 5 })).value.length, 5);
  },
};

export const teeOnEitherSide = {
  async test(_controller, env) {
    assert.deepStrictEqual([...(await env.TARGET.tee(new Response("both").body))], ["both", "both"]);
    const [here, there] = (await env.TARGET.bytes(10)).tee();
    assert.strictEqual(await countBytes(here), 10);
    assert.strictEqual(await env.TARGET.count(there), 10);
  },
};

export const transformedStreams = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.text(new Response("abc").body.pipeThrough(new TransformStream())), "abc");
    assert.strictEqual(await env.TARGET.text(new Response("abc").body.pipeThrough(new TextDecoderStream())), "abc");
  },
};

export const throughAThirdWorker = {
  async test(_controller, env) {
    assert.strictEqual(await env.MIDDLE.text(new Response("through").body), "through");
    await assert.rejects(new Response(await env.MIDDLE.failing()).text(), CUT_OFF);
    const { stream, cancelled } = endless();
    await env.MIDDLE.cancel(stream, new RangeError("enough"));
    assert.strictEqual((await cancelled).message, RELEASED);
  },
};

export const reasonOfACancelIsNotTransmitted = {
  async test(_controller, env) {
    for (const method of ["cancel", "readAndCancel"]) {
      for (const reason of [new RangeError("enough"), "text", undefined]) {
        const { stream, cancelled } = endless();
        await env.TARGET[method](stream, reason);
        const given = await cancelled;
        assert.deepStrictEqual([given.name, given.message], ["Error", RELEASED]);
      }
    }
    const { stream, cancelled } = endless();
    await env.TARGET.cancelBody(new Response(stream));
    assert.strictEqual((await cancelled).message, RELEASED);
  },
};

export const errorOfASourceIsNotTransmitted = {
  async test(_controller, env) {
    for (const error of [new TypeError("mine"), new DOMException("mine", "AbortError"), "text"]) {
      await assert.rejects(env.TARGET.text(failing(error)), CUT_OFF);
    }
    await assert.rejects((await env.TARGET.failingResponse()).text(), CUT_OFF);
    const errored = new ReadableStream({ start: (controller) => controller.error(new RangeError("at once")) });
    await assert.rejects(env.TARGET.text(errored), CUT_OFF);
  },
};

export const errorOfASinkIsTransmitted = {
  async test(_controller, env) {
    const failWith = (error) => {
      const write = () => {
        throw error;
      };
      return env.TARGET.writeUntilItFails(new WritableStream({ write }));
    };
    assert.strictEqual(await failWith(new TypeError("full")), "TypeError: full");
    assert.strictEqual(await failWith(new DOMException("full", "AbortError")), "AbortError: full");
  },
};

export const lockedStreamsAreRefused = {
  async test(_controller, env) {
    const transform = new TransformStream();
    transform.readable.getReader();
    await assert.rejects(env.TARGET.echo(transform.readable), LOCKED);
    const response = new Response("locked");
    response.body.getReader();
    await assert.rejects(env.TARGET.echo(response), LOCKED);
    const teed = new Response("teed").body;
    teed.tee();
    await assert.rejects(env.TARGET.echo(teed), LOCKED);
    for (const { writable } of [new IdentityTransformStream(), new TransformStream()]) {
      writable.getWriter();
      await assert.rejects(env.TARGET.echo(writable), {
        name: "TypeError",
        message: "This WritableStream is currently locked to a writer.",
      });
    }
  },
};

export const sentStreamsAreLocked = {
  async test(_controller, env) {
    const stream = new Response("once").body;
    assert.strictEqual(await env.TARGET.text(stream), "once");
    await assert.rejects(env.TARGET.text(stream), LOCKED);
    for (const message of [new Response("b"), new Request("http://x/", { method: "POST", body: "b" })]) {
      await env.TARGET.echo(message);
      assert.strictEqual(message.bodyUsed, true);
      await assert.rejects(env.TARGET.echo(message), LOCKED);
    }
  },
};

export const usedBodiesAreRefused = {
  async test(_controller, env) {
    for (const message of [new Response("b"), new Request("http://x/", { method: "POST", body: "b" })]) {
      await message.text();
      await assert.rejects(env.TARGET.echo(message), LOCKED);
    }
  },
};

export const restOfANativeStreamIsRefused = {
  async test(_controller, env) {
    const received = await env.TARGET.bytes(10);
    const reader = received.getReader();
    await reader.read();
    reader.releaseLock();
    await assert.rejects(env.TARGET.text(received), DISTURBED);
    const cancelled = new Response("body").body;
    await cancelled.cancel();
    await assert.rejects(env.TARGET.text(cancelled), DISTURBED);
    const untouched = new Response("body").body;
    untouched.getReader().releaseLock();
    assert.strictEqual(await env.TARGET.text(untouched), "body");
  },
};

export const restOfAGuestsStreamCrosses = {
  async test(_controller, env) {
    const stream = streamOf("first", "second");
    const reader = stream.getReader();
    await reader.read();
    reader.releaseLock();
    assert.strictEqual(await env.TARGET.text(stream), "second");
    const cancelled = new ReadableStream();
    await cancelled.cancel();
    assert.strictEqual(await env.TARGET.text(cancelled), "");
  },
};

export const streamsOfARefusedMessageHaveMoved = {
  async test(_controller, env) {
    const readable = new Response("x").body;
    const writable = new WritableStream();
    await assert.rejects(env.TARGET.echo({ readable, writable, refused: Symbol("mine") }), { name: "DataCloneError" });
    assert.deepStrictEqual([readable.locked, writable.locked], [true, true]);
  },
};

export const stringsMayBeWritten = {
  async test(_controller, env) {
    const { readable, writable } = new IdentityTransformStream();
    const text = new Response(readable).text();
    assert.strictEqual(await env.TARGET.write(writable, "as text"), "written");
    assert.strictEqual(await text, "as text");
  },
};

export const otherChunksMayNotBeWritten = {
  async test(_controller, env) {
    await assert.rejects(env.TARGET.write(new WritableStream(), 4), { name: "TypeError", message: /non-ArrayBuffer/ });
  },
};

export const writableThatIsClosedOrFailed = {
  async test(_controller, env) {
    const closed = new WritableStream();
    await closed.close();
    await assert.rejects(env.TARGET.write(closed, "x"), {
      name: "TypeError",
      message: "This WritableStream has been closed.",
    });
    const failed = new WritableStream();
    await failed.abort(new RangeError("over"));
    await assert.rejects(env.TARGET.write(failed, "x"), { name: "RangeError", message: "over" });
  },
};

export const writableRoundTrip = {
  async test(_controller, env) {
    const { readable, writable } = new IdentityTransformStream();
    const back = await env.TARGET.echo(writable);
    const text = new Response(readable).text();
    const writer = back.getWriter();
    await writer.write(encoder.encode("there and back"));
    await writer.close();
    assert.strictEqual(await text, "there and back");
  },
};

export const otherStreamObjectsAreRefused = {
  async test(_controller, env) {
    const refused = (name) => ({
      name: "DataCloneError",
      message: `Could not serialize object of type "${name}". This type does not support serialization.`,
    });
    await assert.rejects(env.TARGET.echo(new TransformStream()), refused("TransformStream"));
    await assert.rejects(env.TARGET.echo(new ReadableStream().getReader()), refused("ReadableStreamDefaultReader"));
  },
};

export const hundredThousandChunks = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.count(bytes(100_000)), 100_000);
    assert.strictEqual(await countBytes(await env.TARGET.bytes(100_000)), 100_000);
  },
};

export const abortedInvocationCutsItsStreamOff = {
  async test(_controller, env) {
    for (const reason of [new RangeError("why"), undefined]) {
      await assert.rejects(new Response(await env.TARGET.abortStream(reason)).text(), CUT_OFF);
    }
  },
};

export const bodyOfAnAnswerToFetchFailsWithItsError = {
  async test(_controller, env) {
    for (const [path, message] of [["abort", "aborted"], ["error", "failed"]]) {
      const response = await env.TARGET.fetch(`http://x/${path}`);
      await assert.rejects(response.text(), { name: "RangeError", message });
    }
  },
};
