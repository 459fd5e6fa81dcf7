#!/usr/bin/env bash
# workerd 1.20261117.1: a dynamic Worker that could not be loaded under an id stays failed for as long as the process
# lives: get(id, callback) never calls the callback again, also when the failure was a passing one (here the callback
# itself rejects once, as when the store of the code cannot be reached).
# Atoll forgets a load that failed, and the next get() calls back again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm install --silent --no-audit --no-fund --ignore-scripts workerd@1.20261117.1
cat >index.js <<'JS'
let calls = 0;
const code = async () => {
  calls++;
  if (calls === 1) throw new Error("the store cannot be reached");
  const source = "export default { fetch: () => new Response('served') };";
  return { compatibilityDate: "2026-11-01", mainModule: "child.js", modules: { "child.js": source } };
};

export const test = {
  async test(controller, env) {
    for (let attempt = 1; attempt <= 3; attempt++) {
      try {
        const response = await env.LOADER.get("child", code).getEntrypoint().fetch("http://child.example/");
        console.log("seen", attempt, await response.text());
      } catch (error) {
        console.log("seen", attempt, error.message);
      }
    }
    console.log("seen calls of the callback", calls);
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

expected='seen 1 the store cannot be reached
seen 2 the store cannot be reached
seen 3 the store cannot be reached
seen calls of the callback 1'
seen=$(grep '^seen ' log.txt || true)
[ "$seen" = "$expected" ] || { printf 'changed: expected\n%s\nsaw\n%s\n' "$expected" "$seen"; exit 1; }
printf 'still so with workerd 1.20261117.1:\n%s\n' "$seen"
