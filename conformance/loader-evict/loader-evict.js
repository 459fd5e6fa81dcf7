// An addition of ours: `evict(id)` drops a named Worker at once. workerd has no such method; see ../differences.jsonc.
import assert from "node:assert";
import { RpcTarget } from "cloudflare:workers";

const worker = (version = 1) => ({
  compatibilityDate: "2026-03-01",
  mainModule: "main.js",
  modules: {
    "main.js": `
      let calls = 0;
      export default {
        async count() { return ++calls; },
        async version() { return ${version}; },
        async wait(gate) { calls++; await gate.open(); return calls; },
        async fetch() { return new Response("text of version ${version}"); },
      };
    `,
  },
});
const neverCalled = () => {
  throw new Error("this callback must not be called");
};
const count = (stub) => stub.getEntrypoint().count(null);

class Gate extends RpcTarget {
  #opened = Promise.withResolvers();
  entered = Promise.withResolvers();
  open() {
    this.entered.resolve();
    return this.#opened.promise;
  }
  release() {
    this.#opened.resolve();
  }
}

export const tellsWhetherThereWasOne = {
  async test(_controller, env) {
    assert.strictEqual(env.LOADER.evict("absent"), false);
    await count(env.LOADER.get("present", () => worker()));
    assert.strictEqual(env.LOADER.evict("present"), true);
    assert.strictEqual(env.LOADER.evict("present"), false);
  },
};

export const nextGetLoadsAnew = {
  async test(_controller, env) {
    assert.strictEqual(await env.LOADER.get("updated", () => worker(1)).getEntrypoint().version(null), 1);
    assert.strictEqual(env.LOADER.evict("updated"), true);
    assert.strictEqual(await env.LOADER.get("updated", () => worker(2)).getEntrypoint().version(null), 2);
    assert.strictEqual(await env.LOADER.get("updated", neverCalled).getEntrypoint().version(null), 2);
  },
};

export const heldStubsGoOnWithTheOldCode = {
  async test(_controller, env) {
    const old = env.LOADER.get("held", () => worker(1));
    const entrypoint = old.getEntrypoint();
    assert.strictEqual(await entrypoint.count(null), 1);
    env.LOADER.evict("held");
    assert.strictEqual(await entrypoint.version(null), 1);
    assert.strictEqual(await old.getEntrypoint().version(null), 1);
    assert.strictEqual(await env.LOADER.get("held", () => worker(2)).getEntrypoint().version(null), 2);
    assert.strictEqual(await (await entrypoint.fetch("http://child.example/")).text(), "text of version 1");
  },
};

export const idleWorkerIsGoneAtOnce = {
  async test(_controller, env) {
    for (let turn = 0; turn < 1000; turn++) {
      const entrypoint = env.LOADER.get("fresh", () => worker()).getEntrypoint();
      assert.strictEqual(await entrypoint.count(null), 1);
      // The call has its answer a moment before the child is done with it, and only then the child is idle.
      await scheduler.wait(turn);
      env.LOADER.evict("fresh");
      if ((await entrypoint.count(null)) === 1) return;
    }
    assert.fail("no new isolate was made of the same code");
  },
};

export const callsUnderWayFinish = {
  async test(_controller, env) {
    const gate = new Gate();
    const entrypoint = env.LOADER.get("busy", () => worker()).getEntrypoint();
    const call = entrypoint.wait(gate);
    await gate.entered.promise;
    assert.strictEqual(env.LOADER.evict("busy"), true);
    assert.strictEqual(await count(env.LOADER.get("busy", () => worker())), 1);
    gate.release();
    assert.strictEqual(await call, 1);
  },
};

export const workerThatIsStillLoading = {
  async test(_controller, env) {
    const { promise, resolve } = Promise.withResolvers();
    const first = count(env.LOADER.get("loading", () => promise));
    assert.strictEqual(env.LOADER.evict("loading"), true);
    assert.strictEqual(await count(env.LOADER.get("loading", () => worker())), 1);
    resolve(worker());
    assert.strictEqual(await first, 1);
  },
};

export const bindingsWithTheSameLoaderIdShareIt = {
  async test(_controller, env) {
    await count(env.SHARED_A.get("common", () => worker()));
    assert.strictEqual(env.LOADER.evict("common"), false);
    assert.strictEqual(env.SHARED_B.evict("common"), true);
    assert.strictEqual(await count(env.SHARED_A.get("common", () => worker())), 1);
  },
};

export const idsAreConvertedToStrings = {
  async test(_controller, env) {
    await count(env.LOADER.get("17", () => worker()));
    assert.strictEqual(env.LOADER.evict(17), true);
  },
};
