// The URLSearchParams class of the URL standard.
import assert from "node:assert";

export const constructedFromEveryForm = {
  async test() {
    assert.strictEqual(new URLSearchParams("a=1&b=2").toString(), "a=1&b=2");
    assert.strictEqual(new URLSearchParams("?a=1").toString(), "a=1");
    assert.strictEqual(new URLSearchParams({ a: "1", b: "2" }).toString(), "a=1&b=2");
    assert.strictEqual(
      new URLSearchParams([
        ["a", "1"],
        ["a", "2"],
      ]).toString(),
      "a=1&a=2",
    );
    assert.strictEqual(new URLSearchParams(new URLSearchParams("x=y")).toString(), "x=y");
    assert.strictEqual(new URLSearchParams(new Map([["m", "n"]])).toString(), "m=n");
    assert.strictEqual(new URLSearchParams().toString(), "");
    assert.throws(() => new URLSearchParams([["one"]]), { name: "TypeError" });
  },
};

export const parsing = {
  async test() {
    assert.deepStrictEqual(
      [...new URLSearchParams("a=b=c&d&&=e&f+g=%20%C3%A9%zz")],
      [
        ["a", "b=c"],
        ["d", ""],
        ["", "e"],
        ["f g", " \u00e9%zz"],
      ],
    );
    assert.strictEqual(new URLSearchParams("a=%FF").get("a"), "\uFFFD");
  },
};

export const serialising = {
  async test() {
    const params = new URLSearchParams();
    params.append("sp ace", "a+b&c=d");
    params.append("\u00e9", "*-._~'");
    assert.strictEqual(params.toString(), "sp+ace=a%2Bb%26c%3Dd&%C3%A9=*-._%7E%27");
  },
};

export const reading = {
  async test() {
    const params = new URLSearchParams("a=1&b=2&a=3");
    assert.strictEqual(params.get("a"), "1");
    assert.strictEqual(params.get("missing"), null);
    assert.deepStrictEqual(params.getAll("a"), ["1", "3"]);
    assert.deepStrictEqual(params.getAll("missing"), []);
    assert.strictEqual(params.has("b"), true);
    assert.strictEqual(params.has("a", "3"), true);
    assert.strictEqual(params.has("a", "2"), false);
    assert.strictEqual(params.size, 3);
  },
};

export const changing = {
  async test() {
    const params = new URLSearchParams("a=1&b=2&a=3&c=4");
    params.set("a", "new");
    assert.strictEqual(params.toString(), "a=new&b=2&c=4");
    params.set("d", "5");
    params.append("b", "6");
    assert.strictEqual(params.toString(), "a=new&b=2&c=4&d=5&b=6");
    params.delete("b", "2");
    assert.strictEqual(params.toString(), "a=new&c=4&d=5&b=6");
    params.delete("b");
    assert.strictEqual(params.has("b"), false);
  },
};

export const sortingIsStable = {
  async test() {
    const params = new URLSearchParams("z=1&a=2&z=0&a=1");
    params.sort();
    assert.strictEqual(params.toString(), "a=2&a=1&z=1&z=0");
  },
};

export const iteration = {
  async test() {
    const params = new URLSearchParams("a=1&b=2");
    assert.deepStrictEqual([...params.keys()], ["a", "b"]);
    assert.deepStrictEqual([...params.values()], ["1", "2"]);
    assert.deepStrictEqual(
      [...params.entries()],
      [
        ["a", "1"],
        ["b", "2"],
      ],
    );
    const seen = [];
    params.forEach((value, name, all) => seen.push([name, value, all === params]));
    assert.deepStrictEqual(seen, [
      ["a", "1", true],
      ["b", "2", true],
    ]);
    assert.deepStrictEqual(
      [...params],
      [
        ["a", "1"],
        ["b", "2"],
      ],
    );
  },
};

export const valuesAreConvertedToStrings = {
  async test() {
    const params = new URLSearchParams({ n: 5, u: undefined, o: { toString: () => "object" } });
    assert.strictEqual(params.toString(), "n=5&u=undefined&o=object");
    assert.strictEqual(new URLSearchParams("a\uD800=1").toString(), "a%EF%BF%BD=1");
  },
};

// What is appended, set and deleted shows in every member of the URL, whichever is read or set next.
export const changesShowInTheUrl = {
  async test() {
    const url = new URL("http://h.example/p?a=1#f");
    const params = url.searchParams;
    for (let i = 0; i < 3; i++) params.append(`k${i}`, "v w");
    assert.strictEqual(url.search, "?a=1&k0=v+w&k1=v+w&k2=v+w");
    params.delete("k1");
    assert.strictEqual(`${url}`, "http://h.example/p?a=1&k0=v+w&k2=v+w#f");
    params.set("a", "2");
    assert.strictEqual(JSON.stringify(url), '"http://h.example/p?a=2&k0=v+w&k2=v+w#f"');
    params.delete("k0");
    url.hash = "g";
    assert.strictEqual(url.href, "http://h.example/p?a=2&k2=v+w#g");
    params.append("lost", "1");
    url.search = "?only=1";
    assert.strictEqual(url.href, "http://h.example/p?only=1#g");
    assert.deepStrictEqual([...params], [["only", "1"]]);
    params.append("lost", "1");
    url.href = "http://other.example/?x=y";
    assert.strictEqual(url.href, "http://other.example/?x=y");
    assert.strictEqual(params.toString(), "x=y");
    params.delete("x");
    assert.strictEqual(url.href, "http://other.example/");
    params.append("n", "1");
    assert.strictEqual(new URL(url).href, "http://other.example/?n=1");
    assert.strictEqual(new Request(url).url, "http://other.example/?n=1");
  },
};

export const aChangeThatIsTakenBack = {
  async test() {
    const searches = { "http://h.example/?": "", "http://h.example/?a=%20": "?a=+", "data:x ?q#f": "?q=" };
    for (const text of Object.keys(searches)) {
      const url = new URL(text);
      url.searchParams.append("k", "v");
      url.searchParams.delete("k");
      const once = url.href;
      url.searchParams.delete("k");
      assert.strictEqual(url.href, once);
      assert.strictEqual(url.search, searches[text]);
    }
  },
};

// Iterators of these go on with what is there now.
export const changedWhileIterating = {
  async test() {
    const data = new FormData();
    const params = new URLSearchParams();
    for (const list of [data, params]) {
      for (const name of ["a", "b", "c", "d"]) list.append(name, "1");
      const seen = [];
      for (const [name, value] of list) {
        seen.push(name + value);
        list.delete("b");
        list.set("d", "2");
      }
      list.forEach((_value, name) => {
        seen.push(name);
        list.delete(name);
      });
      assert.deepStrictEqual(seen, ["a1", "c1", "d2", "a", "d"]);
    }
    const url = new URL("http://h.example/?a=1&b=2");
    const entries = url.searchParams.entries();
    entries.next();
    url.search = "?c=3&d=4";
    assert.deepStrictEqual([...entries], [["d", "4"]]);
  },
};
