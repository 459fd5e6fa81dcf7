//! Children that run without end, and everybody else: what is small goes on beside them.

mod support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::thread;
use std::time::Duration;

use support::http::Connection;
use support::upstream::Upstream;
use support::{Project, Server, json};

/// `/loop` loads a child that loops, `/busy` one that computes in short pieces for ever; neither answers. `/begun` and
/// `/over` tell how many of these have begun and how many are over. The other routes are what must go on.
const PARENT: &str = r#"
    import { WorkerEntrypoint } from "cloudflare:workers";

    const CODE = `
        import { WorkerEntrypoint } from "cloudflare:workers";
        const spin = (rounds) => { let sum = 0; for (let i = 0; i < rounds; i++) sum += i % 7; return sum; };
        export default class extends WorkerEntrypoint {
            async loop(begun) { await begun(); for (;;); }
            async busy(begun) { await begun(); for (;;) { spin(3e5); await scheduler.wait(0); } }
            async work(rounds) { for (let i = 0; i < rounds; i++) { spin(1e6); await scheduler.wait(0); } }
            echo(value) { return value; }
            async wait(milliseconds) { await scheduler.wait(milliseconds); return "waited"; }
        }`;
    let begun = 0, over = 0, number = 0;

    function load(env) {
        return env.LOADER.load({
            compatibilityDate: "2026-07-01",
            mainModule: "child.js",
            modules: { "child.js": `${CODE} // ${number++}` },
            limits: { cpuMs: 20_000 },
        }).getEntrypoint();
    }

    const routes = {
        async "/loop"(env) { try { await load(env).loop(() => { begun++; }); } finally { over++; } },
        async "/busy"(env) { try { await load(env).busy(() => { begun++; }); } finally { over++; } },
        "/begun": () => begun,
        "/over": () => over,
        "/echo": (env) => named(env).echo("small"),
        "/wait": (env) => named(env).wait(5),
        "/new": (env) => load(env).echo("new"),
        async "/fetch"(env) { return (await fetch(env.UPSTREAM)).text(); },
        async "/work"(env) {
            await Promise.all(Array.from({ length: 16 }, () => load(env).work(50)));
            return "worked";
        },
    };

    function named(env) {
        return env.LOADER.get("named", () => ({
            compatibilityDate: "2026-07-01", mainModule: "child.js", modules: { "child.js": CODE },
        })).getEntrypoint();
    }

    export default {
        async fetch(request, env) {
            if (request.method === "POST") return new Response(request.body);
            return Response.json((await routes[new URL(request.url).pathname](env)) ?? null);
        },
    };
"#;

const LOOPS: usize = 8;

struct Running {
    server: Server,
    _project: Project,
    _upstream: Upstream,
    /// Opened before anything ran: one at least on each lane, whichever the loops took.
    connections: Vec<Connection>,
}

fn start() -> Running {
    let upstream = Upstream::start("HTTP/1.1 200 OK", "from elsewhere");
    let project = Project::new(&[("index.js", PARENT)]);
    project.write(
        "wrangler.jsonc",
        &serde_json::json!({
            "name": "worker",
            "main": "index.js",
            "compatibility_date": "2026-07-01",
            "worker_loaders": [{ "binding": "LOADER" }],
            "vars": { "UPSTREAM": format!("http://{}/", upstream.address()) },
            "atoll": { "outbound": { "allow": ["127.0.0.1"] } },
        })
        .to_string(),
    );
    let server = Server::start(project.path());
    let lanes = thread::available_parallelism().map_or(1, usize::from);
    let mut connections: Vec<_> = (0..2 * lanes).map(|_| server.connect()).collect();
    for connection in &mut connections {
        assert_eq!(ask(connection, "/echo"), "small");
    }
    Running { server, _project: project, _upstream: upstream, connections }
}

fn ask(connection: &mut Connection, target: &str) -> serde_json::Value {
    json(&connection.get(target).expect("an answer"))
}

/// Asks for what does not answer, eight times; gives the connections, which must stay open.
fn occupy(server: &Server, target: &str) -> Vec<Connection> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
    let occupied = (0..LOOPS).map(|_| {
        let mut connection = server.connect();
        connection.write(request.as_bytes()).expect("ask");
        connection
    });
    let occupied = occupied.collect();
    support::wait_until("all have begun", || json(&server.get("/begun")) == LOOPS);
    occupied
}

/// Each loop has 20 s of processor time: what has been answered before the first is over has not waited for any.
#[track_caller]
fn assert_all_go_on(server: &Server) {
    assert_eq!(json(&server.get("/over")), 0, "a loop is over: the answers have waited");
}

fn small_requests_are_answered_beside(target: &str) {
    let mut running = start();
    let _occupied = occupy(&running.server, target);
    for _ in 0..30 {
        for connection in &mut running.connections {
            assert_eq!(ask(connection, "/echo"), "small");
        }
        assert_eq!(json(&running.server.get("/echo")), "small", "on a new connection");
    }
    assert_all_go_on(&running.server);
}

