// fetch() between Workers: methods, bodies of every kind, redirects, aborts. The global outbound of this Worker is its
// own entrypoint `server` (see wrangler.jsonc), so no case needs a network.
import assert from "node:assert";

const bytes = (text) => new TextEncoder().encode(text);

export const server = {
  async fetch(request) {
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/echo":
        return new Response(request.body, { headers: { "x-type": request.headers.get("content-type") ?? "none" } });
      case "/describe":
        return Response.json({
          method: request.method,
          url: request.url,
          headers: Object.fromEntries(request.headers),
          body: await request.text(),
        });
      case "/redirect": {
        const status = Number(url.searchParams.get("status") ?? 302);
        return new Response(null, { status, headers: { location: url.searchParams.get("to") ?? "/describe" } });
      }
      case "/loop":
        return Response.redirect("http://server.example/loop", 302);
      case "/status":
        return new Response("status body", { status: Number(url.searchParams.get("code")) });
      case "/empty":
        return new Response(null, { status: 204 });
      case "/form": {
        const form = await request.formData();
        return Response.json(
          [...form].map(([name, value]) => [name, typeof value === "string" ? value : value.name]),
        );
      }
      case "/slow":
        await scheduler.wait(60_000);
        return new Response("too late");
      case "/parts": {
        const { readable, writable } = new TransformStream();
        const writer = writable.getWriter();
        (async () => {
          for (const part of ["one ", "two ", "three"]) await writer.write(bytes(part));
          await writer.close();
        })();
        return new Response(readable);
      }
      default:
        return new Response("not found", { status: 404 });
    }
  },
};

const SERVER = "http://server.example";
const echo = async (init) => await (await fetch(`${SERVER}/echo`, { method: "POST", ...init })).text();

export const getThroughTheGlobalFetch = {
  async test() {
    const response = await fetch(`${SERVER}/describe?q=1`);
    assert.strictEqual(response.status, 200);
    assert.strictEqual(response.ok, true);
    assert.strictEqual(response.url, `${SERVER}/describe?q=1`);
    const seen = await response.json();
    assert.strictEqual(seen.method, "GET");
    assert.strictEqual(seen.url, `${SERVER}/describe?q=1`);
    assert.strictEqual(seen.body, "");
  },
};

export const getThroughAServiceBinding = {
  async test(_controller, env) {
    const response = await env.SERVER.fetch(`${SERVER}/describe`, { headers: { "x-a": "1" } });
    assert.strictEqual((await response.json()).headers["x-a"], "1");
  },
};

export const methods = {
  async test() {
    for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      assert.strictEqual((await (await fetch(`${SERVER}/describe`, { method })).json()).method, method);
    }
    const head = await fetch(`${SERVER}/describe`, { method: "HEAD" });
    assert.strictEqual(head.status, 200);
    assert.strictEqual(await head.text(), "");
    assert.strictEqual((await (await fetch(`${SERVER}/describe`, { method: "post" })).json()).method, "POST");
  },
};

export const requestObjectAndInit = {
  async test() {
    const request = new Request(`${SERVER}/describe`, {
      method: "PUT",
      headers: { a: "1" },
      body: "from the request",
    });
    const seen = await (await fetch(request, { headers: { b: "2" } })).json();
    assert.strictEqual(seen.method, "PUT");
    assert.strictEqual(seen.headers.b, "2");
    assert.strictEqual(seen.headers.a, undefined);
    assert.strictEqual(seen.body, "from the request");
  },
};

export const urlObjectAsInput = {
  async test() {
    const response = await fetch(new URL("/describe#fragment", SERVER));
    assert.match((await response.json()).url, /^http:\/\/server\.example\/describe/);
  },
};

export const textBody = {
  async test() {
    assert.strictEqual(await echo({ body: "text \u00e9 \u{1F600}" }), "text \u00e9 \u{1F600}");
    assert.strictEqual(await echo({ body: "" }), "");
  },
};

