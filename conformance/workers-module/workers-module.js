// Every export of `cloudflare:workers`, the members of `ctx`, and what the modules beside it offer.
import assert from "node:assert";
import * as module from "cloudflare:workers";
import {
  DurableObject, RpcStub, RpcTarget, WorkerEntrypoint, WorkflowEntrypoint, env as importedEnv,
  exports as importedExports, withEnv, withEnvAndExports, withExports,
} from "cloudflare:workers";
import { NonRetryableError } from "cloudflare:workflows";

export class Target extends WorkerEntrypoint {
  members() {
    return [Object.keys(this), this.ctx.props, Object.prototype.toString.call(this.ctx)];
  }
  contextMembers() {
    const members = [];
    for (const key in this.ctx) members.push(key);
    return members;
  }
  echo(value) {
    return value;
  }
}
export class Store extends DurableObject {}
export class Flow extends WorkflowEntrypoint {
  async run(event) {
    return ["ran", event, this.env.NAME];
  }
}

const REFUSED_WITHOUT_OUTBOUND =
  "This worker is not permitted to access the internet via global functions like fetch(). It must use capabilities " +
  "(such as bindings in 'env') to talk to the outside world.";

export const everyExportExists = {
  async test() {
    assert.deepStrictEqual(Object.keys(module), [
      "DurableObject", "RpcPromise", "RpcProperty", "RpcStub", "RpcTarget", "ServiceStub", "WorkerEntrypoint",
      "WorkflowEntrypoint", "abortIsolate", "cache", "env", "exports", "restore", "tracing", "waitUntil", "withEnv",
      "withEnvAndExports", "withExports",
    ]);
    assert.deepStrictEqual(Object.keys(module.cache), []);
    assert.strictEqual(typeof module.restore, "symbol");
  },
};

export const membersOfTheContext = {
  async test(_controller, _env, ctx) {
    for (const member of ["waitUntil", "passThroughOnException", "abort"]) {
      assert.strictEqual(typeof ctx[member], "function");
    }
    assert.strictEqual(ctx.passThroughOnException(), undefined);
    assert.deepStrictEqual(ctx.props, {});
    assert.strictEqual(ctx.exports, ctx.exports);
    assert.deepStrictEqual([ctx.access, ctx.cache], [undefined, undefined]);
    const members = await ctx.exports.Target.contextMembers();
    for (const member of ["tracing", "access", "cache", "props", "exports", "waitUntil", "passThroughOnException", "abort"]) {
      assert.ok(members.includes(member), member);
    }
  },
};

export const entrypointsOwnTheirContextAndEnv = {
  async test(_controller, _env, ctx) {
    const stub = ctx.exports.Target({ props: { a: 1 } });
    assert.deepStrictEqual(await stub.members(), [["ctx", "env"], { a: 1 }, "[object ExecutionContext]"]);
  },
};

export const withEnvReplacesTheImport = {
  async test(_controller, env) {
    assert.strictEqual(importedEnv.NAME, "workers-module");
    assert.strictEqual(withEnv({ A: 1 }, () => importedEnv.A), 1);
    assert.deepStrictEqual(withEnv({ A: 1 }, () => Object.keys(importedEnv)), ["A"]);
    assert.strictEqual(withEnv({ A: 1 }, () => "A" in importedEnv && !("NAME" in importedEnv)), true);
    assert.strictEqual(withEnv(null, () => importedEnv.NAME), "workers-module");
    assert.throws(
      () => withEnv({ A: 1 }, () => {
        throw new Error("inside");
      }),
      { message: "inside" },
    );
    assert.deepStrictEqual([importedEnv.A, env.A], [undefined, undefined]);
    assert.throws(() => withEnv({}, 5), {
      name: "TypeError",
      message: "Failed to execute 'withEnv' on 'EnvModule': parameter 2 is not of type 'function'.",
    });
  },
};

export const withEnvFollowsAsynchronousCode = {
  async test() {
    const seen = await withEnv({ A: 2 }, async () => {
      await scheduler.wait(1);
      const before = importedEnv.A;
      await Promise.resolve();
      return [before, importedEnv.A, withEnv({ A: 3 }, () => importedEnv.A), importedEnv.A];
    });
    assert.deepStrictEqual(seen, [2, 2, 3, 2]);
    assert.strictEqual(importedEnv.A, undefined);
    const [first, second] = await Promise.all(
      [1, 2].map((A) => withEnv({ A }, async () => {
        await scheduler.wait(1);
        return importedEnv.A;
      })),
    );
    assert.deepStrictEqual([first, second], [1, 2]);
  },
};

export const callsWorkInsideWithEnv = {
  async test(_controller, _env, ctx) {
    const seen = await withEnv({ A: 1 }, async () => [await ctx.exports.Target.echo("x"), importedEnv.A]);
    assert.deepStrictEqual(seen, ["x", 1]);
  },
};

export const withExportsReplacesTheImport = {
  async test(_controller, _env, ctx) {
    assert.strictEqual(importedExports.Target, ctx.exports.Target);
    assert.strictEqual(withExports({ A: 1 }, () => importedExports.A), 1);
    assert.deepStrictEqual(withEnvAndExports({ E: 1 }, { A: 2 }, () => [importedEnv.E, importedExports.A]), [1, 2]);
    assert.strictEqual(importedExports.A, undefined);
  },
};

export const importedEnvCanBeWritten = {
  async test(_controller, env) {
    importedEnv.WRITTEN = 1;
    assert.deepStrictEqual([importedEnv.WRITTEN, env.WRITTEN], [1, 1]);
    delete importedEnv.WRITTEN;
    assert.strictEqual("WRITTEN" in env, false);
  },
};

