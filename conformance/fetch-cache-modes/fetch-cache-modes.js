// Cache modes: what they tell the caches on the way, and which there are.
import assert from "node:assert";

export const server = {
  async fetch(request) {
    return Response.json([request.headers.get("cache-control"), request.headers.get("pragma")]);
  },
};

const sent = async (init) => (await fetch("http://origin.example/", init)).json();

export const noStoreIsSaid = {
  async test() {
    assert.deepStrictEqual(await sent({ cache: "no-store" }), ["no-cache", "no-cache"]);
    assert.deepStrictEqual(await sent({ cache: "no-cache" }), ["no-cache", "no-cache"]);
    assert.deepStrictEqual(await sent({}), [null, null]);
  },
};

export const fieldsOfTheProgramStay = {
  async test() {
    const own = { cache: "no-store", headers: { "Cache-Control": "max-age=1" } };
    assert.deepStrictEqual(await sent(own), ["max-age=1", "no-cache"]);
    assert.deepStrictEqual(await sent({ cache: "no-store", headers: { pragma: "x" } }), ["no-cache", "x"]);
  },
};

export const theRequestsOwnHeadersStayAsTheyAre = {
  async test() {
    const request = new Request("http://origin.example/", { cache: "no-store" });
    assert.deepStrictEqual(await (await fetch(request)).json(), ["no-cache", "no-cache"]);
    assert.deepStrictEqual([...request.headers], []);
  },
};

export const otherModesAreRefused = {
  async test() {
    for (const cache of ["reload", "default", "force-cache", null]) {
      const expected = { name: "TypeError", message: `Unsupported cache mode: ${cache}` };
      assert.throws(() => new Request("http://origin.example/", { cache }), expected);
    }
  },
};
