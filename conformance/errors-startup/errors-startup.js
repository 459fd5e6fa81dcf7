// Workers whose code cannot start: every request rejects with an error that says what was wrong, and the process lives.
import assert from "node:assert";

const worker = (modules, extra) => ({
  compatibilityDate: "2026-03-01",
  mainModule: "main.js",
  modules: typeof modules === "string" ? { "main.js": modules } : modules,
  ...extra,
});
const DEFAULT = "export default { async fetch() { return new Response('ok'); }, async ping() { return 'pong'; } };";

/** The load must not throw; fetch, RPC and a named entrypoint must all reject with `pattern` and never be masked. */
async function failsToStart(env, code, pattern) {
  const stub = env.LOADER.load(code);
  for (const call of [
    () => stub.getEntrypoint().fetch("http://x.example/"),
    () => stub.getEntrypoint().ping(1),
    () => stub.getEntrypoint("other").ping(1),
  ]) {
    const error = await call().then(
      () => assert.fail("the Worker should not have started"),
      (reason) => reason,
    );
    assert.match(String(error.message), pattern);
    assert.doesNotMatch(String(error.message), /internal error/);
  }
}

export const syntaxError = {
  async test(_controller, env) {
    await failsToStart(env, worker("export default {{;"), /SyntaxError/);
  },
};

export const syntaxErrorInAnUnusedModule = {
  async test(_controller, env) {
    await failsToStart(env, worker({ "main.js": DEFAULT, "unused.js": "this is not javascript" }), /SyntaxError/);
  },
};

export const topLevelThrow = {
  async test(_controller, env) {
    await failsToStart(
      env,
      worker(`throw new Error("intentional startup error"); ${DEFAULT}`),
      /^Failed to start Worker:\nUncaught Error: intentional startup error/,
    );
  },
};

export const topLevelThrowInAnImportedModule = {
  async test(_controller, env) {
    const modules = { "main.js": `import "./dep.js"; ${DEFAULT}`, "dep.js": "null.property;" };
    await failsToStart(env, worker(modules), /TypeError: Cannot read properties of null/);
  },
};

export const topLevelThrowOfAPrimitive = {
  async test(_controller, env) {
    await failsToStart(env, worker(`throw "a string"; ${DEFAULT}`), /a string/);
  },
};

export const rejectedTopLevelAwait = {
  async test(_controller, env) {
    await failsToStart(
      env,
      worker(`await Promise.reject(new RangeError("awaited failure")); ${DEFAULT}`),
      /awaited failure/,
    );
  },
};

export const topLevelAwaitThatNeverSettles = {
  async test(_controller, env) {
    await failsToStart(env, worker(`await new Promise(() => {}); ${DEFAULT}`), /[Tt]op-level await/);
  },
};

export const throwingCommonJsModule = {
  async test(_controller, env) {
    const modules = { "main.js": `import "./c"; ${DEFAULT}`, c: { cjs: "throw new Error('in commonjs');" } };
    await failsToStart(env, worker(modules), /in commonjs/);
  },
};

export const missingImport = {
  async test(_controller, env) {
    await failsToStart(env, worker(`import "./nowhere.js"; ${DEFAULT}`), /No such module "nowhere\.js"/);
  },
};

export const missingExportName = {
  async test(_controller, env) {
    const modules = { "main.js": `import { absent } from "./dep.js"; ${DEFAULT}`, "dep.js": "" };
    await failsToStart(env, worker(modules), /absent/);
  },
};

export const exportThatIsNoHandler = {
  async test(_controller, env) {
    await failsToStart(
      env,
      worker(`${DEFAULT} export const number = 5;`),
      /Incorrect type for map entry 'number': the provided value is not of type 'function or ExportedHandler'\./,
    );
  },
};

export const inputOutputAtTopLevel = {
  async test(_controller, env) {
    const disallowed = /Disallowed operation called within global scope/;
    for (const statement of [
      "setTimeout(() => {}, 1);",
      "await fetch('http://x.example/');",
      "crypto.getRandomValues(new Uint8Array(1));",
      "crypto.randomUUID();",
    ]) {
      await failsToStart(env, worker(`${statement} ${DEFAULT}`), disallowed);
    }
  },
};

export const evalIsAllowedAtStartupOnly = {
  async test(_controller, env) {
    const source = `
      const atStartup = [eval("1 + 1"), new Function("return 3")()];
      export default {
        async look() {
          const names = [];
          for (const attempt of [() => eval("1"), () => new Function("return 1")]) {
            try { attempt(); names.push("allowed"); } catch (e) { names.push(e.name); }
          }
          return [...atStartup, ...names];
        },
      };`;
    const stub = env.LOADER.load(worker(source)).getEntrypoint();
    assert.deepStrictEqual(await stub.look(0), [2, 3, "EvalError", "EvalError"]);
  },
};

