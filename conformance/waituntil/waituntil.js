// Work that goes on after the answer: ctx.waitUntil and the imported waitUntil.
import assert from "node:assert";
import { waitUntil, WorkerEntrypoint } from "cloudflare:workers";

const log = [];

async function until(entry) {
  for (let turn = 0; turn < 2000 && !log.includes(entry); turn++) await scheduler.wait(1);
  assert.ok(log.includes(entry), `${entry} did not happen`);
}

async function later(entry) {
  await scheduler.wait(3);
  log.push(entry);
}

export const handler = {
  async fetch(request, _env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname === "/rejects") ctx.waitUntil(Promise.reject(new Error("background failure")));
    else if (pathname === "/several") for (const n of [1, 2, 3]) ctx.waitUntil(later(`several ${n}`));
    else if (pathname === "/chained")
      ctx.waitUntil(scheduler.wait(1).then(() => void ctx.waitUntil(later("chained"))));
    else if (pathname === "/imported") waitUntil(later("imported in fetch"));
    else ctx.waitUntil(later("fetch"));
    return new Response(`answered ${log.length}`);
  },
};

export class Target extends WorkerEntrypoint {
  async start(entry) {
    this.ctx.waitUntil(later(entry));
    return "started";
  }
}

export const afterAResponse = {
  async test(_controller, _env, ctx) {
    const response = await ctx.exports.handler.fetch("http://w.example/");
    assert.strictEqual(log.includes("fetch"), false);
    await response.text();
    await until("fetch");
  },
};

export const importedWaitUntilInAHandler = {
  async test(_controller, _env, ctx) {
    await (await ctx.exports.handler.fetch("http://w.example/imported")).text();
    await until("imported in fetch");
  },
};

export const afterAnRpcCall = {
  async test(_controller, env) {
    assert.strictEqual(await env.TARGET.start("rpc"), "started");
    await until("rpc");
  },
};

export const severalPromises = {
  async test(_controller, _env, ctx) {
    await (await ctx.exports.handler.fetch("http://w.example/several")).text();
    for (const n of [1, 2, 3]) await until(`several ${n}`);
  },
};

export const waitUntilInsideWaitUntil = {
  async test(_controller, _env, ctx) {
    await (await ctx.exports.handler.fetch("http://w.example/chained")).text();
    await until("chained");
  },
};

export const rejectionDoesNotSpoilTheResponse = {
  async test(_controller, _env, ctx) {
    const response = await ctx.exports.handler.fetch("http://w.example/rejects");
    assert.match(await response.text(), /^answered/);
  },
};

export const acceptsAnyValue = {
  async test(_controller, _env, ctx) {
    assert.strictEqual(ctx.waitUntil(Promise.resolve(5)), undefined);
    assert.strictEqual(ctx.waitUntil("not a promise"), undefined);
    assert.strictEqual(waitUntil(Promise.resolve()), undefined);
  },
};

export const inADynamicWorker = {
  async test(_controller, env, ctx) {
    const source = `
      export default { async fetch(request, env, ctx) {
        ctx.waitUntil((async () => { await scheduler.wait(2); await env.TARGET.start("from a dynamic worker"); })());
        return new Response("child answered");
      } };`;
    const stub = env.LOADER.load({
      compatibilityDate: "2026-03-01",
      mainModule: "main.js",
      modules: { "main.js": source },
      env: { TARGET: ctx.exports.Target({ props: {} }) },
    });
    const response = await stub.getEntrypoint().fetch("http://w.example/");
    assert.strictEqual(await response.text(), "child answered");
    await until("from a dynamic worker");
  },
};
