// Calls natives with arguments that no script of the runtime gives. The test makes `natives` a global.

let state = 1;
function random(below) {
  // xorshift32
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}

const pick = (list) => list[random(list.length)];
const detached = () => {
  const buffer = new ArrayBuffer(16);
  const view = new Uint8Array(buffer, 4, 8);
  structuredClone(buffer, { transfer: [buffer] });
  return pick([buffer, view, new DataView(new ArrayBuffer(8), 2)]);
};
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable(pick([{}, [], () => {}]), {});
  revoke();
  return proxy;
};
const thrower = () => { throw new Error("mine"); };
const trap = new Proxy({}, { get: () => thrower });
const throwing = () => new Proxy(pick([{}, [], () => {}]), trap);
const own = (descriptor) => Object.defineProperties(pick([{}, [], [1, 2]]), {
  0: descriptor, valueOf: descriptor, toString: descriptor, [Symbol.toPrimitive]: descriptor, then: descriptor,
  env: descriptor, modules: descriptor, main: descriptor,
});
const long = "x\u00e9\u{1f600}".repeat(1 << 18);

// What natives gave: handles, promises, objects.
let given = [];

const TEXTS = ["", "GET", "http://a/", "not a url", "gzip", "deflate", "utf-8", "shift_jis", "utf-16le", "js", "2026-07-01",
  "\ud800", "a\u0000b\r\nc", "__proto__", "protocol", "port", "search", "99999999999", "data:,x", "A===", long];
const NUMBERS = [0, 1, 2, 3, 5, 10, 50, -1, -0, 0.5, 1.5, NaN, Infinity, -Infinity, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32,
  2 ** 53, 1e308, -(2 ** 31), -(2 ** 63)];
const MAKERS = [
  () => undefined, () => null, () => true, () => false, () => 10n ** 40n, () => -1n, () => Symbol("s"), () => Symbol.iterator,
  () => pick(NUMBERS), () => pick(NUMBERS), () => random(300), () => pick(TEXTS), () => pick(TEXTS),
  () => ({}), () => Object.create(null), () => [], () => [pick(TEXTS), pick(TEXTS)], () => [pick(TEXTS), pick(NUMBERS), trap],
  () => new Array(4e9), () => [, 1, , 2], () => new Array(1000).fill("x"), () => () => 1, () => async () => {}, () => class {},
  () => thrower, () => throwing(), () => revoked(), () => own({ get: thrower }), () => own({ value: thrower }), () => detached(),
  () => new Uint8Array(random(5000)), () => new Uint8Array(0), () => new Float64Array(3), () => new DataView(new ArrayBuffer(8)),
  () => new ArrayBuffer(random(100)), () => new Uint8Array(new ArrayBuffer(8, { maxByteLength: 64 }), 2),
  () => new Map([[1, 2]]), () => new Set([trap]), () => new Date(NaN), () => /a/g, () => new Error("e"), () => Promise.resolve({}),
  () => Promise.reject(1), () => new Promise(() => {}), () => new Response("r").body, () => new Headers(), () => globalThis,
  () => natives, () => new WeakRef({}), () => new Boolean(true), () => Object("s"), () => Object(1), () => function* () {},
  () => new WebAssembly.Memory({ initial: 1 }).buffer, () => (function () { return arguments; })(1, 2),
  () => ({ main: "a.js", date: "2026-07-01", flags: [], modules: ["a.js", pick(TEXTS), pick(TEXTS)], env: {}, outbound: pick(NUMBERS),
    tails: pick([[1, 2], undefined, new Array(4e9)]), limits: { cpuMs: pick(NUMBERS), memoryMb: pick(NUMBERS), wallMs: pick(NUMBERS) } }),
  () => pick(given), () => pick(given), () => pick(given),
];

// Some have a limit, as resizable buffers do.
function made(make) {
  try {
    return make();
  } catch {
    return undefined;
  }
}

function note(result) {
  if (result === undefined || result === null) return;
  if (typeof result === "object" && typeof result.catch === "function") result.catch(() => {});
  if (given.length > 200) given = given.slice(100);
  given.push(result);
  if (Array.isArray(result)) for (let i = 0; i < Math.min(result.length, 4); i++) given.push(result[i]);
}

function call(name, args) {
  try {
    note(natives[name](...args));
  } catch {
    // Any error will do.
  }
}

// -> how many calls were made
function attack(name, seed) {
  state = seed | 1;
  let calls = 0;
  const once = (args) => {
    calls++;
    call(name, args);
  };
  once([]);
  // The same everywhere, then anything anywhere.
  for (const make of MAKERS) {
    for (const count of [1, 3, 8]) once(Array.from({ length: count }, () => made(make)));
  }
  for (let i = 0; i < 60; i++) once(Array.from({ length: random(9) }, () => made(pick(MAKERS))));
  return calls;
}

const ENDING = ["abortContext", "abortIsolate"];

function attackAll(seed) {
  state = seed | 1;
  const names = Object.keys(natives).filter((name) => !ENDING.includes(name));
  let calls = 0;
  for (; calls < 500; calls++) {
    call(pick(names), Array.from({ length: random(9) }, () => made(pick(MAKERS))));
  }
  return calls;
}

globalThis.attack = attack;
globalThis.attackAll = attackAll;

const run = { attack, attackAll };
export default {
  // A body is a call: `attack("name", 1)`.
  async fetch(request) {
    const [, name, args] = /^(\w+)\((.*)\)$/.exec(await request.text());
    return new Response(String(run[name](...JSON.parse(`[${args}]`))));
  },
};
