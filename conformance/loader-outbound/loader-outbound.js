// `globalOutbound`: where the global fetch() of a dynamic Worker goes. The outbound of this Worker itself is its
// entrypoint `parentOutbound` (see wrangler.jsonc), so no case needs a network.
import assert from "node:assert";
import { WorkerEntrypoint } from "cloudflare:workers";

const CHILD = `
  export default {
    async fetch(request) { return fetch(request); },
    async get(url) { const r = await fetch(url); return r.status + " " + await r.text(); },
    async post([url, body]) { return await (await fetch(url, { method: "POST", body, headers: { "x-h": "v" } })).text(); },
    async tryFetch(url) { try { await fetch(url); return "reached"; } catch (e) { return [e.name, e.message]; } },
    async viaBinding(url, env) { return await (await env.SERVICE.fetch(url)).text(); },
    async follow(url) { const r = await fetch(url); return [r.status, r.redirected, r.url, await r.text()]; },
  };
`;

const load = (env, extra) =>
  env.LOADER.load({
    compatibilityDate: "2026-03-01",
    mainModule: "main.js",
    modules: { "main.js": CHILD },
    ...extra,
  }).getEntrypoint();

const NO_INTERNET =
  "This worker is not permitted to access the internet via global functions like fetch(). It must use capabilities " +
  "(such as bindings in 'env') to talk to the outside world.";

export const parentOutbound = {
  async fetch(request) {
    return new Response(`parent outbound ${request.method} ${request.url}`);
  },
};

export const objectOutbound = {
  async fetch(request) {
    const body = request.method === "POST" ? ` ${await request.text()}` : "";
    return new Response(`object outbound ${request.method} ${request.url}${body} ${request.headers.get("x-h")}`);
  },
};

export class ClassOutbound extends WorkerEntrypoint {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/redirect") return Response.redirect("http://other.example/target", 302);
    if (pathname === "/error") throw new RangeError("outbound failed");
    if (pathname === "/status") return new Response("teapot", { status: 418 });
    return new Response(`class outbound ${this.ctx.props.tag ?? "no tag"} ${request.url}`);
  }
}

export const parentsOwnFetchUsesItsOutbound = {
  async test() {
    const response = await fetch("http://outside.example/x");
    assert.strictEqual(await response.text(), "parent outbound GET http://outside.example/x");
  },
};

export const omittedInheritsTheParentsOutbound = {
  async test(_controller, env) {
    for (const extra of [{}, { globalOutbound: undefined }]) {
      assert.strictEqual(
        await load(env, extra).get("http://outside.example/y"),
        "200 parent outbound GET http://outside.example/y",
      );
    }
  },
};

export const nullRefusesFetch = {
  async test(_controller, env) {
    const stub = load(env, { globalOutbound: null });
    await assert.rejects(stub.fetch("http://outside.example/"), { name: "Error", message: NO_INTERNET });
    assert.deepStrictEqual(await stub.tryFetch("http://outside.example/"), ["Error", NO_INTERNET]);
    assert.deepStrictEqual(await stub.tryFetch("https://outside.example/"), ["Error", NO_INTERNET]);
  },
};

export const nullLeavesBindingsUsable = {
  async test(_controller, env, ctx) {
    const stub = load(env, {
      globalOutbound: null,
      env: { SERVICE: ctx.exports.ClassOutbound({ props: { tag: "binding" } }) },
    });
    assert.strictEqual(await stub.viaBinding("http://s.example/b"), "class outbound binding http://s.example/b");
  },
};

export const uncalledLoopbackOfAnObject = {
  async test(_controller, env, ctx) {
    const stub = load(env, { globalOutbound: ctx.exports.objectOutbound });
    assert.strictEqual(
      await stub.get("http://outside.example/z"),
      "200 object outbound GET http://outside.example/z null",
    );
    assert.strictEqual(
      await stub.post(["http://outside.example/p", "sent body"]),
      "object outbound POST http://outside.example/p sent body v",
    );
  },
};

export const uncalledLoopbackOfAClass = {
  async test(_controller, env, ctx) {
    const stub = load(env, { globalOutbound: ctx.exports.ClassOutbound });
    assert.strictEqual(await stub.get("http://o.example/"), "200 class outbound no tag http://o.example/");
  },
};

export const calledLoopbackWithProps = {
  async test(_controller, env, ctx) {
    const stub = load(env, { globalOutbound: ctx.exports.ClassOutbound({ props: { tag: "red" } }) });
    const other = load(env, { globalOutbound: ctx.exports.ClassOutbound({ props: { tag: "blue" } }) });
    assert.strictEqual(await stub.get("http://o.example/"), "200 class outbound red http://o.example/");
    assert.strictEqual(await other.get("http://o.example/"), "200 class outbound blue http://o.example/");
  },
};

export const serviceBindingAsOutbound = {
  async test(_controller, env) {
    const stub = load(env, { globalOutbound: env.OUTBOUND });
    assert.strictEqual(await stub.get("http://o.example/"), "200 class outbound bound http://o.example/");
  },
};

export const statusAndRequestPassThrough = {
  async test(_controller, env, ctx) {
    const stub = load(env, { globalOutbound: ctx.exports.ClassOutbound });
    assert.strictEqual(await stub.get("http://o.example/status"), "418 teapot");
    const response = await stub.fetch("http://o.example/status");
    assert.strictEqual(response.status, 418);
  },
};

