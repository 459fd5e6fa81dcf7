// How a dynamic Worker's imports find their module, and the built-in modules.
import assert from "node:assert";

const worker = (modules, extra) => ({ compatibilityDate: "2026-03-01", mainModule: "main.js", modules, ...extra });
const ask = (env, modules, extra) => env.LOADER.load(worker(modules, extra)).getEntrypoint().ask(null);
const answer = (expression, imports = "") => `${imports}\nexport default { async ask() { return ${expression}; } };`;

export const relativeToTheImporter = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("value", `import value from "./lib/a.js";`),
      "lib/a.js": `import b from "./b.js"; import up from "../up.js"; export default b + up;`,
      "lib/b.js": "export default 'b ';",
      "up.js": "export default 'up';",
    };
    assert.strictEqual(await ask(env, modules), "b up");
  },
};

export const bareNamesAreRelativeToTheImportersFolder = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("value", `import value from "lib/a.js";`),
      "lib/a.js": `import b from "b.js"; export default b;`,
      "lib/b.js": "export default 'lib';",
      "b.js": "export default 'root';",
    };
    assert.strictEqual(await ask(env, modules), "lib");
  },
};

export const leadingSlashIsTheBundleRoot = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("value", `import value from "./deep/er/a.js";`),
      "deep/er/a.js": `import b from "/b.js"; export default b;`,
      "b.js": "export default 'root';",
    };
    assert.strictEqual(await ask(env, modules), "root");
  },
};

export const mainInAFolder = {
  async test(_controller, env) {
    const modules = { "src/main.js": answer("v", `import v from "./v.js";`), "src/v.js": "export default 'src';" };
    assert.strictEqual(await ask(env, modules, { mainModule: "src/main.js" }), "src");
  },
};

export const sameModuleIsEvaluatedOnce = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[a.n, b.n, a === b]", `import a from "./x/s.js"; import b from "./y/../x/./s.js";`),
      "x/s.js": "globalThis.n = (globalThis.n ?? 0) + 1; export default { n: globalThis.n };",
    };
    assert.deepStrictEqual(await ask(env, modules), [1, 1, true]);
  },
};

export const missingModule = {
  async test(_controller, env) {
    const modules = { "main.js": answer("1", `import "./gone.js";`) };
    await assert.rejects(ask(env, modules), /No such module "gone\.js"\.\n\s+imported from "main\.js"/);
  },
};

export const noExtensionGuessing = {
  async test(_controller, env) {
    const modules = { "main.js": answer("1", `import "./lib";`), "lib.js": "", "lib/index.js": "" };
    await assert.rejects(ask(env, modules), /No such module "lib"/);
  },
};

export const missingExport = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("1", `import { nothing } from "./m.js";`),
      "m.js": "export const something = 1;",
    };
    await assert.rejects(ask(env, modules), /SyntaxError.*does not provide an export named 'nothing'/);
  },
};

export const noNetworkImports = {
  async test(_controller, env) {
    const modules = { "main.js": answer("1", `import "https://modules.example/x.js";`) };
    await assert.rejects(ask(env, modules), /No such module|Invalid module specifier/);
  },
};

export const dynamicImport = {
  async test(_controller, env) {
    const modules = {
      "main.js": `export default { async ask() { const m = await import("./lazy.js"); return [m.default, m.named]; } };`,
      "lazy.js": "export default 'lazy'; export const named = 'n';",
    };
    assert.deepStrictEqual(await ask(env, modules), ["lazy", "n"]);
  },
};

export const dynamicImportOfAMissingModule = {
  async test(_controller, env) {
    const source = `export default { async ask() { try { await import("./gone.js"); } catch (e) { return e.message; } } };`;
    assert.match(await ask(env, { "main.js": source }), /No such module "gone\.js"/);
  },
};

export const dynamicImportIsCached = {
  async test(_controller, env) {
    const modules = {
      "main.js": `export default { async ask() { return (await import("./s.js")) === (await import("./s.js")); } };`,
      "s.js": "export default {};",
    };
    assert.strictEqual(await ask(env, modules), true);
  },
};

export const topLevelAwait = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer(
        "[value, other]",
        `import { other } from "./tla.js"; const value = await Promise.resolve("awaited");`,
      ),
      "tla.js": "export const other = await (async () => 'imported')();",
    };
    assert.deepStrictEqual(await ask(env, modules), ["awaited", "imported"]);
  },
};

