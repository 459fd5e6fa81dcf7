// Calls and property reads on class-based entrypoints: what is visible, what is not, and the exact errors.
import assert from "node:assert";
import { RpcProperty, RpcPromise, RpcStub, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

const notImplemented = (name) => ({
  name: "TypeError",
  message: `The RPC receiver does not implement the method "${name}".`,
});
const reserved = (name) => ({
  name: "TypeError",
  message: `'${name}' is a reserved method and cannot be called over RPC.`,
});

class Counter extends RpcTarget {
  #value;
  constructor(value) {
    super();
    this.#value = value;
    this.own = "hidden";
  }
  increment(by = 1) {
    this.#value += by;
    return this.#value;
  }
  get value() {
    return this.#value;
  }
}

class NotRpc {
  method() {
    return "unreachable";
  }
}

function functionWithMembers(x) {
  return `called ${x}`;
}
functionWithMembers.label = "a label";
functionWithMembers.nested = { shout: (x) => x.toUpperCase() };

export class Target extends WorkerEntrypoint {
  instanceArrow = () => "unreachable";
  instanceObject = { f: () => "unreachable" };
  #secret = "private";

  async noArgs(...args) {
    return args.length;
  }
  async oneArg(a) {
    return `one ${a}`;
  }
  async twoArgs(a, b) {
    return `${typeof a} ${typeof b}`;
  }
  get functionProperty() {
    return (a, b) => a + b;
  }
  get objectProperty() {
    return {
      f: (x) => x * 3,
      deep: { deeper: { f: (x) => `deep ${x}` } },
      counter: new Counter(5),
      text: "plain",
      notRpc: new NotRpc(),
      nullProto: Object.assign(Object.create(null), { f: () => "unreachable" }),
      fetch: () => "reserved",
      inner: { alarm: () => "reserved", connect: { f: () => "reserved" } },
    };
  }
  get plainObject() {
    return { a: 1, list: ["x"] };
  }
  get text() {
    return "some text";
  }
  get counter() {
    return new Counter(1);
  }
  get functionWithMembers() {
    return functionWithMembers;
  }
  get promised() {
    return Promise.resolve(123);
  }
  get rejected() {
    return Promise.reject(new RangeError("promise property failed"));
  }
  get throwing() {
    throw new RangeError("getter failed");
  }
  async throwingMethod() {
    throw new SyntaxError("method failed");
  }
  async makeCounter(n) {
    return new Counter(n);
  }
  async makeMap() {
    return new Map([["a", new Map([[1, "one"]])]]);
  }
  async returnsNotRpc() {
    return { wrapped: new NotRpc() };
  }
  async get(key) {
    return `get ${key}`;
  }
  async put(key, value) {
    return `put ${key} ${value}`;
  }
  async delete(key) {
    return `delete ${key}`;
  }
  async neverResolves() {
    await new Promise(() => {});
  }
  async fetch(request) {
    return new Response(`${request.method} ${request.url} ${request.headers.get("x-h")} ${await request.text()}`);
  }
  async usesSecret() {
    return this.#secret;
  }
}

export const methodsWithNoneOneAndTwoArguments = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.noArgs(), 0);
    assert.strictEqual(await env.TARGET.noArgs(1, 2, 3), 3);
    assert.strictEqual(await env.TARGET.oneArg("x"), "one x");
    assert.strictEqual(await env.TARGET.oneArg(), "one undefined");
    assert.strictEqual(await env.TARGET.twoArgs(1), "number undefined");
    assert.strictEqual(await env.TARGET.twoArgs(1, "b"), "number string");
    assert.strictEqual(await env.TARGET.usesSecret(), "private");
  },
};

export const getterReturningAFunctionIsCallable = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.functionProperty(20, 22), 42);
  },
};

export const getterReturningAnObjectHasCallableMembers = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.objectProperty.f(4), 12);
    assert.strictEqual(await env.TARGET.objectProperty.deep.deeper.f("x"), "deep x");
    assert.strictEqual(await env.TARGET.objectProperty.text, "plain");
  },
};

export const rpcTargetInsideAGetterObject = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.objectProperty.counter.increment(2), 7);
    assert.strictEqual(await env.TARGET.objectProperty.counter.value, 5);
  },
};

