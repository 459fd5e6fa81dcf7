// Streams as far as bodies need them: ReadableStream with every kind of source, readers, tee, pipes, transforms.
import assert from "node:assert";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

export const startAndRead = {
  async test() {
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue("a");
        controller.enqueue("b");
        controller.close();
      },
    });
    const reader = stream.getReader();
    assert.strictEqual(stream.locked, true);
    assert.deepStrictEqual({ ...(await reader.read()) }, { value: "a", done: false });
    assert.deepStrictEqual({ ...(await reader.read()) }, { value: "b", done: false });
    assert.deepStrictEqual({ ...(await reader.read()) }, { value: undefined, done: true });
    await reader.closed;
    reader.releaseLock();
    assert.strictEqual(stream.locked, false);
  },
};

export const pullIsCalledOnDemand = {
  async test() {
    let pulls = 0;
    const stream = new ReadableStream(
      {
        pull(controller) {
          pulls += 1;
          controller.enqueue(pulls);
          if (pulls === 3) controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    await scheduler.wait(1);
    assert.strictEqual(pulls, 0);
    assert.deepStrictEqual(await collect(stream), [1, 2, 3]);
  },
};

export const asynchronousPull = {
  async test() {
    let n = 0;
    const stream = new ReadableStream({
      async pull(controller) {
        await scheduler.wait(1);
        if (n === 3) controller.close();
        else controller.enqueue(encoder.encode(String(n++)));
      },
    });
    assert.strictEqual(await new Response(stream).text(), "012");
  },
};

export const errorsReachTheReader = {
  async test() {
    const failing = new ReadableStream({
      pull() {
        throw new RangeError("source failed");
      },
    });
    await assert.rejects(failing.getReader().read(), { name: "RangeError", message: "source failed" });
    const errored = new ReadableStream({ start: (controller) => controller.error(new TypeError("errored")) });
    await assert.rejects(new Response(errored).text(), { name: "TypeError", message: "errored" });
  },
};

export const cancelReachesTheSource = {
  async test() {
    let reason;
    const stream = new ReadableStream({ cancel: (r) => void (reason = r) });
    await stream.cancel("enough");
    assert.strictEqual(reason, "enough");
    const inLoop = new ReadableStream({
      pull: (controller) => controller.enqueue("x"),
      cancel: () => void (reason = "loop left"),
    });
    for await (const chunk of inLoop) {
      assert.strictEqual(chunk, "x");
      break;
    }
    assert.strictEqual(reason, "loop left");
  },
};

export const lockedStreamsAreProtected = {
  async test() {
    const stream = new ReadableStream();
    stream.getReader();
    assert.throws(() => stream.getReader(), { name: "TypeError" });
    await assert.rejects(stream.cancel(), { name: "TypeError" });
  },
};

export const tee = {
  async test() {
    const [a, b] = new Response("both branches").body.tee();
    assert.strictEqual(await new Response(a).text(), "both branches");
    assert.strictEqual(await new Response(b).text(), "both branches");
  },
};

export const readableFromIterables = {
  async test() {
    assert.deepStrictEqual(await collect(ReadableStream.from(["a", "b"])), ["a", "b"]);
    async function* generate() {
      yield 1;
      await scheduler.wait(1);
      yield 2;
    }
    assert.deepStrictEqual(await collect(ReadableStream.from(generate())), [1, 2]);
  },
};

export const byteStreamWithByobReader = {
  async test() {
    const stream = new ReadableStream({
      type: "bytes",
      start(controller) {
        controller.enqueue(new Uint8Array([1, 2, 3]));
        controller.close();
      },
    });
    const reader = stream.getReader({ mode: "byob" });
    const first = await reader.read(new Uint8Array(2));
    assert.deepStrictEqual([...first.value], [1, 2]);
    const second = await reader.read(new Uint8Array(2));
    assert.deepStrictEqual([...second.value], [3]);
    assert.strictEqual((await reader.read(new Uint8Array(2))).done, true);
  },
};

export const writableStream = {
  async test() {
    const log = [];
    const writable = new WritableStream({
      start: () => void log.push("start"),
      write: (chunk) => void log.push(chunk),
      close: () => void log.push("close"),
    });
    const writer = writable.getWriter();
    await writer.ready;
    await writer.write("a");
    await writer.write("b");
    await writer.close();
    assert.deepStrictEqual(log, ["start", "a", "b", "close"]);
    await assert.rejects(writer.write("late"), { name: "TypeError" });
  },
};

export const writableErrorsAndAbort = {
  async test() {
    const failing = new WritableStream({
      write() {
        throw new RangeError("sink failed");
      },
    }).getWriter();
    await assert.rejects(failing.write("x"), { message: "sink failed" });
    failing.closed.catch(() => {});
    let reason;
    const aborted = new WritableStream({ abort: (r) => void (reason = r) });
    await aborted.abort("stop");
    assert.strictEqual(reason, "stop");
  },
};

export const transformStream = {
  async test() {
    const upper = new TransformStream({
      transform(chunk, controller) {
        controller.enqueue(chunk.toUpperCase());
      },
      flush(controller) {
        controller.enqueue("!");
      },
    });
    assert.deepStrictEqual(await collect(ReadableStream.from(["a", "b"]).pipeThrough(upper)), ["A", "B", "!"]);
  },
};

export const pipeTo = {
  async test() {
    const log = [];
    await ReadableStream.from([1, 2]).pipeTo(
      new WritableStream({
        write: (chunk) => void log.push(chunk),
        close: () => void log.push("closed"),
      }),
    );
    assert.deepStrictEqual(log, [1, 2, "closed"]);
    let open = true;
    await ReadableStream.from([1]).pipeTo(new WritableStream({ close: () => void (open = false) }), {
      preventClose: true,
    });
    assert.strictEqual(open, true);
  },
};

export const pipeToWithFailures = {
  async test() {
    const source = new ReadableStream({ start: (controller) => controller.error(new RangeError("broken source")) });
    await assert.rejects(source.pipeTo(new WritableStream()), { message: "broken source" });
    const sink = new WritableStream({ write: () => Promise.reject(new RangeError("broken sink")) });
    await assert.rejects(ReadableStream.from(["x", "y"]).pipeTo(sink), { message: "broken sink" });
  },
};

export const textStreams = {
  async test() {
    const bytes = ReadableStream.from(["h\u00e9", "llo"]).pipeThrough(new TextEncoderStream());
    assert.strictEqual(await new Response(bytes).text(), "h\u00e9llo");
    const parts = ReadableStream.from([new Uint8Array([0xe2, 0x82]), new Uint8Array([0xac])]);
    assert.strictEqual((await collect(parts.pipeThrough(new TextDecoderStream()))).join(""), "\u20ac");
  },
};

export const compressionRoundTrip = {
  async test() {
    for (const format of ["gzip", "deflate", "deflate-raw"]) {
      const packed = new Response("squeeze ".repeat(1000)).body.pipeThrough(new CompressionStream(format));
      const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
      assert.ok(bytes.length < 1000);
      const unpacked = new Response(bytes).body.pipeThrough(new DecompressionStream(format));
      assert.strictEqual(await new Response(unpacked).text(), "squeeze ".repeat(1000));
    }
  },
};

export const identityTransformStream = {
  async test() {
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const writing = writer.write(encoder.encode("identity")).then(() => writer.close());
    assert.strictEqual(await new Response(readable).text(), "identity");
    await writing;
  },
};

export const fixedLengthStreamChecksItsLength = {
  async test() {
    const { readable, writable } = new FixedLengthStream(3);
    const writer = writable.getWriter();
    const reading = new Response(readable).text();
    reading.catch(() => {});
    await assert.rejects(
      async () => {
        await writer.write(encoder.encode("too long"));
        await writer.close();
      },
      { name: "TypeError" },
    );
  },
};

export const queuingStrategies = {
  async test() {
    assert.strictEqual(new CountQueuingStrategy({ highWaterMark: 5 }).size(), 1);
    assert.strictEqual(new ByteLengthQueuingStrategy({ highWaterMark: 5 }).size(new Uint8Array(7)), 7);
    const stream = new ReadableStream(
      {
        start(controller) {
          assert.strictEqual(controller.desiredSize, 3);
          controller.enqueue("x");
          assert.strictEqual(controller.desiredSize, 2);
          controller.close();
        },
      },
      new CountQueuingStrategy({ highWaterMark: 3 }),
    );
    assert.deepStrictEqual(await collect(stream), ["x"]);
  },
};

export const bodyIsAByteStream = {
  async test() {
    const { body } = new Response("text body");
    assert.ok(body instanceof ReadableStream);
    const { value } = await body.getReader().read();
    assert.ok(value instanceof Uint8Array);
    assert.strictEqual(decoder.decode(value), "text body");
  },
};

export const lockedBodyCannotBeRead = {
  async test() {
    const response = new Response("x");
    response.body.getReader();
    await assert.rejects(response.text(), { name: "TypeError" });
    assert.throws(() => new Response(response.body), { name: "TypeError" });
  },
};
