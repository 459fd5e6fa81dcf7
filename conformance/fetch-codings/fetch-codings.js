// Content codings: what a Worker answers with `encodeBody: "manual"` is decoded by whoever reads it; everything else is
// plain between Workers, whatever its `Content-Encoding` says.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

const S = "http://server.example";

const decode64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

const FIXTURES = {
  gzip: decode64("H4sIAAAAAAAAA8tIzcnJV0ivyiwAABlq0t8KAAAA"),
  br: decode64("iwWAaGVsbG8gYnJvdGxpAw=="),
  deflate: decode64("eJzLSM3JyVdISU3LSSxJBQAjDAUK"),
};
const TEXTS = { gzip: "hello gzip", br: "hello brotli" };

async function gzip(bytes) {
  return new Response(new Response(bytes).body.pipeThrough(new CompressionStream("gzip"))).bytes();
}

/** A gzipped body of `pieces` equal pieces of 64 KiB, which come as they are asked for. */
async function gzippedPieces(pieces) {
  const piece = await gzip(new Uint8Array(64 * 1024));
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      if (sent++ === pieces) controller.close();
      else controller.enqueue(piece.slice());
    },
  });
}

function body(name) {
  switch (name) {
    case "garbage":
      return "this is in no coding that anybody knows";
    case "cut":
      return FIXTURES.gzip.subarray(0, 20);
    case "cut-br":
      return FIXTURES.br.subarray(0, 8);
    case "trailing":
      return new Blob([FIXTURES.gzip, "more bytes than a header has"]);
    case "two":
      return new Blob([FIXTURES.gzip, FIXTURES.gzip]);
    case "plain":
      return "plain text";
    default:
      return FIXTURES[name];
  }
}

export const server = {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/describe") {
      return Response.json({ headers: Object.fromEntries(request.headers), body: await request.text() });
    }
    const headers = {};
    if (searchParams.has("says")) headers["content-encoding"] = searchParams.get("says");
    const encodeBody = searchParams.get("encodeBody") ?? undefined;
    const pieces = searchParams.get("pieces");
    const content = pieces === null ? body(searchParams.get("body")) : await gzippedPieces(Number(pieces));
    return new Response(content, { headers, ...(encodeBody && { encodeBody }) });
  },
};

const get = (query, binding) => (binding ? binding.fetch(`${S}/?${query}`) : fetch(`${S}/?${query}`));

export const manuallyEncodedBodiesAreDecoded = {
  async test(_controller, env) {
    for (const says of ["gzip", "br"]) {
      for (const binding of [undefined, env.SERVER]) {
        const response = await get(`body=${says}&says=${says}&encodeBody=manual`, binding);
        assert.strictEqual(response.headers.get("content-encoding"), says);
        assert.strictEqual(await response.text(), TEXTS[says]);
      }
    }
  },
};

export const everyWayToReadDecodes = {
  async test() {
    const fresh = () => get("body=gzip&says=gzip&encodeBody=manual");
    assert.strictEqual((await (await fresh()).arrayBuffer()).byteLength, 10);
    assert.strictEqual((await (await fresh()).blob()).size, 10);
    assert.strictEqual((await (await fresh()).bytes()).length, 10);
    let streamed = "";
    for await (const chunk of (await fresh()).body) streamed += new TextDecoder().decode(chunk);
    assert.strictEqual(streamed, "hello gzip");
    const response = await fresh();
    const clone = response.clone();
    assert.deepStrictEqual([await response.text(), await clone.text()], ["hello gzip", "hello gzip"]);
    const [one, two] = (await fresh()).body.tee();
    assert.deepStrictEqual(
      [await new Response(one).text(), await new Response(two).text()],
      ["hello gzip", "hello gzip"],
    );
  },
};

export const automaticBodiesStayAsTheyAre = {
  async test() {
    for (const says of ["gzip", "br", "deflate", "identity", "gzip, gzip"]) {
      const plain = await get(`body=plain&says=${says}`);
      assert.strictEqual(plain.headers.get("content-encoding"), says);
      assert.strictEqual(await plain.text(), "plain text");
      const bytes = await (await get(`body=gzip&says=${says}&encodeBody=automatic`)).bytes();
      assert.strictEqual(bytes.length, FIXTURES.gzip.length);
    }
  },
};

export const otherCodingsAreNotTouched = {
  async test() {
    for (const says of [
      "deflate",
      "identity",
      "GZIP",
      "x-gzip",
      "gzip,gzip",
      "gzip, identity",
      "identity,gzip",
      "zstd",
    ]) {
      const bytes = await (await get(`body=deflate&says=${says}&encodeBody=manual`)).bytes();
      assert.deepStrictEqual(bytes, FIXTURES.deflate, says);
    }
  },
};

