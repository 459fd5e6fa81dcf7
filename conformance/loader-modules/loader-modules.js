// The forms of `modules` in WorkerCode, and the errors for wrong ones.
import assert from "node:assert";

const worker = (modules, extra) => ({ compatibilityDate: "2026-03-01", mainModule: "main.js", modules, ...extra });
const ask = (env, modules, extra) => env.LOADER.load(worker(modules, extra)).getEntrypoint().ask(null);
const answer = (expression, imports = "") => `${imports}\nexport default { async ask() { return ${expression}; } };`;
const bytes = (text) => new TextEncoder().encode(text);

export const stringEndingInJsIsAnEsModule = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("value", `import { value } from "./other.js";`),
      "other.js": "export const value = 5;",
    };
    assert.strictEqual(await ask(env, modules), 5);
  },
};

export const jsObjectIsAnEsModuleWhateverItsName = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer(
        "[a, b, c].join()",
        `import a from "./a.mjs"; import b from "./b.ts"; import c from "plain";`,
      ),
      "a.mjs": { js: "export default 'a';" },
      "b.ts": { js: "export default 'b';" },
      plain: { js: "export default 'c';" },
    };
    assert.strictEqual(await ask(env, modules), "a,b,c");
  },
};

export const mainMayBeAnObject = {
  async test(_controller, env) {
    assert.strictEqual(await ask(env, { "main.js": { js: answer("1") } }), 1);
    assert.strictEqual(await ask(env, { entry: { js: answer("2") } }, { mainModule: "entry" }), 2);
  },
};

export const cjsModule = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[cjs.a, cjs.b(2)]", `import cjs from "./lib.cjs";`),
      "lib.cjs": {
        cjs: "const dep = require('./dep'); module.exports = { a: dep.value, b: (x) => x * dep.factor };",
      },
      dep: { cjs: "exports.value = 10; exports.factor = 21;" },
    };
    assert.deepStrictEqual(await ask(env, modules), [10, 42]);
  },
};

export const cjsBodyRunsOnce = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[a.n, b.n, globalThis.runs]", `import a from "./a"; import b from "./b";`),
      a: { cjs: "module.exports = require('./shared');" },
      b: { cjs: "module.exports = require('./shared');" },
      shared: { cjs: "globalThis.runs = (globalThis.runs ?? 0) + 1; exports.n = globalThis.runs;" },
    };
    assert.deepStrictEqual(await ask(env, modules), [1, 1, 1]);
  },
};

export const cjsCanRequireNodeModules = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("lib", `import lib from "./lib";`),
      lib: { cjs: "const { Buffer } = require('node:buffer'); module.exports = Buffer.from('hi').toString('hex');" },
    };
    assert.strictEqual(await ask(env, modules, { compatibilityFlags: ["nodejs_compat"] }), "6869");
  },
};

export const textModule = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("text", `import text from "./page.html";`),
      "page.html": { text: "<p>\u00e9</p>" },
    };
    assert.strictEqual(await ask(env, modules), "<p>\u00e9</p>");
    const empty = { "main.js": answer("text.length", `import text from "./e.txt";`), "e.txt": { text: "" } };
    assert.strictEqual(await ask(env, empty), 0);
  },
};

export const dataModule = {
  async test(_controller, env) {
    const imports = `import data from "./blob.bin";`;
    const expression = "[data instanceof ArrayBuffer, [...new Uint8Array(data)].join()]";
    const whole = new Uint8Array([1, 2, 3, 4]);
    for (const [data, expected] of [
      [whole.buffer, "1,2,3,4"],
      [whole, "1,2,3,4"],
      [whole.subarray(1, 3), "2,3"],
      [new DataView(whole.buffer, 2), "3,4"],
      [new Uint8Array(0), ""],
    ]) {
      const modules = { "main.js": answer(expression, imports), "blob.bin": { data } };
      assert.deepStrictEqual(await ask(env, modules), [true, expected]);
    }
  },
};

export const dataIsCopied = {
  async test(_controller, env) {
    const data = new Uint8Array([1, 2, 3]);
    const modules = { "main.js": answer("[...new Uint8Array(data)].join()", `import data from "./d";`), d: { data } };
    const stub = env.LOADER.load(worker(modules));
    data.fill(9);
    assert.strictEqual(await stub.getEntrypoint().ask(null), "1,2,3");
  },
};

