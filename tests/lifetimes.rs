//! When children end and when they start again: observed from inside with garbage collections on demand, and from outside
//! in a process that may have few isolates.

mod support;

use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::json;
use support::{Project, Server, assert_contains};

#[test]
fn children_end_when_nobody_holds_them() {
    let output = Command::new(env!("CARGO_BIN_EXE_atoll"))
        .arg("test")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lifetimes"))
        .args(["--v8-flags", "--expose-gc"])
        .output()
        .expect("the binary runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("11 passed, 0 failed"), "{stdout}");
}

const CHILD: &str = r#"
    import { WorkerEntrypoint } from "cloudflare:workers";
    let calls = 0;
    export default class extends WorkerEntrypoint {
        count() { return ++calls; }
        add(n) { calls++; return n + this.env.number; }
        async live() { return [await this.env.live(), ++calls]; }
        async wait(gate) { await gate.open(); return "waited"; }
        hoard() { const all = []; for (;;) all.push({ number: all.length, text: `text ${all.length}` }); }
        stream() {
            let chunks = 0;
            return new ReadableStream({
                async pull(controller) {
                    controller.enqueue(new TextEncoder().encode(`${calls++} `));
                    if (++chunks === 20) controller.close();
                },
            });
        }
    }
"#;

/// Every path is one request that does what its function says, in one context.
const PARENT: &str = r#"
    import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
    import code from "./child.txt";

    const worker = (env, more) => ({
        compatibilityDate: "2026-07-01",
        mainModule: "child.js",
        modules: { "child.js": code },
        env,
        ...more,
    });
    const attempt = (call) => call.then((value) => value, (error) => error.message);

    class Gate extends RpcTarget {
        opened = Promise.withResolvers();
        entered = Promise.withResolvers();
        open() {
            this.entered.resolve();
            return this.opened.promise;
        }
    }

    const traces = [];
    export class Tail extends WorkerEntrypoint {
        tail(items) { for (const item of items) traces.push(item.outcome); }
    }

    export class Service extends WorkerEntrypoint {
        say(word) { return `${this.ctx.props.greeting} ${word}`; }
    }

    // Fills the process with children that do nothing.
    async function crowd(env, children) {
        const stubs = [];
        for (let i = 0; i < children; i++) {
            const stub = env.LOADER.load(worker({ number: i })).getEntrypoint();
            stubs.push(stub);
            await stub.add(1);
        }
        return stubs;
    }

    let callbacks = 0;
    const gates = [];
    const actions = {
        // Loads many children, holds them all, and calls each twice, the second time all at once.
        async many(env, number) {
            const stubs = await crowd(env, number);
            const sums = await Promise.all(stubs.map((stub) => stub.add(1000)));
            return sums.reduce((a, b) => a + b, 0);
        },

        // Children that wait for a gate; the answer comes when each has entered or has failed.
        async fill(env, number) {
            const calls = [];
            for (let i = 0; i < number; i++) {
                const gate = new Gate();
                gates.push(gate);
                const call = env.LOADER.load(worker({ number: i })).getEntrypoint().wait(gate);
                calls.push(Promise.race([gate.entered.promise.then(() => "busy"), attempt(call)]));
            }
            return await Promise.all(calls);
        },

        // As many busy children as find room, and one more; a busy one is let go of while that waits.
        async release(env, number) {
            const calls = [];
            for (let i = 0; i < number; i++) {
                const gate = new Gate();
                const call = env.LOADER.load(worker()).getEntrypoint().wait(gate);
                await gate.entered.promise;
                calls.push([gate, call]);
            }
            const late = env.LOADER.load(worker({ number: 1 })).getEntrypoint().add(1);
            await scheduler.wait(100);
            calls[0][0].opened.resolve();
            const answers = [await late, await calls[0][1]];
            for (const [gate] of calls) gate.opened.resolve();
            for (const [, call] of calls) answers.push(await call);
            return answers;
        },

        // A child that holds something live is never put to sleep: it counts on.
        async live(env, number) {
            const child = env.LOADER.load(worker({ live: () => "alive" })).getEntrypoint();
            const first = await child.live();
            await crowd(env, number);
            return [first, await child.live()];
        },

        async stream(env, number) {
            const stream = await env.LOADER.load(worker()).getEntrypoint().stream();
            const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
            let text = (await reader.read()).value;
            await crowd(env, number);
            for (;;) {
                const { done, value } = await reader.read();
                if (done) return text;
                text += value;
            }
        },

        // Idle children of which nobody holds a stub. A moment later each is idle, and before the next.
        async named(env, id) {
            const load = () => {
                callbacks++;
                return worker({ number: 0 });
            };
            const count = await env.LOADER.get(id, load).getEntrypoint().count();
            await scheduler.wait(5);
            return count;
        },

        callbacks: () => callbacks,
        traces: () => traces,

        // One stub through the whole request, with the child put to sleep in between.
        async held(env, number) {
            const child = env.LOADER.get("held", () => worker({ number: 5 })).getEntrypoint();
            const counts = [await child.count()];
            (await crowd(env, number)).forEach((stub) => stub[Symbol.dispose]());
            counts.push(await child.count(), await child.add(1));
            return counts;
        },

        // Whatever code and env are made of is there again after a sleep, as it was when it was given.
        async kinds(env, number, ctx) {
            const bytes = new Uint8Array([1, 2, 3]);
            const wasm = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10,
                6, 1, 4, 0, 65, 7, 11]);
            const child = env.LOADER.load({
                compatibilityDate: "2026-07-01",
                mainModule: "main.js",
                modules: {
                    "main.js": `
                        import text from "./a.txt";
                        import data from "./a.bin";
                        import value from "./a.json";
                        import cjs from "./a.cjs";
                        import wasm from "./a.wasm";
                        const { exports } = new WebAssembly.Instance(wasm);
                        let calls = 0;
                        export default {
                            async all(word, env) {
                                return [text, [...new Uint8Array(data)], value, cjs.n, exports.f(), await env.SERVICE.say(word),
                                    [...env.bytes], env.map.get("key"), ++calls];
                            },
                        };`,
                    "a.txt": { text: "text" },
                    "a.bin": { data: bytes.buffer },
                    "a.json": { json: { a: 1 } },
                    "a.cjs": { cjs: "exports.n = 5;" },
                    "a.wasm": { wasm },
                },
                env: { SERVICE: ctx.exports.Service({ props: { greeting: "hello" } }), bytes, map: new Map([["key", "value"]]) },
            }).getEntrypoint();
            bytes.fill(9);
            wasm.fill(9);
            const before = await child.all("you");
            await crowd(env, number);
            return [before, await child.all("you")];
        },

        // A load that a limit ends at start-up, and the next one under the same id.
        async startup(env, source) {
            const failing = env.LOADER.get(source, () => worker({}, { modules: { "child.js": source } }));
            const entrypoint = failing.getEntrypoint();
            const errors = [await attempt(entrypoint.count()), await attempt(entrypoint.count())];
            return { errors, count: await env.LOADER.get(source, () => worker()).getEntrypoint().count() };
        },

        async memory(env, _argument, ctx) {
            const loads = { count: 0 };
            const get = () => env.LOADER.get("hoarder", () => {
                loads.count++;
                return worker({ number: 0 }, { tails: [ctx.exports.Tail({ props: {} })] });
            }).getEntrypoint();
            const held = get();
            const counts = [await held.count(), await held.count()];
            const underWay = attempt(held.wait(new Gate()));
            const errors = [await attempt(held.hoard()), await underWay];
            counts.push(await get().count(), await held.count());
            return { counts, errors, loads: loads.count };
        },
    };

    export default {
        async fetch(request, env, ctx) {
            const { pathname, searchParams } = new URL(request.url);
            const action = actions[pathname.slice(1)];
            const argument = searchParams.get("of");
            try {
                return Response.json(await action(env, argument, ctx));
            } catch (error) {
                return Response.json({ error: error.message });
            }
        },
    };
