// Disposal of stubs, of results and of parameters; the target's own disposer.
import assert from "node:assert";
import { RpcStub, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

const USED_AFTER_DISPOSAL = { name: "Error", message: "RPC stub used after being disposed." };

class Disposable extends RpcTarget {
  disposals = 0;
  ping() {
    return "pong";
  }
  [Symbol.dispose]() {
    this.disposals += 1;
  }
}

/** Disposers run on a later turn, so a test waits for the effect that it expects. */
async function until(condition) {
  for (let turn = 0; turn < 2000 && !condition(); turn++) await scheduler.wait(1);
  assert.ok(condition(), "the expected disposal did not happen");
}

/** Long enough for an unwanted disposer to show itself. */
async function severalTurns() {
  for (let turn = 0; turn < 10; turn++) await scheduler.wait(1);
}

/**
 * Reports each disposal to the client by a callback. The callback also keeps the callee's context alive: when the last
 * capability of a context goes, the context ends, and disposers that have not run by then need not run.
 */
class Remote extends RpcTarget {
  #onDispose;
  constructor(onDispose) {
    super();
    this.#onDispose = onDispose.dup();
  }
  ping() {
    return "pong";
  }
  [Symbol.dispose]() {
    this.#onDispose();
  }
}

export class Target extends WorkerEntrypoint {
  async make(onDispose) {
    return new Remote(onDispose);
  }
  async makeObject(onDispose) {
    return { one: new Remote(onDispose), two: new Remote(onDispose), text: "t" };
  }
  async makeList(onDispose) {
    return [new Remote(onDispose)];
  }
  async makeMap(onDispose) {
    return new Map([
      ["stub", new Remote(onDispose)],
      ["set", new Set([new Remote(onDispose)])],
    ]);
  }
  async makeWithDisposer(onDispose) {
    const report = onDispose.dup();
    return { text: "t", [Symbol.dispose]: () => void report() };
  }
  async plain() {
    return { text: "t" };
  }
  async count(...args) {
    return args.length;
  }
  async echo(value) {
    return value;
  }
  async makeDisposed() {
    const stub = new RpcStub(() => 1);
    stub[Symbol.dispose]();
    return { stub, text: "t" };
  }
  async callAll({ map, set, list }) {
    return [await map.get("key").ping(), await [...set][0].ping(), await list[0].ping()];
  }
  async call(stub) {
    return await stub.ping();
  }
  async useParameterAfterReturn(stub, report) {
    const kept = stub;
    const reporter = report.dup();
    this.ctx.waitUntil(
      (async () => {
        await scheduler.wait(5);
        await reporter(
          await kept.ping().then(
            () => "still usable",
            (error) => error.message,
          ),
        );
      })(),
    );
  }
  async keepDup(stub) {
    using dup = stub.dup();
    return await dup.ping();
  }
  async returnDup(stub) {
    return { stub: stub.dup() };
  }
  async returnBareDup(stub) {
    return stub.dup();
  }
}

export const useAfterDisposal = {
  async test(_controller, env) {
    const stub = await env.TARGET.make(() => {});
    assert.strictEqual(await stub.ping(), "pong");
    stub[Symbol.dispose]();
    await assert.rejects(async () => await stub.ping(), USED_AFTER_DISPOSAL);
    stub[Symbol.dispose]();
  },
};

export const targetDisposerRunsOnceAfterStubDisposal = {
  async test(_controller, env) {
    let disposals = 0;
    const stub = await env.TARGET.make(() => void disposals++);
    await stub.ping();
    await severalTurns();
    assert.strictEqual(disposals, 0);
    stub[Symbol.dispose]();
    await until(() => disposals === 1);
    await severalTurns();
    assert.strictEqual(disposals, 1);
  },
};

export const disposerOfALocalStub = {
  async test() {
    const target = new Disposable();
    const stub = new RpcStub(target);
    assert.strictEqual(await stub.ping(), "pong");
    stub[Symbol.dispose]();
    await until(() => target.disposals === 1);
  },
};

export const disposerRunsWhenTheLastDupIsGone = {
  async test() {
    const target = new Disposable();
    const stub = new RpcStub(target);
    const dup = stub.dup();
    stub[Symbol.dispose]();
    await severalTurns();
    assert.strictEqual(target.disposals, 0);
    assert.strictEqual(await dup.ping(), "pong");
    dup[Symbol.dispose]();
    await until(() => target.disposals === 1);
  },
};

export const dupIsIndependent = {
  async test(_controller, env) {
    let disposals = 0;
    const stub = await env.TARGET.make(() => void disposals++);
    const dup = stub.dup();
    stub[Symbol.dispose]();
    await assert.rejects(async () => await stub.ping(), USED_AFTER_DISPOSAL);
    assert.strictEqual(await dup.ping(), "pong");
    assert.strictEqual(disposals, 0);
    dup[Symbol.dispose]();
    await until(() => disposals === 1);
  },
};

export const disposingAnObjectResultDisposesItsStubs = {
  async test(_controller, env) {
    let disposals = 0;
    const result = await env.TARGET.makeObject(() => void disposals++);
    assert.strictEqual(await result.one.ping(), "pong");
    result[Symbol.dispose]();
    await assert.rejects(async () => await result.one.ping(), USED_AFTER_DISPOSAL);
    await assert.rejects(async () => await result.two.ping(), USED_AFTER_DISPOSAL);
    await until(() => disposals === 2);
  },
};

export const resultDisposerIsNotEnumerable = {
  async test(_controller, env) {
    using result = await env.TARGET.plain();
    assert.deepStrictEqual(
      Reflect.ownKeys(result).filter((key) => typeof key === "string"),
      ["text"],
    );
    assert.strictEqual(typeof result[Symbol.dispose], "function");
    const descriptor = Object.getOwnPropertyDescriptor(result, Symbol.dispose);
    assert.strictEqual(descriptor?.enumerable ?? false, false);
  },
};

export const disposerOfAReturnedObjectRunsRemotely = {
  async test(_controller, env) {
    let disposals = 0;
    const result = await env.TARGET.makeWithDisposer(() => void disposals++);
    await severalTurns();
    assert.strictEqual(disposals, 0);
    result[Symbol.dispose]();
    await until(() => disposals === 1);
  },
};

export const disposingAPendingPromise = {
  async test(_controller, env) {
    let disposals = 0;
    env.TARGET.make(() => void disposals++)[Symbol.dispose]();
    await severalTurns();
    assert.ok(disposals <= 1, "the call may run or be dropped, but its result is released");
  },
};

export const argumentDisposerRunsAfterTheCall = {
  async test(_controller, env) {
    const target = new Disposable();
    assert.strictEqual(await env.TARGET.call(target), "pong");
    await until(() => target.disposals === 1);
  },
};

export const argumentDisposerRunsOncePerSend = {
  async test(_controller, env) {
    const target = new Disposable();
    await env.TARGET.call(target);
    await env.TARGET.call(target);
    await until(() => target.disposals === 2);
  },
};

export const parameterIsUnusableAfterReturn = {
  async test(_controller, env) {
    const { promise, resolve } = Promise.withResolvers();
    await env.TARGET.useParameterAfterReturn(new Disposable(), (text) => resolve(text));
    assert.strictEqual(await promise, "RPC stub used after being disposed.");
  },
};

export const callerKeepsAStubThatItPassed = {
  async test(_controller, env) {
    const target = new Disposable();
    const stub = new RpcStub(target);
    assert.strictEqual(await env.TARGET.call(stub), "pong");
    assert.strictEqual(await env.TARGET.call(stub), "pong");
    assert.strictEqual(await stub.ping(), "pong");
    await severalTurns();
    assert.strictEqual(target.disposals, 0);
    stub[Symbol.dispose]();
    await until(() => target.disposals === 1);
  },
};

export const dupOfAParameterIsUsable = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.keepDup(new Disposable()), "pong");
  },
};

