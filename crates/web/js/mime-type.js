"use strict";
// MIME types: parsed and written as https://mimesniff.spec.whatwg.org/#understanding-mime-types says.

const {
  ArrayPrototypePush, RegExpPrototypeExec, SafeSet, StringPrototypeCharCodeAt, StringPrototypeIndexOf,
  StringPrototypeSlice, StringPrototypeToLowerCase, StringPrototypeTrim, StringPrototypeTrimEnd,
} = primordials;

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const quotable = /^[\t\x20-\x7e\x80-\xff]*$/;
// What is longer is no type.
const maxLength = 65_536;
const quote = 0x22;
const backslash = 0x5c;

// -> { essence, parameters: [name, value, ...] }, or undefined for what is none.
function parse(text) {
  if (text.length > maxLength) return undefined;
  text = StringPrototypeTrim(text);
  const slash = StringPrototypeIndexOf(text, "/");
  if (slash < 0) return undefined;
  let position = indexOf(text, ";", slash);
  const type = StringPrototypeSlice(text, 0, slash);
  const subtype = StringPrototypeTrimEnd(StringPrototypeSlice(text, slash + 1, position));
  if (RegExpPrototypeExec(token, type) === null || RegExpPrototypeExec(token, subtype) === null) return undefined;
  const parameters = [];
  const names = new SafeSet();
  while (position < text.length) position = parseParameter(text, position + 1, parameters, names);
  return { __proto__: null, essence: StringPrototypeToLowerCase(`${type}/${subtype}`), parameters };
}

// Adds the parameter that starts at `position`, if it is one that `names` does not have yet. -> where the next begins.
function parseParameter(text, position, parameters, names) {
  const end = indexOf(text, ";", position);
  // Not in all of the text: many parameters without a value would take quadratic time.
  const offset = StringPrototypeIndexOf(StringPrototypeSlice(text, position, end), "=");
  if (offset < 0) return end;
  const equals = position + offset;
  const name = StringPrototypeToLowerCase(StringPrototypeTrim(StringPrototypeSlice(text, position, equals)));
  let next = end;
  let value;
  if (StringPrototypeCharCodeAt(text, equals + 1) === quote) {
    const quoted = unquote(text, equals + 2);
    value = quoted.value;
    next = indexOf(text, ";", quoted.end);
  } else {
    value = StringPrototypeTrim(StringPrototypeSlice(text, equals + 1, end));
    if (value === "") return end;
  }
  const valid = RegExpPrototypeExec(token, name) !== null && RegExpPrototypeExec(quotable, value) !== null;
  if (valid && !names.has(name)) {
    names.add(name);
    ArrayPrototypePush(parameters, name, value);
  }
  return next;
}

// What stands in quotes, from behind the first of them on.
function unquote(text, position) {
  let value = "";
  for (; position < text.length; position++) {
    const code = StringPrototypeCharCodeAt(text, position);
    if (code === quote) break;
    if (code === backslash && position + 1 < text.length) position++;
    value += text[position];
  }
  return { __proto__: null, value, end: position };
}

function serialize({ essence, parameters }) {
  let text = essence;
  for (let i = 0; i < parameters.length; i += 2) {
    const value = parameters[i + 1];
    text += `;${parameters[i]}=${RegExpPrototypeExec(token, value) === null ? `"${escape(value)}"` : value}`;
  }
  return text;
}

function escape(value) {
  let text = "";
  for (let i = 0; i < value.length; i++) {
    const code = StringPrototypeCharCodeAt(value, i);
    text += code === quote || code === backslash ? `\\${value[i]}` : value[i];
  }
  return text;
}

// The type that a Content-Type header says, as text; "" if it says none.
// https://fetch.spec.whatwg.org/#concept-header-extract-mime-type
function extract(header) {
  if (header.length > maxLength) return "";
  let found;
  let charset;
  for (let position = 0; position <= header.length; ) {
    const end = endOfPart(header, position);
    const type = parse(StringPrototypeSlice(header, position, end));
    position = end + 1;
    if (type === undefined || type.essence === "*/*") continue;
    const own = find(type.parameters, "charset");
    if (own !== undefined || type.essence !== found?.essence) charset = own;
    else if (charset !== undefined) ArrayPrototypePush(type.parameters, "charset", charset);
    found = type;
  }
  return found === undefined ? "" : serialize(found);
}

// Where the next comma is that does not stand in quotes.
function endOfPart(header, position) {
  for (; position < header.length; position++) {
    const code = StringPrototypeCharCodeAt(header, position);
    if (code === 0x2c) break;
    if (code === quote) position = unquote(header, position + 1).end;
  }
  return position < header.length ? position : header.length;
}

function find(parameters, name) {
  for (let i = 0; i < parameters.length; i += 2) if (parameters[i] === name) return parameters[i + 1];
  return undefined;
}

function indexOf(text, part, position) {
  const index = StringPrototypeIndexOf(text, part, position);
  return index < 0 ? text.length : index;
}

exports.extract = extract;
exports.parse = parse;
exports.serialize = serialize;
