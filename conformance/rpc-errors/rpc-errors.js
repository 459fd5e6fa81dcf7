// How a thrown value crosses an RPC boundary: class and message are kept, the callee's stack is not.
import assert from "node:assert";
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class CustomError extends Error {
  constructor(message) {
    super(message);
    this.name = "CustomError";
  }
}

class Thrower extends RpcTarget {
  throwIt() {
    throw new TypeError("from an RpcTarget");
  }
}

const thrown = {
  Error: () => new Error("an Error"),
  TypeError: () => new TypeError("a TypeError"),
  RangeError: () => new RangeError("a RangeError"),
  SyntaxError: () => new SyntaxError("a SyntaxError"),
  ReferenceError: () => new ReferenceError("a ReferenceError"),
  EvalError: () => new EvalError("an EvalError"),
  URIError: () => new URIError("a URIError"),
  empty: () => new Error(),
  withProperties: () => Object.assign(new Error("has properties"), { abc: 123, deep: { list: [1] } }),
  withCause: () => new Error("outer", { cause: new TypeError("inner") }),
  multiline: () => new Error("first line\nsecond line: with colon"),
};

export class Target extends WorkerEntrypoint {
  async throwKind(kind) {
    throw thrown[kind]();
  }
  async throwCustom() {
    throw new CustomError("custom message");
  }
  async throwDomException() {
    throw new DOMException("not here", "NotFoundError");
  }
  async throwPrimitive() {
    throw "just a string";
  }
  throwSynchronously() {
    throw new RangeError("synchronous");
  }
  async functionNamedInTheStack() {
    throw new Error("look at my stack");
  }
  async callBack(callback) {
    return await callback();
  }
  async catchFrom(callback) {
    try {
      await callback();
      return null;
    } catch (error) {
      return {
        name: error.name,
        message: error.message,
        remote: error.remote,
        isTypeError: error instanceof TypeError,
      };
    }
  }
  async thrower() {
    return new Thrower();
  }
  async stackOf(error) {
    return error.stack ?? null;
  }
}

const caught = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  assert.fail("the call should have been rejected");
};

export const standardClassesAndMessagesAreKept = {
  async test(_controller, env) {
    for (const Type of [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError]) {
      const error = await caught(env.TARGET.throwKind(Type.name));
      assert.ok(error instanceof Type, Type.name);
      assert.strictEqual(error.constructor, Type);
      assert.strictEqual(error.name, Type.name);
      assert.match(error.message, new RegExp(`^an? ${Type.name}$`));
    }
  },
};

export const remoteIsTrue = {
  async test(_controller, env) {
    assert.strictEqual((await caught(env.TARGET.throwKind("Error"))).remote, true);
    assert.strictEqual((await caught(env.TARGET.throwKind("TypeError"))).remote, true);
    assert.strictEqual(new Error("local").remote, undefined);
  },
};

export const emptyAndMultilineMessages = {
  async test(_controller, env) {
    assert.strictEqual((await caught(env.TARGET.throwKind("empty"))).message, "");
    assert.strictEqual(
      (await caught(env.TARGET.throwKind("multiline"))).message,
      "first line\nsecond line: with colon",
    );
  },
};

export const ownPropertiesCross = {
  async test(_controller, env) {
    const error = await caught(env.TARGET.throwKind("withProperties"));
    assert.strictEqual(error.message, "has properties");
    assert.strictEqual(error.abc, 123);
    assert.deepStrictEqual(error.deep, { list: [1] });
  },
};

export const causeCrosses = {
  async test(_controller, env) {
    const error = await caught(env.TARGET.throwKind("withCause"));
    assert.strictEqual(error.message, "outer");
    assert.ok(error.cause instanceof TypeError);
    assert.strictEqual(error.cause.message, "inner");
  },
};

export const customClassBecomesErrorWithItsName = {
  async test(_controller, env) {
    const error = await caught(env.TARGET.throwCustom());
    assert.ok(error instanceof Error);
    assert.strictEqual(error instanceof CustomError, false);
    assert.strictEqual(error.name, "CustomError");
    assert.strictEqual(error.message, "custom message");
  },
};

export const domExceptionKeepsItsName = {
  async test(_controller, env) {
    const error = await caught(env.TARGET.throwDomException());
    assert.strictEqual(error.name, "NotFoundError");
    assert.strictEqual(error.message, "not here");
  },
};

export const synchronousThrowRejects = {
  async test(_controller, env) {
    await assert.rejects(env.TARGET.throwSynchronously(), { name: "RangeError", message: "synchronous" });
  },
};

export const calleeStackDoesNotCross = {
  async test(_controller, env) {
    const error = await caught(env.TARGET.functionNamedInTheStack());
    assert.strictEqual(error.message, "look at my stack");
    assert.doesNotMatch(String(error.stack), /functionNamedInTheStack/);
  },
};

export const localStackIsPresent = {
  async test(_controller, env) {
    async function localCallerFunction() {
      await env.TARGET.throwKind("Error");
    }
    const error = await caught(localCallerFunction());
    assert.match(error.stack, /localCallerFunction/);
  },
};

export const errorOfARpcTargetMethod = {
  async test(_controller, env) {
    const thrower = await env.TARGET.thrower();
    const error = await caught(thrower.throwIt());
    assert.ok(error instanceof TypeError);
    assert.strictEqual(error.message, "from an RpcTarget");
    assert.strictEqual(error.remote, true);
  },
};

