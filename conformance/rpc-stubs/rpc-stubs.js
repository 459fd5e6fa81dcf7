// Functions and RpcTargets as arguments and results become stubs; stubs made locally with `new RpcStub`.
import assert from "node:assert";
import { RpcStub, RpcTarget, ServiceStub, WorkerEntrypoint } from "cloudflare:workers";

class Counter extends RpcTarget {
  #value = 0;
  constructor(start = 0) {
    super();
    this.#value = start;
  }
  increment(by = 1) {
    this.#value += by;
    return this.#value;
  }
  get value() {
    return this.#value;
  }
  fetch(a, b) {
    return `fetch as a method ${a} ${b}`;
  }
}

export class Target extends WorkerEntrypoint {
  async makeCounter(start) {
    return new Counter(start);
  }
  async makeFunction(prefix) {
    return (text) => `${prefix}${text}`;
  }
  async makeBoth() {
    return { counter: new Counter(10), join: (a, b) => `${a}-${b}`, text: "plain", list: [new Counter(20)] };
  }
  async useCounter(counter, times) {
    for (let i = 0; i < times; i++) await counter.increment();
    return await counter.value;
  }
  async callFunction(f, ...args) {
    return await f(...args);
  }
  async callMembers({ add, counter, name }) {
    return `${name} ${await add(1, 2)} ${await counter.increment(5)}`;
  }
  async giveBack(stub) {
    return stub.dup();
  }
  async serviceStub() {
    return this.ctx.exports.Target({ props: { made: "remotely" } });
  }
  async props() {
    return this.ctx.props;
  }
  async useService(service) {
    return (await service.props()).made;
  }
}

export const returnedTargetIsAStatefulStub = {
  async test(_controller, env) {
    using counter = await env.TARGET.makeCounter(3);
    assert.ok(counter instanceof RpcStub);
    assert.strictEqual(await counter.increment(), 4);
    assert.strictEqual(await counter.increment(2), 6);
    assert.strictEqual(await counter.value, 6);
  },
};

export const unawaitedCallsKeepTheirOrder = {
  async test(_controller, env) {
    using counter = await env.TARGET.makeCounter(0);
    const [a, b, c] = [counter.increment(1), counter.increment(2), counter.increment(3)];
    assert.deepStrictEqual(await Promise.all([c, b, a]), [6, 3, 1]);
  },
};

export const returnedFunctionIsCallable = {
  async test(_controller, env) {
    using greet = await env.TARGET.makeFunction("hello ");
    assert.strictEqual(await greet("world"), "hello world");
    assert.strictEqual(await greet("again"), "hello again");
  },
};

export const stubsInsideAReturnedObject = {
  async test(_controller, env) {
    using result = await env.TARGET.makeBoth();
    assert.strictEqual(result.text, "plain");
    assert.strictEqual(await result.counter.increment(), 11);
    assert.strictEqual(await result.join("a", "b"), "a-b");
    assert.strictEqual(await result.list[0].increment(), 21);
  },
};

export const targetAsArgument = {
  async test(_controller, env) {
    const counter = new Counter();
    assert.strictEqual(await env.TARGET.useCounter(counter, 3), 3);
    assert.strictEqual(counter.value, 3);
  },
};

export const functionAsArgument = {
  async test(_controller, env) {
    const calls = [];
    const result = await env.TARGET.callFunction((a, b) => (calls.push([a, b]), a * b), 6, 7);
    assert.strictEqual(result, 42);
    assert.deepStrictEqual(calls, [[6, 7]]);
  },
};

export const asyncFunctionAsArgument = {
  async test(_controller, env) {
    const result = await env.TARGET.callFunction(async (text) => {
      await scheduler.wait(1);
      return text.toUpperCase();
    }, "later");
    assert.strictEqual(result, "LATER");
  },
};

export const functionsInsideAnArgumentObject = {
  async test(_controller, env) {
    const result = await env.TARGET.callMembers({ add: (a, b) => a + b, counter: new Counter(1), name: "n" });
    assert.strictEqual(result, "n 3 6");
  },
};

