// The registry of URLs (`new_module_registry`): names under file:///bundle/, import.meta, lazy compilation.
import assert from "node:assert";

// (module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
const WASM = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97, 100, 100, 0, 0, 10, 9, 1,
  7, 0, 32, 0, 32, 1, 106, 11,
]);
const worker = (modules, extra) => ({
  compatibilityDate: "2026-03-01",
  mainModule: "main.js",
  compatibilityFlags: ["new_module_registry"],
  modules,
  ...extra,
});
const ask = (env, modules, extra) => env.LOADER.load(worker(modules, extra)).getEntrypoint().ask(null);
const answer = (expression, imports = "") => `${imports}\nexport default { async ask() { return ${expression}; } };`;
const caught = (expression) => `${expression}.then(() => "no error", (e) => [e.name, e.message])`;
const nodeCompat = { compatibilityFlags: ["new_module_registry", "nodejs_compat"] };

async function fails(env, modules, pattern, extra) {
  await assert.rejects(ask(env, modules, extra), { name: "Error", message: pattern });
}

// ---- Names ---------------------------------------------------------------------------------------------------------

export const specifiersAreRelativeToTheImporter = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[v, w]", `import v from "./lib/a.js"; import w from "lib/a.js";`),
      "lib/a.js": `import b from "b.js"; import up from "../up.js"; export default b + up;`,
      "lib/b.js": "export default 'b ';",
      "up.js": "export default 'up';",
    };
    assert.deepStrictEqual(await ask(env, modules), ["b up", "b up"]);
  },
};

export const fullUrls = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[a, b, a === b]", `import a from "file:///bundle/a.js"; import b from "/bundle/a.js";`),
      "a.js": "export default 'a';",
    };
    assert.deepStrictEqual(await ask(env, modules), ["a", "a", true]);
  },
};

export const namesOfOtherSchemes = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[a, b]", `import a from "foo:bar"; import b from "node:assert";`),
      "foo:bar": { js: "export default import.meta.url;" },
      "node:assert": { js: "export default 'mine';" },
    };
    assert.deepStrictEqual(await ask(env, modules, nodeCompat), ["foo:bar", "mine"]);
  },
};

export const theRuntimesSchemeIsReserved = {
  async test(_controller, env) {
    const modules = { "main.js": answer("1"), "cloudflare:workers": { js: "export default 1;" } };
    await fails(env, modules, /The cloudflare: protocol is reserved and cannot be used in module bundles/);
  },
};

export const namesAreNormalised = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[a, b, c, d]", `import a from "./a.js"; import b from "./b.js"; import c from "./sp%20ace.js";
        import d from "./\u00e9.js";`),
      "./a.js": "export default import.meta.url;",
      "x/../b.js": "export default import.meta.url;",
      "sp ace.js": "export default import.meta.url;",
      "\u00e9.js": "export default import.meta.url;",
    };
    const urls = ["a.js", "b.js", "sp%20ace.js", "%C3%A9.js"].map((name) => `file:///bundle/${name}`);
    assert.deepStrictEqual(await ask(env, modules), urls);
    assert.strictEqual(await ask(env, { "main.js": answer("1") }, { mainModule: "./main.js" }), 1);
  },
};

export const aNameMayStandThereOnce = {
  async test(_controller, env) {
    const modules = { "main.js": answer("1"), "a.js": "", "./a.js": "" };
    await fails(env, modules, /Module "file:\/\/\/bundle\/a\.js" already added to bundle/);
  },
};

export const missingModules = {
  async test(_controller, env) {
    const check = async (specifier, url) => {
      await assert.rejects(ask(env, { "main.js": answer("1", `import "${specifier}";`) }), (error) => {
        assert.ok(error.message.startsWith(`Failed to start Worker:\nUncaught Error: Module not found: ${url}`), error.message);
        return true;
      });
      const dynamic = { "main.js": answer(caught(`import("${specifier}")`)) };
      assert.deepStrictEqual(await ask(env, dynamic), ["Error", `Module not found: ${url}`]);
    };
    await check("./gone.js", "file:///bundle/gone.js");
    await check("./gone.js?x", "file:///bundle/gone.js?x");
    await check("gone", "file:///bundle/gone");
    await check("/gone.js", "file:///gone.js");
    await check("../../gone.js", "file:///gone.js");
    await check("node:gone", "node:gone");
    await check("https://x.example/a.js", "https://x.example/a.js");
  },
};

export const invalidSpecifiers = {
  async test(_controller, env) {
    const message = "Invalid module specifier: http://[bad";
    const modules = { "main.js": answer("1", `import "http://[bad";`) };
    await assert.rejects(ask(env, modules), { message: new RegExp(`TypeError: ${message.replace("[", "\\[")}`) });
    const dynamic = { "main.js": answer(caught(`import("http://[bad")`)) };
    assert.deepStrictEqual(await ask(env, dynamic), ["TypeError", message]);
  },
};

