// What belongs to one invocation and what may be shared between invocations; how long a callee's invocation lives.
import assert from "node:assert";
import { RpcTarget, waitUntil as importedWaitUntil, WorkerEntrypoint } from "cloudflare:workers";

const shared = new Map();
const done = new Set();

class Pinger extends RpcTarget {
  ping() {
    return "pong";
  }
}

let globalScopeError = null;
try {
  importedWaitUntil(Promise.resolve());
} catch (error) {
  globalScopeError = error;
}

export class Target extends WorkerEntrypoint {
  async pinger() {
    return new Pinger();
  }
  async plain() {
    return { a: 1 };
  }
  async storeStub() {
    shared.set("stub", await this.ctx.exports.Target.pinger());
  }
  async storePromise() {
    shared.set("promise", this.ctx.exports.Target.plain());
    await shared.get("promise");
  }
  async storeProperty() {
    shared.set("property", this.env.TARGET.plain);
  }
  async useStored(name) {
    const value = shared.get(name);
    return name === "stub" ? await value.ping() : await value();
  }
  async settleLater(how) {
    const { promise, resolve, reject } = Promise.withResolvers();
    promise.catch(() => {});
    shared.set("settled", promise);
    await scheduler.wait(20);
    if (how === "resolve") resolve("by another");
    else reject(new RangeError("by another"));
    await scheduler.wait(1);
  }
  async awaitSettled() {
    return await shared.get("settled");
  }
  async awaitSettledAndGoOn() {
    const value = await shared.get("settled");
    await scheduler.wait(1);
    return `${value}, later`;
  }
  leaveTimer(name) {
    setTimeout(() => done.add(name), 5);
    return 1;
  }
  leaveWait(name) {
    scheduler.wait(5).then(() => done.add(name));
    return "text";
  }
  leaveCall(name) {
    this.env.TARGET.slow().then(() => done.add(name));
  }
  leaveAndThrow(name) {
    setTimeout(() => done.add(name), 5);
    throw new Error("thrown");
  }
  async leaveLater(name) {
    setTimeout(() => done.add(name), 5);
  }
  async slow() {
    await scheduler.wait(5);
  }
  async awaitNothing() {
    await new Promise(() => {});
  }
  async callOnStoredPromise() {
    return await shared.get("promise").a.b();
  }
  async useStoredPromise() {
    return { ...(await shared.get("promise")) };
  }
  async finishLater(name) {
    this.ctx.waitUntil(
      (async () => {
        await scheduler.wait(3);
        done.add(name);
      })(),
    );
    return done.has(name);
  }
  async finishLaterImported(name) {
    importedWaitUntil(
      (async () => {
        await scheduler.wait(3);
        done.add(name);
      })(),
    );
    return done.has(name);
  }
  async returnPromiseDirectly() {
    return this.ctx.exports.Target.pinger();
  }
  async returnPropertyDirectly() {
    return this.ctx.exports.Target.constant;
  }
  get constant() {
    return "constant";
  }
}

async function until(condition) {
  for (let turn = 0; turn < 2000 && !condition(); turn++) await scheduler.wait(1);
  assert.ok(condition());
}

export const stubOfAnotherInvocationIsRefused = {
  async test(_controller, env) {
    await env.TARGET.storeStub();
    await assert.rejects(
      env.TARGET.useStored("stub"),
      (error) =>
        error.message.startsWith("Cannot perform I/O on behalf of a different request.") &&
        error.message.endsWith("(I/O type: Client)"),
    );
  },
};

export const callsOnAPromiseOfAnotherInvocationAreRefused = {
  async test(_controller, env) {
    await env.TARGET.storePromise();
    await assert.rejects(env.TARGET.callOnStoredPromise(), (error) => error.message.endsWith("(I/O type: JsRpcPromise)"));
  },
};

export const promiseOfPlainDataMayBeShared = {
  async test(_controller, env) {
    await env.TARGET.storePromise();
    assert.deepStrictEqual({ ...(await env.TARGET.useStoredPromise()) }, { a: 1 });
  },
};

export const promiseThatAnotherInvocationSettles = {
  async test(_controller, env) {
    const settling = env.TARGET.settleLater("resolve");
    await scheduler.wait(1);
    const waiting = [env.TARGET.awaitSettled(), env.TARGET.awaitSettled(), env.TARGET.awaitSettledAndGoOn()];
    assert.deepStrictEqual(await Promise.all(waiting), ["by another", "by another", "by another, later"]);
    await settling;
  },
};

export const crowdThatAwaitsOnePromise = {
  async test(_controller, env) {
    const settling = env.TARGET.settleLater("resolve");
    await scheduler.wait(1);
    const crowd = Array.from({ length: 200 }, () => env.TARGET.awaitSettled());
    assert.deepStrictEqual(new Set(await Promise.all(crowd)), new Set(["by another"]));
    await settling;
  },
};

export const crowdThatNobodyServes = {
  async test(_controller, env) {
    const crowd = Array.from({ length: 200 }, () => env.TARGET.awaitNothing());
    const outcomes = await Promise.allSettled(crowd);
    assert.ok(outcomes.every(({ reason }) => /your Worker's code had hung/.test(reason?.message)));
  },
};

export const promiseThatAnotherInvocationRejects = {
  async test(_controller, env) {
    const settling = env.TARGET.settleLater("reject");
    await scheduler.wait(1);
    await assert.rejects(env.TARGET.awaitSettled(), { name: "RangeError", message: "by another" });
    await settling;
  },
};

export const promiseThatNobodySettles = {
  async test(_controller, env) {
    const hung = { name: "Error", message: /your Worker's code had hung/ };
    await Promise.all([
      assert.rejects(env.TARGET.awaitNothing(), hung),
      assert.rejects(env.TARGET.awaitNothing(), hung),
    ]);
  },
};

export const propertyOfAServiceBindingMayBeShared = {
  async test(_controller, env) {
    await env.TARGET.storeProperty();
    assert.deepStrictEqual({ ...(await env.TARGET.useStored("property")) }, { a: 1 });
  },
};

export const waitUntilRunsAfterTheMethodReturned = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.finishLater("ctx"), false);
    await until(() => done.has("ctx"));
  },
};

export const whatIsLeftWithoutWaitUntilEndsWithTheCall = {
  async test(_controller, env) {
    const methods = ["leaveTimer", "leaveWait", "leaveCall", "leaveAndThrow", "leaveLater"];
    for (const method of methods) await env.TARGET[method](method).catch(() => {});
    await scheduler.wait(40);
    assert.deepStrictEqual(methods.filter((method) => done.has(method)), []);
  },
};

export const importedWaitUntilWorksToo = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.finishLaterImported("imported"), false);
    await until(() => done.has("imported"));
  },
};

export const importedWaitUntilAtTopLevelThrows = {
  async test() {
    assert.ok(globalScopeError instanceof Error);
    assert.match(globalScopeError.message, /^Disallowed operation called within global scope\./);
  },
};

export const rpcPromiseReturnedDirectlyIsAwaited = {
  async test(_controller, env) {
    using pinger = await env.TARGET.returnPromiseDirectly();
    assert.strictEqual(await pinger.ping(), "pong");
    assert.strictEqual(await env.TARGET.returnPromiseDirectly().ping(), "pong");
    assert.strictEqual(await env.TARGET.returnPropertyDirectly(), "constant");
  },
};

export const stubSurvivesWhileItsHolderRuns = {
  async test(_controller, env) {
    using pinger = await env.TARGET.pinger();
    await scheduler.wait(10);
    assert.strictEqual(await pinger.ping(), "pong");
  },
};
