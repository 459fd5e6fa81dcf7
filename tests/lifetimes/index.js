// When unnamed children end: nobody holds them any more. A child holds an object of its parent's in its env; the object
// is disposed of when the child's isolate has gone. Run with --v8-flags "--expose-gc".
import { RpcTarget } from "cloudflare:workers";
import assert from "node:assert";

const code = `export default {
  async ask(n, env) { return (await env.HELD.ping()) + n; },
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
