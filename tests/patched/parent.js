// Loads children that patch what they share with the runtime, and serves them. `POST /run` takes an order and tells what came
// of it; `GET /plain` runs the same program without any patch; `POST /parent` patches this Worker itself and loads a child.

import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
import { note, patch, prototypes } from "./patch.js";

class Made extends RpcTarget {
  #name;
  constructor(name) {
    super();
    this.#name = name;
  }
  greet(other) {
    return `${this.#name} greets ${other}`;
  }
}

class Host extends RpcTarget {
  get property() {
    return "a property";
  }
  echo(value) {
    return value;
  }
  callBack(callback) {
    return callback("called");
  }
  make(name) {
    return new Made(name);
  }
  stream() {
    return new Response("streamed").body;
  }
  async read(stream) {
    return new Response(stream).text();
  }
  fail(kind) {
    if (kind === "custom") throw Object.assign(new Error("custom", { cause: new Error("why") }), { name: "Custom", code: 7 });
    throw new RangeError("refused");
  }
}

export class Service extends WorkerEntrypoint {
  plus(a, b) {
    return a + b;
  }
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/throw") throw new Error("service failed");
    if (pathname === "/redirect") return Response.redirect("http://host/landed");
    return new Response(`${request.method} ${pathname} ${request.headers.get("x-a")} ${await request.text()}`);
  }
}

function codeOf(env, ctx) {
  return {
    __proto__: null,
    compatibilityDate: "2026-07-01",
    compatibilityFlags: ["nodejs_compat"],
    mainModule: "child.js",
    modules: { __proto__: null, ...env.MODULES },
    env: { HOST: ctx.exports.Service({ props: {} }) },
    globalOutbound: null,
  };
}

const small = (body) => ({
  __proto__: null, compatibilityDate: "2026-07-01", mainModule: "m.js", globalOutbound: null,
  modules: { __proto__: null, "m.js": `export default { ${body} };` },
});

// What a parent does with its loader, as text.
async function parentSteps(env) {
  let result = "";
  const child = note(env.LOADER.load(note(small("add(a) { return a + 1; }, fetch(request) { return new Response(request.url); }"))));
  const entrypoint = note(child.getEntrypoint(null, note({ __proto__: null, limits: { __proto__: null, cpuMs: 500 } })));
  result += await note(entrypoint.add(1));
  result += await note(note(await note(entrypoint.fetch("http://a/b"))).text());
  const named = note(env.LOADER.get("named", () => note(small("add(a) { return a + 2; }"))));
  result += await note(note(named.getEntrypoint()).add(1));
  result += env.LOADER.evict("named");
  const broken = note(env.LOADER.load(note(small("add() { throw new RangeError('broken'); }"))));
  try {
    await note(note(broken.getEntrypoint()).add(1));
  } catch (error) {
    result += ` ${note(error).name} ${error.message}`;
  }
  try {
    note(env.LOADER.load(note({ __proto__: null, compatibilityDate: "2026-07-01", mainModule: "m.js", modules: { __proto__: null } })));
  } catch (error) {
    result += ` ${note(error).message}`;
  }
  const disposed = note(env.LOADER.load(note(small("add() {}"))));
  disposed[Symbol.dispose]();
  try {
    disposed.getEntrypoint();
  } catch (error) {
    result += ` ${note(error).message}`;
  }
  return result;
}

async function patchedParent(env, order) {
  const plain = order.early ? "" : await note(parentSteps(env));
  const among = order.some.map((index) => prototypes[index % prototypes.length]);
  note(env);
  const patched = patch(order.keys, [Symbol("patched")], () => undefined, among, order.promises);
  let transcript;
  try {
    transcript = await note(parentSteps(env));
  } finally {
    patched.undo();
  }
  return { plain: order.early ? await parentSteps(env) : plain, transcript, unknown: patched.unknown() };
}

export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname === "/parent") return Response.json(await note(patchedParent(env, await request.json())));
    const child = env.LOADER.load(codeOf(env, ctx)).getEntrypoint();
    if (pathname === "/plain") return new Response(await child.plain(new Host()));
    return Response.json(await child.run(new Host(), await request.json()));
  },
};
