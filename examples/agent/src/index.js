// Runs code that an agent wrote a moment ago, in a fresh isolate, with exactly the capabilities given here:
//
//   CHAT_ROOM   one typed API (chat_room.js), as live objects that call back into this Worker
//   fetch()     one host, through a gateway that adds the secret (gateway.js)
//   console     its lines come back with the answer
//
// Nothing else is in reach: no other binding, no file, no environment variable, no address.

import { ChatRoom, chatRoomTypes } from "./chat_room.js";
import { Logs } from "./logs.js";
import { mainModule } from "./main_module.js";

// `ctx.exports` offers what the main module exports: this is how the child's network gets to be our own class.
export { Gateway } from "./gateway.js";

const MAX_CODE_BYTES = 1024 * 1024;
const MAX_RUN_MS = 30_000;
const LIMITS = { cpuMs: 1_000, subRequests: 50 };

export default {
  async fetch(request, env, ctx) {
    if (request.method === "GET") return new Response(help(request.url, env));
    if (request.method !== "POST") {
      return new Response("Only GET and POST are served here.\n", { status: 405, headers: { Allow: "GET, POST" } });
    }

    let param;
    try {
      param = JSON.parse(new URL(request.url).searchParams.get("param") ?? request.headers.get("X-Param") ?? "null");
    } catch (error) {
      return Response.json({ error: `param is not JSON: ${error.message}`, logs: [] }, { status: 400 });
    }
    const source = await request.arrayBuffer();
    if (source.byteLength > MAX_CODE_BYTES) {
      const error = `The module has ${source.byteLength} bytes; the limit is ${MAX_CODE_BYTES}.`;
      return Response.json({ error, logs: [] }, { status: 413 });
    }

    const logs = new Logs();
    try {
      const result = await run(new TextDecoder().decode(source), param, logs, env, ctx);
      return Response.json({ result: result ?? null, logs: logs.lines });
    } catch (error) {
      // Whatever went wrong from here on is the agent's to mend, so it gets the words and the place.
      return Response.json({ error: error.message, logs: logs.lines }, { status: 422 });
    }
  },
};

async function run(source, param, logs, env, ctx) {
  // Disposed of when the run is over: what the agent still subscribes to ends then.
  using room = new ChatRoom("agent");
  const worker = env.LOADER.load({
    compatibilityDate: "2026-07-01",
    mainModule: "main.js",
    modules: { "main.js": mainModule, "agent.ts": source },
    env: { CHAT_ROOM: room, LOG: (level, text) => logs.push(level, text) },
    // Whatever the agent fetches arrives at our Gateway. The props are the Gateway's own: the child cannot read them.
    globalOutbound: ctx.exports.Gateway({
      props: { origin: env.API_ORIGIN, authorization: env.API_AUTHORIZATION },
    }),
    limits: LIMITS,
  });

  const result = await Promise.race([
    worker.getEntrypoint().myAgent(param),
    scheduler.wait(MAX_RUN_MS).then(() => {
      throw new Error(`The agent did not finish within ${MAX_RUN_MS} ms.`);
    }),
  ]);
  // What is not data arrives as a stub, and a stub says nothing as JSON.
  if (typeof result === "function") throw new TypeError("myAgent must return data, not a function or a live object");
  return result;
}

function help(url, env) {
  return `POST a module to ${new URL(url).origin}/ and it runs as an agent:

  export default {
    async myAgent(param: any, env: { CHAT_ROOM: ChatRoom }, ctx: ExecutionContext) { ... }
  };

JavaScript or TypeScript; a class that extends WorkerEntrypoint does as well. \`param\` is the JSON in ?param= or in
the header X-Param. The answer is { result, logs } or, with status 422, { error, logs }. fetch() reaches
${env.API_ORIGIN} and nothing else.

${chatRoomTypes}`;
}
