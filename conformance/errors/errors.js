// Errors as values: what structuredClone() and calls keep of them, and what their stacks show.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

class Custom extends Error {
  constructor(message) {
    super(message);
    this.name = "Custom";
    this.extra = [1];
  }
}
class Named extends TypeError {
  get name() {
    return "Named";
  }
}

const make = {
  properties: () => Object.assign(new RangeError("p"), { code: "E", deep: { list: [1] } }),
  custom: () => new Custom("c"),
  named: () => new Named("n"),
  hidden: () => Object.defineProperty(new Error("h"), "hidden", { value: 4 }),
  getter: () => Object.defineProperty(new Error("g"), "got", { get: () => 5 }),
  numberedName: () => Object.assign(new Error("n"), { name: 5 }),
  causes: () => new Error("1", { cause: new RangeError("2", { cause: new TypeError("3", { cause: "x" }) }) }),
  domCause: () => new Error("o", { cause: new DOMException("dm", "AbortError") }),
  aggregate: () => new AggregateError([new TypeError("a"), "b", { c: 1 }], "ag"),
  manyErrors: () => new AggregateError(Array.from({ length: 200 }, (_, i) => new Error(`e${i}`)), "many"),
  suppressed: () => new SuppressedError(new Error("e1"), new TypeError("e2"), "sm"),
  dom: () => new DOMException("dm", "AbortError"),
  manyProperties: () => Object.assign(new Error("m"), Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`p${i}`, i]))),
  instance: () => Object.assign(new Error("i"), { it: new Custom("within") }),
};

export class Target extends WorkerEntrypoint {
  give(kind) {
    return make[kind]();
  }
  giveNested(kind) {
    return { list: [{ error: make[kind]() }], map: new Map([["error", make[kind]()]]) };
  }
  throwIt(kind) {
    throw make[kind]();
  }
  throwValue(value) {
    throw value;
  }
  call(callback) {
    return callback();
  }
}

const checks = {
  properties: (e) => assert.deepStrictEqual([e instanceof RangeError, e.message, e.code, e.deep], [true, "p", "E", { list: [1] }]),
  custom: (e) => assert.deepStrictEqual([e.constructor, e.name, e.message, e.extra], [Error, "Custom", "c", [1]]),
  named: (e) => assert.deepStrictEqual([e.constructor, e.name, Object.hasOwn(e, "name")], [Error, "Named", true]),
  hidden: (e) => assert.deepStrictEqual([e.hidden, Object.keys(e).includes("hidden")], [4, true]),
  getter: (e) => assert.strictEqual(e.got, 5),
  causes: (e) => {
    assert.ok(e.cause instanceof RangeError && e.cause.cause instanceof TypeError);
    assert.deepStrictEqual([e.cause.message, e.cause.cause.message, e.cause.cause.cause], ["2", "3", "x"]);
  },
  domCause: (e) => {
    assert.ok(e.cause instanceof DOMException);
    assert.deepStrictEqual([e.cause.name, e.cause.message, e.cause.code], ["AbortError", "dm", 20]);
  },
  aggregate: (e) => {
    assert.ok(e instanceof AggregateError && e.errors[0] instanceof TypeError);
    assert.deepStrictEqual([e.message, e.errors.length, e.errors[0].message, e.errors[1], e.errors[2]], ["ag", 3, "a", "b", { c: 1 }]);
  },
  manyErrors: (e) => assert.deepStrictEqual([e.errors.length, e.errors[199].message], [200, "e199"]),
  suppressed: (e) => {
    assert.ok(e instanceof SuppressedError && e.error instanceof Error && e.suppressed instanceof TypeError);
    assert.deepStrictEqual([e.name, e.message, e.error.message, e.suppressed.message], ["SuppressedError", "sm", "e1", "e2"]);
  },
  dom: (e) => assert.deepStrictEqual([e instanceof DOMException, e.name, e.message, e.code], [true, "AbortError", "dm", 20]),
  manyProperties: (e) => assert.strictEqual(e.p299, 299),
};