export const jsonModule = {
  async test(_controller, env) {
    const value = { a: [1, "two", null, true], nested: { deep: {} } };
    const modules = { "main.js": answer("value", `import value from "./data.json";`), "data.json": { json: value } };
    assert.deepStrictEqual(await ask(env, modules), value);
    for (const json of ["text", 5, null, [1]]) {
      assert.deepStrictEqual(await ask(env, { ...modules, "data.json": { json } }), json);
    }
  },
};

export const jsonIsSerialised = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("value", `import value from "./data.json";`),
      "data.json": { json: { date: new Date(0), gone: undefined, custom: { toJSON: () => "custom" } } },
    };
    assert.deepStrictEqual(await ask(env, modules), { date: "1970-01-01T00:00:00.000Z", custom: "custom" });
  },
};

export const sourceWithUnicodeAndLineEndings = {
  async test(_controller, env) {
    const source = `\uFEFF// caf\u00e9\r\nexport default {\r\n  async ask() { return "\u{1F600}\u00e9"; },\r\n};\r\n`;
    assert.strictEqual(await ask(env, { "main.js": source }), "\u{1F600}\u00e9");
  },
};

export const tsxAndJsxStringsAreRefused = {
  async test(_controller, env) {
    for (const name of ["view.tsx", "view.jsx"]) {
      assert.throws(() => env.LOADER.load(worker({ "main.js": answer("1"), [name]: "export default 1;" })), {
        name: "TypeError",
        message:
          "Module name must end with '.js' or '.py' (or the content must be an object indicating the type explicitly). " +
          `Got: ${name}. If you're trying to load TypeScript, bundle it first with '@cloudflare/worker-bundler' and ` +
          "pass the generated JavaScript modules.",
      });
    }
  },
};

export const otherStringsAreRefused = {
  async test(_controller, env) {
    for (const name of ["lib.mjs", "lib.cjs", "data.json", "page.txt", "plain"]) {
      assert.throws(() => env.LOADER.load(worker({ "main.js": answer("1"), [name]: "x" })), {
        name: "TypeError",
        message:
          "Module name must end with '.js' or '.py' (or the content must be an object indicating the type explicitly). " +
          `Got: ${name}`,
      });
    }
  },
};

export const refusedNamesUnderGetRejectOnUse = {
  async test(_controller, env) {
    const stub = env.LOADER.get("tsx", () => worker({ "main.js": answer("1"), "a.tsx": "x" }));
    await assert.rejects(stub.getEntrypoint().ask(0), {
      name: "TypeError",
      message: /Got: a\.tsx\. If you're trying/,
    });
  },
};

export const moduleObjectNeedsExactlyOneKind = {
  async test(_controller, env) {
    const load = (content) => () => env.LOADER.load(worker({ "main.js": answer("1"), extra: content }));
    const message = (n) =>
      "Each module must contain exactly one of 'js', 'cjs', 'text', 'data', 'json', 'py', or 'wasm'. " +
      `Module 'extra' contained ${n} properties.`;
    assert.throws(load({}), { name: "TypeError", message: message(0) });
    assert.throws(load({ js: "", text: "" }), { name: "TypeError", message: message(2) });
    assert.throws(load({ unknown: "kind" }), { name: "TypeError", message: message(0) });
  },
};

export const pythonModuleBesideJavaScriptIsRefused = {
  async test(_controller, env) {
    const stub = env.LOADER.get("python", () => worker({ "main.js": answer("1"), "foo.py": "x = 1" }));
    await assert.rejects(stub.getEntrypoint().ask(0), {
      name: "TypeError",
      message: `Module "foo.py" is a Python module, but the main module isn't a Python module.`,
    });
  },
};

export const mainMustBeAnEsModule = {
  async test(_controller, env) {
    for (const main of [{ text: "text" }, { json: {} }, { data: bytes("d") }]) {
      const stub = env.LOADER.load(worker({ main }, { mainModule: "main" }));
      await assert.rejects(stub.getEntrypoint().ask(0), /Main module must be an ES module\.|Failed to start Worker/);
    }
  },
};

export const unusedModulesAreNotEvaluated = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("globalThis.ran ?? 'not run'"),
      "unused.js": "globalThis.ran = true;",
      c: { cjs: "throw 1" },
    };
    assert.strictEqual(await ask(env, modules), "not run");
  },
};