export const callbackKeepsItsClosure = {
  async test(_controller, env) {
    let total = 0;
    for (const n of [1, 2, 3]) await env.TARGET.callFunction((x) => void (total += x * n), 10);
    assert.strictEqual(total, 60);
  },
};

export const stubRoundTrip = {
  async test(_controller, env) {
    const counter = new Counter(100);
    using back = await env.TARGET.giveBack(counter);
    assert.strictEqual(await back.increment(), 101);
    assert.strictEqual(counter.value, 101, "the calls come back to the original object");
  },
};

export const remoteStubAsArgument = {
  async test(_controller, env) {
    using counter = await env.TARGET.makeCounter(0);
    assert.strictEqual(await env.TARGET.useCounter(counter, 2), 2);
    assert.strictEqual(await counter.increment(), 3, "the caller keeps its stub");
  },
};

export const serviceStubAsResult = {
  async test(_controller, env) {
    const service = await env.TARGET.serviceStub();
    assert.ok(service instanceof ServiceStub);
    assert.deepStrictEqual({ ...(await service.props()) }, { made: "remotely" });
  },
};

export const serviceStubAsArgument = {
  async test(_controller, env, ctx) {
    const service = ctx.exports.Target({ props: { made: "by the test" } });
    assert.strictEqual(await env.TARGET.useService(service), "by the test");
  },
};

export const localStubOfATarget = {
  async test() {
    const counter = new Counter(5);
    using stub = new RpcStub(counter);
    assert.strictEqual(await stub.increment(2), 7);
    assert.strictEqual(counter.value, 7);
    assert.strictEqual(await stub.fetch(true, 123), "fetch as a method true 123");
  },
};

export const localStubOfAPlainObject = {
  async test() {
    using stub = new RpcStub({ n: 1, f: (x) => x + 1, nested: { g: () => "deep" } });
    assert.strictEqual(await stub.n, 1);
    assert.strictEqual(await stub.f(1), 2);
    assert.strictEqual(await stub.nested.g(), "deep");
  },
};

export const localStubOfAFunction = {
  async test() {
    const f = (x) => x * 2;
    f.label = "double";
    using stub = new RpcStub(f);
    assert.strictEqual(await stub(4), 8);
    assert.strictEqual(await stub.label, "double");
  },
};

export const localStubCopiesArguments = {
  async test() {
    const received = [];
    using stub = new RpcStub((value) => void received.push(value));
    const value = { list: [1] };
    await stub(value);
    assert.notStrictEqual(received[0], value);
    assert.deepStrictEqual(received[0].list, [1]);
  },
};

export const localStubOfAProxiedTarget = {
  async test() {
    const proxied = new Proxy(new Counter(1), {
      get(target, key) {
        const value = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    using stub = new RpcStub(proxied);
    assert.strictEqual(await stub.increment(), 2);
    assert.strictEqual(await stub.value, 2);
  },
};

export const stubsOfPrimitivesAreRefused = {
  async test() {
    for (const value of [1, "text", undefined]) assert.throws(() => new RpcStub(value), { name: "TypeError" });
  },
};

export const loggingAStubDoesNotBreakIt = {
  async test(_controller, env) {
    using counter = await env.TARGET.makeCounter(0);
    console.log(counter, env.TARGET, env.TARGET.makeCounter);
    assert.strictEqual(await counter.increment(), 1);
  },
};

export const targetCannotBeStructuredCloned = {
  async test() {
    assert.throws(() => structuredClone(new Counter()), { name: "DataCloneError" });
  },
};

export const stubsShowNothingOfTheirState = {
  async test(_controller, env) {
    for (const stub of [env.TARGET, env.TARGET.method, new RpcStub(() => 1)]) {
      assert.deepStrictEqual(Object.getOwnPropertySymbols(stub), []);
    }
  },
};
