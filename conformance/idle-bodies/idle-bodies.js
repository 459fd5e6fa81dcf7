// Bodies and streams whose source has nothing to send at the moment: it is told at once when its reader goes, and its
// invocation does not fail while it waits. What a body fails with is its invocation's exception.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

const CHILD = `
  import { WorkerEntrypoint } from "cloudflare:workers";
  const encode = (text) => new TextEncoder().encode(text);
  const never = () => new Promise(() => {});
  let controller;
  export default class extends WorkerEntrypoint {
    tell(text) {
      this.ctx.waitUntil(this.env.LOG.tell(text));
    }
    // Gives one chunk, and is idle from then on.
    quiet(options = {}) {
      return new ReadableStream({
        type: options.bytes ? "bytes" : undefined,
        start: (given) => {
          controller = given;
          if (!options.empty) given.enqueue(encode("first"));
        },
        pull: options.pull ? never : undefined,
        cancel: () => this.tell("cancelled"),
      });
    }
    events() {
      let timer;
      return new ReadableStream({
        start(controller) {
          controller.enqueue(encode("first"));
          timer = setInterval(() => {}, 10_000);
        },
        cancel: () => {
          clearInterval(timer);
          this.tell("cancelled");
        },
      });
    }
    slow() {
      return new ReadableStream({
        start: (controller) => controller.enqueue(encode("first")),
        cancel: async () => {
          await scheduler.wait(5);
          await this.env.LOG.tell("cancelled");
        },
      });
    }
    written(stream) {
      const writer = stream.writable.getWriter();
      writer.write(encode("first")).catch(() => {});
      writer.closed.catch(() => this.tell("cancelled"));
      return stream.readable;
    }
    bodies = {
      quiet: () => this.quiet(),
      pull: () => this.quiet({ pull: true }),
      bytes: () => this.quiet({ bytes: true }),
      empty: () => this.quiet({ empty: true }),
      events: () => this.events(),
      slow: () => this.slow(),
      tee: () => {
        const [first, second] = this.quiet().tee();
        this.ctx.waitUntil(second.cancel());
        return first;
      },
      through: () => this.quiet().pipeThrough(new TransformStream()),
      transform: () => new TransformStream({ cancel: () => this.tell("cancelled") }, undefined, { highWaterMark: 0 }),
      throws: () => new ReadableStream({ pull() { throw new RangeError("thrown"); } }),
      async rejects() {
        let pulled = false;
        return new ReadableStream({
          async pull(controller) {
            await scheduler.wait(1);
            if (pulled) throw new RangeError("thrown");
            pulled = true;
            controller.enqueue(encode("first"));
          },
        });
      },
      errors: () => new ReadableStream({
        start(controller) { setTimeout(() => controller.error(new RangeError("thrown")), 1); },
      }),
      transformThrows: () => new Response("text").body.pipeThrough(
        new TransformStream({ transform() { throw new RangeError("thrown"); } }),
      ),
      notBytes: () => new ReadableStream({ start(controller) { controller.enqueue({}); } }),
    };
    async fetch(request) {
      const path = new URL(request.url).pathname.slice(1);
      if (path === "write") controller.enqueue(encode("written"));
      if (path === "ignore" || path === "write") return new Response("answered");
      if (path === "late") {
        await scheduler.wait(10);
        return new Response("answered");
      }
      const body = await this.bodies[path]();
      return new Response(body.readable === undefined ? body : this.written(body));
    }
    stream(name) {
      return this.bodies[name]();
    }
    inObject() {
      return { stream: this.events() };
    }
    take(stream) {
      return "taken";
    }
    async takeAndCancel(stream) {
      await stream.cancel("of no use");
      return "taken";
    }
  }
`;

const told = new Map();
const traces = new Map();

export class Log extends WorkerEntrypoint {
  tell(text) {
    told.set(this.ctx.props.key, text);
  }
}

export class Tail extends WorkerEntrypoint {
  tail([{ outcome, event, exceptions }]) {
    const texts = exceptions.map(({ name, message }) => `${name}: ${message}`);
    traces.set(this.ctx.props.key, { outcome, response: event?.response, exceptions: texts });
  }
}

async function until(condition) {
  for (let turn = 0; turn < 5000 && !condition(); turn++) await scheduler.wait(1);
}

let keys = 0;

// Runs `use` on a child; then the child has been told that its stream was cancelled, and all has ended well.
function cancelled(use) {
  return {
    async test(_controller, env, ctx) {
      const { child, key } = load(env, ctx);
      await use(child);
      await until(() => told.has(key));
      assert.strictEqual(told.get(key), "cancelled");
      await until(() => traces.has(key));
      const trace = traces.get(key);
      assert.deepStrictEqual([trace.outcome, trace.exceptions], ["ok", []]);
    },
  };
}

function load(env, ctx) {
  const key = keys++;
  const worker = env.LOADER.load({
    compatibilityDate: "2026-07-01",
    mainModule: "main.js",
    modules: { "main.js": CHILD },
    env: { LOG: ctx.exports.Log({ props: { key } }) },
    tails: [ctx.exports.Tail({ props: { key } })],
  });
  return { child: worker.getEntrypoint(), key };
}

const get = (child, path) => child.fetch(`http://child.example/${path}`);

async function first(stream) {
  const reader = stream.getReader();
  const { value } = await reader.read();
  assert.strictEqual(new TextDecoder().decode(value), "first");
  return reader;
}

const afterTheFirst = (path, wait = 0) =>
  cancelled(async (child) => {
    const reader = await first((await get(child, path)).body);
    if (wait > 0) await scheduler.wait(wait);
    await reader.cancel("enough");
  });

const unread = (path) =>
  cancelled(async (child) => {
    const { body } = await get(child, path);
    await body.cancel("not wanted");
  });

