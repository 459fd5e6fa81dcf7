#!/usr/bin/env bash
# json-schema-to-typescript 16.0.0: a tuple of JSON Schema 2020-12 ("prefixItems", closed by "items": false) becomes an
# array that can hold nothing, never[], and no warning says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm install --silent --no-audit --no-fund --ignore-scripts json-schema-to-typescript@16.0.0
cat >try.mjs <<'JS'
import { compile } from "json-schema-to-typescript";

const pair = { type: "array", prefixItems: [{ type: "string" }, { type: "number" }], items: false };
const schema = { title: "Holder", type: "object", properties: { pair }, required: ["pair"], additionalProperties: false };
console.log((await compile(schema, "Holder", { bannerComment: "" })).trim());
JS
expected='export interface Holder {
  pair: never[];
}'
seen=$(node try.mjs)
[ "$seen" = "$expected" ] || { printf 'changed: expected\n%s\nsaw\n%s\n' "$expected" "$seen"; exit 1; }
printf 'still so with json-schema-to-typescript 16.0.0:\n%s\n' "$seen"
