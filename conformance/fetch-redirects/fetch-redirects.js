// Redirects: which are followed, with which method, body and headers, and how far.
import assert from "node:assert";

const S = "http://server.example";

/** What the server got, as "METHOD url". */
let requests = [];

export const server = {
  async fetch(request) {
    requests.push(`${request.method} ${request.url}`);
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/chain") {
      const left = Number(searchParams.get("left"));
      return left === 0
        ? new Response("end")
        : new Response(null, { status: 302, headers: { location: `/chain?left=${left - 1}` } });
    }
    if (pathname === "/redirect") {
      const headers = searchParams.has("to") ? { location: searchParams.get("to") } : {};
      return new Response("of the redirect", { status: Number(searchParams.get("status") ?? 302), headers });
    }
    return Response.json({
      method: request.method,
      url: request.url,
      redirect: request.redirect,
      headers: Object.fromEntries(request.headers),
      body: request.body === null ? null : await request.text(),
    });
  },
};

const redirect = (status, to = "/target") => `${S}/redirect?status=${status}&to=${encodeURIComponent(to)}`;

export const modes = {
  async test() {
    assert.strictEqual(new Request(S).redirect, "follow");
    assert.strictEqual(new Request(S, { redirect: "manual" }).redirect, "manual");
    assert.strictEqual(new Request(S, { redirect: undefined }).redirect, "follow");
    for (const mode of ["error", "sideways", "", null]) {
      const expected = {
        name: "TypeError",
        message: /^Invalid redirect value, must be one of "follow" or "manual" \("error" won't be/,
      };
      assert.throws(() => new Request(S, { redirect: mode }), expected);
      await assert.rejects(fetch(S, { redirect: mode }), expected);
    }
  },
};

export const manualShowsTheRedirect = {
  async test(_controller, env) {
    for (const status of [301, 302, 303, 307, 308]) {
      for (const send of [fetch, env.SERVER.fetch.bind(env.SERVER)]) {
        const response = await send(redirect(status), { redirect: "manual" });
        assert.strictEqual(response.status, status);
        assert.strictEqual(response.headers.get("location"), "/target");
        assert.strictEqual(response.redirected, false);
        assert.strictEqual(response.url, redirect(status));
        assert.strictEqual(await response.text(), "of the redirect");
      }
    }
  },
};

/** [status, method, method after the redirect, whether the body is sent again] */
const RULES = [
  [301, "GET", "GET"],
  [302, "GET", "GET"],
  [303, "GET", "GET"],
  [307, "GET", "GET"],
  [308, "GET", "GET"],
  [301, "POST", "GET"],
  [302, "POST", "GET"],
  [303, "POST", "GET"],
  [307, "POST", "POST", true],
  [308, "POST", "POST", true],
  [301, "PUT", "PUT", true],
  [302, "PUT", "PUT", true],
  [303, "PUT", "GET"],
  [307, "PUT", "PUT", true],
  [301, "DELETE", "DELETE", true],
  [303, "DELETE", "GET"],
  [302, "PATCH", "PATCH", true],
  [303, "PATCH", "GET"],
];

export const methodsAndBodies = {
  async test() {
    for (const [status, method, after, again] of RULES) {
      const body = method === "GET" ? undefined : "the body";
      const response = await fetch(redirect(status), { method, body });
      assert.strictEqual(response.redirected, true);
      assert.strictEqual(response.url, `${S}/target`);
      const seen = await response.json();
      assert.deepStrictEqual([seen.method, seen.body], [after, again ? "the body" : null], `${method} ${status}`);
      assert.strictEqual(seen.redirect, "manual");
    }
  },
};

export const headStaysHead = {
  async test() {
    for (const status of [301, 302, 303, 307, 308]) {
      requests = [];
      const response = await fetch(redirect(status), { method: "HEAD" });
      assert.strictEqual(response.redirected, true);
      assert.deepStrictEqual(requests, [`HEAD ${redirect(status)}`, `HEAD ${S}/target`]);
    }
  },
};

export const otherStatusesAreNoRedirects = {
  async test() {
    for (const status of [201, 300, 305, 306]) {
      const response = await fetch(redirect(status));
      assert.strictEqual(response.status, status);
      assert.strictEqual(response.redirected, false);
      assert.strictEqual(await response.text(), "of the redirect");
    }
    const withoutLocation = await fetch(`${S}/redirect`);
    assert.deepStrictEqual([withoutLocation.status, await withoutLocation.text()], [302, "of the redirect"]);
  },
};

export const streamsCannotBeSentAgain = {
  async test() {
    const stream = () =>
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode("streamed"));
          controller.close();
        },
      });
    for (const status of [301, 302, 307, 308]) {
      await assert.rejects(fetch(redirect(status), { method: "POST", body: stream() }), {
        name: "TypeError",
        message:
          /^A request with a one-time-use body .* encountered a redirect requiring the body to be retransmitted\./,
      });
    }
    const seen = await (await fetch(redirect(303), { method: "POST", body: stream() })).json();
    assert.deepStrictEqual([seen.method, seen.body], ["GET", null]);
  },
};

