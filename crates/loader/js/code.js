"use strict";
// WorkerCode: what `load` takes and `get`'s callback gives, checked with the reference's own words, turned into the flat
// form that natives read. Content is captured here, at the call.
//
// natives.checkCompatibility(date, flags, allowExperimental);
// natives.givenCompatibility() -> [date, flags] of this Worker

const {
  ArrayIsArray, ArrayPrototypePush, ArrayBufferIsView, Error, JSONStringify, ObjectKeys, StringPrototypeEndsWith,
  TypeError,
} = primordials;
const stubs = require("rpc/stubs");

const KINDS = ["js", "cjs", "text", "data", "json", "py", "wasm", "ts"];
const ONE_OF = "Each module must contain exactly one of 'js', 'cjs', 'text', 'data', 'json', 'py', or 'wasm'.";

function wrongType(field, type, dictionary = "WorkerCode") {
  return new TypeError(`Incorrect type for the '${field}' field on '${dictionary}': the provided value is not of type '${type}'.`);
}

// -> what natives.loaderLoad takes. Fields are read and their types checked in the reference's order, and only then
// what they say.
function specify(code) {
  if ((typeof code !== "object" && typeof code !== "function") || code === null) {
    throw new TypeError("Failed to execute 'load' on 'WorkerLoader': parameter 1 is not of type 'WorkerCode'.");
  }
  const date = code.compatibilityDate;
  const flags = optional(code.compatibilityFlags, "compatibilityFlags", strings);
  const experimental = !!code.allowExperimental;
  const limits = limitsOf(code.limits, "WorkerCode");
  const main = code.mainModule;
  const modules = code.modules;
  const short = modules === undefined && code.code !== undefined;
  if (!short && !isObject(modules)) throw wrongType("modules", "object");
  const env = envOf(code.env);
  const outbound = outboundOf(code.globalOutbound);
  const tails = optional(code.tails, "tails", fetchers);
  const streamingTails = optional(code.streamingTails, "streamingTails", fetchers);

  const given = short ? natives.givenCompatibility() : [undefined, []];
  const spec = { __proto__: null, env, outbound, limits, tails };
  spec.main = main === undefined && short ? "worker.js" : `${main}`;
  spec.modules = short ? [spec.main, "js or ts", `${code.code}`] : moduleList(modules, spec.main);
  spec.date = date === undefined && short ? given[0] : `${date}`;
  spec.flags = flags ?? given[1];
  // A child in the short form has its parent's flags, experimental ones too.
  spec.allowExperimental = allowsExperimental(experimental) || (short && flags === undefined);
  natives.checkCompatibility(spec.date, spec.flags, spec.allowExperimental);
  if (streamingTails !== undefined) {
    throw new Error(
      spec.allowExperimental
        ? "Streaming tail workers ('streamingTails') are not supported yet."
        : "Streaming tail workers are experimental. You must pass the option 'allowExperimental: true' to the worker loader to use them",
    );
  }
  return spec;
}

function isObject(value) {
  return (typeof value === "object" || typeof value === "function") && value !== null && !ArrayIsArray(value);
}

function optional(value, field, read) {
  if (value === undefined) return undefined;
  if (!ArrayIsArray(value)) throw wrongType(field, "Array");
  return read(value);
}

function allowsExperimental(wanted) {
  if (wanted && !natives.hasFlag("experimental")) {
    throw new Error("'allowExperimental' is only allowed when the calling worker has the 'experimental' compat flag set.");
  }
  return wanted;
}

function strings(value) {
  const list = [];
  for (let i = 0; i < value.length; i++) ArrayPrototypePush(list, `${value[i]}`);
  return list;
}

function fetchers(value) {
  const handles = [];
  for (let i = 0; i < value.length; i++) {
    const state = stubs.stateOf(value[i]);
    if (state === undefined || state.kind !== "service") {
      throw new TypeError(`Incorrect type for array element ${i}: the provided value is not of type 'Fetcher'.`);
    }
    ArrayPrototypePush(handles, stubs.handleOf(state));
  }
  return handles;
}

function envOf(env) {
  if (env === undefined) return {};
  if ((typeof env !== "object" && typeof env !== "function") || env === null) throw wrongType("env", "Object");
  return env;
}

function outboundOf(outbound) {
  if (outbound === undefined || outbound === null) return outbound;
  const state = stubs.stateOf(outbound);
  if (state === undefined || state.kind !== "service") throw wrongType("globalOutbound", "Fetcher");
  return stubs.handleOf(state);
}