"#;

fn start(isolates: &str) -> (Project, Server) {
    let project = Project::loading_worker(PARENT);
    project.write("child.txt", CHILD);
    let server = Server::start_with(&[project.path()], &["--max-isolates", isolates]);
    (project, server)
}

#[track_caller]
fn ask(server: &Server, target: &str) -> serde_json::Value {
    support::json(&server.get(target))
}

#[test]
fn one_request_may_hold_more_children_than_the_process_has_isolates() {
    let (_project, server) = start("20");
    // 60 children, each of which adds its own number to 1,000.
    assert_eq!(ask(&server, "/many?of=60"), json!(60 * 1000 + 59 * 60 / 2));
}

#[test]
fn a_child_that_slept_goes_on_through_the_stub_that_is_held() {
    let (_project, server) = start("6");
    // Module state is fresh after it.
    assert_eq!(ask(&server, "/held?of=12"), json!([1, 1, 6]));
}

#[test]
fn a_child_that_holds_something_live_does_not_sleep() {
    let (_project, server) = start("6");
    assert_eq!(ask(&server, "/live?of=12"), json!([["alive", 1], ["alive", 2]]));
}

#[test]
fn a_child_whose_stream_is_read_does_not_sleep() {
    let (_project, server) = start("6");
    let numbers: String = (0..20).map(|n| format!("{n} ")).collect();
    assert_eq!(ask(&server, "/stream?of=12"), json!(numbers));
}

