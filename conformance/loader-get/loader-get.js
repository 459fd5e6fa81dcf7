// `get(id, callback)`: when the callback runs, which Workers are shared, and how failures arrive.
import assert from "node:assert";

const COUNTER = `
  let calls = 0;
  export default { async count() { return ++calls; }, async echo(arg) { return arg; } };
`;
const worker = (source = COUNTER) => ({
  compatibilityDate: "2026-03-01",
  mainModule: "main.js",
  modules: { "main.js": source },
});
const neverCalled = () => {
  throw new Error("this callback must not be called");
};
const count = (stub) => stub.getEntrypoint().count(null);

async function until(condition) {
  for (let turn = 0; turn < 2000 && !condition(); turn++) await scheduler.wait(1);
  assert.ok(condition());
}

export const synchronousCallback = {
  async test(_controller, env) {
    const stub = env.LOADER.get("sync", () => worker());
    assert.strictEqual(stub.then, undefined);
    assert.strictEqual(await stub.getEntrypoint().echo("s"), "s");
  },
};

export const asynchronousCallback = {
  async test(_controller, env) {
    const stub = env.LOADER.get("async", async () => worker());
    assert.strictEqual(await stub.getEntrypoint().echo("a"), "a");
  },
};

export const callbackThatWaitsForATimer = {
  async test(_controller, env) {
    const stub = env.LOADER.get("timer", async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return worker();
    });
    assert.strictEqual(await stub.getEntrypoint().echo("t"), "t");
  },
};

export const callbackMayReturnAThenable = {
  async test(_controller, env) {
    const stub = env.LOADER.get("thenable", () => ({ then: (resolve) => resolve(worker()) }));
    assert.strictEqual(await stub.getEntrypoint().echo("th"), "th");
  },
};

export const callbackIsNotCalledSynchronously = {
  async test(_controller, env) {
    let called = false;
    const stub = env.LOADER.get("laterTurn", () => {
      called = true;
      return worker();
    });
    assert.strictEqual(called, false);
    await count(stub);
    assert.strictEqual(called, true);
  },
};

export const callbackRunsWithoutARequest = {
  async test(_controller, env) {
    let called = false;
    env.LOADER.get("noRequest", () => {
      called = true;
      return worker();
    });
    await until(() => called);
  },
};

export const sameIdIsTheSameWorker = {
  async test(_controller, env) {
    let calls = 0;
    const code = () => {
      calls += 1;
      return worker();
    };
    assert.strictEqual(await count(env.LOADER.get("same", code)), 1);
    assert.strictEqual(await count(env.LOADER.get("same", code)), 2);
    assert.strictEqual(await count(env.LOADER.get("same", neverCalled)), 3);
    assert.strictEqual(calls, 1);
  },
};

export const secondGetBeforeTheFirstFinishedSharesTheLoad = {
  async test(_controller, env) {
    const { promise, resolve } = Promise.withResolvers();
    const first = env.LOADER.get("concurrent", () => promise);
    const second = env.LOADER.get("concurrent", neverCalled);
    const counts = [count(first), count(second)];
    resolve(worker());
    assert.deepStrictEqual((await Promise.all(counts)).sort(), [1, 2]);
  },
};

export const otherCodeUnderTheSameIdIsNotSeen = {
  async test(_controller, env) {
    const first = env.LOADER.get("sticky", () => worker(`export default { async v() { return "old"; } };`));
    assert.strictEqual(await first.getEntrypoint().v(0), "old");
    const second = env.LOADER.get("sticky", () => worker(`export default { async v() { return "new"; } };`));
    assert.strictEqual(await second.getEntrypoint().v(0), "old");
  },
};

export const differentIdsAreDifferentWorkers = {
  async test(_controller, env) {
    assert.strictEqual(await count(env.LOADER.get("one", () => worker())), 1);
    assert.strictEqual(await count(env.LOADER.get("two", () => worker())), 1);
    assert.strictEqual(await count(env.LOADER.get("ONE", () => worker())), 1);
  },
};

export const nullAndUndefinedAreAlwaysNew = {
  async test(_controller, env) {
    let calls = 0;
    const code = () => {
      calls += 1;
      return worker();
    };
    for (const id of [null, undefined, undefined, null]) assert.strictEqual(await count(env.LOADER.get(id, code)), 1);
    assert.strictEqual(calls, 4);
  },
};

export const unnamedWorkerKeepsItsState = {
  async test(_controller, env) {
    const stub = env.LOADER.get(null, () => worker());
    assert.strictEqual(await count(stub), 1);
    assert.strictEqual(await count(stub), 2);
  },
};

export const otherIdsAreConvertedToStrings = {
  async test(_controller, env) {
    assert.strictEqual(await count(env.LOADER.get(17, () => worker())), 1);
    assert.strictEqual(await count(env.LOADER.get("17", neverCalled)), 2);
    assert.strictEqual(await count(env.LOADER.get("", () => worker())), 1);
    assert.strictEqual(await count(env.LOADER.get("", neverCalled)), 2);
  },
};

