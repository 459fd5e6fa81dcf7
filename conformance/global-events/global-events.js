// Errors that no code catches: `error`, `unhandledrejection` and `rejectionhandled` of the global scope, reportError().
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

const pause = () => scheduler.wait(5);

// Listens to an event of the global scope while `act` runs, and for a moment longer. -> the events
async function eventsOf(types, act, listener = () => {}) {
  const events = [];
  const listen = (event) => {
    events.push(event);
    return listener(event);
  };
  for (const type of types) addEventListener(type, listen);
  await act();
  await pause();
  for (const type of types) removeEventListener(type, listen);
  return events;
}

const errorsOf = (act, listener) => eventsOf(["error"], act, listener);

// Module code reports errors, too.
const early = [];
const listenEarly = (event) => early.push(event.message);
addEventListener("error", listenEarly);
reportError(new Error("reported by the module"));
queueMicrotask(() => {
  throw new Error("thrown behind the module");
});

export const moduleCode = {
  test() {
    removeEventListener("error", listenEarly);
    assert.deepStrictEqual(early.slice(0, 2), [
      "Uncaught Error: reported by the module",
      "Uncaught Error: thrown behind the module",
    ]);
  },
};

export const reportErrorDispatchesAnEvent = {
  async test() {
    const error = new RangeError("reported");
    let returned;
    const [event] = await errorsOf(() => {
      returned = reportError(error);
    });
    assert.strictEqual(returned, undefined);
    assert.ok(event instanceof ErrorEvent);
    assert.strictEqual(event.error, error);
    assert.strictEqual(event.message, "Uncaught RangeError: reported");
    assert.match(event.filename, /global-events\.js$/);
    assert.ok(event.lineno > 40 && event.colno > 0, `${event.lineno}:${event.colno}`);
    assert.ok(event.isTrusted);
    assert.ok(!event.bubbles && !event.cancelable);
    assert.strictEqual(event.target, globalThis);
    assert.throws(() => reportError(), {
      name: "TypeError",
      message: "Failed to execute 'reportError' on 'ServiceWorkerGlobalScope': parameter 1 is not of type 'Value'.",
    });
  },
};

export const anyValueCanBeReported = {
  async test() {
    const values = ["text", undefined, null, 17];
    const events = await errorsOf(() => values.forEach((value) => reportError(value)));
    assert.deepStrictEqual(events.map(({ error }) => error), values);
    const messages = ["Uncaught text", "Uncaught undefined", "Uncaught null", "Uncaught 17"];
    assert.deepStrictEqual(events.map(({ message }) => message), messages);
  },
};

export const microtasksThatThrow = {
  async test() {
    const order = [];
    const events = await errorsOf(
      () => {
        Promise.resolve().then(() => order.push("before"));
        queueMicrotask(() => {
          throw new TypeError("in a microtask");
        });
        Promise.resolve().then(() => order.push("after"));
      },
      () => order.push("event"),
    );
    assert.deepStrictEqual(order, ["before", "event", "after"]);
    assert.strictEqual(events.length, 1);
    assert.strictEqual(events[0].message, "Uncaught TypeError: in a microtask");
    assert.ok(events[0].error instanceof TypeError && events[0].lineno > 80);
    assert.match(events[0].filename, /global-events\.js$/);
  },
};

export const everyMicrotaskIsReported = {
  async test() {
    const events = await errorsOf(() => {
      for (let i = 0; i < 20; i++) {
        queueMicrotask(() => {
          throw i;
        });
      }
    });
    assert.deepStrictEqual(events.map(({ error }) => error), Array.from({ length: 20 }, (_, i) => i));
  },
};

// As in the reference: what a timer's callback throws is logged, and has no event.
export const listenersThatThrowDoNotRecur = {
  async test() {
    let calls = 0;
    const events = await errorsOf(
      () => queueMicrotask(() => {
        throw new Error("the first");
      }),
      () => {
        calls++;
        throw new Error("in the listener");
      },
    );
    assert.strictEqual(calls, 1);
    assert.strictEqual(events.length, 1);
  },
};

export const reportingInAListenerDoesNotRecur = {
  async test() {
    const events = await errorsOf(() => reportError(1), () => reportError(2));
    assert.deepStrictEqual(events.map(({ error }) => error), [1]);
  },
};

export const handlerProperties = {
  async test() {
    assert.ok(!("onerror" in globalThis));
    const order = [];
    globalThis.onerror = function (...args) {
      assert.strictEqual(this, globalThis);
      order.push(`handler ${args.length} ${args[0].error}`);
    };
    await errorsOf(() => reportError("a"), () => order.push("listener"));
    globalThis.onerror = undefined;
    reportError("b");
    delete globalThis.onerror;
    assert.deepStrictEqual(order, ["handler 1 a", "listener"]);
  },
};

export const aHandlerNeedsNoListener = {
  async test() {
    const seen = [];
    globalThis.onerror = ({ error }) => seen.push(error);
    reportError("a");
    queueMicrotask(() => {
      throw "b";
    });
    await pause();
    delete globalThis.onerror;
    assert.deepStrictEqual(seen, ["a", "b"]);
  },
};