#[test]
fn small_requests_are_answered_beside_endless_loops() {
    small_requests_are_answered_beside("/loop");
}

/// These give their thread back all the time, and take it again at once.
#[test]
fn small_requests_are_answered_beside_children_that_compute_in_pieces() {
    small_requests_are_answered_beside("/busy");
}

#[test]
fn new_children_start_beside_endless_loops() {
    let running = start();
    let _occupied = occupy(&running.server, "/loop");
    for _ in 0..10 {
        assert_eq!(json(&running.server.get("/new")), "new");
    }
    assert_all_go_on(&running.server);
}

/// A long turn keeps its thread, but not the timers and sockets of the lane that the thread served.
#[test]
fn input_and_output_go_on_beside_endless_loops() {
    let mut running = start();
    let _occupied = occupy(&running.server, "/loop");
    for connection in &mut running.connections {
        assert_eq!(ask(connection, "/wait"), "waited");
        assert_eq!(ask(connection, "/fetch"), "from elsewhere");
        connection
            .write(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
            .expect("send the head");
        connection.write(b"5\r\nfirst\r\n").expect("send a piece");
        let mut head = connection.read_head().expect("read the head");
        assert_eq!(connection.read_piece(&mut head).expect("read a piece"), Some(b"first".to_vec()));
        for _ in 0..10 {
            connection.write(b"4\r\nnext\r\n").expect("send a piece");
            assert_eq!(connection.read_piece(&mut head).expect("read a piece"), Some(b"next".to_vec()));
        }
        connection.write(b"0\r\n\r\n").expect("send the end");
        assert_eq!(connection.read_piece(&mut head).expect("read the end"), None);
    }
    assert_all_go_on(&running.server);
}

/// The loops begin while a stream is open on each lane.
#[test]
fn streams_go_on_when_loops_begin() {
    let mut running = start();
    let mut streams = Vec::new();
    for mut connection in running.connections.drain(..) {
        connection
            .write(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .expect("send the beginning");
        let mut head = connection.read_head().expect("read the head");
        assert_eq!(connection.read_piece(&mut head).expect("read a piece"), Some(b"first".to_vec()));
        streams.push((connection, head));
    }
    let _occupied = occupy(&running.server, "/loop");
    for (connection, head) in &mut streams {
        connection.write(b"4\r\nlast\r\n0\r\n\r\n").expect("send the rest");
        assert_eq!(connection.read_piece(head).expect("read a piece"), Some(b"last".to_vec()));
        assert_eq!(connection.read_piece(head).expect("read the end"), None);
    }
    assert_all_go_on(&running.server);
}

/// All children of a request begin on the lane of their parent. Their work must not stay there.
#[test]
fn children_move_to_lanes_that_are_free() {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return;
    }
    let running = start();
    let server = &running.server;
    let mut threads = BTreeMap::new();
    look_at_lanes(server, &mut threads);
    let before = by_lane(&threads);
    thread::scope(|scope| {
        let work = scope.spawn(|| json(&server.get("/work")));
        // Threads of lanes may end meanwhile, and what they had is to be seen before.
        while !work.is_finished() {
            look_at_lanes(server, &mut threads);
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(work.join().expect("an answer"), "worked");
    });
    let mut spent = by_lane(&threads);
    for (lane, time) in &mut spent {
        *time -= before.get(lane).copied().unwrap_or_default();
    }
    let all: Duration = spent.values().sum();
    let most = spent.values().max().copied().unwrap_or_default();
    assert!(most * 10 < all * 9, "one lane did nearly all of the work: {spent:?}");
}

/// Thread id to the name of its lane and the processor time that it has had.
type LaneThreads = BTreeMap<OsString, (String, Duration)>;

fn look_at_lanes(server: &Server, threads: &mut LaneThreads) {
    let tasks = format!("/proc/{}/task", server.process());
    for thread in fs::read_dir(tasks).expect("list the server's threads").flatten() {
        // A thread may end at any time.
        let read = |file| fs::read_to_string(thread.path().join(file)).ok();
        let (Some(name), Some(statistics)) = (read("comm"), read("schedstat")) else { continue };
        let Some(lane) = name.trim().strip_prefix("atoll-lane-") else { continue };
        let Some(Ok(nanoseconds)) = statistics.split_whitespace().next().map(str::parse) else { continue };
        threads.insert(thread.file_name(), (lane.to_owned(), Duration::from_nanos(nanoseconds)));
    }
}

fn by_lane(threads: &LaneThreads) -> BTreeMap<String, Duration> {
    let mut lanes = BTreeMap::new();
    for (lane, time) in threads.values() {
        *lanes.entry(lane.clone()).or_default() += *time;
    }
    lanes
}
