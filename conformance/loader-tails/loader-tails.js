// `tails`: entrypoints that receive the trace of each invocation of a dynamic Worker.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

const CHILD = `
  export default {
    async fetch(request, env, ctx) {
      if (request.url.endsWith("/fail")) throw new RangeError("traced failure");
      if (request.url.endsWith("/throw-value")) throw { plain: true };
      if (request.url.endsWith("/wait-until")) {
        console.log("before the answer");
        ctx.waitUntil(scheduler.wait(20).then(() => console.log("after the answer")));
        return new Response("answered");
      }
      if (request.url.endsWith("/wait-until-fails")) {
        ctx.waitUntil(Promise.reject(new TypeError("in waitUntil")));
        return new Response("answered");
      }
      if (request.url.endsWith("/timer-fails")) {
        setTimeout(() => { throw new TypeError("in a timer"); }, 1);
        await scheduler.wait(20);
        return new Response("answered");
      }
      if (request.url.endsWith("/hangs")) await new Promise(() => {});
      if (request.url.endsWith("/arguments")) {
        const cycle = {};
        cycle.cycle = cycle;
        class Instance { field = 1; }
        class Special extends TypeError {}
        console.log(5n, function named() {}, Symbol("s"), new Map([[1, 2]]), new Instance(), new Date(0), cycle,
          { toJSON() { return 7; } }, { toJSON() { throw 1; } }, NaN, undefined, null, "text", true, [1, [2]],
          new Uint8Array(2), { error: new Error("inside") }, new Special("an error"));
        return new Response("answered");
      }
      console.log("a message", { with: "data" }, 5);
      console.error("an error line");
      return new Response("child body", { status: 201 });
    },
    async method(arg) { console.log("in method", arg); return arg; },
  };
`;

/** Trace events by the props of the tail that received them; items are copied, since they are not serialisable. */
const received = new Map();

export class Tail extends WorkerEntrypoint {
  async tail(events) {
    const { key } = this.ctx.props;
    received.set(key, [...(received.get(key) ?? []), JSON.parse(JSON.stringify(events))]);
  }
}

async function tailEvents(key, count = 1) {
  for (let turn = 0; turn < 5000 && (received.get(key)?.length ?? 0) < count; turn++) await scheduler.wait(1);
  return received.get(key) ?? [];
}

const load = (env, tails) =>
  env.LOADER.load({
    compatibilityDate: "2026-03-01",
    mainModule: "main.js",
    modules: { "main.js": CHILD },
    tails,
  }).getEntrypoint();

export const fetchIsTraced = {
  async test(_controller, env, ctx) {
    const stub = load(env, [ctx.exports.Tail({ props: { key: "fetch" } })]);
    const response = await stub.fetch("http://child.example/traced");
    assert.strictEqual(response.status, 201);
    assert.strictEqual(await response.text(), "child body");
    const [events] = await tailEvents("fetch");
    assert.strictEqual(events.length, 1);
    const [item] = events;
    assert.deepStrictEqual(item.logs[0].message, ["a message", { with: "data" }, 5]);
    assert.strictEqual(item.logs[0].level, "log");
    assert.deepStrictEqual(item.logs[1].message, ["an error line"]);
    assert.strictEqual(item.logs[1].level, "error");
    assert.strictEqual(item.outcome, "ok");
    assert.deepStrictEqual(item.exceptions, []);
    assert.strictEqual(item.event.request.url, "http://child.example/traced");
    assert.strictEqual(item.event.request.method, "GET");
    assert.strictEqual(item.event.response.status, 201);
  },
};

export const rpcIsTraced = {
  async test(_controller, env, ctx) {
    const stub = load(env, [ctx.exports.Tail({ props: { key: "rpc" } })]);
    assert.strictEqual(await stub.method("argument"), "argument");
    const [[item]] = await tailEvents("rpc");
    assert.deepStrictEqual(item.logs[0].message, ["in method", "argument"]);
    assert.strictEqual(item.event.rpcMethod, "method");
  },
};

export const severalTailsEachGetTheEvents = {
  async test(_controller, env, ctx) {
    const tails = ["one", "two"].map((key) => ctx.exports.Tail({ props: { key } }));
    await (await load(env, tails).fetch("http://child.example/")).text();
    for (const key of ["one", "two"]) {
      const [[item]] = await tailEvents(key);
      assert.strictEqual(item.logs[0].message[0], "a message");
    }
  },
};

