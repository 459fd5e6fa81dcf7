"use strict";
// What inspect() shows of each kind of object: the name before the brace, the braces, and the members that are not
// properties. The native functions are described in web/inspect.

const {
  ArrayBufferPrototypeGetByteLength,
  ArrayIsArray,
  ArrayPrototypeIndexOf,
  ArrayPrototypePush,
  BigIntPrototypeToString,
  BigIntPrototypeValueOf,
  BooleanPrototypeValueOf,
  DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteLength,
  DataViewPrototypeGetByteOffset,
  DatePrototypeGetTime,
  DatePrototypeToISOString,
  FunctionPrototypeToString,
  MapPrototypeForEach,
  MapPrototypeGetSize,
  MathMin,
  NumberIsNaN,
  NumberPrototypeToString,
  NumberPrototypeValueOf,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetOwnPropertySymbols,
  ObjectGetPrototypeOf,
  ObjectKeys,
  ReflectOwnKeys,
  RegExpPrototypeGetFlags,
  RegExpPrototypeGetSource,
  SetPrototypeForEach,
  SetPrototypeGetSize,
  StringPrototypeEndsWith,
  StringPrototypeIncludes,
  StringPrototypeIndexOf,
  StringPrototypePadStart,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  StringPrototypeValueOf,
  SymbolPrototypeToString,
  SymbolPrototypeValueOf,
  TypedArrayPrototypeGetLength,
  TypedArrayPrototypeGetSymbolToStringTag,
  Uint8Array,
  WeakRefPrototypeDeref,
} = primordials;
const { MAX_STRING, cut, formatNumber, formatPrimitive, indentLines, quoteString } = require("web/inspect/text");

const MAX_ITEMS = 100;

// ---- Names of classes, without calling anything ----

// The value of a data property of the object or its prototypes; a proxy on the way ends the search.
function dataProperty(object, key) {
  for (let holder = object; holder !== null; holder = ObjectGetPrototypeOf(holder)) {
    if (natives.valueKind(holder) === "Proxy") return undefined;
    const descriptor = ObjectGetOwnPropertyDescriptor(holder, key);
    if (descriptor !== undefined) return descriptor.value;
  }
  return undefined;
}

function functionName(value) {
  if (natives.valueKind(value) === "Proxy") return "";
  const name = ObjectGetOwnPropertyDescriptor(value, "name")?.value;
  return typeof name === "string" ? name : "";
}

// null for an object without a class.
function className(value) {
  for (let holder = ObjectGetPrototypeOf(value); holder !== null; holder = ObjectGetPrototypeOf(holder)) {
    if (natives.valueKind(holder) === "Proxy") return "Object";
    const maker = ObjectGetOwnPropertyDescriptor(holder, "constructor")?.value;
    if (typeof maker === "function") {
      const name = functionName(maker);
      if (name !== "") return name;
    }
  }
  return null;
}

// "Foo(2) [Tag] " before the brace.
function prefix(name, tag, fallback, size) {
  const start = name === null ? `[${fallback}${size}: null prototype] ` : `${name}${size} `;
  return tag !== "" && tag !== (name ?? fallback) ? `${start}[${tag}] ` : start;
}

// ---- Shapes ----

// What stands around the members: `base` before the brace, or alone when there are none.
class Shape {
  base = "";
  open = "{";
  close = "}";
  keys = undefined;
  // Writes the members that are not properties: items, entries, bytes.
  contents = undefined;
}

function ownKeys(run, value) {
  if (run.showHidden) return ReflectOwnKeys(value);
  const keys = ObjectKeys(value);
  const symbols = ObjectGetOwnPropertySymbols(value);
  for (let i = 0; i < symbols.length; i++) {
    if (ObjectGetOwnPropertyDescriptor(value, symbols[i])?.enumerable) ArrayPrototypePush(keys, symbols[i]);
  }
  return keys;
}

function itemKeys(run, value) {
  const keys = natives.ownNonIndexKeys(value, true);
  if (run.showHidden) ArrayPrototypePush(keys, "length");
  return keys;
}

