// Iterables as bodies: what yields bytes is a stream of them (fetch_iterable_type_support).
import assert from "node:assert";

const bytes = (text) => new TextEncoder().encode(text);
async function* later(...values) {
  for (const value of values) {
    if (value instanceof Error) throw value;
    yield value;
  }
}
function* now(...values) {
  yield* values;
}
const text = (body) => new Response(body).text();

export const iterablesOfBytesAreBodies = {
  async test() {
    for (const body of [
      later(bytes("a"), bytes("b")),
      now(bytes("a"), bytes("b")),
      new Set([bytes("a"), bytes("b")]),
      [bytes("a"), bytes("b")],
      [Promise.resolve(bytes("a")), bytes("b")],
      { [Symbol.asyncIterator]: () => later(bytes("ab")) },
      Object.create({ *[Symbol.iterator]() { yield bytes("ab"); } }),
    ]) {
      assert.strictEqual(await text(body), "ab");
    }
    assert.strictEqual(await text(later()), "");
    assert.strictEqual(await text([]), "");
    const response = new Response(later(bytes("a")));
    assert.strictEqual(response.headers.get("content-type"), null);
    assert.strictEqual(await new Request("http://a.example/", { method: "POST", body: later(bytes("x")) }).text(), "x");
  },
};

export const chunksMustBeBytes = {
  async test() {
    const refused = { name: "TypeError", message: "This ReadableStream did not return bytes." };
    for (const body of [later("a", "b"), now("a"), new Map([["a", 1]]), ["a", "b"], later(1), later(null), later({}), new Headers({ a: "b" })]) {
      await assert.rejects(text(body), refused);
    }
  },
};

export const asynchronousIsAskedFirst = {
  async test() {
    const both = {
      *[Symbol.iterator]() {
        yield bytes("now");
      },
      async *[Symbol.asyncIterator]() {
        yield bytes("later");
      },
    };
    assert.strictEqual(await text(both), "later");
  },
};

export const whatHasATextOfItsOwnIsText = {
  async test() {
    const iterable = { *[Symbol.iterator]() { yield bytes("bytes"); } };
    assert.strictEqual(await text({ ...iterable, toString: () => "text" }), "text");
    assert.strictEqual(await text({ ...iterable, [Symbol.toPrimitive]: () => "text" }), "text");
    assert.strictEqual(await text({ ...iterable, valueOf: () => "text" }), "bytes");
    assert.strictEqual(await text(new String("text")), "text");
    assert.strictEqual(await text({ async *[Symbol.asyncIterator]() { yield bytes("bytes"); }, toString: () => "text" }), "bytes");
    assert.strictEqual(await text({ [Symbol.asyncIterator]: 5 }), "[object Object]");
    assert.strictEqual(await text(new Date(0)), String(new Date(0)));
  },
};

export const errorsOfTheIteratorAreThoseOfTheBody = {
  async test() {
    await assert.rejects(text(later(bytes("a"), new RangeError("mine"))), { name: "RangeError", message: "mine" });
    assert.throws(() => new Response({ [Symbol.iterator]() { throw new RangeError("at once"); } }), { message: "at once" });
    const next = () => {
      throw new RangeError("in next");
    };
    await assert.rejects(text({ [Symbol.asyncIterator]: () => ({ next }) }), { message: "in next" });
  },
};

export const nothingIsPulledBeforeItIsRead = {
  async test() {
    let started = false;
    const response = new Response({
      async *[Symbol.asyncIterator]() {
        started = true;
        yield bytes("a");
      },
    });
    await null;
    assert.strictEqual(started, false);
    assert.strictEqual(await response.text(), "a");
    assert.strictEqual(response.bodyUsed, true);
  },
};

export const cancellingReturnsTheIterator = {
  async test() {
    const returned = [];
    const iterator = {
      next: async () => ({ value: bytes("x"), done: false }),
      return: async (reason) => {
        returned.push(reason);
        return { done: true };
      },
    };
    const reader = new Response({ [Symbol.asyncIterator]: () => iterator }).body.getReader();
    assert.strictEqual((await reader.read()).value.length, 1);
    await reader.cancel("why");
    assert.deepStrictEqual(returned, ["why"]);
  },
};

export const clonesReadTheSame = {
  async test() {
    const response = new Response(later(bytes("a"), bytes("b")));
    const clone = response.clone();
    assert.deepStrictEqual(await Promise.all([response.text(), clone.text()]), ["ab", "ab"]);
    const chunks = [];
    for await (const chunk of new Response(later(bytes("a"), bytes("bc"))).body) chunks.push(chunk.length);
    assert.deepStrictEqual(chunks, [1, 2]);
  },
};
