// crypto: random values, UUIDs and digests.
import assert from "node:assert";

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export const getRandomValues = {
  async test() {
    for (const Type of [
      Int8Array,
      Uint8Array,
      Uint8ClampedArray,
      Int16Array,
      Uint16Array,
      Int32Array,
      Uint32Array,
      BigUint64Array,
    ]) {
      const view = new Type(64);
      assert.strictEqual(crypto.getRandomValues(view), view);
      assert.ok(
        view.some((n) => n != 0),
        Type.name,
      );
    }
    const part = new Uint8Array(100);
    crypto.getRandomValues(part.subarray(50));
    assert.ok(part.subarray(0, 50).every((n) => n === 0));
  },
};

export const getRandomValuesDiffer = {
  async test() {
    const take = () => hex(crypto.getRandomValues(new Uint8Array(16)));
    assert.strictEqual(new Set(Array.from({ length: 100 }, take)).size, 100);
  },
};

export const getRandomValuesLimits = {
  async test() {
    crypto.getRandomValues(new Uint8Array(65536));
    assert.throws(() => crypto.getRandomValues(new Uint8Array(65537)), { name: "QuotaExceededError" });
    for (const bad of [new Float32Array(1), new Float64Array(1), [], {}, null]) {
      assert.throws(
        () => crypto.getRandomValues(bad),
        (error) => ["TypeError", "TypeMismatchError"].includes(error.name),
      );
    }
  },
};

export const randomUuid = {
  async test() {
    const uuids = Array.from({ length: 100 }, () => crypto.randomUUID());
    for (const uuid of uuids)
      assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.strictEqual(new Set(uuids).size, 100);
  },
};

export const mathRandom = {
  async test() {
    const values = Array.from({ length: 1000 }, Math.random);
    assert.ok(values.every((n) => n >= 0 && n < 1));
    assert.ok(new Set(values).size > 990);
  },
};

export const digests = {
  async test() {
    const digest = async (name) => hex(await crypto.subtle.digest(name, new TextEncoder().encode("abc")));
    assert.strictEqual(await digest("SHA-1"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert.strictEqual(await digest("SHA-256"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert.strictEqual(
      await digest({ name: "SHA-384" }),
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    );
    await assert.rejects(crypto.subtle.digest("SHA-0", new Uint8Array()), { name: "NotSupportedError" });
  },
};

export const hmacSignAndVerify = {
  async test() {
    const raw = new TextEncoder().encode("key");
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", raw, algorithm, false, ["sign", "verify"]);
    const data = new TextEncoder().encode("The quick brown fox jumps over the lazy dog");
    const signature = await crypto.subtle.sign("HMAC", key, data);
    assert.strictEqual(hex(signature), "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
    assert.strictEqual(await crypto.subtle.verify("HMAC", key, signature, data), true);
    assert.strictEqual(await crypto.subtle.verify("HMAC", key, new Uint8Array(32), data), false);
  },
};

export const timingSafeEqual = {
  async test() {
    assert.strictEqual(crypto.subtle.timingSafeEqual(new Uint8Array([1, 2]), new Uint8Array([1, 2])), true);
    assert.strictEqual(crypto.subtle.timingSafeEqual(new Uint8Array([1, 2]), new Uint8Array([1, 3])), false);
    assert.throws(() => crypto.subtle.timingSafeEqual(new Uint8Array(1), new Uint8Array(2)), { name: "TypeError" });
  },
};
