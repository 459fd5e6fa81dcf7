// A Worker that patches what every object inherits: others go on, and its own calls still mean what they say.
import assert from "node:assert";

const PATCHES = {
  species: `Object.defineProperty(Promise, Symbol.species, { get() { throw new Error("species"); }, configurable: true });`,
  then: `Promise.prototype.then = () => { throw new Error("then"); };`,
  constructor: `Object.defineProperty(Promise.prototype, "constructor", { get() { throw new Error("constructor"); } });`,
  indices: `for (const i of ["0", "1"]) {
    Object.defineProperty(Array.prototype, i, { set(v) { seen.push(v); }, configurable: true });
  }`,
  lists: `for (const proto of [Array.prototype, Object.prototype]) for (const i of [0, 1, 2]) {
    Object.defineProperty(proto, i, { set(v) { taken.push(this, v); }, get() { return undefined; }, configurable: true });
  }
  Object.defineProperty(Array.prototype, "constructor", { get() { taken.push(this); return Array; }, configurable: true });`,
  arrays: `Object.setPrototypeOf(Array.prototype, new Proxy({}, {
    has() { return false; },
    set(target, key, value, receiver) { taken.set(key, receiver); return true; },
  }));`,
  names: `for (const k of ["path", "handle", "kind", "promise", "state", "context", "root"]) {
    Object.defineProperty(Object.prototype, k, { set(v) { seen.push(v); }, get() { return undefined; }, configurable: true });
  }`,
  hasInstance: `for (const c of [RpcTarget, WorkerEntrypoint, Promise, Response, Error]) {
    Object.defineProperty(c, Symbol.hasInstance, { value() { throw new Error("instance"); } });
  }`,
  methods: `for (const p of [Array.prototype, Map.prototype, Set.prototype, WeakMap.prototype, String.prototype]) {
    for (const k of Object.getOwnPropertyNames(p)) {
      const { value } = Object.getOwnPropertyDescriptor(p, k);
      if (k !== "constructor" && typeof value === "function") p[k] = () => { throw new Error("method " + k); };
    }
  }`,
  streams: `for (const c of [ReadableStream, WritableStream, Headers, Request, Response]) {
    for (const k of Object.getOwnPropertyNames(c.prototype)) {
      if (k !== "constructor") Object.defineProperty(c.prototype, k, { get() { throw new Error("stream " + k); } });
    }
  }`,
};

const CHILD = `
  import { WorkerEntrypoint, RpcTarget } from "cloudflare:workers";
  const seen = [];
  const taken = new Map();
  taken.push = (object) => taken.set(object, true);
  const map = new Map([[1, 2]]);
  class Counter extends RpcTarget { #n = 0; add(n) { return this.#n += n; } }
  export default class extends WorkerEntrypoint {
    plain(a, b) { return { sum: a + b }; }
    counter() { return new Counter(); }
    async uses(f) {
      const object = f({ n: 1 });
      const sum = (await object.a.b.n) + (await object.deep.f(2));
      const awaited = await object;
      const text = await new Response(awaited.stream).text();
      awaited[Symbol.dispose]();
      return [sum, text, taken.size];
    }
    give() { return { text: "t", list: [1, 2], when: new Date(5), map }; }
    fail() { throw new TypeError("failed"); }
  }
  PATCH
`;

const load = (env, patch) =>
  env.LOADER.load({
    compatibilityDate: "2026-05-01",
    mainModule: "m.js",
    modules: { "m.js": CHILD.replace("PATCH", () => patch) },
  }).getEntrypoint();

async function check(env, patch) {
  const child = load(env, patch);
  const settled = await Promise.allSettled([child.plain(1, 2), child.give(), child.counter().add(3), child.fail()]);
  return settled.map(({ status, value, reason }) => (status === "fulfilled" ? value : `${reason.name}: ${reason.message}`));
}

const EXPECTED = [
  { sum: 3 },
  { text: "t", list: [1, 2], when: new Date(5), map: new Map([[1, 2]]) },
  3,
  "TypeError: failed",
];

export const patchedIndices = {
  async test(_controller, env) {
    assert.deepStrictEqual(await check(env, PATCHES.indices), EXPECTED);
    assert.deepStrictEqual(await check(env, ""), EXPECTED);
  },
};

export const patchedNames = {
  async test(_controller, env) {
    assert.deepStrictEqual(await check(env, PATCHES.names), EXPECTED);
    assert.deepStrictEqual(await check(env, ""), EXPECTED);
  },
};

export const patchedHasInstance = {
  async test(_controller, env) {
    assert.deepStrictEqual(await check(env, PATCHES.hasInstance), EXPECTED);
    assert.deepStrictEqual(await check(env, ""), EXPECTED);
  },
};

export const patchedMethods = {
  async test(_controller, env) {
    assert.deepStrictEqual(await check(env, PATCHES.methods), EXPECTED);
    assert.deepStrictEqual(await check(env, ""), EXPECTED);
  },
};

export const patchedStreams = {
  async test(_controller, env) {
    assert.deepStrictEqual(await check(env, PATCHES.streams), EXPECTED);
    assert.deepStrictEqual(await check(env, ""), EXPECTED);
  },
};

// What promises themselves do goes wrong in the Worker that patches them, and nowhere else.
export const patchedPromisesHarmNobodyElse = {
  async test(_controller, env) {
    for (const kind of ["species", "then", "constructor"]) {
      const settled = await check(env, PATCHES[kind]);
      assert.strictEqual(settled.length, EXPECTED.length);
      assert.deepStrictEqual(await check(env, ""), EXPECTED);
    }
  },
};

const served = ({ n }) => ({ a: { b: { n } }, deep: { f: (x) => x + 1 }, stream: new Response("streamed").body });

// What the runtime lists for itself is neither changed by setters, species or prototypes, nor handed to them.
export const patchedLists = {
  async test(_controller, env) {
    for (const kind of ["lists", "arrays"]) {
      assert.deepStrictEqual(await load(env, PATCHES[kind]).uses(served), [4, "streamed", 0], kind);
    }
  },
};

export const patchedDescriptors = {
  async test(_controller, env) {
    const child = load(env, "");
    child.mine = 5;
    Object.defineProperty(Object.prototype, "get", { value: () => 6, configurable: true });
    let own;
    try {
      own = Object.getOwnPropertyDescriptor(child, "mine");
    } finally {
      delete Object.prototype.get;
    }
    assert.strictEqual(own.value, 5);
  },
};
