// Loads a child that takes too much of everything. Each way answers with `{ value }` or `{ error }`; `/outcomes` tells
// what the child's tails have heard.
import { RpcStub, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
import code from "./child.txt";

class Host extends RpcTarget {
    echo() { return 1; }
    never() { return new Promise(() => {}); }
    async keep() { await scheduler.wait(1000); }
    async burn() {
        await scheduler.wait(0);
        return limited().compute(30);
    }
}

const outcomes = [];
export class Tail extends WorkerEntrypoint {
    tail(events) { for (const event of events) outcomes.push(event.outcome); }
}

// What a child calls to come back to the parent.
let named;
let limited;
const notes = [];
let floods = 0;
const sent = () => { floods++; };
let release;
const released = new Promise((resolve) => { release = resolve; });
export class Parent extends WorkerEntrypoint {
    burn() { return limited().compute(30); }
    note(text) { notes.push(text); }
    async keep() {
        await released;
        return "kept";
    }
    spread(number, count) {
        const specification = { ...named.specification, env: { PARENT: this.ctx.exports.Parent({ props: {} }) } };
        return this.env.LOADER.get(`spread ${number}`, () => specification).getEntrypoint().keepParent(count, sent);
    }
    back(depth) { return named().back(depth + 1); }
    async fetch(request) {
        if (request.method !== "POST") return new Response(await named().out());
        await scheduler.wait(3000);
        return new Response("kept");
    }
}

// How often each outcome came.
async function tally(promises) {
    const counts = {};
    for (const { value, reason } of await Promise.allSettled(promises)) {
        const text = reason?.message ?? value;
        counts[text] = (counts[text] ?? 0) + 1;
    }
    return counts;
}

function ways(env, ctx) {
    const specify = (limits, main = code) => ({
        compatibilityDate: "2026-07-01",
        mainModule: "child.js",
        modules: { "child.js": main },
        env: { PARENT: ctx.exports.Parent({ props: {} }) },
        globalOutbound: ctx.exports.Parent({ props: {} }),
        tails: [ctx.exports.Tail({ props: {} })],
        limits,
    });
    const load = (limits, main) => env.LOADER.load(specify(limits, main)).getEntrypoint();
    named = () => env.LOADER.get("named", () => specify({})).getEntrypoint();
    named.specification = specify({});
    limited = () => env.LOADER.get("limited", () => specify({ cpuMs: 200 })).getEntrypoint();
    return {
        ping: () => load().ping(),
        wallTime: () => load({ wallMs: 100 }).sleep(60_000),
        wallTimeOfALoop: () => load({ wallMs: 100 }).spin(),
        wallTimeAfterTheAnswer: () => load({ wallMs: 100 }).waitUntil(60_000),
        wallTimeOfAStub: async () => (await load({ wallMs: 100 }).make()).never(),
        lowerWallTime: () => {
            const worker = env.LOADER.load(specify({ wallMs: 60_000 }));
            return worker.getEntrypoint(null, { limits: { wallMs: 100 } }).sleep(60_000);
        },
        enoughWallTime: () => load({ wallMs: 60_000 }).sleep(10),

        loopInAPipelinedCall: () => load({ cpuMs: 100 }).make().spin(),
        loopInAStub: async () => (await load({ cpuMs: 100 }).make()).spin(),
        builtinInAStub: async () => (await load({ cpuMs: 100 }).make()).search(),
        memoryInAStub: async () => (await load().make()).hoard(),
        lowerMemory: () => load({ memoryMb: 32 }).hoard(),
        tooLittleMemory: () => load({ memoryMb: 4 }).ping(),
        memoryThatIsNoNumber: () => load({ memoryMb: "much" }).ping(),
        moreMemoryThanThereIs: () => load({ memoryMb: 100_000 }).ping(),
        // Small on the way, large in a heap.
        messageThatDoesNotFit: async () => {
            const child = load({ memoryMb: 16 });
            await child.count();
            const refused = await child.ping(Array.from({ length: 1.5e6 }, () => ({}))).catch((error) => error.message);
            return `${refused} ${await child.count()}`;
        },
        memoryOfAStart: () => load({}, "const all = []; for (;;) all.push(new Array(1e6).fill(1.5)); export default {};").ping(),
        loopOfAStart: () => load({}, "for (;;); export default {};").ping(),

        callsItself: () => load().again(),
        callsItselfPipelined: () => load().pipelined(),
        callsItselfFromTimers: () => load().later(),
        fetchesItself: () => load().fetchSelf(),
        callsThroughTheParent: () => named().back(1),
        outboundThroughTheParent: () => named().out(),
        objectsCallEachOther: () => {
            const call = async (other) => other(other);
            return call(new RpcStub(call));
        },

        burnSelf: () => load({ cpuMs: 200 }).burnSelf(100),
        burnSelfAtOnce: () => load({ cpuMs: 200 }).burnSelfAtOnce(100),
        burnSelfByFetch: () => load({ cpuMs: 200 }).burnSelfByFetch(100),
        burnSelfAfterwards: () => load({ cpuMs: 200 }).burnSelfAfterwards(100),
        burnThroughTheParent: () => limited().burnThroughTheParent(100),
        burnThroughAnObject: () => limited().burnThroughAnObject(new Host(), 100),
        // Each is a request of its own, and has all that it may.
        burnByTheParent: async () => {
            for (let i = 0; i < 20; i++) await limited().compute(30);
            return "all burnt";
        },
        tree: () => load({ subRequests: 2 }).tree(12),
        notes: () => notes.length,

        // One child wants all places of its parent; others are served meanwhile.
        floodOfTheParent: async () => {
            const flood = load().keepParent(20_500, sent);
            while (floods < 1) await scheduler.wait(5);
            const other = await env.LOADER.load(specify()).getEntrypoint().tree(0).then(() => "served");
            release();
            return { other, flood: await flood };
        },
        floodThroughOthers: async () => {
            const flood = load().keepParentThroughOthers(1500);
            while (floods < 3) await scheduler.wait(5);
            release();
            return await flood;
        },
        // One child's results lie in the inbox of a parent that does not read; another's still arrive.
        floodOfResults: async () => {
            const [greedy, modest] = [load(), load()];
            await Promise.all([greedy.ping(), modest.ping()]);
            const results = Array.from({ length: 20 }, () => greedy.large(5e6));
            const others = Array.from({ length: 3 }, () => modest.large(5e6));
            for (const end = Date.now() + 3000; Date.now() < end; );
            const taken = await tally(results.map((result) => result.then(() => "taken")));
            return { taken, others: await tally(others.map((other) => other.then(() => "taken"))) };
        },

        tooManyRequests: async () => {
            const child = load();
            await child.ping();
            return tally(Array.from({ length: 20_100 }, () => child.sleep(3000)));
        },
        tooManyBytes: async () => {
            const child = load();
            await child.ping();
            const text = "x".repeat(3e7);
            const busy = child.compute(3000);
            const counts = await tally(Array.from({ length: 12 }, () => child.take(text)));
            await busy;
            return counts;
        },
        tooManyBodies: () => load().post(12),
        capabilities: () => load().send(new Host(), 10_000),
        tooManyCapabilities: () => load().send(new Host(), 10_001),
        muchTooManyCapabilities: () => load().send(new Host(), 1_000_000),
        tooManyTargets: () => load().sendTargets(new Host(), 1_000_000),
        tooManyStubs: () => load().duplicate(60_000),
        tooManyCalls: () => load().callWithoutEnd(new Host(), 60_000),
        stubsThatAreDisposed: () => load().dispose(60_000),
        tooManyStreams: () => load().streams(new Host(), 6000),
        aLongName: () => load().longName(new Host()),
        longNames: () => load().longNames(new Host()),

        manyLines: () => { for (let i = 0; i < 3000; i++) console.log("x".repeat(1000)); },
        aLongLine: () => console.log("y".repeat(20_000)),
        forgedLine: () => console.log("\r\u001b[2Jtwo\n2026-01-01T00:00:00Z ERROR atoll: forged"),
    };
}

export default {
    async fetch(request, env, ctx) {
        const way = new URL(request.url).pathname.slice(1);
        if (way === "outcomes") return Response.json(outcomes);
        try {
            return Response.json({ value: await ways(env, ctx)[way]() });
        } catch (error) {
            return Response.json({ error: `${error.name}: ${error.message}` });
        }
    },
};