export const everyInvocationIsOneEvent = {
  async test(_controller, env, ctx) {
    const stub = load(env, [ctx.exports.Tail({ props: { key: "many" } })]);
    for (const n of [1, 2, 3]) await stub.method(n);
    const batches = await tailEvents("many", 3);
    assert.deepStrictEqual(
      batches.map((events) => events.length),
      [1, 1, 1],
    );
    assert.deepStrictEqual(batches.map(([item]) => item.logs[0].message[1]).sort(), [1, 2, 3]);
  },
};

export const exceptionsAreTraced = {
  async test(_controller, env, ctx) {
    const stub = load(env, [ctx.exports.Tail({ props: { key: "failure" } })]);
    await assert.rejects(stub.fetch("http://child.example/fail"), { name: "RangeError", message: "traced failure" });
    const [[item]] = await tailEvents("failure");
    assert.strictEqual(item.outcome, "exception");
    assert.strictEqual(item.exceptions[0].name, "RangeError");
    assert.strictEqual(item.exceptions[0].message, "traced failure");
  },
};

export const emptyListOfTails = {
  async test(_controller, env) {
    assert.strictEqual(await load(env, []).method(1), 1);
  },
};

export const dynamicEntrypointAsTailIsRefused = {
  async test(_controller, env) {
    const other = load(env, []);
    assert.throws(() => load(env, [other]), { name: "DataCloneError" });
  },
};

export const streamingTailsAreExperimental = {
  async test(_controller, env, ctx) {
    assert.throws(
      () =>
        env.LOADER.load({
          compatibilityDate: "2026-03-01",
          mainModule: "main.js",
          modules: { "main.js": CHILD },
          streamingTails: [ctx.exports.Tail({ props: { key: "streaming" } })],
        }),
      {
        message:
          "Streaming tail workers are experimental. You must pass the option 'allowExperimental: true' to the worker " +
          "loader to use them",
      },
    );
  },
};

export const tailsComeAfterWaitUntil = {
  async test(_controller, env, ctx) {
    const stub = load(env, [ctx.exports.Tail({ props: { key: "wait-until" } })]);
    assert.strictEqual(await (await stub.fetch("http://child.example/wait-until")).text(), "answered");
    const [[item]] = await tailEvents("wait-until");
    assert.deepStrictEqual(
      item.logs.map(({ message }) => message[0]),
      ["before the answer", "after the answer"],
    );
    assert.strictEqual(item.outcome, "ok");
  },
};

export const eachTailIsCalledOnce = {
  async test(_controller, env, ctx) {
    const stub = load(env, [ctx.exports.Tail({ props: { key: "once" } })]);
    await stub.fetch("http://child.example/wait-until");
    await tailEvents("once");
    await scheduler.wait(50);
    assert.strictEqual(received.get("once").length, 1);
  },
};

export const theItemHasTheFieldsOfTheReference = {
  async test(_controller, env, ctx) {
    const before = Date.now();
    const stub = load(env, [ctx.exports.Tail({ props: { key: "fields" } })]);
    await (await stub.fetch("http://child.example/", { method: "PUT", body: "body" })).text();
    const [[item]] = await tailEvents("fields");
    assert.strictEqual(item.scriptName, null);
    for (const key of ["entrypoint", "scriptVersion", "dispatchNamespace", "scriptTags", "durableObjectId"]) {
      assert.strictEqual(item[key], undefined, key);
    }
    assert.deepStrictEqual(item.diagnosticsChannelEvents, []);
    assert.strictEqual(item.executionModel, "stateless");
    assert.strictEqual(item.truncated, false);
    for (const key of ["cpuTime", "wallTime"]) assert.strictEqual(typeof item[key], "number", key);
    for (const time of [item.eventTimestamp, item.logs[0].timestamp]) {
      assert.ok(Number.isInteger(time) && time >= before && time <= Date.now(), String(time));
    }
    assert.deepStrictEqual(Object.keys(item.logs[0]).sort(), ["level", "message", "timestamp"]);
    assert.deepStrictEqual(item.event.response, { status: 201 });
    assert.strictEqual(item.event.request.method, "PUT");
    assert.strictEqual(item.event.request.cf, undefined);
  },
};