function describe(run, value, kind, name, tag, shape) {
  if (typeof value === "function") {
    shape.base = functionBase(value, kind, name, tag);
  } else if (ArrayIsArray(value)) {
    shape.open = name === "Array" && tag === "" ? "[" : `${prefix(name, tag, "Array", `(${value.length})`)}[`;
    shape.close = "]";
    shape.keys = itemKeys(run, value);
    if (value.length > 0) shape.contents = arrayItems;
  } else if (kind === "TypedArray") {
    const type = TypedArrayPrototypeGetSymbolToStringTag(value);
    const length = TypedArrayPrototypeGetLength(value);
    shape.open = `${prefix(name, tag === type ? "" : tag, type, `(${length})`)}[`;
    shape.close = "]";
    shape.keys = natives.ownNonIndexKeys(value, true);
    if (length > 0) shape.contents = typedArrayItems;
  } else if (kind === "ArgumentsObject") {
    shape.open = "[Arguments] [";
    shape.close = "]";
    shape.keys = natives.ownNonIndexKeys(value, true);
    shape.contents = arrayItems;
  } else if (kind === "Map" || kind === "Set") {
    const size = kind === "Map" ? MapPrototypeGetSize(value) : SetPrototypeGetSize(value);
    shape.open = `${prefix(name, tag, kind, `(${size})`)}{`;
    if (size > 0) shape.contents = kind === "Map" ? mapEntries : setItems;
  } else if (kind === "NativeError" || isErrorLike(value)) {
    describeError(run, value, name, tag, shape);
  } else {
    describeOther(value, kind, name, tag, shape);
  }
}

// Classes over Error.prototype that were not made by its constructor, as DOMException is.
function isErrorLike(value) {
  for (let holder = ObjectGetPrototypeOf(value); holder !== null; holder = ObjectGetPrototypeOf(holder)) {
    if (holder === primordials.Error.prototype) return true;
    if (natives.valueKind(holder) === "Proxy") return false;
  }
  return false;
}

function describeOther(value, kind, name, tag, shape) {
  switch (kind) {
    case "Date":
      shape.base = NumberIsNaN(DatePrototypeGetTime(value)) ? "Invalid Date" : DatePrototypeToISOString(value);
      return;
    case "RegExp":
      shape.base = `/${RegExpPrototypeGetSource(value)}/${RegExpPrototypeGetFlags(value)}`;
      return;
    case "NumberObject":
      shape.base = `[Number: ${formatNumber(NumberPrototypeValueOf(value))}]`;
      return;
    case "BooleanObject":
      shape.base = `[Boolean: ${BooleanPrototypeValueOf(value)}]`;
      return;
    case "BigIntObject":
      shape.base = `[BigInt: ${BigIntPrototypeToString(BigIntPrototypeValueOf(value), 10)}n]`;
      return;
    case "SymbolObject":
      shape.base = `[Symbol: ${SymbolPrototypeToString(SymbolPrototypeValueOf(value))}]`;
      return;
    case "StringObject":
      shape.base = `[String: ${quoteString(cut(StringPrototypeValueOf(value), MAX_STRING))}]`;
      shape.keys = natives.ownNonIndexKeys(value, true);
      return;
    case "ModuleNamespaceObject":
      shape.open = "[Module: null prototype] {";
      return;
    case "WeakMap":
    case "WeakSet":
    case "WeakRef":
    case "ArrayBuffer":
    case "DataView":
      shape.open = `${prefix(name, tag, kind, "")}{`;
      shape.contents =
        kind === "ArrayBuffer" ? bufferBytes : kind === "DataView" ? viewFields : kind === "WeakRef" ? referent : unknownItems;
      return;
    default:
      if (name !== "Object" || tag !== "") shape.open = `${prefix(name, tag, "Object", "")}{`;
  }
}

function functionBase(value, kind, name, tag) {
  const own = functionName(value);
  const source = FunctionPrototypeToString(value);
  if (StringPrototypeStartsWith(source, "class") && StringPrototypeEndsWith(source, "}")) {
    const parent = ObjectGetPrototypeOf(value);
    const parentName = typeof parent === "function" ? functionName(parent) : "";
    const heritage = parentName !== "" ? ` extends ${parentName}` : parent === null ? " extends [null prototype]" : "";
    return `[class ${own === "" ? "(anonymous)" : own}${heritage}]`;
  }
  const type = kind === "" ? "Function" : kind;
  const tagged = tag !== "" && tag !== type && name !== null ? ` [${tag}]` : "";
  return `[${type}${own === "" ? " (anonymous)" : `: ${own}`}]${tagged}`;
}

function describeError(run, error, name, tag, shape) {
  let stack;
  try {
    stack = error.stack;
  } catch {
    // Without its stack.
  }
  const errorName = textProperty(error, "name") ?? "Error";
  const message = textProperty(error, "message") ?? "";
  if (typeof stack !== "string" || stack === "") stack = message === "" ? errorName : `${errorName}: ${message}`;
  // The first line has the name that the error had when it was made, which for most subclasses is "Error".
  const shown = name ?? errorName;
  const firstLineEnd = StringPrototypeIndexOf(stack, "\n");
  const firstLine = firstLineEnd === -1 ? stack : StringPrototypeSlice(stack, 0, firstLineEnd);
  if (errorName !== shown && !StringPrototypeIncludes(firstLine, shown) && StringPrototypeStartsWith(stack, errorName)) {
    stack = shown + StringPrototypeSlice(stack, errorName.length);
  }
  if (!StringPrototypeIncludes(stack, "\n    at")) stack = `[${stack}]`;
  if (tag !== "" && !StringPrototypeIncludes(firstLine, tag)) stack += ` [${tag}]`;
  shape.base = indentLines(cut(stack, MAX_STRING), run.indentation);
  run.budget -= shape.base.length;
  const keys = ownKeys(run, error);
  shape.keys = [];
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    if (key === "stack") continue;
    if ((key === "message" || key === "name") && StringPrototypeIncludes(stack, textProperty(error, key) ?? "")) continue;
    ArrayPrototypePush(shape.keys, key);
  }
  if (!run.showHidden) {
    // Not enumerable, but what one looks for.
    if (isMissing(error, shape.keys, "cause")) ArrayPrototypePush(shape.keys, "cause");
    if (isMissing(error, shape.keys, "errors")) ArrayPrototypePush(shape.keys, "errors");
  }
}

