// The Headers class of the Fetch standard.
import assert from "node:assert";

export const constructedFromEveryForm = {
  async test() {
    assert.strictEqual(new Headers({ a: "1" }).get("a"), "1");
    assert.strictEqual(
      new Headers([
        ["a", "1"],
        ["a", "2"],
      ]).get("a"),
      "1, 2",
    );
    assert.strictEqual(new Headers(new Headers({ a: "1" })).get("a"), "1");
    assert.strictEqual(new Headers(new Map([["a", "1"]])).get("a"), "1");
    assert.deepStrictEqual([...new Headers()], []);
    assert.deepStrictEqual([...new Headers(undefined)], []);
  },
};

export const badConstructorArguments = {
  async test() {
    for (const bad of [[["only one"]], [["a", "b", "c"]], 5, "text", null]) {
      assert.throws(() => new Headers(bad), { name: "TypeError" });
    }
  },
};

export const namesIgnoreCase = {
  async test() {
    const headers = new Headers({ "Content-Type": "text/plain" });
    assert.strictEqual(headers.get("CONTENT-TYPE"), "text/plain");
    assert.strictEqual(headers.has("content-type"), true);
    headers.delete("cOnTeNt-TyPe");
    assert.strictEqual(headers.has("Content-Type"), false);
  },
};

export const setAppendDelete = {
  async test() {
    const headers = new Headers();
    headers.append("a", "1");
    headers.append("A", "2");
    assert.strictEqual(headers.get("a"), "1, 2");
    headers.set("a", "3");
    assert.strictEqual(headers.get("a"), "3");
    headers.delete("a");
    assert.strictEqual(headers.get("a"), null);
    headers.delete("a");
  },
};

export const iterationIsSortedAndLowerCase = {
  async test() {
    const headers = new Headers({ Zebra: "z", apple: "a", Mango: "m" });
    headers.append("apple", "b");
    assert.deepStrictEqual(
      [...headers],
      [
        ["apple", "a, b"],
        ["mango", "m"],
        ["zebra", "z"],
      ],
    );
    assert.deepStrictEqual([...headers.keys()], ["apple", "mango", "zebra"]);
    assert.deepStrictEqual([...headers.values()], ["a, b", "m", "z"]);
    assert.deepStrictEqual([...headers.entries()], [...headers]);
  },
};

export const forEachGivesValueNameHeaders = {
  async test() {
    const seen = [];
    const headers = new Headers({ b: "2", a: "1" });
    headers.forEach(
      function (value, name, all) {
        seen.push([name, value, all === headers, this.own]);
      },
      { own: true },
    );
    assert.deepStrictEqual(seen, [
      ["a", "1", true, true],
      ["b", "2", true, true],
    ]);
  },
};

export const setCookieStaysSeparate = {
  async test() {
    const headers = new Headers([
      ["set-cookie", "a=1, x"],
      ["Set-Cookie", "b=2"],
      ["other", "o"],
    ]);
    assert.deepStrictEqual(headers.getSetCookie(), ["a=1, x", "b=2"]);
    assert.deepStrictEqual(
      [...headers].filter(([name]) => name === "set-cookie"),
      [
        ["set-cookie", "a=1, x"],
        ["set-cookie", "b=2"],
      ],
    );
    assert.deepStrictEqual(new Headers().getSetCookie(), []);
  },
};

export const valuesAreTrimmedAndConverted = {
  async test() {
    const headers = new Headers({ a: "  padded\t " });
    headers.set("n", 5);
    headers.set("u", undefined);
    assert.strictEqual(headers.get("a"), "padded");
    assert.strictEqual(headers.get("n"), "5");
    assert.strictEqual(headers.get("u"), "undefined");
  },
};

export const invalidNamesAndValuesThrow = {
  async test() {
    const headers = new Headers();
    for (const name of ["with space", "colon:", "new\nline"]) {
      assert.throws(() => headers.set(name, "v"), { name: "TypeError" }, JSON.stringify(name));
      assert.throws(() => headers.append(name, "v"), { name: "TypeError" });
      assert.throws(() => headers.get(name), { name: "TypeError" });
    }
    for (const value of ["a\nb", "a\rb", "a\0b"]) {
      assert.throws(() => headers.set("name", value), { name: "TypeError" }, JSON.stringify(value));
    }
  },
};

export const missingArgumentsThrow = {
  async test() {
    const headers = new Headers();
    assert.throws(() => headers.get(), { name: "TypeError" });
    assert.throws(() => headers.set("a"), { name: "TypeError" });
    assert.throws(() => Headers({}), { name: "TypeError" });
  },
};

export const stringTag = {
  async test() {
    assert.strictEqual(Object.prototype.toString.call(new Headers()), "[object Headers]");
  },
};

export const headersOfARequestAreLive = {
  async test() {
    const request = new Request("http://h.example/", { headers: { a: "1" } });
    request.headers.set("b", "2");
    assert.strictEqual(request.headers.get("b"), "2");
    assert.strictEqual(request.headers, request.headers);
    const copy = new Request(request);
    copy.headers.set("a", "changed");
    assert.strictEqual(request.headers.get("a"), "1");
  },
};

export const headersOfTheHandlersRequestAreImmutable = {
  async test(_controller, _env, ctx) {
    const response = await ctx.exports.mutator.fetch("http://h.example/");
    assert.strictEqual(await response.text(), "TypeError");
  },
};

export const mutator = {
  async fetch(request) {
    try {
      request.headers.set("a", "b");
      return new Response("changed");
    } catch (error) {
      return new Response(error.name);
    }
  },
};

// An iteration goes over the headers as they were when it began.
export const changedWhileIterating = {
  async test() {
    const headers = new Headers(Array.from({ length: 6 }, (_, i) => [`k${i}`, "v"]));
    const seen = [];
    for (const [name, value] of headers) {
      seen.push(name + value);
      headers.delete(name);
      headers.set("k4", "w");
      headers.append("z", "added");
    }
    assert.deepStrictEqual(seen, ["k0v", "k1v", "k2v", "k3v", "k4v", "k5v"]);
    assert.deepStrictEqual([...headers.keys()], ["k4", "z"]);
    const entries = headers.entries();
    headers.set("k4", "late");
    assert.deepStrictEqual(entries.next().value, ["k4", "w"]);
    seen.length = 0;
    headers.forEach((_value, name) => {
      seen.push(name);
      headers.delete("z");
    });
    assert.deepStrictEqual(seen, ["k4", "z"]);
    assert.deepStrictEqual([...headers], [["k4", "late"]]);
  },
};
