// `getEntrypoint(name, { props })` on a dynamic Worker, and `ctx.exports` inside it.
import assert from "node:assert";
import { ServiceStub, WorkerEntrypoint } from "cloudflare:workers";

const CHILD = `
  import { WorkerEntrypoint, env as importedEnv, exports as importedExports } from "cloudflare:workers";

  export default {
    async greet(name, env, ctx) { return "Hello, " + name; },
    async props(arg, env, ctx) { return ctx.props; },
    async fetch() { return new Response("default"); },
  };

  export const alternate = {
    async greet(name, env, ctx) { return ctx.props.greeting + ", " + name; },
    async fetch(request, env, ctx) { return Response.json(ctx.props); },
  };

  export class ClassEntrypoint extends WorkerEntrypoint {
    add(a, b, c = 100) { return a + b + c; }
    async props() { return this.ctx.props; }
    async callService(name) { return await this.ctx.props.service.hello(name); }
    async callBoth(name) { return [await this.ctx.props.a.hello(name), await this.ctx.props.b.hello(name)]; }
    async viaExports(n) { return await this.ctx.exports.ClassEntrypoint.add(n, 1); }
    async viaExportsWithProps(value) { return await this.ctx.exports.ClassEntrypoint({ props: { value } }).props(); }
    async viaImportedExports(name) { return await importedExports.default.greet(name); }
    async leak() { return this.ctx.exports.ClassEntrypoint({ props: {} }); }
  }
`;

const load = (env) =>
  env.LOADER.load({ compatibilityDate: "2026-03-01", mainModule: "main.js", modules: { "main.js": CHILD } });

const NOT_TRANSFERABLE =
  "Entrypoints to dynamically-loaded workers cannot be transferred to other Workers, because the system does not know " +
  "how to reload this Worker from scratch. Instead, have the parent Worker expose an entrypoint which constructs the " +
  "dynamic worker and forwards to it.";

export class Parent extends WorkerEntrypoint {
  async hello(name) {
    return `${this.ctx.props.word ?? "no word"} ${name}`;
  }
}

export const defaultEntrypoint = {
  async test(_controller, env) {
    const worker = load(env);
    for (const stub of [
      worker.getEntrypoint(),
      worker.getEntrypoint(undefined),
      worker.getEntrypoint(null),
      worker.getEntrypoint("default"),
    ]) {
      assert.strictEqual(await stub.greet("Alice"), "Hello, Alice");
    }
  },
};

export const namedObjectWithProps = {
  async test(_controller, env) {
    const stub = load(env).getEntrypoint("alternate", { props: { greeting: "Welcome" } });
    assert.strictEqual(await stub.greet("Bob"), "Welcome, Bob");
    assert.deepStrictEqual(await (await stub.fetch("http://c.example/")).json(), { greeting: "Welcome" });
  },
};

export const propsOfTwoStubsAreSeparate = {
  async test(_controller, env) {
    const worker = load(env);
    const one = worker.getEntrypoint("alternate", { props: { greeting: "One" } });
    const two = worker.getEntrypoint("alternate", { props: { greeting: "Two" } });
    assert.strictEqual(await two.greet("x"), "Two, x");
    assert.strictEqual(await one.greet("x"), "One, x");
  },
};

export const propsOnTheDefaultEntrypoint = {
  async test(_controller, env) {
    const worker = load(env);
    assert.deepStrictEqual(await worker.getEntrypoint(null, { props: { n: 1 } }).props(0), { n: 1 });
    assert.deepStrictEqual(await worker.getEntrypoint().props(0), {});
  },
};

export const classEntrypointSeesItsProps = {
  async test(_controller, env) {
    const stub = load(env).getEntrypoint("ClassEntrypoint", { props: { a: [1, new Date(0)] } });
    assert.strictEqual(await stub.add(1, 2), 103);
    assert.strictEqual(await stub.add(1, 2, 3), 6);
    assert.deepStrictEqual(await stub.props(), { a: [1, new Date(0)] });
  },
};

export const entrypointStubIsNotThenable = {
  async test(_controller, env) {
    const stub = load(env).getEntrypoint();
    assert.ok(stub instanceof ServiceStub);
    assert.strictEqual(await stub, stub);
    const awaited = await load(env).getEntrypoint("alternate", { props: { greeting: "Awaited" } });
    assert.strictEqual(await awaited.greet("x"), "Awaited, x");
  },
};

export const propsMayHoldServiceStubs = {
  async test(_controller, env, ctx) {
    const service = ctx.exports.Parent({ props: { word: "from props" } });
    const stub = load(env).getEntrypoint("ClassEntrypoint", { props: { service } });
    assert.strictEqual(await stub.callService("Carol"), "from props Carol");
  },
};

export const twoServiceStubsInPropsAreDistinct = {
  async test(_controller, env, ctx) {
    const props = {
      a: ctx.exports.Parent({ props: { word: "A" } }),
      b: ctx.exports.Parent({ props: { word: "B" } }),
    };
    const stub = load(env).getEntrypoint("ClassEntrypoint", { props });
    assert.deepStrictEqual(await stub.callBoth("x"), ["A x", "B x"]);
  },
};

export const dynamicEntrypointInPropsIsRefused = {
  async test(_controller, env) {
    const worker = load(env);
    const entrypoint = worker.getEntrypoint();
    assert.throws(() => worker.getEntrypoint("ClassEntrypoint", { props: { entrypoint } }), {
      name: "DataCloneError",
      message: NOT_TRANSFERABLE,
    });
  },
};