export const awaitedPropertyGivesTheValue = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.text, "some text");
    const value = await env.TARGET.plainObject;
    assert.deepStrictEqual({ a: value.a, list: value.list }, { a: 1, list: ["x"] });
  },
};

export const awaitedRpcTargetPropertyIsAStatefulStub = {
  async test(_controller, env) {
    const counter = await env.TARGET.counter;
    assert.strictEqual(await counter.increment(), 2);
    assert.strictEqual(await counter.increment(), 3);
    assert.strictEqual(await counter.value, 3);
  },
};

export const awaitedFunctionPropertyIsACallableStub = {
  async test(_controller, env) {
    const add = await env.TARGET.functionProperty;
    assert.ok(add instanceof RpcStub);
    assert.strictEqual(await add(1, 2), 3);
  },
};

export const ownPropertiesOfAFunctionAreReadable = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.functionWithMembers.label, "a label");
    assert.strictEqual(await env.TARGET.functionWithMembers.nested.shout("hey"), "HEY");
    const stub = await env.TARGET.functionWithMembers;
    assert.strictEqual(await stub("x"), "called x");
    assert.strictEqual(await stub.label, "a label");
  },
};

export const promisePropertyIsAwaited = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.promised, 123);
    let finallyRan = false;
    assert.strictEqual(await env.TARGET.promised.finally(() => void (finallyRan = true)), 123);
    assert.ok(finallyRan);
    assert.strictEqual(await env.TARGET.promised.then((n) => n + 1), 124);
    assert.strictEqual(await env.TARGET.rejected.catch((error) => error.message), "promise property failed");
    assert.strictEqual(
      await env.TARGET.rejected.then(
        () => "fulfilled",
        (error) => `rejected ${error.name}`,
      ),
      "rejected RangeError",
    );
  },
};

export const throwingGettersAndMethods = {
  async test(_controller, env) {
    const getter = { name: "RangeError", message: "getter failed" };
    await assert.rejects(async () => await env.TARGET.throwing, getter);
    await assert.rejects(env.TARGET.throwing(), getter);
    await assert.rejects(async () => await env.TARGET.rejected, {
      name: "RangeError",
      message: "promise property failed",
    });
    await assert.rejects(env.TARGET.throwingMethod(), { name: "SyntaxError", message: "method failed" });
  },
};

export const instanceMembersAreInvisible = {
  async test(_controller, env) {
    await assert.rejects(env.TARGET.instanceArrow(), notImplemented("instanceArrow"));
    await assert.rejects(env.TARGET.instanceObject.f(), notImplemented("instanceObject"));
    await assert.rejects(async () => await env.TARGET.instanceObject, notImplemented("instanceObject"));
    await assert.rejects(async () => await env.TARGET.counter.own, notImplemented("own"));
  },
};

export const reservedMethodNames = {
  async test(_controller, env) {
    for (const name of ["dup", "alarm", "webSocketMessage", "webSocketClose", "webSocketError"]) {
      await assert.rejects(async () => await env.TARGET[name](), reserved(name), name);
    }
  },
};

export const reservedNamesWithinAPath = {
  async test(_controller, env) {
    const { objectProperty } = env.TARGET;
    await assert.rejects(objectProperty.fetch("http://x.example/"), reserved("fetch"));
    await assert.rejects(objectProperty.inner.alarm(), reserved("alarm"));
    await assert.rejects(async () => await objectProperty.inner.alarm, reserved("alarm"));
    await assert.rejects(objectProperty.inner.connect.f(), reserved("connect"));
    await assert.rejects(objectProperty.counter.fetch(), reserved("fetch"));
    // Of a result they are ordinary names.
    const object = await objectProperty.inner;
    assert.strictEqual(await object.alarm(), "reserved");
  },
};

export const membersOfTheBaseClassesAreInvisible = {
  async test(_controller, env) {
    for (const name of ["env", "ctx"]) {
      await assert.rejects(async () => await env.TARGET[name](), notImplemented(name), name);
    }
    await assert.rejects(async () => await env.TARGET.env.NAME, notImplemented("env"));
    await assert.rejects(async () => await env.TARGET.objectProperty.env, notImplemented("env"));
    await assert.rejects(async () => await env.TARGET.objectProperty.ctx, notImplemented("ctx"));
  },
};

