// A Worker that loads hostile code and tells what came of it. `POST /run` takes `{ code, limits, way }`, loads the code
// and calls it in the named way; the answer is `{ value }` or `{ error }`, both as text. `GET /healthy` asks a healthy
// child, which is loaded once and stays; `GET /fresh` asks one that is loaded for the question. `GET /calls` tells how
// many requests to run code are under way.
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

const HEALTHY = `
    import { WorkerEntrypoint } from "cloudflare:workers";
    export default class extends WorkerEntrypoint {
        async ask(host, number) {
            if (new Uint8Array(100_000).fill(1).at(-1) !== 1) throw new Error("no buffer");
            return (await host.echo(number)) + (await this.env.HOST.echo(2));
        }
    }`;

// What children hold of their parent: a service, and a live object.
export class Host extends WorkerEntrypoint {
    echo(value) { return value; }
}

class LiveHost extends RpcTarget {
    echo(value) { return value; }
    call(callback) { return callback(); }
    never() { return new Promise(() => {}); }
    fail() { throw new RangeError("the host refuses"); }
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const outcome = (promise) => promise.then((value) => value, (error) => `error: ${error.message}`);

// How a child is called. Each gives what the answer tells of.
const ways = {
    call: (child, host) => child.attack(host),
    get: (child) => child.attack,
    fetch: async (child) => {
        const response = await child.fetch("http://child/");
        return `${response.status} ${await response.text()}`;
    },
    // The request is given up; a call after it is answered once the child's isolate is free.
    cancel: async (child) => {
        const controller = new AbortController();
        const answer = outcome(child.fetch("http://child/", { signal: controller.signal }));
        await child.entered();
        controller.abort();
        await answer;
        return child.ping();
    },
    // As above, of a request that has its answer, and whose body is not read to the end.
    cancelBody: async (child) => {
        const { body } = await child.fetch("http://child/");
        const reader = body.getReader();
        await reader.read();
        await reader.cancel("enough");
        return child.ping();
    },
    head: async (child) => (await child.fetch("http://child/")).status,

    // On what a call gave.
    stub: async (child) => (await child.make()).attack(),
    dispose: async (child) => {
        {
            using result = await child.make();
            void result;
        }
        return child.ping();
    },
    keys: async (child, host) => Reflect.ownKeys(await child.attack(host)).map(String),
    print: async (child, host) => {
        console.log(await child.attack(host));
        return "printed";
    },

    // Streams in both directions.
    read: async (child) => {
        const reader = (await child.attack()).getReader();
        let bytes = 0;
        while (bytes < 4_000_000) {
            const { done, value } = await reader.read();
            if (done) return `${bytes} bytes`;
            bytes += value.byteLength;
        }
        await reader.cancel("enough");
        return "enough";
    },
    // Reads a part and leaves the rest.
    glance: async (child) => {
        const reader = (await child.attack()).getReader();
        await reader.read();
        return "seen enough";
    },
    feed: async (child) => {
        const writer = (await child.attack()).getWriter();
        for (let i = 0; i < 100; i++) await writer.write(new Uint8Array(65536));
        await writer.close();
        return "fed";
    },
    write: async (child) => {
        let pulls = 0;
        const body = new ReadableStream({
            type: "bytes",
            pull(controller) {
                pulls++;
                controller.enqueue(new Uint8Array(65536));
            },
        });
        const answer = await Promise.race([outcome(child.attack(body)), sleep(200).then(() => "no answer")]);
        return `${answer}, ${pulls < 1000 ? "held back" : `${pulls} pulls`}`;
    },

    // Many calls at once; each must be answered.
    flood: async (child, host) => {
        const calls = Array.from({ length: 2000 }, () => outcome(child.attack(host)));
        return [...new Set(await Promise.all(calls))];
    },
    twenty: async (child, host) => {
        const calls = Array.from({ length: 20 }, () => outcome(child.attack(host)));
        return [...new Set(await Promise.all(calls))];
    },

    // Calls that nobody waits for to their end.
    race: (child, host) => Promise.race([outcome(child.attack(host)), sleep(100).then(() => "no answer")]),
    forget: (child, host) => {
        child.attack(host).catch(() => {});
        return "forgotten";
    },
    drop: async (child, host) => {
        const call = child.attack(host);
        const answer = Promise.race([outcome(call), sleep(100).then(() => "no answer")]);
        await sleep(20);
        call[Symbol.dispose]();
        return answer;
    },
};

function load(env, ctx, code, limits) {
    const main = code.includes("/* TypeScript */") ? "child.ts" : "child.js";
    const modules = { [main]: code };
    const bindings = { HOST: ctx.exports.Host({ props: {} }) };
    return env.LOADER.load({
        compatibilityDate: "2026-07-01",
        compatibilityFlags: ["enable_request_signal"],
        mainModule: main,
        modules,
        env: bindings,
        globalOutbound: null,
        limits,
    });
}

// Loads the code again and again and leaves each child before it has started.
async function abandon(env, ctx, code, limits) {
    for (let i = 0; i < 20; i++) {
        load(env, ctx, code, limits).getEntrypoint().attack(new LiveHost()).catch(() => {});
        if (i % 5 === 0) await sleep(1);
    }
    return "abandoned";
}

// As above, with so much garbage that collections of the parent find the stubs.
async function churn(env, ctx, code, limits) {
    let garbage = [];
    for (let i = 0; i < 40; i++) {
        load(env, ctx, code, limits).getEntrypoint().attack(new LiveHost()).catch(() => {});
        garbage = Array.from({ length: 30_000 }, (_, j) => ({ i, j, last: garbage[j] && { j } }));
        if (i % 4 === 0) await sleep(1);
    }
    return "churned";
}

// A named child that ends by a limit must not stay under its name.
async function again(env, ctx, code, limits) {
    const outcomes = [];
    for (let i = 0; i < 2; i++) {
        const stub = env.LOADER.get("again", () => ({
            compatibilityDate: "2026-07-01", mainModule: "child.js", modules: { "child.js": code }, limits,
        }));
        outcomes.push(await outcome(stub.getEntrypoint().attack()));
    }
    return outcomes;
}

async function run(env, ctx, { code, limits, way }) {
    if (way === "abandon") return abandon(env, ctx, code, limits);
    if (way === "churn") return churn(env, ctx, code, limits);
    if (way === "again") return again(env, ctx, code, limits);
    return ways[way](load(env, ctx, code, limits).getEntrypoint(), new LiveHost());
}

function text(value) {
    if (typeof value === "string") return value;
    if (typeof value === "function") return "a stub";
    return JSON.stringify(value) ?? String(value);
}

let running = 0;

export default {
    async fetch(request, env, ctx) {
        const { pathname } = new URL(request.url);
        if (pathname === "/calls") return new Response(String(running));
        if (pathname === "/healthy" || pathname === "/fresh") {
            const code = () => ({
                compatibilityDate: "2026-07-01",
                mainModule: "child.js",
                modules: { "child.js": HEALTHY },
                env: { HOST: ctx.exports.Host({ props: {} }) },
            });
            const stub = pathname === "/fresh" ? env.LOADER.load(code()) : env.LOADER.get("healthy", code);
            return new Response(String(await stub.getEntrypoint().ask(new LiveHost(), 40)));
        }
        const orders = await request.json();
        running++;
        try {
            return Response.json({ value: text(await run(env, ctx, orders)).slice(0, 2000) });
        } catch (error) {
            return Response.json({ error: `${error?.name}: ${String(error?.message).slice(0, 2000)}` });
        } finally {
            running--;
        }
    },
};
