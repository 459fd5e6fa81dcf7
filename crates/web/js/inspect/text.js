"use strict";
// How primitive values look when they are inspected, and the cutting and indenting of text.

const {
  BigIntPrototypeToString,
  NumberPrototypeToString,
  ObjectIs,
  RegExpPrototypeExec,
  String,
  StringPrototypeCharCodeAt,
  StringPrototypeIncludes,
  StringPrototypeIndexOf,
  StringPrototypePadStart,
  StringPrototypeRepeat,
  StringPrototypeSlice,
  StringPrototypeToUpperCase,
  SymbolPrototypeToString,
} = primordials;

const MAX_STRING = 10_000;
const LINE_WIDTH = 80;
const needsEscape = /[\x00-\x1f'\\\x7f-\x9f\ud800-\udfff]/;

function failure(error) {
  let message = "unknown error";
  try {
    message = typeof error === "object" && error !== null ? String(error.message) : String(error);
  } catch {
    // The error is as hostile as the value was.
  }
  return `<inspection failed: ${StringPrototypeSlice(message, 0, 200)}>`;
}

function cut(text, limit) {
  if (text.length <= limit) return text;
  return `${StringPrototypeSlice(text, 0, limit)}... ${text.length - limit} more characters cut`;
}

function formatNumber(value) {
  return ObjectIs(value, -0) ? "-0" : NumberPrototypeToString(value, 10);
}

function escapeUnit(text, at, code, quote) {
  if (code === quote || code === 0x5c) return `\\${text[at]}`;
  if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) {
    const short = "btn_fr"[code - 8];
    if (short !== undefined && short !== "_") return `\\${short}`;
    return `\\x${StringPrototypeToUpperCase(StringPrototypePadStart(NumberPrototypeToString(code, 16), 2, "0"))}`;
  }
  return undefined;
}

function quoteString(text) {
  if (RegExpPrototypeExec(needsEscape, text) === null) return `'${text}'`;
  let quote = "'";
  if (StringPrototypeIncludes(text, "'")) {
    if (!StringPrototypeIncludes(text, '"')) quote = '"';
    else if (!StringPrototypeIncludes(text, "`") && !StringPrototypeIncludes(text, "${")) quote = "`";
  }
  const quoteCode = StringPrototypeCharCodeAt(quote, 0);
  let result = quote;
  let copied = 0;
  for (let at = 0; at < text.length; at++) {
    const code = StringPrototypeCharCodeAt(text, at);
    let escaped;
    if (code >= 0xd800 && code <= 0xdfff) {
      const next = at + 1 < text.length ? StringPrototypeCharCodeAt(text, at + 1) : 0;
      if (code <= 0xdbff && next >= 0xdc00 && next <= 0xdfff) at++;
      else escaped = `\\u${NumberPrototypeToString(code, 16)}`;
    } else {
      escaped = escapeUnit(text, at, code, quoteCode);
    }
    if (escaped === undefined) continue;
    result += StringPrototypeSlice(text, copied, at) + escaped;
    copied = at + 1;
  }
  return result + StringPrototypeSlice(text, copied) + quote;
}

// Inside an object a long text is shown line by line.
function formatString(run, text, level) {
  let trailer = "";
  if (text.length > MAX_STRING) {
    trailer = `... ${text.length - MAX_STRING} more characters`;
    text = StringPrototypeSlice(text, 0, MAX_STRING);
  }
  if (level === 0 || text.length <= 16 || text.length <= LINE_WIDTH - run.indentation - 4) return quoteString(text) + trailer;
  const pad = `\n${StringPrototypeRepeat(" ", run.indentation + 2)}`;
  let result = "";
  for (let start = 0; start < text.length; ) {
    const newline = StringPrototypeIndexOf(text, "\n", start);
    const end = newline === -1 ? text.length : newline + 1;
    result += (start === 0 ? "" : ` +${pad}`) + quoteString(StringPrototypeSlice(text, start, end));
    start = end;
  }
  return result + trailer;
}

function formatPrimitive(run, value, level) {
  switch (typeof value) {
    case "string":
      return formatString(run, value, level);
    case "number":
      return formatNumber(value);
    case "bigint":
      return `${BigIntPrototypeToString(value, 10)}n`;
    case "symbol":
      return SymbolPrototypeToString(value);
    default:
      return `${value}`;
  }
}

function indentLines(text, indentation) {
  if (indentation === 0 || !StringPrototypeIncludes(text, "\n")) return text;
  const pad = `\n${StringPrototypeRepeat(" ", indentation)}`;
  let result = "";
  let start = 0;
  for (let at; (at = StringPrototypeIndexOf(text, "\n", start)) !== -1; start = at + 1) {
    result += StringPrototypeSlice(text, start, at) + pad;
  }
  return result + StringPrototypeSlice(text, start);
}

exports.LINE_WIDTH = LINE_WIDTH;
exports.MAX_STRING = MAX_STRING;
exports.cut = cut;
exports.failure = failure;
exports.formatNumber = formatNumber;
exports.formatPrimitive = formatPrimitive;
exports.indentLines = indentLines;
exports.quoteString = quoteString;