export const workersModule = {
  async test(_controller, env) {
    const source = answer(
      "[typeof WorkerEntrypoint, typeof RpcTarget, typeof waitUntil, env.NAME, atTop]",
      `import { WorkerEntrypoint, RpcTarget, waitUntil, env } from "cloudflare:workers"; const atTop = env.NAME;`,
    );
    const seen = await ask(env, { "main.js": source }, { env: { NAME: "from env" } });
    assert.deepStrictEqual(seen, ["function", "function", "function", "from env", "from env"]);
  },
};

export const nodeModulesNeedTheFlag = {
  async test(_controller, env) {
    const modules = { "main.js": answer("Buffer.from('a').length", `import { Buffer } from "node:buffer";`) };
    assert.strictEqual(await ask(env, modules, { compatibilityFlags: ["nodejs_compat"] }), 1);
    await assert.rejects(ask(env, modules), /No such module "node:buffer"/);
  },
};

export const bareNodeNamesUnderNodejsCompat = {
  async test(_controller, env) {
    const modules = { "main.js": answer("typeof assert.strictEqual", `import assert from "assert";`) };
    assert.strictEqual(await ask(env, modules, { compatibilityFlags: ["nodejs_compat"] }), "function");
  },
};

export const bundleModuleShadowsABuiltin = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("mine", `import mine from "node:assert";`),
      "node:assert": { js: "export default 'mine';" },
    };
    assert.strictEqual(await ask(env, modules, { compatibilityFlags: ["nodejs_compat"] }), "mine");
  },
};

export const importAttributesAreRefused = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("1", `import data from "./d.json" with { type: "json" };`),
      "d.json": { json: 1 },
    };
    await assert.rejects(ask(env, modules), /Unrecognized import attributes specified/);
  },
};

export const commonJsRequireOfAMissingModule = {
  async test(_controller, env) {
    const modules = { "main.js": answer("1", `import "./c";`), c: { cjs: "require('./gone');" } };
    await assert.rejects(ask(env, modules), /No such module "gone"/);
  },
};

export const esModuleThroughRequire = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("c", `import c from "./c";`),
      c: { cjs: "const m = require('./e.js'); module.exports = m.named;" },
      "e.js": "export default { named: 'from esm' };",
    };
    assert.strictEqual(await ask(env, modules), "from esm");
  },
};

export const specifierAboveTheRoot = {
  async test(_controller, env) {
    const modules = { "main.js": answer("1", `import "../../a.js";`), "a.js": "" };
    await assert.rejects(ask(env, modules), /TypeError: Invalid module specifier "\.\.\/\.\.\/a\.js"\.\n\s+imported from "main\.js"\./);
  },
};

export const dynamicImportsNameNoImporter = {
  async test(_controller, env) {
    const source = `export default { async ask() { try { await import("./gone.js"); } catch (e) { return e.message; } } };`;
    assert.strictEqual(await ask(env, { "main.js": source }), 'No such module "gone.js".');
    const modules = { "main.js": answer("c", `import c from "./c";`), c: { cjs: CATCH_REQUIRE("./lib/gone") } };
    assert.deepStrictEqual(await ask(env, modules), ["Error", 'No such module "lib/gone".']);
  },
};

const CATCH_REQUIRE = (specifier) =>
  `try { require("${specifier}"); } catch (e) { module.exports = [e.name, e.message]; }`;

export const namesMayStandThereOnce = {
  async test(_controller, env) {
    const modules = { "main.js": answer("1"), "a.js": "", "./a.js": "" };
    await assert.rejects(ask(env, modules), /Error: Module "a\.js" already added to bundle/);
  },
};

export const bareNodeNamesComeBeforeTheBundle = {
  async test(_controller, env) {
    const modules = { "main.js": answer("typeof a", `import a from "assert";`), assert: { js: "export default 1;" } };
    const flags = (date) => ({ compatibilityDate: date, compatibilityFlags: ["nodejs_compat"] });
    assert.strictEqual(await ask(env, modules, flags("2026-03-01")), "function");
    assert.strictEqual(await ask(env, modules, flags("2024-01-01")), "number");
    const alone = { "main.js": answer("typeof a", `import a from "assert";`) };
    await assert.rejects(ask(env, alone, flags("2024-01-01")), /No such module "assert"/);
  },
};