export const binaryBodies = {
  async test() {
    for (const body of [
      bytes("bytes"),
      bytes("bytes").buffer,
      new DataView(bytes("bytes").buffer),
      new Blob(["by", "tes"]),
    ]) {
      assert.strictEqual(await echo({ body }), "bytes");
    }
    assert.strictEqual(await echo({ body: bytes("xbytesx").subarray(1, 6) }), "bytes");
  },
};

export const searchParamsBody = {
  async test() {
    const response = await fetch(`${SERVER}/echo`, {
      method: "POST",
      body: new URLSearchParams({ a: "1 2", b: "&" }),
    });
    assert.strictEqual(response.headers.get("x-type"), "application/x-www-form-urlencoded;charset=UTF-8");
    assert.strictEqual(await response.text(), "a=1+2&b=%26");
  },
};

export const formDataBody = {
  async test() {
    const form = new FormData();
    form.append("field", "value");
    form.append("file", new File(["contents"], "name.txt", { type: "text/plain" }));
    const response = await fetch(`${SERVER}/form`, { method: "POST", body: form });
    assert.deepStrictEqual(await response.json(), [
      ["field", "value"],
      ["file", "name.txt"],
    ]);
  },
};

export const streamBody = {
  async test() {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(bytes("streamed "));
        controller.enqueue(bytes("body"));
        controller.close();
      },
    });
    assert.strictEqual(await echo({ body }), "streamed body");
  },
};

export const streamedResponse = {
  async test() {
    assert.strictEqual(await (await fetch(`${SERVER}/parts`)).text(), "one two three");
    const reader = (await fetch(`${SERVER}/parts`)).body.getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += new TextDecoder().decode(value);
    }
    assert.strictEqual(text, "one two three");
  },
};

export const largeBodyRoundTrip = {
  async test() {
    const body = new Uint8Array(3 * 1024 * 1024).map((_, i) => i % 251);
    const back = new Uint8Array(await (await fetch(`${SERVER}/echo`, { method: "POST", body })).arrayBuffer());
    assert.strictEqual(back.length, body.length);
    for (let i = 0; i < body.length; i += 9973) assert.strictEqual(back[i], body[i]);
  },
};

export const contentTypesOfBodies = {
  async test() {
    const type = async (body) => {
      const response = await fetch(`${SERVER}/echo`, { method: "POST", body });
      await response.arrayBuffer();
      return response.headers.get("x-type");
    };
    assert.strictEqual(await type("text"), "text/plain;charset=UTF-8");
    assert.strictEqual(await type(bytes("b")), "none");
    assert.strictEqual(await type(new Blob(["b"], { type: "image/x-test" })), "image/x-test");
    assert.match(await type(new FormData()), /^multipart\/form-data; ?boundary=/);
  },
};

export const statusCodes = {
  async test() {
    for (const code of [200, 201, 301, 404, 418, 500, 503]) {
      const response = await fetch(`${SERVER}/status?code=${code}`, { redirect: "manual" });
      assert.strictEqual(response.status, code);
      assert.strictEqual(response.ok, code < 300);
      assert.strictEqual(await response.text(), "status body");
    }
  },
};

export const emptyResponse = {
  async test() {
    const response = await fetch(`${SERVER}/empty`);
    assert.strictEqual(response.status, 204);
    assert.strictEqual(await response.text(), "");
  },
};

export const redirectIsFollowed = {
  async test() {
    const response = await fetch(`${SERVER}/redirect?to=/describe`);
    assert.strictEqual(response.redirected, true);
    assert.strictEqual(response.url, `${SERVER}/describe`);
    assert.strictEqual((await response.json()).method, "GET");
  },
};

export const redirectChangesPostToGet = {
  async test() {
    const after = async (status) =>
      await (await fetch(`${SERVER}/redirect?status=${status}`, { method: "POST", body: "b" })).json();
    for (const status of [301, 302, 303]) assert.strictEqual((await after(status)).method, "GET", String(status));
    for (const status of [307, 308]) {
      const seen = await after(status);
      assert.strictEqual(seen.method, "POST", String(status));
      assert.strictEqual(seen.body, "b");
    }
  },
};

export const manualRedirect = {
  async test() {
    const response = await fetch(`${SERVER}/redirect`, { redirect: "manual" });
    assert.strictEqual(response.status, 302);
    assert.strictEqual(response.headers.get("location"), "/describe");
    assert.strictEqual(response.redirected, false);
  },
};

