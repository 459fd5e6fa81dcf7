"use strict";
// How node:assert shows values: printed with one member to a line and sorted keys, so that equal values give equal
// lines, and as a "+ actual - expected" diff of those lines in the form that Node.js 20 prints.
// https://nodejs.org/docs/latest-v20.x/api/assert.html#assertdeepstrictequalactual-expected-message
//
// natives.valueKind and natives.ownNonIndexKeys: see node/comparisons.

const {
  ArrayIsArray, ArrayPrototypeIndexOf, ArrayPrototypeJoin, ArrayPrototypePop, ArrayPrototypePush,
  ArrayPrototypeSlice, ArrayPrototypeSort, BigIntPrototypeToString, BigIntPrototypeValueOf,
  BooleanPrototypeValueOf, DatePrototypeGetTime, DatePrototypeToISOString, ErrorPrototypeToString,
  FunctionPrototypeCall, FunctionPrototypeToString, MapPrototypeForEach, MapPrototypeGetSize, NumberIsNaN,
  NumberPrototypeToString, NumberPrototypeValueOf, ObjectGetOwnPropertyDescriptor,
  ObjectGetOwnPropertySymbols, ObjectGetPrototypeOf, ObjectIs, ObjectKeys, ObjectPrototypeHasOwnProperty,
  ObjectPrototypeIsPrototypeOf, ObjectPrototypePropertyIsEnumerable, ObjectPrototypeToString,
  RegExpPrototypeExec, RegExpPrototypeGetFlags, RegExpPrototypeGetSource, SafeMap, SetPrototypeForEach,
  SetPrototypeGetSize, String, StringPrototypeCharCodeAt, StringPrototypeEndsWith, StringPrototypeIncludes,
  StringPrototypeIndexOf, StringPrototypeRepeat, StringPrototypeSlice, StringPrototypeStartsWith,
  StringPrototypeValueOf, SymbolPrototypeToString, SymbolPrototypeValueOf, SymbolToStringTag,
  TypedArrayPrototypeGetLength, TypedArrayPrototypeGetSymbolToStringTag,
} = primordials;
const { inspect } = require("web/inspect");
const { isError } = require("web/node/comparisons");

// Depth and string length are Node's. The text of one value has a limit of its own: a diff shows fifty lines of it.
const MAX_DEPTH = 1000;
const MAX_STRING_LENGTH = 10_000;
const MAX_TEXT_LENGTH = 4_000_000;
const MAX_DIFF_LINES = 50;
const MAX_WHOLE_LINES = 47;

const HEX = "0123456789ABCDEF";
const IDENTIFIER = /^[a-zA-Z_][a-zA-Z_0-9]*$/;
const ESCAPES = { __proto__: null, 8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 92: "\\\\" };

// Prints a value; `truncated` says that MAX_TEXT_LENGTH was reached and members were left out.
function printValue(value) {
  const state = { __proto__: null, path: [], references: new SafeMap(), left: MAX_TEXT_LENGTH, truncated: false };
  const text = print(value, state, "");
  return { __proto__: null, text, truncated: state.truncated };
}

function print(value, state, indent) {
  switch (typeof value) {
    case "string":
      return printString(value);
    case "number":
      return ObjectIs(value, -0) ? "-0" : NumberPrototypeToString(value, 10);
    case "bigint":
      return `${BigIntPrototypeToString(value, 10)}n`;
    case "symbol":
      return SymbolPrototypeToString(value);
    case "object":
    case "function":
      return value === null ? "null" : printReference(value, state, indent);
    default:
      return `${value}`;
  }
}

function printString(text) {
  const excess = text.length - MAX_STRING_LENGTH;
  if (excess <= 0) return quote(text);
  const shown = quote(StringPrototypeSlice(text, 0, MAX_STRING_LENGTH));
  return `${shown}... ${excess} more character${excess > 1 ? "s" : ""}`;
}

function quote(text) {
  let mark = "'";
  if (StringPrototypeIncludes(text, "'")) {
    if (!StringPrototypeIncludes(text, '"')) mark = '"';
    else if (!StringPrototypeIncludes(text, "`") && !StringPrototypeIncludes(text, "${")) mark = "`";
  }
  let quoted = mark;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const escape = escapeAt(text, i, mark);
    if (escape === "") continue;
    quoted += StringPrototypeSlice(text, start, i) + escape;
    start = i + 1;
  }
  return quoted + StringPrototypeSlice(text, start) + mark;
}