export const bareNodeNames = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[typeof a, b]", `import a from "lib/a.js"; import b from "lib/b.js";`),
      "lib/a.js": "import assert from 'assert'; export default assert.strictEqual;",
      "lib/b.js": "import b from './assert'; export default b;",
      "lib/assert": { js: "export default 'mine';" },
    };
    assert.deepStrictEqual(await ask(env, modules, nodeCompat), ["function", "mine"]);
  },
};

// ---- import.meta ---------------------------------------------------------------------------------------------------

export const importMeta = {
  async test(_controller, env) {
    const look = `[import.meta.url, import.meta.main, import.meta.filename, import.meta.dirname,
      Object.keys(import.meta).sort().join(), Object.getPrototypeOf(import.meta) === null]`;
    const modules = {
      "src/main.js": answer(`[${look}, sub]`, `import sub from "../lib/sub.js?x=1#h";`),
      "lib/sub.js": `export default ${look};`,
    };
    const keys = "dirname,filename,main,resolve,url";
    assert.deepStrictEqual(await ask(env, modules, { mainModule: "src/main.js" }), [
      ["file:///bundle/src/main.js", true, "/bundle/src/main.js", "/bundle/src", keys, true],
      ["file:///bundle/lib/sub.js?x=1#h", false, "/bundle/lib/sub.js", "/bundle/lib", keys, true],
    ]);
  },
};

export const importMetaOfAnotherScheme = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("keys", `import keys from "foo:bar/x";`),
      "foo:bar/x": { js: "export default Object.keys(import.meta).sort().join();" },
    };
    assert.strictEqual(await ask(env, modules), "main,resolve,url");
  },
};

export const importMetaCanBeChanged = {
  async test(_controller, env) {
    const source = answer("[import.meta.url, import.meta.mine]", "import.meta.url = 1; import.meta.mine = 2;");
    assert.deepStrictEqual(await ask(env, { "main.js": source }), [1, 2]);
  },
};

export const importMetaResolve = {
  async test(_controller, env) {
    const specifiers = ["./x.js", "bare", "../up.js", "/root.js", "node:fs", "https://x.example/y?z#f"];
    const modules = {
      "main.js": answer("urls", `import urls from "./lib/a.js";`),
      "lib/a.js": `export default ${JSON.stringify(specifiers)}.map((s) => import.meta.resolve(s));`,
    };
    assert.deepStrictEqual(await ask(env, modules), [
      "file:///bundle/lib/x.js",
      "file:///bundle/lib/bare",
      "file:///bundle/up.js",
      "file:///root.js",
      "node:fs",
      "https://x.example/y?z#f",
    ]);
  },
};

export const importMetaResolveErrors = {
  async test(_controller, env) {
    const attempt = (call) => `(() => { try { ${call} } catch (e) { return [e.name, e.message]; } })()`;
    const source = answer(`[${attempt("import.meta.resolve()")}, ${attempt('import.meta.resolve("http://[bad")')}]`);
    assert.deepStrictEqual(await ask(env, { "main.js": source }), [
      ["TypeError", "import.meta.resolve requires a specifier argument"],
      ["TypeError", "Invalid module specifier: http://[bad"],
    ]);
  },
};

// ---- Instances -----------------------------------------------------------------------------------------------------

const COUNTER = "globalThis.n = (globalThis.n ?? 0) + 1; export default { n: globalThis.n, url: import.meta.url };";

export const queriesAndFragmentsMakeInstances = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer(
        "[a.n, b.n, c.n, d === a, e.n, e.url]",
        `import a from "./s.js?1"; import b from "./s.js?2"; import c from "./s.js"; import d from "./s.js?1";
         import e from "./s.js#part";`,
      ),
      "s.js": COUNTER,
    };
    assert.deepStrictEqual(await ask(env, modules), [1, 2, 3, true, 4, "file:///bundle/s.js#part"]);
  },
};

export const dynamicInstances = {
  async test(_controller, env) {
    const get = (specifier) => `(await import("${specifier}")).default`;
    const modules = {
      "main.js": answer(`[${get("./s.js?1")}.n, ${get("./s.js?2")}.n, ${get("./s.js?1")}.n]`),
      "s.js": COUNTER,
    };
    assert.deepStrictEqual(await ask(env, modules), [1, 2, 1]);
  },
};

