// Requests that their sender gives up, and bodies that nobody reads any more: what the sender gets, what the callee notices.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

// What a child notices it logs: its logs come with the trace, when its invocation has ended.
const CHILD = `
  const encoder = new TextEncoder();
  const endless = (wait) => new ReadableStream({
    async pull(controller) {
      await scheduler.wait(wait);
      controller.enqueue(encoder.encode("chunk"));
    },
    cancel(reason) { console.log("cancelled", String(reason)); },
  });
  const writing = async (writable) => {
    const writer = writable.getWriter();
    try {
      for (;;) await writer.write(encoder.encode("chunk"));
    } catch (error) {
      console.log("write failed", error.name, error.message);
    }
  };
  let produced = 0;
  const handlers = {
    async "/slow"() {
      await scheduler.wait(1e6);
      return new Response("late");
    },
    async "/promised"(request, ctx) {
      ctx.waitUntil(scheduler.wait(600).then(() => console.log("waited")));
      await scheduler.wait(500);
      console.log("went on");
      return new Response("late");
    },
    "/endless": () => new Response(endless(1)),
    "/waiting": () => new Response(endless(1e6)),
    "/identity"(request, ctx) {
      const { readable, writable } = new IdentityTransformStream();
      ctx.waitUntil(writing(writable));
      return new Response(readable);
    },
    "/failing": () => new Response(new ReadableStream({ pull() { throw new RangeError("out of data"); } })),
    "/hanging": () => new Response(new ReadableStream({
      start(controller) { controller.enqueue(encoder.encode("beginning")); },
      pull: () => new Promise(() => {}),
    })),
    "/producer": () => new Response(new ReadableStream({
      pull(controller) {
        produced += 16_384;
        controller.enqueue(new Uint8Array(16_384));
      },
    })),
    "/produced": () => new Response(String(produced)),
    "/text": () => new Response("text"),
    "/unread": () => new Response("answered"),
  };
  export default {
    fetch(request, env, ctx) {
      request.signal.addEventListener("abort", () => {
        const { reason } = request.signal;
        console.log("signal", reason.name, reason.message, reason instanceof DOMException);
      });
      return handlers[new URL(request.url).pathname](request, ctx);
    },
  };
`;

const traces = new Map();

export class Tail extends WorkerEntrypoint {
  tail([{ event, logs, exceptions }]) {
    if (event.request.url.endsWith("/text")) return;
    const lines = logs.map(({ message }) => message.join(" "));
    traces.set(this.ctx.props.key, { lines, exceptions: exceptions.map(({ message }) => message) });
  }
}

async function traceOf(key) {
  for (let turn = 0; turn < 5000 && !traces.has(key); turn++) await scheduler.wait(1);
  return traces.get(key);
}

function load(env, ctx, key, flags = []) {
  const worker = env.LOADER.load({
    compatibilityDate: "2026-03-01",
    compatibilityFlags: flags,
    mainModule: "main.js",
    modules: { "main.js": CHILD },
    tails: [ctx.exports.Tail({ props: { key } })],
  });
  return worker.getEntrypoint();
}

const SIGNAL = "signal AbortError The client has disconnected true";
const WITH_SIGNAL = ["enable_request_signal"];
const reason = new RangeError("not needed any more");
const REASON = { name: "RangeError", message: "not needed any more" };

async function abortSlow(child, path) {
  // Has it started? An abort before that leaves no trace.
  await child.fetch("http://child/text");
  const controller = new AbortController();
  const answer = child.fetch(`http://child${path}`, { signal: controller.signal });
  await scheduler.wait(50);
  controller.abort(reason);
  await assert.rejects(answer, REASON);
}

async function abortBody(child, path, read) {
  const controller = new AbortController();
  const response = await child.fetch(`http://child${path}`, { signal: controller.signal });
  const reading = read(response);
  await scheduler.wait(20);
  controller.abort(reason);
  await assert.rejects(reading, REASON);
}

async function readToEnd(response) {
  for await (const _ of response.body) {
    // Only the end matters.
  }
}

async function cancelBody(child, path) {
  const response = await child.fetch(`http://child${path}`);
  await response.body.cancel("of no use");
}

export const anAbortedRequestEndsItsHandler = {
  async test(_controller, env, ctx) {
    await abortSlow(load(env, ctx, "slow"), "/slow");
    assert.deepStrictEqual((await traceOf("slow")).lines, []);
  },
};

export const theSignalOfTheRequestAborts = {
  async test(_controller, env, ctx) {
    await abortSlow(load(env, ctx, "signal", WITH_SIGNAL), "/slow");
    assert.deepStrictEqual((await traceOf("signal")).lines, [SIGNAL]);
  },
};

