// What a Worker may export, and how its exports are reached: through service bindings, through ctx.exports and
// through the `exports` of "cloudflare:workers".
import assert from "node:assert";
import * as workers from "cloudflare:workers";
import { env as importedEnv, exports as importedExports, WorkerEntrypoint } from "cloudflare:workers";

const envAtTopLevel = importedEnv.GREETING;
let moduleCounter = 0;

export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname === "/props") return Response.json(ctx.props ?? null);
    return new Response(`${request.method} ${pathname} ${env.GREETING}`, { headers: { "x-from": "default" } });
  },

  async whoAmI(arg, env) {
    return `default ${arg} ${env.GREETING}`;
  },

  async test() {
    assert.ok(true, "the default export can carry a test as well as a fetch handler");
  },
};

export const objectEntrypoint = {
  async fetch(request) {
    return new Response(`object got ${await request.text()}`);
  },
  async describe(arg, env, ctx) {
    return { arg, greeting: env.GREETING, props: ctx.props };
  },
};

export class ClassEntrypoint extends WorkerEntrypoint {
  calls = 0;

  async fetch(request) {
    return new Response(`class ${new URL(request.url).pathname} ${JSON.stringify(this.ctx.props)}`);
  }
  async count() {
    return ++this.calls;
  }
  async countInModule() {
    return ++moduleCounter;
  }
  async describe() {
    return { greeting: this.env.GREETING, props: this.ctx.props };
  }
}

export class NoFetch extends WorkerEntrypoint {
  async ping() {
    return "pong";
  }
}

export const varsAreInEnv = {
  async test(_controller, env) {
    assert.strictEqual(env.GREETING, "hello");
    assert.deepStrictEqual(env.SETTINGS, { retries: 3, names: ["a", "b"] });
  },
};

export const envIsImportable = {
  async test(_controller, env) {
    assert.strictEqual(importedEnv.GREETING, "hello");
    assert.strictEqual(importedEnv.SETTINGS, env.SETTINGS);
    assert.strictEqual(envAtTopLevel, "hello");
  },
};

export const workersModuleHasTheClasses = {
  async test() {
    for (const name of [
      "WorkerEntrypoint",
      "DurableObject",
      "RpcTarget",
      "RpcStub",
      "RpcPromise",
      "RpcProperty",
      "ServiceStub",
    ]) {
      assert.strictEqual(typeof workers[name], "function", name);
    }
    assert.strictEqual(typeof workers.waitUntil, "function");
    assert.strictEqual(typeof workers.withEnv, "function");
  },
};

export const withEnvReplacesImportedEnv = {
  async test() {
    const seen = workers.withEnv({ GREETING: "moin" }, () => importedEnv.GREETING);
    assert.strictEqual(seen, "moin");
    assert.strictEqual(importedEnv.GREETING, "hello");
  },
};

export const fetchReachesDefaultExport = {
  async test(_controller, env) {
    const response = await env.SELF.fetch("http://any.example/path", { method: "PUT", body: "x" });
    assert.strictEqual(response.status, 200);
    assert.strictEqual(response.headers.get("x-from"), "default");
    assert.strictEqual(await response.text(), "PUT /path hello");
  },
};

export const fetchReachesNamedObject = {
  async test(_controller, env) {
    const response = await env.OBJECT.fetch(
      new Request("http://any.example/", { method: "POST", body: "body text" }),
    );
    assert.strictEqual(await response.text(), "object got body text");
  },
};

export const fetchReachesNamedClass = {
  async test(_controller, env) {
    const response = await env.CLASS.fetch("http://any.example/p");
    assert.strictEqual(await response.text(), "class /p {}");
  },
};

export const rpcReachesDefaultObject = {
  async test(_controller, env) {
    assert.strictEqual(await env.SELF.whoAmI("x"), "default x hello");
  },
};

export const propsOfServiceBinding = {
  async test(_controller, env) {
    assert.deepStrictEqual(await env.CLASS_WITH_PROPS.describe(), { greeting: "hello", props: { tenant: "blue" } });
    assert.deepStrictEqual(await env.CLASS.describe(), { greeting: "hello", props: {} });
  },
};

export const classIsInstantiatedPerCall = {
  async test(_controller, env) {
    assert.strictEqual(await env.CLASS.count(), 1);
    assert.strictEqual(await env.CLASS.count(), 1);
  },
};

