// What loaded Workers owe to the request that loaded them: its callback ends with it, named Workers and the services
// in their env do not.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

const COUNTER = `
  let calls = 0;
  export default {
    async count() { return ++calls; },
    async ask(word, env) { return await env.SERVICE.say(word); },
  };
`;
const worker = (env = {}) => ({
  compatibilityDate: "2026-03-01",
  mainModule: "main.js",
  modules: { "main.js": COUNTER },
  env,
});
const neverCalled = () => {
  throw new Error("this callback must not be called");
};
async function until(condition) {
  for (let turn = 0; turn < 2000 && !condition(); turn++) await scheduler.wait(1);
  assert.ok(condition());
}

let callbacks = 0;
const started = new Set();
const ended = new Set();
const settles = new Map();

export class Requests extends WorkerEntrypoint {
  count(id) {
    const code = async () => {
      callbacks += 1;
      await scheduler.wait(2);
      return worker();
    };
    return this.env.LOADER.get(id, code).getEntrypoint().count(null);
  }

  // Starts a load whose callback never settles, and ends when it is told to.
  async leaveWhenTold(id) {
    this.env.LOADER.get(id, () => new Promise((resolve) => settles.set(id, resolve)));
    started.add(id);
    while (!ended.has(id)) await scheduler.wait(1);
  }

  async leaveWithService(id) {
    const env = { SERVICE: this.ctx.exports.Service({ props: { greeting: "hello" } }) };
    return await this.env.LOADER.get(id, () => worker(env)).getEntrypoint().ask("first");
  }

  async ask(id, word) {
    return await this.env.LOADER.get(id, neverCalled).getEntrypoint().ask(word);
  }
}

export class Service extends WorkerEntrypoint {
  say(word) {
    return `${this.ctx.props.greeting} ${word}`;
  }
}

export const requestsAtOnceShareOneLoad = {
  async test(_controller, _env, ctx) {
    callbacks = 0;
    const calls = Array.from({ length: 16 }, () => ctx.exports.Requests.count("at once"));
    const counts = await Promise.all(calls);
    assert.deepStrictEqual(counts.sort((a, b) => a - b), Array.from({ length: 16 }, (_, i) => i + 1));
    assert.strictEqual(callbacks, 1);
  },
};

export const callbackRunsThoughItsStubIsDropped = {
  async test(_controller, env) {
    let called = 0;
    (() => {
      env.LOADER.get("dropped", () => {
        called += 1;
        return worker();
      });
    })();
    await until(() => called === 1);
    assert.strictEqual(await env.LOADER.get("dropped", neverCalled).getEntrypoint().count(null), 1);
  },
};

export const callsThatWaitForTheCodeOfARequestEndWithIt = {
  async test(_controller, env, ctx) {
    const first = ctx.exports.Requests.leaveWhenTold("left");
    await until(() => settles.has("left"));
    const stub = env.LOADER.get("left", neverCalled);
    const waiting = [stub.getEntrypoint().count(null), stub.getEntrypoint().fetch("http://child.example/")];
    const rejected = waiting.map((call) => assert.rejects(call, Error));
    ended.add("left");
    await first;
    await Promise.all(rejected);
  },
};

export const codeThatComesAfterItsRequestIsNotUsed = {
  async test(_controller, env, ctx) {
    const first = ctx.exports.Requests.leaveWhenTold("late");
    await until(() => settles.has("late"));
    const call = env.LOADER.get("late", neverCalled).getEntrypoint().count(null);
    const rejected = assert.rejects(call, Error);
    ended.add("late");
    await first;
    settles.get("late")(worker());
    await rejected;
    await scheduler.wait(5);
    assert.strictEqual(await env.LOADER.get("sound", () => worker()).getEntrypoint().count(null), 1);
  },
};

export const namedWorkerKeepsTheServicesOfAnEndedRequest = {
  async test(_controller, _env, ctx) {
    assert.strictEqual(await ctx.exports.Requests.leaveWithService("served"), "hello first");
    assert.strictEqual(await ctx.exports.Requests.ask("served", "again"), "hello again");
  },
};

export const callUnderWayOutlivesItsStub = {
  async test(_controller, env) {
    const call = (() => env.LOADER.get(null, () => worker()).getEntrypoint().count(null))();
    assert.strictEqual(await call, 1);
  },
};