export const waitUntilKeepsTheHandler = {
  async test(_controller, env, ctx) {
    await abortSlow(load(env, ctx, "promised", WITH_SIGNAL), "/promised");
    assert.deepStrictEqual((await traceOf("promised")).lines, [SIGNAL, "went on", "waited"]);
  },
};

export const anAbortedSignalRejectsAtOnce = {
  async test(_controller, env, ctx) {
    const child = load(env, ctx, "never");
    const answer = child.fetch("http://child/text", { signal: AbortSignal.abort(reason) });
    await assert.rejects(answer, REASON);
  },
};

export const aTimeoutSignalRejects = {
  async test(_controller, env, ctx) {
    const child = load(env, ctx, "timeout");
    await child.fetch("http://child/text");
    const answer = child.fetch("http://child/slow", { signal: AbortSignal.timeout(50) });
    await assert.rejects(answer, { name: "TimeoutError" });
    assert.deepStrictEqual((await traceOf("timeout")).lines, []);
  },
};

export const anAbortEndsTheReadingOfABody = {
  async test(_controller, env, ctx) {
    await abortBody(load(env, ctx, "whole"), "/endless", (response) => response.text());
    assert.deepStrictEqual((await traceOf("whole")).lines, ["cancelled undefined"]);
    await abortBody(load(env, ctx, "stream"), "/endless", readToEnd);
    assert.deepStrictEqual((await traceOf("stream")).lines, ["cancelled undefined"]);
  },
};

export const anAbortBeforeTheReadingOfABody = {
  async test(_controller, env, ctx) {
    for (const read of [(response) => response.text(), readToEnd]) {
      const controller = new AbortController();
      const child = load(env, ctx, "late");
      const response = await child.fetch("http://child/text", { signal: controller.signal });
      controller.abort(reason);
      await assert.rejects(read(response), REASON);
    }
  },
};

export const aSourceThatWaitsIsCancelledToo = {
  async test(_controller, env, ctx) {
    await cancelBody(load(env, ctx, "waiting", WITH_SIGNAL), "/waiting");
    assert.deepStrictEqual((await traceOf("waiting")).lines, ["cancelled undefined", SIGNAL]);
  },
};

export const aWriterLearnsThatItsReaderIsGone = {
  async test(_controller, env, ctx) {
    await cancelBody(load(env, ctx, "identity"), "/identity");
    assert.deepStrictEqual((await traceOf("identity")).lines, ["write failed Error Network connection lost."]);
  },
};

export const aReaderGetsTheErrorOfTheSource = {
  async test(_controller, env, ctx) {
    const response = await load(env, ctx, "failing").fetch("http://child/failing");
    await assert.rejects(response.text(), { name: "RangeError", message: "out of data", remote: true });
  },
};

export const aBodyThatHangsFailsItsReader = {
  async test(_controller, env, ctx) {
    const hung = /^The Workers runtime canceled this request because it detected that your Worker's code had hung/;
    const response = await load(env, ctx, "hanging").fetch("http://child/hanging");
    await assert.rejects(response.text(), { name: "Error", message: hung });
    assert.match((await traceOf("hanging")).exceptions[0], hung);
  },
};

export const aRequestBodyThatNobodyReadsIsCancelled = {
  async test(_controller, env, ctx) {
    let cancelled;
    const body = new ReadableStream({
      type: "bytes",
      async pull(controller) {
        await scheduler.wait(1);
        controller.enqueue(new Uint8Array(10));
      },
      cancel(given) {
        cancelled = given;
      },
    });
    const child = load(env, ctx, "unread");
    const response = await child.fetch("http://child/unread", { method: "POST", body });
    assert.strictEqual(await response.text(), "answered");
    for (let turn = 0; turn < 5000 && cancelled === undefined; turn++) await scheduler.wait(1);
    assert.strictEqual(cancelled.message, "Network connection lost.");
  },
};

export const aFastProducerIsHeldBack = {
  async test(_controller, env, ctx) {
    const child = load(env, ctx, "producer");
    const reader = (await child.fetch("http://child/producer")).body.getReader();
    let consumed = 0;
    for (let turn = 0; turn < 50; turn++) {
      consumed += (await reader.read()).value.length;
      const ahead = Number(await (await child.fetch("http://child/produced")).text()) - consumed;
      assert.ok(ahead <= 1 << 20, `${ahead} bytes ahead`);
    }
    await reader.cancel();
  },
};
