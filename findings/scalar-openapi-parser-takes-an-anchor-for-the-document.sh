#!/usr/bin/env bash
# @scalar/openapi-parser 0.24.17: a "$ref" to an anchor ("#thing", allowed in OpenAPI 3.1 by JSON Schema 2020-12) is
# resolved, without an error, to the whole document.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm install --silent --no-audit --no-fund --ignore-scripts @scalar/openapi-parser@0.24.17
cat >try.mjs <<'JS'
import { dereference } from "@scalar/openapi-parser";

const schemas = { Thing: { $anchor: "thing", type: "string" }, Other: { $ref: "#thing" } };
const { errors, schema } = await dereference({
  openapi: "3.1.0",
  info: { title: "t", version: "1" },
  paths: {},
  components: { schemas },
});
console.log("errors:", errors.length, "Other:", Object.keys(schema.components.schemas.Other).join());
JS
expected='errors: 0 Other: openapi,info,paths,components'
seen=$(node try.mjs)
[ "$seen" = "$expected" ] || { printf 'changed: expected\n%s\nsaw\n%s\n' "$expected" "$seen"; exit 1; }
printf 'still so with @scalar/openapi-parser 0.24.17:\n%s\n' "$seen"
