// `load(code)`: one Worker from a value, its validation (synchronous) and what is captured at the time of the call.
import assert from "node:assert";
import { env as importedEnv } from "cloudflare:workers";

const DATE = "2026-03-01";
const ECHO = `
  let calls = 0;
  export default {
    async echo(arg) { return arg; },
    async count() { return ++calls; },
    async fetch(request, env) { return new Response(request.method + " " + new URL(request.url).pathname); },
  };
`;
const worker = (source, extra) => ({
  compatibilityDate: DATE,
  mainModule: "main.js",
  modules: { "main.js": source },
  ...extra,
});

let globalScopeError = null;
try {
  importedEnv.LOADER.load(worker(ECHO));
} catch (error) {
  globalScopeError = error;
}

export const loadReturnsAStubSynchronously = {
  async test(_controller, env) {
    const stub = env.LOADER.load(worker(ECHO));
    assert.strictEqual(typeof stub.getEntrypoint, "function");
    assert.strictEqual(stub.then, undefined);
    assert.strictEqual(await stub.getEntrypoint().echo("x"), "x");
  },
};

export const awaitingTheStubGivesTheStub = {
  async test(_controller, env) {
    const stub = env.LOADER.load(worker(ECHO));
    assert.strictEqual(await stub, stub);
    const awaited = await env.LOADER.load(worker(ECHO));
    assert.strictEqual(await awaited.getEntrypoint().echo(1), 1);
  },
};

export const fetchThroughTheDefaultEntrypoint = {
  async test(_controller, env) {
    const response = await env.LOADER.load(worker(ECHO))
      .getEntrypoint()
      .fetch("http://child.example/p", { method: "PUT" });
    assert.ok(response instanceof Response);
    assert.strictEqual(await response.text(), "PUT /p");
  },
};

export const requestObjectReachesTheChild = {
  async test(_controller, env) {
    const source = `export default { async fetch(r) { return Response.json({ b: await r.text(), h: r.headers.get("x-h") },
      { status: 202, headers: { "x-child": "1" } }); } };`;
    const request = new Request("http://child.example/", { method: "POST", body: "body", headers: { "x-h": "v" } });
    const response = await env.LOADER.load(worker(source)).getEntrypoint().fetch(request);
    assert.strictEqual(response.status, 202);
    assert.strictEqual(response.headers.get("x-child"), "1");
    assert.deepStrictEqual(await response.json(), { b: "body", h: "v" });
  },
};

export const stateLivesAsLongAsTheStub = {
  async test(_controller, env) {
    const stub = env.LOADER.load(worker(ECHO));
    const entrypoint = stub.getEntrypoint();
    assert.strictEqual(await entrypoint.count(0), 1);
    assert.strictEqual(await entrypoint.count(0), 2);
    assert.strictEqual(await stub.getEntrypoint().count(0), 3);
  },
};

export const everyLoadIsANewWorker = {
  async test(_controller, env) {
    const code = worker(ECHO);
    assert.strictEqual(await env.LOADER.load(code).getEntrypoint().count(0), 1);
    assert.strictEqual(await env.LOADER.load(code).getEntrypoint().count(0), 1);
  },
};

export const childHasItsOwnGlobals = {
  async test(_controller, env) {
    globalThis.leaked = "from the parent";
    const source = `globalThis.fromChild = 1; export default { async look() { return typeof leaked; } };`;
    assert.strictEqual(await env.LOADER.load(worker(source)).getEntrypoint().look(0), "undefined");
    assert.strictEqual(typeof fromChild, "undefined");
    delete globalThis.leaked;
  },
};

export const severalWorkersAtOnce = {
  async test(_controller, env) {
    const stubs = [1, 2, 3].map((n) => env.LOADER.load(worker(`export default { async n() { return ${n}; } };`)));
    const results = await Promise.all(stubs.map((stub) => stub.getEntrypoint().n(null)));
    assert.deepStrictEqual(results, [1, 2, 3]);
  },
};

export const callsBeforeStartupFinishedKeepTheirOrder = {
  async test(_controller, env) {
    const entrypoint = env.LOADER.load(worker(ECHO)).getEntrypoint();
    assert.deepStrictEqual(
      await Promise.all([entrypoint.count(0), entrypoint.count(0), entrypoint.count(0)]),
      [1, 2, 3],
    );
  },
};

export const codeIsCapturedAtTheCall = {
  async test(_controller, env) {
    const code = worker(ECHO);
    const stub = env.LOADER.load(code);
    code.modules["main.js"] = "throw new Error('changed later');";
    code.mainModule = "gone.js";
    assert.strictEqual(await stub.getEntrypoint().echo("captured"), "captured");
  },
};

export const resizableBuffersAreCaptured = {
  async test(_controller, env) {
    const buffer = new ArrayBuffer(3, { maxByteLength: 10 });
    new Uint8Array(buffer).set([1, 2, 3]);
    const source = `import data from "data.bin"; export default { async sum() { return [...new Uint8Array(data)].join(); } };`;
    const stub = env.LOADER.load(worker(source, { modules: { "main.js": source, "data.bin": { data: buffer } } }));
    buffer.resize(0);
    assert.strictEqual(await stub.getEntrypoint().sum(0), "1,2,3");
  },
};