export const spansRunWhatTheyAreGiven = {
  async test(_controller, _env, ctx) {
    for (const tracing of [module.tracing, ctx.tracing]) {
      assert.strictEqual(tracing.enterSpan("name", (span, a, b) => [span.isTraced, a + b].join(), 1, 2), "false,3");
      assert.strictEqual(tracing.startActiveSpan("name", (span) => (span.end(), 5)), 5);
      const span = tracing.startSpan("name");
      assert.ok(span instanceof tracing.Span);
      assert.strictEqual(span.setAttribute("a", 1), span);
      assert.strictEqual(span.end(), undefined);
      assert.strictEqual(tracing.withActiveSpan(span, () => 4), 4);
    }
  },
};

export const constructorsCheckTheirContext = {
  async test() {
    class Entry extends WorkerEntrypoint {}
    assert.deepStrictEqual(Object.keys(new Entry({}, {})), ["ctx", "env"]);
    assert.throws(() => new Entry(1, {}), {
      message: "Failed to construct 'WorkerEntrypoint': constructor parameter 1 is not of type 'Object'.",
    });
    assert.throws(() => new Store({}, {}), {
      message: "Failed to construct 'DurableObjectBase': constructor parameter 1 is not of type 'DurableObjectState'.",
    });
    assert.throws(() => new Flow({}, {}), {
      message: "Failed to construct 'WorkflowEntrypoint': constructor parameter 1 is not of type 'ExecutionContext'.",
    });
    assert.throws(() => new RpcStub(5), {
      message: "Failed to construct 'JsRpcStub': constructor parameter 1 is not of type 'Object'.",
    });
    for (const value of [new Map(), [], new Date(), Object.create(null), Promise.resolve()]) {
      assert.throws(() => new RpcStub(value), {
        message: "RpcStubs can only wrap plain objects, functions, and RpcTarget derivatives.",
      });
    }
    assert.ok(new RpcTarget() instanceof RpcTarget);
  },
};

export const workflowClassesAreEntrypoints = {
  async test(_controller, env, ctx) {
    assert.strictEqual("Flow" in ctx.exports, false);
    const child = env.LOADER.load({
      compatibilityDate: "2026-05-01",
      mainModule: "m.js",
      modules: {
        "m.js": `import { WorkflowEntrypoint } from "cloudflare:workers";
          export class Flow extends WorkflowEntrypoint { async run(event) { return ["ran", event, this.env.NAME]; } }`,
      },
      env: { NAME: "child" },
    });
    assert.deepStrictEqual(await child.getEntrypoint("Flow").run({ payload: 1 }), ["ran", { payload: 1 }, "child"]);
    const error = new NonRetryableError("never again");
    assert.ok(error instanceof Error);
    assert.deepStrictEqual([error.name, error.message], ["NonRetryableError", "never again"]);
  },
};

export const classesOfDurableObjectsAreNoServices = {
  async test(_controller, _env, ctx) {
    assert.strictEqual(typeof ctx.exports.Store, "function");
    assert.strictEqual(Object.prototype.toString.call(ctx.exports.Store), "[object LoopbackDurableObjectClass]");
    assert.strictEqual(ctx.exports.Store.ping, undefined);
    assert.throws(() => ctx.exports.Target({ props: { value: ctx.exports.Store } }), {
      name: "DataCloneError",
      message: 'Could not serialize object of type "LoopbackDurableObjectClass". This type does not support serialization.',
    });
  },
};

export const durableObjectsSayThatTheyAreMissing = {
  async test(_controller, env, ctx) {
    const text = /Durable Objects.* are not supported yet/;
    assert.throws(() => ctx.exports.Store({ props: {} }), { name: "Error", message: text });
    const child = env.LOADER.load({
      compatibilityDate: "2026-05-01",
      mainModule: "m.js",
      modules: { "m.js": `import { DurableObject } from "cloudflare:workers"; export class Store extends DurableObject {}` },
    });
    assert.throws(() => child.getDurableObjectClass("Store"), { name: "Error", message: text });
    await assert.rejects(child.getEntrypoint("Store").ping(), { name: "Error", message: text });
  },
};

const SOCKETS = `
  import { connect } from "cloudflare:sockets";
  export default {
    async open(address) {
      try { connect(address); } catch (e) { return [e.name, e.message]; }
    },
  };
`;
const sockets = (env, globalOutbound) =>
  env.LOADER.load({
    compatibilityDate: "2026-05-01", mainModule: "m.js", modules: { "m.js": SOCKETS }, globalOutbound,
  }).getEntrypoint();

export const socketsWithoutAnOutbound = {
  async test(_controller, env) {
    const child = sockets(env, null);
    for (const address of ["example.com:80", { hostname: "example.com", port: 80 }]) {
      assert.deepStrictEqual(await child.open(address), ["Error", REFUSED_WITHOUT_OUTBOUND]);
    }
    assert.deepStrictEqual(await child.open("example.com"), ["TypeError", "Specified address is missing port."]);
  },
};

export const socketsSayThatTheyAreMissing = {
  async test(_controller, env, ctx) {
    const child = sockets(env, ctx.exports.Target);
    assert.deepStrictEqual(await child.open("example.com:80"), [
      "Error", "connect() of cloudflare:sockets is not supported yet.",
    ]);
    assert.throws(() => ctx.exports.Target.connect("example.com:80"), {
      message: "connect() on a service binding is not supported yet.",
    });
  },
};
