#!/usr/bin/env bash
# workerd 1.20261117.1: an object without a prototype cannot cross RPC, although structuredClone() copies it. The language
# makes such objects itself: what Object.groupBy() returns, and the named groups of a regular expression's match. So a
# method that returns Object.groupBy(...) rejects with DataCloneError.
# Atoll carries them, as plain objects.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm install --silent --no-audit --no-fund --ignore-scripts workerd@1.20261117.1
cat >index.js <<'JS'
import { WorkerEntrypoint } from "cloudflare:workers";

export class Service extends WorkerEntrypoint {
  take(value) {
    return Object.keys(value);
  }
}

const outcome = async (work) => {
  try {
    return JSON.stringify(await work());
  } catch (error) {
    return error.name;
  }
};

export const test = {
  async test(controller, env, ctx) {
    const service = ctx.exports.Service;
    const grouped = Object.groupBy([1, 2], (number) => (number % 2 ? "odd" : "even"));
    const { groups } = /(?<year>\d+)/.exec("2026");
    console.log("seen clone", await outcome(() => Object.keys(structuredClone(grouped))));
    console.log("seen groupBy over RPC", await outcome(() => service.take(grouped)));
    console.log("seen groups over RPC", await outcome(() => service.take(groups)));
    console.log("seen spread over RPC", await outcome(() => service.take({ ...groups })));
  },
};
JS
cat >config.capnp <<'CAPNP'
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = .main)]);
const main :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed "index.js")],
  compatibilityDate = "2026-11-01",
);
CAPNP
node_modules/@cloudflare/workerd-linux-64/bin/workerd test config.capnp --experimental >log.txt 2>&1 || true

expected='seen clone ["odd","even"]
seen groupBy over RPC DataCloneError
seen groups over RPC DataCloneError
seen spread over RPC ["year"]'
seen=$(grep '^seen ' log.txt || true)
[ "$seen" = "$expected" ] || { printf 'changed: expected\n%s\nsaw\n%s\n' "$expected" "$seen"; exit 1; }
printf 'still so with workerd 1.20261117.1:\n%s\n' "$seen"
