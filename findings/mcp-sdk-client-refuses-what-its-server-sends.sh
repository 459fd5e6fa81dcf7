#!/usr/bin/env bash
# @modelcontextprotocol/sdk 1.32.2: a tool's output schema is given as a Zod shape, which ignores further properties, so
# the server sends a result that has one. The same schema is listed as JSON Schema with "additionalProperties": false, and
# the client of the same version refuses that result, but only once it has called listTools(): the first call passes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm install --silent --no-audit --no-fund --ignore-scripts @modelcontextprotocol/sdk@1.32.2 zod@4.6.7
cat >try.mjs <<'JS'
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "server", version: "1.0.0" });
server.registerTool("weather", { inputSchema: {}, outputSchema: { celsius: z.number() } }, async () => ({
  content: [{ type: "text", text: "21 degrees" }],
  structuredContent: { celsius: 21, humidity: 40 },
}));

const client = new Client({ name: "client", version: "1.0.0" });
const [one, other] = InMemoryTransport.createLinkedPair();
await Promise.all([server.connect(one), client.connect(other)]);

const call = async () => {
  try {
    return JSON.stringify((await client.callTool({ name: "weather" })).structuredContent);
  } catch (error) {
    return error.message;
  }
};
console.log("before listTools():", await call());
await client.listTools();
console.log("after listTools():", await call());
process.exit(0);
JS
expected='before listTools(): {"celsius":21,"humidity":40}
after listTools(): MCP error -32602: Structured content does not match the tool'"'"'s output schema: data must NOT have additional properties'
seen=$(node try.mjs)
[ "$seen" = "$expected" ] || { printf 'changed: expected\n%s\nsaw\n%s\n' "$expected" "$seen"; exit 1; }
printf 'still so with @modelcontextprotocol/sdk 1.32.2:\n%s\n' "$seen"