export const instancesOfOtherKinds = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer(
        "[a === b, a, b, c.n, d.n, t, w instanceof WebAssembly.Module]",
        `import a from "./d.json?1"; import b from "./d.json"; import c from "./c?1"; import d from "./c?2";
         import t from "./t?x"; import w from "./w?x";`,
      ),
      "d.json": { json: { x: 1 } },
      c: { cjs: "globalThis.n = (globalThis.n ?? 0) + 1; exports.n = globalThis.n;" },
      t: { text: "text" },
      w: { wasm: WASM },
    };
    assert.deepStrictEqual(await ask(env, modules), [false, { x: 1 }, { x: 1 }, 1, 2, "text", true]);
  },
};

// ---- Lazy compilation ----------------------------------------------------------------------------------------------

export const unusedModulesMayBeWrong = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("'started'"),
      "syntax.js": "this is not javascript",
      "c.cjs": { cjs: "this is not javascript" },
      "w.wasm": { wasm: new Uint8Array([1, 2, 3]) },
    };
    assert.strictEqual(await ask(env, modules), "started");
  },
};

export const syntaxErrorsNameTheirPlace = {
  async test(_controller, env) {
    const modules = { "main.js": answer("1", `import "./lib/x.js";`), "lib/x.js": "\n\n  let a = 1; let a = 2;" };
    await fails(
      env,
      modules,
      /^Failed to start Worker:\nUncaught SyntaxError: Identifier 'a' has already been declared\n {2}at file:\/\/\/bundle\/lib\/x\.js:3:1[78]/,
    );
    const dynamic = { ...modules, "main.js": answer(caught(`import("./lib/x.js")`)) };
    assert.deepStrictEqual(await ask(env, dynamic), ["SyntaxError", "Identifier 'a' has already been declared"]);
  },
};

export const syntaxErrorsComeAgain = {
  async test(_controller, env) {
    const modules = { "main.js": answer(`[await ${caught('import("./x.js")')}, await ${caught('import("./x.js")')}]`), "x.js": "}" };
    const [first, second] = await ask(env, modules);
    assert.strictEqual(first[0], "SyntaxError");
    assert.deepStrictEqual(second, first);
  },
};

export const errorsAndStacksNameUrls = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("f()", `import { f } from "./lib/x.js";`),
      "lib/x.js": "export function f() {\n  try { null.x } catch (e) { return e.stack; }\n}",
    };
    assert.match(await ask(env, modules), /at f \(file:\/\/\/bundle\/lib\/x\.js:2:14\)\n.*file:\/\/\/bundle\/main\.js:2:/);
    await fails(env, { "main.js": `\n  null.x; ${answer("1")}` }, /reading 'x'\)\n {2}at file:\/\/\/bundle\/main\.js:2:8/);
  },
};

export const missingExport = {
  async test(_controller, env) {
    const modules = { "main.js": answer("1", `import { nope } from "./a.js";`), "a.js": "" };
    await fails(env, modules, /SyntaxError: The requested module '\.\/a\.js' does not provide an export named 'nope'/);
  },
};

// ---- The main module -----------------------------------------------------------------------------------------------

export const mainMustBeThere = {
  async test(_controller, env) {
    const message = "Failed to start Worker:\nUncaught TypeError: Main module name is not present in bundle.";
    await fails(env, { "main.js": answer("1") }, message, { mainModule: "gone.js" });
  },
};

export const mainMustBeAnEsModule = {
  async test(_controller, env) {
    const message = "Failed to start Worker:\nUncaught TypeError: Main module must be an ES module.";
    for (const main of [{ text: "x" }, { json: {} }, { cjs: "module.exports = {};" }, { wasm: WASM }]) {
      await fails(env, { main }, message, { mainModule: "main" });
    }
  },
};

export const mainWithAQuery = {
  async test(_controller, env) {
    const seen = await ask(env, { "main.js": answer("import.meta.url") }, { mainModule: "main.js?x" });
    assert.strictEqual(seen, "file:///bundle/main.js?x");
  },
};

// ---- Which Workers have it -----------------------------------------------------------------------------------------

export const thePathRegistryIsTheOther = {
  async test(_controller, env) {
    const source = answer("[import.meta.url, Object.keys(import.meta)]");
    const legacy = { compatibilityFlags: ["legacy_module_registry"] };
    assert.deepStrictEqual(await ask(env, { "main.js": source }, legacy), [undefined, []]);
    assert.deepStrictEqual(await ask(env, { "main.js": source }, { compatibilityFlags: [] }), [undefined, []]);
  },
};

export const defaultOfNewCompatibilityDates = {
  async test(_controller, env) {
    const source = answer("import.meta.url");
    const with_ = (compatibilityDate, ...compatibilityFlags) =>
      ask(env, { "main.js": source }, { compatibilityDate, compatibilityFlags });
    assert.strictEqual(await with_("2026-11-16"), undefined);
    assert.strictEqual(await with_("2026-11-17"), "file:///bundle/main.js");
    assert.strictEqual(await with_("2026-11-17", "legacy_module_registry"), undefined);
  },
};