#[test]
fn a_child_starts_again_from_what_was_given() {
    let (_project, server) = start("6");
    let all = json!(["text", [1, 2, 3], { "a": 1 }, 5, 7, "hello you", [1, 2, 3], "value", 1]);
    assert_eq!(ask(&server, "/kinds?of=12"), json!([all, all]));
}

/// Two Workers whose loaders are one. `race` asks for the same children from both at once; each tells how many of its
/// callbacks ran. `end` leaves a load behind in a Worker that runs out of memory.
const SHARING: &str = r#"
    import { WorkerEntrypoint } from "cloudflare:workers";

    let started;
    let callbacks = 0;
    const code = `let calls = 0; export default { async count() { return ++calls; } };`;
    const count = (env, id, load) => env.LOADER.get(id, load).getEntrypoint().count(null);

    export class Asked extends WorkerEntrypoint {
        async race(ids) {
            const load = async () => {
                callbacks++;
                await null;
                return { code };
            };
            callbacks = 0;
            const counts = await Promise.all(ids.map((id) => count(this.env, id, load)));
            return { counts, callbacks };
        }
        async leave(id) {
            this.env.LOADER.get(id, () => new Promise(() => {}));
            await scheduler.wait(1);
            started = id;
            await scheduler.wait(100000);
        }
        started() { return started; }
        hoard() { const all = []; for (;;) all.push({ number: all.length, text: `text ${all.length}` }); }
    }

    export default {
        async fetch(request, env, ctx) {
            const { pathname } = new URL(request.url);
            if (pathname === "/race") {
                const ids = Array.from({ length: 40 }, (_, i) => `child ${i}`);
                return Response.json(await Promise.all([ctx.exports.Asked.race(ids), env.OTHER.race(ids)]));
            }
            const left = env.OTHER.leave("left").catch((error) => error.message);
            while ((await env.OTHER.started()) !== "left") await scheduler.wait(1);
            const waits = count(env, "left", () => ({ code })).catch((error) => error.message);
            const hoards = env.OTHER.hoard().catch((error) => error.message);
            const outcomes = await Promise.all([left, hoards, waits]);
            return Response.json({ outcomes, count: await count(env, "left", () => ({ code })) });
        },
    };
"#;

fn start_sharing() -> (Project, Project, Server) {
    let project = |name: &str, services: &str| {
        let configuration = format!(
            r#"{{ "name": "{name}", "main": "index.js", "compatibility_date": "2026-07-01", "services": [{services}],
                "worker_loaders": [{{ "binding": "LOADER", "id": "shared" }}] }}"#
        );
        Project::new(&[("wrangler.jsonc", &configuration), ("index.js", SHARING)])
    };
    let one = project("one", r#"{ "binding": "OTHER", "service": "two", "entrypoint": "Asked" }"#);
    let two = project("two", "");
    let server = Server::start_all(&[one.path(), two.path()]);
    (one, two, server)
}

#[test]
fn two_workers_that_ask_at_once_share_each_load() {
    let (_one, _two, server) = start_sharing();
    let answer = ask(&server, "/race");
    let of = |index: usize, key: &str| answer[index][key].clone();
    let callbacks = of(0, "callbacks").as_u64().zip(of(1, "callbacks").as_u64());
    assert_eq!(callbacks.map(|(one, two)| one + two), Some(40), "{answer}");
    for id in 0..40 {
        let mut counts = [of(0, "counts")[id].as_u64(), of(1, "counts")[id].as_u64()];
        counts.sort_unstable();
        assert_eq!(counts, [Some(1), Some(2)], "child {id}: {answer}");
    }
}

