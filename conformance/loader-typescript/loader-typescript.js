// Deliberate difference: TypeScript modules. The types are erased, so lines and columns stay those of the source.
// workerd refuses such modules; see ../differences.jsonc.
import assert from "node:assert";

const worker = (modules, extra) => ({ compatibilityDate: "2026-03-01", mainModule: "main.ts", modules, ...extra });
const ask = (env, modules, extra) => env.LOADER.load(worker(modules, extra)).getEntrypoint().ask(null);
const answer = (expression, before = "") => `${before}\nexport default { async ask() { return ${expression}; } };`;

export const tsObject = {
  async test(_controller, env) {
    const modules = { "main.js": { ts: answer("value", "const value: number = 5;") } };
    assert.strictEqual(await ask(env, modules, { mainModule: "main.js" }), 5);
  },
};

export const stringEndingInTs = {
  async test(_controller, env) {
    assert.strictEqual(await ask(env, { "main.ts": answer("value", "const value: string = 'ts';") }), "ts");
  },
};

export const stringEndingInMts = {
  async test(_controller, env) {
    const modules = { "main.mts": answer("value as number", "const value: unknown = 7;") };
    assert.strictEqual(await ask(env, modules, { mainModule: "main.mts" }), 7);
  },
};

export const importsBetweenModules = {
  async test(_controller, env) {
    const modules = {
      "main.ts": answer(
        "double(three) + four",
        `
        import { double, type Options } from "./lib/math.ts";
        import type { Unused } from "./types.ts";
        import three from "./three.js";
        import four from "./four.mts";
        const options: Options | Unused | null = null;`,
      ),
      "lib/math.ts":
        "export interface Options { a?: number }\nexport function double(n: number): number { return n * 2; }",
      "types.ts": "export type Unused = { never: true };",
      "three.js": "export default 3;",
      "four.mts": "const four: number = 4;\nexport default four;",
    };
    assert.strictEqual(await ask(env, modules), 10);
  },
};

export const erasedSyntax = {
  async test(_controller, env) {
    const source = `
      type Pair<T> = [T, T];
      declare const missing: string;
      declare global { interface Window { extra: string } }
      abstract class Shape<T extends number = number> {
        private readonly sides!: T;
        declare hidden: string;
        static count: number = 0;
        constructor(protected_: T) { this.sides = protected_; Shape.count++; }
        abstract area(): number;
        get n(): number { return this.sides as number; }
      }
      class Square extends Shape<4> implements Iterable<number> {
        override area(): number { return this.n! * this.n; }
        *[Symbol.iterator](this: Square): Generator<number> { yield this.area(); }
      }
      function overloaded(a: string): string;
      function overloaded(a: number): number;
      function overloaded(a: any): any { return a; }
      const identity = <T,>(value: T): T => value;
      const pair: Pair<number> = [identity<number>(1), overloaded(2)] satisfies Pair<number>;
      export type { Pair };
      export default { async ask(arg?: unknown): Promise<unknown> { return [...new Square(4), ...pair, Shape.count]; } };
    `;
    assert.deepStrictEqual(await ask(env, { "main.ts": source }), [16, 1, 2, 1]);
  },
};

export const enums = {
  async test(_controller, env) {
    const source = answer(
      "[Color.Red, Color.Blue, Color[5], Name.A]",
      `
      enum Color { Red, Green = 5, Blue }
      export enum Name { A = "a" }`,
    );
    assert.deepStrictEqual(await ask(env, { "main.ts": source }), [0, 6, "Green", "a"]);
  },
};

export const parameterProperties = {
  async test(_controller, env) {
    const source = answer(
      "new Point(1, 2).sum()",
      `
      class Point {
        constructor(readonly x: number, private y: number = 0) {}
        sum(): number { return this.x + this.y; }
      }`,
    );
    assert.strictEqual(await ask(env, { "main.ts": source }), 3);
  },
};

export const classEntrypointInTypeScript = {
  async test(_controller, env) {
    const source = `
      import { WorkerEntrypoint } from "cloudflare:workers";
      interface Env { NAME: string }
      export default class Main extends WorkerEntrypoint<Env> {
        async ask(_: null): Promise<string> { return this.env.NAME; }
        override async fetch(request: Request): Promise<Response> { return new Response(this.env.NAME); }
      }
    `;
    const stub = env.LOADER.load(worker({ "main.ts": source }, { env: { NAME: "typed" } })).getEntrypoint();
    assert.strictEqual(await stub.ask(null), "typed");
    assert.strictEqual(await (await stub.fetch("http://t.example/")).text(), "typed");
  },
};

export const stackTracesKeepLinesAndColumns = {
  async test(_controller, env) {
    const source = `
      interface Many { lines: string;
        of: number; types: boolean }
      export default {
        async ask(a: Many | null): Promise<string> { return new Error("here").stack!; },
      };`;
    const line = source.split("\n").findIndex((text) => text.includes("new Error")) + 1;
    const column = source.split("\n")[line - 1].indexOf("new Error") + 1;
    assert.match(await ask(env, { "main.ts": source }), new RegExp(`main\\.ts:${line}:${column}`));
  },
};

export const syntaxErrorsAreReported = {
  async test(_controller, env) {
    await assert.rejects(ask(env, { "main.ts": "export default {\n  async ask( { };\n" }), /main\.ts/);
  },
};

export const unsupportedSyntaxIsAClearError = {
  async test(_controller, env) {
    const source = answer("Values.x", "namespace Values { export const x = 1; }");
    await assert.rejects(ask(env, { "main.ts": source }), /main\.ts[^]*namespace/i);
  },
};

export const typeScriptUnderGet = {
  async test(_controller, env) {
    const get = () =>
      env.LOADER.get("typescript", async () => worker({ "main.ts": answer("n", "const n: number = 9;") }));
    assert.strictEqual(await get().getEntrypoint().ask(null), 9);
    assert.strictEqual(await get().getEntrypoint().ask(null), 9);
  },
};

export const tsxStringsAreStillRefused = {
  async test(_controller, env) {
    const modules = { "main.ts": answer("1"), "view.tsx": "export default 1;" };
    assert.throws(() => env.LOADER.load(worker(modules)), { name: "TypeError", message: /Got: view\.tsx/ });
  },
};
