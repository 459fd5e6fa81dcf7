"use strict";
// The console. Each line goes to the host as a level, its text, and the raw arguments for whoever records them as values.
// https://console.spec.whatwg.org/
//
// natives.log(level, text, args) -> undefined; level is "debug", "log", "info", "warn" or "error". Must not throw. Without
//                                args, a line is for people alone: tails get what the five methods of these names write.
// natives.performanceNow()       -> milliseconds.
// natives.currentContext()       -> id of the running invocation's I/O context.
// natives.valueKind: see web/inspect.

const {
  ArrayIsArray,
  ArrayPrototypeIndexOf,
  ArrayPrototypePush,
  ErrorCaptureStackTrace,
  MapPrototypeForEach,
  NumberPrototypeToFixed,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  SafeMap,
  SetPrototypeForEach,
  String,
  StringPrototypeIndexOf,
  StringPrototypePadEnd,
  StringPrototypeRepeat,
  StringPrototypeSlice,
  SymbolToStringTag,
} = primordials;
const { formatLog, inspect } = require("web/inspect");

// Groups deeper than this are not indented further, and more labels than this are not remembered.
const MAX_GROUPS = 32;
const MAX_LABELS = 1000;
const MAX_ROWS = 1000;
const MAX_COLUMNS = 50;

// Groups belong to the invocation that opened them, so that one that is left open does not indent the next request's lines.
let groups = 0;
let groupContext = 0;
const counts = new SafeMap();
const timers = new SafeMap();

function openGroup(args) {
  if (args.length > 0) write("log", formatLog(args));
  const context = natives.currentContext();
  groups = context === groupContext ? groups + 1 : 1;
  groupContext = context;
}

function write(level, text, args = undefined) {
  if (groups > 0 && natives.currentContext() === groupContext) {
    const indent = StringPrototypeRepeat("  ", groups < MAX_GROUPS ? groups : MAX_GROUPS);
    let result = indent;
    let start = 0;
    for (let at; (at = StringPrototypeIndexOf(text, "\n", start)) !== -1; start = at + 1) {
      result += StringPrototypeSlice(text, start, at + 1) + indent;
    }
    text = result + StringPrototypeSlice(text, start);
  }
  natives.log(level, text, args);
}

// A label that cannot become a string must not make a log call throw.
function labelOf(value) {
  try {
    return String(value);
  } catch {
    return "default";
  }
}

function elapsed(label) {
  const milliseconds = natives.performanceNow() - timers.get(label);
  return milliseconds >= 1000
    ? `${label}: ${NumberPrototypeToFixed(milliseconds / 1000, 3)}s`
    : `${label}: ${NumberPrototypeToFixed(milliseconds, 3)}ms`;
}

function warn(text) {
  write("warn", text);
}

// ---- console.table -----------------------------------------------------------------------------------------------

function line(left, middle, right, widths) {
  let text = left;
  for (let i = 0; i < widths.length; i++) {
    text += StringPrototypeRepeat("\u2500", widths[i] + 2) + (i < widths.length - 1 ? middle : right);
  }
  return text;
}

function row(cells, widths) {
  let text = "\u2502";
  for (let i = 0; i < widths.length; i++) text += ` ${StringPrototypePadEnd(cells[i] ?? "", widths[i])} \u2502`;
  return text;
}

// `rows` have texts under numbers, for the heads that they have one for.
function drawTable(heads, rows) {
  const widths = [];
  for (let column = 0; column < heads.length; column++) {
    let width = heads[column].length;
    for (let i = 0; i < rows.length; i++) {
      const cell = rows[i][column];
      if (cell !== undefined && cell.length > width) width = cell.length;
    }
    ArrayPrototypePush(widths, width);
  }
  let text = `${line("\u250c", "\u252c", "\u2510", widths)}\n${row(heads, widths)}\n${line("\u251c", "\u253c", "\u2524", widths)}`;
  for (let i = 0; i < rows.length; i++) text += `\n${row(rows[i], widths)}`;
  return `${text}\n${line("\u2514", "\u2534", "\u2518", widths)}`;
}

// Own properties are read without calling accessors.
function cellOf(object, key) {
  const descriptor = ObjectGetOwnPropertyDescriptor(object, key);
  if (descriptor === undefined) return undefined;
  return descriptor.get !== undefined ? "[Getter]" : inspect(descriptor.value, { __proto__: null, depth: 0 });
}

// Proxies are not looked into.
function isOpenObject(value) {
  return ((typeof value === "object" && value !== null) || typeof value === "function") && natives.valueKind(value) !== "Proxy";
}

class Table {
  heads = ["(index)"];
  rows = [];
  // Column by the name of the property, so that names that are like numbers do no harm.
  keys = [];
  hasValues = false;
  values = [];
  fixed = undefined;

  add(index, value) {
    if (this.rows.length >= MAX_ROWS) return;
    const cells = { __proto__: null, 0: index };
    let own;
    if (isOpenObject(value)) {
      const keys = this.fixed ?? ObjectKeys(value);
      for (let i = 0; i < keys.length; i++) {
        let column = ArrayPrototypeIndexOf(this.keys, keys[i]);
        if (column === -1 && this.keys.length < MAX_COLUMNS) {
          column = this.keys.length;
          ArrayPrototypePush(this.keys, keys[i]);
          ArrayPrototypePush(this.heads, keys[i]);
        }
        if (column !== -1) cells[column + 1] = cellOf(value, keys[i]);
      }
    } else {
      own = inspect(value);
      this.hasValues = true;
    }
    ArrayPrototypePush(this.rows, cells);
    ArrayPrototypePush(this.values, own);
  }

