// Each field of WorkerCode with wrong and odd values: `load` throws at once, `get` rejects on use, with the same text.
import assert from "node:assert";

const SOURCE = "export default { async ask() { return 'ran'; } };";
const code = (extra) => ({
  compatibilityDate: "2026-03-01",
  mainModule: "main.js",
  modules: { "main.js": SOURCE },
  ...extra,
});
const named = (name, value) => code({ modules: { "main.js": SOURCE, [name]: value } });

async function refused(env, given, name, message) {
  assert.throws(() => env.LOADER.load(given), { name, message });
  await assert.rejects(env.LOADER.get(null, () => given).getEntrypoint().ask(0), { name, message });
  await assert.rejects(env.LOADER.get(null, async () => given).getEntrypoint().ask(0), { name, message });
}

async function accepted(env, given) {
  assert.strictEqual(await env.LOADER.load(given).getEntrypoint().ask(0), "ran");
  assert.strictEqual(await env.LOADER.get(null, () => given).getEntrypoint().ask(0), "ran");
}

const wrongType = (field, type, dictionary = "WorkerCode") =>
  `Incorrect type for the '${field}' field on '${dictionary}': the provided value is not of type '${type}'.`;

export const compatibilityDate = {
  async test(_controller, env) {
    for (const date of ["x", "2026-1-01", "1999-01-01", "2026-13-01", "2026-00-10", "2026-01-32", "", null, 5]) {
      await refused(env, code({ compatibilityDate: date }), "Error", `Invalid compatibility date: ${date}`);
    }
    await refused(env, code({ compatibilityDate: undefined }), "Error", "Invalid compatibility date: undefined");
    await refused(env, code({ compatibilityDate: Symbol("s") }), "TypeError", "Cannot convert a Symbol value to a string");
    for (const date of ["2022-02-30", "2000-01-01", "2026-11-17"]) await accepted(env, code({ compatibilityDate: date }));
  },
};

export const compatibilityDateInTheFuture = {
  async test(_controller, env) {
    const newest = /^This Worker requires compatibility date "2999-01-01", but the newest date supported by this server binary is "\d{4}-\d\d-\d\d"\.$/;
    await refused(env, code({ compatibilityDate: "2999-01-01" }), "Error", newest);
  },
};

export const compatibilityFlags = {
  async test(_controller, env) {
    for (const flags of ["rpc", null, {}, new Set(["rpc"]), 5]) {
      await refused(env, code({ compatibilityFlags: flags }), "TypeError", wrongType("compatibilityFlags", "Array"));
    }
    const check = (flags, message) => refused(env, code({ compatibilityFlags: flags }), "Error", message);
    await check(["no_such_flag"], "No such compatibility flag: no_such_flag");
    await check([1], "No such compatibility flag: 1");
    await check(["rpc", "rpc"], "Compatibility flag specified multiple times: rpc");
    await check(["rpc", "no_rpc"], "Compatibility flags are mutually contradictory: rpc vs no_rpc");
    await check(["none", "rpc", "rpc"], "Compatibility flag specified multiple times: rpc");
    await check(["none", "none"], "Compatibility flag specified multiple times: none");
    await check(["none", "rpc", "no_rpc"], "Compatibility flags are mutually contradictory: rpc vs no_rpc");
    await check(["none", "nothing"], "No such compatibility flag: none");
    await check(["no_rpc", "rpc"], "Compatibility flags are mutually contradictory: rpc vs no_rpc");
    await accepted(env, code({ compatibilityFlags: ["rpc"] }));
  },
};

export const flagsThatTheReferenceKnows = {
  async test(_controller, env) {
    const flags = [
      "no_minimal_subrequests",
      "dynamic_dispatch_treat_exceptions_as_500",
      "global_importscripts",
      "disable_navigator_language",
      "allow_importable_env",
      "fixup-transform-stream-backpressure",
      "do_not_bind_asynclocalstorage_snapshot_to-request",
      "require_returns_namespace",
      "legacy_module_registry",
      "no_nodejs_global_timers",
    ];
    await accepted(env, code({ compatibilityFlags: flags }));
    for (const invented of ["no_dispatch_exception_tunneling", "no_navigator_language", "no_substitute_null"]) {
      const message = `No such compatibility flag: ${invented}`;
      await refused(env, code({ compatibilityFlags: [invented] }), "Error", message);
    }
  },
};

export const allowExperimental = {
  async test(_controller, env) {
    for (const value of [true, 1, "false", {}]) {
      await accepted(env, code({ allowExperimental: value, compatibilityFlags: ["experimental", "unsafe_module"] }));
    }
    for (const value of [false, null, 0, ""]) await accepted(env, code({ allowExperimental: value }));
  },
};

