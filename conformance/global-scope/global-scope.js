// The global object's interfaces, and the small objects on it.
import assert from "node:assert";

export const theGlobalObjectIsAServiceWorkersScope = {
  test() {
    assert.strictEqual(typeof WorkerGlobalScope, "function");
    assert.strictEqual(typeof ServiceWorkerGlobalScope, "function");
    assert.strictEqual(globalThis.constructor, ServiceWorkerGlobalScope);
    assert.ok(globalThis instanceof ServiceWorkerGlobalScope);
    assert.strictEqual(Object.getPrototypeOf(globalThis), ServiceWorkerGlobalScope.prototype);
    assert.strictEqual(Object.prototype.toString.call(globalThis), "[object ServiceWorkerGlobalScope]");
    assert.strictEqual(Object.prototype.toString.call(WorkerGlobalScope.prototype), "[object WorkerGlobalScope]");
    for (const Class of [WorkerGlobalScope, ServiceWorkerGlobalScope]) {
      assert.throws(() => new Class(), { name: "TypeError", message: "Illegal constructor" });
    }
    assert.strictEqual(self, globalThis);
    assert.strictEqual(global, globalThis);
    assert.strictEqual(origin, "null");
  },
};

export const navigatorsMembers = {
  test() {
    assert.strictEqual(navigator.userAgent, "Cloudflare-Workers");
    assert.strictEqual(navigator.language, "en");
    assert.deepStrictEqual(navigator.languages, ["en"]);
    assert.strictEqual(navigator.hardwareConcurrency, 1);
    assert.strictEqual(navigator.platform, "");
    assert.ok(navigator instanceof Navigator);
    assert.throws(() => new Navigator(), { name: "TypeError", message: "Illegal constructor" });
    assert.throws(() => navigator.sendBeacon(), {
      message: "Failed to execute 'sendBeacon' on 'Navigator': parameter 1 is not of type 'string'.",
    });
  },
};

export const timeoutsOfSignalsTakeAnyNumber = {
  test() {
    for (const time of [0, 1.5, -1, NaN, Infinity, -Infinity, 2 ** 53, 2 ** 64, 1e300, "5", "x", null, undefined, {}]) {
      const signal = AbortSignal.timeout(time);
      assert.ok(signal instanceof AbortSignal && !signal.aborted, String(time));
    }
    assert.throws(() => AbortSignal.timeout(), TypeError);
    assert.throws(() => AbortSignal.timeout(10n), TypeError);
  },
};

export const objectUrlsAreNotImplemented = {
  test() {
    assert.throws(() => URL.createObjectURL(new Blob(["x"])), { message: "URL.createObjectURL() is not implemented" });
    assert.throws(() => URL.revokeObjectURL("blob:x"), { message: "URL.revokeObjectURL() is not implemented" });
  },
};
