// A Worker that puts accessors onto the prototypes that it can reach, before it has touched anything: what the runtime itself
// does comes out as without them, and none of its own objects is shown to them.
import assert from "node:assert";

// Runs `body` in a Worker of its own, after `patch`; `given` is what its accessors may note things in.
async function inChild(env, patch, body, more = {}) {
  const main = `const given = []; ${patch}
    export default { async fetch(request, env) { ${body} } };`;
  const child = env.LOADER.load({
    compatibilityDate: "2026-05-01",
    mainModule: "main.js",
    modules: { "main.js": main, ...more },
    globalOutbound: null,
  });
  const response = await child.getEntrypoint().fetch("http://child/path");
  return await response.text();
}

// Accessors that take whatever they are given, and give functions.
const accessors = (names) => `for (const name of ${JSON.stringify(names)}) Object.defineProperty(Object.prototype, name, {
  __proto__: null, configurable: true, set(value) { given.push(name); }, get() { return () => { given.push(name); return {}; }; } });`;

const case_ = (patch, body, expected, more) => ({
  async test(controller, env) {
    assert.strictEqual(await inChild(env, patch, body, more), expected);
  },
});

export const namesOfFunctionsAreNotSeen = case_(
  accessors(["encodeError", "decodeError", "detachRequest", "detachResponse", "responseFromNative", "send", "extract",
    "headersFromList", "drainStream", "stateOf", "internal", "invoke"]),
  `let refused = "no";
   try { await fetch("http://nowhere/"); } catch { refused = "yes"; }
   console.log("line", [1]);
   const text = await new Response(new Response("body").body).text();
   return new Response([refused, text, new Headers([["a", "b"]]).get("a"), new URL(request.url).pathname, given.length].join());`,
  "yes,body,b,/path,0",
);

export const anErrorIsTheWorkersOwn = {
  async test(controller, env) {
    const patch = accessors(["encodeError", "describe", "thrown", "own", "nested"]);
    await assert.rejects(inChild(env, patch, "throw new RangeError('mine');"), { message: "mine" });
  },
};

export const namesOfMembersAreNotSeen = case_(
  accessors(["signal", "capture", "once", "passive", "isHandler", "removed", "bytes", "list", "kind", "callback"]),
  `const target = new EventTarget();
   let heard = 0;
   target.addEventListener("x", () => { heard++; });
   target.dispatchEvent(new Event("x"));
   const params = new URLSearchParams("b=1&a=2");
   params.sort();
   return new Response([heard, params, await new Blob(["blob"]).text(), given.length].join());`,
  "1,a=2&b=1,blob,0",
);

export const gettersAndSettersOfAllObjects = case_(
  `for (const name of ["get", "set"]) Object.defineProperty(Object.prototype, name, { __proto__: null, value: () => given });`,
  `const response = new Response("text", { headers: { a: "b" } });
   const tag = Object.prototype.toString.call(new TransformStream());
   return new Response([await response.text(), new Request("http://a/", { method: "POST" }).method, tag].join());`,
  "text,POST,[object TransformStream]",
);

export const indicesOfAllLists = case_(
  `for (const prototype of [Array.prototype, Object.prototype]) for (let i = 0; i < 8; i++) {
     Object.defineProperty(prototype, i, { __proto__: null, configurable: true, get() {}, set(value) { given.push; given.length = 1; } });
   }`,
  `const headers = new Headers({ b: "1", a: "2" });
   let names = "";
   headers.forEach((value, name) => { names += name; });
   const params = new URLSearchParams("d=1&c=2");
   params.sort();
   const target = new EventTarget();
   target.addEventListener("x", () => { names += "x"; });
   target.dispatchEvent(new Event("x"));
   return new Response(names + params + given.length);`,
  "abxc=2&d=10",
);

export const aMissingArgumentIsNotFoundOnListsOfAll = case_(
  `Object.defineProperty(Array.prototype, 1, { __proto__: null, configurable: true, get: () => ({ maxByteLength: 64 }) });`,
  `const buffer = new ArrayBuffer(8);
   return new Response([buffer.resizable, buffer.byteLength, new ArrayBuffer().byteLength].join());`,
  "false,8,0",
);

export const speciesOfBuffersAreNotAsked = case_(
  `const typed = Object.getPrototypeOf(Uint8Array);
   for (const Class of [typed, ArrayBuffer]) Object.defineProperty(Class, Symbol.species, { get() { given.push(1); return Class; } });
   for (const Class of [Uint8Array, ArrayBuffer]) {
     Object.defineProperty(Class.prototype, "constructor", { configurable: true, get() { given.push(2); return Class; } });
   }`,
  `const texts = [await new Response(new Uint8Array([97])).text(), await new Response(new Uint8Array([98]).buffer).text()];
   const stream = new Response(new Uint8Array([99])).body;
   texts.push(await new Response(stream).text(), new Uint8Array(await new Response("d").arrayBuffer()).length);
   return new Response(texts.join() + given.length);`,
  "a,b,c,10",
);

export const speciesOfPromises = case_(
  `class Evil extends Promise {
     constructor(executor) { super((resolve, reject) => executor((value) => { given.push(value); resolve(value); }, reject)); }
   }
   const { then } = Promise.prototype;
   globalThis.then = (promise, fulfilled) => Reflect.apply(then, promise, [fulfilled]);
   Object.defineProperty(Promise, Symbol.species, { get: () => Evil });`,
  `const source = new ReadableStream({ start(c) { c.enqueue(new TextEncoder().encode("streamed")); c.close(); } });
   const texts = [await new Response(source).text(), (await new Response("json").bytes()).length];
   await scheduler.wait(1);
   return new Response(texts.join() + given.filter((value) => value !== undefined).length);`,
  "streamed,40",
);

// V8's own interface for it takes whatever the species gives for a promise.
export const speciesWhileAModuleIsImported = case_(
  `const Original = Promise;
   globalThis.restore = () => Object.defineProperty(Original, Symbol.species, { configurable: true, get: () => Original });
   globalThis.spoil = () => Object.defineProperty(Original, Symbol.species, {
     configurable: true, get: () => function (executor) { executor(() => {}, () => {}); return { then: 1 }; } });`,
  `spoil();
   const imported = import("late.js");
   await new Promise((resolve) => setTimeout(resolve, 1));
   restore();
   return new Response((await imported).value);`,
  "late",
  { "late.js": "await 0; export const value = 'late';" },
);

export const parentsOfClassesAreGivenNothing = case_(
  `class Evil { constructor(...args) { for (const arg of args) if (typeof arg === "object") given.push(arg); } }
   globalThis.Evil = Evil;`,
  `const classes = [CompressionStream, TextEncoderStream, IdentityTransformStream, FixedLengthStream, File, AbortSignal];
   for (const Class of classes) Object.setPrototypeOf(Class, Evil);
   const makers = [() => new CompressionStream("gzip"), () => new TextEncoderStream(), () => new FixedLengthStream(1),
     () => new AbortController(), () => new Request("http://a/").signal];
   for (const make of makers) { try { make(); } catch {} }
   return new Response(String(given.length));`,
  "0",
);