export const limits = {
  async test(_controller, env) {
    for (const value of [5, "x", true]) {
      await refused(env, code({ limits: value }), "TypeError", wrongType("limits", "ResourceLimits"));
    }
    for (const value of [null, [], () => 1, {}, { cpuMs: null }, { cpuMs: 1500.5 }, { cpuMs: "1500" }, { subRequests: 5 }]) {
      await accepted(env, code({ limits: value }));
    }
    const texts = [
      [-1, "The value cannot be converted because it is negative and this API expects a positive number."],
      [4294967296, "Value out of range. Must be less than or equal to 4294967295."],
      ["abc", "The value cannot be converted because it is not an integer."],
      [NaN, "The value cannot be converted because it is not an integer."],
      [Infinity, "The value cannot be converted because it is not an integer."],
      [{}, "The value cannot be converted because it is not an integer."],
    ];
    for (const [value, message] of texts) {
      await refused(env, code({ limits: { cpuMs: value } }), "TypeError", message);
      await refused(env, code({ limits: { subRequests: value } }), "TypeError", message);
    }
    await refused(env, code({ limits: { cpuMs: 5n } }), "TypeError", /^Cannot convert a BigInt value to a number$/);
  },
};

export const mainModule = {
  async test(_controller, env) {
    await refused(env, code({ mainModule: Symbol("s") }), "TypeError", "Cannot convert a Symbol value to a string");
    for (const value of [undefined, null, 5, ""]) {
      const stub = env.LOADER.load(code({ mainModule: value }));
      await assert.rejects(stub.getEntrypoint().ask(0), {
        name: "Error",
        message: `Failed to start Worker:\nUncaught Error: No such module: ${value === "" ? "." : value}`,
      });
    }
  },
};

export const modules = {
  async test(_controller, env) {
    for (const value of [undefined, null, [], ["main.js"], 5, "text", true]) {
      await refused(env, code({ modules: value }), "TypeError", wrongType("modules", "object"));
    }
    for (const value of [{}, () => 1, new Map(), { [Symbol("s")]: SOURCE }]) {
      await refused(env, code({ modules: value }), "TypeError", "Dynamic Worker code must contain at least one module.");
    }
    await accepted(env, named(Symbol("ignored"), 5));
    await accepted(env, code({ modules: Object.create({ "proto.js": "syntax error" }, { "main.js": { value: SOURCE, enumerable: true } }) }));
  },
};

export const contentThatIsNoObject = {
  async test(_controller, env) {
    const ending = (name) =>
      `Module name must end with '.js' or '.py' (or the content must be an object indicating the type explicitly). Got: ${name}`;
    for (const value of [5, true, 5n]) await refused(env, named("x", value), "TypeError", ending("x"));
    for (const value of [5, true]) await accepted(env, named("x.js", value));
    await refused(env, named("x", Symbol("s")), "TypeError", "Cannot convert a Symbol value to a string");
  },
};

export const contentWithoutAKind = {
  async test(_controller, env) {
    const message = (n) =>
      "Each module must contain exactly one of 'js', 'cjs', 'text', 'data', 'json', 'py', or 'wasm'. " +
      `Module 'x.js' contained ${n} properties.`;
    for (const value of [null, undefined, {}, [], ["js"], () => 1, new Date(0), new ArrayBuffer(1), { js: undefined }]) {
      await refused(env, named("x.js", value), "TypeError", message(0));
    }
    await refused(env, named("x.js", { js: "", cjs: "", text: "" }), "TypeError", message(3));
    await accepted(env, named("x.js", { js: undefined, text: "text" }));
    await accepted(env, named("x.js", Object.create({ text: "inherited" })));
  },
};

export const contentOfAWrongType = {
  async test(_controller, env) {
    for (const value of ["text", 5, null, {}]) {
      await refused(env, named("x", { data: value }), "TypeError", wrongType("data", "Array", "Module"));
      await refused(env, named("x", { wasm: value }), "TypeError", wrongType("wasm", "Array or WasmModuleObject", "Module"));
    }
    for (const value of [5, null, true]) {
      await accepted(env, named("x", { js: value }));
      await accepted(env, named("x", { cjs: value }));
      await accepted(env, named("x", { text: value }));
    }
    await refused(env, named("x", { js: Symbol("s") }), "TypeError", "Cannot convert a Symbol value to a string");
    await refused(env, named("x", { json: 5n }), "TypeError", "Do not know how to serialize a BigInt");
    await assert.rejects(env.LOADER.load(named("x", { json: () => 1 })).getEntrypoint().ask(0), {
      message: /^Failed to start Worker:\nUncaught SyntaxError: "undefined" is not valid JSON/,
    });
  },
};

export const envField = {
  async test(_controller, env) {
    for (const value of [null, 5, "text", true]) {
      await refused(env, code({ env: value }), "TypeError", wrongType("env", "Object"));
    }
    for (const value of [[1], new Map([["a", 1]]), new Date(0), { a: undefined }]) await accepted(env, code({ env: value }));
    await refused(env, code({ env: { a: Symbol("s") } }), "DataCloneError", "Symbol(s) could not be cloned.");
  },
};

