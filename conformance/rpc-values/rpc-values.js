// Values that cross an RPC boundary by structured clone, in both directions, and values that are refused.
import assert from "node:assert";
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

const MEBIBYTE = 1024 * 1024;

export class Echo extends WorkerEntrypoint {
  async echo(value) {
    return value;
  }
  async typeOf(value) {
    return `${typeof value} ${Object.prototype.toString.call(value)}`;
  }
  async mutate(value) {
    value.changed = true;
    value.list.push("remote");
    return value;
  }
  async sameObjectTwice(a, b) {
    return { sameArguments: a === b, inside: a.x === a.y };
  }
  async length(value) {
    return value.length;
  }
  async repeat(n) {
    return "x".repeat(n);
  }
  async returnSymbol() {
    return Symbol("s");
  }
  async returnPromiseInside() {
    return { p: Promise.resolve(1) };
  }
}

const roundTrips = (values) => ({
  async test(_controller, env) {
    for (const value of values) {
      const back = await env.ECHO.echo(value);
      assert.deepStrictEqual(back, value);
      assert.strictEqual(Object.prototype.toString.call(back), Object.prototype.toString.call(value));
    }
  },
});

export const primitives = roundTrips([
  undefined,
  null,
  true,
  false,
  0,
  -0,
  1.5,
  -1e300,
  NaN,
  Infinity,
  "",
  "text",
  "\u{1F600}\0x",
]);

export const loneSurrogatesSurvive = roundTrips(["a\uD800b", "\uDC00"]);

export const bigInts = roundTrips([0n, 1n, -1n, 2n ** 64n, -(2n ** 200n)]);

export const dates = roundTrips([new Date(0), new Date(1_700_000_000_123), new Date(-1)]);

export const invalidDate = {
  async test(_controller, env) {
    assert.ok(Number.isNaN((await env.ECHO.echo(new Date(NaN))).getTime()));
  },
};

