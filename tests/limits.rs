//! Limits on children: code that takes too much ends with an error, and nobody else notices.

mod support;

use std::thread;

use support::{Project, Server, assert_contains};

/// `/start?NAME` loads the child below, calls its method NAME and answers with what came of it. `/started` tells how
/// many of these calls have been made, `/` answers at once.
const PARENT: &str = r#"
    import { WorkerEntrypoint } from "cloudflare:workers";
    import code from "./child.txt";

    export class Network extends WorkerEntrypoint {
        fetch() { return new Response("answer"); }
    }

    let started = 0;
    export default {
        async fetch(request, env, ctx) {
            const { pathname, search } = new URL(request.url);
            if (pathname === "/started") return new Response(String(started));
            if (pathname !== "/start") return new Response("alive");
            const child = env.LOADER.load({
                compatibilityDate: "2026-07-01",
                mainModule: "child.js",
                modules: { "child.js": code },
                globalOutbound: ctx.exports.Network({ props: {} }),
                limits: { cpuMs: 2000, subRequests: 3 },
            }).getEntrypoint();
            try {
                await child.ready();
                started++;
                const result = await child[search.slice(1)]();
                if (result instanceof ReadableStream) return Response.json({ result: await new Response(result).text() });
                return Response.json({ result: result ?? null });
            } catch (error) {
                return Response.json({ error: error.message });
            }
        },
    };
"#;

const CHILD: &str = r#"
    import { WorkerEntrypoint } from "cloudflare:workers";

    export default class extends WorkerEntrypoint {
        ready() {}
        spin() { for (;;); }
        async spinLater() { await null; for (;;); }
        regularExpression() { return /^(a+)+$/.test("a".repeat(40) + "b"); }
        hoard() { const all = []; for (;;) all.push({ number: all.length, text: `text ${all.length}` }); }
        hoardArrays() { const all = []; for (;;) all.push(new Array(1000).fill(1.5)); }
        streamAndSpin() {
            let sent = 0;
            return new ReadableStream({
                async pull(controller) {
                    await scheduler.wait(1);
                    controller.enqueue("x");
                    if (++sent === 5) for (;;);
                },
            });
        }
        async streamThroughAPipe() {
            const { readable, writable } = new IdentityTransformStream();
            const writer = writable.getWriter();
            this.ctx.waitUntil(writer.write(new Uint8Array(5)).then(() => this.spin()));
            return readable;
        }
        hoardBuffers() { const all = []; for (;;) all.push(new Uint8Array(1 << 20).fill(1)); }
        async fetchALot() {
            const outcomes = [];
            for (let i = 0; i < 5; i++) {
                outcomes.push(await fetch("http://any/").then((response) => response.text(), () => "refused"));
            }
            return outcomes;
        }
    }
"#;

fn start() -> (Project, Server) {
    let project = Project::loading_worker(PARENT);
    project.write("child.txt", CHILD);
    let server = Server::start(project.path());
    (project, server)
}

/// Calls a method of a child that must be stopped; the server must still serve, children included.
#[track_caller]
fn assert_stopped(method: &str) {
    let (_project, server) = start();
    let answer = support::json(&server.get(&format!("/start?{method}")));
    assert!(answer["error"].as_str().is_some_and(|error| !error.is_empty()), "{method}: {answer}");
    assert_eq!(server.get("/").text(), "alive");
    assert_eq!(support::json(&server.get("/start?ready"))["result"], serde_json::Value::Null);
}

#[test]
fn other_requests_are_answered_while_a_child_spins() {
    let (_project, server) = start();
    thread::scope(|scope| {
        let spinning = scope.spawn(|| support::json(&server.get("/start?spin")));
        support::wait_until("the child spins", || server.get("/started").text() == "1");
        assert_eq!(server.get("/").text(), "alive");
        // The child has 2 s of processor time to burn: that the answer came first shows that it did not wait.
        assert!(!spinning.is_finished(), "the answer waited for the child's end");
        let answer = spinning.join().expect("the request is answered");
        assert!(answer["error"].is_string(), "{answer}");
    });
}

#[test]
fn an_endless_loop_is_stopped() {
    assert_stopped("spin");
}

#[test]
fn an_endless_loop_after_an_await_is_stopped() {
    assert_stopped("spinLater");
}

#[test]
fn an_endless_regular_expression_is_stopped() {
    assert_stopped("regularExpression");
}

#[test]
fn a_child_that_hoards_memory_is_stopped() {
    assert_stopped("hoard");
}

/// The optimising compiler turns this loop into one that V8 could not stop, unless it is told otherwise.
#[test]
fn a_hot_loop_over_a_builtin_is_stopped() {
    assert_stopped("hoardArrays");
}

/// Buffers lie outside the JavaScript heap; they are counted all the same.
#[test]
fn a_child_that_hoards_buffers_is_stopped() {
    assert_stopped("hoardBuffers");
}

/// Who reads what a child streams, too, learns why it ended.
#[test]
fn readers_of_a_stream_learn_which_limit_ended_its_writer() {
    let (_project, server) = start();
    for method in ["streamAndSpin", "streamThroughAPipe"] {
        let answer = support::json(&server.get(&format!("/start?{method}")));
        let error = answer["error"].as_str().unwrap_or_default();
        assert_contains(error, &["exceeded its CPU time limit of 2000 ms"]);
    }
}

#[test]
fn subrequests_are_counted() {
    let (_project, server) = start();
    let answer = support::json(&server.get("/start?fetchALot"));
    let expected = serde_json::json!(["answer", "answer", "answer", "refused", "refused"]);
    assert_eq!(answer["result"], expected, "{answer}");
}

#[test]
fn a_child_that_spins_while_it_is_loaded_is_stopped() {
    let project = Project::loading_worker(PARENT);
    project.write("child.txt", "for (;;);");
    let server = Server::start(project.path());
    let answer = support::json(&server.get("/start?ready"));
    assert!(answer["error"].is_string(), "{answer}");
    assert_contains(&server.get("/").text(), &["alive"]);
}