function escapeAt(text, i, mark) {
  const code = StringPrototypeCharCodeAt(text, i);
  if (ESCAPES[code] !== undefined) return ESCAPES[code];
  if (code === 39) return mark === "'" ? "\\'" : "";
  if (code < 32 || (code >= 127 && code <= 159)) return `\\x${HEX[code >> 4]}${HEX[code & 15]}`;
  if (code < 0xd800 || code > 0xdfff) return "";
  const partner = StringPrototypeCharCodeAt(text, code < 0xdc00 ? i + 1 : i - 1);
  const paired = code < 0xdc00 ? partner >= 0xdc00 && partner <= 0xdfff : partner >= 0xd800 && partner < 0xdc00;
  return paired ? "" : `\\u${NumberPrototypeToString(code, 16)}`;
}

function printReference(value, state, indent) {
  if (ArrayPrototypeIndexOf(state.path, value) !== -1) {
    if (!state.references.has(value)) state.references.set(value, state.references.size + 1);
    return `[Circular *${state.references.get(value)}]`;
  }
  const shape = shapeOf(value);
  if (shape === undefined) return printOpaque(value, indent);
  if (state.path.length > MAX_DEPTH) return `[${shape.name ?? "Object: null prototype"}]`;
  ArrayPrototypePush(state.path, value);
  const members = printMembers(value, shape, state, `${indent}  `);
  ArrayPrototypePop(state.path);
  const reference = state.references.has(value) ? `<ref *${state.references.get(value)}> ` : "";
  const open = shape.base === "" ? shape.open : `${shape.base} ${shape.open}`;
  if (members.length !== 0) {
    return `${reference}${open}\n${indent}  ${ArrayPrototypeJoin(members, `,\n${indent}  `)}\n${indent}${shape.close}`;
  }
  return `${reference}${shape.base === "" ? open + shape.close : shape.base}`;
}

// Promises, proxies, buffers and the runtime's own classes, whose state is not in members: shown as everywhere else.
function printOpaque(value, indent) {
  // One member to a line, where inspect knows that option.
  const lines = splitLines(inspect(value, { __proto__: null, depth: 4, compact: false, sorted: true }));
  return ArrayPrototypeJoin(lines, `\n${indent}`);
}

// What stands around the members of a value; undefined if inspect is to print it.
function shapeOf(value) {
  const kind = typeof value === "function" ? "Function" : printedKind(value);
  if (kind === undefined) return undefined;
  const name = constructorName(value);
  const shape = { __proto__: null, name, kind, base: "", open: "{", close: "}", keys: undefined };
  if (ArrayIsArray(value) && kind === "") {
    shape.kind = "Array";
    shape.keys = natives.ownNonIndexKeys(value, true);
    const prefix = name === "Array" && tagOf(value, name) === "" ? "" : prefixOf(value, name, "Array", value.length);
    return brackets(shape, prefix);
  }
  if (kind === "TypedArray") {
    shape.keys = natives.ownNonIndexKeys(value, true);
    const type = TypedArrayPrototypeGetSymbolToStringTag(value);
    return brackets(shape, prefixOf(value, name, type, TypedArrayPrototypeGetLength(value)));
  }
  shape.keys = enumerableKeys(value, kind);
  if (kind === "Map") shape.open = `${prefixOf(value, name, kind, MapPrototypeGetSize(value))}{`;
  else if (kind === "Set") shape.open = `${prefixOf(value, name, kind, SetPrototypeGetSize(value))}{`;
  else if (kind === "ArgumentsObject") shape.open = "[Arguments] {";
  else if (isError(value)) return errorShape(value, shape);
  else if (kind === "Function" || kind === "RegExp" || kind === "Date") shape.base = leafText(value, kind, name);
  else if (StringPrototypeEndsWith(kind, "Object") && kind !== "GeneratorObject" && kind !== "ModuleNamespaceObject") {
    shape.base = boxedText(value, kind);
  } else if (ObjectPrototypeToString(value) === "[object URL]") {
    shape.base = String(value.href);
  } else if (kind !== "" || (shape.keys.length === 0 && name !== "Object" && name !== null)) return undefined;
  else if (name !== "Object" || tagOf(value, name) !== "") shape.open = `${prefixOf(value, name, "Object")}{`;
  return shape;
}

// Proxies are shown by what their traps answer, as they were compared, unless they have been revoked.
function printedKind(value) {
  const kind = natives.valueKind(value);
  if (kind !== "Proxy") return kind;
  try {
    ArrayIsArray(value);
    return "";
  } catch {
    return undefined;
  }
}

function brackets(shape, prefix) {
  shape.open = `${prefix}[`;
  shape.close = "]";
  return shape;
}