export const uncalledLoopbackInPropsIsRefused = {
  async test(_controller, env, ctx) {
    assert.throws(() => load(env).getEntrypoint("ClassEntrypoint", { props: { service: ctx.exports.Parent } }), {
      name: "DataCloneError",
      message: 'Could not serialize object of type "LoopbackServiceStub". This type does not support serialization.',
    });
  },
};

export const functionInPropsIsRefused = {
  async test(_controller, env) {
    assert.throws(() => load(env).getEntrypoint("ClassEntrypoint", { props: { f: () => 1 } }), {
      name: "DataCloneError",
    });
  },
};

export const unknownEntrypoint = {
  async test(_controller, env) {
    const stub = load(env).getEntrypoint("Missing");
    await assert.rejects(stub.anything(1), { message: "Worker has no such entrypoint: Missing" });
    await assert.rejects(stub.fetch("http://c.example/"), { message: "Worker has no such entrypoint: Missing" });
  },
};

export const missingFetchHandler = {
  async test(_controller, env) {
    await assert.rejects(load(env).getEntrypoint("ClassEntrypoint").fetch("http://c.example/"), {
      message: "Handler does not export a fetch() function.",
    });
  },
};

export const unknownMethod = {
  async test(_controller, env) {
    await assert.rejects(load(env).getEntrypoint("ClassEntrypoint").missing(), {
      name: "TypeError",
      message: 'The RPC receiver does not implement the method "missing".',
    });
  },
};

export const exportsInsideTheChild = {
  async test(_controller, env) {
    const stub = load(env).getEntrypoint("ClassEntrypoint");
    assert.strictEqual(await stub.viaExports(1), 102);
    assert.deepStrictEqual(await stub.viaExportsWithProps("v"), { value: "v" });
    assert.strictEqual(await stub.viaImportedExports("Dan"), "Hello, Dan");
  },
};

export const exportsNeedTheFlagBeforeTheirDate = {
  async test(_controller, env) {
    const source = `export default { async look(arg, env, ctx) { return typeof ctx.exports; },
      async greet(name) { return "hi " + name; }, async self(name, env, ctx) { return await ctx.exports.default.greet(name); } };`;
    const code = { compatibilityDate: "2025-01-01", mainModule: "main.js", modules: { "main.js": source } };
    assert.strictEqual(await env.LOADER.load(code).getEntrypoint().look(0), "undefined");
    const flagged = env.LOADER.load({ ...code, compatibilityFlags: ["enable_ctx_exports"] }).getEntrypoint();
    assert.strictEqual(await flagged.self("x"), "hi x");
  },
};

export const childCannotHandOutItsOwnEntrypoints = {
  async test(_controller, env) {
    await assert.rejects(load(env).getEntrypoint("ClassEntrypoint").leak(), {
      name: "DataCloneError",
      message: NOT_TRANSFERABLE,
    });
  },
};

export const dynamicEntrypointAsRpcArgumentIsRefused = {
  async test(_controller, env) {
    const worker = load(env);
    await assert.rejects(worker.getEntrypoint("ClassEntrypoint").add(worker.getEntrypoint(), 1), {
      name: "DataCloneError",
      message: NOT_TRANSFERABLE,
    });
  },
};

export const classWithoutExtendsAsEntrypoint = {
  async test(_controller, env) {
    const source = `export class Plain { async fetch() { return new Response("x"); } } export default {};`;
    const worker = env.LOADER.load({
      compatibilityDate: "2026-03-01",
      mainModule: "m.js",
      modules: { "m.js": source },
    });
    await assert.rejects(worker.getEntrypoint("Plain").fetch("http://c.example/"));
    await assert.rejects(worker.getEntrypoint().fetch("http://c.example/"), {
      message: "Handler does not export a fetch() function.",
    });
  },
};

export const failuresThatAreNotOfTheCodeAreNotRemote = {
  async test(_controller, env) {
    const stub = load(env).getEntrypoint("Missing");
    for (const call of [() => stub.anything(1), () => stub.fetch("http://c.example/"), async () => await stub.property]) {
      const error = await call().catch((reason) => reason);
      assert.strictEqual(error.message, "Worker has no such entrypoint: Missing");
      assert.strictEqual(error.remote, undefined);
    }
  },
};

export const endsOfTheContextAreRemoteOverFetch = {
  async test(_controller, env) {
    const source = `
      import { WorkerEntrypoint } from "cloudflare:workers";
      export default class extends WorkerEntrypoint {
        async abort() { this.ctx.abort(new RangeError("aborted")); await scheduler.wait(10); }
        hang() { return new Promise(() => {}); }
        fetch(request) { return this[new URL(request.url).pathname.slice(1)](); }
      }`;
    const code = { compatibilityDate: "2026-03-01", mainModule: "main.js", modules: { "main.js": source } };
    for (const [method, message] of [
      ["abort", /^aborted$/],
      ["hang", /your Worker's code had hung/],
    ]) {
      const stub = env.LOADER.load(code).getEntrypoint();
      const overFetch = await stub.fetch(`http://c.example/${method}`).catch((reason) => reason);
      assert.match(overFetch.message, message);
      assert.strictEqual(overFetch.remote, true);
      const overRpc = await env.LOADER.load(code).getEntrypoint()[method]().catch((reason) => reason);
      assert.match(overRpc.message, message);
      assert.strictEqual(overRpc.remote, undefined);
    }
  },
};

export const uncalledLoopbackAsRpcArgumentIsRefused = {
  async test(_controller, env, ctx) {
    const stub = load(env).getEntrypoint("ClassEntrypoint");
    await assert.rejects(stub.add(ctx.exports.Parent, 1), {
      name: "DataCloneError",
      message: 'Could not serialize object of type "LoopbackServiceStub". This type does not support serialization.',
    });
  },
};
