// RPC between a parent and its dynamic Worker: values, stubs, callbacks, errors and streams in both directions.
import assert from "node:assert";
import { RpcStub, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

const CHILD = `
  import { WorkerEntrypoint, RpcTarget } from "cloudflare:workers";

  class Counter extends RpcTarget {
    #n;
    constructor(n) { super(); this.#n = n; }
    increment(by = 1) { return (this.#n += by); }
    get value() { return this.#n; }
  }

  export default class extends WorkerEntrypoint {
    async echo(value) { return value; }
    async counter(n) { return new Counter(n); }
    async adder(n) { return (x) => x + n; }
    async callFunction(f, ...args) { return await f(...args); }
    async useTarget(target) { await target.add("one"); await target.add("two"); return await target.list; }
    async fail(message) { throw new RangeError(message); }
    async childFunctionInTheStack() { throw new Error("no stack"); }
    async catchError(f) { try { await f(); } catch (e) { return [e.name, e.message, e.remote]; } }
    async stream(text) { return new Response(text).body; }
    async read(stream) { return await new Response(stream).text(); }
    async nested() { return { counter: new Counter(1), deep: { f: () => "deep" } }; }
    async parentHello(name) { return await this.env.PARENT.hello(name); }
    async parentCounter() { using c = await this.env.PARENT.makeCounter(); await c.add("x"); return await c.list; }
    async parentError() { try { await this.env.PARENT.fail(); } catch (e) { return [e.name, e.message, e.remote]; } }
    async parentFetch() { return await (await this.env.PARENT.fetch("http://p.example/path")).text(); }
    async parentCallsBack(f) { return await this.env.PARENT.callBack(f); }
    async later(f) { const g = f.dup(); this.ctx.waitUntil((async () => { await scheduler.wait(2); await g("later"); })()); }
  }
`;

class List extends RpcTarget {
  #items = [];
  add(item) {
    this.#items.push(item);
  }
  get list() {
    return this.#items;
  }
}

export class Parent extends WorkerEntrypoint {
  async hello(name) {
    return `${this.ctx.props.greeting} ${name}`;
  }
  async makeCounter() {
    return new List();
  }
  async fail() {
    throw new SyntaxError("from the parent");
  }
  async callBack(f) {
    return `parent got ${await f("a")}`;
  }
  async fetch(request) {
    return new Response(`parent ${new URL(request.url).pathname}`);
  }
}

const child = (env, ctx) =>
  env.LOADER.load({
    compatibilityDate: "2026-03-01",
    mainModule: "main.js",
    modules: { "main.js": CHILD },
    env: { PARENT: ctx.exports.Parent({ props: { greeting: "hello" } }) },
  }).getEntrypoint();

export const valuesInBothDirections = {
  async test(_controller, env, ctx) {
    const stub = child(env, ctx);
    const values = [
      undefined,
      null,
      1n,
      -0,
      "text",
      new Date(3),
      /x/g,
      new Map([[1, new Set([2])]]),
      new Uint8Array([1, 2]),
      { a: [{ b: undefined }] },
    ];
    for (const value of values) assert.deepStrictEqual(await stub.echo(value), value);
    assert.strictEqual((await stub.echo(new Uint8Array([7]).buffer)).byteLength, 1);
  },
};

export const returnedTargetsAndFunctions = {
  async test(_controller, env, ctx) {
    const stub = child(env, ctx);
    using counter = await stub.counter(5);
    assert.ok(counter instanceof RpcStub);
    assert.strictEqual(await counter.increment(), 6);
    assert.strictEqual(await counter.value, 6);
    using add = await stub.adder(3);
    assert.strictEqual(await add(4), 7);
  },
};

export const pipelining = {
  async test(_controller, env, ctx) {
    const stub = child(env, ctx);
    assert.strictEqual(await stub.counter(1).increment(10), 11);
    assert.strictEqual(await stub.adder(1)(2), 3);
    assert.strictEqual(await stub.nested().deep.f(), "deep");
    assert.strictEqual(await stub.nested().counter.increment(), 2);
  },
};

export const functionArgument = {
  async test(_controller, env, ctx) {
    let seen;
    const result = await child(env, ctx).callFunction((a, b) => ((seen = [a, b]), a * b), 6, 7);
    assert.strictEqual(result, 42);
    assert.deepStrictEqual(seen, [6, 7]);
  },
};

export const targetArgument = {
  async test(_controller, env, ctx) {
    const list = new List();
    assert.deepStrictEqual(await child(env, ctx).useTarget(list), ["one", "two"]);
    assert.deepStrictEqual(list.list, ["one", "two"]);
  },
};

export const stubRoundTripThroughTheChild = {
  async test(_controller, env, ctx) {
    const list = new List();
    using back = await child(env, ctx).callFunction(() => list);
    await back.add("direct");
    assert.deepStrictEqual(list.list, ["direct"]);
  },
};

export const errorsFromTheChild = {
  async test(_controller, env, ctx) {
    const error = await child(env, ctx)
      .fail("child failed")
      .then(assert.fail, (e) => e);
    assert.ok(error instanceof RangeError);
    assert.strictEqual(error.message, "child failed");
    assert.strictEqual(error.remote, true);
    const other = await child(env, ctx)
      .childFunctionInTheStack()
      .then(assert.fail, (e) => e);
    assert.doesNotMatch(String(other.stack), /childFunctionInTheStack/);
  },
};

export const errorsFromACallback = {
  async test(_controller, env, ctx) {
    const seen = await child(env, ctx).catchError(() => {
      throw new TypeError("in the parent");
    });
    assert.deepStrictEqual(seen, ["TypeError", "in the parent", true]);
  },
};

export const streamsInBothDirections = {
  async test(_controller, env, ctx) {
    const stub = child(env, ctx);
    assert.strictEqual(await new Response(await stub.stream("from the child")).text(), "from the child");
    assert.strictEqual(await stub.read(new Response("to the child").body), "to the child");
  },
};

export const childCallsTheParentsEntrypoint = {
  async test(_controller, env, ctx) {
    const stub = child(env, ctx);
    assert.strictEqual(await stub.parentHello("Eve"), "hello Eve");
    assert.deepStrictEqual(await stub.parentCounter(), ["x"]);
    assert.deepStrictEqual(await stub.parentError(), ["SyntaxError", "from the parent", true]);
    assert.strictEqual(await stub.parentFetch(), "parent /path");
  },
};

export const callbackThroughChildAndParent = {
  async test(_controller, env, ctx) {
    assert.strictEqual(await child(env, ctx).parentCallsBack((text) => `test got ${text}`), "parent got test got a");
  },
};

export const callbackAfterTheMethodReturned = {
  async test(_controller, env, ctx) {
    const { promise, resolve } = Promise.withResolvers();
    await child(env, ctx).later((text) => resolve(text));
    assert.strictEqual(await promise, "later");
  },
};

export const pureRpcWithoutOutbound = {
  async test(_controller, env) {
    const source = "export default { async double(n) { return n * 2; } };";
    const worker = env.LOADER.load({
      compatibilityDate: "2026-03-01",
      mainModule: "m.js",
      modules: { "m.js": source },
      globalOutbound: null,
    });
    assert.strictEqual(await worker.getEntrypoint().double(21), 42);
  },
};

export const callsOverlap = {
  async test(_controller, env, ctx) {
    const stub = child(env, ctx);
    const { promise, resolve } = Promise.withResolvers();
    const blocked = stub.callFunction(() => promise);
    assert.strictEqual(await stub.echo("not blocked"), "not blocked");
    resolve("released");
    assert.strictEqual(await blocked, "released");
  },
};
