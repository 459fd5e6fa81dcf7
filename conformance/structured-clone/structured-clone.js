// The structuredClone() function of the HTML standard.
import assert from "node:assert";

export const primitivesAndWrappers = {
  async test() {
    for (const value of [undefined, null, true, 0, -0, NaN, 1n, "text"])
      assert.ok(Object.is(structuredClone(value), value));
    assert.deepStrictEqual(structuredClone(new Number(1)), new Number(1));
    assert.deepStrictEqual(structuredClone(new String("s")), new String("s"));
  },
};

export const objectsAreCopiedDeeply = {
  async test() {
    const original = {
      a: [1, { b: 2 }],
      date: new Date(3),
      regexp: /x/g,
      map: new Map([["k", { v: 1 }]]),
      set: new Set([1]),
    };
    const copy = structuredClone(original);
    assert.deepStrictEqual(copy, original);
    assert.notStrictEqual(copy.a, original.a);
    assert.notStrictEqual(copy.map.get("k"), original.map.get("k"));
  },
};

export const cyclesAndSharedReferences = {
  async test() {
    const original = { shared: {} };
    original.again = original.shared;
    original.self = original;
    const copy = structuredClone(original);
    assert.strictEqual(copy.self, copy);
    assert.strictEqual(copy.again, copy.shared);
  },
};

export const buffersAndViews = {
  async test() {
    const view = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
    const copy = structuredClone(view);
    assert.deepStrictEqual([...copy], [2, 3]);
    const { a, b } = structuredClone({ a: view, b: view.buffer });
    assert.strictEqual(a.buffer, b);
  },
};

export const transferDetaches = {
  async test() {
    const buffer = new Uint8Array([1, 2, 3]).buffer;
    const moved = structuredClone(buffer, { transfer: [buffer] });
    assert.strictEqual(buffer.byteLength, 0);
    assert.strictEqual(moved.byteLength, 3);
  },
};

export const errors = {
  async test() {
    const copy = structuredClone(new RangeError("message", { cause: "why" }));
    assert.ok(copy instanceof RangeError);
    assert.strictEqual(copy.message, "message");
    assert.strictEqual(structuredClone(new DOMException("m", "DataError")).name, "DataError");
  },
};

export const notCloneable = {
  async test() {
    for (const value of [() => 1, Symbol("s"), { f() {} }, new WeakMap(), Promise.resolve()]) {
      assert.throws(() => structuredClone(value), { name: "DataCloneError" });
    }
  },
};

export const throwingGetter = {
  async test() {
    const value = {
      get x() {
        throw new RangeError("getter");
      },
    };
    assert.throws(() => structuredClone(value), { name: "RangeError" });
  },
};

export const missingArgument = {
  async test() {
    assert.throws(() => structuredClone(), { name: "TypeError" });
  },
};

export const instancesBecomePlainObjects = {
  async test() {
    class Node {
      constructor(value, next) {
        this.value = value;
        this.next = next;
      }
      get double() {
        return this.value * 2;
      }
    }
    let list = null;
    for (let value = 40; value > 0; value--) list = new Node(value, list);
    const copy = structuredClone(list);
    assert.strictEqual(Object.getPrototypeOf(copy), Object.prototype);
    assert.deepStrictEqual([copy.value, copy.next.next.value, copy.double], [1, 3, undefined]);
    const bare = Object.assign(Object.create(null), { a: 1 });
    assert.deepStrictEqual(structuredClone(bare), { a: 1 });
    const circle = new Node(1, null);
    circle.next = circle;
    const round = structuredClone(circle);
    assert.strictEqual(round.next, round);
  },
};

export const requestsAndResponses = {
  async test() {
    const request = structuredClone(new Request("http://x/path", { headers: { a: "b" } }));
    assert.deepStrictEqual([request.url, request.headers.get("a")], ["http://x/path", "b"]);
    assert.strictEqual(structuredClone(new Response(null, { status: 204 })).status, 204);
    const streams = { name: "DataCloneError", message: "ReadableStream can only be serialized for RPC." };
    assert.throws(() => structuredClone(new Response("body")), streams);
    const withBody = new Request("http://x/", { method: "POST", body: "body" });
    assert.throws(() => structuredClone(withBody), streams);
    assert.strictEqual(await withBody.text(), "body");
  },
};

export const objectsOfTheRuntimeAreRefused = {
  async test() {
    for (const [object, name] of [
      [new FormData(), "FormData"], [new URL("http://x/"), "URL"], [new URLSearchParams(), "URLSearchParams"],
      [new Event("x"), "Event"], [new TextEncoder(), "TextEncoder"],
    ]) {
      assert.throws(() => structuredClone({ object }), {
        name: "DataCloneError",
        message: `Could not serialize object of type "${name}". This type does not support serialization.`,
      });
    }
  },
};

export const longSourcesOfFunctionsAreCut = {
  test() {
    const functions = {
      short: (a) => a,
      long: (a) => [a, "about a hundred and thirty characters of source are enough for the text in the middle to be left out, so that it has an end"],
    };
    const messageOf = (value) => {
      try {
        structuredClone(value);
      } catch (error) {
        return error.message;
      }
    };
    assert.strictEqual(messageOf(functions.short), "(a) => a could not be cloned.");
    const source = String(functions.long);
    const expected = `${source.slice(0, 111)}...<omitted>...${source.slice(-2)} could not be cloned.`;
    assert.strictEqual(messageOf(functions.long), expected);
    assert.strictEqual(messageOf({ nested: [functions.long] }), expected);
  },
};
