// Deliberate differences: `load({ code })` for a Worker of one module, and `fetch()` directly on the Worker's stub.
// workerd knows neither; see ../differences.jsonc.
import assert from "node:assert";

const CODE = `
  let calls = 0;
  export default {
    async fetch(request, env) {
      return new Response(request.method + " " + new URL(request.url).pathname + " " + (env.NAME ?? "no name"));
    },
    async count() { return ++calls; },
    async look() { return [typeof process, new Error().stack.includes("worker.js")]; },
  };
  export const named = { async hello(name, env, ctx) { return (ctx.props.word ?? "hello") + " " + name; } };
`;
const ONE_MODULE = {
  compatibilityDate: "2026-03-01",
  mainModule: "main.js",
  modules: { "main.js": CODE },
};

/** The program of the documentation, as it stands. */
export const fromTheDocumentation = {
  async fetch(request, env) {
    const code = CODE;
    const worker = await env.LOADER.load({ code });
    return worker.fetch(request);
  },
};

export const programOfTheDocumentation = {
  async test(_controller, _env, ctx) {
    const response = await ctx.exports.fromTheDocumentation.fetch("http://p.example/path", { method: "PUT" });
    assert.strictEqual(await response.text(), "PUT /path no name");
  },
};

export const codeWithoutAwait = {
  async test(_controller, env) {
    const worker = env.LOADER.load({ code: CODE });
    assert.strictEqual(await worker.getEntrypoint().count(0), 1);
    assert.strictEqual(await worker.getEntrypoint().count(0), 2);
    assert.strictEqual(await worker.getEntrypoint("named", { props: { word: "hi" } }).hello("x"), "hi x");
  },
};

export const parentsDateAndFlagsHold = {
  async test(_controller, env) {
    assert.deepStrictEqual(await env.LOADER.load({ code: CODE }).getEntrypoint().look(0), ["object", true]);
  },
};

export const ownDateAndFlagsStandBesideCode = {
  async test(_controller, env) {
    const without = env.LOADER.load({ code: CODE, compatibilityFlags: [] });
    assert.strictEqual((await without.getEntrypoint().look(0))[0], "undefined");
    const older = env.LOADER.load({
      code: CODE,
      compatibilityDate: "2025-01-01",
      compatibilityFlags: ["nodejs_compat"],
    });
    assert.strictEqual((await older.getEntrypoint().look(0))[0], "object");
    assert.throws(() => env.LOADER.load({ code: CODE, compatibilityDate: "never" }), {
      message: "Invalid compatibility date: never",
    });
  },
};

export const envAndOutboundStandBesideCode = {
  async test(_controller, env) {
    const source = `export default {
      async name(arg, env) { return env.NAME; },
      async tryFetch(url) { try { await fetch(url); return "reached"; } catch (e) { return e.message; } },
    };`;
    const stub = env.LOADER.load({ code: source, env: { NAME: "given" }, globalOutbound: null }).getEntrypoint();
    assert.strictEqual(await stub.name(0), "given");
    assert.match(await stub.tryFetch("http://x.example/"), /^This worker is not permitted to access the internet/);
  },
};

export const codeInTheValueOfACallback = {
  async test(_controller, env) {
    let calls = 0;
    const get = () =>
      env.LOADER.get("short", async () => {
        calls += 1;
        return { code: CODE, env: { NAME: "cached" } };
      });
    assert.strictEqual(await get().getEntrypoint().count(0), 1);
    assert.strictEqual(await get().getEntrypoint().count(0), 2);
    assert.strictEqual(calls, 1);
    assert.strictEqual(await (await get().fetch("http://x.example/p")).text(), "GET /p cached");
  },
};

export const codeMayBeTypeScript = {
  async test(_controller, env) {
    const code = `
      interface Point { x: number; y: number }
      const sum = (p: Point): number => p.x + p.y;
      export default { async sum(p: Point) { return sum(p as Point); } } satisfies Record<string, unknown>;
    `;
    assert.strictEqual(await env.LOADER.load({ code }).getEntrypoint().sum({ x: 1, y: 2 }), 3);
  },
};

export const errorsNameWorkerJs = {
  async test(_controller, env) {
    const worker = env.LOADER.load({ code: "\nexport default { async fail() { oops; } };\nconst = 5;" });
    await assert.rejects(worker.getEntrypoint().fail(0), /worker\.js/);
  },
};

export const fetchOnTheStub = {
  async test(_controller, env) {
    const worker = env.LOADER.load({ ...ONE_MODULE, env: { NAME: "full form" } });
    const response = await worker.fetch(new Request("http://f.example/a", { method: "POST", body: "b" }));
    assert.strictEqual(await response.text(), "POST /a full form");
    assert.strictEqual(await (await worker.fetch("http://f.example/b")).text(), "GET /b full form");
    assert.strictEqual(
      await (await worker.fetch("http://f.example/c", { method: "DELETE" })).text(),
      "DELETE /c full form",
    );
  },
};

export const fetchOnTheStubOfGet = {
  async test(_controller, env) {
    const worker = env.LOADER.get("fetch", () => ONE_MODULE);
    assert.strictEqual(await (await worker.fetch("http://f.example/g")).text(), "GET /g no name");
  },
};

export const fetchOnTheStubOfAFailedLoad = {
  async test(_controller, env) {
    const worker = env.LOADER.load({ ...ONE_MODULE, modules: { "main.js": "throw new Error('cannot start');" } });
    await assert.rejects(worker.fetch("http://f.example/"), { message: /cannot start/ });
  },
};