export const handlersOfOwnEvents = {
  test() {
    const seen = [];
    globalThis.onknock = ({ type }) => seen.push(type);
    dispatchEvent(new Event("knock"));
    delete globalThis.onknock;
    class Door extends EventTarget {}
    const door = new Door();
    door.addEventListener("knock", () => seen.push("listener"));
    door.onknock = (event) => {
      seen.push(event.target === door);
    };
    door.dispatchEvent(new Event("knock"));
    assert.deepStrictEqual(seen, ["knock", true, "listener"]);
  },
};

export const unhandledRejection = {
  async test() {
    const reason = new Error("nobody handles this");
    let promise;
    const events = await eventsOf(["unhandledrejection"], () => {
      promise = Promise.reject(reason);
      Promise.reject("text");
      (async () => {
        throw 3;
      })();
    });
    // In no particular order on the reference.
    const reasons = events.map((event) => event.reason);
    assert.deepStrictEqual(new Set(reasons), new Set([reason, "text", 3]));
    const event = events[reasons.indexOf(reason)];
    assert.ok(event instanceof PromiseRejectionEvent && event.isTrusted && !event.cancelable);
    assert.strictEqual(event.promise, promise);
    assert.strictEqual(event.target, globalThis);
  },
};

export const rejectionsOfCallbacks = {
  async test() {
    const events = await eventsOf(["unhandledrejection"], async () => {
      setTimeout(async () => {
        throw "in a timer";
      }, 1);
      queueMicrotask(async () => {
        throw "in a microtask";
      });
      await scheduler.wait(10);
    });
    assert.deepStrictEqual(events.map(({ reason }) => reason), ["in a microtask", "in a timer"]);
  },
};

export const onUnhandledRejection = {
  async test() {
    const order = [];
    globalThis.onunhandledrejection = ({ reason }) => order.push(`handler ${reason}`);
    globalThis.onrejectionhandled = () => order.push("handled");
    // The reference calls these only where there is a listener beside them.
    const ignore = () => {};
    addEventListener("unhandledrejection", ignore);
    addEventListener("rejectionhandled", ignore);
    const promise = Promise.reject("a");
    await pause();
    promise.catch(() => {});
    await pause();
    removeEventListener("unhandledrejection", ignore);
    removeEventListener("rejectionhandled", ignore);
    delete globalThis.onunhandledrejection;
    delete globalThis.onrejectionhandled;
    assert.deepStrictEqual(order, ["handler a", "handled"]);
  },
};

export const handledInTheSameTurn = {
  async test() {
    const events = await eventsOf(["unhandledrejection", "rejectionhandled"], async () => {
      const promise = Promise.reject(1);
      for (let i = 0; i < 50; i++) await null;
      promise.catch(() => {});
      await Promise.resolve().then(() => Promise.reject(2)).catch(() => {});
      await Promise.allSettled([Promise.reject(3)]);
      // Settled before: what comes later is no rejection.
      new Promise((resolve, reject) => {
        resolve(4);
        reject(5);
      });
    });
    assert.deepStrictEqual(events, []);
  },
};

export const handledLate = {
  async test() {
    let promise;
    const types = ["unhandledrejection", "rejectionhandled"];
    const events = await eventsOf(types, async () => {
      promise = Promise.reject(1);
      await pause();
      promise.catch(() => {});
      promise.catch(() => {});
    });
    assert.deepStrictEqual(events.map(({ type }) => type), types);
    assert.strictEqual(events[1].promise, promise);
    assert.strictEqual(events[1].reason, undefined);
    assert.ok(events[1] instanceof PromiseRejectionEvent);
  },
};

export const handledLateWithoutAListenerBefore = {
  async test() {
    const promise = Promise.reject(1);
    await pause();
    const events = await eventsOf(["rejectionhandled"], () => promise.catch(() => {}));
    assert.deepStrictEqual(events, []);
  },
};

export const whenRejectionsAreToldOf = {
  async test() {
    const order = [];
    await eventsOf(
      ["unhandledrejection"],
      async () => {
        Promise.reject(1);
        Promise.reject(2);
        setTimeout(() => order.push("timer"), 0);
        for (let i = 0; i < 20; i++) await null;
        order.push("microtasks");
      },
      ({ reason }) => {
        order.push(reason);
        queueMicrotask(() => order.push(`microtask of ${reason}`));
      },
    );
    assert.deepStrictEqual(order, ["microtasks", 1, 2, "microtask of 1", "microtask of 2", "timer"]);
  },
};

export const aFloodOfRejections = {
  async test() {
    const events = await eventsOf(["unhandledrejection"], () => {
      for (let i = 0; i < 1000; i++) Promise.reject(i);
    });
    assert.strictEqual(events.length, 1000);
  },
};

// ---- Children: what their parent's tails hear of it ------------------------------------------------------------

