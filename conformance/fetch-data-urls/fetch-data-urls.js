// fetch() of data: URLs, which no request leaves for, and of other schemes.
import assert from "node:assert";

export const server = {
  fetch(request) {
    return new Response(`the server got ${request.url}`, { status: 404 });
  },
};

const US_ASCII = "text/plain;charset=US-ASCII";

/** [URL, Content-Type, text] */
const LOADED = [
  ["data:,x", US_ASCII, "x"],
  ["data:,", US_ASCII, ""],
  ["data:,a,b", US_ASCII, "a,b"],
  ["DATA:,y", US_ASCII, "y"],
  ["data:,a#fragment", US_ASCII, "a"],
  ["data:,%C3%A9%20%zz%4", US_ASCII, "\u00e9 %zz%4"],
  ["data:,\u00e9", US_ASCII, "\u00e9"],
  ["data:image/png,x", "image/png", "x"],
  ["data:text/html;charset=x,%20a", "text/html;charset=x", " a"],
  ["data:text/plain;base64,aGk=", "text/plain", "hi"],
  ["data:text/plain;base64,aGk", "text/plain", "hi"],
  ["data:text/plain;BASE64,aG%6B%3D", "text/plain", "hi"],
  ["data:;base64,aGk=", US_ASCII, "hi"],
  ["data:A/B; X=Y;x=z;;c;d=;e=%22,t", "a/b;x=Y;e=%22", "t"],
  ['data:a/b;c="d;e";f=g h,t', 'a/b;c="d;e";f="g h"', "t"],
  ["data:bogus,t", US_ASCII, "t"],
  ["data:a /b,t", US_ASCII, "t"],
];

export const loaded = {
  async test(_controller, env) {
    for (const [url, type, text] of LOADED) {
      for (const send of [fetch, env.SERVER.fetch.bind(env.SERVER)]) {
        const response = await send(url);
        assert.deepStrictEqual([response.status, response.statusText, response.url], [200, "OK", ""], url);
        assert.strictEqual(response.headers.get("content-type"), type, url);
        assert.strictEqual(await response.text(), text, url);
      }
    }
  },
};

export const otherMethodsGetNoBody = {
  async test() {
    for (const init of [{ method: "POST" }, { method: "HEAD" }, { method: "PUT", body: "b" }]) {
      const response = await fetch("data:,x", init);
      assert.deepStrictEqual([response.status, response.body, await response.text()], [200, null, ""]);
    }
  },
};

export const whatIsNoDataUrlIsRefused = {
  async test(_controller, env) {
    for (const url of ["data:x", "data:", "data:text/plain;base64"]) {
      const expected = { name: "TypeError", message: `Fetch API cannot load: ${url}` };
      await assert.rejects(fetch(url), expected);
      await assert.rejects(env.SERVER.fetch(url), expected);
    }
  },
};

export const otherSchemes = {
  async test() {
    for (const url of ["javascript:1", "about:blank", "mailto:a@b.example", "file:///etc/passwd", "blob:http://x/1"]) {
      await assert.rejects(fetch(url), { name: "TypeError" });
    }
  },
};
