// ctx.passThroughOnException(): where the handler of a request fails, the request goes to where the Worker's own go.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

const CHILD = `
  const handlers = {
    throws() { throw new Error("thrown"); },
    async rejects() { await null; throw new Error("thrown"); },
    async notAResponse() { return "text"; },
    hangs: () => new Promise(() => {}),
    async readSome(request) {
      const reader = request.body.getReader();
      await reader.read();
      throw new Error("thrown");
    },
    async read(request) { await request.text(); throw new Error("thrown"); },
    answers: () => new Response("of the handler"),
    bodyThrows: () => new Response(new ReadableStream({ pull() { throw new Error("thrown"); } })),
    gateThrows() { throw new Error("thrown"); },
  };
  export default {
    fetch(request, env, ctx) {
      const { pathname, search } = new URL(request.url);
      if (search !== "?no") ctx.passThroughOnException();
      return handlers[pathname.slice(1)](request);
    },
  };
`;

const passed = new Map();
const traces = new Map();

export class Gate extends WorkerEntrypoint {
  async fetch(request) {
    const { method, url, headers } = request;
    const body = await request.text();
    const length = headers.get("content-length");
    // The reference says no length in any case.
    assert.ok(length === null || Number(length) === body.length);
    passed.set(this.ctx.props.key, { method, url, own: headers.get("x-own"), body });
    if (url.endsWith("/gateThrows")) throw new Error("in the gate");
    return new Response("of the gate", { status: 203, headers: { "x-gate": "1" } });
  }
}

export class Tail extends WorkerEntrypoint {
  tail([{ outcome, event, exceptions }]) {
    traces.set(this.ctx.props.key, { outcome, status: event.response?.status, thrown: exceptions[0]?.message });
  }
}

async function ask(path, init, env, ctx) {
  const props = { key: `${path} ${init?.method}` };
  const worker = env.LOADER.load({
    compatibilityDate: "2026-07-01",
    mainModule: "main.js",
    modules: { "main.js": CHILD },
    globalOutbound: ctx.exports.Gate({ props }),
    tails: [ctx.exports.Tail({ props })],
  });
  const answer = {};
  try {
    const response = await worker.getEntrypoint().fetch(`http://child.example/${path}`, init);
    Object.assign(answer, { status: response.status, gate: response.headers.get("x-gate"), text: await response.text() });
  } catch (error) {
    answer.error = error.message;
  }
  for (let turn = 0; turn < 5000 && !traces.has(props.key); turn++) await scheduler.wait(1);
  return { answer, passed: passed.get(props.key), trace: traces.get(props.key) };
}

function passes(path, init, expected) {
  return {
    async test(_controller, env, ctx) {
      const got = await ask(path, init, env, ctx);
      assert.deepStrictEqual(got.answer, { status: 203, gate: "1", text: init?.method === "HEAD" ? "" : "of the gate" });
      const request = { method: init?.method ?? "GET", url: `http://child.example/${path}`, own: null, body: "" };
      assert.deepStrictEqual(got.passed, { ...request, ...expected });
      assert.strictEqual(got.trace.outcome, "exception");
      assert.strictEqual(got.trace.status, undefined);
      assert.match(got.trace.thrown, /thrown|did not resolve to 'Response'|had hung/);
    },
  };
}

export const thrown = passes("throws?a=b", { headers: { "x-own": "kept" } }, { own: "kept" });
export const rejected = passes("rejects");
export const notAResponse = passes("notAResponse");
export const hangs = passes("hangs");
export const head = passes("throws", { method: "HEAD" });
export const bodyGoesWithIt = passes("throws", { method: "POST", body: "body" }, { body: "body" });
export const bodyThatWasReadInPart = passes("readSome", { method: "POST", body: "body" });
export const bodyThatWasRead = passes("read", { method: "POST", body: "body" });

export const onlyWhereAskedFor = {
  async test(_controller, env, ctx) {
    const { answer, passed, trace } = await ask("throws?no", {}, env, ctx);
    assert.deepStrictEqual({ answer, passed }, { answer: { error: "thrown" }, passed: undefined });
    assert.deepStrictEqual(trace, { outcome: "exception", status: undefined, thrown: "thrown" });
  },
};

export const notOfAHandlerThatAnswers = {
  async test(_controller, env, ctx) {
    const { answer, passed, trace } = await ask("answers", {}, env, ctx);
    assert.deepStrictEqual(answer, { status: 200, gate: null, text: "of the handler" });
    assert.deepStrictEqual([passed, trace.outcome], [undefined, "ok"]);
  },
};

export const notOfABodyThatFails = {
  async test(_controller, env, ctx) {
    const { answer, passed } = await ask("bodyThrows", {}, env, ctx);
    assert.deepStrictEqual(answer, { error: "thrown" });
    assert.strictEqual(passed, undefined);
  },
};

export const whereThatFailsToo = {
  async test(_controller, env, ctx) {
    const { answer } = await ask("gateThrows", {}, env, ctx);
    assert.deepStrictEqual(answer, { status: 500, gate: null, text: "" });
  },
};

export const itIsAMethodOfTheContext = {
  test(_controller, _env, ctx) {
    assert.strictEqual(ctx.passThroughOnException(), undefined);
    const { passThroughOnException } = ctx;
    assert.throws(() => passThroughOnException(), { name: "TypeError", message: /Illegal invocation/ });
  },
};