const CHILD = `
  let prevent = false;
  const listen = (event) => {
    console.log(event.type);
    if (prevent) event.preventDefault();
  };
  const handlers = {
    microtask() { queueMicrotask(() => { throw new Error("thrown"); }); },
    report() { reportError(new Error("thrown")); },
    async reportLater() { await null; reportError(new Error("thrown")); },
    prevented() { prevent = true; reportError(new Error("thrown")); },
    preventedMicrotask() { prevent = true; queueMicrotask(() => { throw new Error("thrown"); }); },
    preventedByHandler() { globalThis.onerror = () => true; reportError(new Error("thrown")); },
    notPreventedByHandler() { globalThis.onerror = () => false; reportError(new Error("thrown")); },
    async timer() { setTimeout(() => { throw new Error("thrown"); }, 1); await scheduler.wait(20); },
    rejection() { Promise.reject(new Error("thrown")); },
    dispatch() {
      const target = new EventTarget();
      target.addEventListener("knock", () => { throw new Error("thrown"); });
      target.addEventListener("knock", () => console.log("second"));
      console.log("returned", target.dispatchEvent(new Event("knock")));
    },
    abort() {
      const controller = new AbortController();
      controller.signal.onabort = () => { throw new Error("thrown"); };
      controller.abort();
      console.log("aborted");
    },
    async timeout() {
      AbortSignal.timeout(1).addEventListener("abort", () => { throw new Error("thrown"); });
      await scheduler.wait(20);
    },
    async nestedRejection() {
      prevent = true;
      let first = true;
      addEventListener("unhandledrejection", () => {
        if (first) Promise.reject("nested");
        first = false;
      });
      Promise.reject("outer");
      await scheduler.wait(5);
    },
    async handledInTheListener() {
      let second;
      addEventListener("unhandledrejection", () => second.catch(() => {}));
      Promise.reject(1);
      second = Promise.reject(2);
      await scheduler.wait(5);
    },
  };
  export default {
    async fetch(request) {
      addEventListener("error", listen);
      addEventListener("unhandledrejection", listen);
      try {
        await handlers[new URL(request.url).pathname.slice(1)]();
      } catch (error) {
        console.log("caught", error.message);
      }
      return new Response("answered");
    },
  };
`;

const traces = new Map();

export class Tail extends WorkerEntrypoint {
  tail([{ outcome, logs, exceptions }]) {
    const lines = logs.map(({ message }) => message.join(" "));
    // The reference puts class and stack into the messages of some.
    const thrown = exceptions.map(({ message }) => /thrown/.exec(message)?.[0] ?? message);
    traces.set(this.ctx.props.key, { outcome, lines, thrown });
  }
}

function child(path, compatibilityDate, expected) {
  return {
    async test(_controller, env, ctx) {
      const key = `${path} ${compatibilityDate}`;
      const worker = env.LOADER.load({
        compatibilityDate,
        mainModule: "main.js",
        modules: { "main.js": CHILD },
        tails: [ctx.exports.Tail({ props: { key } })],
      });
      const response = await worker.getEntrypoint().fetch(`http://child/${path}`);
      assert.strictEqual(await response.text(), "answered");
      for (let turn = 0; turn < 5000 && !traces.has(key); turn++) await scheduler.wait(1);
      assert.deepStrictEqual(traces.get(key), { outcome: "ok", ...expected });
    },
  };
}

const BEFORE = "2026-07-01";
const SINCE = "2026-09-15";
const told = { lines: ["error"], thrown: ["thrown"] };
const prevented = { lines: ["error"], thrown: [] };

export const childMicrotask = child("microtask", BEFORE, told);
export const childReport = child("report", BEFORE, told);
export const childReportLater = child("reportLater", BEFORE, told);
export const childPrevents = child("prevented", BEFORE, prevented);
export const childPreventsMicrotask = child("preventedMicrotask", BEFORE, prevented);
export const childPreventsByHandler = child("preventedByHandler", BEFORE, prevented);
export const childDoesNotPreventByHandler = child("notPreventedByHandler", BEFORE, told);
export const childTimer = child("timer", BEFORE, { lines: [], thrown: ["thrown"] });
export const childRejection = child("rejection", BEFORE, { lines: ["unhandledrejection"], thrown: [] });
export const childListenerThatThrows = child("dispatch", SINCE, {
  lines: ["error", "second", "returned true"],
  thrown: ["thrown"],
});
export const childListenerThatThrowsBefore = child("dispatch", BEFORE, { lines: ["caught thrown"], thrown: [] });
export const childAbortListenerThatThrows = child("abort", SINCE, { lines: ["error", "aborted"], thrown: ["thrown"] });
export const childAbortListenerThatThrowsBefore = child("abort", BEFORE, { lines: ["caught thrown"], thrown: [] });
export const childTimeoutListenerThatThrows = child("timeout", SINCE, told);
export const childTimeoutListenerThatThrowsBefore = child("timeout", BEFORE, { lines: [], thrown: ["thrown"] });
export const childListenerThatRejects = child("nestedRejection", BEFORE, {
  lines: ["unhandledrejection", "unhandledrejection"],
  thrown: [],
});
export const childListenerThatHandlesAnother = child("handledInTheListener", BEFORE, {
  lines: ["unhandledrejection"],
  thrown: [],
});
