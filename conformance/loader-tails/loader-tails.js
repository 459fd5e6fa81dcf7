// `tails`: entrypoints that receive the trace of each invocation of a dynamic Worker.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

const CHILD = `
  export default {
    async fetch(request) {
      if (request.url.endsWith("/fail")) throw new RangeError("traced failure");
      console.log("a message", { with: "data" }, 5);
      console.error("an error line");
      return new Response("child body", { status: 201 });
    },
    async method(arg) { console.log("in method", arg); return arg; },
  };
`;

/** Trace events by the props of the tail that received them; items are copied, since they are not serialisable. */
const received = new Map();

export class Tail extends WorkerEntrypoint {
  async tail(events) {
    const { key } = this.ctx.props;
    received.set(key, [...(received.get(key) ?? []), JSON.parse(JSON.stringify(events))]);
  }
}

async function tailEvents(key, count = 1) {
  for (let turn = 0; turn < 5000 && (received.get(key)?.length ?? 0) < count; turn++) await scheduler.wait(1);
  return received.get(key) ?? [];
}

const load = (env, tails) =>
  env.LOADER.load({
    compatibilityDate: "2026-03-01",
    mainModule: "main.js",
    modules: { "main.js": CHILD },
    tails,
  }).getEntrypoint();

export const fetchIsTraced = {
  async test(_controller, env, ctx) {
    const stub = load(env, [ctx.exports.Tail({ props: { key: "fetch" } })]);
    const response = await stub.fetch("http://child.example/traced");
    assert.strictEqual(response.status, 201);
    assert.strictEqual(await response.text(), "child body");
    const [events] = await tailEvents("fetch");
    assert.strictEqual(events.length, 1);
    const [item] = events;
    assert.deepStrictEqual(item.logs[0].message, ["a message", { with: "data" }, 5]);
    assert.strictEqual(item.logs[0].level, "log");
    assert.deepStrictEqual(item.logs[1].message, ["an error line"]);
    assert.strictEqual(item.logs[1].level, "error");
    assert.strictEqual(item.outcome, "ok");
    assert.deepStrictEqual(item.exceptions, []);
    assert.strictEqual(item.event.request.url, "http://child.example/traced");
    assert.strictEqual(item.event.request.method, "GET");
    assert.strictEqual(item.event.response.status, 201);
  },
};

export const rpcIsTraced = {
  async test(_controller, env, ctx) {
    const stub = load(env, [ctx.exports.Tail({ props: { key: "rpc" } })]);
    assert.strictEqual(await stub.method("argument"), "argument");
    const [[item]] = await tailEvents("rpc");
    assert.deepStrictEqual(item.logs[0].message, ["in method", "argument"]);
    assert.strictEqual(item.event.rpcMethod, "method");
  },
};

export const severalTailsEachGetTheEvents = {
  async test(_controller, env, ctx) {
    const tails = ["one", "two"].map((key) => ctx.exports.Tail({ props: { key } }));
    await (await load(env, tails).fetch("http://child.example/")).text();
    for (const key of ["one", "two"]) {
      const [[item]] = await tailEvents(key);
      assert.strictEqual(item.logs[0].message[0], "a message");
    }
  },
};

export const everyInvocationIsOneEvent = {
  async test(_controller, env, ctx) {
    const stub = load(env, [ctx.exports.Tail({ props: { key: "many" } })]);
    for (const n of [1, 2, 3]) await stub.method(n);
    const batches = await tailEvents("many", 3);
    assert.deepStrictEqual(
      batches.map((events) => events.length),
      [1, 1, 1],
    );
    assert.deepStrictEqual(batches.map(([item]) => item.logs[0].message[1]).sort(), [1, 2, 3]);
  },
};

export const exceptionsAreTraced = {
  async test(_controller, env, ctx) {
    const stub = load(env, [ctx.exports.Tail({ props: { key: "failure" } })]);
    await assert.rejects(stub.fetch("http://child.example/fail"), { name: "RangeError", message: "traced failure" });
    const [[item]] = await tailEvents("failure");
    assert.strictEqual(item.outcome, "exception");
    assert.strictEqual(item.exceptions[0].name, "RangeError");
    assert.strictEqual(item.exceptions[0].message, "traced failure");
  },
};

export const emptyListOfTails = {
  async test(_controller, env) {
    assert.strictEqual(await load(env, []).method(1), 1);
  },
};

export const dynamicEntrypointAsTailIsRefused = {
  async test(_controller, env) {
    const other = load(env, []);
    assert.throws(() => load(env, [other]), { name: "DataCloneError" });
  },
};

export const streamingTailsAreExperimental = {
  async test(_controller, env, ctx) {
    assert.throws(
      () =>
        env.LOADER.load({
          compatibilityDate: "2026-03-01",
          mainModule: "main.js",
          modules: { "main.js": CHILD },
          streamingTails: [ctx.exports.Tail({ props: { key: "streaming" } })],
        }),
      {
        message:
          "Streaming tail workers are experimental. You must pass the option 'allowExperimental: true' to the worker " +
          "loader to use them",
      },
    );
  },
};