export const bindingsWithTheSameLoaderIdShare = {
  async test(_controller, env) {
    assert.strictEqual(await count(env.SHARED_A.get("name", () => worker())), 1);
    assert.strictEqual(await count(env.SHARED_B.get("name", neverCalled)), 2);
    assert.strictEqual(await count(env.SHARED_A.get("name", neverCalled)), 3);
  },
};

export const otherBindingsDoNotShare = {
  async test(_controller, env) {
    for (const binding of ["LOADER", "PRIVATE", "OTHER", "SHARED_A"]) {
      assert.strictEqual(await count(env[binding].get("isolated", () => worker())), 1, binding);
    }
  },
};

export const synchronouslyThrowingCallback = {
  async test(_controller, env) {
    const stub = env.LOADER.get("throws", () => {
      throw new Error("Code loader failed!");
    });
    await assert.rejects(stub.getEntrypoint().echo(1), { name: "Error", message: "Code loader failed!" });
  },
};

export const rejectingCallback = {
  async test(_controller, env) {
    const stub = env.LOADER.get("rejects", async () => {
      await scheduler.wait(1);
      throw new RangeError("No code today");
    });
    await assert.rejects(stub.getEntrypoint().echo(1), { message: "No code today" });
    await assert.rejects(stub.getEntrypoint().fetch("http://x.example/"), { message: "No code today" });
  },
};

export const everyRequestOfAFailedStubRejects = {
  async test(_controller, env) {
    const stub = env.LOADER.get("failsForAll", () => {
      throw new Error("failed once");
    });
    const entrypoint = stub.getEntrypoint();
    for (const call of [entrypoint.echo(1), entrypoint.echo(2), stub.getEntrypoint("other").echo(3)]) {
      await assert.rejects(call, { message: "failed once" });
    }
  },
};

export const validationErrorsRejectOnUse = {
  async test(_controller, env) {
    const noModules = env.LOADER.get("noModules", () => ({ ...worker(), modules: {} }));
    await assert.rejects(noModules.getEntrypoint().echo(1), {
      name: "TypeError",
      message: "Dynamic Worker code must contain at least one module.",
    });
    const badDate = env.LOADER.get("badDate", () => ({ ...worker(), compatibilityDate: "never" }));
    await assert.rejects(badDate.getEntrypoint().echo(1), { message: "Invalid compatibility date: never" });
  },
};

export const callbackResultThatIsNotAnObject = {
  async test(_controller, env) {
    const immediate = env.LOADER.get("notAnObject", () => "code");
    await assert.rejects(immediate.getEntrypoint().echo(1), { name: "TypeError" });
    const later = env.LOADER.get("notAnObjectLater", async () => 5);
    await assert.rejects(later.getEntrypoint().echo(1), {
      name: "TypeError",
      message: "Incorrect type for Promise: the Promise did not resolve to 'WorkerCode'.",
    });
  },
};

export const callbackThatIsNotAFunction = {
  async test(_controller, env) {
    assert.throws(() => env.LOADER.get("noFunction", worker()), {
      name: "TypeError",
      message: "Failed to execute 'get' on 'WorkerLoader': parameter 2 is not of type 'function'.",
    });
  },
};

export const namedWorkerOutlivesTheRequest = {
  async test(_controller, _env, ctx) {
    const first = await ctx.exports.requester.useNamed("outlives");
    assert.strictEqual(await ctx.exports.requester.useNamed("outlives"), first + 1);
  },
};

export const requester = {
  async useNamed(id, env) {
    return await count(env.LOADER.get(id, () => worker()));
  },
  async stash(id, env) {
    stashed = env.LOADER.get(id, () => worker());
    return await count(stashed);
  },
  async useStashed() {
    return await count(stashed);
  },
  // Begins a load, and goes away before it has given code.
  async abandon(id, env, ctx) {
    env.LOADER.get(id, () => {
      load = "begun";
      return new Promise(() => {});
    });
    await until(() => load === "shared");
    ctx.abort(new Error("gone away"));
    await scheduler.wait(1);
  },
};
let stashed;
let load;

export const loadOfACallerThatGoesAwayIsTheNextOnes = {
  async test(_controller, env, ctx) {
    const first = ctx.exports.requester.abandon("abandoned").catch((error) => error.message);
    await until(() => load === "begun");
    const second = count(env.LOADER.get("abandoned", () => worker()));
    load = "shared";
    assert.strictEqual(await first, "gone away");
    assert.strictEqual(await second, 1);
  },
};

export const stubBelongsToItsRequest = {
  async test(_controller, _env, ctx) {
    assert.strictEqual(await ctx.exports.requester.stash("stash"), 1);
    await assert.rejects(ctx.exports.requester.useStashed(null), {
      message: /^Cannot perform I\/O on behalf of a different request\./,
    });
  },
};