export const clockIsZeroAtTopLevel = {
  async test(_controller, env) {
    const source = `const top = [Date.now(), new Date().getTime(), performance.now()];
      export default { async look() { return [top, Date.now() > 1e12]; } };`;
    assert.deepStrictEqual(await env.LOADER.load(worker(source)).getEntrypoint().look(0), [[0, 0, 0], true]);
  },
};

export const failureUnderGet = {
  async test(_controller, env) {
    const stub = env.LOADER.get("fails to start", () => worker("throw new Error('named failure');"));
    await assert.rejects(stub.getEntrypoint().ping(1), { message: /named failure/ });
    await assert.rejects(stub.getEntrypoint().fetch("http://x.example/"), { message: /named failure/ });
  },
};

export const otherWorkersStartAfterAFailure = {
  async test(_controller, env) {
    await assert.rejects(env.LOADER.load(worker("throw 1;")).getEntrypoint().ping(1));
    assert.strictEqual(await env.LOADER.load(worker(DEFAULT)).getEntrypoint().ping(1), "pong");
  },
};

export const errorsNameTheirPlace = {
  async test(_controller, env) {
    const places = [
      [`\n\nfunction f() {\n  throw new RangeError("boo");\n}\nf(); ${DEFAULT}`, /Uncaught RangeError: boo\n {2}at main\.js:4:9/],
      [`\n  null.x; ${DEFAULT}`, /Uncaught TypeError: Cannot read properties of null \(reading 'x'\)\n {2}at main\.js:2:8/],
      [`\n  let a = 1; let a = 2; ${DEFAULT}`, /Uncaught SyntaxError: Identifier 'a' has already been declared\n {2}at main\.js:2:1[78]/],
      [`await 1;\n  throw new Error("later"); ${DEFAULT}`, /Uncaught Error: later\n {2}at main\.js:2:9/],
    ];
    for (const [source, pattern] of places) {
      await failsToStart(env, worker(source), pattern);
      const modules = { "main.js": `import "./lib/dep.js"; ${DEFAULT}`, "lib/dep.js": source };
      await failsToStart(env, worker(modules), new RegExp(pattern.source.replace("main", "lib\\/dep")));
    }
  },
};

export const errorsOfTheRuntimeNameTheLineThatCalledIt = {
  async test(_controller, env) {
    for (const call of ["await fetch('http://x.example/')", "setTimeout(() => {}, 1)", "crypto.randomUUID()"]) {
      const error = await env.LOADER.load(worker(`// a comment\n${call};\n${DEFAULT}`))
        .getEntrypoint()
        .ping(1)
        .catch((reason) => reason);
      assert.match(error.message, /global scope[^]*\n {2}at main\.js:2:\d+/);
    }
  },
};

export const framesAreNamed = {
  async test(_controller, env) {
    const source = `function outer() {\n  inner();\n}\nfunction inner() {\n  throw new Error("deep");\n}\nouter(); ${DEFAULT}`;
    await failsToStart(
      env,
      worker({ "main.js": `import "./lib/dep.js"; ${DEFAULT}`, "lib/dep.js": source }),
      /Error: deep\n {2}at lib\/dep\.js:5:9 in inner\n[^]*^ {2}at lib\/dep\.js:2:3 in outer\n {2}at lib\/dep\.js:7:1$/m,
    );
  },
};

export const stacksThatGuestsWroteAreNotUsed = {
  async test(_controller, env) {
    for (const source of [
      "const e = new Error('boo'); e.stack = 'fake'; throw e;",
      "Error.prepareStackTrace = () => 'fake'; throw new Error('boo');",
    ]) {
      await failsToStart(env, worker(`${source} ${DEFAULT}`), /Uncaught Error: boo\n {2}at main\.js:1:\d+/);
    }
  },
};

export const domExceptionsSayWhatTheyAre = {
  async test(_controller, env) {
    const source = `throw new DOMException("no more", "AbortError"); ${DEFAULT}`;
    await failsToStart(env, worker(source), /Uncaught DOMException\(AbortError\): no more\n {2}at main\.js:1:7/);
  },
};

export const whatIsNoErrorBecomesOne = {
  async test(_controller, env) {
    const thrown = [
      ["'a string'", "a string"],
      ["'TypeError: of its own'", "TypeError: of its own"],
      ["null", "null"],
      ["undefined", "undefined"],
      ["Symbol('s')", "Symbol\\(s\\)"],
      ["{ name: 'TypeError', message: 'm' }", "#<Object>"],
      ["new (class Custom extends TypeError { name = 'Custom'; })('m')", "Custom: m"],
    ];
    for (const [value, text] of thrown) {
      await failsToStart(env, worker(`throw ${value}; ${DEFAULT}`), new RegExp(`^Failed to start Worker:\nUncaught Error: ${text}`));
    }
    for (const name of ["Error", "TypeError", "URIError", "EvalError", "WebAssembly.CompileError"]) {
      const source = `throw new ${name}("m"); ${DEFAULT}`;
      await failsToStart(env, worker(source), new RegExp(`^Failed to start Worker:\nUncaught ${name.replace(/.*\./, "")}: m\n`));
    }
  },
};
