// Size limits of the code and of the env of a dynamic Worker, and the `limits` fields.
import assert from "node:assert";

const MEBIBYTE = 1024 * 1024;
const CHILD = `
  import text from "big.txt";
  export default {
    async textLength() { return text.length; },
    async envLength(arg, env) { return env.BIG.length; },
    async echo(arg) { return arg; },
  };
`;

const code = (text, extra) => ({
  compatibilityDate: "2026-03-01",
  mainModule: "main.js",
  modules: { "main.js": CHILD, "big.txt": { text } },
  ...extra,
});

const CODE_TOO_LARGE =
  /^Dynamic Worker code size \(\d+ bytes\) exceeds the maximum allowed size of 67108864 bytes\.$/;
const ENV_TOO_LARGE = /^Dynamic Worker env size \(\d+ bytes\) exceeds the maximum allowed size of 1048576 bytes\.$/;

export const oneMebibyteModule = {
  async test(_controller, env) {
    const stub = env.LOADER.load(code("x".repeat(MEBIBYTE))).getEntrypoint();
    assert.strictEqual(await stub.textLength(0), MEBIBYTE);
  },
};

export const codeAbove64MebibytesIsRefused = {
  async test(_controller, env) {
    const tooLarge = () => code("x".repeat(64 * MEBIBYTE));
    assert.throws(() => env.LOADER.load(tooLarge()), { name: "Error", message: CODE_TOO_LARGE });
    const stub = env.LOADER.get("too large", tooLarge);
    await assert.rejects(stub.getEntrypoint().echo(1), { message: CODE_TOO_LARGE });
  },
};

export const severalModulesCountTogether = {
  async test(_controller, env) {
    const half = new Uint8Array(33 * MEBIBYTE);
    const modules = { "main.js": CHILD, "big.txt": { data: half }, other: { data: half } };
    assert.throws(() => env.LOADER.load({ ...code(""), modules }), { message: CODE_TOO_LARGE });
  },
};

export const halfMebibyteEnv = {
  async test(_controller, env) {
    const stub = env.LOADER.load(code("", { env: { BIG: "e".repeat(MEBIBYTE / 2) } })).getEntrypoint();
    assert.strictEqual(await stub.envLength(0), MEBIBYTE / 2);
  },
};

export const envAboveOneMebibyteIsRefused = {
  async test(_controller, env) {
    const tooLarge = () => code("", { env: { BIG: "e".repeat(2 * MEBIBYTE) } });
    assert.throws(() => env.LOADER.load(tooLarge()), { name: "Error", message: ENV_TOO_LARGE });
    const stub = env.LOADER.get("large env", tooLarge);
    await assert.rejects(stub.getEntrypoint().echo(1), { message: ENV_TOO_LARGE });
  },
};

export const limitsAreAccepted = {
  async test(_controller, env) {
    const worker = env.LOADER.load(code("", { limits: { cpuMs: 5000, subRequests: 50 } }));
    assert.strictEqual(await worker.getEntrypoint(null, { limits: { cpuMs: 5000 } }).echo(1), 1);
    assert.strictEqual(await worker.getEntrypoint(null, { limits: {} }).echo(2), 2);
  },
};

export const limitsOfWallTimeAndMemoryAreAccepted = {
  async test(_controller, env) {
    const worker = env.LOADER.load(code("", { limits: { wallMs: 60_000, memoryMb: 64 } }));
    assert.strictEqual(await worker.getEntrypoint(null, { limits: { wallMs: 30_000, memoryMb: 1 } }).echo(1), 1);
  },
};

export const nothingCanBeDoneInNoTime = {
  async test(_controller, env) {
    for (const limits of [{ cpuMs: 0 }, { wallMs: 0 }]) {
      const message = /exceeded its (CPU|wall) time limit of 0 ms/;
      await assert.rejects(async () => env.LOADER.load(code("", { limits })).getEntrypoint().echo(1), { message });
      await assert.rejects(async () => env.LOADER.load(code("")).getEntrypoint(null, { limits }).echo(1), { message });
    }
  },
};

export const limitsMustBeUnsigned32BitNumbers = {
  async test(_controller, env) {
    for (const limits of [{ cpuMs: -1 }, { subRequests: 2 ** 32 }]) {
      assert.throws(() => env.LOADER.load(code("", { limits })), { name: "TypeError" });
    }
  },
};

export const pureRpcWithoutOutbound = {
  async test(_controller, env) {
    const stub = env.LOADER.load(code("", { globalOutbound: null })).getEntrypoint();
    assert.deepStrictEqual(await stub.echo({ a: [1] }), { a: [1] });
  },
};