#[test]
fn a_load_outlives_the_worker_that_was_to_give_its_code() {
    let (_one, _two, server) = start_sharing();
    let answer = ask(&server, "/leave");
    let memory = "Worker \"two\" exceeded its memory limit of 128 MiB.";
    // Whoever still waits gives the code.
    assert_eq!(answer["outcomes"], json!([memory, memory, 1]), "{answer}");
    assert_eq!(answer["count"], json!(2), "{answer}");
}

#[test]
fn no_busy_child_makes_room() {
    let (_project, server) = start("6");
    let answers = ask(&server, "/fill?of=8");
    let answers: Vec<&str> = answers.as_array().expect("a list").iter().filter_map(|a| a.as_str()).collect();
    assert_eq!(answers.iter().filter(|answer| **answer == "busy").count(), 5, "{answers:?}");
    for refused in answers.iter().filter(|answer| **answer != "busy") {
        let expected = "found no room: this process may have 6 isolates, and none became free within 10 s.";
        assert_contains(refused, &["Worker \"dynamic\"", expected]);
    }
}

#[test]
fn a_load_waits_until_a_child_is_done() {
    let (_project, server) = start("4");
    assert_eq!(ask(&server, "/release?of=3"), json!([2, "waited", "waited", "waited", "waited"]));
}

#[test]
fn the_longest_unused_named_child_goes_first() {
    let (_project, server) = start("12");
    for id in ["a", "b", "c", "d", "e", "f"] {
        assert_eq!(ask(&server, &format!("/named?of={id}")), json!(1));
    }
    assert_eq!(ask(&server, "/named?of=a"), json!(2));
    assert_eq!(ask(&server, "/callbacks"), json!(6));
    // With the server's own Worker, these fill the process and need the room of one of those above.
    for id in ["g", "h", "i", "j", "k", "l"] {
        assert_eq!(ask(&server, &format!("/named?of={id}")), json!(1));
    }
    assert_eq!(ask(&server, "/named?of=a"), json!(3));
    assert_eq!(ask(&server, "/callbacks"), json!(12));
    assert_eq!(ask(&server, "/named?of=b"), json!(1));
    assert_eq!(ask(&server, "/callbacks"), json!(13));
}

#[test]
fn a_child_that_ran_out_of_memory_loads_again() {
    let (_project, server) = start("40");
    let answer = ask(&server, "/memory");
    assert_eq!(answer["counts"], json!([1, 2, 1, 1]), "{answer}");
    assert_eq!(answer["loads"], json!(2), "{answer}");
    for error in answer["errors"].as_array().expect("a list") {
        assert_contains(
            error.as_str().unwrap_or_default(),
            &["\"hoarder\" exceeded its memory limit of 128 MiB."],
        );
    }
    let ended = || {
        ask(&server, "/traces").as_array().into_iter().flatten().filter(|o| **o == "exceededMemory").count()
    };
    support::wait_until("both calls are traced", || ended() == 2);
}

#[track_caller]
fn assert_forgotten(source: &str, limit: &str) {
    let (_project, server) = start("40");
    let answer = ask(&server, &format!("/startup?of={source}"));
    for error in answer["errors"].as_array().expect("a list") {
        assert_contains(error.as_str().unwrap_or_default(), &["Worker \"", limit]);
    }
    assert_eq!(answer["count"], json!(1), "{answer}");
}

#[test]
fn a_load_that_took_too_much_processor_time_is_forgotten() {
    assert_forgotten("for(;;);", "exceeded its start-up CPU time limit of 1000 ms.");
}

#[test]
fn a_load_that_took_too_much_memory_is_forgotten() {
    let source = "const%20all=[];for(;;)all.push(new%20Array(1e5).fill(1.5));";
    assert_forgotten(source, "exceeded its memory limit of 128 MiB.");
}

#[test]
fn requests_at_once_fill_a_process_and_all_are_answered() {
    let (_project, server) = start("10");
    thread::scope(|scope| {
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(|| ask(&server, "/many?of=12"))).collect();
        for answer in asked {
            assert_eq!(answer.join().expect("the request is answered"), json!(12 * 1000 + 11 * 12 / 2));
        }
    });
}
