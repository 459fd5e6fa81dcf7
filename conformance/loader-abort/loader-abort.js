// `abortIsolate()` of "cloudflare:workers" inside a dynamic Worker ends that Worker only.
import assert from "node:assert";

const CHILD = `
  import { abortIsolate, WorkerEntrypoint } from "cloudflare:workers";
  let calls = 0;
  export default class extends WorkerEntrypoint {
    async count() { return ++calls; }
    async object() { return { abort: () => abortIsolate("by an object") }; }
    async abort() { abortIsolate("asked to"); return "still here"; }
  }
`;

const worker = () => ({
  compatibilityDate: "2026-03-01",
  compatibilityFlags: ["experimental"],
  allowExperimental: true,
  mainModule: "main.js",
  modules: { "main.js": CHILD },
});

const ABORTED = /^internal error; reference = /;

export const namedWorkerIsReplacedAfterAbort = {
  async test(_controller, env) {
    let loads = 0;
    const get = () => {
      const stub = env.LOADER.get("aborting", () => {
        loads += 1;
        return worker();
      });
      return stub.getEntrypoint();
    };
    assert.strictEqual(await get().count(), 1);
    assert.strictEqual(await get().count(), 2);
    assert.strictEqual(loads, 1);
    await assert.rejects(get().abort(), { message: ABORTED });
    assert.strictEqual(await get().count(), 1);
    assert.strictEqual(loads, 2);
  },
};

export const unnamedWorkerJustEnds = {
  async test(_controller, env) {
    const stub = env.LOADER.load(worker()).getEntrypoint();
    assert.strictEqual(await stub.count(), 1);
    await assert.rejects(stub.abort(), { message: ABORTED });
    assert.strictEqual(await env.LOADER.load(worker()).getEntrypoint().count(), 1);
  },
};

export const otherWorkersAreUntouched = {
  async test(_controller, env) {
    const other = env.LOADER.load(worker()).getEntrypoint();
    assert.strictEqual(await other.count(), 1);
    await assert.rejects(env.LOADER.load(worker()).getEntrypoint().abort(), { message: ABORTED });
    assert.strictEqual(await other.count(), 2);
  },
};

export const heldStubsOfAnAbortedWorkerReject = {
  async test(_controller, env) {
    const stub = env.LOADER.load(worker());
    await assert.rejects(stub.getEntrypoint().abort(), { message: ABORTED });
    await assert.rejects(stub.getEntrypoint().count(), Error);
  },
};

export const callsOnObjectsRejectAsWell = {
  async test(_controller, env) {
    const object = await env.LOADER.load(worker()).getEntrypoint().object();
    await assert.rejects(object.abort(), { message: ABORTED });
  },
};
