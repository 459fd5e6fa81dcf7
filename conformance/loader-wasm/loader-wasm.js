// WebAssembly modules: imported by the parent, and given to dynamic Workers as bytes or as compiled modules.
import assert from "node:assert";
import source addModule from "./add.wasm";
import addDefault from "./add.wasm";

// (module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
const BYTES = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97, 100, 100, 0, 0, 10, 9, 1,
  7, 0, 32, 0, 32, 1, 106, 11,
]);
const CHILD = `
  import source fromSource from "NAME";
  import fromDefault from "NAME";
  export default {
    async add([a, b]) { return new WebAssembly.Instance(fromDefault).exports.add(a, b); },
    async addSource([a, b]) { return (await WebAssembly.instantiate(fromSource)).exports.add(a, b); },
    async kinds() { return [fromSource instanceof WebAssembly.Module, fromDefault instanceof WebAssembly.Module]; },
  };
`;

const load = (env, content, name = "add.wasm") =>
  env.LOADER.load({
    compatibilityDate: "2026-03-01",
    mainModule: "main.js",
    modules: { "main.js": CHILD.replaceAll("NAME", `./${name}`), [name]: content },
  }).getEntrypoint();

export const parentImportsBySourceAndDefault = {
  async test() {
    assert.ok(addModule instanceof WebAssembly.Module);
    assert.ok(addDefault instanceof WebAssembly.Module);
    assert.strictEqual(new WebAssembly.Instance(addModule).exports.add(2, 3), 5);
    assert.strictEqual((await WebAssembly.instantiate(addDefault)).exports.add(-1, 1), 0);
  },
};

export const bytes = {
  async test(_controller, env) {
    const stub = load(env, { wasm: BYTES });
    assert.strictEqual(await stub.add([5, 7]), 12);
    assert.strictEqual(await stub.addSource([100, 42]), 142);
    assert.deepStrictEqual(await stub.kinds(0), [true, true]);
  },
};

export const bytesAsArrayBuffer = {
  async test(_controller, env) {
    assert.strictEqual(await load(env, { wasm: BYTES.buffer }).add([1, 2]), 3);
  },
};

export const bytesOfAView = {
  async test(_controller, env) {
    const padded = new Uint8Array(BYTES.length + 10);
    padded.set(BYTES, 4);
    assert.strictEqual(await load(env, { wasm: padded.subarray(4, 4 + BYTES.length) }).add([1, 2]), 3);
  },
};

export const resizableBufferIsCaptured = {
  async test(_controller, env) {
    const buffer = new ArrayBuffer(BYTES.length, { maxByteLength: 100 });
    new Uint8Array(buffer).set(BYTES);
    const stub = load(env, { wasm: buffer });
    buffer.resize(0);
    assert.strictEqual(await stub.add([20, 22]), 42);
  },
};

export const compiledModuleDirectly = {
  async test(_controller, env) {
    const stub = load(env, addModule);
    assert.strictEqual(await stub.add([5, 7]), 12);
    assert.deepStrictEqual(await stub.kinds(0), [true, true]);
  },
};

export const compiledModuleInAnObject = {
  async test(_controller, env) {
    assert.strictEqual(await load(env, { wasm: addModule }).add([6, 7]), 13);
  },
};

export const sameModuleForTwoWorkers = {
  async test(_controller, env) {
    const [a, b] = [load(env, addModule), load(env, addModule)];
    assert.deepStrictEqual(await Promise.all([a.add([1, 1]), b.add([2, 2])]), [2, 4]);
  },
};

export const nestedPath = {
  async test(_controller, env) {
    assert.strictEqual(await load(env, { wasm: BYTES }, "lib/math.wasm").add([3, 4]), 7);
  },
};

export const invalidBytesFailTheWorker = {
  async test(_controller, env) {
    await assert.rejects(load(env, { wasm: new Uint8Array([1, 2, 3]) }).add([1, 2]), /CompileError|WebAssembly/);
  },
};

export const compilingBytesAtRequestTimeIsRefused = {
  async test() {
    assert.throws(() => new WebAssembly.Module(BYTES), { name: "CompileError" });
    await assert.rejects(WebAssembly.compile(BYTES), { name: "CompileError" });
    await assert.rejects(WebAssembly.instantiate(BYTES), { name: "CompileError" });
    assert.strictEqual(WebAssembly.validate(BYTES), true);
  },
};