export const moduleStateIsSharedBetweenCalls = {
  async test(_controller, env) {
    const first = await env.CLASS.countInModule();
    assert.strictEqual(await env.CLASS.countInModule(), first + 1);
    assert.strictEqual(moduleCounter, first + 1);
  },
};

export const missingFetchHandler = {
  async test(_controller, env) {
    await assert.rejects(env.NO_FETCH.fetch("http://any.example/"), {
      message: "Handler does not export a fetch() function.",
    });
    assert.strictEqual(await env.NO_FETCH.ping(), "pong");
  },
};

export const loopbackStubWithoutProps = {
  async test(_controller, _env, ctx) {
    assert.deepStrictEqual(await ctx.exports.ClassEntrypoint.describe(), { greeting: "hello", props: {} });
    assert.deepStrictEqual(await ctx.exports.objectEntrypoint.describe(7), { arg: 7, greeting: "hello", props: {} });
  },
};

export const loopbackStubWithProps = {
  async test(_controller, _env, ctx) {
    const red = ctx.exports.ClassEntrypoint({ props: { tenant: "red" } });
    const green = ctx.exports.ClassEntrypoint({ props: { tenant: "green" } });
    assert.deepStrictEqual((await red.describe()).props, { tenant: "red" });
    assert.deepStrictEqual((await green.describe()).props, { tenant: "green" });
    const response = await red.fetch("http://any.example/q");
    assert.strictEqual(await response.text(), 'class /q {"tenant":"red"}');
  },
};

export const loopbackOfObjectWithProps = {
  async test(_controller, _env, ctx) {
    const stub = ctx.exports.objectEntrypoint({ props: { n: 1 } });
    assert.deepStrictEqual(await stub.describe("a"), { arg: "a", greeting: "hello", props: { n: 1 } });
  },
};

export const loopbackOfDefaultExport = {
  async test(_controller, _env, ctx) {
    const response = await ctx.exports.default.fetch("http://any.example/x");
    assert.strictEqual(await response.text(), "GET /x hello");
    const withProps = await ctx.exports.default({ props: { a: [1] } }).fetch("http://any.example/props");
    assert.deepStrictEqual(await withProps.json(), { a: [1] });
  },
};

export const exportsAreImportable = {
  async test(_controller, _env, ctx) {
    assert.deepStrictEqual(Object.keys(importedExports).sort(), Object.keys(ctx.exports).sort());
    const described = await importedExports.ClassEntrypoint({ props: { via: "import" } }).describe();
    assert.deepStrictEqual(described.props, { via: "import" });
  },
};

export const propsAreCopied = {
  async test(_controller, _env, ctx) {
    const props = { list: [1], when: new Date(5), map: new Map([["k", 1n]]) };
    const stub = ctx.exports.ClassEntrypoint({ props });
    props.list.push(2);
    const seen = (await stub.describe()).props;
    assert.deepStrictEqual(seen, { list: [1], when: new Date(5), map: new Map([["k", 1n]]) });
  },
};

export const propsOfTestItselfAreEmpty = {
  async test(_controller, _env, ctx) {
    assert.deepStrictEqual(ctx.props, {});
  },
};

export const classCanBeConstructedDirectly = {
  async test(_controller, env, ctx) {
    class Plain extends WorkerEntrypoint {}
    class WithConstructor extends WorkerEntrypoint {
      constructor(ctx, env) {
        super(ctx, env);
        this.own = true;
      }
    }
    for (const Type of [Plain, WithConstructor]) {
      const instance = new Type(ctx, env);
      assert.ok(instance instanceof WorkerEntrypoint);
      assert.strictEqual(instance.ctx, ctx);
      assert.strictEqual(instance.env, env);
    }
  },
};

export const serviceBindingIsServiceStub = {
  async test(_controller, env, ctx) {
    assert.ok(env.SELF instanceof workers.ServiceStub);
    assert.ok(ctx.exports.ClassEntrypoint({ props: {} }) instanceof workers.ServiceStub);
  },
};

export const awaitingAServiceStubGivesIt = {
  async test(_controller, env) {
    assert.strictEqual(await env.SELF, env.SELF);
    assert.strictEqual(env.SELF.then, undefined);
  },
};

export const uncaughtFetchErrorReachesTheCaller = {
  async test(_controller, _env, ctx) {
    await assert.rejects(ctx.exports.ThrowingFetch.fetch("http://any.example/"), {
      name: "RangeError",
      message: "out of bounds",
    });
  },
};

export class ThrowingFetch extends WorkerEntrypoint {
  async fetch() {
    throw new RangeError("out of bounds");
  }
}
