// Deliberate difference: a load that failed under an id is forgotten, so the next get() calls its callback again.
// workerd keeps the failure for as long as the process lives; see ../differences.jsonc.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

const worker = (source = "export default { async ping() { return 'pong'; } };") => ({
  compatibilityDate: "2026-03-01",
  mainModule: "main.js",
  modules: { "main.js": source },
});
const ping = (stub) => stub.getEntrypoint().ping(null);

/** The first load fails because of `failing`; the second, under the same id, must run its own callback. */
async function recovers(env, id, failing, failure) {
  await assert.rejects(ping(env.LOADER.get(id, failing)), failure);
  let calls = 0;
  const stub = env.LOADER.get(id, () => {
    calls += 1;
    return worker();
  });
  assert.strictEqual(await ping(stub), "pong");
  assert.strictEqual(calls, 1);
  assert.strictEqual(await ping(env.LOADER.get(id, failing)), "pong", "the good load stays");
}

export const afterAThrowingCallback = {
  async test(_controller, env) {
    const failing = () => {
      throw new Error("storage is down");
    };
    await recovers(env, "throwing", failing, { message: "storage is down" });
  },
};

export const afterARejectingCallback = {
  async test(_controller, env) {
    await recovers(env, "rejecting", async () => Promise.reject(new Error("storage is slow")), {
      message: "storage is slow",
    });
  },
};

export const afterBadCode = {
  async test(_controller, env) {
    await recovers(env, "bad code", () => ({ ...worker(), modules: {} }), {
      message: "Dynamic Worker code must contain at least one module.",
    });
  },
};

export const afterASyntaxError = {
  async test(_controller, env) {
    await recovers(env, "syntax error", () => worker("export default {"), /SyntaxError/);
  },
};

export const afterAStartupError = {
  async test(_controller, env) {
    await recovers(env, "startup error", () => worker("throw new Error('cannot start');"), /cannot start/);
  },
};

export const throughAnotherBindingWithTheSameLoaderId = {
  async test(_controller, env) {
    const failing = env.SHARED_A.get("shared", () => {
      throw new Error("first failed");
    });
    await assert.rejects(ping(failing), { message: "first failed" });
    assert.strictEqual(await ping(env.SHARED_B.get("shared", () => worker())), "pong");
  },
};

let settleLate;

export class Requests extends WorkerEntrypoint {
  // Ends before its callback's turn comes.
  endAtOnce(id) {
    this.env.LOADER.get(id, () => worker());
  }

  // Ends while its callback waits for what will never come.
  async endWhileTheCallbackWaits(id) {
    await new Promise((resolve) => {
      this.env.LOADER.get(id, () => {
        resolve();
        return new Promise((settle) => (settleLate = settle));
      });
    });
  }
}

export const afterARequestThatEndedBeforeItsCallback = {
  async test(_controller, env, ctx) {
    await ctx.exports.Requests.endAtOnce("ended at once");
    assert.strictEqual(await ping(env.LOADER.get("ended at once", () => worker())), "pong");
  },
};

export const afterARequestThatEndedDuringItsCallback = {
  async test(_controller, env, ctx) {
    await ctx.exports.Requests.endWhileTheCallbackWaits("ended");
    assert.strictEqual(await ping(env.LOADER.get("ended", () => worker())), "pong");
    settleLate(worker("throw new Error('nobody waits for this code');"));
    await scheduler.wait(5);
    assert.strictEqual(await ping(env.LOADER.get("ended", () => worker())), "pong");
  },
};
