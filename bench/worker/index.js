// The parent Worker of the benchmark. Atoll (wrangler.jsonc) and workerd (config.capnp) serve this same file.
//
// The clocks are outside: each route does `n` of one thing in one request and the client divides the time it took.
// (A Worker's own clock may stand still between I/O, so it cannot be trusted to time anything.)

const COMPATIBILITY_DATE = "2026-07-01";

function workerCode(source) {
  return {
    compatibilityDate: COMPATIBILITY_DATE,
    mainModule: "child.js",
    modules: { "child.js": source },
    globalOutbound: null,
  };
}

// `unique` becomes part of the text, so that no cache of compiled code, in memory or on disk, can help a cold load.
function childCode(unique) {
  return workerCode(`
        import { WorkerEntrypoint } from "cloudflare:workers";
        const unique = ${JSON.stringify(unique)};
        export default class extends WorkerEntrypoint {
          ping(x) { return x; }
          async callEach(parent, n) {
            for (let i = 0; i < n; i++) await parent(i);
            return n;
          }
          fetch(request) { return new Response("pong"); }
        }
      `);
}

// A module of some 200 KB, as a bundler would write it: many functions, few of which are called.
const LARGE = Array.from({ length: 800 }, (_, i) => `
        function step${i}(input, options = {}) {
          const { scale = ${i}, offset = 1, name = "step ${i}" } = options;
          if (typeof input !== "number") throw new TypeError(\`\${name} takes a number\`);
          return input * scale + offset;
        }`).join("");

function largeCode(unique) {
  const code = childCode(unique);
  code.modules["child.js"] += LARGE;
  return code;
}

// Says how often it was called: an answer shows whether it is still the child that answered before.
function countingCode(unique) {
  return workerCode(`
        import { WorkerEntrypoint } from "cloudflare:workers";
        const unique = ${JSON.stringify(unique)};
        let visits = 0;
        export default class extends WorkerEntrypoint {
          visit() { return ++visits; }
        }
      `);
}

function loopingCode(unique) {
  const code = workerCode(`
        const unique = ${JSON.stringify(unique)};
        export default { async loop(begun) { await begun(); for (;;); } };
      `);
  code.limits = { cpuMs: 30_000 };
  return code;
}

let loops = 0;

// Each of these is one operation. All of them check the answer: a fast wrong answer is not a result.
async function coldRpc(env, unique) {
  check(await env.LOADER.load(childCode(unique)).getEntrypoint().ping(7), 7);
}

async function coldLarge(env, unique) {
  check(await env.LOADER.load(largeCode(unique)).getEntrypoint().ping(7), 7);
}

async function coldFetch(env, unique) {
  const response = await env.LOADER.load(childCode(unique)).getEntrypoint().fetch("http://child/");
  check(await response.text(), "pong");
}

function check(actual, expected) {
  if (actual !== expected) throw new Error(`the child answered ${actual}, expected ${expected}`);
}

// Routes: (env, n, seed) => promise. `seed` differs in every request of a run.
const routes = {
  async "/cold/rpc"(env, n, seed) {
    for (let i = 0; i < n; i++) await coldRpc(env, `${seed}-${i}`);
  },
  async "/cold/fetch"(env, n, seed) {
    for (let i = 0; i < n; i++) await coldFetch(env, `${seed}-${i}`);
  },
  async "/cold/large"(env, n, seed) {
    for (let i = 0; i < n; i++) await coldLarge(env, `${seed}-${i}`);
  },
  // The same text in all requests of a run.
  async "/cold/same"(env, n, seed) {
    for (let i = 0; i < n; i++) await coldLarge(env, seed);
  },
  async "/cold/together"(env, n, seed) {
    await Promise.all(Array.from({ length: n }, (_, i) => coldRpc(env, `${seed}-${i}`)));
  },
  async "/warm/rpc"(env, n) {
    const child = warmChild(env);
    for (let i = 0; i < n; i++) check(await child.ping(i), i);
  },
  async "/warm/fetch"(env, n) {
    const child = warmChild(env);
    for (let i = 0; i < n; i++) check(await (await child.fetch("http://child/")).text(), "pong");
  },
  async "/callback"(env, n) {
    let calls = 0;
    await warmChild(env).callEach(() => { calls++; }, n);
    check(calls, n);
  },
  // Named children stay alive: numbers `seed` up to `seed + n` are started here, each called once.
  async "/live"(env, n, seed) {
    for (let i = 0; i < n; i++) {
      const name = `live-${Number(seed) + i}`;
      check(await env.LOADER.get(name, () => childCode(name)).getEntrypoint().ping(i), i);
    }
  },
  async "/visit/1"(env, n, seed) {
    await visit(env, n, Number(seed), 1);
  },
  async "/visit/2"(env, n, seed) {
    await visit(env, n, Number(seed), 2);
  },
  // Does not answer before the loops are stopped.
  async "/loop"(env, n, seed) {
    await env.LOADER.load(loopingCode(seed)).getEntrypoint().loop(() => { loops++; });
  },
  async "/looping"(env, n) {
    while (loops < n) await new Promise((resolve) => setTimeout(resolve, 10));
  },
};

async function visit(env, n, first, visits) {
  for (let i = first; i < first + n; i++) {
    const name = `visited-${i}`;
    check(await env.LOADER.get(name, () => countingCode(name)).getEntrypoint().visit(), visits);
  }
}

function warmChild(env) {
  return env.LOADER.get("warm", () => childCode("warm")).getEntrypoint();
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (url.pathname === "/plain") return new Response("ok");
    const route = routes[url.pathname];
    if (!route) return new Response(`no route ${url.pathname}\n`, { status: 404 });
    await route(env, Number(url.searchParams.get("n")), url.searchParams.get("seed"));
    return new Response("ok");
  },
};
