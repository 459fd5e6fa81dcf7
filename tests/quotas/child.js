// The child of `parent.js`: takes too much of everything.
import { RpcStub, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class Target extends RpcTarget {
    spin() { for (;;); }
    never() { return new Promise(() => setTimeout(() => {}, 1e6)); }
    search() { return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1); }
    hoard() { hoard(); }
}

function hoard() {
    const all = [];
    for (;;) all.push({ number: all.length });
}

// Who is refused tells how deep it was.
async function deeper(depth, next) {
    try {
        return await next(depth + 1);
    } catch (error) {
        return `${depth}: ${error.message}`;
    }
}

let visits = 0;
const outcome = (promise) => promise.then(() => "sent", (error) => `${error.name}: ${error.message}`);

export class Self extends WorkerEntrypoint {
    again(depth) { return deeper(depth, (next) => this.ctx.exports.Self.again(next)); }
    make(depth) {
        const { Self } = this.ctx.exports;
        return { again: () => deeper(depth, (next) => Self.make(next).again()) };
    }
    async later(depth) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        return deeper(depth, (next) => this.ctx.exports.Self.later(next));
    }
    async fetch(request) {
        const depth = Number(new URL(request.url).pathname.slice(1));
        return new Response(await deeper(depth, async (next) => {
            return (await this.ctx.exports.Self.fetch(`http://self/${next}`)).text();
        }));
    }
}

export default class extends WorkerEntrypoint {
    count() { return ++visits; }
    ping() { return "pong"; }
    make() { return new Target(); }
    spin() { for (;;); }
    async sleep(milliseconds) {
        await scheduler.wait(milliseconds);
        return "slept";
    }
    waitUntil(milliseconds) {
        this.ctx.waitUntil(scheduler.wait(milliseconds));
        return "answered";
    }
    hoard() { hoard(); }
    take() { return "taken"; }
    compute(milliseconds) {
        for (const end = Date.now() + milliseconds; Date.now() < end; );
    }

    again() { return this.ctx.exports.Self.again(2); }
    pipelined() { return this.ctx.exports.Self.make(2).again(); }
    later() { return this.ctx.exports.Self.later(2); }
    async fetchSelf() { return (await this.ctx.exports.Self.fetch("http://self/2")).text(); }
    back(depth) { return deeper(depth, (next) => this.env.PARENT.back(next)); }
    async out() {
        try {
            return await (await fetch("http://out/")).text();
        } catch (error) {
            return error.message;
        }
    }

    // Calls of itself, directly and through others.
    async burnSelf(times) {
        for (let i = 0; i < times; i++) await this.ctx.exports.default.compute(30);
        return "all burnt";
    }
    async burnSelfAtOnce(times) {
        await Promise.all(Array.from({ length: times }, () => this.ctx.exports.default.compute(30)));
        return "all burnt";
    }
    async burnSelfByFetch(times) {
        for (let i = 0; i < times; i++) await this.ctx.exports.default.fetch("http://self/");
        return "all burnt";
    }
    fetch() {
        this.compute(30);
        return new Response("burnt");
    }
    burnSelfAfterwards(times) {
        this.ctx.waitUntil(this.burnSelf(times).then(() => this.env.PARENT.note("all burnt")));
        return "answered";
    }
    async burnThroughTheParent(times) {
        for (let i = 0; i < times; i++) await this.env.PARENT.burn();
        return "all burnt";
    }
    async burnThroughAnObject(host, times) {
        for (let i = 0; i < times; i++) await host.burn();
        return "all burnt";
    }
    async tree(depth) {
        if (depth === 0) {
            await this.env.PARENT.note("called");
            return this.env.PARENT.note("called");
        }
        await this.ctx.exports.default.tree(depth - 1);
        return this.ctx.exports.default.tree(depth - 1);
    }

    // Floods: how often each answer came. `sent` is called once all are under way.
    async keepParent(count, sent) {
        const counts = {};
        const call = async () => {
            const text = await this.env.PARENT.keep().catch((error) => error.message);
            counts[text] = (counts[text] ?? 0) + 1;
        };
        const calls = Array.from({ length: count }, call);
        await sent();
        await Promise.all(calls);
        return counts;
    }
    async keepParentThroughOthers(count) {
        const answers = await Promise.all([1, 2, 3].map((n) => this.env.PARENT.spread(n, count)));
        return answers.reduce((sum, counts) => sum + (counts.kept ?? 0), 0);
    }
    large(length) { return "x".repeat(length); }

    async post(count) {
        const body = "x".repeat(3e7);
        const post = async () => (await this.env.PARENT.fetch("http://parent/", { method: "POST", body })).text();
        const answers = Array.from({ length: count }, () => post().catch((error) => error.message));
        return [...new Set(await Promise.all(answers))];
    }

    send(host, count) { return outcome(host.echo(Array.from({ length: count }, () => () => 1))); }
    sendTargets(host, count) { return outcome(host.echo(Array.from({ length: count }, () => new Target()))); }
    duplicate(count) {
        const stub = new RpcStub(() => 1);
        for (let i = 0; i < count; i++) stub.dup();
    }
    dispose(count) {
        const stub = new RpcStub(() => 1);
        for (let i = 0; i < count; i++) stub.dup()[Symbol.dispose]();
        return "done";
    }
    async callWithoutEnd(host, count) {
        const calls = [];
        for (let i = 0; i < count; i++) calls.push(host.never());
        await Promise.race(calls);
    }
    async streams(host, count) {
        await Promise.all(Array.from({ length: count }, () => host.keep(new ReadableStream({ type: "bytes" }))));
    }
    longName(host) { return host["x".repeat(65540)]; }
    longNames(host) { return host["x".repeat(30000)]["x".repeat(30000)]["x".repeat(5540)]; }
}
