// Timers, microtasks and scheduler.wait.
import assert from "node:assert";

export const timeoutRunsOnce = {
  async test() {
    let calls = 0;
    setTimeout(() => calls++, 1);
    await scheduler.wait(20);
    assert.strictEqual(calls, 1);
  },
};

export const timeoutPassesArguments = {
  async test() {
    const args = await new Promise((resolve) => setTimeout((...values) => resolve(values), 1, "a", 2, null));
    assert.deepStrictEqual(args, ["a", 2, null]);
  },
};

export const timersRunInOrderOfTheirTime = {
  async test() {
    const order = [];
    const done = new Promise((resolve) => setTimeout(resolve, 40));
    setTimeout(() => order.push("later"), 25);
    setTimeout(() => order.push("first"), 1);
    setTimeout(() => order.push("second"), 1);
    await done;
    assert.deepStrictEqual(order, ["first", "second", "later"]);
  },
};

export const clearTimeoutStopsIt = {
  async test() {
    let ran = false;
    const id = setTimeout(() => (ran = true), 1);
    clearTimeout(id);
    clearTimeout(id);
    clearTimeout(undefined);
    clearTimeout(123456789);
    await scheduler.wait(10);
    assert.strictEqual(ran, false);
  },
};

export const intervalRepeatsUntilCleared = {
  async test() {
    let calls = 0;
    await new Promise((resolve) => {
      const id = setInterval(() => {
        calls += 1;
        if (calls === 3) {
          clearInterval(id);
          resolve();
        }
      }, 1);
    });
    await scheduler.wait(10);
    assert.strictEqual(calls, 3);
  },
};

export const negativeAndMissingDelays = {
  async test() {
    await new Promise((resolve) => setTimeout(resolve, -5));
    await new Promise((resolve) => setTimeout(resolve));
    await new Promise((resolve) => setTimeout(resolve, NaN));
    await new Promise((resolve) => setTimeout(resolve, "1"));
  },
};

export const timersTakeFunctionsOnly = {
  async test() {
    assert.throws(() => setTimeout("code", 1), { name: "TypeError" });
    assert.throws(() => setInterval({}, 1), { name: "TypeError" });
    assert.throws(() => queueMicrotask("code"), { name: "TypeError" });
  },
};

export const microtasksRunBeforeTimers = {
  async test() {
    const order = [];
    await new Promise((resolve) => {
      setTimeout(() => {
        order.push("timer");
        resolve();
      }, 0);
      queueMicrotask(() => order.push("microtask"));
      Promise.resolve().then(() => order.push("promise"));
      order.push("synchronous");
    });
    assert.deepStrictEqual(order, ["synchronous", "microtask", "promise", "timer"]);
  },
};

export const microtasksRunBetweenTimers = {
  async test() {
    const order = [];
    await new Promise((resolve) => {
      setTimeout(() => {
        order.push("timer 1");
        queueMicrotask(() => order.push("microtask 1"));
      }, 1);
      setTimeout(() => {
        order.push("timer 2");
        resolve();
      }, 1);
    });
    assert.deepStrictEqual(order, ["timer 1", "microtask 1", "timer 2"]);
  },
};

export const errorInATimerDoesNotStopOthers = {
  async test() {
    let later = false;
    let cleared;
    setTimeout(() => {
      later = true;
    }, 5);
    const caught = new Promise((resolve) => {
      cleared = setTimeout(() => resolve("ran"), 2);
    });
    assert.strictEqual(await caught, "ran");
    clearTimeout(cleared);
    await scheduler.wait(15);
    assert.strictEqual(later, true);
  },
};

export const schedulerWaitResolves = {
  async test() {
    const before = Date.now();
    assert.strictEqual(await scheduler.wait(10), undefined);
    assert.ok(Date.now() - before >= 9);
    await scheduler.wait(0);
  },
};

export const nestedTimers = {
  async test() {
    const depth = await new Promise((resolve) => {
      const next = (n) => (n === 10 ? resolve(n) : setTimeout(next, 0, n + 1));
      next(0);
    });
    assert.strictEqual(depth, 10);
  },
};

export const manyTimers = {
  async test() {
    let fired = 0;
    await Promise.all(
      Array.from({ length: 1000 }, (_, i) => new Promise((resolve) => setTimeout(() => resolve(fired++), i % 7))),
    );
    assert.strictEqual(fired, 1000);
  },
};

export const tooManyTimersThrow = {
  async test(_controller, _env, ctx) {
    assert.strictEqual(
      await (await ctx.exports.timerHoarder.fetch("http://t.example/")).text(),
      "QuotaExceededError",
    );
  },
};

/** In an invocation of its own, so that its ten thousand timers end with it. */
export const timerHoarder = {
  async fetch() {
    const ids = [];
    try {
      for (let i = 0; i < 10_001; i++) ids.push(setTimeout(() => {}, 60_000));
      return new Response("no limit");
    } catch (error) {
      return new Response(error.name);
    } finally {
      for (const id of ids) clearTimeout(id);
    }
  },
};
