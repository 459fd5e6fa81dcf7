#!/usr/bin/env bash
# workerd 1.20261117.1: when the stream behind a request's body fails half-way, the Worker that the request is for reads
# the bytes so far and then an ordinary end: text() resolves with half a body. The same stream given as an argument of an
# RPC call rejects.
# Atoll lets the read reject with the error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm install --silent --no-audit --no-fund --ignore-scripts workerd@1.20261117.1
cat >index.js <<'JS'
import { WorkerEntrypoint } from "cloudflare:workers";

const read = async (stream) => {
  try {
    return `complete: ${await new Response(stream).text()}`;
  } catch {
    return "rejected";
  }
};

export class Service extends WorkerEntrypoint {
  async fetch(request) {
    return new Response(await read(request.body));
  }
  take(stream) {
    return read(stream);
  }
}

const failing = () => {
  const chunks = ["half ", "of it"];
  return new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      const chunk = chunks.shift();
      if (chunk === undefined) controller.error(new Error("the source failed"));
      else controller.enqueue(new TextEncoder().encode(chunk));
    },
  });
};

export const test = {
  async test(controller, env, ctx) {
    const service = ctx.exports.Service;
    const response = await service.fetch("http://service.example/", { method: "POST", body: failing() });
    console.log("seen fetch", await response.text());
    console.log("seen rpc", await service.take(failing()));
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

expected='seen fetch complete: half of it
seen rpc rejected'
seen=$(grep '^seen ' log.txt || true)
[ "$seen" = "$expected" ] || { printf 'changed: expected\n%s\nsaw\n%s\n' "$expected" "$seen"; exit 1; }
printf 'still so with workerd 1.20261117.1:\n%s\n' "$seen"