function leafText(value, kind, name) {
  if (kind === "Function") return functionText(value, name);
  let text;
  if (kind === "RegExp") text = `/${RegExpPrototypeGetSource(value)}/${RegExpPrototypeGetFlags(value)}`;
  else text = NumberIsNaN(DatePrototypeGetTime(value)) ? "Invalid Date" : DatePrototypeToISOString(value);
  const prefix = prefixOf(value, name, kind);
  return prefix === `${kind} ` ? text : prefix + text;
}

function functionText(value, name) {
  const label = typeof value.name === "string" ? value.name : "";
  if (StringPrototypeStartsWith(FunctionPrototypeToString(value), "class")) {
    const parent = ObjectGetPrototypeOf(value)?.name;
    const extending = typeof parent === "string" && parent !== "" ? ` extends ${parent}` : "";
    return `[class ${label === "" ? "(anonymous)" : label}${extending}]`;
  }
  return `[${name ?? "Function (null prototype)"}${label === "" ? " (anonymous)" : `: ${label}`}]`;
}

function boxedText(value, kind) {
  const type = StringPrototypeSlice(kind, 0, -"Object".length);
  let primitive;
  if (type === "Number") primitive = NumberPrototypeValueOf(value);
  else if (type === "String") primitive = StringPrototypeValueOf(value);
  else if (type === "Boolean") primitive = BooleanPrototypeValueOf(value);
  else if (type === "BigInt") primitive = BigIntPrototypeValueOf(value);
  else primitive = SymbolPrototypeValueOf(value);
  return `[${type}: ${print(primitive, undefined, "")}]`;
}

// Without stack frames: they tell where the two errors were made, which always differs, and hide what they say.
function errorShape(value, shape) {
  let text = ErrorPrototypeToString(value);
  const { name } = shape;
  const shown = String(value.name);
  const nameless = name !== null && name !== "Error" && !StringPrototypeIncludes(text, name);
  if (nameless && StringPrototypeStartsWith(text, shown)) {
    const title = StringPrototypeIncludes(name, shown) ? name : `${name} [${shown}]`;
    text = title + StringPrototypeSlice(text, shown.length);
  }
  shape.keys = keysBeside(value, text, shape.keys);
  shape.kind = "NativeError";
  shape.base = `[${text}]`;
  const hidden = ["cause", "errors"];
  for (let i = 0; i < hidden.length; i++) {
    const own = ObjectPrototypeHasOwnProperty(value, hidden[i]);
    if (own && !ObjectPrototypePropertyIsEnumerable(value, hidden[i])) ArrayPrototypePush(shape.keys, hidden[i]);
  }
  return shape;
}

// An own enumerable name or message is not shown twice.
function keysBeside(value, text, keys) {
  const rest = [];
  for (let i = 0; i < keys.length; i++) {
    const inText = keys[i] === "name" || keys[i] === "message" || keys[i] === "stack";
    if (!inText || !StringPrototypeIncludes(text, String(value[keys[i]]))) ArrayPrototypePush(rest, keys[i]);
  }
  return rest;
}

function enumerableKeys(value, kind) {
  if (kind === "StringObject") return natives.ownNonIndexKeys(value, true);
  const keys = ObjectKeys(value);
  const symbols = ObjectGetOwnPropertySymbols(value);
  for (let i = 0; i < symbols.length; i++) {
    if (ObjectPrototypePropertyIsEnumerable(value, symbols[i])) ArrayPrototypePush(keys, symbols[i]);
  }
  return keys;
}

// The name of the nearest constructor on the prototype chain that is one of the value's; null if there is none.
function constructorName(value) {
  for (let at = value; at !== null; at = ObjectGetPrototypeOf(at)) {
    const own = ObjectGetOwnPropertyDescriptor(at, "constructor");
    if (own === undefined || typeof own.value !== "function") continue;
    const name = own.value.name;
    const prototype = own.value.prototype;
    if (typeof name !== "string" || name === "" || prototype === null || prototype === undefined) continue;
    if (at === prototype || ObjectPrototypeIsPrototypeOf(prototype, value)) return name;
  }
  return null;
}

function tagOf(value, name) {
  const tag = value[SymbolToStringTag];
  if (typeof tag !== "string" || tag === "" || tag === name) return "";
  return ObjectPrototypePropertyIsEnumerable(value, SymbolToStringTag) ? "" : tag;
}

function prefixOf(value, name, fallback, size) {
  const count = size === undefined ? "" : `(${size})`;
  const tag = tagOf(value, name ?? fallback);
  const title = name === null ? `[${fallback}${count}: null prototype]` : `${name}${count}`;
  return tag === "" ? `${title} ` : `${title} [${tag}] `;
}

