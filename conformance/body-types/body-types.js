// Bodies at their edges: what kind of value makes which body, bodies of no bytes, bodies that were read, forms.
import assert from "node:assert";

const S = "http://server.example";
const URLENCODED = "application/x-www-form-urlencoded;charset=UTF-8";

export const server = {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/form") {
      const entries = [];
      for (const [name, value] of await request.formData()) {
        entries.push(typeof value === "string" ? [name, value] : [name, value.name, value.type, await value.text()]);
      }
      return Response.json(entries);
    }
    return Response.json({ type: request.headers.get("content-type"), body: await request.text() });
  },
};

const types = (body) => [
  new Response(body).headers.get("content-type"),
  new Request(S, { method: "POST", body }).headers.get("content-type"),
];

export const typesOfBodies = {
  async test() {
    const both = (type) => [type, type];
    assert.deepStrictEqual(types(""), both("text/plain;charset=UTF-8"));
    assert.deepStrictEqual(types("x"), both("text/plain;charset=UTF-8"));
    assert.deepStrictEqual(types(42), both("text/plain;charset=UTF-8"));
    assert.deepStrictEqual(types(false), both("text/plain;charset=UTF-8"));
    assert.deepStrictEqual(types({ toString: () => "own" }), both("text/plain;charset=UTF-8"));
    assert.deepStrictEqual(types(new Uint8Array(1)), both(null));
    assert.deepStrictEqual(types(new ArrayBuffer(1)), both(null));
    assert.deepStrictEqual(types(new Blob(["x"])), both(null));
    assert.deepStrictEqual(types(new Blob(["x"], { type: "a/b" })), both("a/b"));
    assert.deepStrictEqual(types(new File(["x"], "f", { type: "a/b" })), both("a/b"));
    assert.deepStrictEqual(types(new URLSearchParams()), both(URLENCODED));
    assert.deepStrictEqual(types(new Response("x").body), both(null));
  },
};

export const ownTypesStay = {
  async test() {
    const headers = { "content-type": "a/b" };
    assert.strictEqual(new Response("x", { headers }).headers.get("content-type"), "a/b");
    assert.strictEqual(new Request(S, { method: "POST", body: "x", headers }).headers.get("content-type"), "a/b");
    assert.strictEqual((await new Response(new Blob(["x"], { type: "c/d" }), { headers }).blob()).type, "a/b");
    assert.strictEqual(Response.json({}, { headers }).headers.get("content-type"), "a/b");
  },
};

export const blobsHaveTheTypeOfTheHeader = {
  async test() {
    const types = [
      ["TEXT/plain;charset=UTF-8", "text/plain;charset=UTF-8"],
      ["A/B; X=Y", "a/b;x=Y"],
      ["a/b;;c;d=;x=1;x=2", "a/b;x=1"],
      ["a/b; c=d e ;f=g", 'a/b;c="d e";f=g'],
      ['a/b;x="y,z"', 'a/b;x="y,z"'],
      [String.raw`a/b;x="a\\b\"c"d;e=f`, String.raw`a/b;x="a\\b\"c";e=f`],
      ['a/b;x="open', "a/b;x=open"],
      ["a/b, c/d", "c/d"],
      ["a/b,", "a/b"],
      ["a/b, */*", "a/b"],
      ["text/html;charset=gbk, text/html", "text/html;charset=gbk"],
      ["text/html;charset=gbk, x/x;a=b", "x/x;a=b"],
      ["bogus", ""],
      ["a /b", ""],
      ["a/", ""],
      ["*/*", ""],
    ];
    for (const [header, type] of types) {
      const response = new Response("x", { headers: { "content-type": header } });
      assert.strictEqual((await response.blob()).type, type, header);
    }
    assert.strictEqual((await new Response(new Uint8Array(1)).blob()).type, "");
  },
};

export const typesMayHaveManyParameters = {
  async test() {
    const typeOf = async (header) => (await new Response("x", { headers: { "content-type": header } }).blob()).type;
    const many = Array.from({ length: 2000 }, (_, i) => `;p${i}=${i}`).join("");
    assert.strictEqual(await typeOf(`a/b${many}`), `a/b${many}`);
    assert.strictEqual(await typeOf(`a/b${";".repeat(20_000)}x=1`), "a/b;x=1");
  },
};

