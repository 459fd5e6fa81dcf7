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

        // Idle children of which nobody holds a stub.
        named(env, id) {
            const load = () => {
                callbacks++;
                return worker({ number: 0 });
            };
            return env.LOADER.get(id, load).getEntrypoint().count();
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
