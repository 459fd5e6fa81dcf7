// When unnamed children end: nobody holds them any more. A child holds an object of its parent's in its env; the object
// is disposed of when the child's isolate has gone. Run with --v8-flags "--expose-gc".
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
import assert from "node:assert";

const code = `import { RpcTarget } from "cloudflare:workers";
class Remote extends RpcTarget {
  ping() { return "from the child"; }
}
export default {
  async ask(n, env) { return (await env.HELD.ping()) + n; },
  async object() { return new Remote(); },
  async wait(gate) { await gate.open(); return "waited"; },
  async stream(n) {
    return new ReadableStream({
      async pull(controller) {
        await scheduler.wait(2);
        controller.enqueue(new Uint8Array(10));
        if (--n === 0) controller.close();
      },
    });
  },
}`;

class Held extends RpcTarget {
  gone = false;
  ping() {
    return 1;
  }
  [Symbol.dispose]() {
    this.gone = true;
  }
}

function load(env, held) {
  return env.LOADER.load({ code, env: { HELD: held } });
}

async function untilGone(held) {
  for (let i = 0; i < 2000 && !held.gone; i++) {
    gc();
    await scheduler.wait(2);
  }
  assert.ok(held.gone, "the child is still there");
}

export const childThatNobodyHolds = {
  async test(_controller, env) {
    const held = new Held();
    const use = async () => assert.strictEqual(await load(env, held).getEntrypoint().ask(1), 2);
    await use();
    await untilGone(held);
  },
};

export const childWhoseStubsWereDisposed = {
  async test(_controller, env) {
    const held = new Held();
    const worker = load(env, held);
    const entrypoint = worker.getEntrypoint();
    assert.strictEqual(await entrypoint.ask(1), 2);
    worker[Symbol.dispose]();
    assert.strictEqual(await entrypoint.ask(2), 3);
    entrypoint[Symbol.dispose]();
    await untilGone(held);
    await assert.rejects(async () => entrypoint.ask(3), /used after being disposed/);
  },
};

export const stubKeepsItsChild = {
  async test(_controller, env) {
    const held = new Held();
    const entrypoint = load(env, held).getEntrypoint();
    for (let i = 0; i < 10; i++) {
      gc();
      await scheduler.wait(2);
    }
    assert.strictEqual(held.gone, false);
    assert.strictEqual(await entrypoint.ask(1), 2);
  },
};

export const streamKeepsItsChild = {
  async test(_controller, env) {
    const held = new Held();
    const open = async () => await load(env, held).getEntrypoint().stream(20);
    const stream = await open();
    let received = 0;
    for await (const chunk of stream) {
      received += chunk.length;
      gc();
      // The child has written its last chunk a moment before it is read here.
      if (received < 150) assert.strictEqual(held.gone, false);
    }
    assert.strictEqual(received, 200);
    await untilGone(held);
  },
};

export const childThatIsDisposedOfWithUsing = {
  async test(_controller, env) {
    const held = new Held();
    {
      using worker = load(env, held);
      using entrypoint = worker.getEntrypoint();
      assert.strictEqual(await entrypoint.ask(1), 2);
    }
    for (let i = 0; i < 2000 && !held.gone; i++) await scheduler.wait(2);
    assert.ok(held.gone, "the child is still there");
  },
};

export const childThatIsLetGoOfWhileItLoads = {
  async test(_controller, env) {
    const held = new Held();
    load(env, held)[Symbol.dispose]();
    await untilGone(held);
  },
};

export const childThatNobodyEverCalled = {
  async test(_controller, env) {
    const held = new Held();
    (() => void load(env, held))();
    await untilGone(held);
  },
};

export const callUnderWayKeepsItsChild = {
  async test(_controller, env) {
    const held = new Held();
    const entered = Promise.withResolvers();
    const opened = Promise.withResolvers();
    class Gate extends RpcTarget {
      open() {
        entered.resolve();
        return opened.promise;
      }
    }
    const call = (() => load(env, held).getEntrypoint().wait(new Gate()))();
    await entered.promise;
    for (let i = 0; i < 10; i++) {
      gc();
      await scheduler.wait(2);
    }
    assert.strictEqual(held.gone, false);
    opened.resolve();
    assert.strictEqual(await call, "waited");
    await untilGone(held);
  },
};

export const objectKeepsItsChild = {
  async test(_controller, env) {
    const held = new Held();
    const get = async () => await load(env, held).getEntrypoint().object(null);
    const object = await get();
    for (let i = 0; i < 10; i++) {
      gc();
      await scheduler.wait(2);
    }
    assert.strictEqual(await object.ping(), "from the child");
    assert.strictEqual(held.gone, false);
    object[Symbol.dispose]();
    await untilGone(held);
  },
};

let kept;

export class Requests extends WorkerEntrypoint {
  // The child and its entrypoint stay reachable, from outside of the request too.
  async load(held) {
    const worker = load(this.env, held.dup());
    kept = [worker, worker.getEntrypoint()];
    return await kept[1].ask(1);
  }
}

export const childrenOfARequestEndWithIt = {
  async test(_controller, _env, ctx) {
    const held = new Held();
    assert.strictEqual(await ctx.exports.Requests.load(held), 2);
    assert.strictEqual(kept.length, 2);
    await untilGone(held);
  },
};

// No more than that nothing breaks: what is collected here has no live object by which to tell.
export const collectionsDuringCallbacks = {
  async test(_controller, env) {
    let calls = 0;
    for (let i = 0; i < 50; i++) {
      env.LOADER.get(null, async () => {
        calls++;
        gc();
        await scheduler.wait(i % 3);
        gc();
        return { code };
      });
    }
    for (let i = 0; i < 2000 && calls < 50; i++) await scheduler.wait(1);
    assert.strictEqual(calls, 50);
    const held = new Held();
    assert.strictEqual(await load(env, held).getEntrypoint().ask(1), 2);
  },
};
