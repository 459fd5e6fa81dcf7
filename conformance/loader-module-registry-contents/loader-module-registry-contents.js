// What modules are made of in the registry of URLs (`new_module_registry`): kinds of content, CommonJS, import().
import assert from "node:assert";
import addModule from "./add.wasm";

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

// ---- Import attributes ---------------------------------------------------------------------------------------------

export const jsonAttribute = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer(
        `[a, (await import("./d.json", { with: { type: "json" } })).default, b]`,
        `import a from "./d.json" with { type: "json" }; import b from "./d.json" with {};`,
      ),
      "d.json": { json: 5 },
    };
    assert.deepStrictEqual(await ask(env, modules), [5, 5, 5]);
  },
};

export const jsonAttributeNeedsJson = {
  async test(_controller, env) {
    for (const content of [{ js: "export default 1;" }, { wasm: WASM }, { text: "1" }]) {
      const modules = { "main.js": answer("1", `import d from "./d" with { type: "json" };`), d: content };
      await fails(env, modules, /TypeError: Module "\.\/d" is not of type "json"/);
    }
    const dynamic = { "main.js": answer(caught(`import("./d", { with: { type: "json" } })`)), d: { text: "1" } };
    assert.deepStrictEqual((await ask(env, dynamic))[0], "TypeError");
  },
};

export const otherAttributesAreRefused = {
  async test(_controller, env) {
    for (const [attributes, message] of [
      [`{ type: "text" }`, `Import attribute type "text" is not yet supported`],
      [`{ type: "bytes" }`, `Import attribute type "bytes" is not yet supported`],
      [`{ type: "other" }`, `Unsupported import attribute type: "other"`],
      [`{ foo: "json" }`, `Unsupported import attribute: "foo"`],
      [`{ type: "json", foo: "x" }`, `Unsupported import attribute: "foo"`],
    ]) {
      const modules = { "main.js": answer("1", `import d from "./d.json" with ${attributes};`), "d.json": { json: 1 } };
      await fails(env, modules, new RegExp(`TypeError: ${message}`));
      await fails(env, modules, new RegExp(`TypeError: ${message}`), { compatibilityDate: "2025-01-01" });
      const dynamic = { ...modules, "main.js": answer(caught(`import("./d.json", { with: ${attributes} })`)) };
      assert.deepStrictEqual(await ask(env, dynamic), ["TypeError", message]);
    }
  },
};

// ---- Kinds of content ----------------------------------------------------------------------------------------------

export const allKindsOfContent = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer(
        "[js, text, json, cjs, data instanceof ArrayBuffer, wasm instanceof WebAssembly.Module]",
        `import js from "./js"; import text from "./text"; import json from "./json"; import cjs from "./cjs";
         import data from "./data"; import wasm from "./wasm";`,
      ),
      js: { js: "export default 'js';" },
      text: { text: "text" },
      json: { json: { a: [1] } },
      cjs: { cjs: "module.exports = 'cjs';" },
      data: { data: new Uint8Array([1]) },
      wasm: { wasm: WASM },
    };
    assert.deepStrictEqual(await ask(env, modules), ["js", "text", { a: [1] }, "cjs", true, true]);
  },
};

export const wasmBySourceAndDefault = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer(
        `[source === byDefault, source === (await import.source("./lib/m.wasm")),
          new WebAssembly.Instance(source).exports.add(2, 3)]`,
        `import source source from "./lib/m.wasm"; import byDefault from "./lib/m.wasm";`,
      ),
      "lib/m.wasm": { wasm: WASM },
    };
    assert.deepStrictEqual(await ask(env, modules), [true, true, 5]);
  },
};

export const compiledWasmModules = {
  async test(_controller, env) {
    for (const content of [addModule, { wasm: addModule }]) {
      const modules = {
        "main.js": answer("new WebAssembly.Instance(m).exports.add(40, 2)", `import source m from "./m.wasm";`),
        "m.wasm": content,
      };
      assert.strictEqual(await ask(env, modules, { allowExperimental: true }), 42);
    }
  },
};