function printMembers(value, shape, state, indent) {
  const members = [];
  const { kind, keys } = shape;
  if (kind === "Array") printItems(value, value.length, members, state, indent);
  else if (kind === "TypedArray") printItems(value, TypedArrayPrototypeGetLength(value), members, state, indent);
  else if (kind === "Set") SetPrototypeForEach(value, (item) => addMember(members, state, indent, "", item));
  else if (kind === "Map") {
    MapPrototypeForEach(value, (item, key) => {
      if (state.left > 0) addMember(members, state, indent, `${print(key, state, indent)} => `, item);
      else state.truncated = true;
    });
  }
  const items = shape.close === "]" ? members : undefined;
  const named = items === undefined ? members : [];
  for (let i = 0; i < keys.length; i++) printProperty(value, keys[i], named, state, indent);
  ArrayPrototypeSort(named);
  for (let i = 0; items !== undefined && i < named.length; i++) ArrayPrototypePush(items, named[i]);
  return members;
}

function addMember(members, state, indent, label, value) {
  if (state.left <= 0) {
    state.truncated = true;
    return;
  }
  const before = state.left;
  const text = label + print(value, state, indent);
  // What is inside `text` has been counted by the members of the value itself.
  const inner = before - state.left;
  state.left -= indent.length + (text.length > inner ? text.length - inner : 0);
  ArrayPrototypePush(members, text);
}

function printItems(value, length, members, state, indent) {
  for (let i = 0; i < length; i++) {
    if (state.left <= 0) {
      state.truncated = true;
      return;
    }
    if (value[i] !== undefined || ObjectPrototypeHasOwnProperty(value, i)) {
      addMember(members, state, indent, "", value[i]);
      continue;
    }
    const next = nextIndex(value, i, length);
    ArrayPrototypePush(members, `<${next - i} empty item${next - i > 1 ? "s" : ""}>`);
    i = next - 1;
  }
}

// The first index after a hole; by keys where the hole is long, since a length says nothing about what is in an array.
function nextIndex(value, from, length) {
  const end = length - from > 1000 ? from + 1000 : length;
  let at = from;
  while (at < end && !ObjectPrototypeHasOwnProperty(value, at)) at++;
  if (at < end || end === length) return at;
  const keys = ObjectKeys(value);
  const count = keys.length - natives.ownNonIndexKeys(value, false).length;
  for (let i = 0; i < count; i++) if (+keys[i] >= at) return +keys[i];
  return length;
}

function printProperty(value, key, members, state, indent) {
  const own = ObjectGetOwnPropertyDescriptor(value, key);
  if (own === undefined) return;
  const label = `${printKey(key, own.enumerable)}: `;
  if (ObjectPrototypeHasOwnProperty(own, "value")) addMember(members, state, indent, label, own.value);
  else if (own.get === undefined) ArrayPrototypePush(members, `${label}[Setter]`);
  else printGetter(value, own, label, members, state, indent);
}

// Getters are called, since the comparison calls them too.
function printGetter(value, own, label, members, state, indent) {
  const kind = own.set === undefined ? "Getter" : "Getter/Setter";
  let result;
  try {
    result = FunctionPrototypeCall(own.get, value);
  } catch (error) {
    ArrayPrototypePush(members, `${label}[${kind}: <Inspection threw (${error?.message})>]`);
    return;
  }
  if (typeof result === "object" && result !== null) addMember(members, state, indent, `${label}[${kind}] `, result);
  else ArrayPrototypePush(members, `${label}[${kind}: ${print(result, state, indent)}]`);
}

function printKey(key, enumerable) {
  if (typeof key === "symbol") return `[${SymbolPrototypeToString(key)}]`;
  if (key === "__proto__") return "['__proto__']";
  if (!enumerable) return `[${key}]`;
  return RegExpPrototypeExec(IDENTIFIER, key) !== null ? key : quote(key);
}

function splitLines(text) {
  const lines = [];
  let start = 0;
  for (let end; (end = StringPrototypeIndexOf(text, "\n", start)) !== -1; start = end + 1) {
    ArrayPrototypePush(lines, StringPrototypeSlice(text, start, end));
  }
  ArrayPrototypePush(lines, StringPrototypeSlice(text, start));
  return lines;
}

