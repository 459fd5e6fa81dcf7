// Request, Response, FormData, Blob and File, without any network.
import assert from "node:assert";

const URL_TEXT = "http://r.example/path";

export const requestDefaults = {
  async test() {
    const request = new Request(URL_TEXT);
    assert.strictEqual(request.method, "GET");
    assert.strictEqual(request.url, URL_TEXT);
    assert.strictEqual(request.redirect, "follow");
    assert.strictEqual(request.body, null);
    assert.strictEqual(request.bodyUsed, false);
    assert.deepStrictEqual([...request.headers], []);
    assert.ok(request.signal === undefined || request.signal instanceof AbortSignal);
  },
};

export const requestFromARequest = {
  async test() {
    const first = new Request(URL_TEXT, { method: "POST", body: "b", headers: { a: "1" } });
    const second = new Request(first, { headers: { b: "2" } });
    assert.strictEqual(second.method, "POST");
    assert.deepStrictEqual(
      [...second.headers].filter(([name]) => name !== "content-type"),
      [["b", "2"]],
    );
    assert.strictEqual(await second.text(), "b");
    assert.strictEqual(first.bodyUsed, true);
  },
};

export const requestMethodsAreNormalised = {
  async test() {
    assert.strictEqual(new Request(URL_TEXT, { method: "post" }).method, "POST");
    assert.throws(() => new Request(URL_TEXT, { method: "bad method" }), { name: "TypeError" });
  },
};

export const invalidRequests = {
  async test() {
    assert.throws(() => new Request("relative"), { name: "TypeError" });
    assert.throws(() => new Request(URL_TEXT, { method: "GET", body: "b" }), { name: "TypeError" });
    assert.throws(() => new Request(URL_TEXT, { method: "HEAD", body: "b" }), { name: "TypeError" });
    assert.throws(() => new Request(URL_TEXT, { redirect: "sideways" }), { name: "TypeError" });
    assert.throws(() => new Request(), { name: "TypeError" });
  },
};

export const requestUrlIsNormalised = {
  async test() {
    assert.strictEqual(new Request("HTTP://R.Example/a/../b").url, "http://r.example/b");
    assert.strictEqual(new Request(new URL("http://r.example/x")).url, "http://r.example/x");
  },
};

export const responseDefaults = {
  async test() {
    const response = new Response();
    assert.strictEqual(response.status, 200);
    assert.strictEqual(response.ok, true);
    assert.strictEqual(response.body, null);
    assert.strictEqual(response.redirected, false);
    assert.strictEqual(await response.text(), "");
  },
};

export const responseInit = {
  async test() {
    const response = new Response("b", { status: 404, statusText: "Gone Away", headers: { a: "1" } });
    assert.strictEqual(response.status, 404);
    assert.strictEqual(response.ok, false);
    assert.strictEqual(response.statusText, "Gone Away");
    assert.strictEqual(response.headers.get("a"), "1");
    const copy = new Response("c", response);
    assert.strictEqual(copy.status, 404);
    assert.strictEqual(copy.headers.get("a"), "1");
  },
};

export const invalidResponses = {
  async test() {
    for (const status of [99, 600, 1000]) assert.throws(() => new Response("b", { status }), { name: "RangeError" });
    for (const status of [204, 205, 304]) assert.throws(() => new Response("b", { status }), { name: "TypeError" });
    assert.strictEqual(new Response(null, { status: 204 }).status, 204);
  },
};

export const responseJson = {
  async test() {
    const response = Response.json({ a: [1] }, { status: 201, headers: { x: "y" } });
    assert.strictEqual(response.status, 201);
    assert.strictEqual(response.headers.get("content-type"), "application/json");
    assert.strictEqual(response.headers.get("x"), "y");
    assert.deepStrictEqual(await response.json(), { a: [1] });
  },
};

export const jsonReadsItsHeadersOnce = {
  async test() {
    function* pairs() {
      yield ["content-type", "a/b"];
      yield ["x", "y"];
    }
    const { headers } = Response.json({}, { headers: pairs() });
    assert.deepStrictEqual([headers.get("content-type"), headers.get("x")], ["a/b", "y"]);
  },
};

export const defaultTypesNeedNoPatchableMethod = {
  async test() {
    const { append, set } = Headers.prototype;
    const refuse = () => {
      throw new Error("patched");
    };
    Object.assign(Headers.prototype, { append: refuse, set: refuse });
    let made;
    try {
      made = [Response.json({}), new Response("x"), new Request(URL_TEXT, { method: "POST", body: "x" })];
    } finally {
      Object.assign(Headers.prototype, { append, set });
    }
    const text = "text/plain;charset=UTF-8";
    assert.deepStrictEqual(made.map(({ headers }) => headers.get("content-type")), ["application/json", text, text]);
  },
};

export const cfIsReadOnce = {
  async test() {
    let reads = 0;
    const init = {
      get cf() {
        reads++;
        return { a: 1 };
      },
    };
    assert.deepStrictEqual(new Request(URL_TEXT, init).cf, { a: 1 });
    assert.strictEqual(reads, 1);
    assert.strictEqual(new Response(null, init).status, 200);
    assert.strictEqual(reads, 2);
  },
};

export const redirectTakesNothingInherited = {
  async test() {
    Object.defineProperty(Object.prototype, "statusText", { value: "inherited", configurable: true });
    let response;
    try {
      response = Response.redirect("http://t.example/to");
    } finally {
      delete Object.prototype.statusText;
    }
    assert.notStrictEqual(response.statusText, "inherited");
  },
};

