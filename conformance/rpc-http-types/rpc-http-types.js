// Headers, Request and Response as RPC arguments and results.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

export class Echo extends WorkerEntrypoint {
  async echo(value) {
    return value;
  }
  async readRequest(request) {
    const { url, method, redirect } = request;
    return { url, method, redirect, headers: [...request.headers], body: await request.text() };
  }
  async readResponse(response) {
    const { status, statusText } = response;
    return { status, statusText, headers: [...response.headers], body: await response.text() };
  }
  async makeResponse() {
    return new Response("made remotely", { status: 201, headers: { "x-made": "yes" } });
  }
}

export const emptyHeaders = {
  async test(_controller, env) {
    const back = await env.ECHO.echo(new Headers());
    assert.ok(back instanceof Headers);
    assert.deepStrictEqual([...back], []);
  },
};

export const headersKeepOrderAndDuplicates = {
  async test(_controller, env) {
    const headers = new Headers({ zebra: "1", Apple: "2" });
    headers.append("apple", "3");
    headers.append("set-cookie", "a=1");
    headers.append("set-cookie", "b=2, c");
    const back = await env.ECHO.echo(headers);
    assert.deepStrictEqual(
      [...back],
      [
        ["apple", "2, 3"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2, c"],
        ["zebra", "1"],
      ],
    );
    assert.deepStrictEqual(back.getSetCookie(), ["a=1", "b=2, c"]);
  },
};

export const headersAreCopied = {
  async test(_controller, env) {
    const headers = new Headers({ a: "1" });
    const back = await env.ECHO.echo(headers);
    back.set("a", "changed");
    assert.strictEqual(headers.get("a"), "1");
  },
};

export const requestAsArgument = {
  async test(_controller, env) {
    const request = new Request("http://r.example/path?q=1", {
      method: "PUT",
      headers: { "x-one": "1" },
      body: "request body",
      redirect: "manual",
    });
    const seen = await env.ECHO.readRequest(request);
    assert.strictEqual(seen.url, "http://r.example/path?q=1");
    assert.strictEqual(seen.method, "PUT");
    assert.strictEqual(seen.redirect, "manual");
    assert.strictEqual(seen.body, "request body");
    assert.deepStrictEqual(
      seen.headers.find(([name]) => name === "x-one"),
      ["x-one", "1"],
    );
  },
};

export const requestRoundTrip = {
  async test(_controller, env) {
    const back = await env.ECHO.echo(new Request("http://r.example/", { method: "POST", body: "there and back" }));
    assert.ok(back instanceof Request);
    assert.strictEqual(back.method, "POST");
    assert.strictEqual(await back.text(), "there and back");
  },
};

export const requestWithoutBody = {
  async test(_controller, env) {
    const back = await env.ECHO.echo(new Request("http://r.example/"));
    assert.strictEqual(back.method, "GET");
    assert.strictEqual(back.body, null);
  },
};

export const responseAsArgument = {
  async test(_controller, env) {
    const response = new Response("response body", { status: 404, statusText: "Nowhere", headers: { "x-two": "2" } });
    const seen = await env.ECHO.readResponse(response);
    assert.strictEqual(seen.status, 404);
    assert.strictEqual(seen.statusText, "Nowhere");
    assert.strictEqual(seen.body, "response body");
    assert.deepStrictEqual(
      seen.headers.find(([name]) => name === "x-two"),
      ["x-two", "2"],
    );
  },
};

export const responseAsResult = {
  async test(_controller, env) {
    const response = await env.ECHO.makeResponse();
    assert.ok(response instanceof Response);
    assert.strictEqual(response.status, 201);
    assert.strictEqual(response.headers.get("x-made"), "yes");
    assert.strictEqual(await response.text(), "made remotely");
  },
};

export const responseWithNullBody = {
  async test(_controller, env) {
    const back = await env.ECHO.echo(new Response(null, { status: 204 }));
    assert.strictEqual(back.status, 204);
    assert.strictEqual(back.body, null);
  },
};

export const httpTypesInsideAPlainObject = {
  async test(_controller, env) {
    const back = await env.ECHO.echo({
      headers: new Headers({ h: "1" }),
      list: [new Response("inner"), new Request("http://n.example/")],
    });
    assert.strictEqual(back.headers.get("h"), "1");
    assert.strictEqual(await back.list[0].text(), "inner");
    assert.strictEqual(back.list[1].url, "http://n.example/");
  },
};

export const usedBodyCannotBeSent = {
  async test(_controller, env) {
    const request = new Request("http://r.example/", { method: "POST", body: "once" });
    await request.text();
    await assert.rejects(env.ECHO.readRequest(request), { name: "TypeError" });
  },
};

export const cacheModeCrosses = {
  async test(_controller, env) {
    const request = await env.ECHO.echo(new Request("http://x/", { cache: "no-store" }));
    assert.strictEqual(request.cache, "no-store");
    assert.strictEqual((await env.ECHO.echo(new Request("http://x/"))).cache, undefined);
  },
};

export const errorResponseStaysOne = {
  async test(_controller, env) {
    const response = await env.ECHO.echo(Response.error());
    assert.deepStrictEqual([response.type, response.status, response.body], ["error", 0, null]);
  },
};

export const headersOfWhatArrivedMayBeChanged = {
  async test(_controller, env) {
    for (const message of [new Request("http://x/"), new Response("x"), Response.redirect("http://x/")]) {
      const { headers } = await env.ECHO.echo(message);
      headers.set("x-added", "here");
      assert.strictEqual(headers.get("x-added"), "here");
    }
  },
};