export const namedEntrypointsAreNamed = {
  async test(_controller, env, ctx) {
    const worker = env.LOADER.load({
      compatibilityDate: "2026-03-01",
      mainModule: "main.js",
      modules: { "main.js": `
        import { WorkerEntrypoint } from "cloudflare:workers";
        export class Named extends WorkerEntrypoint { method() { throw new Error("an answer, too"); } }
      ` },
      tails: [ctx.exports.Tail({ props: { key: "named" } })],
    });
    await assert.rejects(worker.getEntrypoint("Named").method(), { message: "an answer, too" });
    const [[item]] = await tailEvents("named");
    assert.strictEqual(item.entrypoint, "Named");
    assert.deepStrictEqual(item.event, { rpcMethod: "method" });
  },
};

export const aCallThatThrowsEndsWithAnException = {
  async test(_controller, env, ctx) {
    const worker = env.LOADER.load({
      compatibilityDate: "2026-03-01",
      mainModule: "main.js",
      modules: { "main.js": `
        import { WorkerEntrypoint } from "cloudflare:workers";
        export default class extends WorkerEntrypoint {
          now() { throw new RangeError("thrown at once"); }
          async later() { await null; throw new RangeError("thrown later"); }
          unsent() { return Symbol("cannot be sent"); }
        }
      ` },
      tails: [ctx.exports.Tail({ props: { key: "calls that throw" } })],
    });
    const entrypoint = worker.getEntrypoint();
    await assert.rejects(entrypoint.now(), { message: "thrown at once" });
    await assert.rejects(entrypoint.later(), { message: "thrown later" });
    await assert.rejects(entrypoint.unsent(), { name: "DataCloneError" });
    const items = (await tailEvents("calls that throw", 3)).flat();
    const ends = items.map(({ outcome, exceptions: [{ name, message }] }) => [outcome, name, message]);
    assert.deepStrictEqual(ends.slice(0, 2), [
      ["exception", "RangeError", "thrown at once"],
      ["exception", "RangeError", "thrown later"],
    ]);
    assert.deepStrictEqual(ends[2].slice(0, 2), ["exception", "DataCloneError"]);
  },
};

async function exceptionOf(path, env, ctx) {
  const stub = load(env, [ctx.exports.Tail({ props: { key: path } })]);
  const answer = await stub.fetch(`http://child.example${path}`).then(
    (response) => response.text(),
    () => "failed",
  );
  const [[item]] = await tailEvents(path);
  assert.strictEqual(item.exceptions.length, 1);
  return { answer, outcome: item.outcome, exception: item.exceptions[0], event: item.event };
}

export const theStackHasTheFramesOfTheChild = {
  async test(_controller, env, ctx) {
    const { answer, outcome, exception, event } = await exceptionOf("/fail", env, ctx);
    assert.strictEqual(answer, "failed");
    assert.strictEqual(outcome, "exception");
    assert.match(exception.stack, /^ {4}at (Object\.)?fetch \(main\.js:4:\d+\)$/);
    assert.ok(Number.isInteger(exception.timestamp));
    assert.strictEqual(event.response, undefined);
  },
};

export const aThrownValueHasNoStack = {
  async test(_controller, env, ctx) {
    const { outcome, exception } = await exceptionOf("/throw-value", env, ctx);
    assert.strictEqual(outcome, "exception");
    assert.strictEqual(exception.name, "Error");
    assert.strictEqual(exception.stack, undefined);
  },
};

export const failuresBesideTheAnswerAreExceptionsOfAnOkInvocation = {
  async test(_controller, env, ctx) {
    for (const [path, message] of [
      ["/wait-until-fails", "in waitUntil"],
      ["/timer-fails", "in a timer"],
    ]) {
      const { answer, outcome, exception } = await exceptionOf(path, env, ctx);
      assert.strictEqual(answer, "answered");
      assert.strictEqual(outcome, "ok");
      assert.strictEqual(exception.name, "TypeError");
      assert.strictEqual(exception.message, message);
    }
  },
};