export const returnedDupSurvivesTheCall = {
  async test(_controller, env) {
    const target = new Disposable();
    {
      using result = await env.TARGET.returnDup(target);
      await severalTurns();
      assert.strictEqual(await result.stub.ping(), "pong");
      assert.strictEqual(target.disposals, 0);
    }
    await until(() => target.disposals === 1);
  },
};

export const returnedBareDupSurvivesTheCall = {
  async test(_controller, env) {
    const target = new Disposable();
    {
      using stub = await env.TARGET.returnBareDup(target);
      assert.strictEqual(await stub.ping(), "pong");
    }
    await until(() => target.disposals === 1);
  },
};

export const promiseUsedAfterDisposal = {
  async test(_controller, env) {
    const promise = env.TARGET.make(() => {});
    await promise;
    promise[Symbol.dispose]();
    await assert.rejects(async () => await promise.ping(), {
      name: "Error",
      message: "RPC promise used after being disposed.",
    });
  },
};

export const listsAndMapsCarryADisposer = {
  async test(_controller, env) {
    let disposals = 0;
    const list = await env.TARGET.makeList(() => void disposals++);
    assert.strictEqual(await list[0].ping(), "pong");
    list[Symbol.dispose]();
    await assert.rejects(list[0].ping(), USED_AFTER_DISPOSAL);
    const map = await env.TARGET.makeMap(() => void disposals++);
    const { stub, set } = Object.fromEntries(map);
    assert.strictEqual(await stub.ping(), "pong");
    map[Symbol.dispose]();
    await assert.rejects(stub.ping(), USED_AFTER_DISPOSAL);
    await assert.rejects([...set][0].ping(), USED_AFTER_DISPOSAL);
  },
};

