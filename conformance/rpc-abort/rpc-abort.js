// ctx.abort(): calls under way fail with the reason, later calls on the context's objects find it gone.
import assert from "node:assert";
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class Hosted extends RpcTarget {
  #ctx;
  constructor(ctx) {
    super();
    this.#ctx = ctx;
  }
  hang() {
    return new Promise(() => {});
  }
  kill(reason) {
    this.#ctx.abort(reason);
    return "not seen";
  }
  ping() {
    return "pong";
  }
}

export class Target extends WorkerEntrypoint {
  host() {
    return new Hosted(this.ctx);
  }
  async abort(reason) {
    this.ctx.abort(reason);
    return "not seen";
  }
  async abortWithoutReason() {
    this.ctx.abort();
  }
  async fetch() {
    this.ctx.abort(new RangeError("no answer"));
    return new Response("not seen");
  }
}

const CHILD = `
  export default {
    async abort(reason, env, ctx) { ctx.abort(new TypeError(reason)); },
    async fine() { return "fine"; },
  };
`;

export const callerGetsTheReason = {
  async test(_controller, _env, ctx) {
    await assert.rejects(ctx.exports.Target.abort(new RangeError("enough")), { name: "RangeError", message: "enough" });
    await assert.rejects(ctx.exports.Target.abort("just text"), { name: "Error", message: "just text" });
  },
};

export const withoutAReason = {
  async test(_controller, _env, ctx) {
    await assert.rejects(ctx.exports.Target.abortWithoutReason(), {
      name: "Error",
      message: "Worker execution was aborted due to call to ctx.abort().",
    });
  },
};

export const fetchGetsTheReason = {
  async test(_controller, _env, ctx) {
    await assert.rejects(ctx.exports.Target.fetch("http://x/"), { name: "RangeError", message: "no answer" });
  },
};

export const callsUnderWayFailWithTheReason = {
  async test(_controller, _env, ctx) {
    const stub = await ctx.exports.Target.host();
    assert.strictEqual(await stub.ping(), "pong");
    const hanging = assert.rejects(stub.hang(), { name: "RangeError", message: "why" });
    const killing = assert.rejects(stub.kill(new RangeError("why")), { name: "RangeError", message: "why" });
    await Promise.all([hanging, killing]);
    await assert.rejects(stub.ping(), {
      message: "The execution context which hosts this callback is no longer running.",
    });
  },
};

export const otherInvocationsAreUntouched = {
  async test(_controller, _env, ctx) {
    const [first, second] = [await ctx.exports.Target.host(), await ctx.exports.Target.host()];
    await assert.rejects(first.kill(new Error("first only")), { message: "first only" });
    assert.strictEqual(await second.ping(), "pong");
  },
};

export const inADynamicWorker = {
  async test(_controller, env) {
    const child = env.LOADER.load({
      compatibilityDate: "2026-05-01",
      mainModule: "m.js",
      modules: { "m.js": CHILD },
    }).getEntrypoint();
    await assert.rejects(child.abort("over"), { name: "TypeError", message: "over" });
    assert.strictEqual(await child.fine(1), "fine");
  },
};