export const everyBufferedBodyIsSentAgain = {
  async test() {
    const form = new FormData();
    form.append("a", "form");
    for (const body of ["text", new Blob(["blob"]), new URLSearchParams({ a: "1" }), new Uint8Array([97, 98]), form]) {
      const seen = await (await fetch(redirect(307), { method: "POST", body })).json();
      assert.ok(seen.body.length > 1);
      assert.strictEqual(seen.headers["content-length"], String(seen.body.length));
    }
  },
};

export const headersAfterARedirect = {
  async test() {
    const headers = { authorization: "secret", cookie: "c=1", "x-own": "1" };
    const after = async (to) => (await (await fetch(redirect(302, to), { headers })).json()).headers;
    assert.deepStrictEqual(await after("/target"), headers);
    for (const to of ["http://other.example/", "http://server.example:81/", "https://server.example/"]) {
      assert.deepStrictEqual(await after(to), { cookie: "c=1", "x-own": "1" });
    }
  },
};

export const twentyAreFollowed = {
  async test() {
    requests = [];
    assert.strictEqual(await (await fetch(`${S}/chain?left=20`)).text(), "end");
    assert.strictEqual(requests.length, 21);
    await assert.rejects(fetch(`${S}/chain?left=21`), {
      name: "TypeError",
      message: /^Too many redirects\.http:\/\/server\.example\/chain\?left=21, /,
    });
  },
};

export const locationsAreResolved = {
  async test() {
    const target = async (to) => (await (await fetch(redirect(302, to))).json()).url;
    assert.strictEqual(await target("relative"), `${S}/relative`);
    assert.strictEqual(await target("x/../y?q"), `${S}/y?q`);
    assert.strictEqual(await target("//other.example/x"), "http://other.example/x");
    assert.strictEqual(await target("/target#fragment"), `${S}/target`);
    for (const to of ["http://", "data:,x", "mailto:a@b.example"]) {
      await assert.rejects(fetch(redirect(302, to)), {
        name: "TypeError",
        message: "Invalid Location header; unable to follow redirect.",
      });
    }
  },
};

export const servicesAreFollowedToo = {
  async test(_controller, env) {
    const response = await env.SERVER.fetch(redirect(302));
    assert.deepStrictEqual([response.status, response.redirected, response.url], [200, true, `${S}/target`]);
  },
};

export const redirectResponses = {
  async test() {
    assert.throws(() => Response.redirect("http://t.example/", 304), {
      name: "RangeError",
      message: "304 is not a redirect status code. It must be one of: 301, 302, 303, 307, or 308.",
    });
    assert.throws(() => Response.redirect("http://t.example/").headers.set("a", "b"), {
      name: "TypeError",
      message: "Can't modify immutable headers.",
    });
    assert.strictEqual(Response.redirect("HTTP://T.example").headers.get("location"), "http://t.example/");
  },
};
