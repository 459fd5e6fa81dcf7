// AbortSignal over RPC (flag enable_abortsignal_rpc): a signal stays connected to where it came from.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

const aborted = (signal) =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve());
  });

export class Target extends WorkerEntrypoint {
  async reason(signal) {
    const before = signal.aborted;
    await aborted(signal);
    return [before, signal.aborted, signal.reason, signal instanceof AbortSignal];
  }
  async reasonIn({ signal }) {
    await aborted(signal);
    return signal.reason;
  }
  async errorReason(signal) {
    await aborted(signal);
    return [signal.reason.constructor.name, signal.reason.name, signal.reason.message];
  }
  now(signal) {
    return [signal.aborted, signal.reason];
  }
  async ofRequest(request) {
    const before = request.signal.aborted;
    await aborted(request.signal);
    return [before, request.signal.reason];
  }
  async requestText(request) {
    return [request.signal.aborted, await request.text()];
  }
  abortsLater(reason) {
    const controller = new AbortController();
    this.ctx.waitUntil(scheduler.wait(10).then(() => controller.abort(reason)));
    return controller.signal;
  }
  abortsLaterIn(reason) {
    return { signal: this.abortsLater(reason) };
  }
  timesOut() {
    return AbortSignal.timeout(10);
  }
  neverAborts() {
    return new AbortController().signal;
  }
  alreadyAborted(reason) {
    return AbortSignal.abort(reason);
  }
  order(_signal, value) {
    (globalThis.order ??= []).push(value);
    return [...globalThis.order];
  }
}

export const abortAfterTheCallReachesTheCallee = {
  async test(_controller, _env, ctx) {
    const controller = new AbortController();
    const call = ctx.exports.Target.reason(controller.signal);
    await scheduler.wait(5);
    controller.abort("why");
    assert.deepStrictEqual(await call, [false, true, "why", true]);
  },
};

export const abortRightAfterSending = {
  async test(_controller, _env, ctx) {
    const controller = new AbortController();
    const call = ctx.exports.Target.reasonIn({ signal: controller.signal });
    controller.abort({ a: [1] });
    assert.deepStrictEqual(await call, { a: [1] });
  },
};

export const reasonsKeepTheirClass = {
  async test(_controller, _env, ctx) {
    for (const [reason, seen] of [
      [undefined, ["DOMException", "AbortError", "The operation was aborted"]],
      [new RangeError("too far"), ["RangeError", "RangeError", "too far"]],
    ]) {
      const controller = new AbortController();
      const call = ctx.exports.Target.errorReason(controller.signal);
      controller.abort(reason);
      assert.deepStrictEqual(await call, seen);
    }
  },
};

export const alreadyAbortedSignalArrivesAborted = {
  async test(_controller, _env, ctx) {
    const target = ctx.exports.Target;
    assert.deepStrictEqual(await target.now(AbortSignal.abort("before")), [true, "before"]);
    const signal = await target.alreadyAborted("there");
    assert.deepStrictEqual([signal.aborted, signal.reason], [true, "there"]);
  },
};

export const signalThatNobodyAborts = {
  async test(_controller, _env, ctx) {
    const target = ctx.exports.Target;
    assert.deepStrictEqual(await target.now(new AbortController().signal), [false, undefined]);
    const signal = await target.neverAborts();
    assert.strictEqual(signal.aborted, false);
  },
};

export const oneSignalForTwoCallees = {
  async test(_controller, _env, ctx) {
    const controller = new AbortController();
    const calls = [1, 2].map(() => ctx.exports.Target.reason(controller.signal));
    await scheduler.wait(5);
    controller.abort("both");
    for (const call of calls) assert.deepStrictEqual((await call).slice(1, 3), [true, "both"]);
  },
};

export const signalsOfAnyAndTimeout = {
  async test(_controller, _env, ctx) {
    const controller = new AbortController();
    const call = ctx.exports.Target.reason(AbortSignal.any([controller.signal]));
    controller.abort("first");
    assert.strictEqual((await call)[2], "first");
    assert.strictEqual((await ctx.exports.Target.errorReason(AbortSignal.timeout(5)))[1], "TimeoutError");
  },
};

export const returnedSignalAbortsTheCaller = {
  async test(_controller, _env, ctx) {
    const direct = await ctx.exports.Target.abortsLater("later");
    assert.strictEqual(direct.aborted, false);
    await aborted(direct);
    assert.strictEqual(direct.reason, "later");
    const { signal } = await ctx.exports.Target.abortsLaterIn("inside");
    await aborted(signal);
    assert.strictEqual(signal.reason, "inside");
  },
};

export const returnedTimeoutSignal = {
  async test(_controller, _env, ctx) {
    const signal = await ctx.exports.Target.timesOut();
    await aborted(signal);
    assert.strictEqual(signal.reason.name, "TimeoutError");
  },
};

export const signalOfARequest = {
  async test(_controller, _env, ctx) {
    const controller = new AbortController();
    const call = ctx.exports.Target.ofRequest(new Request("http://x/", { signal: controller.signal }));
    await scheduler.wait(5);
    controller.abort("request");
    assert.deepStrictEqual(await call, [false, "request"]);
  },
};

export const touchedSignalOfARequest = {
  async test(_controller, _env, ctx) {
    const request = new Request("http://x/", { method: "POST", body: "text" });
    assert.strictEqual(request.signal.aborted, false);
    assert.strictEqual(request.signal, request.signal);
    assert.deepStrictEqual(await ctx.exports.Target.requestText(request), [false, "text"]);
  },
};

export const signalsCannotBeStructuredCloned = {
  async test() {
    for (const signal of [new AbortController().signal, AbortSignal.abort()]) {
      assert.throws(() => structuredClone(signal), {
        name: "DataCloneError",
        message: "AbortSignal can only be serialized for RPC.",
      });
    }
  },
};

export const signalsCannotStandInEnv = {
  async test(_controller, env) {
    const load = (signal) =>
      env.LOADER.load({ compatibilityDate: "2026-05-01", mainModule: "m.js", modules: { "m.js": "" }, env: { signal } });
    assert.throws(() => load(new AbortController().signal), {
      message: "AbortSignal can only be serialized for RPC.",
    });
  },
};

export const signalReachesADynamicWorker = {
  async test(_controller, env) {
    const child = env.LOADER.load({
      compatibilityDate: "2026-05-01",
      compatibilityFlags: ["experimental", "enable_abortsignal_rpc"],
      allowExperimental: true,
      mainModule: "m.js",
      modules: {
        "m.js": `export default {
          async reason(signal) {
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
            return signal.reason;
          },
        };`,
      },
    });
    const controller = new AbortController();
    const call = child.getEntrypoint().reason(controller.signal);
    await scheduler.wait(5);
    controller.abort("to the child");
    assert.strictEqual(await call, "to the child");
  },
};

export const callsWithSignalsStayInOrder = {
  async test(_controller, _env, ctx) {
    globalThis.order = [];
    const target = ctx.exports.Target;
    const { signal } = new AbortController();
    const calls = [target.order(signal, 1), target.order(null, 2), target.order(signal, 3), target.order(null, 4)];
    assert.deepStrictEqual((await Promise.all(calls)).at(-1), [1, 2, 3, 4]);
  },
};
