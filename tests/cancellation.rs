//! Clients that leave, and requests to the outside that nobody waits for any more: what runs for them ends.

mod support;

use support::silent::Silent;
use support::{Project, Server, json, wait_until};

/// A project that loads children, may reach this machine and whose requests have signals.
fn project(main: &str) -> Project {
    let configuration = r#"{
        "name": "worker",
        "main": "index.js",
        "compatibility_date": "2026-07-01",
        "compatibility_flags": ["enable_request_signal"],
        "worker_loaders": [{ "binding": "LOADER" }],
        "atoll": { "outbound": { "allow": ["127.0.0.1"] } }
    }"#;
    Project::new(&[("wrangler.jsonc", configuration), ("index.js", main)])
}

/// Sends requests whose clients leave once the Worker counts them as begun, and waits until it counts them as ended.
fn leave(server: &Server, request: &[u8], before_leaving: impl Fn(&mut support::http::Connection)) {
    let count = |what: &str| json(&server.get("/count"))[what].as_u64().expect("a number");
    let (begun, ended) = (count("begun"), count("ended"));
    let mut clients: Vec<_> = (0..5).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write(request).expect("send the request");
        before_leaving(client);
    }
    wait_until("all requests have begun", || count("begun") == begun + 5);
    assert_eq!(count("ended"), ended);
    drop(clients);
    wait_until("all requests have ended", || count("ended") == ended + 5);
}

const COUNTING: &str = r#"
    let begun = 0, ended = 0;
    const controllers = new Set();
    export default {
        async fetch(request) {
            const { pathname } = new URL(request.url);
            if (pathname === "/count") return Response.json({ begun, ended });
            if (pathname === "/tell") {
                for (const controller of controllers) controller.enqueue(new TextEncoder().encode("told"));
                return new Response("told");
            }
            begun++;
            if (pathname === "/stream") {
                return new Response(new ReadableStream({
                    start(controller) { controller.enqueue(new TextEncoder().encode("beginning")); },
                    pull: () => scheduler.wait(1e9),
                    cancel() { ended++; },
                }));
            }
            if (pathname === "/events") {
                let own;
                return new Response(new ReadableStream({
                    start(controller) {
                        own = controller;
                        controllers.add(own);
                        controller.enqueue(new TextEncoder().encode("beginning"));
                    },
                    cancel() { controllers.delete(own); ended++; },
                }));
            }
            request.signal.addEventListener("abort", () => ended++);
            await scheduler.wait(1e9);
        },
    };
"#;

#[test]
fn a_client_that_leaves_ends_its_request() {
    let project = project(COUNTING);
    let server = Server::start(project.path());
    leave(&server, b"GET /wait HTTP/1.1\r\nHost: test\r\n\r\n", |_| {});
}

/// The Worker never reads the body, so that nobody reads from the connection while the handler runs.
#[test]
fn a_client_that_leaves_while_its_body_is_unread_ends_its_request() {
    let project = project(COUNTING);
    let server = Server::start(project.path());
    leave(&server, b"POST /wait HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nbody", |_| {});
    leave(&server, b"POST /wait HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody", |_| {});
}

#[test]
fn a_client_that_leaves_cancels_a_stream_that_waits() {
    let project = project(COUNTING);
    let server = Server::start(project.path());
    leave(&server, b"GET /stream HTTP/1.1\r\nHost: test\r\n\r\n", |client| {
        let mut head = client.read_head().expect("read the head");
        assert_eq!(client.read_piece(&mut head).expect("read a piece"), Some(b"beginning".to_vec()));
    });
}

/// Nothing of its own goes on in an invocation whose events come from others.
#[test]
fn a_client_that_leaves_cancels_a_stream_of_others_events() {
    let project = project(COUNTING);
    let server = Server::start(project.path());
    leave(&server, b"GET /events HTTP/1.1\r\nHost: test\r\n\r\n", |client| {
        let mut head = client.read_head().expect("read the head");
        assert_eq!(client.read_piece(&mut head).expect("read a piece"), Some(b"beginning".to_vec()));
        assert_eq!(server.get("/tell").text(), "told");
        assert_eq!(client.read_piece(&mut head).expect("read a piece"), Some(b"told".to_vec()));
    });
}

