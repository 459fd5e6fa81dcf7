// JavaScript Proxy objects as RPC arguments: what a Proxy counts as is decided by its prototype chain.
import assert from "node:assert";
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

const NOT_A_RECEIVER = {
  name: "DataCloneError",
  message:
    "Proxy could not be serialized because it is not a valid RPC receiver type. The Proxy must emulate either a plain " +
    "object or an RpcTarget, as indicated by the Proxy's prototype chain.",
};

class Greeter extends RpcTarget {
  greet(name) {
    return `hello ${name}`;
  }
}

class Other {
  greet(name) {
    return `other ${name}`;
  }
}

export class Target extends WorkerEntrypoint {
  async greet(stub, name) {
    return await stub.greet(name);
  }
  async call(f, ...args) {
    return await f(...args);
  }
  async read(stub, key) {
    return await stub[key];
  }
}

export const proxyOfATarget = {
  async test(_controller, env) {
    const proxy = new Proxy(new Greeter(), {
      get: (target, key) => (key === "greet" ? (name) => `intercepted ${name}` : Reflect.get(target, key)),
    });
    assert.strictEqual(await env.TARGET.greet(proxy, "x"), "intercepted x");
  },
};

export const proxyOfAPlainObjectIsAStub = {
  async test(_controller, env) {
    const proxy = new Proxy(
      {},
      {
        has: () => true,
        get: (_target, key) => (typeof key === "string" && key === "greet" ? (name) => `virtual ${name}` : undefined),
        getOwnPropertyDescriptor: (_target, key) =>
          key === "greet" ? { configurable: true, enumerable: true, value: (name) => `virtual ${name}` } : undefined,
      },
    );
    assert.strictEqual(await env.TARGET.greet(proxy, "x"), "virtual x");
  },
};

export const proxyOfAFunction = {
  async test(_controller, env) {
    const proxy = new Proxy((a, b) => a + b, {
      apply: (target, _self, args) => target(...args) * 10,
    });
    assert.strictEqual(await env.TARGET.call(proxy, 1, 2), 30);
  },
};

export const proxyOfAnotherClassIsRefused = {
  async test(_controller, env) {
    await assert.rejects(env.TARGET.greet(new Proxy(new Other(), {}), "x"), NOT_A_RECEIVER);
  },
};

export const proxyThatFakesATargetPrototypeIsAllowed = {
  async test(_controller, env) {
    const proxy = new Proxy(new Other(), { getPrototypeOf: () => RpcTarget.prototype });
    assert.strictEqual(await env.TARGET.greet(proxy, "x"), "other x");
  },
};

export const proxyThatFakesAnotherPrototypeIsRefused = {
  async test(_controller, env) {
    const proxy = new Proxy(new Greeter(), { getPrototypeOf: () => Other.prototype });
    await assert.rejects(env.TARGET.greet(proxy, "x"), NOT_A_RECEIVER);
  },
};
