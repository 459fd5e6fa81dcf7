// Thrown values across an RPC boundary before enhanced_error_serialization: class and message, and nothing else.
import assert from "node:assert";
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class Named extends Error {
  name = "Named";
}
class Plain extends RangeError {}
class ByGetter extends Error {
  get name() {
    return "ByGetter";
  }
}
class Target2 extends RpcTarget {}

const thrown = {
  named: () => new Named("a message"),
  plain: () => new Plain("a message"),
  getter: () => new ByGetter("a message"),
  nameless: () => Object.assign(new Error("a message"), { name: "" }),
  properties: () => Object.assign(new Error("a message"), { abc: 1, code: "E" }),
  cause: () => new Error("outer", { cause: new TypeError("inner") }),
  aggregate: () => new AggregateError([new TypeError("inner")], "several"),
  dom: () => new DOMException("a message", "AbortError"),
  text: () => "text",
  nothing: () => undefined,
  number: () => 42,
  symbol: () => Symbol("q"),
  object: () => ({ message: "not read", a: 1 }),
  target: () => new Target2(),
  promise: () => Promise.resolve(),
};

export class Target extends WorkerEntrypoint {
  throwKind(kind) {
    throw thrown[kind]();
  }
}

async function caught(ctx, kind) {
  try {
    await ctx.exports.Target.throwKind(kind);
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

const show = (error) => [error.constructor.name, error.name, error.message];

export const ownNamesBecomeAPartOfTheMessage = {
  async test(_controller, _env, ctx) {
    assert.deepStrictEqual(show(await caught(ctx, "named")), ["Error", "Error", "Named: a message"]);
    assert.deepStrictEqual(show(await caught(ctx, "plain")), ["RangeError", "RangeError", "a message"]);
    assert.deepStrictEqual(show(await caught(ctx, "getter")), ["Error", "Error", "a message"]);
    assert.deepStrictEqual(show(await caught(ctx, "nameless")), ["Error", "Error", "a message"]);
  },
};

export const ownPropertiesAndCausesStayBehind = {
  async test(_controller, _env, ctx) {
    const error = await caught(ctx, "properties");
    assert.deepStrictEqual([error.abc, error.code, error.remote], [undefined, undefined, true]);
    assert.strictEqual((await caught(ctx, "cause")).cause, undefined);
    const aggregate = await caught(ctx, "aggregate");
    assert.deepStrictEqual(show(aggregate), ["AggregateError", "AggregateError", "several"]);
    assert.strictEqual(aggregate.errors, undefined);
  },
};

export const domExceptionsKeepTheirName = {
  async test(_controller, _env, ctx) {
    const error = await caught(ctx, "dom");
    assert.deepStrictEqual([...show(error), error.code], ["DOMException", "AbortError", "a message", 20]);
  },
};

export const whatIsNoErrorBecomesOne = {
  async test(_controller, _env, ctx) {
    for (const [kind, message] of [
      ["text", "text"], ["nothing", "undefined"], ["number", "42"], ["symbol", "Symbol(q)"], ["object", "#<Object>"],
      ["target", "#<Target2>"], ["promise", "#<Promise>"],
    ]) {
      assert.deepStrictEqual(show(await caught(ctx, kind)), ["Error", "Error", message]);
    }
  },
};

export const signalsNeedTheirFlag = {
  async test(_controller, _env, ctx) {
    for (const signal of [new AbortController().signal, AbortSignal.abort()]) {
      await assert.rejects(ctx.exports.Target.throwKind(signal), {
        name: "DataCloneError",
        message: "AbortSignal serialization is not enabled.",
      });
    }
  },
};