export const redirectsReenterTheOutbound = {
  async test(_controller, env, ctx) {
    const stub = load(env, { globalOutbound: ctx.exports.ClassOutbound });
    assert.deepStrictEqual(await stub.follow("http://o.example/redirect"), [
      200,
      true,
      "http://other.example/target",
      "class outbound no tag http://other.example/target",
    ]);
  },
};

export const outboundErrorsReachTheChild = {
  async test(_controller, env, ctx) {
    const stub = load(env, { globalOutbound: ctx.exports.ClassOutbound });
    assert.deepStrictEqual(await stub.tryFetch("http://o.example/error"), ["RangeError", "outbound failed"]);
  },
};

export const dynamicEntrypointAsOutboundIsRefused = {
  async test(_controller, env) {
    const other = load(env, {});
    assert.throws(() => load(env, { globalOutbound: other }), {
      name: "DataCloneError",
      message: /^Entrypoints to dynamically-loaded workers cannot be transferred to other Workers, because /,
    });
  },
};

export const wrongTypeOfOutbound = {
  async test(_controller, env) {
    assert.throws(() => load(env, { globalOutbound: "http://proxy.example" }), { name: "TypeError" });
    assert.throws(() => load(env, { globalOutbound: {} }), { name: "TypeError" });
  },
};

export const grandchildInheritsThroughAService = {
  async test(_controller, env, ctx) {
    const stub = load(env, { globalOutbound: null, env: { SERVICE: ctx.exports.nesting({ props: {} }) } });
    assert.strictEqual(await stub.viaBinding("http://deep.example/"), "200 parent outbound GET http://deep.example/");
  },
};

/** Loads a Worker on behalf of a dynamic one: the only way to nest, since loaders themselves cannot be passed on. */
export const nesting = {
  async fetch(request, env) {
    return new Response(await load(env, {}).get(request.url));
  },
};

export class Editor extends WorkerEntrypoint {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/refuse") return new Response("not allowed", { status: 403 });
    if (pathname === "/throw") throw new TypeError("refused");
    if (pathname === "/redirect") return new Response(null, { status: 302, headers: { location: "/final" } });
    if (pathname === "/stream") {
      const upper = new TransformStream({
        transform: (chunk, controller) =>
          controller.enqueue(new TextEncoder().encode(new TextDecoder().decode(chunk).toUpperCase())),
      });
      return new Response(request.body.pipeThrough(upper), { headers: { "x-edited": "yes" } });
    }
    const edited = new Request(request, { headers: { ...Object.fromEntries(request.headers), "x-added": "by outbound" } });
    return Response.json([edited.method, edited.url, edited.headers.get("x-added"), await edited.text(), this.ctx.props]);
  }
}

const EDITED = `
  export default {
    async run() {
      const results = [];
      const get = async (url, init) => {
        try {
          const response = await fetch("http://away.example" + url, init);
          results.push([response.status, response.url, response.headers.get("x-edited"), await response.text()]);
        } catch (error) {
          results.push([error.name, error.message]);
        }
      };
      await get("/edit", { method: "POST", body: "sent" });
      await get("/redirect");
      await get("/redirect", { redirect: "manual" });
      await get("/refuse");
      await get("/throw");
      const { readable, writable } = new IdentityTransformStream();
      const writing = (async () => {
        const writer = writable.getWriter();
        for (const part of ["ab", "cd"]) await writer.write(new TextEncoder().encode(part));
        await writer.close();
      })();
      await get("/stream", { method: "POST", body: readable });
      await writing;
      return results;
    },
  };
`;

export const serviceSeesAndEditsEverything = {
  async test(_controller, env, ctx) {
    for (const [outbound, props] of [[ctx.exports.Editor, {}], [ctx.exports.Editor({ props: { tag: 1 } }), { tag: 1 }]]) {
      const child = env.LOADER.load({
        compatibilityDate: "2026-03-01",
        mainModule: "main.js",
        modules: { "main.js": EDITED },
        globalOutbound: outbound,
      });
      const edited = (method, path, body) =>
        JSON.stringify([method, "http://away.example" + path, "by outbound", body, props]);
      assert.deepStrictEqual(await child.getEntrypoint().run(1), [
        [200, "http://away.example/edit", null, edited("POST", "/edit", "sent")],
        [200, "http://away.example/final", null, edited("GET", "/final", "")],
        [302, "http://away.example/redirect", null, ""],
        [403, "http://away.example/refuse", null, "not allowed"],
        ["TypeError", "refused"],
        [200, "http://away.example/stream", "yes", "ABCD"],
      ]);
    }
  },
};

export const whatIsNoServiceIsRefused = {
  async test(_controller, env) {
    const other = env.OUTBOUND;
    for (const globalOutbound of [5, "text", true, {}, { fetch() {} }, () => 1, other.member, new Date()]) {
      assert.throws(() => load(env, { globalOutbound }), {
        name: "TypeError",
        message: "Incorrect type for the 'globalOutbound' field on 'WorkerCode': the provided value is not of type 'Fetcher'.",
      });
    }
  },
};