export const globalOutbound = {
  async test(_controller, env) {
    for (const value of [5, "text", { fetch() {} }, false, () => 1]) {
      await refused(env, code({ globalOutbound: value }), "TypeError", wrongType("globalOutbound", "Fetcher"));
    }
    for (const value of [undefined, null]) await accepted(env, code({ globalOutbound: value }));
  },
};

export const tails = {
  async test(_controller, env) {
    for (const field of ["tails", "streamingTails"]) {
      for (const value of [5, null, "text", {}]) {
        await refused(env, code({ [field]: value }), "TypeError", wrongType(field, "Array"));
      }
      for (const value of [5, null, {}]) {
        const message = "Incorrect type for array element 0: the provided value is not of type 'Fetcher'.";
        await refused(env, code({ [field]: [value] }), "TypeError", message);
      }
    }
    for (const value of [undefined, []]) await accepted(env, code({ tails: value }));
    const message =
      "Streaming tail workers are experimental. You must pass the option 'allowExperimental: true' to the worker loader to use them";
    await refused(env, code({ streamingTails: [] }), "Error", message);
  },
};

export const fieldsAreReadInOrder = {
  async test(_controller, env) {
    const order = [];
    const values = code();
    const proxy = new Proxy({}, { get: (_, key) => (order.push(key), values[key]) });
    assert.strictEqual(await env.LOADER.load(proxy).getEntrypoint().ask(0), "ran");
    const fields = "compatibilityDate,compatibilityFlags,allowExperimental,limits,mainModule,modules,env,globalOutbound,tails,streamingTails";
    assert.strictEqual(order.join(), fields);
  },
};

export const typesComeBeforeContents = {
  async test(_controller, env) {
    await refused(env, { compatibilityDate: "x" }, "TypeError", wrongType("modules", "object"));
    await refused(env, code({ compatibilityDate: "x", env: 5 }), "TypeError", wrongType("env", "Object"));
    const empty = "Dynamic Worker code must contain at least one module.";
    await refused(env, code({ compatibilityDate: "x", modules: {} }), "TypeError", empty);
  },
};

export const argumentsOfLoadAndGet = {
  async test(_controller, env) {
    const load = "Failed to execute 'load' on 'WorkerLoader': parameter 1 is not of type 'WorkerCode'.";
    for (const value of [5, "text", true]) assert.throws(() => env.LOADER.load(value), { name: "TypeError", message: load });
    assert.throws(() => env.LOADER.load(), { name: "TypeError", message: load });
    for (const value of [() => 1, []]) {
      assert.throws(() => env.LOADER.load(value), { name: "TypeError", message: wrongType("modules", "object") });
    }
    const get = (n, type) => `Failed to execute 'get' on 'WorkerLoader': parameter ${n} is not of type '${type}'.`;
    assert.throws(() => env.LOADER.get(), { name: "TypeError", message: get(1, "string") });
    for (const value of [undefined, null, 5, "text", {}]) {
      assert.throws(() => env.LOADER.get("x", value), { name: "TypeError", message: get(2, "function") });
    }
    assert.throws(() => env.LOADER.get(Symbol("s"), () => code()), { name: "TypeError" });
  },
};

export const whatTheCallbackGives = {
  async test(_controller, env) {
    const ask = (value) => env.LOADER.get(null, () => value).getEntrypoint().ask(0);
    for (const value of [5, "text", true]) {
      await assert.rejects(ask(value), { name: "TypeError", message: "Callback returned incorrect type; expected 'Promise'" });
    }
    for (const value of [() => 1, [], {}]) {
      await assert.rejects(ask(value), { name: "TypeError", message: wrongType("modules", "object") });
    }
    for (const value of [undefined, null]) await assert.rejects(ask(value), { name: "TypeError" });
    assert.strictEqual(await ask({ then: (resolve) => resolve(code()) }), "ran");
  },
};

export const optionsOfGetEntrypoint = {
  async test(_controller, env) {
    const stub = env.LOADER.load(code());
    const options = "Failed to execute 'getEntrypoint' on 'WorkerStub': parameter 2 is not of type 'EntrypointOptions'.";
    for (const value of [5, "text", true]) {
      assert.throws(() => stub.getEntrypoint(undefined, value), { name: "TypeError", message: options });
    }
    for (const props of [5, "text", null]) {
      const message = wrongType("props", "Object", "EntrypointOptions");
      assert.throws(() => stub.getEntrypoint(undefined, { props }), { name: "TypeError", message });
    }
    const message = wrongType("limits", "ResourceLimits", "EntrypointOptions");
    assert.throws(() => stub.getEntrypoint(undefined, { limits: 5 }), { name: "TypeError", message });
    assert.throws(() => stub.getEntrypoint(undefined, { limits: { cpuMs: -1 } }), { name: "TypeError" });
    for (const value of [undefined, null, {}, { props: undefined }, { props: [1] }, { limits: null }]) {
      assert.strictEqual(await stub.getEntrypoint(undefined, value).ask(0), "ran");
    }
  },
};
