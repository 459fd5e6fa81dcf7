// Loads a child that takes too much of everything. Each way answers with `{ value }` or `{ error }`; `/outcomes` tells
// what the child's tails have heard.
import { RpcStub, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
import code from "./child.txt";

class Host extends RpcTarget {
    echo() { return 1; }
    never() { return new Promise(() => {}); }
    async keep() { await scheduler.wait(1000); }
}

const outcomes = [];
export class Tail extends WorkerEntrypoint {
    tail(events) { for (const event of events) outcomes.push(event.outcome); }
}

// What a child calls to come back to the parent.
let named;
export class Parent extends WorkerEntrypoint {
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