export const whatIsInNoCodingFails = {
  async test() {
    const failure = (query) => get(query).then((response) => response.text());
    const ended = (name) => ({ name: "TypeError", message: `${name} compressed stream ended prematurely.` });
    const failed = (name) => ({ name: "TypeError", message: `${name} decompression failed.` });
    await assert.rejects(failure("body=garbage&says=gzip&encodeBody=manual"), failed("Gzip"));
    await assert.rejects(failure("body=cut&says=gzip&encodeBody=manual"), ended("Gzip"));
    await assert.rejects(failure("body=gzip&says=br&encodeBody=manual"), failed("Brotli"));
    await assert.rejects(failure("body=cut-br&says=br&encodeBody=manual"), ended("Brotli"));
    await assert.rejects(failure("body=trailing&says=gzip&encodeBody=manual"), failed("Gzip"));
  },
};

export const severalGzipMembersAreOneBody = {
  async test() {
    assert.strictEqual(await (await get("body=two&says=gzip&encodeBody=manual")).text(), "hello gziphello gzip");
  },
};

export const codedBodiesOfUnknownLengthStream = {
  async test() {
    const reader = (await get("pieces=48&says=gzip&encodeBody=manual")).body.getReader();
    let total = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      total += value.length;
    }
    assert.strictEqual(total, 48 * 64 * 1024);
  },
};

export const readersMayStopBeforeTheEnd = {
  async test() {
    // Some 64 GiB, if anybody would read it to its end.
    const reader = (await get("pieces=1000000&says=gzip&encodeBody=manual")).body.getReader();
    const { value } = await reader.read();
    assert.ok(value.length > 0);
    await reader.cancel();
  },
};

export const pass = {
  async fetch(request) {
    const { pathname, search } = new URL(request.url);
    const response = await fetch(`${S}/${search}`);
    if (pathname === "/as-it-is") return response;
    const copy = new Response(response.body, response);
    if (pathname === "/without") copy.headers.delete("content-encoding");
    if (pathname === "/as-br") copy.headers.set("content-encoding", "br");
    return copy;
  },
};

export const whatIsPassedOnKeepsItsCoding = {
  async test(_controller, _env, ctx) {
    for (const says of ["gzip", "br"]) {
      for (const [path, expected] of [
        ["as-it-is", says],
        ["copy", says],
        ["without", null],
        ["as-br", "br"],
      ]) {
        const url = `${S}/${path}?body=${says}&says=${says}&encodeBody=manual`;
        const response = await ctx.exports.pass.fetch(url);
        assert.strictEqual(response.headers.get("content-encoding"), expected);
        assert.strictEqual(await response.text(), TEXTS[says], path);
      }
    }
  },
};

export const decodedBodiesCanBeSentOn = {
  async test() {
    const response = await get("body=br&says=br&encodeBody=manual");
    const seen = await (await fetch(`${S}/describe`, { method: "POST", body: response.body })).json();
    assert.strictEqual(seen.body, "hello brotli");
    assert.strictEqual(seen.headers["transfer-encoding"], "chunked");
  },
};

export class Calls extends WorkerEntrypoint {
  passed(query) {
    return get(query);
  }
}

export const codedResponsesTravelByRpc = {
  async test(_controller, _env, ctx) {
    const response = await ctx.exports.Calls.passed("body=gzip&says=gzip&encodeBody=manual");
    assert.strictEqual(response.headers.get("content-encoding"), "gzip");
    assert.strictEqual(await response.text(), "hello gzip");
  },
};

export const requestsAreNeverDecoded = {
  async test() {
    const init = { method: "POST", body: "not gzip at all", headers: { "content-encoding": "gzip" } };
    const seen = await (await fetch(`${S}/describe`, init)).json();
    assert.strictEqual(seen.headers["content-encoding"], "gzip");
    assert.strictEqual(seen.body, "not gzip at all");
  },
};

export const encodeBodyIsChecked = {
  async test() {
    assert.throws(() => new Response("x", { encodeBody: "by hand" }), {
      name: "TypeError",
      message: "encodeBody: unexpected value: by hand",
    });
    const response = new Response("x", { encodeBody: "manual", headers: { "content-encoding": "gzip" } });
    assert.strictEqual("encodeBody" in response, false);
    assert.strictEqual(await response.text(), "x");
  },
};