export const structuredCloneKeepsErrors = {
  test() {
    for (const [kind, check] of Object.entries(checks)) {
      check(structuredClone(make[kind]()));
      const { list, map } = structuredClone({ list: [{ error: make[kind]() }], map: new Map([[1, make[kind]()]]) });
      check(list[0].error);
      check(map.get(1));
    }
  },
};

export const namesThatAreNoTextStayWhatTheyAre = {
  test() {
    assert.strictEqual(structuredClone(make.numberedName()).name, 5);
    assert.strictEqual(Object.hasOwn(structuredClone(Object.assign(new Error("n"), { name: undefined })), "name"), true);
  },
};

export const structuredCloneKeepsTheStack = {
  test() {
    const error = new Error("m");
    assert.strictEqual(structuredClone(error).stack, error.stack);
    assert.strictEqual(structuredClone({ error }).error.stack, error.stack);
    assert.strictEqual(structuredClone(Object.assign(new Error("m"), { stack: "mine" })).stack, "mine");
    const exception = new DOMException("m", "AbortError");
    assert.strictEqual(structuredClone(exception).stack, exception.stack);
  },
};

export const oneErrorInTwoPlacesIsOneError = {
  test() {
    const error = new Error("one");
    const [a, b] = structuredClone([error, error]);
    assert.strictEqual(a, b);
  },
};

export const structuredCloneRefusesWhatItCannotKeep = {
  test() {
    const refused = { name: "DataCloneError" };
    assert.throws(() => structuredClone(Object.assign(new Error("f"), { f() {} })), refused);
    assert.throws(() => structuredClone(Object.assign(new Error("s"), { s: Symbol("s") })), refused);
    assert.throws(() => structuredClone(Object.assign(new Error("w"), { w: new WeakMap() })), refused);
    assert.throws(() => structuredClone(new AggregateError([() => 1], "a")), refused);
    assert.throws(() => structuredClone(Object.assign(new Error("m"), { message: { a: 1 } })), {
      name: "DataCloneError",
      message: "Deserialization failed: error message is not a string",
    });
    const throwing = Object.defineProperty(new Error("g"), "got", {
      get() {
        throw new RangeError("from the getter");
      },
    });
    assert.throws(() => structuredClone(throwing), { name: "RangeError", message: "from the getter" });
    const circle = new Error("circle");
    circle.cause = circle;
    assert.throws(() => structuredClone(circle));
  },
};

export const callsKeepErrors = {
  async test(_controller, _env, ctx) {
    const target = ctx.exports.Target;
    for (const [kind, check] of Object.entries(checks)) {
      check(await target.give(kind));
      const { list, map } = await target.giveNested(kind);
      check(list[0].error);
      check(map.get("error"));
      await assert.rejects(target.throwIt(kind), (error) => {
        check(error);
        return error.remote === true;
      });
    }
  },
};

export const instancesInThrownErrorsArePlain = {
  async test(_controller, _env, ctx) {
    await assert.rejects(ctx.exports.Target.throwIt("instance"), (error) => error.message === "i" && error.it.message === "within");
  },
};

export const dataIsThrownAsItIs = {
  async test(_controller, _env, ctx) {
    const thrown = async (value) => {
      try {
        await ctx.exports.Target.throwValue(value);
      } catch (error) {
        return error;
      }
    };
    assert.deepStrictEqual([...(await thrown([1, 2]))], [1, 2]);
    assert.strictEqual((await thrown(new Date(7))).getTime(), 7);
    assert.strictEqual((await thrown(new Map([[1, 2]]))).get(1), 2);
    assert.deepStrictEqual({ ...(await thrown({ a: 1 })) }, { a: 1, remote: true });
  },
};

export const stacksOfOthersDoNotCross = {
  async test(_controller, _env, ctx) {
    const { list, map } = await ctx.exports.Target.giveNested("causes");
    for (const error of [list[0].error, map.get("error"), list[0].error.cause]) {
      assert.doesNotMatch(String(error.stack), /giveNested/);
    }
  },
};

