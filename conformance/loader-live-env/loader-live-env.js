// Deliberate difference: live capabilities (an RpcStub, an RpcTarget, a function; alone or in a plain object) in the
// `env` of `load()`. workerd takes only values and services there; see ../differences.jsonc.
import assert from "node:assert";
import { RpcStub, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class ChatRoom extends RpcTarget {
  messages = [];
  post(text) {
    this.messages.push(text);
    return this.messages.length;
  }
  get history() {
    return this.messages;
  }
  fail() {
    throw new RangeError("room is full");
  }
}

const CHILD = `
  import { env as importedEnv } from "cloudflare:workers";
  export default {
    async post(text, env) { return await env.ROOM.post(text); },
    async history(arg, env) { return await env.ROOM.history; },
    async fail(arg, env) { try { await env.ROOM.fail(); } catch (e) { return [e.name, e.message, e.remote]; } },
    async call(args, env) { return await env.FUNCTION(...args); },
    async nested(text, env) { return [await env.TOOLS.room.post(text), await env.TOOLS.upper(text), env.TOOLS.label]; },
    async imported(text) { return await importedEnv.ROOM.post(text); },
    async fetch(request, env) { return new Response(String(await env.ROOM.post(await request.text()))); },
  };
`;

const load = (env, childEnv) =>
  env.LOADER.load({
    compatibilityDate: "2026-03-01",
    mainModule: "main.js",
    modules: { "main.js": CHILD },
    env: childEnv,
    globalOutbound: null,
  }).getEntrypoint();

export class Rooms extends WorkerEntrypoint {
  async open() {
    return new ChatRoom();
  }
}

/** The program of the documentation, as it stands. */
async function runAgent(env, chatRoomRpcStub, agentCode, param) {
  const worker = env.LOADER.load({
    compatibilityDate: "2026-03-01",
    mainModule: "agent.js",
    modules: { "agent.js": agentCode },
    env: { CHAT_ROOM: chatRoomRpcStub },
    globalOutbound: null,
  });
  return await worker.getEntrypoint().myAgent(param);
}

const AGENT = `
  export default {
    async myAgent(param, env, ctx) {
      await env.CHAT_ROOM.post("agent starts with " + param);
      return await env.CHAT_ROOM.post("agent is done");
    },
  };
`;

export const programOfTheDocumentation = {
  async test(_controller, env) {
    const room = new ChatRoom();
    const chatRoomRpcStub = new RpcStub(room);
    assert.strictEqual(await runAgent(env, chatRoomRpcStub, AGENT, "a task"), 2);
    assert.deepStrictEqual(room.messages, ["agent starts with a task", "agent is done"]);
  },
};

export const programWithAStubFromAnotherWorker = {
  async test(_controller, env, ctx) {
    using chatRoomRpcStub = await ctx.exports.Rooms.open();
    assert.strictEqual(await runAgent(env, chatRoomRpcStub, AGENT, "x"), 2);
    assert.deepStrictEqual(await chatRoomRpcStub.history, ["agent starts with x", "agent is done"]);
  },
};

export const rpcTarget = {
  async test(_controller, env) {
    const room = new ChatRoom();
    const stub = load(env, { ROOM: room });
    assert.strictEqual(await stub.post("one"), 1);
    assert.strictEqual(await stub.post("two"), 2);
    assert.deepStrictEqual(await stub.history(0), ["one", "two"]);
    assert.deepStrictEqual(room.messages, ["one", "two"]);
  },
};

export const functionAlone = {
  async test(_controller, env) {
    const seen = [];
    const stub = load(env, { FUNCTION: (a, b) => (seen.push([a, b]), a + b) });
    assert.strictEqual(await stub.call([1, 2]), 3);
    assert.deepStrictEqual(seen, [[1, 2]]);
  },
};

export const insideAPlainObject = {
  async test(_controller, env) {
    const room = new ChatRoom();
    const TOOLS = { room, upper: (text) => text.toUpperCase(), label: "plain value" };
    assert.deepStrictEqual(await load(env, { TOOLS }).nested("a"), [1, "A", "plain value"]);
    assert.deepStrictEqual(room.messages, ["a"]);
  },
};

export const besideOtherValues = {
  async test(_controller, env, ctx) {
    const room = new ChatRoom();
    const stub = load(env, { ROOM: room, NUMBER: 1, SERVICE: ctx.exports.Rooms({ props: {} }), MAP: new Map() });
    assert.strictEqual(await stub.post("x"), 1);
  },
};

export const throughTheImportedEnv = {
  async test(_controller, env) {
    const room = new ChatRoom();
    assert.strictEqual(await load(env, { ROOM: room }).imported("i"), 1);
  },
};

export const inTheFetchHandler = {
  async test(_controller, env) {
    const room = new ChatRoom();
    const response = await load(env, { ROOM: room }).fetch("http://c.example/", { method: "POST", body: "by fetch" });
    assert.strictEqual(await response.text(), "1");
    assert.deepStrictEqual(room.messages, ["by fetch"]);
  },
};

export const errorsOfACapability = {
  async test(_controller, env) {
    assert.deepStrictEqual(await load(env, { ROOM: new ChatRoom() }).fail(0), ["RangeError", "room is full", true]);
  },
};

export const callerKeepsItsStub = {
  async test(_controller, env) {
    using stub = new RpcStub(new ChatRoom());
    const child = load(env, { ROOM: stub });
    assert.strictEqual(await child.post("from the child"), 1);
    assert.strictEqual(await stub.post("from the parent"), 2);
    assert.strictEqual(await child.post("again"), 3);
  },
};

export const oneCapabilityForTwoWorkers = {
  async test(_controller, env) {
    const room = new ChatRoom();
    const [a, b] = [load(env, { ROOM: room }), load(env, { ROOM: room })];
    assert.strictEqual(await a.post("a"), 1);
    assert.strictEqual(await b.post("b"), 2);
    assert.deepStrictEqual(room.messages, ["a", "b"]);
  },
};
