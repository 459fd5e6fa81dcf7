"use strict";
// FormData, and its two encodings: multipart/form-data (RFC 7578, both ways) and
// application/x-www-form-urlencoded (parsing). https://xhr.spec.whatwg.org/#interface-formdata
//
// natives.utf8Encode(string)                        -> Uint8Array; lone surrogates become U+FFFD.
// natives.textDecode(name, bytes, fatal, ignoreBOM) -> string.
// natives.formParse(string)                         -> flat array [name, value, ...].
// natives.randomUuid()                              -> string; throws outside of an I/O context.
const {
  ArrayPrototypePush,
  StringPrototypeCharCodeAt,
  StringPrototypeIndexOf,
  StringPrototypeSlice,
  StringPrototypeToLowerCase,
  StringPrototypeToWellFormed,
  StringPrototypeTrim,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeIndexOf,
  Uint8Array,
} = primordials;
const {
  argumentError,
  defineInterface,
  defineIterable,
  illegalInvocation,
  pairValues,
  removePairs,
  setPair,
} = require("web/webidl");
const {
  blobBytes,
  blobType,
  concatenate,
  fileFromBytes,
  fileLastModified,
  fileName,
  isBlob,
  isFile,
} = require("web/blob");

const maxParts = 65_536;
const maxPartHeaderBytes = 16_384;
const cr = 0x0d;
const lf = 0x0a;
const dash = 0x2d;

let pairsOf;

class FormData {
  // [name, string or File, ...]
  #list = [];

