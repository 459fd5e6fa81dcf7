//! What the process tells of itself: `/metrics` on the operators' address, outcomes in tails, the log event.

mod support;

use std::collections::{HashMap, HashSet};
use std::net::{SocketAddr, TcpListener};

use support::http::{Connection, Response};
use support::{Project, Server, assert_contains, json, run, wait_until};

/// A parent whose paths load children and call them.
const PARENT: &str = r#"
import { WorkerEntrypoint } from "cloudflare:workers";

const CHILD = `
  import { WorkerEntrypoint } from "cloudflare:workers";
  export default class extends WorkerEntrypoint {
    ping(text) { return text; }
    spin() { while (true); }
    fill() { const all = []; while (true) all.push(new Array(10000).fill(all.length)); }
    async after() { this.ctx.waitUntil(scheduler.wait(10)); return 1; }
  }
`;
const items = [];

export class Tail extends WorkerEntrypoint {
  tail(events) { items.push(...events.map((item) => JSON.parse(JSON.stringify(item)))); }
}

const code = (extra) => ({
  compatibilityDate: "2026-07-01", mainModule: "main.js", modules: { "main.js": CHILD }, ...extra,
});

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    const id = url.searchParams.get("id");
    switch (url.pathname) {
      case "/named": {
        const child = env.LOADER.get(id, () => code()).getEntrypoint();
        for (let n = 0; n < 3; n++) await child.ping("0123456789");
        return new Response("done");
      }
      case "/unnamed":
        await env.LOADER.load(code()).getEntrypoint().ping("text");
        return new Response("done");
      case "/broken":
        await env.LOADER.load({ ...code(), modules: { "main.js": "syntax error" } }).getEntrypoint().ping(1).catch(() => {});
        return new Response("done");
      case "/evict":
        return new Response(String(env.LOADER.evict(id)));
      case "/limits": {
        const tails = [ctx.exports.Tail({})];
        const child = env.LOADER.get(id, () => code({ tails, limits: { cpuMs: 50 } })).getEntrypoint();
        const big = env.LOADER.get(id + " big", () => code({ tails })).getEntrypoint();
        await child.after();
        await child.spin().catch(() => {});
        await big.fill().catch(() => {});
        return new Response("done");
      }
      case "/items":
        return Response.json(items);
      default:
        return new Response("body of the answer");
    }
  },
};
"#;

fn serve(project: &Project) -> (Server, SocketAddr) {
    let server = Server::start_with(&[project.path()], &["--admin", "127.0.0.1:0"]);
    let mut admin = None;
    wait_until("the address is printed", || {
        let output = server.output();
        let address =
            output.split_once("Metrics on http://").and_then(|(_, rest)| rest.split_once("/metrics"));
        admin = address.and_then(|(address, _)| address.parse().ok());
        admin.is_some()
    });
    (server, admin.expect("an address was printed"))
}

fn ask(address: SocketAddr, method: &str, target: &str) -> Response {
    let mut connection = Connection::open(address).expect("connect to the admin address");
    connection.send(method, target, &[], None).expect("get an answer")
}

/// The samples of the page: from the name with its labels to the value.
fn samples(address: SocketAddr) -> HashMap<String, f64> {
    let response = ask(address, "GET", "/metrics");
    assert_eq!(response.status(), 200);
    let value = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
        (name.to_owned(), value.parse().expect("a value is a number"))
    };
    response.text().lines().filter(|line| !line.starts_with('#')).map(value).collect()
}

fn wait_for(address: SocketAddr, name: &str, wanted: f64) -> HashMap<String, f64> {
    let mut seen = HashMap::new();
    wait_until(&format!("{name} is {wanted}"), || {
        seen = samples(address);
        seen.get(name).copied().unwrap_or(0.0) >= wanted
    });
    assert_eq!(seen.get(name), Some(&wanted), "{name}");
    seen
}

