// Lengths of bodies: what a Worker that gets a request sees of Content-Length and Transfer-Encoding, and what a Worker
// that gets an answer does.
import assert from "node:assert";

const S = "http://server.example";
const bytes = (text) => new TextEncoder().encode(text);

function piped(stream, text) {
  const writer = stream.writable.getWriter();
  writer.write(bytes(text));
  writer.close();
  return stream.readable;
}

const ANSWERS = {
  "/text": () => new Response("text body"),
  "/bytes": () => new Response(bytes("bytes")),
  "/fixed": () => new Response(piped(new FixedLengthStream(5), "12345")),
  "/stream": () => new Response(piped(new IdentityTransformStream(), "12345")),
  "/null": () => new Response(null),
  "/empty": () => new Response(""),
  "/204": () => new Response(null, { status: 204 }),
  "/205": () => new Response(null, { status: 205 }),
  "/304": () => new Response(null, { status: 304 }),
  "/said": () => new Response("abc", { headers: { "content-length": "3" } }),
  "/wrong": () => new Response("abc", { headers: { "content-length": "10" } }),
};

export const server = {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname in ANSWERS) return ANSWERS[pathname]();
    return Response.json({
      length: request.headers.get("content-length"),
      coding: request.headers.get("transfer-encoding"),
      none: request.body === null,
      body: await request.text(),
    });
  },
};

const seen = async (init, binding) => {
  const send = binding ? binding.fetch.bind(binding) : fetch;
  return (await send(`${S}/describe`, { method: "POST", ...init })).json();
};

export const knownLengthsAreAnnounced = {
  async test(_controller, env) {
    const bodies = {
      text: ["text", 4],
      utf8: ["h\u00e9", 3],
      empty: ["", 0],
      number: [42, 2],
      bytes: [bytes("abc"), 3],
      noBytes: [new Uint8Array(0), 0],
      buffer: [bytes("abc").buffer, 3],
      blob: [new Blob(["abcd"]), 4],
      emptyBlob: [new Blob([]), 0],
      searchParams: [new URLSearchParams({ a: "1" }), 3],
    };
    for (const [name, [body, length]] of Object.entries(bodies)) {
      for (const binding of [undefined, env.SERVER]) {
        const got = await seen({ body }, binding);
        assert.deepStrictEqual([got.length, got.coding, got.none], [String(length), null, false], name);
        assert.strictEqual(bytes(got.body).length, length, name);
      }
    }
  },
};

export const streamsOfKnownLengthToo = {
  async test() {
    for (const body of [
      piped(new FixedLengthStream(5), "12345"),
      new Blob(["12345"]).stream(),
      new Response("12345").body,
    ]) {
      assert.deepStrictEqual(await seen({ body }), { length: "5", coding: null, none: false, body: "12345" });
    }
  },
};

export const otherStreamsAreChunked = {
  async test() {
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(bytes("12345"));
        controller.close();
      },
    });
    for (const body of [piped(new IdentityTransformStream(), "12345"), stream]) {
      assert.deepStrictEqual(await seen({ body }), { length: null, coding: "chunked", none: false, body: "12345" });
    }
  },
};

export const formDataHasALength = {
  async test() {
    const form = new FormData();
    form.append("a", "b");
    const got = await seen({ body: form });
    assert.strictEqual(got.length, String(got.body.length));
  },
};

export const noBodyHasNoLength = {
  async test(_controller, env) {
    for (const init of [{}, { body: null }, { body: undefined }, { method: "DELETE" }, { method: "GET" }]) {
      for (const binding of [undefined, env.SERVER]) {
        assert.deepStrictEqual(await seen(init, binding), { length: null, coding: null, none: true, body: "" });
      }
    }
  },
};

export const whatTheSenderSaysStays = {
  async test() {
    const got = await seen({ body: "abc", headers: { "content-length": "10" } });
    assert.deepStrictEqual(got, { length: "10", coding: null, none: false, body: "abc" });
  },
};

export const lengthsAreNotInTheSendersHeaders = {
  async test() {
    const request = new Request(S, { method: "POST", body: "abc" });
    assert.strictEqual(request.headers.get("content-length"), null);
    await fetch(request);
    assert.strictEqual(request.headers.get("content-length"), null);
    assert.strictEqual(new Response("abc").headers.get("content-length"), null);
  },
};

export const answersBetweenWorkersSayNoLength = {
  async test(_controller, env) {
    for (const path of ["/text", "/bytes", "/fixed", "/stream", "/null", "/empty", "/204", "/304"]) {
      for (const method of ["GET", "HEAD"]) {
        const response = await env.SERVER.fetch(S + path, { method });
        assert.strictEqual(response.headers.get("content-length"), null, `${method} ${path}`);
        assert.strictEqual(response.headers.get("transfer-encoding"), null, `${method} ${path}`);
      }
    }
  },
};

export const unlessTheWorkerSaysOne = {
  async test() {
    for (const [path, length] of [
      ["/said", "3"],
      ["/wrong", "10"],
    ]) {
      const got = await fetch(S + path);
      assert.deepStrictEqual([got.headers.get("content-length"), await got.text()], [length, "abc"]);
      const head = await fetch(S + path, { method: "HEAD" });
      assert.deepStrictEqual([head.headers.get("content-length"), head.body, await head.text()], [length, null, ""]);
    }
  },
};

export const answersWithoutABody = {
  async test() {
    for (const [path, status] of [
      ["/204", 204],
      ["/205", 205],
      ["/304", 304],
    ]) {
      const response = await fetch(S + path);
      assert.deepStrictEqual([response.status, response.body, await response.text()], [status, null, ""]);
    }
    // Of other statuses a body of no bytes comes, whether one was given or not.
    for (const path of ["/null", "/empty"]) {
      const response = await fetch(S + path);
      assert.notStrictEqual(response.body, null);
      assert.strictEqual(await response.text(), "");
    }
    for (const path of ["/text", "/stream", "/empty", "/null"]) {
      const head = await fetch(S + path, { method: "HEAD" });
      assert.deepStrictEqual([head.status, head.body, await head.text()], [200, null, ""]);
    }
  },
};
