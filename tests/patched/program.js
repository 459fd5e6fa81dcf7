// Touches each API and tells what came of it, as text. It assigns nothing and gives only objects without a prototype where
// members are read by name: what is heard of an object of the runtime's then is the runtime's doing.

import assert from "node:assert";
import util from "node:util";
import { RpcTarget, WorkerEntrypoint, env, withEnv } from "cloudflare:workers";
import { note } from "./patch.js";

const text = (bytes) => new TextDecoder().decode(bytes);
const bytes = (string) => new TextEncoder().encode(string);
const call = Function.prototype.call.bind(Function.prototype.call);
const { forEach, join } = Array.prototype;
const joined = (list) => call(join, list, "|");

const whole = (stream) => note(readAll(stream));

async function readAll(stream) {
  const reader = note(stream.getReader());
  let result = "";
  for (;;) {
    const read = note(await note(reader.read()));
    if (read.done) return result;
    note(read.value);
    result += typeof read.value === "string" ? read.value : text(read.value);
  }
}

const source = (members) => note({ __proto__: null, ...members });
const chunks = (...list) => {
  let at = 0;
  return note(new ReadableStream(source({
    pull(controller) {
      note(controller);
      if (at < list.length) controller.enqueue(note(list[at++]));
      else controller.close();
    },
  })));
};

class Target extends RpcTarget {
  greet(name) {
    return `hello ${name}`;
  }
  get nested() {
    return new Target();
  }
}

const failed = (promise) => note(outcomeOf(promise));

const outcomeOf = async (promise) => {
  try {
    await note(promise);
    return "no error";
  } catch (error) {
    note(error);
    return `${error.name}: ${error.message}`;
  }
};

