//! Content codings and lengths on the wire: what leaves encoded comes back decoded, and never lies in memory as a
//! whole.

mod support;

use std::fs;

use support::{Project, Server, assert_contains};

const CONFIGURATION: &str = r#"{
    "name": "worker",
    "main": "index.js",
    "compatibility_date": "2026-07-01",
    "compatibility_flags": ["enable_request_signal"],
    "atoll": { "outbound": { "allow": ["127.0.0.1"] } }
}"#;

const MAIN: &str = r#"
    const PIECE = 64 * 1024;

    // PIECES pieces of 64 KiB, each a member of its own.
    async function bomb() {
      const piece = await new Response(
        new Response(new Uint8Array(PIECE)).body.pipeThrough(new CompressionStream("gzip"))).bytes();
      let left = PIECES;
      return new ReadableStream({
        pull(controller) {
          if (left-- > 0) controller.enqueue(piece.slice());
          else controller.close();
        },
      });
    }

    async function read(url) {
      const response = await fetch(url);
      return Response.json([response.headers.get("content-encoding"), await response.text()]);
    }

    async function count(url) {
      let total = 0;
      const sink = new WritableStream({ write(chunk) { total += chunk.length; } });
      await (await fetch(url)).body.pipeTo(sink);
      return new Response(String(total));
    }

    let cancelled = 0, aborted = 0;
    function watched({ signal }) {
      signal.addEventListener("abort", () => aborted++);
      return new ReadableStream({ pull(to) { to.enqueue(new Uint8Array(9)); }, cancel() { cancelled++; } });
    }

    export default {
      async fetch(request) {
        const url = new URL(request.url);
        const target = `${url.origin}/${url.searchParams.get("path")}`;
        switch (url.pathname) {
          case "/gzip":
          case "/br":
            return new Response("some text ".repeat(1000), { headers: { "content-encoding": url.pathname.slice(1) } });
          case "/bomb":
            return new Response(await bomb(), { headers: { "content-encoding": "gzip" }, encodeBody: "manual" });
          case "/read": return read(target);
          case "/count": return count(target);
          case "/pass": return fetch(target);
          case "/watched": return new Response(watched(request));
          case "/seen": return Response.json([cancelled, aborted]);
          case "/length": {
            const headers = url.searchParams.getAll("value").map((value) => ["content-length", value]);
            const status = Number(url.searchParams.get("status") ?? 200);
            return new Response(status === 204 ? null : "plain text", { status, headers });
          }
          default: return new Response("plain text");
        }
      },
    };
"#;

/// 512 MiB.
const PIECES: u64 = 8 * 1024;

fn server() -> Server {
    let main = MAIN.replace("PIECES", &PIECES.to_string());
    let project = Project::new(&[("wrangler.jsonc", CONFIGURATION), ("index.js", &main)]);
    Server::start(project.path())
}

#[test]
fn what_leaves_encoded_comes_back_decoded() {
    let server = server();
    let text = "some text ".repeat(1000);
    for coding in ["gzip", "br"] {
        let wire = server.get(&format!("/{coding}"));
        assert_eq!(wire.status(), 200);
        assert!(wire.body.len() < 1000, "{} bytes of {coding}", wire.body.len());
        for path in ["/read?path=", "/read?path=pass?path="] {
            let answer = server.get(&format!("{path}{coding}"));
            assert_eq!(support::json(&answer), serde_json::json!([coding, text]), "{path}{coding}");
        }
        // Nobody read it on its way: the same bytes.
        assert_eq!(server.get(&format!("/pass?path={coding}")).body, wire.body);
    }
}

/// Most resident memory that the server ever had.
fn peak_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("read the process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the status has VmHWM");
    line.trim().trim_end_matches(" kB").trim().parse().expect("VmHWM is a number")
}

#[test]
fn a_bomb_is_never_in_memory_as_a_whole() {
    let server = server();
    server.get("/plain");
    let before = peak_kib(server.process());
    assert_eq!(server.get("/count?path=bomb").text(), (PIECES * 64 * 1024).to_string());
    let growth = peak_kib(server.process()) - before;
    assert!(growth < 256 * 1024, "{growth} KiB for 512 MiB in pieces");
}

#[test]
fn head_says_the_length_and_sends_nothing() {
    let server = server();
    let mut connection = server.connect();
    for (target, length) in [("/plain", Some("10")), ("/gzip", None)] {
        connection.write(format!("HEAD {target} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).expect("send");
        let head = connection.read_head().expect("read the head");
        assert_eq!((head.status, head.header("content-length")), (200, length), "{target}");
    }
}

#[test]
fn head_says_no_length_that_cannot_be_one() {
    let server = server();
    let mut connection = server.connect();
    for (query, status, length) in [
        ("value=7", 200, Some("7")),
        ("value=7&value=7", 200, Some("7")),
        ("value=7&value=8", 200, Some("10")),
        ("value=abc", 200, Some("10")),
        ("value=%2B7", 200, Some("10")),
        ("value=7&status=204", 204, None),
    ] {
        let request = format!("HEAD /length?{query} HTTP/1.1\r\nHost: test\r\n\r\n");
        connection.write(request.as_bytes()).expect("send");
        let head = connection.read_head().expect("read the head");
        assert_eq!((head.status, head.header("content-length")), (status, length), "{query}");
        let lengths = head.headers.iter().filter(|(name, _)| name == "content-length").count();
        assert_eq!(lengths, usize::from(length.is_some()), "{query}");
    }
}

#[test]
fn the_sender_of_a_head_request_has_not_left() {
    let server = server();
    let mut connection = server.connect();
    connection.write(b"HEAD /watched HTTP/1.1\r\nHost: test\r\n\r\n").expect("send");
    assert_eq!(connection.read_head().expect("read the head").status, 200);
    let seen = || support::json(&server.get("/seen"));
    support::wait_until("the body is cancelled", || seen()[0] != 0);
    assert_eq!(seen(), serde_json::json!([1, 0]), "cancelled, aborted");
}

#[test]
fn methods_that_no_request_can_have_are_refused() {
    let server = server();
    for method in ["FOO", "get", "CONNECT"] {
        let target = if method == "CONNECT" { "test:80" } else { "/" };
        let response = server.connect().send(method, target, &[], None).expect("get an answer");
        assert_eq!(response.status(), 501, "{method}");
        assert_contains(&response.text(), &["Unrecognized request method."]);
    }
}
