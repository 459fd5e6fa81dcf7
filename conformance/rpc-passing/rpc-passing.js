// A Worker in the middle passes on what it was given, and ends: what it passed on works without it, what was its own ends
// with it.
import assert from "node:assert";
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

const encoder = new TextEncoder();
/** What came of the work that Target does after its answer, by the name of the case. */
const outcomes = new Map();

class Pinger extends RpcTarget {
  ping() {
    return "pong";
  }
}

export class Target extends WorkerEntrypoint {
  #later(name, work) {
    this.ctx.waitUntil(
      (async () => {
        await scheduler.wait(10);
        outcomes.set(name, await work().catch((error) => error.message));
      })(),
    );
  }
  async ping(name, stub) {
    const kept = stub.dup();
    this.#later(name, () => kept.ping());
  }
  async call(name, callback) {
    const kept = callback.dup();
    this.#later(name, () => kept());
  }
  async read(name, stream) {
    this.#later(name, () => new Response(stream).text());
  }
  async readBody(name, response) {
    this.#later(name, () => response.text());
  }
  async write(name, writable) {
    this.#later(name, async () => {
      const writer = writable.getWriter();
      await writer.write(encoder.encode("late"));
      await writer.close();
      return "written";
    });
  }
  async echoOf(name, service) {
    this.#later(name, () => service.echo("echo"));
  }
  async echo(value) {
    return value;
  }
  async makePinger() {
    return new Pinger();
  }
  async makeStream() {
    let sent = 0;
    return new ReadableStream({
      type: "bytes",
      async pull(controller) {
        await scheduler.wait(2);
        controller.enqueue(encoder.encode(`${sent}`));
        if (++sent === 5) controller.close();
      },
    });
  }
  async makeWritable(name) {
    const { readable, writable } = new IdentityTransformStream();
    this.ctx.waitUntil(new Response(readable).text().then((text) => outcomes.set(name, text)));
    return writable;
  }
}

export class Middle extends WorkerEntrypoint {
  async pass(method, name, value) {
    await this.env.TARGET[method](name, value);
  }
  async passMember(method, name, { member }) {
    await this.env.TARGET[method](name, member);
  }
  async writeAndPass(name, writable) {
    const writer = writable.getWriter();
    await writer.write(encoder.encode("early "));
    writer.releaseLock();
    await this.env.TARGET.write(name, writable);
    return writable.locked;
  }
  async passOwn(method, name) {
    await this.env.TARGET[method](name, method === "ping" ? new Pinger() : () => "called");
  }
  async get(method, ...args) {
    return await this.env.TARGET[method](...args);
  }
  async getInside(method, ...args) {
    return { value: await this.env.TARGET[method](...args) };
  }
}

async function outcomeOf(name) {
  for (let turn = 0; turn < 2000 && !outcomes.has(name); turn++) await scheduler.wait(1);
  const outcome = outcomes.get(name);
  outcomes.delete(name);
  return outcome;
}

/** Through the middle, bare and as a member; `make()` gives a new value each time. */
async function passes(env, method, make, expected) {
  await env.MIDDLE.pass(method, `${method} bare`, make());
  assert.strictEqual(await outcomeOf(`${method} bare`), expected);
  await env.MIDDLE.passMember(method, `${method} member`, { member: make() });
  assert.strictEqual(await outcomeOf(`${method} member`), expected);
}

/** A writable stream, and what was done to it. */
function recorder() {
  const record = { text: "", closed: false };
  const writable = new WritableStream({
    write(chunk) {
      record.text += new TextDecoder().decode(chunk);
    },
    close() {
      record.closed = true;
    },
    abort(reason) {
      record.aborted = reason.message;
    },
  });
  return { record, writable };
}

export const targetsAndFunctions = {
  async test(_controller, env) {
    await passes(env, "ping", () => new Pinger(), "pong");
    await passes(env, "call", () => () => "called", "called");
  },
};

export const readableStreams = {
  async test(_controller, env) {
    await passes(env, "read", () => new Response("body").body, "body");
    const source = {
      async pull(controller) {
        await scheduler.wait(3);
        controller.enqueue("from a source");
        controller.close();
      },
    };
    await passes(env, "read", () => new ReadableStream(source), "from a source");
    await passes(env, "readBody", () => new Response("response"), "response");
  },
};

export const writableStreams = {
  async test(_controller, env) {
    for (const method of ["pass", "passMember"]) {
      const { record, writable } = recorder();
      await env.MIDDLE[method]("write", method, method === "pass" ? writable : { member: writable });
      assert.strictEqual(await outcomeOf(method), "written");
      assert.deepStrictEqual(record, { text: "late", closed: true });
    }
  },
};

export const writableThatTheMiddleWroteTo = {
  async test(_controller, env) {
    const { record, writable } = recorder();
    assert.strictEqual(await env.MIDDLE.writeAndPass("both wrote", writable), true);
    assert.strictEqual(await outcomeOf("both wrote"), "written");
    assert.deepStrictEqual(record, { text: "early late", closed: true });
  },
};

export const services = {
  async test(_controller, env) {
    await passes(env, "echoOf", () => env.TARGET, "echo");
  },
};

export const whatIsTheMiddlesOwnEndsWithIt = {
  async test(_controller, env) {
    for (const method of ["ping", "call"]) {
      await env.MIDDLE.passOwn(method, `own ${method}`);
      assert.strictEqual(
        await outcomeOf(`own ${method}`),
        "The execution context which hosts this callback is no longer running.",
      );
    }
  },
};

export const resultsOfATarget = {
  async test(_controller, env) {
    const pinger = await env.MIDDLE.get("makePinger");
    const inside = await env.MIDDLE.getInside("makePinger");
    await scheduler.wait(10);
    assert.deepStrictEqual([await pinger.ping(), await inside.value.ping()], ["pong", "pong"]);
    assert.strictEqual(await new Response(await env.MIDDLE.get("makeStream")).text(), "01234");
    assert.strictEqual(await new Response((await env.MIDDLE.getInside("makeStream")).value).text(), "01234");
  },
};

export const writableAsAResult = {
  async test(_controller, env) {
    for (const method of ["get", "getInside"]) {
      const result = await env.MIDDLE[method]("makeWritable", `writable ${method}`);
      await scheduler.wait(10);
      const writer = (method === "get" ? result : result.value).getWriter();
      await writer.write(encoder.encode("through two"));
      await writer.close();
      assert.strictEqual(await outcomeOf(`writable ${method}`), "through two");
    }
  },
};
