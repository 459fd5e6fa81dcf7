// Calls on results that have not arrived yet, directly and through a Worker that only passes results on.
import assert from "node:assert";
import { RpcStub, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

const notImplemented = (name) => ({
  name: "TypeError",
  message: `The RPC receiver does not implement the method "${name}".`,
});

class Counter extends RpcTarget {
  #value;
  constructor(value) {
    super();
    this.#value = value;
  }
  increment(by = 1) {
    return (this.#value += by);
  }
  get value() {
    return this.#value;
  }
  self() {
    return this;
  }
}

class Box extends RpcTarget {
  get value() {
    return new Counter(50);
  }
  open() {
    return { counter: new Counter(60) };
  }
}

export class Target extends WorkerEntrypoint {
  async counter(n) {
    return new Counter(n);
  }
  async object() {
    return { counter: new Counter(30), deep: { f: (x) => `deep ${x}`, text: "leaf" }, box: new Box() };
  }
  async box() {
    return new Box();
  }
  async adder(n) {
    return (x) => x + n;
  }
  async number() {
    return 42;
  }
  give(value) {
    return value;
  }
  async data() {
    return { a: { b: 1 }, list: [{ c: 2 }] };
  }
  get nothing() {
    return undefined;
  }
  async map() {
    return new Map([["size2", 1]]);
  }
  unsendable() {
    return { text: "t", counter: new Counter(1), f: () => 1, deep: { text: "d" }, unsendable: new WeakMap() };
  }
  async unsendableLater() {
    await scheduler.wait(1);
    return this.unsendable();
  }
  async failing() {
    throw new RangeError("nothing to pipeline on");
  }
  async self() {
    return this.ctx.exports.Target({ props: { hop: (this.ctx.props.hop ?? 0) + 1 } });
  }
  async wrappedSelf() {
    return { service: this.ctx.exports.Target({ props: { hop: 10 } }) };
  }
  async hop() {
    return this.ctx.props.hop;
  }
  async sum(a, b) {
    return a + b;
  }
}

export class Proxying extends WorkerEntrypoint {
  async counter(n) {
    return this.env.TARGET.counter(n);
  }
  async object() {
    return this.env.TARGET.object();
  }
  async adder(n) {
    return await this.env.TARGET.adder(n);
  }
  async nested() {
    return { box: await this.env.TARGET.box() };
  }
  async property() {
    return this.env.TARGET.object().deep.text;
  }
  async service() {
    return this.env.TARGET;
  }
}

export const methodOfAReturnedStub = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.counter(5).increment(2), 7);
    assert.strictEqual(await env.TARGET.counter(5).value, 5);
    assert.strictEqual(await env.TARGET.counter(5).self().self().increment(), 6);
  },
};

export const membersOfAReturnedObject = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.object().counter.increment(), 31);
    assert.strictEqual(await env.TARGET.object().deep.f("x"), "deep x");
    assert.strictEqual(await env.TARGET.object().deep.text, "leaf");
  },
};

export const nestedStubs = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.object().box.value.increment(), 51);
    assert.strictEqual(await env.TARGET.box().open().counter.increment(), 61);
  },
};

export const returnedFunctionIsCallableAtOnce = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.adder(3)(4), 7);
  },
};

export const pipelinedCallsKeepTheirOrder = {
  async test(_controller, env) {
    const promise = env.TARGET.counter(0);
    const results = await Promise.all([
      promise.increment(1),
      promise.increment(10),
      promise.increment(100),
      promise.value,
    ]);
    assert.deepStrictEqual(results, [1, 11, 111, 111]);
  },
};

export const pipeliningAfterTheResultArrived = {
  async test(_controller, env) {
    const promise = env.TARGET.object();
    const result = await promise;
    assert.strictEqual(await promise.deep.f("late"), "deep late");
    assert.strictEqual(await promise.counter.increment(), 31);
    assert.strictEqual(await result.counter.increment(), 32, "both refer to the same counter");
  },
};

export const pipeliningOnAPrimitiveOrMap = {
  async test(_controller, env) {
    await assert.rejects(env.TARGET.number().toFixed(), notImplemented("toFixed"));
    await assert.rejects(env.TARGET.map().get("size2"), notImplemented("get"));
    await assert.rejects(async () => await env.TARGET.map().size, notImplemented("size"));
  },
};

export const failureIsReportedToEveryPipelinedCall = {
  async test(_controller, env) {
    const failure = { name: "RangeError", message: "nothing to pipeline on" };
    const promise = env.TARGET.failing();
    const calls = [promise.a(), promise.b.c(1), promise];
    for (const call of calls) await assert.rejects(async () => await call, failure);
  },
};

export const serviceStubsCanBePipelined = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.self().hop(), 1);
    assert.strictEqual(await env.TARGET.self().self().self().hop(), 3);
    assert.strictEqual(await env.TARGET.wrappedSelf().service.hop(), 10);
    assert.strictEqual(await env.TARGET.wrappedSelf().service.counter(1).increment(), 2);
  },
};