export const manyModules = {
  async test(_controller, env) {
    const modules = { "main.js": answer("total", `import { total } from "./m0.js";`) };
    for (let i = 0; i < 200; i++) {
      modules[`m${i}.js`] = `import { total as t } from "./m${i + 1}.js"; export const total = t + 1;`;
    }
    modules["m200.js"] = "export const total = 0;";
    assert.strictEqual(await ask(env, modules), 200);
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

export const namespaceAndReExports = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[ns.a, ns.renamed, Object.keys(ns).join()]", `import * as ns from "./barrel.js";`),
      "barrel.js": `export * from "./a.js"; export { b as renamed } from "./b.js";`,
      "a.js": "export const a = 1;",
      "b.js": "export const b = 2;",
    };
    assert.deepStrictEqual(await ask(env, modules), [1, 2, "a,renamed"]);
  },
};

const cjs = (body, more) => ({ "main.js": answer("c", `import c from "./lib/c.cjs";`), "lib/c.cjs": { cjs: body }, ...more });

export const cjsSurroundings = {
  async test(_controller, env) {
    const body = "module.exports = [__filename, __dirname, module.path, Object.keys(module).sort().join(), module.exports === exports];";
    assert.deepStrictEqual(await ask(env, cjs(body)), ["/lib/c.cjs", "/lib", "/lib/c.cjs", "exports,path", true]);
  },
};

export const cjsHasADefaultExportOnly = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[Object.keys(ns).join(), ns.default.a]", `import * as ns from "./c";`),
      c: { cjs: "exports.a = 1; exports.__esModule = true;" },
    };
    assert.deepStrictEqual(await ask(env, modules), ["default", 1]);
    const named = { "main.js": answer("a", `import { a } from "./c";`), c: { cjs: "exports.a = 1;" } };
    await assert.rejects(ask(env, named), /does not provide an export named 'a'/);
  },
};

export const cjsExportsAndModuleExports = {
  async test(_controller, env) {
    assert.strictEqual(await ask(env, cjs("module.exports = 5;")), 5);
    assert.deepStrictEqual(await ask(env, cjs("exports = { a: 1 };")), {});
    assert.deepStrictEqual(await ask(env, cjs("exports.a = 1; this.b = 2;")), { a: 1 });
    assert.strictEqual(await ask(env, cjs("module.exports = 1; return; module.exports = 2;")), 1);
    assert.strictEqual(await ask(env, cjs("#!/usr/bin/env node\nmodule.exports = 1;")), 1);
    assert.strictEqual(await ask(env, cjs("module.exports = (function () { return this === undefined; })();")), false);
  },
};

export const cjsRequiresOtherKinds = {
  async test(_controller, env) {
    const body = `module.exports = [require("../json"), require("../text"), require("../data") instanceof ArrayBuffer,
      require("../wasm") instanceof WebAssembly.Module, require("./e.js")];`;
    const wasm = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
    const more = {
      json: { json: { x: 1 } },
      text: { text: "text" },
      data: { data: new Uint8Array(1) },
      wasm: { wasm },
      "lib/e.js": "export const a = 1; export default { d: 2 };",
    };
    assert.deepStrictEqual(await ask(env, cjs(body, more)), [{ x: 1 }, "text", true, true, { d: 2 }]);
  },
};

export const esModulesSayWhatRequireGives = {
  async test(_controller, env) {
    const body = "module.exports = [require('./unwrapped.js'), require('./own.js')];";
    const more = {
      "lib/unwrapped.js": "export const a = 1; export const __cjsUnwrapDefault = true; export default 7;",
      "lib/own.js": "const own = 'own'; export { own as 'module.exports' }; export default 7;",
    };
    assert.deepStrictEqual(await ask(env, cjs(body, more)), [7, "own"]);
  },
};

export const cjsCycles = {
  async test(_controller, env) {
    for (const start of ["", "module.exports = {};"]) {
      const modules = {
        "main.js": answer("[a.done, a.bSaw, b.aSaw]", `import a from "./a"; import b from "./b";`),
        a: {
          cjs: `${start} module.exports.done = false; const b = require('./b');
            module.exports.bSaw = b.aSaw; module.exports.done = true;`,
        },
        b: { cjs: "const a = require('./a'); exports.aSaw = a.done;" },
      };
      assert.deepStrictEqual(await ask(env, modules), [true, false, false]);
    }
  },
};

