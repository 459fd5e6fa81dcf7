// Cache modes: which a request can have, and what they ask of caches on the way.
import assert from "node:assert";

export const server = {
  fetch(request) {
    return Response.json([request.headers.get("cache-control"), request.headers.get("pragma")]);
  },
};

const sent = async (init) => (await fetch("http://server.example/", init)).json();

export const modesThatGoPastCachesSaySo = {
  async test() {
    assert.deepStrictEqual(await sent({}), [null, null]);
    assert.deepStrictEqual(await sent({ cache: "no-store" }), ["no-cache", "no-cache"]);
    assert.deepStrictEqual(await sent({ cache: "no-cache" }), ["no-cache", "no-cache"]);
  },
};

export const whatTheProgramAsksForStays = {
  async test() {
    const headers = { "Cache-Control": "max-age=7" };
    assert.deepStrictEqual(await sent({ cache: "no-store", headers }), ["max-age=7", "no-cache"]);
    assert.deepStrictEqual(await sent({ cache: "no-store", headers: { pragma: "other" } }), ["no-cache", "other"]);
  },
};

export const theHeadersOfTheRequestStay = {
  async test() {
    const request = new Request("http://server.example/", { cache: "no-store" });
    assert.deepStrictEqual(await (await fetch(request)).json(), ["no-cache", "no-cache"]);
    assert.strictEqual(request.headers.get("cache-control"), null);
    assert.strictEqual(request.cache, "no-store");
  },
};

export const otherModesAreRefused = {
  test() {
    for (const cache of ["reload", "default", "force-cache", "only-if-cached", "nonsense"]) {
      assert.throws(() => new Request("http://server.example/", { cache }), {
        name: "TypeError",
        message: `Unsupported cache mode: ${cache}`,
      });
    }
  },
};
