"use strict";
// How values look in logs and in assertion messages: inspect(), in the manner of Node's util.inspect, and the format strings
// of the console. Nothing here throws, and no trap of a proxy and no accessor property is called on the way, but for
// the `stack` of errors.
// https://nodejs.org/api/util.html#utilinspectobject-options https://console.spec.whatwg.org/#formatter
//
// natives.valueKind(value)                -> string, see web/node/comparisons.
// natives.ownNonIndexKeys(object, symbols) -> array of own enumerable keys that are not array indices.
// natives.proxyTarget(proxy)              -> the target, or null when the proxy is revoked.
// The runtime's own classes may describe themselves with a method under `inspect.custom`, as guests' classes may.

const {
  ArrayIsArray,
  ArrayPrototypeJoin,
  ArrayPrototypePush,
  MathFloor,
  MathMax,
  MathMin,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ReflectApply,
  RegExpPrototypeExec,
  SafeMap,
  String,
  StringPrototypeCharCodeAt,
  StringPrototypeIncludes,
  StringPrototypePadEnd,
  StringPrototypePadStart,
  StringPrototypeRepeat,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  StringPrototypeTrimEnd,
  SymbolFor,
  SymbolPrototypeToString,
  SymbolToStringTag,
} = primordials;
const { LINE_WIDTH, MAX_STRING, cut, failure, formatPrimitive, indentLines, quoteString } = require("web/inspect/text");
const { Shape, className, dataProperty, describe, ownKeys, prefix } = require("web/inspect/shapes");

// Of one call, in UTF-16 units. What a line of a log may weigh.
const MAX_OUTPUT = 64 * 1024;
const MAX_DEPTH = 64;
// So many levels of nesting may share a line.
const LEVELS_PER_LINE = 3;
const customInspect = SymbolFor("nodejs.util.inspect.custom");
const identifier = /^[a-zA-Z_$][a-zA-Z_$0-9]*$/;

// One call of inspect().
class Inspection {
  depth = 2;
  showHidden = false;
  // What may still be written; objects are left out once it is used up.
  budget = MAX_OUTPUT - 1024;
  indentation = 0;
  // Innermost level that was printed last.
  deepest = 0;
  // The objects around the one at work, as a linked list, and the numbers of those that came again inside themselves.
  parents = undefined;
  circular = undefined;

  formatValue(value, level) {
    let text;
    if ((typeof value !== "object" && typeof value !== "function") || value === null) {
      text = formatPrimitive(this, value, level);
      this.budget -= text.length;
      return text;
    }
    if (this.budget <= 0) return "[...]";
    const { indentation, parents } = this;
    try {
      text = formatObject(this, value, level);
    } catch (error) {
      this.indentation = indentation;
      this.parents = parents;
      text = failure(error);
      this.budget -= text.length;
    }
    return text;
  }

  formatDescriptor(descriptor, level) {
    if (descriptor.get !== undefined) return descriptor.set !== undefined ? "[Getter/Setter]" : "[Getter]";
    if (descriptor.set !== undefined) return "[Setter]";
    return this.formatValue(descriptor.value, level);
  }
}

function formatObject(run, value, level) {
  const kind = natives.valueKind(value);
  if (kind === "Proxy") {
    const target = natives.proxyTarget(value);
    if (target === null) return "<Revoked Proxy>";
    if (natives.valueKind(target) === "Proxy") return "Proxy(Proxy)";
    return `Proxy(${run.formatValue(target, level)})`;
  }
  for (let parent = run.parents; parent !== undefined; parent = parent.next) {
    if (parent.value !== value) continue;
    run.circular ??= new SafeMap();
    if (!run.circular.has(value)) run.circular.set(value, run.circular.size + 1);
    return `[Circular *${run.circular.get(value)}]`;
  }
  const custom = dataProperty(value, customInspect);
  if (typeof custom === "function" && custom !== inspect) {
    const options = { depth: run.depth - level, showHidden: run.showHidden, stylize: String };
    const result = ReflectApply(custom, value, [options.depth, options, inspect]);
    if (result !== value) {
      if (typeof result !== "string") return level > MAX_DEPTH ? "[Object]" : run.formatValue(result, level + 1);
      run.budget -= result.length;
      return indentLines(cut(result, MAX_OUTPUT), run.indentation);
    }
  }
  run.parents = { __proto__: null, value, next: run.parents };
  const text = formatPlain(run, value, kind, level);
  run.parents = run.parents.next;
  const reference = run.circular?.get(value);
  return reference === undefined ? text : `<ref *${reference}> ${text}`;
}

function formatPlain(run, value, kind, level) {
  const name = className(value);
  const rawTag = dataProperty(value, SymbolToStringTag);
  // One that is listed with the properties need not be shown twice.
  const isListed = ObjectGetOwnPropertyDescriptor(value, SymbolToStringTag)?.enumerable;
  const tag = typeof rawTag === "string" && rawTag !== name && !isListed ? rawTag : "";
  const shape = new Shape();
  describe(run, value, kind, name, tag, shape);
  if (shape.keys === undefined) shape.keys = ownKeys(run, value);
  if (shape.keys.length === 0 && shape.contents === undefined) {
    const text = shape.base !== "" ? shape.base : shape.open + shape.close;
    run.budget -= text.length;
    return text;
  }
  if (level > run.depth || level > MAX_DEPTH) {
    const short = prefix(name, tag, ArrayIsArray(value) ? "Array" : "Object", "");
    return `[${StringPrototypeSlice(short, 0, -1)}]`;
  }
  run.deepest = level;
  const members = [];
  run.indentation += 2;
  if (shape.contents !== undefined) shape.contents(run, value, members, level + 1);
  const isList = shape.open[shape.open.length - 1] === "[" && members.length > 6;
  const listed = members.length;
  for (let i = 0; i < shape.keys.length; i++) {
    if (run.budget <= 0) {
      ArrayPrototypePush(members, `... ${shape.keys.length - i} more properties`);
      break;
    }
    const member = formatProperty(run, value, shape.keys[i], level + 1);
    run.budget -= 4 + run.indentation;
    ArrayPrototypePush(members, member);
  }
  run.indentation -= 2;
  const rows = isList && listed === members.length ? columns(members, run.indentation) : members;
  return layOut(run, rows, rows === members, shape, level);
}