export const importAttributesOfOldDatesAreIgnored = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[a, (await import('./d.json', { with: { foo: 'x' } })).default]", `import a from "./d.json" with { type: "json" };`),
      "d.json": { json: 1 },
    };
    assert.deepStrictEqual(await ask(env, modules, { compatibilityDate: "2025-06-15" }), [1, 1]);
    await assert.rejects(ask(env, modules, { compatibilityDate: "2025-06-16" }), /Unrecognized import attributes specified/);
    const empty = { "main.js": answer("a", `import a from "./d.json" with {};`), "d.json": { json: 1 } };
    assert.strictEqual(await ask(env, empty), 1);
  },
};

export const builtinsOfTheRuntime = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer(
        "[typeof connect, new NonRetryableError('m').name, new NonRetryableError('m', 'N').name, typeof httpServerHandler]",
        `import { connect } from "cloudflare:sockets"; import { NonRetryableError } from "cloudflare:workflows";
         import { httpServerHandler } from "cloudflare:node";`,
      ),
    };
    assert.deepStrictEqual(await ask(env, modules), ["function", "NonRetryableError", "N", "function"]);
    await assert.rejects(ask(env, { "main.js": answer("1", `import "cloudflare:unknown";`) }), /No such module "cloudflare:unknown"/);
    const noDefault = { "main.js": answer("1", `import w from "cloudflare:workers";`) };
    await assert.rejects(ask(env, noDefault), /does not provide an export named 'default'/);
  },
};

export const importMetaIsEmpty = {
  async test(_controller, env) {
    const source = answer("[typeof import.meta, Object.keys(import.meta)]");
    assert.deepStrictEqual(await ask(env, { "main.js": source }), ["object", []]);
  },
};

export const dynamicImportOfItself = {
  async test(_controller, env) {
    const source = answer("(await import('./main.js')).default === (await import('main.js')).default");
    assert.strictEqual(await ask(env, { "main.js": source }), true);
  },
};

export const dynamicImportOfAThrowingModule = {
  async test(_controller, env) {
    const attempt = "await import('./d.js').catch((e) => e.message)";
    const modules = {
      "main.js": answer(`[${attempt}, ${attempt}]`),
      "d.js": "globalThis.n = (globalThis.n ?? 0) + 1; throw new Error('run ' + globalThis.n);",
    };
    assert.deepStrictEqual(await ask(env, modules), ["run 1", "run 1"]);
  },
};

export const dynamicImportWithTopLevelAwait = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("(await import('./d.js')).default"),
      "d.js": "export default await new Promise((resolve) => queueMicrotask(() => resolve('awaited')));",
    };
    assert.strictEqual(await ask(env, modules), "awaited");
  },
};

export const noInputOutputBehindDynamicImport = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("[await import('./d.js').catch((e) => e.message), (await import('./clock.js')).default]"),
      "d.js": "setTimeout(() => {}, 1);",
      "clock.js": "export default Date.now();",
    };
    const [message, clock] = await ask(env, modules);
    assert.match(message, /^Disallowed operation called within global scope/);
    assert.strictEqual(clock, 0);
  },
};

export const sourceImportOfAnotherKind = {
  async test(_controller, env) {
    const modules = { "main.js": answer("1", `import source s from "./m.js";`), "m.js": "" };
    await assert.rejects(ask(env, modules), /SyntaxError: Source phase import not available for module: m\.js/);
  },
};

export const dynamicImportOfAModuleThatDoesNotSettle = {
  async test(_controller, env) {
    const modules = {
      "main.js": answer("await Promise.all(['./d.js', './e.js'].map((d) => import(d).catch((e) => [e.name, e.message])))"),
      "d.js": "await new Promise(() => {});",
      "e.js": "import './d.js';",
    };
    const refused = ["Error", "Top-level await in module is unsettled."];
    assert.deepStrictEqual(await ask(env, modules), [refused, refused]);
  },
};

export const pathsOutOfTheBundle = {
  async test(_controller, env) {
    const dynamic = answer("await import('../x.js').catch((e) => [e.name, e.message])");
    assert.deepStrictEqual(await ask(env, { "main.js": dynamic }), ["Error", 'No such module "../x.js"']);
    const modules = { "main.js": answer("c", `import c from "./c";`), c: { cjs: CATCH_REQUIRE("../x.js") } };
    assert.deepStrictEqual(await ask(env, modules), ["TypeError", 'Invalid module specifier "../x.js".']);
    for (const root of ["", ".", "./"]) {
      await assert.rejects(
        ask(env, { "main.js": answer("1", `import "${root}";`) }),
        /Error: No such module "\."\.\n {2}imported from "main\.js"/,
      );
    }
  },
};