export const wasmThatDoesNotCompile = {
  async test(_controller, env) {
    const modules = { "main.js": answer("1", `import m from "./m";`), m: { wasm: new Uint8Array([1, 2, 3]) } };
    await fails(env, modules, /CompileError: WasmModuleObject::Compile\(\): expected 4 bytes, fell off end @\+0/);
  },
};

export const sourceOfAnotherKind = {
  async test(_controller, env) {
    const modules = { "main.js": answer("1", `import source s from "./m.js";`), "m.js": "" };
    await fails(env, modules, /SyntaxError: Source phase import not available for module: /);
    const dynamic = { ...modules, "main.js": answer(caught(`import.source("./m.js")`)) };
    assert.deepStrictEqual(await ask(env, dynamic), [
      "SyntaxError",
      "Source phase import not available for module: file:///bundle/m.js",
    ]);
  },
};

// ---- CommonJS ------------------------------------------------------------------------------------------------------

const cjs = (body, more) => ({ "main.js": answer("c", `import c from "./lib/c.cjs";`), "lib/c.cjs": { cjs: body }, ...more });

export const commonJsSurroundings = {
  async test(_controller, env) {
    const body = "module.exports = [__filename, __dirname, module.path, Object.keys(module).sort().join(), module.exports === exports];";
    assert.deepStrictEqual(await ask(env, cjs(body)), [
      "/bundle/lib/c.cjs",
      "/bundle/lib",
      "file:///bundle/lib/c.cjs",
      "exports,path",
      true,
    ]);
  },
};

export const requireOfValues = {
  async test(_controller, env) {
    const body = `module.exports = [require("../json"), require("../text"), require("../data") instanceof ArrayBuffer,
      require("../wasm") instanceof WebAssembly.Module, require("./d.cjs")];`;
    const more = {
      json: { json: { x: 1 } },
      text: { text: "text" },
      data: { data: new Uint8Array(1) },
      wasm: { wasm: WASM },
      "lib/d.cjs": { cjs: "module.exports = 'd';" },
    };
    assert.deepStrictEqual(await ask(env, cjs(body, more)), [{ x: 1 }, "text", true, true, "d"]);
  },
};

export const requireOfEsModules = {
  async test(_controller, env) {
    const body = `
      const all = require("./all.js");
      module.exports = [Object.keys(all).join(), all.default, require("./unwrapped.js"), require("./own.js")];`;
    const more = {
      "lib/all.js": "export const a = 1; export default 'd';",
      "lib/unwrapped.js": "export const a = 1; export const __cjsUnwrapDefault = true; export default 'unwrapped';",
      "lib/own.js": "const own = 'own'; export { own as 'module.exports' }; export default 'd';",
    };
    assert.deepStrictEqual(await ask(env, cjs(body, more)), ["a,default", "d", "unwrapped", "own"]);
  },
};

export const requireOfBuiltins = {
  async test(_controller, env) {
    const body = "module.exports = [typeof require('cloudflare:workers').RpcTarget, typeof require('node:assert'), typeof require('assert').ok];";
    assert.deepStrictEqual(await ask(env, cjs(body), nodeCompat), ["function", "function", "function"]);
  },
};

export const requireOfAMissingModule = {
  async test(_controller, env) {
    const body = "try { require('./gone'); } catch (e) { module.exports = [e.name, e.message]; }";
    assert.deepStrictEqual(await ask(env, cjs(body)), ["Error", "Module not found: ./gone"]);
    await fails(env, cjs("\n  require('./gone');"), /Error: Module not found: \.\/gone\n {2}at file:\/\/\/bundle\/lib\/c\.cjs:2:3/);
  },
};

export const requireOfTopLevelAwait = {
  async test(_controller, env) {
    const more = { "lib/d.js": "await 1; export const a = 1;" };
    const message = /Top-level await is not supported in this context for module: file:\/\/\/bundle\/lib\/d\.js/;
    await fails(env, cjs("require('./d.js');", more), message);
  },
};