/// A stream of events is idle most of the time; here there is a parent in between, as it is or as it reads on.
#[test]
fn a_client_that_leaves_cancels_a_childs_stream_of_events() {
    let project = project(
        r#"import { WorkerEntrypoint } from "cloudflare:workers";
        const child = `
            import { WorkerEntrypoint } from "cloudflare:workers";
            export default class extends WorkerEntrypoint {
                events() {
                    let timer;
                    return new ReadableStream({
                        start(controller) {
                            controller.enqueue(new TextEncoder().encode("beginning"));
                            timer = setInterval(() => {}, 1e9);
                        },
                        cancel: () => {
                            clearInterval(timer);
                            this.ctx.waitUntil(this.env.LOG.ended());
                        },
                    });
                }
                fetch() { return new Response(this.events()); }
            }`;
        let begun = 0, ended = 0;
        export class Log extends WorkerEntrypoint { ended() { ended++; } }
        const handlers = {
            "/passedOn": (child, request) => child.fetch(request),
            "/wrapped": async (child, request) => new Response((await child.fetch(request)).body),
            "/piped": async (child, request) =>
                new Response((await child.fetch(request)).body.pipeThrough(new TransformStream())),
            "/called": async (child) => new Response(await child.events()),
        };
        export default {
            fetch(request, env, ctx) {
                const { pathname } = new URL(request.url);
                if (pathname === "/count") return Response.json({ begun, ended });
                begun++;
                const worker = env.LOADER.load({
                    compatibilityDate: "2026-07-01", mainModule: "child.js", modules: { "child.js": child },
                    env: { LOG: ctx.exports.Log({}) },
                });
                return handlers[pathname](worker.getEntrypoint(), request);
            },
        };"#,
    );
    let server = Server::start(project.path());
    for path in ["/passedOn", "/wrapped", "/piped", "/called"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        leave(&server, request.as_bytes(), |client| {
            let mut head = client.read_head().expect("read the head");
            assert_eq!(client.read_piece(&mut head).expect("read a piece"), Some(b"beginning".to_vec()));
        });
    }
}

/// The parent goes on, and makes so much that what it no longer has is collected.
#[test]
fn a_body_that_is_collected_is_cancelled() {
    let project = project(
        r#"import { WorkerEntrypoint } from "cloudflare:workers";
        const child = `
            import { WorkerEntrypoint } from "cloudflare:workers";
            export default class extends WorkerEntrypoint {
                fetch() {
                    const timer = setInterval(() => {}, 1e9);
                    return new Response(new ReadableStream({
                        cancel: () => {
                            clearInterval(timer);
                            this.ctx.waitUntil(this.env.LOG.ended());
                        },
                    }));
                }
            }`;
        let ended = 0;
        export class Log extends WorkerEntrypoint { ended() { ended++; } }
        export default {
            async fetch(request, env, ctx) {
                const worker = env.LOADER.load({
                    compatibilityDate: "2026-07-01", mainModule: "child.js", modules: { "child.js": child },
                    env: { LOG: ctx.exports.Log({}) },
                });
                const leave = async (number) => {
                    const response = await worker.getEntrypoint().fetch(request.url);
                    if (number % 2 === 1) response.body.getReader();
                };
                for (let i = 0; i < 5; i++) await leave(i);
                while (ended < 5) {
                    for (let i = 0; i < 1e5; i++) [i, {}];
                    await scheduler.wait(1);
                }
                return new Response("all are told");
            },
        };"#,
    );
    let server = Server::start(project.path());
    assert_eq!(server.get("/").text(), "all are told");
}

#[test]
fn requests_to_the_outside_end_with_whoever_made_them() {
    let upstream = Silent::start();
    let url = format!("http://{}", upstream.address());
    let project = project(&format!(
        r#"const url = "{url}";
        const child = `export default {{
            async fetch() {{ await fetch("{url}/"); }},
            async exhaust(size) {{
                fetch("{url}/");
                await scheduler.wait(100);
                const all = [];
                for (;;) all.push(new Array(size).fill(all.length));
            }},
        }};`;
        const handlers = {{
            async "/wait"() {{ await fetch(url); }},
            async "/unawaited"() {{
                fetch(url);
                await scheduler.wait(100);
                return new Response("answered");
            }},
            async "/aborted"() {{
                const controller = new AbortController();
                const answer = fetch(url, {{ signal: controller.signal }});
                setTimeout(() => controller.abort(new Error("enough")), 100);
                return new Response(await answer.catch((error) => error.message));
            }},
            async "/abortedBody"() {{
                const controller = new AbortController();
                const response = await fetch(url + "/body", {{ signal: controller.signal }});
                setTimeout(() => controller.abort(new Error("enough")), 100);
                return new Response(await response.text().catch((error) => error.message));
            }},
            async "/unreadBody"() {{
                await fetch(url + "/body");
                return new Response("answered");
            }},
            async "/cancelledBody"() {{
                const response = await fetch(url + "/body");
                await response.body.cancel();
                return new Response("answered");
            }},
            async "/child"(env) {{
                await load(env).fetch("http://child/");
            }},
            async "/exhausted"(env) {{
                return new Response(await load(env).exhaust(1e5).catch((error) => error.message));
            }},
        }};
        const load = (env) => env.LOADER.load({{
            compatibilityDate: "2026-07-01", mainModule: "main.js", modules: {{ "main.js": child }},
        }}).getEntrypoint();
        export default {{ fetch: (request, env) => handlers[new URL(request.url).pathname](env) }};"#
    ));
    let server = Server::start(project.path());
    let mut count = 0;
    for (path, answer) in [
        ("/unawaited", "answered"),
        ("/aborted", "enough"),
        ("/abortedBody", "enough"),
        ("/unreadBody", "answered"),
        ("/cancelledBody", "answered"),
        ("/exhausted", "memory limit"),
    ] {
        support::assert_contains(&server.get(path).text(), &[answer]);
        count += 1;
        upstream.wait_for(path, count, count);
    }
    for path in ["/wait", "/child"] {
        let mut client = server.connect();
        client.write(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).expect("send it");
        upstream.wait_for(path, count + 1, count);
        drop(client);
        count += 1;
        upstream.wait_for(path, count, count);
    }
}