// Frames: a name and a place in this file each, and nothing else.
function onlyOwn(stack) {
  const lines = stack.split("\n").slice(1);
  for (const line of lines) assert.match(line, /errors\.js:\d+:\d+\)?$/);
  return lines;
}

export const stacksShowOnlyTheWorkersFrames = {
  async test(_controller, _env, ctx) {
    let seen;
    const look = function look() {
      seen = new Error("seen").stack;
    };
    const events = new EventTarget();
    events.addEventListener("x", look);
    events.dispatchEvent(new Event("x"));
    assert.match(onlyOwn(seen)[1], /test/);
    new Headers([["a", "b"]]).forEach(look);
    assert.match(onlyOwn(seen)[1], /test/);
    new ReadableStream({ start: look });
    assert.match(onlyOwn(seen)[1], /test/);
    await new Promise((resolve) => setTimeout(() => resolve(look()), 1));
    onlyOwn(seen);
    await ctx.exports.Target.call(() => look());
    onlyOwn(seen);
  },
};

export const stacksOfTheRuntimesErrorsBeginWithTheCaller = {
  async test() {
    for (const fail of [
      () => structuredClone(() => 1),
      () => structuredClone({ map: new WeakMap() }),
      () => new URL("x"),
      () => new Headers([["a"]]),
      () => Headers.prototype.get.call({}, "a"),
      () => AbortSignal.abort().throwIfAborted(),
      () => atob("*"),
    ]) {
      let error;
      try {
        fail();
      } catch (caught) {
        error = caught;
      }
      assert.match(onlyOwn(error.stack)[0], /fail|errors\.js/);
    }
  },
};

export const prepareStackTraceSeesTheSameFrames = {
  test() {
    let files;
    let self;
    Error.prepareStackTrace = function (error, sites) {
      self = this;
      return sites.map((site) => String(site.getFileName()));
    };
    try {
      new Headers([["a", "b"]]).forEach(() => {
        files = new Error("x").stack;
      });
    } finally {
      delete Error.prepareStackTrace;
    }
    assert.strictEqual(self, Error);
    assert.ok(files.length >= 2 && files.every((file) => file.endsWith("errors.js")), files.join());
  },
};

export const prepareStackTraceMayThrowAndGiveAnything = {
  test() {
    try {
      Error.prepareStackTrace = () => 5;
      assert.strictEqual(new Error("x").stack, 5);
      Error.prepareStackTrace = () => {
        throw new RangeError("mine");
      };
      assert.throws(() => new Error("x").stack, RangeError);
      Error.prepareStackTrace = "no function";
      assert.match(new Error("x").stack, /^Error: x\n {4}at /);
    } finally {
      delete Error.prepareStackTrace;
    }
  },
};

export const firstLinesAreTheLanguages = {
  test() {
    const first = (error) => error.stack.split("\n    at ")[0];
    assert.strictEqual(first(new TypeError("a\nb")), "TypeError: a\nb");
    assert.strictEqual(first(new Error()), "Error");
    assert.strictEqual(first(Object.assign(new Error("m"), { name: "Q" })), "Q: m");
    assert.strictEqual(first(new (class Sub extends Error {})("m")), "Error: m");
    assert.strictEqual(first(new DOMException("m", "AbortError")), "AbortError: m");
    const plain = { name: "N", message: "M" };
    new Headers([["a", "b"]]).forEach(() => Error.captureStackTrace(plain));
    assert.strictEqual(first(plain), "N: M");
    onlyOwn(plain.stack);
  },
};

export const theLimitOfFramesIsTheWorkers = {
  test() {
    const limit = Error.stackTraceLimit;
    try {
      Error.stackTraceLimit = 1;
      assert.strictEqual(onlyOwn(new Error("x").stack).length, 1);
      Error.stackTraceLimit = 0;
      assert.strictEqual(new Error("x").stack, "Error: x");
    } finally {
      Error.stackTraceLimit = limit;
    }
  },
};
