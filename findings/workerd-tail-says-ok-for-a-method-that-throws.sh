#!/usr/bin/env bash
# workerd 1.20261117.1: a tail Worker gets outcome "ok" and no exception for an RPC call whose method threw; for a fetch
# handler that throws the same error it gets outcome "exception" and the error. Whoever alerts on outcomes sees nothing of
# failing RPC methods.
# Atoll says "exception" for both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm install --silent --no-audit --no-fund --ignore-scripts workerd@1.20261117.1
cat >index.js <<'JS'
import { WorkerEntrypoint } from "cloudflare:workers";

const items = [];
export class Tail extends WorkerEntrypoint {
  tail(batch) {
    items.push(...batch);
  }
}

const child = `
  import { WorkerEntrypoint } from "cloudflare:workers";
  export default class extends WorkerEntrypoint {
    method() { throw new RangeError("thrown"); }
    fetch() { throw new RangeError("thrown"); }
  }`;

export const test = {
  async test(controller, env, ctx) {
    const entrypoint = env.LOADER.load({
      compatibilityDate: "2026-11-01",
      mainModule: "child.js",
      modules: { "child.js": child },
      tails: [ctx.exports.Tail({ props: {} })],
    }).getEntrypoint();
    await entrypoint.method().catch(() => {});
    await entrypoint.fetch("http://child.example/").catch(() => {});
    while (items.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    for (const { event, outcome, exceptions } of items) {
      const kind = event.rpcMethod === undefined ? "fetch" : "rpc";
      console.log("seen", kind, outcome, JSON.stringify(exceptions.map((e) => e.name)));
    }
  },
};
JS
cat >config.capnp <<'CAPNP'
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = .main)]);
const main :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed "index.js")],
  compatibilityDate = "2026-11-01",
  bindings = [(name = "LOADER", workerLoader = ())],
);
CAPNP
node_modules/@cloudflare/workerd-linux-64/bin/workerd test config.capnp --experimental >log.txt 2>&1 || true

expected='seen rpc ok []
seen fetch exception ["RangeError"]'
seen=$(grep '^seen ' log.txt || true)
[ "$seen" = "$expected" ] || { printf 'changed: expected\n%s\nsaw\n%s\n' "$expected" "$seen"; exit 1; }
printf 'still so with workerd 1.20261117.1:\n%s\n' "$seen"
