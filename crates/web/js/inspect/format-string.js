"use strict";
// The text of a console call: format strings with %s %d %i %f %j %o %O %c, and arguments without one.
// https://console.spec.whatwg.org/#formatter

const {
  JSONStringify,
  Number,
  NumberParseFloat,
  NumberParseInt,
  ObjectIs,
  String,
  StringPrototypeCharCodeAt,
  StringPrototypeIncludes,
  StringPrototypeSlice,
} = primordials;
const { Inspection, MAX_OUTPUT, capped } = require("web/inspect");
const { failure, formatNumber, formatPrimitive } = require("web/inspect/text");

function formatDirective(run, directive, value) {
  const isObject = (typeof value === "object" && value !== null) || typeof value === "function";
  switch (directive) {
    case 115: // s
      if (typeof value === "bigint" || ObjectIs(value, -0)) return formatPrimitive(run, value, 0);
      if (!isObject) return String(value);
      run.depth = 0;
      return run.formatValue(value, 0);
    case 100: // d
      if (typeof value === "bigint") return formatPrimitive(run, value, 0);
      return typeof value === "symbol" || isObject ? "NaN" : formatNumber(Number(value));
    case 105: // i
      if (typeof value === "bigint") return formatPrimitive(run, value, 0);
      return typeof value === "symbol" || isObject ? "NaN" : formatNumber(NumberParseInt(value));
    case 102: // f
      return typeof value === "symbol" || isObject ? "NaN" : formatNumber(NumberParseFloat(value));
    case 106: // j
      try {
        return String(JSONStringify(value));
      } catch (error) {
        return StringPrototypeIncludes(failure(error), "circular") ? "[Circular]" : failure(error);
      }
    case 79: // O
      return run.formatValue(value, 0);
    case 111: // o
      run.depth = 4;
      run.showHidden = true;
      return run.formatValue(value, 0);
    case 99: // c: a style
      return "";
    default:
      return undefined;
  }
}

// The text of one console call: the first argument may be a format string, the rest is appended.
function formatLog(args) {
  try {
    return capped(format(args));
  } catch (error) {
    return failure(error);
  }
}

function format(args) {
  let budget = MAX_OUTPUT - 1024;
  let text = "";
  let next = 0;
  const first = args.length > 0 ? args[0] : undefined;
  if (typeof first === "string") {
    next = 1;
    if (args.length === 1) return first;
    let copied = 0;
    for (let at = 0; at < first.length - 1; at++) {
      if (StringPrototypeCharCodeAt(first, at) !== 37) continue;
      const directive = StringPrototypeCharCodeAt(first, at + 1);
      let shown;
      if (directive === 37) {
        shown = "%";
      } else if (next < args.length) {
        const run = new Inspection();
        run.budget = budget;
        shown = formatDirective(run, directive, args[next]);
        if (shown === undefined) continue;
        budget -= shown.length;
        next++;
      } else {
        continue;
      }
      text += StringPrototypeSlice(first, copied, at) + shown;
      copied = ++at + 1;
    }
    text += StringPrototypeSlice(first, copied);
  }
  for (let i = next; i < args.length; i++) {
    const value = args[i];
    const run = new Inspection();
    run.budget = budget;
    const shown = typeof value === "string" ? value : run.formatValue(value, 0);
    budget -= shown.length;
    text += i === 0 ? shown : ` ${shown}`;
  }
  return text;
}

exports.formatLog = formatLog;