  append(name, value, filename = undefined) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 2) throw missingArgument("append", arguments.length);
    name = StringPrototypeToWellFormed(`${name}`);
    ArrayPrototypePush(this.#list, name, entryValue(name, value, filename));
  }

  set(name, value, filename = undefined) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 2) throw missingArgument("set", arguments.length);
    name = StringPrototypeToWellFormed(`${name}`);
    setPair(this.#list, name, entryValue(name, value, filename));
  }

  delete(name) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 1) throw missingArgument("delete", 0);
    removePairs(this.#list, 0, StringPrototypeToWellFormed(`${name}`));
  }

  get(name) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 1) throw missingArgument("get", 0);
    name = StringPrototypeToWellFormed(`${name}`);
    for (let i = 0; i < this.#list.length; i += 2) if (this.#list[i] === name) return this.#list[i + 1];
    return null;
  }

  getAll(name) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 1) throw missingArgument("getAll", 0);
    return pairValues(this.#list, StringPrototypeToWellFormed(`${name}`));
  }

  has(name) {
    if (!(#list in this)) throw illegalInvocation();
    if (arguments.length < 1) throw missingArgument("has", 0);
    name = StringPrototypeToWellFormed(`${name}`);
    for (let i = 0; i < this.#list.length; i += 2) if (this.#list[i] === name) return true;
    return false;
  }

  static {
    exports.isFormData = (value) => typeof value === "object" && value !== null && #list in value;
    pairsOf = (formData) => {
      if (!(#list in formData)) throw illegalInvocation();
      return formData.#list;
    };
    exports.formDataFromList = (list) => {
      const formData = new FormData();
      formData.#list = list;
      return formData;
    };
  }
}

defineInterface(FormData, "FormData");
defineIterable(FormData, "FormData", pairsOf);

function missingArgument(operation, given) {
  return argumentError("FormData", operation, given + 1, given === 0 ? "string" : "File or Blob or string");
}

// https://xhr.spec.whatwg.org/#create-an-entry. Like Workers, a file name beside a string is ignored.
function entryValue(name, value, filename) {
  if (!isBlob(value)) return StringPrototypeToWellFormed(`${value}`);
  if (isFile(value) && filename === undefined) return value;
  const file = filename === undefined ? name : `${filename}`;
  return fileFromBytes(blobBytes(value), file, blobType(value), isFile(value) ? fileLastModified(value) : undefined);
}

// Parses "; name=value; name="quoted value"" from `position` on. The first of two equal names counts.
// In quotes only \" is an escape: some senders write file names with plain backslashes.
function parseParameters(text, position) {
  const parameters = { __proto__: null };
  while (position < text.length) {
    let end = endOfParameter(text, position);
    // Not in all of the text: many parameters without a value would take quadratic time.
    const offset = StringPrototypeIndexOf(StringPrototypeSlice(text, position, end), "=");
    if (offset === -1) {
      position = end + 1;
      continue;
    }
    const equals = position + offset;
    const name = StringPrototypeToLowerCase(StringPrototypeTrim(StringPrototypeSlice(text, position, equals)));
    let value = "";
    position = equals + 1;
    if (text[position] === '"') {
      for (position++; position < text.length && text[position] !== '"'; position++) {
        if (text[position] === "\\" && text[position + 1] === '"') position++;
        value += text[position];
      }
      end = endOfParameter(text, position);
    } else {
      value = StringPrototypeTrim(StringPrototypeSlice(text, position, end));
    }
    parameters[name] ??= value;
    position = end + 1;
  }
  return parameters;
}

function endOfParameter(text, position) {
  const semicolon = StringPrototypeIndexOf(text, ";", position);
  return semicolon === -1 ? text.length : semicolon;
}

// A Content-Type or Content-Disposition value: [what stands before the first ";", in lower case; parameters].
function parseHeaderValue(text) {
  const semicolon = StringPrototypeIndexOf(text, ";");
  const first = semicolon === -1 ? text : StringPrototypeSlice(text, 0, semicolon);
  const parameters = semicolon === -1 ? { __proto__: null } : parseParameters(text, semicolon + 1);
  return { first: StringPrototypeToLowerCase(StringPrototypeTrim(first)), parameters };
}

function decode(bytes, start, end) {
  return natives.textDecode("utf-8", viewOf(bytes, start, end), false, true);
}

function viewOf(bytes, start, end) {
  const offset = TypedArrayPrototypeGetByteOffset(bytes) + start;
  return new Uint8Array(TypedArrayPrototypeGetBuffer(bytes), offset, end - start);
}

// The FormData of a body. `bytes` (a Uint8Array) must not change afterwards: the files in it are views of it.
// `contentType` is the header's value or null. Throws TypeError for a body that is not what the type says.
function parseFormData(bytes, contentType) {
  const { first: essence, parameters } = parseHeaderValue(contentType ?? "");
  if (essence === "application/x-www-form-urlencoded") {
    const { charset } = parameters;
    if (charset !== undefined && StringPrototypeToLowerCase(charset) !== "utf-8") {
      throw new TypeError("Non-utf-8 application/x-www-form-urlencoded body.");
    }
    const text = decode(bytes, 0, TypedArrayPrototypeGetByteLength(bytes));
    return exports.formDataFromList(natives.formParse(text));
  }
  if (essence !== "multipart/form-data") {
    throw new TypeError(
      "Unrecognized Content-Type header value. FormData can only parse the following MIME types: " +
        "multipart/form-data, application/x-www-form-urlencoded",
    );
  }
  const { boundary } = parameters;
  if (boundary === undefined || boundary === "") {
    throw new TypeError(
      "No boundary string in Content-Type header. The multipart/form-data MIME type requires a boundary parameter, " +
        "e.g. 'Content-Type: multipart/form-data; boundary=\"abcd\"'. See RFC 7578, section 4.",
    );
  }
  return exports.formDataFromList(parseMultipart(bytes, natives.utf8Encode(`--${boundary}`)));
}

function parseMultipart(bytes, delimiter) {
  const length = TypedArrayPrototypeGetByteLength(bytes);
  const delimiterLength = TypedArrayPrototypeGetByteLength(delimiter);
  let position = 0;
  if (!startsWith(bytes, length, 0, delimiter, delimiterLength)) {
    position = findDelimiter(bytes, length, 0, delimiter, delimiterLength);
  }
  if (position === -1) throw new TypeError("No initial boundary string (or you have a truncated message).");
  const list = [];
  for (;;) {
    position += delimiterLength;
    if (bytes[position] === dash && bytes[position + 1] === dash) return list;
    position = skipLineEnd(bytes, position);
    if (list.length / 2 >= maxParts) throw new TypeError(`FormData body has more than ${maxParts} parts.`);
    const part = parsePartHeaders(bytes, length, position);
    // From the line feed before the body on, so that an empty body without a line end of its own is found too.
    const next = findDelimiter(bytes, length, part.bodyStart - 1, delimiter, delimiterLength);
    if (next === -1) throw new TypeError("No subsequent boundary string after multipart message.");
    let end = next - 1;
    if (end > part.bodyStart && bytes[end - 1] === cr) end--;
    if (end < part.bodyStart) end = part.bodyStart;
    const value =
      part.filename === undefined || part.filename === ""
        ? decode(bytes, part.bodyStart, end)
        : fileFromBytes(viewOf(bytes, part.bodyStart, end), part.filename, part.contentType);
    ArrayPrototypePush(list, part.name, value);
    position = next;
  }
}

function startsWith(bytes, length, position, delimiter, delimiterLength) {
  if (position + delimiterLength > length) return false;
  for (let i = 0; i < delimiterLength; i++) if (bytes[position + i] !== delimiter[i]) return false;
  return true;
}

// The next delimiter at the beginning of a line, searched from the line feed before it; -1 when there is none.
function findDelimiter(bytes, length, from, delimiter, delimiterLength) {
  for (;;) {
    const lineEnd = TypedArrayPrototypeIndexOf(bytes, lf, from);
    if (lineEnd === -1) return -1;
    if (startsWith(bytes, length, lineEnd + 1, delimiter, delimiterLength)) return lineEnd + 1;
    from = lineEnd + 1;
  }
}

// After a delimiter: RFC 2046 allows blanks before the line end.
function skipLineEnd(bytes, position) {
  while (bytes[position] === 0x20 || bytes[position] === 0x09) position++;
  if (bytes[position] === cr) position++;
  if (bytes[position] !== lf) throw new TypeError("Boundary string was not succeeded by CRLF, LF, or '--'.");
  return position + 1;
}

function parsePartHeaders(bytes, length, position) {
  const start = position;
  let disposition;
  let contentType = "";
  for (;;) {
    const lineEnd = position >= length ? -1 : TypedArrayPrototypeIndexOf(bytes, lf, position);
    if (lineEnd === -1) throw new TypeError("No multipart message header termination found.");
    if (lineEnd - start > maxPartHeaderBytes) {
      throw new TypeError(`The headers of a FormData part are longer than ${maxPartHeaderBytes} bytes.`);
    }
    const line = StringPrototypeTrim(decode(bytes, position, lineEnd));
    position = lineEnd + 1;
    if (line === "") break;
    const colon = StringPrototypeIndexOf(line, ":");
    if (colon === -1) continue;
    const name = StringPrototypeToLowerCase(StringPrototypeTrim(StringPrototypeSlice(line, 0, colon)));
    const value = StringPrototypeTrim(StringPrototypeSlice(line, colon + 1));
    if (name === "content-disposition") disposition = value;
    else if (name === "content-type") contentType = value;
  }
  const { name, filename } = parseDisposition(disposition);
  return { __proto__: null, name, filename, contentType, bodyStart: position };
}

function parseDisposition(disposition) {
  if (disposition === undefined) throw new TypeError("No valid Content-Disposition header found in FormData part.");
  const { first, parameters } = parseHeaderValue(disposition);
  if (first !== "form-data") {
    throw new TypeError(
      'Content-Disposition header for FormData part must have the value "form-data", possibly followed by ' +
        `parameters. Got: "${first}"`,
    );
  }
  const { name, filename } = parameters;
  if (name === undefined) throw new TypeError("Content-Disposition header in FormData part is missing a name.");
  return {
    __proto__: null,
    name: unescapeName(name),
    filename: filename === undefined ? undefined : unescapeName(filename),
  };
}

// HTML writes ", CR and LF in names as %22, %0D and %0A, and escapes nothing else.
function unescapeName(text) {
  let result = "";
  let start = 0;
  for (;;) {
    const percent = StringPrototypeIndexOf(text, "%", start);
    if (percent === -1) return result + StringPrototypeSlice(text, start);
    const escape = StringPrototypeSlice(text, percent, percent + 3);
    const char = escape === "%22" ? '"' : escape === "%0D" ? "\r" : escape === "%0A" ? "\n" : "";
    const end = char === "" ? percent + 1 : percent + 3;
    result += StringPrototypeSlice(text, start, percent) + (char === "" ? "%" : char);
    start = end;
  }
}

// Names: line ends become CRLF, then ", CR and LF are escaped. File names keep their line ends.
function escapeName(text) {
  let result = "";
  for (let i = 0; i < text.length; i++) {
    const code = StringPrototypeCharCodeAt(text, i);
    result += code === 0x22 ? "%22" : code === cr ? "%0D" : code === lf ? "%0A" : text[i];
  }
  return result;
}

function crlfLineEnds(text) {
  let result = "";
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const code = StringPrototypeCharCodeAt(text, i);
    if (code !== cr && code !== lf) continue;
    result += `${StringPrototypeSlice(text, start, i)}\r\n`;
    if (code === cr && StringPrototypeCharCodeAt(text, i + 1) === lf) i++;
    start = i + 1;
  }
  return result + StringPrototypeSlice(text, start);
}

// https://html.spec.whatwg.org/#multipart-form-data. Needs an I/O context, because the boundary is random:
// whoever chooses a value must not be able to end its part.
function serializeFormData(formData) {
  const list = pairsOf(formData);
  const boundary = `formdata-atoll-${natives.randomUuid()}`;
  const chunks = [];
  for (let i = 0; i < list.length; i += 2) {
    const value = list[i + 1];
    const name = escapeName(crlfLineEnds(list[i]));
    let text = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"`;
    if (typeof value === "string") {
      ArrayPrototypePush(chunks, natives.utf8Encode(`${text}\r\n\r\n${value}\r\n`));
      continue;
    }
    const type = blobType(value) === "" ? "application/octet-stream" : blobType(value);
    text += `; filename="${escapeName(fileName(value))}"\r\nContent-Type: ${type}\r\n\r\n`;
    ArrayPrototypePush(chunks, natives.utf8Encode(text), blobBytes(value), natives.utf8Encode("\r\n"));
  }
  ArrayPrototypePush(chunks, natives.utf8Encode(`--${boundary}--`));
  return { __proto__: null, bytes: concatenate(chunks), contentType: `multipart/form-data; boundary=${boundary}` };
}

exports.FormData = FormData;
exports.parseFormData = parseFormData;
exports.serializeFormData = serializeFormData;
// The live flat list [name, string or File, ...] of a FormData object.
exports.formDataList = pairsOf;
