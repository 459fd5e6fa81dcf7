#!/usr/bin/env bash
# openapi-typescript 7.13.0: in OpenAPI 3.1 a schema is JSON Schema 2020-12, where keywords beside "$ref" count as well.
# The generator leaves them out without a word: the required property y below is in no type.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm install --silent --no-audit --no-fund --ignore-scripts openapi-typescript@7.13.0 typescript@5.9.3
cat >try.mjs <<'JS'
import openapiTS, { astToString } from "openapi-typescript";

const schemas = {
  Base: { type: "object", properties: { x: { type: "string" } } },
  Extended: { $ref: "#/components/schemas/Base", properties: { y: { type: "number" } }, required: ["y"] },
};
const types = astToString(
  await openapiTS({ openapi: "3.1.0", info: { title: "t", version: "1" }, paths: {}, components: { schemas } }),
);
console.log("x:", types.includes("x?: string"), "y:", types.includes("y: number"), "Extended:", /Extended: (.*)/.exec(types)[1]);
JS
expected='x: true y: false Extended: components["schemas"]["Base"];'
seen=$(node try.mjs)
[ "$seen" = "$expected" ] || { printf 'changed: expected\n%s\nsaw\n%s\n' "$expected" "$seen"; exit 1; }
printf 'still so with openapi-typescript 7.13.0:\n%s\n' "$seen"
