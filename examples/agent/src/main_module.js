// The main module of every child: it stands between this Worker and the agent's own module. It sends console lines
// home, and it gives errors the place where they happened, which errors that cross isolates do not carry.
//
// It shares an isolate with code that may be hostile, so nothing here protects anything: what the parent hands over
// is the agent's, and what comes back is the agent's word.

export const mainModule = `
export default {
  async myAgent(param, { LOG, ...env }, ctx) {
    const lines = captureConsole(LOG);
    try {
      // Imported here, not at the top, so that lines and errors of the module's own top level are caught too.
      const { default: agent } = await import("./agent.ts");
      lines.start();
      const target = typeof agent === "function" ? new agent(ctx, env) : agent;
      if (typeof target?.myAgent !== "function") {
        throw new TypeError("agent.ts must export default an object or class with a method myAgent(param, env, ctx)");
      }
      return await target.myAgent(param, env, ctx);
    } catch (error) {
      throw new Error(describe(error));
    } finally {
      await lines.end();
    }
  },
};

// Lines are sent as they are printed, so that those of a run that is stopped are not lost. Before start(), while the
// module is being evaluated, no call can be made: those lines wait.
function captureConsole(log) {
  const waiting = [];
  let started = false;
  let sent;
  const flush = () => {
    while (waiting.length > 0) sent = log(...waiting.shift()).catch(() => {});
  };
  for (const level of ["debug", "info", "log", "warn", "error"]) {
    console[level] = (...values) => {
      waiting.push([level, values.map(show).join(" ")]);
      if (started) flush();
    };
  }
  return {
    start() { started = true; flush(); },
    // Calls arrive in order: when the last is answered, all have been.
    async end() { flush(); started = false; await sent; },
  };
}

function show(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return describe(value);
  try { return JSON.stringify(value) ?? String(value); } catch { return String(value); }
}

// The message and the agent's own frames: "TypeError: x is not a function\\n    at myAgent (agent.ts:4:11)".
function describe(error) {
  if (!(error instanceof Error)) return "The agent threw " + show(error);
  const lines = String(error.stack ?? error).split("\\n");
  return lines.filter((line) => !/^\\s+at /.test(line) || line.includes("agent.ts")).join("\\n");
}
`;