#[test]
fn counters_grow_by_what_was_done() {
    let project = Project::loading_worker(PARENT);
    let (server, admin) = serve(&project);
    for _ in 0..5 {
        assert_eq!(server.get("/").text(), "body of the answer");
    }
    let seen = wait_for(admin, r#"atoll_invocations_total{worker="worker",outcome="ok"}"#, 5.0);
    assert_eq!(seen[r#"atoll_sent_bytes_total{worker="worker"}"#], 5.0 * 18.0);
    assert_eq!(seen[r#"atoll_unique_workers_today"#], 0.0);
    assert_eq!(seen[r#"atoll_loads_total{result="ok"}"#], 1.0);
    assert!(seen[r#"atoll_cpu_seconds_total{worker="worker"}"#] > 0.0);
    assert!(seen[r#"atoll_wall_seconds_total{worker="worker"}"#] > 0.0);
    assert!(seen[r#"atoll_peak_memory_bytes{worker="worker"}"#] > 100_000.0);
    assert!(seen["atoll_process_resident_memory_bytes"] > 1e6 && seen["atoll_process_open_fds"] > 3.0);
    assert!(seen["atoll_isolates"] >= 1.0 && seen["atoll_lanes"] >= 1.0);

    assert_eq!(server.get("/named?id=a%22b").status(), 200);
    let labels = r#"worker="a\"b",loader="worker.LOADER""#;
    let seen = wait_for(admin, &format!("atoll_invocations_total{{{labels},outcome=\"ok\"}}"), 3.0);
    assert_eq!(seen[&format!("atoll_received_bytes_total{{{labels}}}")], 3.0 * 12.0);
    assert_eq!(seen[&format!("atoll_sent_bytes_total{{{labels}}}")], 3.0 * 12.0);
    assert_eq!(seen[&format!("atoll_rpc_calls_total{{{labels}}}")], 0.0);
    let seen = wait_for(admin, r#"atoll_invocations_total{worker="worker",outcome="ok"}"#, 6.0);
    assert_eq!(seen[r#"atoll_rpc_calls_total{worker="worker"}"#], 3.0);
    assert_eq!(seen[r#"atoll_subrequests_total{worker="worker"}"#], 3.0);
    assert_eq!(seen["atoll_unique_workers_today"], 1.0);

    for _ in 0..4 {
        assert_eq!(server.get("/unnamed").status(), 200);
    }
    let unnamed = r#"atoll_invocations_total{worker="dynamic",parent="worker",outcome="ok"}"#;
    let seen = wait_for(admin, unnamed, 4.0);
    assert_eq!(seen["atoll_unique_workers_today"], 2.0, "the same code without an id is one Worker");
    assert_eq!(seen[r#"atoll_loads_total{result="ok"}"#], 6.0);

    assert_eq!(server.get("/broken").status(), 200);
    wait_for(admin, r#"atoll_loads_total{result="failed"}"#, 1.0);
    assert_eq!(server.get("/evict?id=a%22b").text(), "true");
    assert_eq!(server.get("/evict?id=none").text(), "false");
    let seen = wait_for(admin, r#"atoll_evictions_total{reason="explicit"}"#, 1.0);
    assert_eq!(
        seen[&format!("atoll_invocations_total{{{labels},outcome=\"ok\"}}")],
        3.0,
        "sums outlive the Worker"
    );
}

#[test]
fn outcomes_of_limits_are_told() {
    let project = Project::loading_worker(PARENT);
    let (server, admin) = serve(&project);
    assert_eq!(server.get("/limits?id=x").status(), 200);
    // The child that looped has some, and lives.
    wait_until("its machine code counts", || samples(admin)["atoll_machine_code_bytes"] >= 262_144.0);
    let mut items = serde_json::Value::Null;
    wait_until("three tail items are there", || {
        items = json(&server.get("/items"));
        items.as_array().is_some_and(|items| items.len() >= 3)
    });
    let outcome = |method: &str| -> Vec<(&str, f64, f64)> {
        let items = items.as_array().expect("items are a list").iter();
        items
            .filter(|item| item["event"]["rpcMethod"] == method)
            .map(|item| {
                let number = |key: &str| item[key].as_f64().expect("a figure");
                (item["outcome"].as_str().expect("an outcome"), number("cpuTime"), number("wallTime"))
            })
            .collect()
    };
    assert!(matches!(outcome("after")[..], [("ok", _, wall)] if wall >= 10.0), "{items}");
    assert!(matches!(outcome("spin")[..], [("exceededCpu", cpu, _)] if cpu > 0.0), "{items}");
    assert!(matches!(outcome("fill")[..], [("exceededMemory", _, _)]), "{items}");
    wait_for(
        admin,
        r#"atoll_invocations_total{worker="x",loader="worker.LOADER",outcome="exceededCpu"}"#,
        1.0,
    );
    let big = r#"worker="x big",loader="worker.LOADER""#;
    let seen = wait_for(admin, &format!("atoll_invocations_total{{{big},outcome=\"exceededMemory\"}}"), 1.0);
    assert!(seen[&format!("atoll_peak_memory_bytes{{{big}}}")] >= f64::from(128 << 20));
}

#[test]
fn the_page_is_in_the_format_of_prometheus() {
    let project = Project::loading_worker(PARENT);
    let (server, admin) = serve(&project);
    assert_eq!(server.get("/named?id=back%5Cslash%0Aline%20%C3%A9").status(), 200);
    wait_for(admin, r#"atoll_invocations_total{worker="worker",outcome="ok"}"#, 1.0);
    let response = ask(admin, "GET", "/metrics");
    assert_eq!(response.head.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = response.text();
    assert!(text.ends_with('\n'));
    assert_contains(&text, &["worker=\"back\\\\slash\\nline \u{e9}\""]);
    let (mut families, mut seen, mut current) = (HashSet::new(), HashSet::new(), None);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a family has a help text");
            assert!(is_name(name) && name.starts_with("atoll_") && !help.is_empty(), "{line}");
            assert!(families.insert(name), "{name} is there twice");
            let kind =
                lines.next().and_then(|l| l.strip_prefix("# TYPE ")).and_then(|l| l.strip_prefix(name));
            let kind = kind.expect("its type comes next").trim_start();
            assert!(matches!(kind, "counter" | "gauge"), "{kind}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            current = Some(name);
            continue;
        }
        assert!(seen.insert(sample(line, current.expect("a family has begun"))), "{line} is there twice");
    }
    assert!(families.len() > 15);
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Checks a sample by the grammar, `name{label="value",...} number`; gives what comes before the number.
fn sample<'a>(line: &'a str, family: &str) -> &'a str {
    let rest = line.strip_prefix(family).unwrap_or_else(|| panic!("{line:?} is not of {family}"));
    let mut rest = rest;
    if let Some(labels) = rest.strip_prefix('{') {
        rest = labels;
        loop {
            let (name, value) = rest.split_once("=\"").expect("a label has a value");
            assert!(is_name(name), "{line}");
            rest = &value[end_of_value(value)..];
            match rest.strip_prefix("\",") {
                Some(next) => rest = next,
                None => break,
            }
        }
        rest = rest.strip_prefix("\"}").unwrap_or_else(|| panic!("the labels of {line:?} do not end"));
    }
    let number = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line:?} has no value"));
    assert!(number.parse::<f64>().is_ok_and(|n| n.is_finite() && n >= 0.0), "{line}");
    &line[..line.len() - number.len()]
}

/// Where the closing quote stands.
fn end_of_value(value: &str) -> usize {
    let mut characters = value.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return index,
            '\\' => {
                let escaped = characters.next().map(|(_, c)| c);
                assert!(matches!(escaped, Some('\\' | '"' | 'n')), "{value}");
            }
            _ => {}
        }
    }
    panic!("{value:?} is not closed");
}

#[test]
fn only_its_paths_answer() {
    let project = Project::worker("export default { fetch() { return new Response('guest'); } };");
    let (server, admin) = serve(&project);
    assert_eq!(server.get("/metrics").text(), "guest", "the Worker's own paths are its own");
    assert_eq!(
        (ask(admin, "GET", "/healthz").status(), ask(admin, "GET", "/healthz").text()),
        (200, "ok\n".into())
    );
    for target in ["/", "/metrics/", "/other", "/debug"] {
        assert_eq!(ask(admin, "GET", target).status(), 404, "{target}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        let response = ask(admin, method, "/metrics");
        assert_eq!((response.status(), response.head.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

#[test]
fn without_the_option_there_is_no_admin_address() {
    let project = Project::worker("export default { fetch() { return new Response('ok'); } };");
    let server = Server::start(project.path());
    assert_eq!(server.get("/").status(), 200);
    assert!(!server.output().contains("Metrics on"), "{}", server.output());
}

#[test]
fn bad_addresses_are_explained() {
    for value in ["9090", "localhost:9090", "127.0.0.1", "127.0.0.1:99999", ""] {
        let ended = run(&["serve", "--admin", value]);
        assert_eq!(ended.status.code(), Some(2), "{value}: {}", ended.stderr);
        assert_contains(&ended.stderr, &["--admin <ADDRESS:PORT>", "127.0.0.1:9090"]);
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = taken.local_addr().expect("an address").to_string();
    let project = Project::worker("export default { fetch() { return new Response('ok'); } };");
    let ended = run(&["serve", project.argument(), "--port", "0", "--admin", &address]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert_contains(&ended.stderr, &[&format!("listen on {address}")]);
}

#[test]
fn invocations_are_logged_when_asked_for() {
    let project = Project::loading_worker(PARENT);
    let quiet = Server::start(project.path());
    assert_eq!(quiet.get("/named?id=x").status(), 200);
    let filter = [("ATOLL_LOG", "info,worker=trace,atoll::invocation=debug")];
    let server = Server::start_in(&[project.path()], &[], &filter);
    assert_eq!(server.get("/named?id=x").status(), 200);
    let line = |event: &str| {
        let stderr = server.stderr();
        stderr.lines().find(|l| l.contains("atoll::invocation") && l.contains(event)).map(str::to_owned)
    };
    wait_until("both are logged", || line("event=\"rpc\"").is_some() && line("event=\"fetch\"").is_some());
    let call = line("event=\"rpc\"").expect("a line");
    assert_contains(
        &call,
        &["worker=\"x\"", "entrypoint=\"default\"", "outcome=\"ok\"", "cpu_ms=", "wall_ms="],
    );
    assert_contains(&call, &["peak_memory=", "sub_requests=0", "rpc_calls=0", "bytes_in=12", "bytes_out=12"]);
    assert_contains(&line("event=\"fetch\"").expect("a line"), &["worker=\"worker\"", "rpc_calls=3"]);
    assert!(!quiet.stderr().contains("atoll::invocation"), "{}", quiet.stderr());
}