export const throughAProxyingWorker = {
  async test(_controller, env) {
    assert.strictEqual(await env.PROXY.counter(8).increment(), 9);
    assert.strictEqual(await env.PROXY.object().counter.increment(), 31);
    assert.strictEqual(await env.PROXY.object().deep.f("p"), "deep p");
    assert.strictEqual(await env.PROXY.nested().box.value.increment(), 51);
    assert.strictEqual(await env.PROXY.adder(1)(2), 3);
    assert.strictEqual(await env.PROXY.property(), "leaf");
    assert.strictEqual(await env.PROXY.service().counter(1).increment(), 2);
  },
};

export const orderThroughAProxyingWorker = {
  async test(_controller, env) {
    const promise = env.PROXY.counter(0);
    const first = promise.increment(1);
    const second = promise.increment(10);
    assert.strictEqual(await second, 11);
    assert.strictEqual(await first, 1);
    const counter = await promise;
    assert.deepStrictEqual(await Promise.all([counter.increment(100), counter.increment(1000)]), [111, 1111]);
  },
};

export const promiseMayBeAwaitedTwice = {
  async test(_controller, env) {
    const promise = env.TARGET.sum(1, 2);
    assert.strictEqual(await promise, 3);
    assert.strictEqual(await promise, 3);
    assert.strictEqual(await promise.then((n) => n * 2), 6);
  },
};

export const rpcPromiseHasCatchAndFinally = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.failing().catch((error) => error.name), "RangeError");
    let ran = 0;
    await env.TARGET.sum(1, 1).finally(() => ran++);
    await assert.rejects(
      env.TARGET.failing().finally(() => ran++),
      { name: "RangeError" },
    );
    assert.strictEqual(ran, 2);
  },
};

export const valuesAreReadAfterTheResultArrived = {
  async test(_controller, _env, ctx) {
    const echo = new RpcStub((value) => value);
    const result = echo({ a: { b: 1 } });
    assert.strictEqual(await result.a.b, 1);
    await result;
    assert.strictEqual(await result.a.b, 1);
    await assert.rejects(result.a.c.d, { message: 'The RPC receiver does not implement the method "c".' });
    await assert.rejects(result.a(), { message: '"a" is not a function.' });
    await assert.rejects(result(), { message: '"(this)" is not a function.' });
    for (const value of [5, null, "text"]) {
      const primitive = echo(value);
      await primitive;
      for (const use of [() => primitive.member(), () => primitive.member, () => primitive()]) {
        await assert.rejects(async () => await use(), {
          message: "Can't pipeline on RPC that did not return an object.",
        });
      }
    }
  },
};

export const propertiesOfADisposedPromise = {
  async test() {
    const make = new RpcStub(() => ({ f: () => 1 }));
    const promise = make();
    const { f } = promise;
    promise[Symbol.dispose]();
    await assert.rejects(async () => await f(), { message: "RPC promise used after being disposed." });
  },
};

export const callMadeBeforeTheDisposalEnds = {
  async test() {
    const make = new RpcStub(() => ({ f: () => 1 }));
    const promise = make();
    const call = promise.f();
    promise[Symbol.dispose]();
    assert.strictEqual(await call, 1);
  },
};

export const onAParameterThatIsReturned = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.give(new Counter(4)).increment(), 5);
  },
};

export const afterResolutionDataIsCopied = {
  async test(_controller, env) {
    const promise = env.TARGET.data();
    const data = await promise;
    const a = await promise.a;
    a.b = 9;
    assert.strictEqual(data.a.b, 1);
    assert.strictEqual((await promise.a).b, 1);
    assert.notStrictEqual(await promise.list, data.list);
    assert.strictEqual(typeof a[Symbol.dispose], "function");
  },
};

export const afterResolutionInOrderWithCallsOnTheStubItself = {
  async test(_controller, env) {
    const promise = env.TARGET.counter(0);
    const before = [promise.increment(), promise.increment()];
    const stub = await promise;
    const after = [promise.increment(), stub.increment(), promise.increment(), stub.value];
    assert.deepStrictEqual(await Promise.all([...before, ...after]), [1, 2, 3, 4, 5, 5]);
  },
};

export const aGetterThatGivesUndefinedIsNotThere = {
  async test(_controller, env) {
    await assert.rejects(env.TARGET.nothing, notImplemented("nothing"));
    await assert.rejects(env.TARGET.nothing(), notImplemented("nothing"));
  },
};

export const stubsHaveNoItems = {
  async test(_controller, env) {
    const stub = await env.TARGET.counter(0);
    for (const object of [env.TARGET, env.TARGET.x, env.TARGET.number(), stub]) {
      assert.strictEqual(object[0], undefined);
      assert.strictEqual(0 in object, false);
      assert.notStrictEqual(object["01"], undefined);
    }
  },
};

export const onAResultThatCannotBeSent = {
  async test(_controller, env) {
    const refused = { name: "DataCloneError" };
    for (const method of ["unsendable", "unsendableLater"]) {
      const promise = env.TARGET[method]();
      const calls = [promise.text, promise.counter.increment(), promise.f(), promise.deep.text];
      await assert.rejects(async () => await promise, refused);
      for (const call of calls) await assert.rejects(async () => await call, refused);
      await assert.rejects(async () => await env.TARGET[method]().counter.increment(), refused);
    }
  },
};