export const disposingAPromiseThatResolvedDisposesItsResultAtOnce = {
  async test(_controller, env) {
    const promise = env.TARGET.make(() => {});
    const stub = await promise;
    promise[Symbol.dispose]();
    await assert.rejects(stub.ping(), USED_AFTER_DISPOSAL);
  },
};

export const dupThatGivesSomethingElse = {
  async test(_controller, env) {
    class Wrong extends RpcTarget {
      dup() {
        return {};
      }
    }
    const wrong = Object.assign(() => {}, { dup: () => new RpcTarget() });
    await assert.rejects(env.TARGET.call(wrong), {
      name: "DataCloneError",
      message:
        "Couldn't create a stub for the function because it has a dup() method which did not return another function. " +
        "Either remove the dup() method or make sure it returns a function.",
    });
    await assert.rejects(env.TARGET.call(new Wrong()), { name: "DataCloneError", message: /did not return another RpcTarget/ });
    const proxy = new Proxy({}, { get: (_, key) => (key === "dup" ? () => 5 : undefined) });
    await assert.rejects(env.TARGET.call(proxy), { name: "DataCloneError", message: /did not return the same underlying type/ });
  },
};

export const disposedStubInAValueCrosses = {
  async test(_controller, env) {
    const stub = new RpcStub(new Disposable());
    stub[Symbol.dispose]();
    assert.strictEqual(await env.TARGET.count(stub, { stub }), 2);
    await assert.rejects(env.TARGET.call(stub), USED_AFTER_DISPOSAL);
    const [back] = await env.TARGET.echo([stub]);
    assert.ok(back instanceof RpcStub);
    await assert.rejects(back.ping(), USED_AFTER_DISPOSAL);
  },
};

export const disposedStubInAResultCrosses = {
  async test(_controller, env) {
    const { stub, text } = await env.TARGET.makeDisposed();
    assert.strictEqual(text, "t");
    await assert.rejects(stub(), USED_AFTER_DISPOSAL);
    await assert.rejects(stub.dup()(), USED_AFTER_DISPOSAL);
  },
};

