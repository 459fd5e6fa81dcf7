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

/** One of each kind that guests meet. */
async function eachKind(env, check) {
  using counter = await env.TARGET.makeCounter(1);
  const promise = env.TARGET.makeCounter(2);
  for (const stub of [counter, env.TARGET.makeCounter, promise, new RpcStub(() => 1)]) await check(stub);
  using _made = await promise;
}

export const propertiesCanBeSetAndDeleted = {
  async test(_controller, env) {
    await eachKind(env, (stub) => {
      stub.mine = 5;
      stub[3] = "index";
      stub[Symbol.for("mine")] = true;
      assert.deepStrictEqual([stub.mine, stub[3], stub[Symbol.for("mine")]], [5, "index", true]);
      assert.deepStrictEqual(Reflect.ownKeys(stub), ["3", "mine", Symbol.for("mine")]);
      assert.deepStrictEqual({ ...stub }, { 3: "index", mine: 5, [Symbol.for("mine")]: true });
      assert.strictEqual(delete stub.mine, true);
      assert.strictEqual(delete stub.neverSet, true);
      assert.strictEqual(typeof stub.mine, "function");
      assert.strictEqual(Object.hasOwn(stub, "mine"), false);
    });
  },
};

export const whatIsSetOnAPropertyIsNotFoundAgain = {
  async test(_controller, env) {
    const { makeCounter } = env.TARGET;
    makeCounter.mine = 5;
    assert.strictEqual(makeCounter.mine, 5);
    assert.strictEqual(typeof env.TARGET.makeCounter.mine, "function");
    using counter = await makeCounter(1);
    assert.strictEqual(await counter.increment(), 2);
  },
};

export const propertiesCanBeDefined = {
  async test(_controller, env) {
    await eachKind(env, (stub) => {
      const descriptor = { value: 3, writable: false, enumerable: true, configurable: true };
      Object.defineProperty(stub, "mine", descriptor);
      assert.deepStrictEqual({ ...Object.getOwnPropertyDescriptor(stub, "mine") }, descriptor);
      assert.throws(() => (stub.mine = 4), TypeError);
      assert.strictEqual(stub.mine, 3);
      Object.defineProperty(stub, "computed", { get: () => "got", configurable: true });
      assert.strictEqual(stub.computed, "got");
    });
  },
};

export const ownPropertiesHideRemoteOnes = {
  async test(_controller, env) {
    using counter = await env.TARGET.makeCounter(1);
    counter.increment = () => "local";
    counter.then = (resolve) => resolve("thenable");
    assert.strictEqual(counter.increment(), "local");
    assert.strictEqual(await counter, "thenable");
    delete counter.increment;
    assert.strictEqual(await counter.increment(), 2);
  },
};

export const ownPropertiesStayHere = {
  async test(_controller, env) {
    const local = new RpcStub(new Counter(1));
    local.mine = 5;
    using back = await env.TARGET.giveBack(local);
    assert.deepStrictEqual(Object.keys(back), []);
    assert.deepStrictEqual(Object.keys(local.dup()), []);
    assert.strictEqual(await back.increment(), 2);
  },
};

export const stubsCannotBeFrozen = {
  async test(_controller, env) {
    await eachKind(env, (stub) => {
      for (const close of [Object.freeze, Object.seal, Object.preventExtensions]) {
        assert.throws(() => close(stub), TypeError);
      }
      assert.strictEqual(Reflect.preventExtensions(stub), false);
      assert.strictEqual(Object.isExtensible(stub), true);
    });
  },
};

export const objectsMayInheritFromAStub = {
  async test(_controller, env) {
    const service = Object.create(env.TARGET);
    service.mine = 5;
    assert.deepStrictEqual(Object.keys(service), ["mine"]);
    assert.strictEqual(typeof service.makeCounter, "function");
    assert.strictEqual(Object.hasOwn(env.TARGET, "mine"), false);
  },
};

export const stubsInJson = {
  async test(_controller, env) {
    using counter = await env.TARGET.makeCounter(1);
    const promise = env.TARGET.props();
    const value = { service: env.TARGET, counter, property: env.TARGET.props, promise, list: [counter, env.TARGET] };
    assert.strictEqual(JSON.stringify(value), '{"service":{},"list":[null,{}]}');
    await promise;
  },
};

export const loopbacksMustBeCalledBeforeTheyAreSent = {
  async test(_controller, env, ctx) {
    const refused = {
      name: "DataCloneError",
      message: 'Could not serialize object of type "LoopbackServiceStub". This type does not support serialization.',
    };
    await assert.rejects(env.TARGET.useService(ctx.exports.Target), refused);
    await assert.rejects(env.TARGET.callFunction([ctx.exports.Target]), refused);
    assert.strictEqual(await env.TARGET.useService(ctx.exports.Target({ props: { made: "here" } })), "here");
  },
};