export const errorOfACallbackReachesTheCallee = {
  async test(_controller, env) {
    const seen = await env.TARGET.catchFrom(() => {
      throw new TypeError("from the client");
    });
    assert.deepStrictEqual(
      { ...seen },
      { name: "TypeError", message: "from the client", remote: true, isTypeError: true },
    );
  },
};

export const errorPassesThroughTwoBoundaries = {
  async test(_controller, env) {
    const error = await caught(
      env.TARGET.callBack(async () => {
        throw new RangeError("there and back");
      }),
    );
    assert.ok(error instanceof RangeError);
    assert.strictEqual(error.message, "there and back");
    assert.strictEqual(error.remote, true);
  },
};

export const nonObjectsCanBeThrown = {
  async test(_controller, env) {
    const error = await caught(env.TARGET.throwPrimitive());
    assert.match(String(error?.message ?? error), /just a string/);
  },
};

export const failedCallDoesNotBreakTheStub = {
  async test(_controller, env) {
    const thrower = await env.TARGET.thrower();
    await assert.rejects(thrower.throwIt(), { name: "TypeError" });
    await assert.rejects(thrower.throwIt(), { name: "TypeError" });
    await assert.rejects(env.TARGET.throwKind("RangeError"), { name: "RangeError" });
    assert.ok(await env.TARGET.thrower());
  },
};

export const servicesGiveNoDurableObjectFields = {
  async test(_controller, env) {
    const error = await caught(env.TARGET.throwKind("Error"));
    assert.strictEqual(error.durableObjectId, undefined);
    assert.strictEqual(error.durableObjectReset, undefined);
    assert.strictEqual(error.overloaded, undefined);
  },
};

class Everything extends WorkerEntrypoint {
  throwValue(kind) {
    throw everything[kind]();
  }
  giveValue(kind) {
    return everything[kind]();
  }
}
export { Everything };

const everything = {
  aggregate: () => new AggregateError([new TypeError("first"), "second"], "several"),
  hidden: () => Object.defineProperty(new Error("has more"), "hidden", { value: 4 }),
  getter: () => Object.defineProperty(new Error("has more"), "got", { get: () => 5, enumerable: true }),
  plain: () => ({ message: "plain", a: [1] }),
  circle: () => {
    const error = new Error("circle");
    error.cause = error;
    return error;
  },
  causes: () => new Error("1", { cause: new RangeError("2", { cause: new TypeError("3") }) }),
  withFunction: () => Object.assign(new Error("callable"), { f: (x) => x + 1 }),
  named: () => Object.assign(new Error("named"), { name: "Own", abc: new Date(7) }),
  instance: () => Object.assign(new Error("instance"), { it: new (class Thing {})() }),
  target: () => new Thrower(),
};

async function thrownBy(ctx, kind) {
  try {
    await ctx.exports.Everything.throwValue(kind);
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

export const aggregateErrorsKeepTheirErrors = {
  async test(_controller, _env, ctx) {
    const error = await thrownBy(ctx, "aggregate");
    assert.ok(error instanceof AggregateError);
    assert.strictEqual(error.message, "several");
    assert.ok(error.errors[0] instanceof TypeError);
    assert.deepStrictEqual([error.errors[0].message, error.errors[1]], ["first", "second"]);
  },
};

export const hiddenPropertiesAndGettersCross = {
  async test(_controller, _env, ctx) {
    assert.strictEqual((await thrownBy(ctx, "hidden")).hidden, 4);
    assert.strictEqual((await thrownBy(ctx, "getter")).got, 5);
  },
};

export const plainObjectsAreThrownAsTheyAre = {
  async test(_controller, _env, ctx) {
    const thrown = await thrownBy(ctx, "plain");
    assert.ok(!(thrown instanceof Error));
    assert.deepStrictEqual([thrown.message, thrown.a, thrown.remote], ["plain", [1], true]);
  },
};

export const targetsAreThrownAsTheirName = {
  async test(_controller, _env, ctx) {
    const error = await thrownBy(ctx, "target");
    assert.deepStrictEqual([error.name, error.message], ["Error", "#<Thrower>"]);
  },
};

export const causesNest = {
  async test(_controller, _env, ctx) {
    const error = await thrownBy(ctx, "causes");
    assert.ok(error.cause instanceof RangeError);
    assert.ok(error.cause.cause instanceof TypeError);
    assert.strictEqual(error.cause.cause.message, "3");
    assert.strictEqual((await thrownBy(ctx, "circle")).message, "circle");
  },
};

export const errorsAsValuesKeepWhatIsTheirs = {
  async test(_controller, _env, ctx) {
    const named = await ctx.exports.Everything.giveValue("named");
    assert.deepStrictEqual([named.name, named.message, named.abc, named.remote], ["Own", "named", new Date(7), undefined]);
    const aggregate = await ctx.exports.Everything.giveValue("aggregate");
    assert.ok(aggregate instanceof AggregateError && aggregate.errors[0] instanceof TypeError);
    const callable = await ctx.exports.Everything.giveValue("withFunction");
    assert.strictEqual(await callable.f(1), 2);
    await assert.rejects(ctx.exports.Everything.giveValue("instance"), {
      name: "DataCloneError",
      message: 'Could not serialize object of type "Thing". This type does not support serialization.',
    });
  },
};

export const errorsAfterAResultArrivedAreRemoteToo = {
  async test(_controller, _env, ctx) {
    const result = ctx.exports.Everything.giveValue("plain");
    await result;
    await assert.rejects(result.nope(), (error) => {
      assert.deepStrictEqual([error.name, error.remote], ["TypeError", true]);
      assert.strictEqual(error.message, 'The RPC receiver does not implement the method "nope".');
      return true;
    });
  },
};
