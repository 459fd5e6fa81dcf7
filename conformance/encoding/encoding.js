// TextEncoder, TextDecoder, atob and btoa.
import assert from "node:assert";

const decode = (list, label, options) => new TextDecoder(label, options).decode(new Uint8Array(list));

export const encodeUtf8 = {
  async test() {
    const encoder = new TextEncoder();
    assert.strictEqual(encoder.encoding, "utf-8");
    assert.deepStrictEqual(
      [...encoder.encode("a\u00e9\u20ac\u{1F600}")],
      [97, 195, 169, 226, 130, 172, 240, 159, 152, 128],
    );
    assert.deepStrictEqual([...encoder.encode()], []);
    assert.ok(encoder.encode("x") instanceof Uint8Array);
  },
};

export const loneSurrogatesBecomeReplacementCharacters = {
  async test() {
    assert.deepStrictEqual([...new TextEncoder().encode("\uD800a")], [239, 191, 189, 97]);
  },
};

export const encodeInto = {
  async test() {
    const target = new Uint8Array(4);
    assert.deepStrictEqual({ ...new TextEncoder().encodeInto("a\u20acb", target) }, { read: 2, written: 4 });
    assert.deepStrictEqual([...target], [97, 226, 130, 172]);
    assert.deepStrictEqual({ ...new TextEncoder().encodeInto("\u20ac", new Uint8Array(2)) }, { read: 0, written: 0 });
  },
};

export const decodeUtf8 = {
  async test() {
    assert.strictEqual(decode([97, 195, 169, 240, 159, 152, 128]), "a\u00e9\u{1F600}");
    assert.strictEqual(new TextDecoder().decode(), "");
    assert.strictEqual(new TextDecoder().decode(new Uint8Array([97]).buffer), "a");
    assert.strictEqual(new TextDecoder().decode(new DataView(new Uint8Array([97, 98]).buffer, 1)), "b");
  },
};

export const decodeMalformedUtf8 = {
  async test() {
    assert.strictEqual(decode([97, 255, 98]), "a\uFFFDb");
    assert.strictEqual(decode([240, 159]), "\uFFFD");
    assert.strictEqual(decode([237, 160, 128]), "\uFFFD\uFFFD\uFFFD");
    assert.throws(() => decode([255], "utf-8", { fatal: true }), { name: "TypeError" });
  },
};

export const byteOrderMark = {
  async test() {
    assert.strictEqual(decode([239, 187, 191, 97]), "a");
    assert.strictEqual(decode([239, 187, 191, 97], "utf-8", { ignoreBOM: true }), "\uFEFFa");
  },
};

export const streamingDecode = {
  async test() {
    const decoder = new TextDecoder();
    let text = "";
    for (const byte of [226, 130, 172, 97]) text += decoder.decode(new Uint8Array([byte]), { stream: true });
    text += decoder.decode();
    assert.strictEqual(text, "\u20aca");
    const unfinished = new TextDecoder();
    assert.strictEqual(unfinished.decode(new Uint8Array([226]), { stream: true }), "");
    assert.strictEqual(unfinished.decode(), "\uFFFD");
  },
};

export const decoderProperties = {
  async test() {
    const decoder = new TextDecoder("UTF8", { fatal: true, ignoreBOM: true });
    assert.strictEqual(decoder.encoding, "utf-8");
    assert.strictEqual(decoder.fatal, true);
    assert.strictEqual(decoder.ignoreBOM, true);
    assert.strictEqual(new TextDecoder().fatal, false);
    assert.throws(() => new TextDecoder("no-such-encoding"), { name: "RangeError" });
  },
};

export const utf16AndLatin1 = {
  async test() {
    assert.strictEqual(decode([97, 0, 172, 32], "utf-16le"), "a\u20ac");
    assert.strictEqual(decode([233, 128], "windows-1252"), "\u00e9\u20ac");
    assert.strictEqual(new TextDecoder("latin1").encoding, "windows-1252");
  },
};

export const largeText = {
  async test() {
    const text = "\u00e9\u{1F600}x".repeat(100_000);
    assert.strictEqual(new TextDecoder().decode(new TextEncoder().encode(text)), text);
  },
};

export const base64Encoding = {
  async test() {
    assert.strictEqual(btoa(""), "");
    assert.strictEqual(btoa("a"), "YQ==");
    assert.strictEqual(btoa("ab"), "YWI=");
    assert.strictEqual(btoa("\u00ff\u0000"), "/wA=");
    assert.throws(() => btoa("\u20ac"), { name: "InvalidCharacterError" });
  },
};

export const base64Decoding = {
  async test() {
    assert.strictEqual(atob("YQ=="), "a");
    assert.strictEqual(atob("YQ"), "a");
    assert.strictEqual(atob(" Y W\nI = "), "ab");
    assert.strictEqual(atob("/wA="), "\u00ff\u0000");
    for (const bad of ["a", "YQ=", "@@@@", "YQ==="])
      assert.throws(() => atob(bad), { name: "InvalidCharacterError" }, bad);
  },
};