function textProperty(object, key) {
  const value = dataProperty(object, key);
  return typeof value === "string" ? value : undefined;
}

function isMissing(object, keys, key) {
  return ObjectGetOwnPropertyDescriptor(object, key) !== undefined && ArrayPrototypeIndexOf(keys, key) === -1;
}

// ---- Members that are not properties ----

function moreItems(members, count) {
  if (count > 0) ArrayPrototypePush(members, `... ${count} more item${count > 1 ? "s" : ""}`);
}

function arrayItems(run, array, members, level) {
  // Of an arguments object it can be anything.
  const found = dataProperty(array, "length");
  const length = typeof found === "number" ? found : 0;
  let at = 0;
  for (; at < length && members.length < MAX_ITEMS && run.budget > 0; at++) {
    const descriptor = ObjectGetOwnPropertyDescriptor(array, at);
    if (descriptor !== undefined) {
      ArrayPrototypePush(members, run.formatDescriptor(descriptor, level));
      run.budget -= 2 + run.indentation;
      continue;
    }
    const start = at;
    // Sparse arrays can be as long as 2^32: the gap is measured in what is printed anyway, then left to the rest.
    while (at + 1 < length && at - start < 1_000_000 && ObjectGetOwnPropertyDescriptor(array, at + 1) === undefined) at++;
    const holes = at - start + 1;
    ArrayPrototypePush(members, `<${holes} empty item${holes > 1 ? "s" : ""}>`);
  }
  moreItems(members, length - at);
}

function typedArrayItems(run, array, members) {
  const length = TypedArrayPrototypeGetLength(array);
  const shown = MathMin(length, MAX_ITEMS);
  for (let i = 0; i < shown; i++) ArrayPrototypePush(members, formatPrimitive(run, array[i], 1));
  run.budget -= shown * 4;
  moreItems(members, length - shown);
}

function setItems(run, set, members, level) {
  let rest = 0;
  SetPrototypeForEach(set, (item) => {
    if (members.length >= MAX_ITEMS || run.budget <= 0) rest++;
    else ArrayPrototypePush(members, run.formatValue(item, level));
  });
  moreItems(members, rest);
}

function mapEntries(run, map, members, level) {
  let rest = 0;
  MapPrototypeForEach(map, (item, key) => {
    if (members.length >= MAX_ITEMS || run.budget <= 0) rest++;
    else ArrayPrototypePush(members, `${run.formatValue(key, level)} => ${run.formatValue(item, level)}`);
  });
  moreItems(members, rest);
}

function unknownItems(run, value, members) {
  ArrayPrototypePush(members, "<items unknown>");
}

function referent(run, ref, members, level) {
  const target = WeakRefPrototypeDeref(ref);
  ArrayPrototypePush(members, target === undefined ? "<cleared>" : run.formatValue(target, level));
}

function bufferBytes(run, buffer, members) {
  const length = ArrayBufferPrototypeGetByteLength(buffer);
  const bytes = length === 0 ? [] : new Uint8Array(buffer, 0, MathMin(50, length));
  let text = "";
  for (let i = 0; i < MathMin(50, length); i++) {
    text += (i === 0 ? "" : " ") + StringPrototypePadStart(NumberPrototypeToString(bytes[i], 16), 2, "0");
  }
  if (length > 50) text += ` ... ${length - 50} more byte${length > 51 ? "s" : ""}`;
  ArrayPrototypePush(members, `[Uint8Contents]: <${text}>`, `byteLength: ${length}`);
  run.budget -= text.length;
}

function viewFields(run, view, members, level) {
  ArrayPrototypePush(
    members,
    `byteLength: ${DataViewPrototypeGetByteLength(view)}`,
    `byteOffset: ${DataViewPrototypeGetByteOffset(view)}`,
    `buffer: ${run.formatValue(DataViewPrototypeGetBuffer(view), level)}`,
  );
}

exports.Shape = Shape;
exports.className = className;
exports.dataProperty = dataProperty;
exports.describe = describe;
exports.ownKeys = ownKeys;
exports.prefix = prefix;