function limitsOf(limits, dictionary) {
  if (limits === undefined || limits === null) return undefined;
  if (typeof limits !== "object" && typeof limits !== "function") throw wrongType("limits", "ResourceLimits", dictionary);
  const read = {
    __proto__: null, cpuMs: unsigned(limits.cpuMs), subRequests: unsigned(limits.subRequests),
    wallMs: unsigned(limits.wallMs),
  };
  // Memory is the isolate's: only who loads it can say how much it gets.
  if (dictionary === "WorkerCode") read.memoryMb = memory(unsigned(limits.memoryMb));
  return read;
}

// A Worker that does nothing much needs this: with less it could not start.
const MIN_MEMORY_MB = 8;

function memory(mebibytes) {
  if (mebibytes !== undefined && mebibytes < MIN_MEMORY_MB) {
    throw new TypeError(`limits.memoryMb is ${mebibytes}, but a Worker needs at least ${MIN_MEMORY_MB} MiB.`);
  }
  return mebibytes;
}

// WebIDL's `[EnforceRange] unsigned long?`, with the reference's texts.
function unsigned(value) {
  if (value === undefined || value === null) return undefined;
  value = primordials.MathTrunc(+value);
  if (!(value > -Infinity && value < Infinity)) {
    throw new TypeError("The value cannot be converted because it is not an integer.");
  }
  if (value < 0) {
    throw new TypeError("The value cannot be converted because it is negative and this API expects a positive number.");
  }
  if (value > 4294967295) throw new TypeError("Value out of range. Must be less than or equal to 4294967295.");
  return value;
}

// ---- Modules -------------------------------------------------------------------------------------------------------

function moduleList(modules, main) {
  const names = ObjectKeys(modules);
  if (names.length === 0) throw new TypeError("Dynamic Worker code must contain at least one module.");
  const list = [];
  for (let i = 0; i < names.length; i++) addModule(list, names[i], modules[names[i]], main);
  return list;
}

function addModule(list, name, content, main) {
  const isDictionary = typeof content === "object" || typeof content === "function";
  if (!isDictionary && content !== undefined) return addText(list, name, `${content}`, main);
  if (isDictionary && natives.valueKind(content) === "" && isWasmModule(content)) {
    return void ArrayPrototypePush(list, name, "wasm", content);
  }
  let kind;
  let value;
  let count = 0;
  for (let i = 0; i < KINDS.length; i++) {
    const given = content?.[KINDS[i]];
    if (given === undefined) continue;
    kind = KINDS[i];
    value = given;
    count++;
  }
  if (count !== 1) throw new TypeError(`${ONE_OF} Module '${name}' contained ${count} properties.`);
  ArrayPrototypePush(list, name, kind, contentOf(name, kind, value, main));
}

function isWasmModule(value) {
  return primordials.ObjectPrototypeToString(value) === "[object WebAssembly.Module]";
}

function contentOf(name, kind, value, main) {
  switch (kind) {
    case "json":
      return `${JSONStringify(value)}`;
    case "data":
      if (!isBytes(value)) throw wrongType("data", "Array", "Module");
      return value;
    case "wasm":
      if (!isBytes(value) && !isWasmModule(value)) throw wrongType("wasm", "Array or WasmModuleObject", "Module");
      return value;
    case "py":
      throw pythonModule(name, main);
    default:
      return `${value}`;
  }
}

function isBytes(value) {
  if (ArrayBufferIsView(value)) return true;
  return natives.valueKind(value) === "ArrayBuffer";
}

function addText(list, name, text, main) {
  if (StringPrototypeEndsWith(name, ".js")) return void ArrayPrototypePush(list, name, "js", text);
  if (StringPrototypeEndsWith(name, ".ts") || StringPrototypeEndsWith(name, ".mts")) {
    return void ArrayPrototypePush(list, name, "ts", text);
  }
  if (StringPrototypeEndsWith(name, ".py")) throw pythonModule(name, main);
  let message =
    `Module name must end with '.js' or '.py' (or the content must be an object indicating the type explicitly). Got: ${name}`;
  if (StringPrototypeEndsWith(name, ".tsx") || StringPrototypeEndsWith(name, ".jsx")) {
    message +=
      ". If you're trying to load TypeScript, bundle it first with '@cloudflare/worker-bundler' and pass the generated JavaScript modules.";
  }
  throw new TypeError(message);
}

function pythonModule(name, main) {
  if (StringPrototypeEndsWith(main, ".py")) return new Error(`Python Workers are not supported yet: module "${name}".`);
  return new TypeError(`Module "${name}" is a Python module, but the main module isn't a Python module.`);
}

exports.limitsOf = limitsOf;
exports.specify = specify;
exports.wrongType = wrongType;
