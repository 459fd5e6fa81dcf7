"use strict";
// fetch() of a data: URL, which no request leaves for. https://fetch.spec.whatwg.org/#data-url-processor

const {
  NumberParseInt, RegExpPrototypeExec, StringPrototypeCharCodeAt, StringPrototypeIndexOf, StringPrototypeSlice,
  StringPrototypeStartsWith, StringPrototypeTrim, TypeError, TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetBuffer, Uint8Array,
} = primordials;
const mimeTypes = require("web/mime-type");
const { Response } = require("web/response");

const base64 = /; *base64$/i;

// Throws TypeError for every other scheme.
exports.load = (method, href) => {
  const comma = StringPrototypeIndexOf(href, ",");
  if (!StringPrototypeStartsWith(href, "data:") || comma < 0) throw new TypeError(`Fetch API cannot load: ${href}`);
  let mime = StringPrototypeTrim(StringPrototypeSlice(href, 5, comma));
  const hash = StringPrototypeIndexOf(href, "#", comma);
  let body = percentDecode(natives.utf8Encode(StringPrototypeSlice(href, comma + 1, hash < 0 ? href.length : hash)));
  const match = RegExpPrototypeExec(base64, mime);
  if (match !== null) {
    mime = StringPrototypeSlice(mime, 0, match.index);
    body = base64Decode(natives.textDecode("windows-1252", body, false, true));
  }
  if (StringPrototypeStartsWith(mime, ";")) mime = `text/plain${mime}`;
  const type = mimeTypes.parse(mime);
  mime = type === undefined ? "text/plain;charset=US-ASCII" : mimeTypes.serialize(type);
  const headers = { __proto__: null, "content-type": mime };
  return new Response(method === "GET" ? body : null, { __proto__: null, statusText: "OK", headers });
};

const digits = /^[0-9A-Fa-f]{2}$/;

function percentDecode(bytes) {
  const length = TypedArrayPrototypeGetByteLength(bytes);
  let end = 0;
  for (let i = 0; i < length; i++, end++) {
    bytes[end] = bytes[i];
    if (bytes[i] !== 0x25) continue;
    const code = primordials.StringFromCharCode(bytes[i + 1] ?? 0, bytes[i + 2] ?? 0);
    if (RegExpPrototypeExec(digits, code) === null) continue;
    bytes[end] = NumberParseInt(code, 16);
    i += 2;
  }
  return new Uint8Array(new Uint8Array(TypedArrayPrototypeGetBuffer(bytes), 0, end));
}

// What is no base64 stands for no bytes.
function base64Decode(text) {
  const decoded = natives.atob(text) ?? "";
  const bytes = new Uint8Array(decoded.length);
  for (let i = 0; i < decoded.length; i++) bytes[i] = StringPrototypeCharCodeAt(decoded, i);
  return bytes;
}