export const unknownKeysAreIgnored = {
  async test(_controller, env) {
    const stub = env.LOADER.load(worker(ECHO, { code: "not used beside modules", whatever: 1 }));
    assert.strictEqual(await stub.getEntrypoint().echo(5), 5);
  },
};

export const dateAndFlagsBelongToTheChild = {
  async test(_controller, env) {
    const source = `export default { async look() { return typeof process; } };`;
    const plain = env.LOADER.load(worker(source, { compatibilityDate: "2025-01-01" }));
    assert.strictEqual(await plain.getEntrypoint().look(0), "undefined");
    const node = env.LOADER.load(
      worker(source, { compatibilityDate: "2025-01-01", compatibilityFlags: ["nodejs_compat"] }),
    );
    assert.strictEqual(await node.getEntrypoint().look(0), "object");
  },
};

export const badCompatibilityDateThrows = {
  async test(_controller, env) {
    for (const date of ["tomorrow", "2026-13-01", "2026-3-1", ""]) {
      assert.throws(() => env.LOADER.load(worker(ECHO, { compatibilityDate: date })), {
        name: "Error",
        message: `Invalid compatibility date: ${date}`,
      });
    }
    const { compatibilityDate: _, ...missing } = worker(ECHO);
    assert.throws(() => env.LOADER.load(missing), { message: "Invalid compatibility date: undefined" });
  },
};

export const futureCompatibilityDateThrows = {
  async test(_controller, env) {
    assert.throws(() => env.LOADER.load(worker(ECHO, { compatibilityDate: "2999-01-01" })), {
      message: /2999-01-01/,
    });
  },
};

export const badCompatibilityFlagsThrow = {
  async test(_controller, env) {
    const load = (flags) => () => env.LOADER.load(worker(ECHO, { compatibilityFlags: flags }));
    assert.throws(load(["no_such_flag"]), { message: "No such compatibility flag: no_such_flag" });
    assert.throws(load(["nodejs_compat", "nodejs_compat"]), {
      message: "Compatibility flag specified multiple times: nodejs_compat",
    });
    assert.throws(load(["nodejs_compat", "no_nodejs_compat"]), {
      message: /^Compatibility flags are mutually contradictory: /,
    });
  },
};

export const allowExperimentalNeedsTheFlag = {
  async test(_controller, env) {
    assert.throws(() => env.LOADER.load(worker(ECHO, { allowExperimental: true })), {
      name: "Error",
      message: "'allowExperimental' is only allowed when the calling worker has the 'experimental' compat flag set.",
    });
  },
};

export const wrongTypesThrow = {
  async test(_controller, env) {
    assert.throws(() => env.LOADER.load(worker(ECHO, { modules: "text" })), {
      name: "TypeError",
      message: "Incorrect type for the 'modules' field on 'WorkerCode': the provided value is not of type 'object'.",
    });
    assert.throws(() => env.LOADER.load(worker(ECHO, { env: null })), {
      name: "TypeError",
      message: "Incorrect type for the 'env' field on 'WorkerCode': the provided value is not of type 'Object'.",
    });
    assert.throws(() => env.LOADER.load(), { name: "TypeError" });
    assert.throws(() => env.LOADER.load("text"), { name: "TypeError" });
  },
};

export const noModulesThrows = {
  async test(_controller, env) {
    assert.throws(() => env.LOADER.load(worker(ECHO, { modules: {} })), {
      name: "TypeError",
      message: "Dynamic Worker code must contain at least one module.",
    });
  },
};

export const missingMainModuleRejectsOnUse = {
  async test(_controller, env) {
    const stub = env.LOADER.load(worker(ECHO, { mainModule: "other.js" }));
    await assert.rejects(
      stub.getEntrypoint().echo(1),
      /No such module: other\.js|Main module name is not present in bundle/,
    );
  },
};

export const syntaxErrorRejectsOnUse = {
  async test(_controller, env) {
    const stub = env.LOADER.load(worker("export default {"));
    await assert.rejects(stub.getEntrypoint().echo(1), /SyntaxError/);
    await assert.rejects(stub.getEntrypoint().fetch("http://x.example/"), /SyntaxError/);
  },
};

export const notAllowedAtTopLevel = {
  async test() {
    assert.ok(globalScopeError instanceof Error);
    assert.match(globalScopeError.message, /^Disallowed operation called within global scope\./);
  },
};

export const loaderAndStubCannotBeSent = {
  async test(_controller, env) {
    const stub = env.LOADER.load(worker(ECHO));
    assert.throws(() => env.LOADER.load(worker(ECHO, { env: { stub } })), { name: "DataCloneError" });
    assert.throws(() => env.LOADER.load(worker(ECHO, { env: { loader: env.LOADER } })), { name: "DataCloneError" });
    await assert.rejects(stub.getEntrypoint().echo(stub), { name: "DataCloneError" });
  },
};

export const methodsCheckTheirReceiver = {
  async test(_controller, env) {
    const { get, load } = env.LOADER;
    const stub = env.LOADER.load(worker(ECHO));
    const { getEntrypoint } = stub;
    for (const call of [
      () => load(worker(ECHO)),
      () => get.call({}, "id", () => worker(ECHO)),
      () => load.call(stub, worker(ECHO)),
      () => getEntrypoint(),
      () => getEntrypoint.call(env.LOADER),
    ]) {
      assert.throws(call, { name: "TypeError", message: /^Illegal invocation: function called with incorrect `this` reference\./ });
    }
  },
};
