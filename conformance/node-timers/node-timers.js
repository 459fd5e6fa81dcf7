// Timers under nodejs_compat: objects, as in Node (enable_nodejs_global_timers), and setImmediate().
import assert from "node:assert";

const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export const timersAreObjects = {
  test() {
    for (const timer of [setTimeout(() => {}, 1e6), setInterval(() => {}, 1e6)]) {
      assert.strictEqual(timer.constructor.name, "Timeout");
      assert.strictEqual(timer.hasRef(), true);
      assert.strictEqual(timer.unref(), timer);
      assert.strictEqual(timer.hasRef(), false);
      assert.strictEqual(timer.ref(), timer);
      assert.strictEqual(timer.refresh(), timer);
      assert.ok(+timer > 0 && `${timer}` === String(+timer));
      assert.deepStrictEqual(Object.keys(timer), []);
      assert.strictEqual(timer.close(), timer);
    }
  },
};

export const eachWayToStopThemStopsThem = {
  async test() {
    const fired = [];
    const timer = (name) => setTimeout(() => fired.push(name), 1);
    clearTimeout(timer("object"));
    clearTimeout(+timer("number"));
    clearInterval(timer("other"));
    timer("close").close();
    timer("dispose")[Symbol.dispose]();
    for (const none of [undefined, null, "x", 5, {}, -1, Symbol("s"), 10n]) clearTimeout(none);
    await later(10);
    assert.deepStrictEqual(fired, []);
  },
};

export const refreshBeginsAnew = {
  async test() {
    let fired = 0;
    const done = new Promise((resolve) => {
      const timer = setTimeout(() => (++fired < 3 ? timer.refresh() : resolve()), 1);
    });
    await done;
    assert.strictEqual(fired, 3);
    const cleared = await new Promise((resolve) => {
      const timer = setTimeout(resolve, 1, "again");
      clearTimeout(timer);
      timer.refresh();
    });
    assert.strictEqual(cleared, "again");
  },
};

export const argumentsAndThis = {
  async test() {
    const seen = await new Promise((resolve) => setTimeout(function (...args) { resolve([this === globalThis, ...args]); }, 1, 1, 2));
    assert.deepStrictEqual(seen, [true, 1, 2]);
    const immediate = await new Promise((resolve) => setImmediate(function (...args) { resolve([this === globalThis, ...args]); }, 3, 4));
    assert.deepStrictEqual(immediate, [true, 3, 4]);
  },
};

export const immediates = {
  async test() {
    const order = [];
    clearImmediate(setImmediate(() => order.push("cleared")));
    setImmediate(() => order.push("first"));
    setImmediate(() => order.push("second"));
    queueMicrotask(() => order.push("microtask"));
    clearImmediate(undefined);
    clearImmediate(null);
    await later(10);
    assert.deepStrictEqual(order, ["microtask", "first", "second"]);
    assert.strictEqual(setImmediate(() => {}).constructor.name, "Immediate");
    assert.throws(() => clearImmediate(5), {
      message: "Failed to execute 'clearImmediate' on 'ServiceWorkerGlobalScope': parameter 1 is not of type 'Immediate'.",
    });
  },
};

export const callbacksMustBeFunctions = {
  test() {
    assert.throws(() => setTimeout("x", 1), {
      code: "ERR_INVALID_ARG_TYPE",
      message: "The \"callback\" argument must be of type function. Received type string ('x')",
    });
    assert.throws(() => setInterval(null), { message: 'The "callback" argument must be of type function. Received null' });
    assert.throws(() => setImmediate("x"), TypeError);
  },
};

export const signalsStillTimeOut = {
  async test() {
    const signal = AbortSignal.timeout(1);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    assert.strictEqual(signal.reason.name, "TimeoutError");
  },
};