function formatProperty(run, object, key, level) {
  let name;
  if (typeof key === "symbol") name = `[${SymbolPrototypeToString(key)}]`;
  else if (key === "__proto__") name = "['__proto__']";
  else name = RegExpPrototypeExec(identifier, key) === null ? quoteString(cut(key, MAX_STRING)) : key;
  run.budget -= name.length;
  let descriptor;
  try {
    descriptor = ObjectGetOwnPropertyDescriptor(object, key);
  } catch {
    // A binding of a module that has not been evaluated.
    return `${name}: <uninitialized>`;
  }
  if (descriptor === undefined) return `${name}: undefined`;
  if (!descriptor.enumerable && typeof key === "string") name = `[${name}]`;
  return `${name}: ${run.formatDescriptor(descriptor, level)}`;
}

// ---- Layout ------------------------------------------------------------------------------------------------------

// Many short items go into columns.
function columns(members, indentation) {
  let width = 0;
  let isNumeric = true;
  for (let i = 0; i < members.length; i++) {
    const member = members[i];
    if (StringPrototypeIncludes(member, "\n")) return members;
    if (StringPrototypeStartsWith(member, "... ") && i === members.length - 1) break;
    width = MathMax(width, member.length);
    const code = StringPrototypeCharCodeAt(member, member.length - 1);
    // The last unit of a number, or the n of a bigint.
    if ((code < 0x30 || code > 0x39) && code !== 0x6e) isNumeric = false;
  }
  const perRow = MathMin(16, MathFloor((LINE_WIDTH - 4 - indentation) / (width + 2)));
  if (perRow < 2) return members;
  const rows = [];
  let row = "";
  let inRow = 0;
  for (let i = 0; i < members.length; i++) {
    const member = members[i];
    const isLast = i === members.length - 1;
    if (isLast && StringPrototypeStartsWith(member, "... ")) {
      if (row !== "") ArrayPrototypePush(rows, StringPrototypeSlice(StringPrototypeTrimEnd(row), 0, -1));
      ArrayPrototypePush(rows, member);
      return rows;
    }
    const ends = ++inRow === perRow || isLast;
    const cell = isLast ? member : `${member},`;
    if (isNumeric) row += StringPrototypePadStart(cell, isLast ? width : width + 1) + (ends ? "" : " ");
    else row += ends ? cell : StringPrototypePadEnd(cell, width + 2);
    if (!ends) continue;
    // layOut() puts a comma after each row but the last.
    ArrayPrototypePush(rows, isLast ? row : StringPrototypeSlice(row, 0, -1));
    row = "";
    inRow = 0;
  }
  return rows;
}

function layOut(run, members, mayShareLine, shape, level) {
  const open = shape.base === "" ? shape.open : `${shape.base} ${shape.open}`;
  if (mayShareLine && run.deepest - level < LEVELS_PER_LINE) {
    let length = members.length * 2 + run.indentation + open.length + 10;
    let isFlat = !StringPrototypeIncludes(shape.base, "\n");
    for (let i = 0; i < members.length && isFlat; i++) {
      length += members[i].length;
      isFlat = length <= LINE_WIDTH && !StringPrototypeIncludes(members[i], "\n");
    }
    if (isFlat) return `${open} ${ArrayPrototypeJoin(members, ", ")} ${shape.close}`;
  }
  const pad = `\n${StringPrototypeRepeat(" ", run.indentation)}`;
  return `${open}${pad}  ${ArrayPrototypeJoin(members, `,${pad}  `)}${pad}${shape.close}`;
}

// ---- The two entrances -------------------------------------------------------------------------------------------

function capped(text) {
  if (text.length <= MAX_OUTPUT) return text;
  return `${StringPrototypeSlice(text, 0, MAX_OUTPUT)}\n... ${text.length - MAX_OUTPUT} more characters cut`;
}

// options: `depth` (levels of nesting that are shown, 2; null or Infinity for as many as there are) and `showHidden`
// (properties that are not enumerable).
function inspect(value, options) {
  try {
    const run = new Inspection();
    if (typeof options === "object" && options !== null) {
      const { depth, showHidden } = options;
      if (depth !== undefined) run.depth = depth === null ? Infinity : +depth;
      run.showHidden = !!showHidden;
    }
    return capped(run.formatValue(value, 0));
  } catch (error) {
    return failure(error);
  }
}
ObjectDefineProperty(inspect, "custom", {
  __proto__: null, value: customInspect, writable: true, enumerable: true, configurable: true,
});

exports.Inspection = Inspection;
exports.MAX_OUTPUT = MAX_OUTPUT;
exports.capped = capped;
exports.inspect = inspect;
exports.formatLog = (args) => require("web/inspect/format-string").formatLog(args);
