//! Nothing is left of what is over: after thousands of loads, calls, streams, aborted requests and clients that left, the
//! process has the file descriptors and threads that it had, and its memory has stopped growing.

mod support;

use std::fs;
use std::thread;
use std::time::Duration;

use support::silent::Silent;
use support::{Project, Server, wait_until};

/// What one `GET /cycle` does, each for `SIZE` children or requests.
const MAIN: &str = r#"
    import { RpcTarget } from "cloudflare:workers";

    const SIZE = 20;
    const CHILD = `
        const encoder = new TextEncoder();
        const endless = () => new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(10_000)); } });
        export default {
            async fetch(request) {
                const { pathname } = new URL(request.url);
                if (pathname === "/wait") await scheduler.wait(1e9);
                if (pathname === "/stream") return new Response(endless());
                if (pathname === "/stuck") {
                    setInterval(() => {}, 1e9);
                    return new Response(new ReadableStream({
                        start(c) { c.enqueue(encoder.encode("beginning")); },
                        pull: () => new Promise(() => {}),
                    }));
                }
                if (pathname === "/outside") await fetch("UPSTREAM");
                if (pathname === "/timers") for (let i = 0; i < 100; i++) setTimeout(() => {}, 1e9);
                return new Response(request.body);
            },
            async call(argument) { return { argument, callback: () => argument }; },
            async use(callback) { return await callback("used"); },
            async stream() { return endless(); },
            async write(writable) {
                const writer = writable.getWriter();
                for (let i = 0; i < 10; i++) await writer.write(encoder.encode("x".repeat(1000)));
                await writer.close();
            },
            async wait() { await scheduler.wait(1e9); },
            async fill(size) { const all = []; for (;;) all.push(new Array(size).fill(all.length)); },
        };
    `;
    const code = {
        compatibilityDate: "2026-07-01", mainModule: "main.js", modules: { "main.js": CHILD },
    };
    class Target extends RpcTarget { answer() { return "answer"; } }

    const cases = {
        async call(child) {
            using result = await child.call("a".repeat(10_000));
            await result.callback();
            await child.use((text) => text);
            await child.use(new Target().answer);
        },
        async timers(child) { await (await child.fetch("http://child/timers")).text(); },
        async echo(child) {
            const body = new Blob(["b".repeat(100_000)]).stream();
            await (await child.fetch("http://child/", { method: "POST", body })).text();
        },
        async unread(child) { await child.fetch("http://child/stream"); },
        async cancelled(child) { await (await child.fetch("http://child/stream")).body.cancel(); },
        async stuck(child) {
            const reader = (await child.fetch("http://child/stuck")).body.getReader();
            await reader.read();
            reader.read().catch(() => {});
        },
        async unawaited(child) {
            child.fetch("http://child/wait").catch(() => {});
            child.wait(1).catch(() => {});
            await child.call(1);
        },
        async aborted(child) {
            const signal = AbortSignal.timeout(5);
            await child.fetch("http://child/wait", { signal }).catch(() => {});
        },
        async outside(child) {
            const signal = AbortSignal.timeout(20);
            await child.fetch("http://child/outside", { signal }).catch(() => {});
        },
        async streamOverRpc(child) {
            const reader = (await child.stream(1)).getReader();
            await reader.read();
        },
        async writableOverRpc(child) {
            const { readable, writable } = new IdentityTransformStream();
            const written = child.write(writable);
            await new Response(readable).arrayBuffer();
            await written;
        },
    };

    export default {
        async fetch(request, env) {
            const { pathname } = new URL(request.url);
            if (pathname === "/wait") await scheduler.wait(1e9);
            if (pathname === "/stream") {
                return env.LOADER.load(code).getEntrypoint().fetch("http://child/stream");
            }
            if (pathname === "/full") await env.LOADER.load(code).getEntrypoint().fill(1e5).catch(() => {});
            if (pathname !== "/cycle") return new Response("ok");
            for (const run of Object.values(cases)) {
                const children = Array.from({ length: SIZE }, () => env.LOADER.load(code).getEntrypoint());
                await Promise.all(children.map((child) => run(child)));
            }
            for (let i = 0; i < SIZE; i++) {
                const child = env.LOADER.get(`named ${i % 10}`, () => code).getEntrypoint();
                await child.call(1);
                child.fetch("http://child/wait").catch(() => {});
                if (i >= 10) env.LOADER.evict(`named ${i % 10}`);
            }
            return new Response("done");
        },
    };
"#;

/// Cycles in a round; each loads some 200 children.
const CYCLES: usize = 5;

/// Rounds until caches and pools are full, and as many whose growth is measured.
const ROUNDS: usize = 4;

/// What may be left of the measured rounds together, in KiB: some 9 for each child and client.
const ALLOWED_KIB: i64 = 48 * 1024;

/// V8 looks for pages to give back every few seconds, and takes them at a second look.
const AT_REST: Duration = Duration::from_secs(20);

fn one_round(server: &Server) {
    for _ in 0..CYCLES {
        assert_eq!(server.get("/cycle").text(), "done");
        for path in ["/wait", "/stream"] {
            let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
            for client in &mut clients {
                client
                    .write(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes())
                    .expect("send a request");
                if path == "/stream" {
                    let mut head = client.read_head().expect("read the head");
                    client.read_piece(&mut head).expect("read a piece");
                }
            }
        }
    }
    server.get("/full");
}

fn entries(process: u32, folder: &str) -> usize {
    fs::read_dir(format!("/proc/{process}/{folder}")).expect("list a folder of the process").count()
}

fn resident_kib(process: u32) -> i64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("read the process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the status has VmRSS");
    line.trim().trim_end_matches(" kB").trim().parse().expect("VmRSS is a number")
}

/// Resident memory once V8 has given back the pages of ended heaps. It keeps them for some seconds, to use them again; how
/// many they are depends on how many children happened to live at the same time.
fn at_rest_kib(process: u32) -> i64 {
    let looks = (0..100).map(|_| {
        thread::sleep(AT_REST / 100);
        resident_kib(process)
    });
    looks.min().expect("looked more than once")
}

#[test]
fn nothing_is_left_of_what_is_over() {
    let upstream = Silent::start();
    let configuration = r#"{
        "name": "worker",
        "main": "index.js",
        "compatibility_date": "2026-07-01",
        "worker_loaders": [{ "binding": "LOADER" }],
        "atoll": { "outbound": { "allow": ["127.0.0.1"] } }
    }"#;
    let main = MAIN.replace("UPSTREAM", &format!("http://{}/", upstream.address()));
    let project = Project::new(&[("wrangler.jsonc", configuration), ("index.js", &main)]);
    let server = Server::start(project.path());
    let process = server.process();
    // The first round starts what is there for good: threads, the named child, the pool's heaps.
    one_round(&server);
    wait_until("the connections of the first round are closed", || upstream.are_closed());
    let (files, threads) = (entries(process, "fd"), entries(process, "task"));
    let rounds = || {
        for _ in 0..ROUNDS {
            one_round(&server);
            wait_until("descriptors and threads are back", || {
                entries(process, "fd") <= files && entries(process, "task") <= threads
            });
        }
    };
    rounds();
    let before = at_rest_kib(process);
    rounds();
    let after = at_rest_kib(process);
    assert!(after - before < ALLOWED_KIB, "resident memory in KiB: {before}, then {after}");
}