export const disposerRunsWhenALaterArgumentIsRefused = {
  async test(_controller, env) {
    const targets = [new Disposable(), new Disposable(), new Disposable(), new Disposable()];
    const refused = { name: "DataCloneError", message: "Symbol(mine) could not be cloned." };
    await assert.rejects(env.TARGET.count(targets[0], Symbol("mine")), refused);
    await assert.rejects(env.TARGET.count({ target: targets[1], call: () => 1 }, [Symbol("mine")]), refused);
    const value = {
      target: targets[2],
      get fails() {
        throw new RangeError("no value");
      },
    };
    await assert.rejects(env.TARGET.count(value), { name: "RangeError", message: "no value" });
    await assert.rejects(env.TARGET.count(targets[3], new (class Foreign {})()), { name: "DataCloneError" });
    await until(() => targets.every((target) => target.disposals === 1));
  },
};

export const disposerDoesNotRunForWhatWasNotReached = {
  async test(_controller, env) {
    const target = new Disposable();
    await assert.rejects(env.TARGET.count(Symbol("mine"), target), { name: "DataCloneError" });
    await severalTurns();
    assert.strictEqual(target.disposals, 0);
  },
};

export const disposerRunsWhenTheMethodIsMissing = {
  async test(_controller, env) {
    const target = new Disposable();
    await assert.rejects(env.TARGET.nothingOfThisName(target), { name: "TypeError" });
    await until(() => target.disposals === 1);
  },
};

export const callerKeepsAStubWhenALaterArgumentIsRefused = {
  async test(_controller, env) {
    const target = new Disposable();
    using stub = new RpcStub(target);
    await assert.rejects(env.TARGET.count(stub, Symbol("mine")), { name: "DataCloneError" });
    await severalTurns();
    assert.strictEqual(target.disposals, 0);
    assert.strictEqual(await stub.ping(), "pong");
  },
};

export const disposerOfAPlainArgumentStaysHere = {
  async test(_controller, env) {
    let disposals = 0;
    assert.strictEqual(await env.TARGET.count({ text: "t", [Symbol.dispose]: () => (disposals += 1) }), 1);
    await severalTurns();
    assert.strictEqual(disposals, 0);
  },
};

export const stubsInMapsSetsAndLists = {
  async test(_controller, env) {
    const target = new Disposable();
    const stub = new RpcStub(target);
    const pongs = ["pong", "pong", "pong"];
    const value = { map: new Map([["key", stub]]), set: new Set([stub]), list: [stub] };
    assert.deepStrictEqual([...(await env.TARGET.callAll(value))], pongs);
    await severalTurns();
    assert.strictEqual(target.disposals, 0);
    stub[Symbol.dispose]();
    await until(() => target.disposals === 1);
    const targets = [new Disposable(), new Disposable(), new Disposable()];
    const plain = { map: new Map([["key", targets[0]]]), set: new Set([targets[1]]), list: [targets[2]] };
    assert.deepStrictEqual([...(await env.TARGET.callAll(plain))], pongs);
    await until(() => targets.every(({ disposals }) => disposals === 1));
  },
};

export const resultDisposedTwice = {
  async test(_controller, env) {
    let disposals = 0;
    const result = await env.TARGET.makeWithDisposer(() => (disposals += 1));
    result[Symbol.dispose]();
    result[Symbol.dispose]();
    await until(() => disposals === 1);
    await severalTurns();
    assert.strictEqual(disposals, 1);
  },
};

export const usingDeclarationsDispose = {
  async test(_controller, env) {
    let disposals = 0;
    let kept;
    {
      using result = await env.TARGET.makeObject(() => (disposals += 1));
      using promise = env.TARGET.make(() => (disposals += 1));
      kept = result.one;
      assert.strictEqual(await kept.ping(), "pong");
      assert.strictEqual(await promise.ping(), "pong");
    }
    await assert.rejects(kept.ping(), USED_AFTER_DISPOSAL);
    await until(() => disposals === 3);
  },
};

export const addressesHaveNoDisposer = {
  async test(_controller, env) {
    assert.strictEqual(env.TARGET[Symbol.dispose], undefined);
    assert.strictEqual(env.TARGET.plain[Symbol.dispose], undefined);
    assert.strictEqual(typeof env.TARGET.plain()[Symbol.dispose], "function");
  },
};
