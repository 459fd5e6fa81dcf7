// Which globals exist, what they are, and the rules for running code from strings.
import assert from "node:assert";

const clockAtTopLevel = [Date.now(), performance.now()];

export const functionsExist = {
  async test() {
    for (const name of [
      "atob",
      "btoa",
      "clearInterval",
      "clearTimeout",
      "fetch",
      "queueMicrotask",
      "reportError",
      "setInterval",
      "setTimeout",
      "structuredClone",
      "addEventListener",
      "removeEventListener",
      "dispatchEvent",
    ]) {
      assert.strictEqual(typeof globalThis[name], "function", name);
    }
  },
};

export const classesExist = {
  async test() {
    for (const name of [
      "AbortController",
      "AbortSignal",
      "Blob",
      "CompressionStream",
      "CustomEvent",
      "DecompressionStream",
      "DOMException",
      "Event",
      "EventTarget",
      "ExtendableEvent",
      "File",
      "FixedLengthStream",
      "FormData",
      "Headers",
      "IdentityTransformStream",
      "ReadableStream",
      "ReadableStreamDefaultReader",
      "ReadableStreamBYOBReader",
      "Request",
      "Response",
      "TextDecoder",
      "TextDecoderStream",
      "TextEncoder",
      "TextEncoderStream",
      "TransformStream",
      "URL",
      "URLSearchParams",
      "URLPattern",
      "WebSocket",
      "WebSocketPair",
      "WritableStream",
      "WritableStreamDefaultWriter",
      "CountQueuingStrategy",
      "ByteLengthQueuingStrategy",
      "Crypto",
      "SubtleCrypto",
      "CryptoKey",
      "WeakRef",
      "FinalizationRegistry",
    ]) {
      assert.strictEqual(typeof globalThis[name], "function", name);
    }
  },
};

export const objectsExist = {
  async test() {
    for (const name of [
      "console",
      "crypto",
      "performance",
      "navigator",
      "scheduler",
      "WebAssembly",
      "Intl",
      "Cloudflare",
      "caches",
    ]) {
      assert.strictEqual(typeof globalThis[name], "object", name);
    }
    assert.strictEqual(globalThis.self, globalThis);
    assert.strictEqual(navigator.userAgent, "Cloudflare-Workers");
  },
};

export const browserAndServerGlobalsAreAbsent = {
  async test() {
    for (const name of [
      "window",
      "document",
      "localStorage",
      "indexedDB",
      "XMLHttpRequest",
      "SharedWorker",
      "Deno",
      "Bun",
      "importScripts",
    ]) {
      assert.strictEqual(typeof globalThis[name], "undefined", name);
    }
  },
};

export const consoleMethods = {
  async test() {
    for (const name of [
      "assert",
      "clear",
      "count",
      "countReset",
      "debug",
      "dir",
      "dirxml",
      "error",
      "group",
      "groupCollapsed",
      "groupEnd",
      "info",
      "log",
      "table",
      "time",
      "timeEnd",
      "timeLog",
      "timeStamp",
      "trace",
      "warn",
    ]) {
      assert.strictEqual(typeof console[name], "function", name);
    }
    const cycle = {};
    cycle.self = cycle;
    console.log(
      "text",
      1,
      null,
      undefined,
      Symbol("s"),
      5n,
      cycle,
      [1, [2]],
      new Map([[1, 2]]),
      () => 1,
      new Error("logged"),
    );
    console.log();
    console.log("%s has %d and %i and %f and %j %o %O %c%%", "format", 1, 2.5, 3.5, { a: 1 }, {}, {}, "css");
  },
};

export const consoleSurvivesHostileValues = {
  async test() {
    const hostile = {
      get x() {
        throw new Error("getter");
      },
      toString() {
        throw new Error("toString");
      },
    };
    console.log(hostile, Object.create(null), new Proxy({}, {}), new Proxy(() => {}, {}));
  },
};

export const performanceClock = {
  async test() {
    assert.strictEqual(performance.timeOrigin, 0);
    const before = performance.now();
    assert.strictEqual(typeof before, "number");
    await scheduler.wait(5);
    assert.ok(performance.now() > before);
  },
};

export const clockAtTopLevelIsZero = {
  async test() {
    assert.deepStrictEqual(clockAtTopLevel, [0, 0]);
    assert.ok(Date.now() > Date.UTC(2024, 0));
  },
};

export const domException = {
  async test() {
    const error = new DOMException("message", "NotFoundError");
    assert.ok(error instanceof Error);
    assert.deepStrictEqual([error.name, error.message, error.code], ["NotFoundError", "message", 8]);
    assert.strictEqual(DOMException.NOT_FOUND_ERR, 8);
    assert.deepStrictEqual([new DOMException().name, new DOMException().message], ["Error", ""]);
  },
};

export const codeFromStringsIsRefused = {
  async test() {
    assert.throws(() => eval("1"), { name: "EvalError" });
    assert.throws(() => new Function("return 1"), { name: "EvalError" });
    assert.throws(() => (async () => {}).constructor("return 1"), { name: "EvalError" });
    assert.strictEqual(eval(undefined), undefined);
  },
};

export const modernLanguageFeatures = {
  async test() {
    assert.deepStrictEqual(Object.groupBy([1, 2, 3], (n) => (n % 2 ? "odd" : "even")).odd, [1, 3]);
    assert.deepStrictEqual([3, 1].toSorted(), [1, 3]);
    assert.deepStrictEqual([...new Set([1, 2]).union(new Set([3]))], [1, 2, 3]);
    assert.strictEqual(typeof Promise.withResolvers().resolve, "function");
    assert.match("aé", /\p{L}+/v);
    let disposed = false;
    {
      using resource = { [Symbol.dispose]: () => (disposed = true) };
      assert.ok(resource);
    }
    assert.strictEqual(disposed, true);
  },
};

export const intlWorks = {
  async test() {
    assert.strictEqual(new Intl.NumberFormat("en-US").format(1234567.5), "1,234,567.5");
    assert.strictEqual(new Intl.NumberFormat("de-DE").format(1234567.5), "1.234.567,5");
    assert.strictEqual(new Date(0).toLocaleDateString("en-US", { timeZone: "UTC" }), "1/1/1970");
    assert.strictEqual(Intl.DateTimeFormat().resolvedOptions().timeZone, "UTC");
  },
};

export const sharedMemoryCannotBlock = {
  async test() {
    assert.throws(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1), { name: "TypeError" });
  },
};

export const urlPattern = {
  async test() {
    const pattern = new URLPattern({ pathname: "/users/:id" });
    assert.strictEqual(pattern.exec("http://u.example/users/42").pathname.groups.id, "42");
    assert.strictEqual(pattern.test("http://u.example/other"), false);
  },
};

export const compatibilityFlagsAreVisible = {
  async test() {
    assert.strictEqual(Cloudflare.compatibilityFlags.nodejs_compat, true);
  },
};
