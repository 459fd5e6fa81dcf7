// Event, EventTarget, CustomEvent, AbortController and AbortSignal.
import assert from "node:assert";

export const listenersRunInOrder = {
  async test() {
    const target = new EventTarget();
    const calls = [];
    target.addEventListener("x", () => calls.push("first"));
    target.addEventListener("x", { handleEvent: (event) => calls.push(`object ${event.type}`) });
    target.addEventListener("y", () => calls.push("other type"));
    assert.strictEqual(target.dispatchEvent(new Event("x")), true);
    assert.deepStrictEqual(calls, ["first", "object x"]);
  },
};

export const sameListenerIsAddedOnce = {
  async test() {
    const target = new EventTarget();
    let calls = 0;
    const listener = () => calls++;
    target.addEventListener("x", listener);
    target.addEventListener("x", listener);
    target.dispatchEvent(new Event("x"));
    assert.strictEqual(calls, 1);
    target.removeEventListener("x", listener);
    target.dispatchEvent(new Event("x"));
    assert.strictEqual(calls, 1);
  },
};

export const onceAndSignalOptions = {
  async test() {
    const target = new EventTarget();
    const controller = new AbortController();
    let once = 0;
    let signalled = 0;
    target.addEventListener("x", () => once++, { once: true });
    target.addEventListener("x", () => signalled++, { signal: controller.signal });
    target.dispatchEvent(new Event("x"));
    controller.abort();
    target.dispatchEvent(new Event("x"));
    assert.deepStrictEqual([once, signalled], [1, 1]);
  },
};

export const preventDefault = {
  async test() {
    const target = new EventTarget();
    target.addEventListener("x", (event) => event.preventDefault());
    const cancelable = new Event("x", { cancelable: true });
    assert.strictEqual(target.dispatchEvent(cancelable), false);
    assert.strictEqual(cancelable.defaultPrevented, true);
  },
};

export const stopImmediatePropagation = {
  async test() {
    const target = new EventTarget();
    const calls = [];
    target.addEventListener("x", (event) => {
      calls.push(1);
      event.stopImmediatePropagation();
    });
    target.addEventListener("x", () => calls.push(2));
    target.dispatchEvent(new Event("x"));
    assert.deepStrictEqual(calls, [1]);
  },
};

export const eventProperties = {
  async test() {
    const event = new Event("type", { bubbles: true, cancelable: true });
    assert.deepStrictEqual(
      [event.type, event.bubbles, event.cancelable, event.target],
      ["type", true, true, event.target],
    );
    const target = new EventTarget();
    let seen;
    target.addEventListener("type", (e) => (seen = [e.target === target, e.currentTarget === target, e.eventPhase]));
    target.dispatchEvent(event);
    assert.deepStrictEqual(seen, [true, true, 2]);
    assert.throws(() => new Event(), { name: "TypeError" });
  },
};

export const customEvents = {
  async test() {
    const event = new CustomEvent("c", { detail: { a: 1 } });
    assert.ok(event instanceof Event);
    assert.deepStrictEqual(event.detail, { a: 1 });
    assert.ok(new CustomEvent("c").detail == null);
  },
};

export const subclassOfEventTarget = {
  async test() {
    class Door extends EventTarget {
      open() {
        return this.dispatchEvent(new Event("open"));
      }
    }
    const door = new Door();
    let opened = false;
    door.addEventListener("open", function () {
      opened = this === door;
    });
    door.open();
    assert.strictEqual(opened, true);
  },
};

export const listenersAddedDuringDispatchWait = {
  async test() {
    const target = new EventTarget();
    const calls = [];
    target.addEventListener(
      "x",
      () => {
        calls.push("outer");
        target.addEventListener("x", () => calls.push("inner"));
      },
      { once: true },
    );
    target.dispatchEvent(new Event("x"));
    assert.deepStrictEqual(calls, ["outer"]);
    target.dispatchEvent(new Event("x"));
    assert.deepStrictEqual(calls, ["outer", "inner"]);
  },
};

export const abortController = {
  async test() {
    const controller = new AbortController();
    const { signal } = controller;
    assert.strictEqual(signal.aborted, false);
    assert.strictEqual(signal.reason, undefined);
    signal.throwIfAborted();
    const events = [];
    signal.addEventListener("abort", (event) => events.push(event.type));
    signal.onabort = () => events.push("onabort");
    controller.abort();
    controller.abort("second");
    assert.deepStrictEqual(events.sort(), ["abort", "onabort"]);
    assert.strictEqual(signal.aborted, true);
    assert.ok(signal.reason instanceof DOMException);
    assert.strictEqual(signal.reason.name, "AbortError");
    assert.throws(() => signal.throwIfAborted(), { name: "AbortError" });
  },
};

export const abortWithAReason = {
  async test() {
    const controller = new AbortController();
    const reason = new RangeError("why");
    controller.abort(reason);
    assert.strictEqual(controller.signal.reason, reason);
    assert.throws(() => controller.signal.throwIfAborted(), reason);
  },
};