export const failedCommonJsModulesRunOnce = {
  async test(_controller, env) {
    const body = `const seen = [];
      for (let i = 0; i < 2; i++) try { require("./d"); } catch (e) { seen.push(e.message); }
      module.exports = seen;`;
    const more = { "lib/d": { cjs: "globalThis.n = (globalThis.n ?? 0) + 1; throw new Error('run ' + globalThis.n);" } };
    assert.deepStrictEqual(await ask(env, cjs(body, more)), ["run 1", "run 1"]);
  },
};

export const commonJsCycles = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[a.done, a.bSaw, b.aSaw]", `import a from "./a"; import b from "./b";`),
      a: { cjs: "exports.done = false; const b = require('./b'); exports.bSaw = b.aSaw; exports.done = true;" },
      b: { cjs: "const a = require('./a'); exports.aSaw = a.done;" },
    };
    assert.deepStrictEqual(await ask(env, modules), [true, false, false]);
  },
};

export const requireLater = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("c()", `import c from "./c";`),
      c: { cjs: "module.exports = () => [require('./d'), require('./e.js').default];" },
      d: { cjs: "module.exports = 'late';" },
      "e.js": "export default 'late too';",
    };
    assert.deepStrictEqual(await ask(env, modules), ["late", "late too"]);
  },
};

export const importInCommonJs = {
  async test(_controller, env) {
    const modules = cjs("module.exports = () => import('./e.js');", { "lib/e.js": "export default 'dynamic';" });
    modules["main.js"] = answer("(await c()).default", `import c from "./lib/c.cjs";`);
    assert.strictEqual(await ask(env, modules), "dynamic");
  },
};

// ---- import() and top-level await ----------------------------------------------------------------------------------

export const dynamicImports = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer(`[(await import("./lazy.js")) === (await import("./lazy.js")), (await import("./lazy.js")).default]`),
      "lazy.js": "export default await Promise.resolve('lazy');",
    };
    assert.deepStrictEqual(await ask(env, modules), [true, "lazy"]);
  },
};

export const failedEvaluationComesAgain = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer(`[await ${caught('import("./d.js")')}, await ${caught('import("./d.js")')}]`),
      "d.js": "globalThis.n = (globalThis.n ?? 0) + 1; throw new Error('run ' + globalThis.n);",
    };
    assert.deepStrictEqual(await ask(env, modules), [["Error", "run 1"], ["Error", "run 1"]]);
  },
};

export const noInputOutputBehindImport = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer(`[await ${caught('import("./d.js")')}, (await import("./clock.js")).default]`),
      "d.js": "setTimeout(() => {}, 1);",
      "clock.js": "export default Date.now();",
    };
    const [error, clock] = await ask(env, modules);
    assert.match(error[1], /^Disallowed operation called within global scope/);
    assert.strictEqual(clock, 0);
  },
};

export const topLevelAwait = {
  async test(_controller, env) {
    const source = answer("value", "const value = await Promise.resolve('awaited');");
    assert.strictEqual(await ask(env, { "main.js": source }), "awaited");
    const message =
      "Failed to start Worker:\nUncaught Error: Use of top-level await in a synchronously required module is restricted " +
      "to promises that are resolved synchronously. This includes any top-level awaits in the entrypoint module for a " +
      'worker. Specifier: "file:///bundle/main.js".';
    await fails(env, { "main.js": `await new Promise(() => {}); ${answer("1")}` }, message);
  },
};

export const cyclicImports = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("isEven(10)", `import { isEven } from "./even.js";`),
      "even.js": `import { isOdd } from "./odd.js"; export function isEven(n) { return n === 0 || isOdd(n - 1); }`,
      "odd.js": `import { isEven } from "./even.js"; export function isOdd(n) { return n !== 0 && isEven(n - 1); }`,
    };
    assert.strictEqual(await ask(env, modules), true);
  },
};
