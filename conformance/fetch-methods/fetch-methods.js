// Methods of requests: which there are, and how they are written.
import assert from "node:assert";

const S = "http://server.example";

export const server = {
  async fetch(request) {
    return Response.json({ method: request.method, body: request.body === null ? null : await request.text() });
  },
};

const KNOWN = [
  "GET",
  "POST",
  "PUT",
  "DELETE",
  "PATCH",
  "PURGE",
  "OPTIONS",
  "TRACE",
  "COPY",
  "LOCK",
  "MKCOL",
  "MOVE",
  "PROPFIND",
  "PROPPATCH",
  "SEARCH",
  "UNLOCK",
  "ACL",
  "REPORT",
  "MKACTIVITY",
  "CHECKOUT",
  "MERGE",
  "MSEARCH",
  "NOTIFY",
  "SUBSCRIBE",
  "UNSUBSCRIBE",
  "QUERY",
];

export const knownMethodsArrive = {
  async test(_controller, env) {
    for (const method of KNOWN) {
      assert.deepStrictEqual(await (await fetch(S, { method })).json(), { method, body: null });
      assert.deepStrictEqual(await (await env.SERVER.fetch(S, { method })).json(), { method, body: null });
    }
  },
};

export const methodsAreUpperCase = {
  async test() {
    for (const method of [
      "get",
      "Get",
      "head",
      "post",
      "pUt",
      "delete",
      "patch",
      "options",
      "purge",
      "propfind",
      "trace",
    ]) {
      assert.strictEqual(new Request(S, { method }).method, method.toUpperCase());
    }
    assert.strictEqual((await (await fetch(S, { method: "patch", body: "b" })).json()).method, "PATCH");
  },
};

export const otherMethodsAreRefused = {
  async test() {
    for (const method of [
      "FOO",
      "foo",
      "CONNECT",
      "connect",
      "TRACK",
      "M-SEARCH",
      "BIND",
      "LINK",
      "a b",
      "",
      "G\u00c9T",
      "GET\n",
    ]) {
      const expected = { name: "TypeError", message: `Invalid HTTP method string: ${method}` };
      assert.throws(() => new Request(S, { method }), expected);
      await assert.rejects(fetch(S, { method }), expected);
    }
  },
};

export const onlyGetAndHeadHaveNoBody = {
  async test() {
    for (const method of ["GET", "get", "HEAD", "head"]) {
      assert.throws(() => new Request(S, { method, body: "b" }), { name: "TypeError" });
      await assert.rejects(fetch(S, { method, body: "" }), { name: "TypeError" });
      assert.strictEqual(new Request(S, { method, body: null }).body, null);
    }
    for (const method of ["DELETE", "OPTIONS", "TRACE", "PROPFIND"]) {
      assert.deepStrictEqual(await (await fetch(S, { method, body: "b" })).json(), { method, body: "b" });
    }
  },
};

export const methodsOfCopies = {
  async test() {
    const post = new Request(S, { method: "post", body: "b" });
    assert.strictEqual(new Request(post, { method: "put" }).method, "PUT");
    assert.strictEqual(new Request(S, new Request(S, { method: "delete" })).method, "DELETE");
    assert.strictEqual(new Request(S, { method: undefined }).method, "GET");
    assert.throws(() => new Request(S, { method: null }), { message: "Invalid HTTP method string: null" });
  },
};