export const hangingIsAnException = {
  async test(_controller, env, ctx) {
    const { answer, outcome, exception } = await exceptionOf("/hangs", env, ctx);
    assert.strictEqual(answer, "failed");
    assert.strictEqual(outcome, "exception");
    assert.match(exception.message, /your Worker's code had hung/);
  },
};

export const consoleArgumentsBecomeData = {
  async test(_controller, env, ctx) {
    const stub = load(env, [ctx.exports.Tail({ props: { key: "arguments" } })]);
    await stub.fetch("http://child.example/arguments");
    const [[{ logs }]] = await tailEvents("arguments");
    assert.deepStrictEqual(logs[0].message, [
      "5",
      "function named() {}",
      {},
      "[object Map]",
      "[object Object]",
      "1970-01-01T00:00:00.000Z",
      {},
      7,
      {},
      null,
      null,
      null,
      "text",
      true,
      [1, [2]],
      "0,0",
      { error: {} },
      "TypeError: an error",
    ]);
    const { errorInfo } = logs[0];
    assert.strictEqual(errorInfo.length, 18);
    assert.ok(errorInfo.slice(0, 17).every((info) => info === null));
    const { name, message, stack } = errorInfo[17];
    assert.deepStrictEqual([name, message], ["TypeError", "an error"]);
    assert.match(stack, /^ {4}at (Object\.)?fetch \(main\.js:/);
  },
};

const secrets = new Map();

export class SecretTail extends WorkerEntrypoint {
  tail([{ event }]) {
    const { url, headers } = event.request.getUnredacted();
    const shown = JSON.parse(JSON.stringify(event.request));
    secrets.set(this.ctx.props.key, { url, token: headers["x-token"], shown });
  }
}

export const secretsAreRedacted = {
  async test(_controller, env, ctx) {
    const stub = load(env, [ctx.exports.SecretTail({ props: { key: "secret" } })]);
    const id = "0123456789abcdef0123456789abcdef";
    const headers = { authorization: "a", cookie: "b", "x-api-key": "c", "x-token": "d", "x-plain": "e" };
    await stub.fetch(`http://child.example/${id}/path?token=AbcdefGhijk12mnopqrst`, { headers });
    while (!secrets.has("secret")) await scheduler.wait(1);
    const { url, token, shown } = secrets.get("secret");
    assert.strictEqual(shown.url, "http://child.example/REDACTED/path?token=REDACTED");
    assert.deepStrictEqual(shown.headers, {
      authorization: "REDACTED",
      cookie: "REDACTED",
      "x-api-key": "REDACTED",
      "x-plain": "e",
      "x-token": "REDACTED",
    });
    assert.ok(!JSON.stringify(shown).includes(id));
    assert.strictEqual(url, `http://child.example/${id}/path?token=AbcdefGhijk12mnopqrst`);
    assert.strictEqual(token, "d");
  },
};

export const usageIsTold = {
  async test(_controller, env, ctx) {
    const worker = env.LOADER.load({
      compatibilityDate: "2026-03-01",
      mainModule: "main.js",
      modules: { "main.js": `
        import { WorkerEntrypoint } from "cloudflare:workers";
        export default class extends WorkerEntrypoint {
          async fetch(request) {
            const text = await request.text();
            await this.env.SERVICE.method(text);
            await this.env.SERVICE.method("x".repeat(10_000));
            globalThis.kept = new Uint8Array(8 << 20);
            const until = performance.now() + 5;
            for (let n = 0; n < 5e6 || performance.now() < until; n++);
            return new Response(text + text);
          }
        }
      ` },
      env: { SERVICE: ctx.exports.Echo({ props: {} }) },
      tails: [ctx.exports.Tail({ props: { key: "usage" } })],
    });
    const body = "0123456789".repeat(100);
    const response = await worker.getEntrypoint().fetch("http://child.example/", { method: "POST", body });
    assert.strictEqual((await response.text()).length, 2000);
    const [[item]] = await tailEvents("usage");
    assert.strictEqual(item.subRequests, 2);
    assert.strictEqual(item.rpcCalls, 2);
    // The body, and what the calls gave; the body twice, and what the calls were given.
    assert.ok(item.bytesIn >= 12_000 && item.bytesIn < 13_000, String(item.bytesIn));
    assert.ok(item.bytesOut >= 13_000 && item.bytesOut < 14_000, String(item.bytesOut));
    assert.ok(item.peakMemory > 8 << 20 && item.peakMemory < 128 << 20, String(item.peakMemory));
    assert.ok(item.cpuTime > 0 && item.wallTime >= item.cpuTime / 2, `${item.cpuTime} ${item.wallTime}`);
  },
};

export class Echo extends WorkerEntrypoint {
  method(text) {
    return text;
  }
}

export const unknownEntrypointsAreNotTraced = {
  async test(_controller, env, ctx) {
    const worker = env.LOADER.load({
      compatibilityDate: "2026-03-01",
      mainModule: "main.js",
      modules: { "main.js": CHILD },
      tails: [ctx.exports.Tail({ props: { key: "unknown" } })],
    });
    await assert.rejects(worker.getEntrypoint("Missing").method(1), { message: "Worker has no such entrypoint: Missing" });
    await worker.getEntrypoint().method(2);
    const [[item]] = await tailEvents("unknown");
    assert.deepStrictEqual(item.logs[0].message, ["in method", 2]);
    assert.strictEqual(received.get("unknown").length, 1);
  },
};

export const whatIsTooMuchIsLeftOut = {
  async test(_controller, env, ctx) {
    for (const [key, source, most] of [
      ["log-long", `console.log("x".repeat(300000)); console.log("after");`, 1],
      ["log-many", "for (let i = 0; i < 20000; i++) console.log(i);", 3100],
    ]) {
      const stub = env.LOADER.load({
        compatibilityDate: "2026-03-01",
        mainModule: "main.js",
        modules: { "main.js": `export default { method() { ${source} } };` },
        tails: [ctx.exports.Tail({ props: { key } })],
      });
      await stub.getEntrypoint().method(1);
      const [[{ logs, truncated }]] = await tailEvents(key);
      assert.strictEqual(truncated, true);
      assert.ok(logs.length <= most && logs.length > most - 100, `${key}: ${logs.length} lines`);
      assert.strictEqual(logs.at(-1).level, "warn");
      assert.match(logs.at(-1).message[0], /^Log size limit exceeded: More than 256KB of data/);
    }
  },
};

export const anyTextCanBeLogged = {
  async test(_controller, env, ctx) {
    const stub = env.LOADER.load({
      compatibilityDate: "2026-03-01",
      mainModule: "main.js",
      modules: { "main.js": String.raw`export default { method() { console.log("a\u0000\ud800b", { "\udfff": "\u2028" }); } };` },
      tails: [ctx.exports.Tail({ props: { key: "texts" } })],
    });
    await stub.getEntrypoint().method(1);
    const [[{ logs }]] = await tailEvents("texts");
    assert.deepStrictEqual(logs[0].message, ["a\u0000\ud800b", { "\udfff": "\u2028" }]);
  },
};

export const failuresOfTheRuntimeShowNoneOfItsSource = {
  async test(_controller, env, ctx) {
    for (const [key, source] of [
      ["text", "throw 'a text'"],
      ["answer", "return 5"],
    ]) {
      const stub = env.LOADER.load({
        compatibilityDate: "2026-03-01",
        mainModule: "main.js",
        modules: { "main.js": `export default { async fetch() { ${source}; } };` },
        tails: [ctx.exports.Tail({ props: { key } })],
      });
      await assert.rejects(stub.getEntrypoint().fetch("http://c.example/"));
      const [[item]] = await tailEvents(key);
      assert.strictEqual(item.exceptions.length, 1);
      assert.strictEqual(item.exceptions[0].sourceLine, undefined);
      assert.strictEqual(item.exceptions[0].stack, undefined);
    }
  },
};

export const tailsGetWhatTheFiveLevelsPrint = {
  async test(_controller, env, ctx) {
    const code = `export default { method() {
      console.debug("d", 1); console.info("i"); console.warn("w"); console.log(); console.error("%s", "e");
      console.dir({}); console.dirxml("x"); console.table([{ a: 1 }]); console.assert(false, "no"); console.count();
      console.countReset("none"); console.time("t"); console.timeEnd("t"); console.trace("t"); console.group("g");
      console.log("in a group"); console.groupEnd();
    } };`;
    const stub = env.LOADER.load({
      compatibilityDate: "2026-03-01",
      mainModule: "main.js",
      modules: { "main.js": code },
      tails: [ctx.exports.Tail({ props: { key: "five-levels" } })],
    }).getEntrypoint();
    await stub.method(1);
    const [[item]] = await tailEvents("five-levels");
    assert.deepStrictEqual(
      item.logs.map(({ level, message }) => [level, ...message]),
      [["debug", "d", 1], ["info", "i"], ["warn", "w"], ["log"], ["error", "%s", "e"], ["log", "in a group"]],
    );
  },
};