// The diff of two printed values under `header`. `byReference` says that the values are objects compared by identity.
function createDiff(actual, expected, header, byReference) {
  const printedActual = printValue(actual);
  const printedExpected = printValue(expected);
  const left = splitLines(printedActual.text);
  const right = splitLines(printedExpected.text);
  let pointer = "";
  if (left.length === 1 && right.length === 1 && left[0] !== right[0]) {
    const length = left[0].length + right[0].length;
    if (length <= 12) {
      if (isShortPair(actual, expected)) return `${header}\n\n${left[0]} !== ${right[0]}\n`;
    } else if (!byReference && length < 80) pointer = pointerToDifference(left[0], right[0]);
  }
  const tail = popCommonTail(left, right);
  if (left.length === 0 && right.length === 0) {
    const text = wholeText(printedActual.text);
    if (!printedActual.truncated) return `Values have same structure but are not reference-equal:\n\n${text}\n`;
    return `${header}\n\n${text}\n(the difference lies beyond the ${MAX_TEXT_LENGTH} characters that were printed)\n`;
  }
  const body = mergeLines(left, right);
  const skipped = body.skipped || (tail.skipped && !body.cut) ? " ... Lines skipped" : "";
  const title = `${header}\n+ actual - expected${skipped}\n`;
  return body.cut ? `${title}${body.text}` : `${title}${body.text}${tail.text}${pointer}`;
}

// Two zeros differ in their sign only, which is easy to overlook in "0 !== -0".
function isShortPair(actual, expected) {
  if (typeof actual === "object" && actual !== null) return false;
  if (typeof expected === "object" && expected !== null) return false;
  return actual !== 0 || expected !== 0;
}

function pointerToDifference(left, right) {
  let at = 0;
  while (at < left.length && left[at] === right[at]) at++;
  return at > 2 ? `\n  ${StringPrototypeRepeat(" ", at)}^` : "";
}

// Takes the lines that both end with off them; shows the first of these and the last three.
function popCommonTail(left, right) {
  let text = "";
  let first = "";
  let count = 0;
  while (left.length !== 0 && right.length !== 0 && left[left.length - 1] === right[right.length - 1]) {
    const line = ArrayPrototypePop(left);
    ArrayPrototypePop(right);
    if (count++ < 3) text = `\n  ${line}${text}`;
    else first = line;
  }
  if (count >= 5) text = `\n...${text}`;
  if (first !== "") text = `\n  ${first}${text}`;
  return { __proto__: null, text, skipped: count >= 5 };
}

// A printed value that stands alone in a message, cut to its first lines.
function wholeText(text) {
  const lines = splitLines(text);
  if (lines.length <= MAX_DIFF_LINES) return text;
  return `${ArrayPrototypeJoin(ArrayPrototypeSlice(lines, 0, MAX_WHOLE_LINES - 1), "\n")}\n...`;
}

// Lines are compared in pairs from the top; a run of different lines prints the actual ones first.
function mergeLines(left, right) {
  const out = { __proto__: null, text: "", removed: "", equal: 0, printed: 0, skipped: false, cut: false };
  const longer = left.length < right.length ? right : left;
  const paired = left.length < right.length ? left.length : right.length;
  for (let i = 0; i < longer.length; i++) {
    if (i < paired && equalButComma(left[i], right[i])) {
      addEqualLine(out, left[i].length < right[i].length ? right[i] : left[i]);
    } else {
      // The lines of context before a change: up to three, and "..." for what was left out between.
      addContext(out, longer === left || i < paired ? left : right, i);
      if (i < paired || longer === left) addLine(out, "+", left[i]);
      if (i < paired || longer === right) addLine(out, "-", right[i]);
    }
    if (out.printed > MAX_DIFF_LINES && i < longer.length - 2) {
      out.text += `\n...${out.removed}\n...`;
      out.skipped = true;
      out.cut = true;
      return out;
    }
  }
  out.text += out.removed;
  return out;
}

// The last member of a value has no comma, and that alone makes no difference.
function equalButComma(a, b) {
  return a === b || `${a},` === b || a === `${b},`;
}

function addLine(out, sign, line) {
  if (sign === "+") out.text += `\n+ ${line}`;
  else out.removed += `\n- ${line}`;
  out.printed++;
}

function addEqualLine(out, line) {
  out.text += out.removed;
  out.removed = "";
  if (++out.equal > 2) return;
  out.text += `\n  ${line}`;
  out.printed++;
}

function addContext(out, lines, changed) {
  const hidden = out.equal - 2;
  out.equal = 0;
  if (hidden <= 0) return;
  if (hidden > 3) {
    out.text += "\n...";
    out.skipped = true;
  }
  for (let i = hidden > 3 ? 2 : hidden; i > 0; i--) {
    out.text += `\n  ${lines[changed - i]}`;
    out.printed++;
  }
}

exports.createDiff = createDiff;
exports.printValue = (value) => printValue(value).text;
exports.wholeText = wholeText;