export const responseRedirectAndError = {
  async test() {
    const response = Response.redirect("http://t.example/to", 307);
    assert.strictEqual(response.status, 307);
    assert.strictEqual(response.headers.get("location"), "http://t.example/to");
    assert.strictEqual(Response.redirect("http://t.example/").status, 302);
    assert.throws(() => Response.redirect("http://t.example/", 200), { name: "RangeError" });
    assert.throws(() => Response.redirect("bad url"), { name: "TypeError" });
    assert.strictEqual(Response.error().type, "error");
  },
};

export const everyWayToReadABody = {
  async test() {
    const make = () => new Response('{"a":1}', { headers: { "content-type": "application/json" } });
    assert.strictEqual(await make().text(), '{"a":1}');
    assert.deepStrictEqual(await make().json(), { a: 1 });
    assert.strictEqual((await make().arrayBuffer()).byteLength, 7);
    assert.strictEqual((await make().bytes())[0], 0x7b);
    const blob = await make().blob();
    assert.strictEqual(blob.type, "application/json");
    assert.strictEqual(blob.size, 7);
  },
};

export const bodiesAreReadOnce = {
  async test() {
    const response = new Response("once");
    await response.text();
    assert.strictEqual(response.bodyUsed, true);
    await assert.rejects(response.text(), { name: "TypeError" });
    assert.throws(() => response.clone(), { name: "TypeError" });
  },
};

export const invalidJsonRejects = {
  async test() {
    await assert.rejects(new Response("{not json").json(), { name: "SyntaxError" });
    await assert.rejects(new Response("").json(), { name: "SyntaxError" });
  },
};

export const cloneGivesTwoBodies = {
  async test() {
    const response = new Response("twice", { status: 202, headers: { a: "1" } });
    const clone = response.clone();
    assert.strictEqual(await clone.text(), "twice");
    assert.strictEqual(await response.text(), "twice");
    assert.strictEqual(clone.status, 202);
    const request = new Request(URL_TEXT, { method: "POST", body: "r" });
    const copy = request.clone();
    assert.strictEqual(await request.text(), "r");
    assert.strictEqual(await copy.text(), "r");
  },
};

export const utf8BomIsRemovedByText = {
  async test() {
    assert.strictEqual(await new Response(new Uint8Array([239, 187, 191, 97])).text(), "a");
    assert.deepStrictEqual(await new Response(new Uint8Array([239, 187, 191, 49])).json(), 1);
  },
};

export const urlEncodedFormData = {
  async test() {
    const response = new Response(new URLSearchParams({ a: "1 2", b: "&" }));
    assert.deepStrictEqual(
      [...(await response.formData())],
      [
        ["a", "1 2"],
        ["b", "&"],
      ],
    );
  },
};

export const multipartFormData = {
  async test() {
    const form = new FormData();
    form.append("text", "line\r\nbreak \u00e9");
    form.append("file", new File([new Uint8Array([0, 255])], "f\u00e9.bin", { type: "application/x-bin" }));
    const parsed = await new Response(form).formData();
    assert.strictEqual(parsed.get("text"), "line\r\nbreak \u00e9");
    const file = parsed.get("file");
    assert.ok(file instanceof File);
    assert.strictEqual(file.name, "f\u00e9.bin");
    assert.strictEqual(file.type, "application/x-bin");
    assert.deepStrictEqual([...new Uint8Array(await file.arrayBuffer())], [0, 255]);
  },
};

export const formDataMethods = {
  async test() {
    const form = new FormData();
    form.append("a", "1");
    form.append("a", 2);
    form.append("b", "3");
    assert.deepStrictEqual(form.getAll("a"), ["1", "2"]);
    form.set("a", "only");
    assert.deepStrictEqual(
      [...form],
      [
        ["a", "only"],
        ["b", "3"],
      ],
    );
    form.delete("b");
    assert.strictEqual(form.get("b"), null);
    assert.strictEqual(form.has("a"), true);
    form.append("blob", new Blob(["x"]), "given.txt");
    assert.strictEqual(form.get("blob").name, "given.txt");
  },
};

export const blobs = {
  async test() {
    const blob = new Blob(["ab", new Uint8Array([99]), new Blob(["de"])], { type: "Text/Plain" });
    assert.strictEqual(blob.size, 5);
    assert.strictEqual(blob.type, "text/plain");
    assert.strictEqual(await blob.text(), "abcde");
    assert.strictEqual(await blob.slice(1, 3, "x/y").text(), "bc");
    assert.strictEqual(await blob.slice(-2).text(), "de");
    assert.strictEqual(blob.slice(1, 3, "x/y").type, "x/y");
    assert.strictEqual(await new Response(blob.stream()).text(), "abcde");
    const file = new File(["f"], "name", { type: "a/b", lastModified: 5 });
    assert.ok(file instanceof Blob);
    assert.deepStrictEqual([file.name, file.lastModified, file.size], ["name", 5, 1]);
  },
};

export const statusTextIsEmptyByDefault = {
  async test() {
    assert.strictEqual(new Response("x").statusText, "");
    assert.strictEqual(new Response("x", { status: 404 }).statusText, "");
    assert.strictEqual(Response.json({}).statusText, "");
    assert.strictEqual(new Response("x", { status: 404 }).clone().statusText, "");
  },
};
