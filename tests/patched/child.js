// Runs the program in a Worker that was loaded, with its prototypes patched before or after the first touch of each API.

import { WorkerEntrypoint } from "cloudflare:workers";
import { note, patch, prototypes } from "./patch.js";
import { run } from "./program.js";

// What promises are asked for, whatever resolves them, and what the language asks of values. These give what objects without
// them give.
const LANGUAGE = new Set(["then", "constructor", "toJSON", "toString", "valueOf", "next", "return", "throw", "done", "value",
  "get", "set", "writable", "enumerable", "configurable", "length", "name", "message", "cause", "stack"]);
const answers = [undefined, () => "patched", { patched: true }, 7, "patched", new Proxy({}, {}), null];
for (const answer of answers) note(answer);

export default class extends WorkerEntrypoint {
  // order: { keys, answers (an index for each key), early, some (which prototypes), promises }
  async run(host, order) {
    const before = order.early ? "" : await note(run(host, this.env));
    const replies = new Map();
    for (let i = 0; i < order.keys.length; i++) {
      replies.set(order.keys[i], LANGUAGE.has(order.keys[i]) ? undefined : answers[order.answers[i]]);
    }
    const get = replies.get.bind(replies);
    const among = order.some.map((index) => prototypes[index % prototypes.length]);
    const symbols = [Symbol("patched"), Symbol.dispose, Symbol.asyncDispose, Symbol.isConcatSpreadable];
    note(this);
    const patched = patch(order.keys, symbols, get, among, order.promises);
    let transcript;
    try {
      transcript = await note(run(host, this.env));
    } finally {
      patched.undo();
    }
    return { before, transcript, unknown: patched.unknown() };
  }

  plain(host) {
    return run(host, this.env);
  }
}