const unreadForAWhile = (path) =>
  cancelled(async (child) => {
    const { body } = await get(child, path);
    await scheduler.wait(20);
    await body.cancel("not wanted");
  });

export const cancelAfterTheFirst = afterTheFirst("quiet");
export const cancelAfterTheFirstOfBytes = afterTheFirst("bytes");
export const cancelAfterTheFirstWithPull = afterTheFirst("pull");
export const cancelAfterTheFirstOfEvents = afterTheFirst("events");
export const cancelAfterTheFirstOfABranch = afterTheFirst("tee");
export const cancelAfterTheFirstOfAPipe = afterTheFirst("through");
export const cancelAfterTheFirstOfATransform = afterTheFirst("transform");
// The reference fails the invocation as one that hangs, although no reader waits for it.
export const cancelAWhileAfterTheFirst = afterTheFirst("quiet", 20);
export const cancelAWhileAfterTheFirstOfEvents = afterTheFirst("events", 20);
export const cancelThatTakesTime = afterTheFirst("slow");
export const cancelUnread = unread("quiet");
export const cancelUnreadEmpty = unread("empty");
export const cancelUnreadOfEvents = unread("events");
export const cancelUnreadOfABranch = unread("tee");
export const cancelUnreadOfAPipe = unread("through");
export const cancelUnreadForAWhile = unreadForAWhile("quiet");
export const cancelUnreadOfEventsForAWhile = unreadForAWhile("events");

// A reader that waits is no reason to keep quiet: with a timer the source could still send something.
export const cancelWhileReading = cancelled(async (child) => {
  const reader = await first((await get(child, "events")).body);
  const reading = reader.read();
  await scheduler.wait(5);
  await reader.cancel("enough");
  await Promise.allSettled([reading]);
});

// The source is kept by the module: another invocation writes.
export const anotherInvocationWrites = cancelled(async (child) => {
  const reader = await first((await get(child, "quiet")).body);
  await get(child, "write");
  assert.strictEqual(new TextDecoder().decode((await reader.read()).value), "written");
  await reader.cancel("enough");
});

export const rpcStreamUnread = cancelled(async (child) => {
  const stream = await child.stream("quiet");
  await stream.cancel("not wanted");
});

export const rpcStreamUnreadForAWhile = cancelled(async (child) => {
  const stream = await child.stream("quiet");
  await scheduler.wait(20);
  await stream.cancel("not wanted");
});

export const rpcStreamOfEvents = cancelled(async (child) => {
  const stream = await child.stream("events");
  await scheduler.wait(5);
  await stream.cancel("not wanted");
});

// A reader that waits, and a source that can never go on.
export const aReaderOfAnIdleSourceIsToldThatItHangs = {
  async test(_controller, env, ctx) {
    const { child, key } = load(env, ctx);
    const response = await get(child, "quiet");
    await assert.rejects(response.text(), { name: "Error", message: /your Worker's code had hung/ });
    await until(() => traces.has(key));
    assert.strictEqual(traces.get(key).outcome, "exception");
  },
};

// ---- What goes the other way: bodies of requests, streams in arguments ------------------------------------------

function givenUp(use) {
  return {
    async test(_controller, env, ctx) {
      let reason;
      const source = new ReadableStream({
        start: (controller) => controller.enqueue(new Uint8Array(5)),
        cancel: (given) => {
          reason = given;
        },
      });
      await use(load(env, ctx).child, source);
      await until(() => reason !== undefined);
      assert.ok(reason instanceof Error);
    },
  };
}

const post = (child, path, body) => child.fetch(`http://child.example/${path}`, { method: "POST", body });

export const requestBodyThatIsIgnored = givenUp(async (child, body) => {
  assert.strictEqual(await (await post(child, "ignore", body)).text(), "answered");
});

export const requestBodyThatIsIgnoredForAWhile = givenUp(async (child, body) => {
  assert.strictEqual(await (await post(child, "late", body)).text(), "answered");
});

export const argumentThatIsIgnored = givenUp(async (child, stream) => {
  assert.strictEqual(await child.take(stream), "taken");
});

export const argumentThatIsCancelled = givenUp(async (child, stream) => {
  assert.strictEqual(await child.takeAndCancel(stream), "taken");
});

// ---- What bodies fail with ----------------------------------------------------------------------------------------

function fails(path, error) {
  return {
    async test(_controller, env, ctx) {
      const { child, key } = load(env, ctx);
      const response = await get(child, path);
      assert.strictEqual(response.status, 200);
      await assert.rejects(response.text(), error);
      await until(() => traces.has(key));
      // There is no response to tell of.
      const exceptions = [`${error.name}: ${error.message}`];
      assert.deepStrictEqual(traces.get(key), { outcome: "exception", response: undefined, exceptions });
    },
  };
}

const THROWN = { name: "RangeError", message: "thrown" };
export const bodyThrows = fails("throws", THROWN);
export const bodyRejects = fails("rejects", THROWN);
export const bodyIsMadeToFail = fails("errors", THROWN);
export const transformThrows = fails("transformThrows", THROWN);
export const bodyThatIsNotBytes = fails("notBytes", {
  name: "TypeError",
  message: "Draining read encountered a value that cannot be converted to bytes",
});

// Over RPC its reader is not told why, and it is no exception of the invocation.
export const rpcStreamThrows = {
  async test(_controller, env, ctx) {
    const { child, key } = load(env, ctx);
    const stream = await child.stream("errors");
    await assert.rejects(new Response(stream).text(), {
      message: "ReadableStream received over RPC disconnected prematurely.",
    });
    await until(() => traces.has(key));
    const { outcome, exceptions } = traces.get(key);
    assert.deepStrictEqual([outcome, exceptions], ["ok", []]);
  },
};