export const steps = {
  __proto__: null,

  url() {
    const url = note(new URL("http://user:pass@a.example:81/b/../c?d=e&d=f#g"));
    const params = note(url.searchParams);
    params.append("z", "1");
    params.append("a", "2");
    params.sort();
    params.delete("d", "e");
    params.set("z", "3");
    let seen = "";
    params.forEach((value, key) => { seen += `${key}=${value};`; });
    return `${url.href} ${url.origin} ${seen} ${params.has("a")} ${URL.canParse("x:")} ${new URLSearchParams(source({ q: "1" }))}`;
  },

  headers() {
    const headers = note(new Headers(source({ b: "1", "content-type": "x/y" })));
    headers.append("B", "2");
    headers.append("set-cookie", "one");
    headers.append("set-cookie", "two");
    headers.set("a", " 3 ");
    headers.delete("content-type");
    let seen = "";
    headers.forEach((value, key) => { seen += `${key}=${value};`; });
    return `${seen} ${headers.get("b")} ${headers.getSetCookie().length} ${headers.has("a")}`;
  },

  encoding() {
    const decoder = note(new TextDecoder("shift_jis", source({ fatal: true })));
    const streaming = source({ stream: true });
    const first = decoder.decode(new Uint8Array(note([0x83])), streaming);
    const into = note(new TextEncoder().encodeInto("\u00e9x", new Uint8Array(2)));
    return `${first}${decoder.decode(new Uint8Array(note([0x65])))} ${into.read} ${into.written} ${atob("aGk=")} ${btoa("hi")}`;
  },

  crypto() {
    const view = note(new Uint8Array(4));
    return `${crypto.randomUUID().length} ${crypto.getRandomValues(view) === view}`;
  },

  structuredClone() {
    const map = note(new Map(note([["k", { deep: [1, 2, 3] }]])));
    const copy = note(structuredClone(source({ map, set: new Set(note([1])), date: new Date(5), error: new RangeError("e"), list: [1, , 3] })));
    note(copy.map.get("k"));
    const list = note(structuredClone([{ a: 1 }, new Blob(note(["b"])), new Headers(source({ h: "1" }))]));
    return `${copy.map.get("k").deep[2]} ${copy.error.message} ${copy.date.getTime()} ${list[0].a} ${list[2].get("h")}`;
  },

  async blobs() {
    const blob = note(new Blob(note(["ab", new Uint8Array(note([99]))]), source({ type: "text/plain" })));
    const file = note(new File(note([blob]), "name.txt", source({ lastModified: 7 })));
    const slice = note(blob.slice(1, 2));
    const form = note(new FormData());
    form.append("x", "1");
    form.append("f", file);
    const parsed = note(await note(new Response(form).formData()));
    const back = note(parsed.get("f"));
    const copied = note(await note(blob.arrayBuffer()));
    return `${await note(slice.text())} ${await note(back.text())} ${back.name} ${copied.byteLength} ${await whole(note(file.stream()))}`;
  },

  async bodies() {
    const json = note(Response.json(note({ __proto__: null, a: 1 })));
    const clone = note(json.clone());
    const request = note(new Request("http://a/", source({ method: "POST", body: "body", headers: source({ x: "1" }) })));
    const copy = note(new Request(request));
    const raw = note(new Response(chunks(bytes("ab"), bytes("c"))));
    const given = note(await note(raw.bytes()));
    const buffer = note(await note(new Response("buffer").arrayBuffer()));
    const parsed = note(await note(json.json()));
    const blob = note(await note(new Response("blob", source({ headers: source({ "content-type": "a/b" }) })).blob()));
    const bad = await failed(note(new Response("{").json()));
    return `${parsed.a} ${await note(clone.text())} ${await note(copy.text())} ${copy.headers.get("x")} ${given.length} ` +
      `${buffer.byteLength} ${blob.type} ${bad} ${await failed(raw.text())} ${note(Response.redirect("http://b/")).status}`;
  },

  async streams() {
    const upper = note(new TransformStream(source({ transform(chunk, controller) { controller.enqueue(`${chunk}!`); } })));
    const through = await whole(note(chunks("a", "b").pipeThrough(upper)));
    const branches = note(chunks("t").tee());
    const teed = `${await whole(note(branches[0]))}${await whole(note(branches[1]))}`;
    const coded = note(chunks("zip").pipeThrough(note(new TextEncoderStream())).pipeThrough(note(new CompressionStream("gzip"))));
    const plain = note(coded.pipeThrough(note(new DecompressionStream("gzip"))).pipeThrough(note(new TextDecoderStream())));
    const unzipped = await whole(plain);
    const byob = note(new ReadableStream(source({ type: "bytes", pull(c) { note(c); c.enqueue(bytes("byob")); c.close(); } })));
    const reader = note(byob.getReader(source({ mode: "byob" })));
    const read = note(await note(reader.read(new Uint8Array(10))));
    const fixed = note(new FixedLengthStream(2));
    const writer = note(note(fixed.writable).getWriter());
    const written = note(writer.write(bytes("ok")));
    const closed = note(writer.close());
    const got = await whole(note(fixed.readable));
    await note(written);
    await note(closed);
    let sunk = "";
    const sink = note(new WritableStream(source({ write(chunk) { sunk += chunk; } })));
    await note(chunks("x", "y").pipeTo(sink));
    const broken = note(new ReadableStream(source({ pull(controller) { controller.error(new TypeError("broken")); } })));
    return `${through} ${teed} ${unzipped} ${text(read.value)} ${got} ${sunk} ${await failed(broken.getReader().read())}`;
  },

  async timers() {
    let order = "";
    const done = note(new Promise((resolve) => {
      setTimeout((a, b) => { order += a + b; }, 1, "1", "2");
      clearTimeout(setTimeout(() => { order += "never"; }, 1));
      const interval = setInterval(() => { order += "i"; clearInterval(interval); }, 1);
      setTimeout(resolve, 20);
    }));
    await done;
    await note(scheduler.wait(1));
    const controller = note(new AbortController());
    const waiting = note(scheduler.wait(1e5, source({ signal: controller.signal })));
    controller.abort(new RangeError("enough"));
    return `${order} ${await failed(waiting)}`;
  },

  async aborts() {
    const controller = note(new AbortController());
    const any = note(AbortSignal.any(note([controller.signal, AbortSignal.timeout(1e6)])));
    let heard = "";
    any.addEventListener("abort", (event) => { note(event); heard += event.type; }, source({ once: true }));
    controller.abort();
    const late = note(fetch("http://nowhere/", source({ signal: any })));
    return `${heard} ${note(any.reason).name} ${await failed(late)}`;
  },

  events() {
    const target = note(new EventTarget());
    let heard = "";
    const listener = note({ __proto__: null, handleEvent(event) { heard += note(event).detail; } });
    target.addEventListener("x", listener, source({ once: true }));
    target.addEventListener("x", (event) => { heard += event.type; });
    target.dispatchEvent(note(new CustomEvent("x", source({ detail: "d", cancelable: true }))));
    target.dispatchEvent(note(new Event("x")));
    return heard;
  },

  console() {
    console.log("%s is %d, %o and %j", "text", 1.5, note([1]), note({ __proto__: null, a: 1 }), note(new Map(note([[1, { b: 2 }]]))));
    console.table(note([note({ __proto__: null, a: 1, b: 2 }), note({ __proto__: null, b: 3, c: 4 }), 5]));
    console.table(note(new Map(note([["k", "v"]]))));
    console.group("group");
    console.count();
    console.dir(note({ __proto__: null, deep: { er: { est: 1 } } }), source({ depth: 0 }));
    console.trace("here");
    console.groupEnd();
    console.error(note(new Error("shown")));
    console.time("t");
    console.timeEnd("t");
    console.assert(false, "no");
    return "logged";
  },

  async fetches(host, env) {
    const answer = note(await note(env.HOST.fetch("http://host/echo", source({ method: "POST", body: chunks(bytes("sent")), headers: source({ "x-a": "b" }) }))));
    const redirected = note(await note(env.HOST.fetch("http://host/redirect")));
    const data = note(await note(fetch("data:text/plain;base64,aGk=")));
    return `${answer.status} ${await note(answer.text())} ${redirected.url} ${await note(redirected.text())} ${await note(data.text())} ` +
      `${await failed(fetch("http://nowhere/"))} ${await failed(env.HOST.fetch("http://host/throw"))} ${await failed(fetch("nothing"))}`;
  },

  async calls(host, env) {
    const echoed = note(await note(host.echo(note({ a: [1, { b: "c" }], when: new Date(3), map: new Map(note([[1, 2]])) }))));
    const called = await note(host.callBack(note((value) => `back ${value}`)));
    const target = note(await note(host.echo(note(new Target()))));
    const greeted = await note(target.greet("you"));
    const nested = await note(target.nested.greet("in"));
    const piped = await note(host.make("p").greet("line"));
    const property = await note(host.property);
    const served = await note(env.HOST.plus(1, 2));
    const stream = await whole(note(await note(host.stream())));
    const read = await note(host.read(chunks(bytes("up"))));
    const response = note(await note(host.echo(note(new Response("r", source({ status: 201 }))))));
    const error = await failed(host.fail("RangeError"));
    const custom = await failed(host.fail("custom"));
    const missing = await failed(host.nothing());
    const uncloneable = await failed(host.echo(note(new WeakMap())));
    const result = note(await note(host.make("d")));
    result[Symbol.dispose]();
    const finished = await note(host.echo(1).finally(() => 2));
    return `${echoed.a[1].b} ${echoed.map.get(1)} ${called} ${greeted} ${nested} ${piped} ${property} ${served} ${stream} ${read} ` +
      `${response.status} ${await note(response.text())} ${error} ${custom} ${missing} ${uncloneable} ${finished}`;
  },

  async modules() {
    const late = note(await note(import("./late.js")));
    let thrown = "";
    try {
      assert.deepStrictEqual(note({ __proto__: null, a: 1 }), note({ __proto__: null, a: 2 }));
    } catch (error) {
      note(error);
      thrown = `${error.code} ${error.generatedMessage} ${error.message.length}`;
    }
    await note(assert.rejects(note(Promise.reject(new TypeError("r"))), TypeError));
    assert.throws(() => { throw new RangeError("t"); }, RangeError);
    assert.deepEqual(note(new Set(note([1, { a: 1 }]))), note(new Set(note([1, { a: 1 }]))));
    const promisified = util.promisify((value, callback) => callback(null, value + 1));
    const formatted = util.format("%s %i", "a", 1.5, note(new Map(note([[1, 2]]))));
    const inside = withEnv(source({ HOST: "other" }), () => env.HOST);
    return `${late.value} ${thrown} ${await note(promisified(1))} ${formatted} ${util.types.isMap(new Map())} ${inside}`;
  },

  rest() {
    const buffer = note(new ArrayBuffer(8, source({ maxByteLength: 16 })));
    return `${typeof Date.now()} ${new Date(0).toISOString()} ${typeof performance.now()} ${navigator.userAgent} ${buffer.maxByteLength} ` +
      `${new ArrayBuffer(4).byteLength} ${new Intl.NumberFormat("en").format(1234)} ${typeof Cloudflare.compatibilityFlags}`;
  },
};

// -> what each step gives, or why it failed, a line each
export async function run(host, bindings) {
  note(host);
  note(bindings);
  let transcript = "";
  const names = note(Reflect.ownKeys(steps));
  for (let i = 0; i < names.length; i++) {
    let outcome;
    try {
      outcome = await note(call(steps[names[i]], undefined, host, bindings));
    } catch (error) {
      outcome = `failed: ${error}`;
    }
    transcript += `${names[i]}: ${outcome}\n`;
  }
  return transcript;
}

note(steps);
note(Target);
note(WorkerEntrypoint);