export const abortSignalStatics = {
  async test() {
    assert.strictEqual(AbortSignal.abort().reason.name, "AbortError");
    assert.strictEqual(AbortSignal.abort("r").reason, "r");
    assert.throws(() => new AbortSignal(), { name: "TypeError" });
    const timeout = AbortSignal.timeout(1);
    assert.strictEqual(timeout.aborted, false);
    await new Promise((resolve) => timeout.addEventListener("abort", resolve));
    assert.strictEqual(timeout.reason.name, "TimeoutError");
  },
};

export const abortSignalAny = {
  async test() {
    const [a, b] = [new AbortController(), new AbortController()];
    const any = AbortSignal.any([a.signal, b.signal]);
    assert.strictEqual(any.aborted, false);
    b.abort("from b");
    assert.strictEqual(any.aborted, true);
    assert.strictEqual(any.reason, "from b");
    assert.strictEqual(AbortSignal.any([AbortSignal.abort("early")]).reason, "early");
    assert.strictEqual(AbortSignal.any([]).aborted, false);
  },
};

export const abortSignalWithSchedulerWait = {
  async test() {
    const controller = new AbortController();
    const pending = scheduler.wait(60_000, { signal: controller.signal });
    controller.abort();
    await assert.rejects(pending, { name: "AbortError" });
  },
};

// Each signal is made of two that are made of the same: their sources are few all the same.
export const anyOfSignalsWithTheSameSources = {
  test() {
    const controller = new AbortController();
    let [one, other] = [controller.signal, controller.signal];
    for (let i = 0; i < 24; i++) [one, other] = [AbortSignal.any([one, other]), AbortSignal.any([other, one])];
    assert.strictEqual(one.aborted, false);
    controller.abort("reason");
    assert.deepStrictEqual([one.aborted, one.reason, other.aborted], [true, "reason", true]);
  },
};

// With few listeners and with many: each once, in the order in which they were added, whatever is removed and when.
export const manyListeners = {
  test() {
    for (const count of [3, 16, 17, 100]) {
      const target = new EventTarget();
      let calls = [];
      const listeners = Array.from({ length: count }, (_, i) => () => calls.push(i));
      for (const listener of [...listeners, ...listeners]) target.addEventListener("x", listener);
      target.dispatchEvent(new Event("x"));
      const all = listeners.map((_, i) => i);
      assert.deepStrictEqual(calls, all);

      calls = [];
      target.removeEventListener("x", listeners[1]);
      target.removeEventListener("x", listeners[1]);
      target.addEventListener("x", listeners[1]);
      target.dispatchEvent(new Event("x"));
      const order = [0, ...all.slice(2), 1];
      assert.deepStrictEqual(calls, order);

      calls = [];
      for (let i = 0; i < count; i += 2) target.removeEventListener("x", listeners[i]);
      target.dispatchEvent(new Event("x"));
      assert.deepStrictEqual(calls, order.filter((i) => i % 2 === 1));

      calls = [];
      for (const listener of listeners) target.removeEventListener("x", listener);
      target.dispatchEvent(new Event("x"));
      assert.deepStrictEqual(calls, []);
    }
  },
};

export const manyListenersThatGoWhileDispatching = {
  test() {
    const target = new EventTarget();
    const controller = new AbortController();
    const calls = [];
    const listeners = Array.from({ length: 60 }, (_, i) => () => {
      calls.push(i);
      if (i === 0) {
        for (let gone = 40; gone < 60; gone++) target.removeEventListener("x", listeners[gone]);
        controller.abort();
        target.addEventListener("x", () => calls.push("late"), { once: true });
      }
    });
    for (let i = 0; i < 60; i++) {
      const options = i < 20 ? { once: i > 0 } : i < 40 ? { signal: controller.signal } : {};
      target.addEventListener("x", listeners[i], options);
    }
    target.dispatchEvent(new Event("x"));
    assert.deepStrictEqual(calls.splice(0), listeners.map((_, i) => i).slice(0, 20));
    target.dispatchEvent(new Event("x"));
    assert.deepStrictEqual(calls.splice(0), [0, "late"]);
    target.addEventListener("x", listeners[5]);
    target.removeEventListener("x", listeners[0]);
    target.dispatchEvent(new Event("x"));
    assert.deepStrictEqual(calls, ["late", 5]);
  },
};

export const manySignalsOfOneSource = {
  test() {
    const controller = new AbortController();
    const calls = [];
    const signals = Array.from({ length: 40 }, () => AbortSignal.any([controller.signal]));
    const listeners = signals.map((_, i) => () => calls.push(i));
    signals.forEach((signal, i) => signal.addEventListener("abort", listeners[i]));
    signals.forEach((signal, i) => i % 3 !== 0 && signal.removeEventListener("abort", listeners[i]));
    controller.abort();
    assert.deepStrictEqual(calls, listeners.map((_, i) => i).filter((i) => i % 3 === 0));
    assert.ok(signals.every((signal) => signal.aborted));
  },
};
