// `env` of a dynamic Worker: values by structured clone, services by reference, everything else refused.
import assert from "node:assert";
import { RpcStub, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

const CHILD = `
  import { env as importedEnv } from "cloudflare:workers";
  const keysAtTopLevel = Object.keys(importedEnv);
  export default {
    async fetch(request, env) { return new Response("number " + env.NUMBER); },
    async read(key, env) { return env[key]; },
    async keys(arg, env) { return [keysAtTopLevel, Object.keys(env), importedEnv[arg] === env[arg]]; },
    async kind(key, env) { return Object.prototype.toString.call(env[key]).slice(8, -1); },
    async hello([key, name], env) { return await env[key].hello(name); },
    async fetchFrom(key, env) { return await (await env[key].fetch("http://s.example/path")).text(); },
    async helloNested(name, env) { return [await env.group.a.hello(name), await env.group.list[0].hello(name)]; },
    async change(arg, env) { env.list.push("changed"); return env.list.length; },
  };
`;

const load = (env, childEnv) =>
  env.LOADER.load({
    compatibilityDate: "2026-03-01",
    mainModule: "main.js",
    modules: { "main.js": CHILD },
    env: childEnv,
  }).getEntrypoint();

const NOT_TRANSFERABLE =
  /^Entrypoints to dynamically-loaded workers cannot be transferred to other Workers, because /;

export class Parent extends WorkerEntrypoint {
  async hello(name) {
    return `${this.ctx.props.word} ${name}`;
  }
  async fetch(request) {
    return new Response(`${this.ctx.props.word} ${new URL(request.url).pathname}`);
  }
}

export const absentEnvIsEmpty = {
  async test(_controller, env) {
    assert.deepStrictEqual((await load(env, undefined).keys("x")).slice(0, 2), [[], []]);
    assert.deepStrictEqual((await load(env, {}).keys("x")).slice(0, 2), [[], []]);
  },
};

export const parentEnvIsNotInherited = {
  async test(_controller, env) {
    assert.strictEqual(env.TEXT, "a var");
    assert.strictEqual(await load(env, {}).read("TEXT"), undefined);
  },
};

export const valuesReachFetchAndRpc = {
  async test(_controller, env) {
    const stub = load(env, { NUMBER: 123 });
    assert.strictEqual(await (await stub.fetch("http://c.example/")).text(), "number 123");
    assert.strictEqual(await stub.read("NUMBER"), 123);
  },
};

export const importedEnvIsTheSameObject = {
  async test(_controller, env) {
    assert.deepStrictEqual(await load(env, { a: { b: 1 }, c: 2 }).keys("a"), [["a", "c"], ["a", "c"], true]);
  },
};

export const cloneableValues = {
  async test(_controller, env) {
    const values = {
      text: "t",
      number: -0,
      big: 10n ** 20n,
      yes: true,
      nothing: null,
      missing: undefined,
      date: new Date(5),
      regexp: /a/gi,
      map: new Map([[{ k: 1 }, new Set([1])]]),
      list: [1, [2]],
      bytes: new Uint8Array([1, 2]),
      object: { deep: { er: [] } },
    };
    const stub = load(env, values);
    for (const [key, value] of Object.entries(values)) assert.deepStrictEqual(await stub.read(key), value, key);
    assert.strictEqual(await stub.kind("map"), "Map");
    assert.strictEqual(await stub.kind("bytes"), "Uint8Array");
  },
};

export const errorsAndBuffers = {
  async test(_controller, env) {
    const stub = load(env, { error: new RangeError("as a value"), buffer: new ArrayBuffer(8) });
    assert.strictEqual(await stub.kind("error"), "Error");
    assert.strictEqual((await stub.read("error")).message, "as a value");
    assert.strictEqual(await stub.kind("buffer"), "ArrayBuffer");
  },
};

export const envIsCapturedAtTheCall = {
  async test(_controller, env) {
    const childEnv = { list: ["first"] };
    const stub = load(env, childEnv);
    childEnv.list.push("second");
    childEnv.added = 1;
    assert.deepStrictEqual(await stub.read("list"), ["first"]);
    assert.strictEqual(await stub.read("added"), undefined);
    assert.strictEqual(await stub.change(0), 2);
    assert.deepStrictEqual(childEnv.list, ["first", "second"]);
  },
};

export const loopbackStubs = {
  async test(_controller, env, ctx) {
    const stub = load(env, {
      A: ctx.exports.Parent({ props: { word: "hello" } }),
      B: ctx.exports.Parent({ props: { word: "goodbye" } }),
    });
    assert.strictEqual(await stub.hello(["A", "x"]), "hello x");
    assert.strictEqual(await stub.hello(["B", "x"]), "goodbye x");
    assert.strictEqual(await stub.fetchFrom("B"), "goodbye /path");
  },
};

export const serviceBindings = {
  async test(_controller, env) {
    const stub = load(env, { SERVICE: env.SELF_SERVICE });
    assert.strictEqual(await stub.hello(["SERVICE", "x"]), "bound x");
    assert.strictEqual(await stub.fetchFrom("SERVICE"), "bound /path");
  },
};

export const servicesInsideValues = {
  async test(_controller, env, ctx) {
    const group = {
      a: ctx.exports.Parent({ props: { word: "in object" } }),
      list: [ctx.exports.Parent({ props: { word: "in list" } })],
    };
    assert.deepStrictEqual(await load(env, { group }).helloNested("x"), ["in object x", "in list x"]);
  },
};

export const servicesKeepWorkingInANamedWorker = {
  async test(_controller, _env, ctx) {
    assert.strictEqual(await ctx.exports.user.viaNamed("first"), "named first");
    assert.strictEqual(await ctx.exports.user.viaNamed("second"), "named second");
  },
};

export const user = {
  async viaNamed(name, env, ctx) {
    const stub = env.LOADER.get("named", () => ({
      compatibilityDate: "2026-03-01",
      mainModule: "main.js",
      modules: { "main.js": CHILD },
      env: { S: ctx.exports.Parent({ props: { word: "named" } }) },
    }));
    return await stub.getEntrypoint().hello(["S", name]);
  },
};

export const dynamicEntrypointIsRefused = {
  async test(_controller, env) {
    const other = load(env, {});
    assert.throws(() => load(env, { other }), { name: "DataCloneError", message: NOT_TRANSFERABLE });
  },
};

export const uncalledLoopbackIsRefused = {
  async test(_controller, env, ctx) {
    assert.throws(() => load(env, { service: ctx.exports.Parent }), {
      name: "DataCloneError",
      message: 'Could not serialize object of type "LoopbackServiceStub". This type does not support serialization.',
    });
  },
};

export const classInstancesAreRefused = {
  async test(_controller, env) {
    class Point {}
    assert.throws(() => load(env, { point: new Point() }), {
      name: "DataCloneError",
      message: 'Could not serialize object of type "Point". This type does not support serialization.',
    });
  },
};

export const symbolsStreamsAndPromisesAreRefused = {
  async test(_controller, env) {
    for (const value of [Symbol("s"), new ReadableStream(), Promise.resolve(1), new WeakMap()]) {
      assert.throws(() => load(env, { value }), { name: "DataCloneError" });
    }
  },
};


const REFUSED_IN_PROPS = {
  functions: [() => 1, "() => 1 could not be cloned."],
  targets: [new (class extends RpcTarget {})(), "Remote RPC references can only be serialized for RPC."],
  readables: [new ReadableStream(), "ReadableStream can only be serialized for RPC."],
  writables: [new WritableStream(), "WritableStream can only be serialized for RPC."],
  symbols: [Symbol("s"), "Symbol(s) could not be cloned."],
  promises: [Promise.resolve(), "#<Promise> could not be cloned."],
  proxies: [new Proxy({}, {}), "#<Object> could not be cloned."],
  weakMaps: [new WeakMap(), "#<WeakMap> could not be cloned."],
  urls: [
    new URL("http://x/"),
    'Could not serialize object of type "URL". This type does not support serialization.',
  ],
};

export const propsRefuseWhatEnvRefuses = {
  async test(_controller, env, ctx) {
    const worker = env.LOADER.load({ compatibilityDate: "2026-03-01", mainModule: "main.js", modules: { "main.js": CHILD } });
    for (const [name, [value, message]] of Object.entries(REFUSED_IN_PROPS)) {
      const refused = { name: "DataCloneError", message };
      assert.throws(() => worker.getEntrypoint(null, { props: { value } }), refused, name);
      assert.throws(() => ctx.exports.Parent({ props: { value } }), refused, name);
    }
    const stub = new RpcStub(() => 1);
    assert.throws(() => worker.getEntrypoint(null, { props: { stub } }), {
      name: "DataCloneError",
      message: "RpcStub cannot be serialized in this context because it is not a persistent stub.",
    });
    assert.throws(() => worker.getEntrypoint(null, { props: { request: new Response("body") } }), {
      message: "ReadableStream can only be serialized for RPC.",
    });
  },
};

export const servicesAndHttpTypesCross = {
  async test(_controller, env) {
    const values = {
      headers: new Headers({ a: "b" }), request: new Request("http://x/"), blob: new Blob(["x"]),
      response: new Response(null), dom: new DOMException("m", "AbortError"), undef: undefined, nan: NaN,
    };
    const kinds = ["Headers", "Request", "Blob", "Response", "DOMException", "Undefined", "Number"];
    const child = load(env, values);
    for (const [index, key] of Object.keys(values).entries()) assert.strictEqual(await child.kind(key), kinds[index]);
  },
};

const SHAPE = `export default {
  async shape(arg, env, ctx) { return [Object.keys(env), env.a, Object.keys(ctx.props), ctx.props.a]; },
};`;
const shaped = (env, childEnv) =>
  env.LOADER.load({ compatibilityDate: "2026-03-01", mainModule: "main.js", modules: { "main.js": SHAPE }, env: childEnv });

export const ownEnumerablePropertiesOnly = {
  async test(_controller, env) {
    const value = Object.defineProperty({ a: 1 }, "hidden", { value: 2 });
    value[Symbol("s")] = 3;
    const child = shaped(env, value).getEntrypoint(null, { props: value });
    assert.deepStrictEqual(await child.shape(1), [["a"], 1, ["a"], 1]);
    const got = { get a() { return 7; } };
    assert.deepStrictEqual(await shaped(env, got).getEntrypoint(null, { props: got }).shape(1), [["a"], 7, ["a"], 7]);
  },
};

export const envAndPropsMustBeObjects = {
  async test(_controller, env, ctx) {
    const worker = shaped(env, {});
    for (const value of [null, 5, "text", true]) {
      assert.throws(() => shaped(env, value), {
        name: "TypeError",
        message: "Incorrect type for the 'env' field on 'WorkerCode': the provided value is not of type 'Object'.",
      });
      assert.throws(() => worker.getEntrypoint(null, { props: value }), {
        name: "TypeError",
        message: "Incorrect type for the 'props' field on 'EntrypointOptions': the provided value is not of type 'Object'.",
      });
      assert.throws(() => ctx.exports.Parent({ props: value }), {
        name: "TypeError",
        message: "Incorrect type for the 'props' field on 'Options': the provided value is not of type 'Object'.",
      });
    }
    for (const options of [5, "text"]) {
      assert.throws(() => worker.getEntrypoint(null, options), {
        name: "TypeError",
        message: "Failed to execute 'getEntrypoint' on 'WorkerStub': parameter 2 is not of type 'EntrypointOptions'.",
      });
    }
    for (const options of [[], [5], ["text"]]) {
      assert.throws(() => ctx.exports.Parent(...options), {
        name: "TypeError",
        message:
          "Failed to execute '(called as function)' on 'LoopbackServiceStub': parameter 1 is not of type 'Options'.",
      });
    }
    assert.deepStrictEqual(await worker.getEntrypoint(null, null).shape(1), [[], undefined, [], undefined]);
  },
};