export const callingANonFunction = {
  async test(_controller, env) {
    await assert.rejects(env.TARGET.text(), { name: "TypeError", message: '"text" is not a function.' });
    await assert.rejects(env.TARGET.objectProperty.text(), {
      name: "TypeError",
      message: '"objectProperty.text" is not a function.',
    });
    await assert.rejects(env.TARGET.objectProperty.deep.deeper(), {
      name: "TypeError",
      message: '"objectProperty.deep.deeper" is not a function.',
    });
  },
};

export const pathThroughOtherObjectsIsRefused = {
  async test(_controller, env) {
    await assert.rejects(env.TARGET.objectProperty.notRpc.method(), notImplemented("notRpc"));
    await assert.rejects(env.TARGET.objectProperty.nullProto.f(), notImplemented("nullProto"));
  },
};

export const otherObjectsCannotBeReturned = {
  async test(_controller, env) {
    await assert.rejects(env.TARGET.returnsNotRpc(), {
      name: "DataCloneError",
      message: 'Could not serialize object of type "NotRpc". This type does not support serialization.',
    });
  },
};

export const fetchOnAStubBuildsARequest = {
  async test(_controller, env) {
    const response = await env.TARGET.fetch("http://t.example/p", {
      method: "POST",
      headers: { "x-h": "v" },
      body: "b",
    });
    assert.strictEqual(await response.text(), "POST http://t.example/p v b");
  },
};

export const getPutAndDeleteAreOrdinaryNames = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.get("k"), "get k");
    assert.strictEqual(await env.TARGET.put("k", "v"), "put k v");
    assert.strictEqual(await env.TARGET.delete("k"), "delete k");
  },
};

export const methodThatNeverSettles = {
  async test(_controller, env) {
    await assert.rejects(env.TARGET.neverResolves(), {
      name: "Error",
      message:
        "The Workers runtime canceled this request because it detected that your Worker's code had hung and would " +
        "never generate a response. Refer to: https://developers.cloudflare.com/workers/observability/errors/",
    });
  },
};

export const mapIsReturnedByValue = {
  async test(_controller, env) {
    assert.deepStrictEqual(await env.TARGET.makeMap(), new Map([["a", new Map([[1, "one"]])]]));
  },
};

export const classesOfStubs = {
  async test(_controller, env) {
    assert.ok(env.TARGET.oneArg instanceof RpcProperty);
    const promise = env.TARGET.oneArg("x");
    assert.ok(promise instanceof RpcPromise);
    await promise;
    assert.ok((await env.TARGET.makeCounter(1)) instanceof RpcStub);
  },
};

export const methodsMayBeTornOff = {
  async test(_controller, env) {
    const { oneArg } = env.TARGET;
    assert.strictEqual(await oneArg("torn"), "one torn");
    assert.strictEqual(await Reflect.apply(oneArg, { other: true }, ["this"]), "one this");
  },
};

export const callsNeverThrowSynchronously = {
  async test(_controller, env) {
    const promise = env.TARGET.oneArg(Symbol("not cloneable"));
    await assert.rejects(promise, { name: "DataCloneError" });
    const missing = env.TARGET.missing();
    await assert.rejects(missing, notImplemented("missing"));
  },
};

export const propertyPathIsLimitedTo64 = {
  async test(_controller, env) {
    let property = env.TARGET;
    for (let depth = 0; depth <= 64; depth++) property = property.x;
    property = env.TARGET;
    assert.throws(
      () => {
        for (let depth = 0; depth < 100; depth++) property = property.x;
      },
      { name: "TypeError", message: "RPC pipelined property path is too deep (max 64)." },
    );
  },
};

export const unawaitedCallsRunInOrder = {
  async test(_controller, env) {
    const counter = await env.TARGET.makeCounter(0);
    const results = await Promise.all([counter.increment(1), counter.increment(10), counter.increment(100)]);
    assert.deepStrictEqual(results, [1, 11, 111]);
  },
};

export const objectMembersOfAStubAreLocal = {
  async test(_controller, env) {
    assert.strictEqual(typeof env.TARGET.toString(), "string");
    assert.strictEqual(env.TARGET.hasOwnProperty("oneArg"), false);
    assert.strictEqual(typeof env.TARGET.constructor, "function");
  },
};