export const boundariesSeparateForms = {
  async test() {
    const form = new FormData();
    form.append("a", "b");
    const [one, two] = [new Response(form), new Response(form)];
    const boundary = /^multipart\/form-data; boundary=(\S+)$/.exec(one.headers.get("content-type"))[1];
    assert.notStrictEqual(one.headers.get("content-type"), two.headers.get("content-type"));
    assert.strictEqual(
      await one.text(),
      `--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--${boundary}--`,
    );
  },
};

export const formsRoundTrip = {
  async test() {
    const form = new FormData();
    form.append("text", "a\r\nb \u00e9 --boundary");
    form.append("text", "");
    form.append("blob", new Blob(["blob"]));
    form.append("file", new File(["file"], "n.txt", { type: "text/x" }));
    form.append("named", new Blob(["named"], { type: "a/b" }), "own.bin");
    const got = await (await fetch(`${S}/form`, { method: "POST", body: form })).json();
    assert.deepStrictEqual(got, [
      ["text", "a\r\nb \u00e9 --boundary"],
      ["text", ""],
      ["blob", "blob", "application/octet-stream", "blob"],
      ["file", "n.txt", "text/x", "file"],
      ["named", "own.bin", "a/b", "named"],
    ]);
  },
};

export const lineEndsOfValuesStay = {
  async test() {
    const form = new FormData();
    form.append("lines", "a\nb\rc\r\n");
    const got = await (await fetch(`${S}/form`, { method: "POST", body: form })).json();
    assert.deepStrictEqual(got, [["lines", "a\nb\rc\r\n"]]);
  },
};

const parsed = (text, type) =>
  new Response(text.replaceAll("\n", "\r\n"), { headers: { "content-type": type } })
    .formData()
    .then((form) => [...form]);
const MULTIPART = "multipart/form-data; boundary=B";

export const multipartIsParsed = {
  async test() {
    const part = '--B\nContent-Disposition: form-data; name="a"\n\nv\n--B--';
    assert.deepStrictEqual(await parsed(part, MULTIPART), [["a", "v"]]);
    assert.deepStrictEqual(await parsed(part, 'multipart/form-data; boundary="B"'), [["a", "v"]]);
    assert.deepStrictEqual(await parsed(`preamble\n${part}\nepilogue`, MULTIPART), [["a", "v"]]);
    assert.deepStrictEqual(await parsed("--B--", MULTIPART), []);
    const [[, file]] = await parsed(
      '--B\nContent-Disposition: form-data; name="f"; filename="n"\n\nx\n--B--',
      MULTIPART,
    );
    assert.deepStrictEqual([file.name, file.type, await file.text()], ["n", "", "x"]);
  },
};

export const brokenFormsAreRefused = {
  async test() {
    const rejects = (text, type, message) => assert.rejects(parsed(text, type), { name: "TypeError", message });
    await rejects("", "multipart/form-data", /^No boundary string in Content-Type header\./);
    await rejects("", MULTIPART, /^No initial boundary string/);
    await rejects('--B\nContent-Disposition: form-data; name="a"\n\nv', MULTIPART, /^No subsequent boundary string/);
    await rejects("--B\nContent-Disposition: form-data\n\nv\n--B--", MULTIPART, /is missing a name\.$/);
    await rejects("--B\nX: y\n\nv\n--B--", MULTIPART, "No valid Content-Disposition header found in FormData part.");
    await rejects('--B\nContent-Disposition: attachment; name="a"\n\nv\n--B--', MULTIPART, /Got: "attachment"$/);
    await rejects("a=1", "text/plain", /^Unrecognized Content-Type header value\./);
    await rejects(
      "a=1",
      "application/x-www-form-urlencoded;charset=latin1",
      "Non-utf-8 application/x-www-form-urlencoded body.",
    );
    await assert.rejects(new Response(new Uint8Array(1)).formData(), {
      message: "Parsing a Body as FormData requires a Content-Type header.",
    });
  },
};