export const redirectLoopFails = {
  async test() {
    await assert.rejects(fetch(`${SERVER}/loop`), { name: "TypeError", message: /redirect/i });
  },
};

export const serviceBindingFollowsNothingByItself = {
  async test(_controller, env) {
    const response = await env.SERVER.fetch(`${SERVER}/redirect`, { redirect: "manual" });
    assert.strictEqual(response.status, 302);
  },
};

export const abortRejectsTheFetch = {
  async test() {
    const controller = new AbortController();
    const pending = fetch(`${SERVER}/slow`, { signal: controller.signal });
    controller.abort();
    await assert.rejects(pending, { name: "AbortError" });
  },
};

export const abortReasonIsTheError = {
  async test() {
    const controller = new AbortController();
    const pending = fetch(`${SERVER}/slow`, { signal: controller.signal });
    setTimeout(() => controller.abort(new RangeError("own reason")), 1);
    await assert.rejects(pending, { name: "RangeError", message: "own reason" });
  },
};

export const alreadyAbortedSignal = {
  async test() {
    await assert.rejects(fetch(`${SERVER}/describe`, { signal: AbortSignal.abort() }), { name: "AbortError" });
  },
};

export const invalidUrlsReject = {
  async test() {
    await assert.rejects(fetch("not a url"), { name: "TypeError" });
    await assert.rejects(fetch("/relative"), { name: "TypeError" });
  },
};

export const getWithBodyIsRefused = {
  async test() {
    await assert.rejects(fetch(`${SERVER}/echo`, { method: "GET", body: "b" }), { name: "TypeError" });
  },
};

export const responseMayBePassedOn = {
  async test(_controller, env, ctx) {
    const response = await ctx.exports.forwarder.fetch(`${SERVER}/echo`, { method: "POST", body: "forwarded" });
    assert.strictEqual(response.headers.get("x-forwarded"), "yes");
    assert.strictEqual(await response.text(), "forwarded");
  },
};

export const forwarder = {
  async fetch(request) {
    const response = await fetch(request);
    const copy = new Response(response.body, response);
    copy.headers.set("x-forwarded", "yes");
    return copy;
  },
};

export const bodyOfWhatWasReadIsSpent = {
  async test() {
    for (const body of ["short", "", "h\u00e9llo", "x".repeat(70_000), bytes("bytes")]) {
      const response = await fetch(`${SERVER}/echo`, { method: "POST", body });
      await response.text();
      assert.strictEqual(response.body.locked, true);
      assert.strictEqual(response.bodyUsed, true);
      assert.throws(() => new Response(response.body), { name: "TypeError", message: /disturbed/ });
      await assert.rejects(response.text(), { name: "TypeError", message: /already been used/ });
    }
  },
};

export const copiesOfABodyAreAbortedToo = {
  async test() {
    const controller = new AbortController();
    const response = await fetch(`${SERVER}/status?code=200`, { signal: controller.signal });
    const copy = response.clone();
    controller.abort(new RangeError("enough"));
    for (const { reason } of await Promise.allSettled([response.text(), copy.text()])) {
      assert.strictEqual(`${reason}`, "RangeError: enough");
    }
  },
};

export const fragmentsAreNotSent = {
  async test() {
    const response = await fetch(`${SERVER}/describe?q=1#part`);
    assert.strictEqual(response.url, `${SERVER}/describe?q=1`);
    assert.strictEqual((await response.json()).url, `${SERVER}/describe?q=1`);
    const redirected = await fetch(`${SERVER}/redirect?to=${encodeURIComponent("/describe#part")}`);
    assert.strictEqual((await redirected.json()).url, `${SERVER}/describe`);
  },
};

export const answersHaveTheReasonPhraseOfTheirStatus = {
  async test() {
    for (const [code, text] of [[200, "OK"], [404, "Not Found"], [503, "Service Unavailable"]]) {
      assert.strictEqual((await fetch(`${SERVER}/status?code=${code}`)).statusText, text);
    }
  },
};