export const regularExpressions = roundTrips([/a+b/gi, /\//u, /(?<name>x)/dsy]);

export const wrappedPrimitives = roundTrips([new Number(3), new String("s"), new Boolean(false), Object(7n)]);

export const mapsAndSets = roundTrips([
  new Map([
    [1, "a"],
    ["k", new Map([[{ a: 1 }, [2]]])],
  ]),
  new Set([1, "1", NaN, new Set(["deep"])]),
]);

export const arrays = roundTrips([[], [1, [2, [3]]], [undefined, null], Array.from({ length: 1000 }, (_, i) => i)]);

export const sparseArraysKeepTheirHoles = {
  async test(_controller, env) {
    const sparse = [1];
    sparse[5] = 2;
    sparse.extra = "property";
    const back = await env.ECHO.echo(sparse);
    assert.strictEqual(back.length, 6);
    assert.strictEqual(3 in back, false);
    assert.strictEqual(back[5], 2);
    assert.strictEqual(back.extra, "property");
  },
};

export const typedArrays = roundTrips([
  new Int8Array([-1, 2]),
  new Uint8Array([1, 2, 255]),
  new Uint8ClampedArray([300]),
  new Int16Array([-300]),
  new Uint16Array([65535]),
  new Int32Array([-70000]),
  new Uint32Array([4294967295]),
  new Float32Array([0.5]),
  new Float64Array([Math.PI]),
  new BigInt64Array([-5n]),
  new BigUint64Array([5n]),
]);

export const arrayBuffers = {
  async test(_controller, env) {
    const buffer = new Uint8Array([1, 2, 3]).buffer;
    const back = await env.ECHO.echo(buffer);
    assert.ok(back instanceof ArrayBuffer);
    assert.deepStrictEqual(new Uint8Array(back), new Uint8Array([1, 2, 3]));
    assert.strictEqual(buffer.byteLength, 3, "the argument is copied, not transferred");
  },
};

export const dataViewKeepsOffsetAndLength = {
  async test(_controller, env) {
    const view = new DataView(new Uint8Array([0, 1, 2, 3, 4]).buffer, 1, 3);
    const back = await env.ECHO.echo(view);
    assert.ok(back instanceof DataView);
    assert.strictEqual(back.byteLength, 3);
    assert.deepStrictEqual([back.getUint8(0), back.getUint8(2)], [1, 3]);
  },
};

export const subarrayHasTheRightBytes = {
  async test(_controller, env) {
    const back = await env.ECHO.echo(new Uint8Array([9, 8, 7, 6]).subarray(1, 3));
    assert.deepStrictEqual([...back], [8, 7]);
  },
};

export const plainObjects = roundTrips([
  {},
  { a: 1, b: { c: [1, { d: null }] }, "weird key": undefined },
  { __x: 1, 7: "n" },
]);

export const cyclesAreKept = {
  async test(_controller, env) {
    const cycle = { name: "loop", list: [] };
    cycle.self = cycle;
    cycle.list.push(cycle);
    const back = await env.ECHO.echo(cycle);
    assert.strictEqual(back.self, back);
    assert.strictEqual(back.list[0], back);
    assert.notStrictEqual(back, cycle);
  },
};

export const sharedReferencesStaySharedInOneValue = {
  async test(_controller, env) {
    const shared = { n: 1 };
    const argument = { x: shared, y: shared };
    assert.deepStrictEqual(
      { ...(await env.ECHO.sameObjectTwice(argument, argument)) },
      { sameArguments: true, inside: true },
    );
  },
};

export const valuesAreCopied = {
  async test(_controller, env) {
    const original = { list: ["local"] };
    const back = await env.ECHO.mutate(original);
    assert.deepStrictEqual(original, { list: ["local"] });
    assert.deepStrictEqual(back.list, ["local", "remote"]);
    assert.strictEqual(back.changed, true);
  },
};

export const gettersAreReadOnSending = {
  async test(_controller, env) {
    let reads = 0;
    const value = {
      get n() {
        return ++reads;
      },
    };
    assert.strictEqual((await env.ECHO.echo(value)).n, 1);
    assert.strictEqual(reads, 1);
  },
};

export const throwingGetterRejectsTheCall = {
  async test(_controller, env) {
    const value = {
      get n() {
        throw new RangeError("no");
      },
    };
    await assert.rejects(env.ECHO.echo(value), { name: "RangeError", message: "no" });
  },
};

export const symbolKeysAndNonEnumerablesAreDropped = {
  async test(_controller, env) {
    const value = Object.defineProperty({ kept: 1, [Symbol("s")]: 2 }, "hidden", { value: 3, enumerable: false });
    const back = await env.ECHO.echo(value);
    assert.deepStrictEqual(Object.keys(back), ["kept"]);
    assert.strictEqual(back.hidden, undefined);
  },
};

export const errorsAsValues = {
  async test(_controller, env) {
    for (const Type of [Error, TypeError, RangeError, SyntaxError, EvalError, ReferenceError, URIError]) {
      const back = await env.ECHO.echo(new Type("as a value"));
      assert.ok(back instanceof Type);
      assert.strictEqual(back.message, "as a value");
      assert.strictEqual(back.name, Type.name);
    }
  },
};

export const domExceptionsAsValues = {
  async test(_controller, env) {
    const back = await env.ECHO.echo(new DOMException("gone", "NotFoundError"));
    assert.ok(back instanceof DOMException);
    assert.strictEqual(back.name, "NotFoundError");
    assert.strictEqual(back.message, "gone");
    assert.strictEqual(back.code, 8);
  },
};

export const blobs = {
  async test(_controller, env) {
    const back = await env.ECHO.echo(new Blob(["blob ", "text"], { type: "text/x-test" }));
    assert.ok(back instanceof Blob);
    assert.strictEqual(back.type, "text/x-test");
    assert.strictEqual(await back.text(), "blob text");
    const nested = await env.ECHO.echo({ list: [new Blob(["in"], { type: "a/b" })] });
    assert.strictEqual(nested.list[0].type, "a/b");
    assert.strictEqual(await nested.list[0].text(), "in");
  },
};

export const classInstancesAreRefused = {
  async test(_controller, env) {
    class Point {
      x = 1;
    }
    const refused = {
      name: "DataCloneError",
      message: 'Could not serialize object of type "Point". This type does not support serialization.',
    };
    await assert.rejects(env.ECHO.echo(new Point()), refused);
    await assert.rejects(env.ECHO.echo({ deep: [new Point()] }), refused);
  },
};

export const nullPrototypeObjectsArePlain = {
  async test(_controller, env) {
    const grouped = Object.groupBy([1, 2, 3], (number) => (number % 2 ? "odd" : "even"));
    const { groups } = /(?<year>\d+)-(?<month>\d+)/.exec("2026-12");
    assert.deepStrictEqual(await env.ECHO.echo(Object.create(null)), {});
    assert.deepStrictEqual(await env.ECHO.echo({ grouped, groups }), {
      grouped: { odd: [1, 3], even: [2] },
      groups: { year: "2026", month: "12" },
    });
  },
};

export const nullPrototypeObjectsCarryFunctions = {
  async test(_controller, env) {
    const echoed = await env.ECHO.echo(Object.assign(Object.create(null), { double: (number) => 2 * number }));
    assert.strictEqual(await echoed.double(21), 42);
  },
};

export const symbolsPromisesAndWeakMapsAreRefused = {
  async test(_controller, env) {
    for (const value of [Symbol("s"), { p: Promise.resolve(1) }, new WeakMap(), { s: Symbol.iterator }]) {
      await assert.rejects(env.ECHO.echo(value), { name: "DataCloneError" });
    }
    await assert.rejects(env.ECHO.returnSymbol(), { name: "DataCloneError" });
    await assert.rejects(env.ECHO.returnPromiseInside(), { name: "DataCloneError" });
  },
};

export const rpcPromisesAndPropertiesInsideValuesAreRefused = {
  async test(_controller, env) {
    const promise = env.ECHO.echo(1);
    await assert.rejects(env.ECHO.echo({ promise }), {
      name: "DataCloneError",
      message: 'Could not serialize object of type "RpcPromise". This type does not support serialization.',
    });
    await promise;
    await assert.rejects(env.ECHO.echo({ property: env.ECHO.echo }), {
      name: "DataCloneError",
      message: 'Could not serialize object of type "RpcProperty". This type does not support serialization.',
    });
  },
};

export const oneMebibyteStringIsAllowed = {
  async test(_controller, env) {
    assert.strictEqual(await env.ECHO.length("y".repeat(MEBIBYTE)), MEBIBYTE);
    assert.strictEqual((await env.ECHO.repeat(MEBIBYTE)).length, MEBIBYTE);
  },
};

export const valuesAbove32MebibytesAreRefused = {
  async test(_controller, env) {
    const tooLarge =
      /^Serialized RPC arguments or return values are limited to 32MiB, but the size of this value was: \d+ bytes\.$/;
    await assert.rejects(env.ECHO.length("y".repeat(33 * MEBIBYTE)), { message: tooLarge });
    await assert.rejects(env.ECHO.repeat(33 * MEBIBYTE), { message: tooLarge });
  },
};

export const functionsAndTargetsArriveAsStubs = {
  async test(_controller, env) {
    class Target extends RpcTarget {}
    assert.match(await env.ECHO.typeOf(() => 1), /^function /);
    assert.match(await env.ECHO.typeOf(new Target()), /^function /);
    assert.match(await env.ECHO.typeOf({}), /^object \[object Object\]$/);
  },
};

export const resultsArePlainObjectsOfTheCaller = {
  async test(_controller, env) {
    const back = await env.ECHO.echo({ a: [1], m: new Map() });
    assert.strictEqual(Object.getPrototypeOf(back), Object.prototype);
    assert.ok(Array.isArray(back.a) && back.m instanceof Map);
    assert.deepStrictEqual(Object.keys(back), ["a", "m"]);
  },
};

/** The texts are V8's own for what it knows, the runtime's for its own classes. */
export const textsOfRefusals = {
  async test(_controller, env) {
    const unsupported = (name) => `Could not serialize object of type "${name}". This type does not support serialization.`;
    class Mine extends Promise {}
    for (const [value, message] of [
      [Symbol("s"), "Symbol(s) could not be cloned."],
      [Object(Symbol("s")), "[object Symbol] could not be cloned."],
      [(function* () {})(), "[object Generator] could not be cloned."],
      [Promise.resolve(1), "#<Promise> could not be cloned."],
      [new Mine(() => {}), "#<Mine> could not be cloned."],
      [new WeakSet(), "#<WeakSet> could not be cloned."],
      [new WeakRef({}), "#<WeakRef> could not be cloned."],
      [(function () { return arguments; })(1), "#<Object> could not be cloned."],
      [[1].values(), "[object Array Iterator] could not be cloned."],
      [new Map().entries(), "[object Map Iterator] could not be cloned."],
      [new URL("http://x/"), unsupported("URL")],
      [new URLSearchParams(), unsupported("URLSearchParams")],
      [new FormData(), unsupported("FormData")],
      [new Event("x"), unsupported("Event")],
      [new EventTarget(), unsupported("EventTarget")],
      [new AbortController(), unsupported("AbortController")],
      [new TextEncoder(), unsupported("TextEncoder")],
    ]) {
      await assert.rejects(env.ECHO.echo(value), { name: "DataCloneError", message });
      await assert.rejects(env.ECHO.echo({ list: [value] }), { name: "DataCloneError", message });
    }
  },
};

export const executionContextsAreRefused = {
  async test(_controller, env, ctx) {
    const refused = {
      name: "DataCloneError",
      message: 'Could not serialize object of type "ExecutionContext". This type does not support serialization.',
    };
    await assert.rejects(env.ECHO.echo(ctx), refused);
    assert.throws(() => structuredClone(ctx), refused);
  },
};

export const subclassesOfBuiltinsArriveAsTheirBase = {
  async test(_controller, env) {
    class List extends Array {}
    class Table extends Map {}
    class Bytes extends Uint8Array {}
    for (const [value, base] of [[List.of(1, 2), Array], [new Table([[1, 2]]), Map], [Bytes.of(1), Uint8Array]]) {
      assert.strictEqual(Object.getPrototypeOf(await env.ECHO.echo(value)), base.prototype);
    }
  },
};

export const files = {
  async test(_controller, env) {
    const file = new File(["contents"], "name.txt", { type: "text/plain", lastModified: 5 });
    const { list } = await env.ECHO.echo({ list: [file] });
    assert.ok(list[0] instanceof File);
    assert.deepStrictEqual([list[0].name, list[0].type, list[0].lastModified], ["name.txt", "text/plain", 5]);
    assert.strictEqual(await list[0].text(), "contents");
  },
};