export const cjsFailsOnce = {
  async test(_controller, env) {
    const body = `const seen = [];
      for (let i = 0; i < 2; i++) try { require("./d"); } catch (e) { seen.push(e.message); }
      module.exports = seen;`;
    const more = { "lib/d": { cjs: "globalThis.n = (globalThis.n ?? 0) + 1; throw new Error('run ' + globalThis.n);" } };
    assert.deepStrictEqual(await ask(env, cjs(body, more)), ["run 1", "run 1"]);
  },
};

export const cjsRequireWithoutSpecifier = {
  async test(_controller, env) {
    const body = "try { require(); } catch (e) { module.exports = [e.name, e.message]; }";
    assert.deepStrictEqual(await ask(env, cjs(body)), [
      "TypeError",
      "Failed to execute 'require' on 'CommonJsModuleContext': parameter 1 is not of type 'string'.",
    ]);
  },
};

export const cjsRequireOfTopLevelAwait = {
  async test(_controller, env) {
    const modules = cjs("require('./d.js');", { "lib/d.js": "await 1; export default 1;" });
    await assert.rejects(ask(env, modules), /Top-level await in module is not permitted at this time\./);
  },
};

export const cjsImportsDynamically = {
  async test(_controller, env) {
    const modules = cjs("module.exports = () => import('./e.js');", { "lib/e.js": "export default 'dynamic';" });
    modules["main.js"] = answer("(await c()).default", `import c from "./lib/c.cjs";`);
    assert.strictEqual(await ask(env, modules), "dynamic");
  },
};

export const cjsErrorsNameTheirPlace = {
  async test(_controller, env) {
    await assert.rejects(ask(env, cjs("\n  let a = ;")), /SyntaxError: Unexpected token ';'\n {2}at lib\/c\.cjs:2:1[01]/);
    await assert.rejects(ask(env, cjs("\n  throw new Error('boo');")), /Error: boo\n {2}at lib\/c\.cjs:2:9/);
    await assert.rejects(ask(env, { "main.js": answer("1"), c: { cjs: "this is not" } }), /SyntaxError/);
  },
};

export const valuesAreSharedByImporters = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer(
        "[d === e, Object.isFrozen(d), c.data === data]",
        `import d from "./d"; import e from "./d"; import c from "./c"; import data from "./data";`,
      ),
      d: { json: { a: 1 } },
      data: { data: new Uint8Array(1) },
      c: { cjs: "exports.data = require('./data');" },
    };
    assert.deepStrictEqual(await ask(env, modules), [true, false, true]);
  },
};

export const sourcesMayBeginWithAHashbang = {
  async test(_controller, env) {
    assert.strictEqual(await ask(env, { "main.js": `#!/usr/bin/env node\n${answer("1")}` }), 1);
  },
};

export const sameCodeAgainAndAgain = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[lib.f(2), c.g(3), place()]", `import * as lib from "./lib.js"; import c from "./c";
        function place() { try { null.x; } catch (e) { return e.stack.match(/main\\.js:\\d+/)[0]; } }`),
      "lib.js": "export function f(n) { return [1, 2, 3].map((x) => x * n).join(); }",
      c: { cjs: "exports.g = (n) => { class C { get v() { return n ** 2; } } return new C().v; };" },
    };
    for (let i = 0; i < 5; i++) {
      assert.deepStrictEqual(await ask(env, modules), ["2,4,6", 9, "main.js:2"]);
      const changed = { ...modules, "lib.js": modules["lib.js"].replace("3]", "4]") };
      assert.deepStrictEqual(await ask(env, changed), ["2,4,8", 9, "main.js:2"]);
    }
  },
};

export const cjsRequiresWhatImportsIt = {
  async test(_controller, env) {
    const body = "try { require('./e.js'); } catch (e) { module.exports = [e.name, e.message]; }";
    for (const [importer, more] of [
      ["import c from './c.cjs'; export default c;", {}],
      ["import './f.js';", { "lib/f.js": "import c from './c.cjs'; export default c;" }],
    ]) {
      const modules = cjs(body, { "lib/e.js": importer, ...more });
      assert.deepStrictEqual(await ask(env, modules), ["Error", "Circular dependency when resolving module: ./c.cjs"]);
    }
  },
};