export const emptyBodies = {
  async test() {
    for (const body of ["", new Uint8Array(0), new Blob([]), new URLSearchParams()]) {
      const response = new Response(body);
      assert.notStrictEqual(response.body, null);
      assert.strictEqual(await response.text(), "");
      assert.strictEqual(response.bodyUsed, true);
    }
    for (const nothing of [null, undefined]) {
      const response = new Response(nothing);
      assert.strictEqual(response.body, null);
      assert.strictEqual(await response.text(), "");
      assert.strictEqual(await response.text(), "");
      assert.strictEqual(response.bodyUsed, false);
    }
    assert.strictEqual((await new Response().arrayBuffer()).byteLength, 0);
    assert.strictEqual((await new Response().blob()).size, 0);
    await assert.rejects(new Response().json(), { name: "SyntaxError" });
  },
};

export const nullBodyStatuses = {
  async test() {
    for (const status of [204, 205, 304]) {
      for (const body of [null, undefined, "", new Uint8Array(0), new Blob([]), new URLSearchParams()]) {
        const response = new Response(body, { status });
        assert.strictEqual(response.body, null);
        assert.strictEqual(response.headers.get("content-type"), null);
      }
      for (const body of ["x", new Uint8Array(1), new ReadableStream()]) {
        assert.throws(() => new Response(body, { status }), {
          name: "TypeError",
          message: "Response with null body status (101, 204, 205, or 304) cannot have a body.",
        });
      }
    }
    assert.throws(() => new Response(null, { status: 101 }), { name: "RangeError" });
  },
};

const USED = "Body has already been used. It can only be used once. Use tee() first if you need to read it twice.";

export const usedBodies = {
  async test() {
    const used = new Response("x");
    await used.text();
    for (const read of ["text", "json", "arrayBuffer", "bytes", "blob", "formData"]) {
      await assert.rejects(used[read](), { name: "TypeError", message: USED });
    }
    assert.throws(() => new Response(used.body), {
      message: "This ReadableStream is disturbed (has already been read from), and cannot be used as a body.",
    });
    const request = new Request(S, { method: "POST", body: "x" });
    await request.text();
    const message = "Cannot reconstruct a Request with a used body.";
    assert.throws(() => new Request(request), { name: "TypeError", message });
    await assert.rejects(fetch(request), { name: "TypeError", message });
    assert.strictEqual(await new Request(request, { body: "y" }).text(), "y");
  },
};

export const sentBodiesAreUsed = {
  async test() {
    const request = new Request(S, { method: "POST", body: "x" });
    await fetch(request);
    assert.strictEqual(request.bodyUsed, true);
    await assert.rejects(fetch(request), { message: "Cannot reconstruct a Request with a used body." });
    const withoutBody = new Request(S);
    await fetch(withoutBody);
    assert.strictEqual((await fetch(withoutBody)).status, 200);
  },
};

export const lockedBodies = {
  async test() {
    const response = new Response("x");
    response.body.getReader();
    assert.strictEqual(response.bodyUsed, false);
    await assert.rejects(response.text(), { message: "This ReadableStream is currently locked to a reader." });
    assert.throws(() => new Response(response.body), { name: "TypeError", message: /locked/ });
    assert.throws(() => response.clone(), { name: "TypeError", message: /locked/ });
  },
};

export const copiesOfBodies = {
  async test() {
    const response = new Response("abc");
    const stream = response.body;
    const clone = response.clone();
    assert.strictEqual(stream.locked, true);
    assert.deepStrictEqual([await response.text(), await clone.text()], ["abc", "abc"]);
    const request = new Request(S, { method: "POST", body: "abc" });
    const taken = new Request(request);
    assert.strictEqual(request.bodyUsed, true);
    assert.deepStrictEqual(await (await fetch(taken)).json(), { type: "text/plain;charset=UTF-8", body: "abc" });
  },
};

export const streamsOfOtherThingsThanBytes = {
  async test() {
    const stream = (chunk) =>
      new ReadableStream({
        start(controller) {
          controller.enqueue(chunk);
          controller.close();
        },
      });
    for (const chunk of [1, {}, null]) {
      await assert.rejects(new Response(stream(chunk)).text(), {
        name: "TypeError",
        message: "This ReadableStream did not return bytes.",
      });
    }
    const seen = await (await fetch(S, { method: "POST", body: stream("text") })).json();
    assert.strictEqual(seen.body, "text");
  },
};
