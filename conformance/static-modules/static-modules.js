// Module rules of a Worker that is not bundled: ES, CommonJS, text, data and WebAssembly modules, found by their globs.
import assert from "node:assert";
import { base } from "./base.js";
import bytes from "./lib/bytes.bin";
import legacy from "./lib/legacy.cjs";
import { page, sum } from "./lib/math.js";
import add from "./lib/add.wasm";
import note from "./note.txt";

export const esModules = {
  async test() {
    assert.strictEqual(sum(1, 2), 103);
    assert.strictEqual(base, 100);
    assert.strictEqual(globalThis.evaluations, 1);
  },
};

export const textModules = {
  async test() {
    assert.strictEqual(note, "text with \u00e9\nand two lines\n");
    assert.strictEqual(page, "<p>page</p>\n");
  },
};

export const dataModules = {
  async test() {
    assert.ok(bytes instanceof ArrayBuffer);
    assert.deepStrictEqual([...new Uint8Array(bytes)], [0, 1, 255]);
  },
};

export const commonJsModules = {
  async test() {
    assert.strictEqual(legacy.name, "legacy");
    assert.strictEqual(legacy.hex("hi"), "6869");
  },
};

export const wasmModules = {
  async test() {
    assert.ok(add instanceof WebAssembly.Module);
    assert.strictEqual(new WebAssembly.Instance(add).exports.add(40, 2), 42);
  },
};

export const dynamicImports = {
  async test() {
    assert.strictEqual((await import("./base.js")).base, 100);
    assert.strictEqual((await import("./note.txt")).default, note);
    await assert.rejects(import("./absent.js"), { message: /No such module "absent\.js"/ });
  },
};