  draw() {
    if (this.hasValues) {
      ArrayPrototypePush(this.heads, "Values");
      for (let i = 0; i < this.rows.length; i++) this.rows[i][this.heads.length - 1] = this.values[i];
    }
    return drawTable(this.heads, this.rows);
  }
}

function tableText(data, columns) {
  const table = new Table();
  if (columns !== undefined) {
    table.fixed = [];
    for (let i = 0; i < columns.length; i++) ArrayPrototypePush(table.fixed, String(columns[i]));
  }
  const kind = natives.valueKind(data);
  let index = 0;
  if (kind === "Map") {
    table.heads[0] = "(iteration index)";
    ArrayPrototypePush(table.heads, "Key", "Values");
    MapPrototypeForEach(data, (value, key) => {
      if (index >= MAX_ROWS) return;
      ArrayPrototypePush(table.rows, [`${index++}`, inspect(key), inspect(value, { __proto__: null, depth: 1 })]);
    });
    return drawTable(table.heads, table.rows);
  }
  if (kind === "Set") {
    table.heads[0] = "(iteration index)";
    SetPrototypeForEach(data, (value) => table.add(`${index++}`, value));
    return table.draw();
  }
  const keys = ObjectKeys(data);
  for (let i = 0; i < keys.length && i < MAX_ROWS; i++) {
    const descriptor = ObjectGetOwnPropertyDescriptor(data, keys[i]);
    if (descriptor !== undefined) table.add(keys[i], descriptor.get !== undefined ? "[Getter]" : descriptor.value);
  }
  return table.draw();
}

// ---- The methods -------------------------------------------------------------------------------------------------

const methods = {
  __proto__: null,
  debug(...args) {
    write("debug", formatLog(args), args);
  },
  error(...args) {
    write("error", formatLog(args), args);
  },
  info(...args) {
    write("info", formatLog(args), args);
  },
  log(...args) {
    write("log", formatLog(args), args);
  },
  warn(...args) {
    write("warn", formatLog(args), args);
  },
  dir(value, options) {
    write("log", inspect(value, options));
  },
  dirxml(...args) {
    write("log", formatLog(args));
  },
  table(data, columns) {
    let text;
    try {
      if (isOpenObject(data) && (columns === undefined || ArrayIsArray(columns))) text = tableText(data, columns);
    } catch {
      // A hostile object: shown as log() shows it.
    }
    write("log", text ?? formatLog([data]));
  },
  trace(...args) {
    let text = formatLog(args);
    try {
      const site = { __proto__: null, name: "Trace", message: text };
      ErrorCaptureStackTrace(site, methods.trace);
      text = String(site.stack);
    } catch {
      // The guest's Error.prepareStackTrace failed.
      text = `Trace: ${text}`;
    }
    write("log", text);
  },
  group(...args) {
    openGroup(args);
  },
  groupCollapsed(...args) {
    openGroup(args);
  },
  groupEnd() {
    if (groups > 0) groups--;
  },
  clear() {
    groups = 0;
  },
  count(label = "default") {
    label = labelOf(label);
    const count = (counts.get(label) ?? 0) + 1;
    if (count > 1 || counts.size < MAX_LABELS) counts.set(label, count);
    const text = `${label}: ${count}`;
    write("info", text);
  },
  countReset(label = "default") {
    label = labelOf(label);
    if (counts.has(label)) counts.delete(label);
    else warn(`Count for '${label}' does not exist`);
  },
  assert(condition = false, ...args) {
    if (condition) return;
    if (args.length === 0) args = ["Assertion failed"];
    else if (typeof args[0] === "string") args[0] = `Assertion failed: ${args[0]}`;
    else {
      const all = ["Assertion failed:"];
      for (let i = 0; i < args.length; i++) ArrayPrototypePush(all, args[i]);
      args = all;
    }
    write("error", formatLog(args));
  },
  time(label = "default") {
    label = labelOf(label);
    if (timers.has(label)) warn(`Timer '${label}' already exists`);
    else if (timers.size < MAX_LABELS) timers.set(label, natives.performanceNow());
    else warn(`Timer '${label}' was not started: ${MAX_LABELS} timers are running`);
  },
  timeLog(label = "default", ...args) {
    label = labelOf(label);
    if (!timers.has(label)) {
      warn(`Timer '${label}' does not exist`);
      return;
    }
    const time = elapsed(label);
    // The empty string stands first so that nothing the guest gives is a format string.
    const rest = [""];
    for (let i = 0; i < args.length; i++) ArrayPrototypePush(rest, args[i]);
    write("info", time + formatLog(rest));
  },
  timeEnd(label = "default") {
    label = labelOf(label);
    if (!timers.has(label)) {
      warn(`Timer '${label}' does not exist`);
      return;
    }
    const text = elapsed(label);
    timers.delete(label);
    write("info", text);
  },
  // Only a profiler would do something.
  timeStamp() {},
};

// A namespace object has a prototype of its own. https://console.spec.whatwg.org/#console-namespace
const console = ObjectCreate({});
const names = ObjectKeys(methods);
for (let i = 0; i < names.length; i++) {
  ObjectDefineProperty(console, names[i], {
    __proto__: null,
    value: methods[names[i]],
    writable: true,
    enumerable: true,
    configurable: true,
  });
}
ObjectDefineProperty(console, SymbolToStringTag, { __proto__: null, value: "console", configurable: true });

exports.console = console;
