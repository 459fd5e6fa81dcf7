// The older ownership rule (flag rpc_params_transfer_stubs): a stub passed as an argument moves to the callee.
import assert from "node:assert";
import { RpcStub, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class Disposable extends RpcTarget {
  disposals = 0;
  ping() {
    return "pong";
  }
  [Symbol.dispose]() {
    this.disposals += 1;
  }
}

export class Target extends WorkerEntrypoint {
  async call(stub) {
    return await stub.ping();
  }
  async make() {
    return new Disposable();
  }
  async count(...args) {
    return args.length;
  }
}

async function until(condition) {
  for (let turn = 0; turn < 2000 && !condition(); turn++) await scheduler.wait(1);
  assert.ok(condition(), "the expected disposal did not happen");
}

export const passingAStubConsumesIt = {
  async test(_controller, env) {
    const stub = new RpcStub(new Disposable());
    assert.strictEqual(await env.TARGET.call(stub), "pong");
    await assert.rejects(async () => await stub.ping(), {
      name: "Error",
      message: "RPC stub used after being disposed.",
    });
  },
};

export const dupSurvivesTheTransfer = {
  async test(_controller, env) {
    const target = new Disposable();
    const stub = new RpcStub(target);
    const dup = stub.dup();
    assert.strictEqual(await env.TARGET.call(stub), "pong");
    assert.strictEqual(await dup.ping(), "pong");
    assert.strictEqual(target.disposals, 0);
    dup[Symbol.dispose]();
    await until(() => target.disposals === 1);
  },
};

export const passingADupKeepsTheStub = {
  async test(_controller, env) {
    using stub = await env.TARGET.make();
    assert.strictEqual(await env.TARGET.call(stub.dup()), "pong");
    assert.strictEqual(await stub.ping(), "pong");
  },
};

export const transferredStubIsDisposedAfterTheCall = {
  async test(_controller, env) {
    const target = new Disposable();
    await env.TARGET.call(new RpcStub(target));
    await until(() => target.disposals === 1);
  },
};

export const stubMovesAlsoWhenALaterArgumentIsRefused = {
  async test(_controller, env) {
    const target = new Disposable();
    const stub = new RpcStub(target);
    await assert.rejects(env.TARGET.count(stub, Symbol("mine")), { name: "DataCloneError" });
    await assert.rejects(stub.ping(), { name: "Error", message: "RPC stub used after being disposed." });
    await until(() => target.disposals === 1);
  },
};

export const stubThatMovedTwiceIsDisposedOnce = {
  async test(_controller, env) {
    const target = new Disposable();
    const stub = new RpcStub(target);
    assert.strictEqual(await env.TARGET.count(stub, stub), 2);
    await until(() => target.disposals === 1);
    assert.strictEqual(await env.TARGET.count([stub]), 1);
    await assert.rejects(env.TARGET.call(stub), { name: "Error", message: "RPC stub used after being disposed." });
  },
};
