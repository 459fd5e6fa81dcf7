//! HTTP as clients write it, byte by byte: which host and target a request has, where it ends, how large and how slow
//! it may be. Answers: `tests/framing.rs`.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use support::http::Connection;
use support::{Project, Server, json, wait_until};

/// Far above what any answer takes.
const GUARD: Duration = Duration::from_secs(120);

/// A Worker that tells what it got. A request for `/seen` tells of which targets there were.
const ECHO: &str = r#"
    const seen = [];
    export default {
        async fetch(request) {
            const { url, method, cf, headers } = request;
            if (url.endsWith("/seen")) return Response.json(seen.splice(0));
            seen.push(new URL(url).pathname);
            let body;
            try {
                body = await request.text();
            } catch (error) {
                body = String(error);
            }
            return Response.json({ url, method, cf, body, fields: [...headers].length });
        },
    };
"#;

fn start() -> (Project, Server) {
    let project = Project::worker(ECHO);
    let server = Server::start(project.path());
    (project, server)
}

/// All that the server sends until it closes the connection, which it must.
#[track_caller]
fn raw(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).expect("connect");
    stream.set_read_timeout(Some(GUARD)).expect("set a guard");
    stream.write_all(request.as_bytes()).expect("send");
    let mut got = Vec::new();
    // A server that closes with something unread resets the connection behind its answer.
    let ended = stream.read_to_end(&mut got);
    let got = String::from_utf8_lossy(&got).into_owned();
    assert!(ended.is_ok() || !got.is_empty(), "{ended:?} to {request:?}");
    got
}

#[track_caller]
fn status(server: &Server, request: &str) -> u16 {
    let got = raw(server, request);
    let status =
        got.strip_prefix("HTTP/1.1 ").or(got.strip_prefix("HTTP/1.0 ")).and_then(|rest| rest.get(..3));
    status.and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{got:?} to {request:?}"))
}

/// What the Worker tells of a request with this first line and these fields.
#[track_caller]
fn told(server: &Server, line: &str, fields: &str) -> serde_json::Value {
    let got = raw(server, &format!("{line} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n"));
    let (head, body) = got.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {got:?}"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{got:?} to {line:?}");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body:?}"))
}

#[test]
fn a_request_has_one_host() {
    let (_project, server) = start();
    for (line, fields) in [
        ("GET / HTTP/1.1", ""),
        ("GET / HTTP/1.1", "Host: a.example\r\nHost: b.example\r\n"),
        ("GET / HTTP/1.1", "Host: a.example\r\nHost: a.example\r\n"),
        ("GET / HTTP/1.1", "Host: a.example\r\nhOST: b.example\r\n"),
        ("GET / HTTP/1.1", "Host:\r\n"),
        ("GET / HTTP/1.1", "Host: a b\r\n"),
        ("GET / HTTP/1.1", "Host: user@a\r\n"),
        ("GET / HTTP/1.1", "Host: a/b\r\n"),
        ("GET / HTTP/1.1", "Host: a?b\r\n"),
        ("GET / HTTP/1.1", "Host: a\\b\r\n"),
        ("GET / HTTP/1.1", "Host: a:99999\r\n"),
        ("GET / HTTP/1.1", "Host: http://a/\r\n"),
        ("GET / HTTP/1.1", "Host: a, b\r\n"),
        ("GET / HTTP/1.1", "Host: a\u{e9}\r\n"),
        ("GET http://a.example/ HTTP/1.1", ""),
        ("GET http://b.example/ HTTP/1.1", "Host: a.example\r\n"),
        ("GET http://a.example:81/ HTTP/1.1", "Host: a.example\r\n"),
        ("GET / HTTP/1.0", ""),
        ("GET / HTTP/1.0", "Host: a\r\nHost: b\r\n"),
    ] {
        let request = format!("{line}\r\n{fields}\r\n");
        assert_eq!(status(&server, &request), 400, "{request:?}");
    }
    assert_eq!(status(&server, "GET / HTTP/1.0\r\nHost: a.example\r\n\r\n"), 200);
    assert_eq!(json(&server.get("/seen")), serde_json::json!(["/"]), "no other request reached the Worker");
}

#[test]
fn the_url_is_what_the_client_wrote() {
    let (_project, server) = start();
    for (host, target) in [
        ("a.example", "/"),
        ("A.Example:80", "/x"),
        ("a.example:8080", "/x"),
        ("[::1]:8080", "/"),
        ("a.example", "//b/c"),
        ("a.example", "/a/../b"),
        ("a.example", "/a/./b"),
        ("a.example", "/%2e%2e/b"),
        ("a.example", "/a%20b/%zz/%C3%A9"),
        ("a.example", "/a?"),
        ("a.example", "/a?b=c?d"),
        ("a.example", "/\u{e9}"),
        ("a.example", "/a\\b"),
        ("a.example", "/a;b,c/~d"),
    ] {
        let told = told(&server, &format!("GET {target}"), &format!("Host: {host}\r\n"));
        assert_eq!(told["url"], format!("http://{host}{target}"));
    }
    let url = |line: &str| told(&server, line, "Host: a.example\r\n")["url"].clone();
    assert_eq!(url("GET /a?b#c"), "http://a.example/a?b");
    assert_eq!(url("GET http://a.example/y"), "http://a.example/y");
    assert_eq!(url("GET http://A.example:80/y"), "http://a.example/y");
    assert_eq!(url("GET https://a.example:443/y"), "http://a.example/y");
    assert_eq!(url("GET http://a.example"), "http://a.example/");
    assert_eq!(url("OPTIONS *"), "http://a.example/");
}

#[test]
fn targets_that_name_nothing_here_are_refused() {
    let (_project, server) = start();
    for (line, expected) in [
        ("GET *", 400),
        ("GET a.example:80", 400),
        ("GET ftp://a.example/", 400),
        ("GET  /two-spaces", 400),
        ("CONNECT a.example:80", 501),
        ("TRACK /", 501),
        ("get /", 501),
    ] {
        assert_eq!(
            status(&server, &format!("{line} HTTP/1.1\r\nHost: a.example\r\n\r\n")),
            expected,
            "{line}"
        );
    }
}

#[test]
fn the_client_is_told_of_in_cf() {
    let (_project, server) = start();
    let cf = told(&server, "GET /", "Host: a\r\n")["cf"].clone();
    let address = cf["clientIp"].as_str().expect("an address");
    assert!(address.starts_with("127.0.0.1:"), "{cf}");
}

#[test]
fn a_request_that_ends_in_two_ways_is_refused() {
    let (_project, server) = start();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    for (fields, body) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
        ("transfer-encoding: CHUNKED\r\ncontent-length: 0\r\n", "0\r\n\r\n"),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "helloo"),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
        ("Content-Length: 5, 5\r\n", "hello"),
        ("Content-Length: +5\r\n", "hello"),
        ("Content-Length: 0x5\r\n", "hello"),
        ("Transfer-Encoding: identity\r\n", ""),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        ("X: a\r\n folded\r\n", ""),
        ("X: a\0b\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", "zz\r\nhello\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "3\r\nhello\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "-1\r\nhello\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    ] {
        let request = format!("POST /open HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}{hidden}");
        let got = raw(&server, &request);
        assert!(got.starts_with("HTTP/1.1 400 "), "{got:?} to {request:?}");
        assert_eq!(got.matches("HTTP/1.1").count(), 1, "{got:?} to {request:?}");
    }
    let request = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(status(&server, request), 400);
    let seen = json(&server.get("/seen"));
    assert!(!seen.to_string().contains("hidden"), "{seen}");
}

#[test]
fn many_header_fields_are_taken_and_more_are_told_of() {
    let (_project, server) = start();
    let fields = |count: usize| -> String { (0..count).map(|i| format!("X-{i}: {i}\r\n")).collect() };
    let told = told(&server, "GET /", &format!("Host: a\r\n{}", fields(250)));
    assert_eq!(told["fields"], 252);
    let request = |more: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{more}Connection: close\r\n\r\n");
    assert_eq!(status(&server, &request(&format!("X: {}\r\n", "y".repeat(100_000)))), 200);
    assert_eq!(status(&server, &request(&fields(255))), 431);
    assert_eq!(status(&server, &request(&format!("X: {}\r\n", "y".repeat(500_000)))), 431);
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "y".repeat(70_000));
    assert_eq!(status(&server, &long), 414);
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let (_project, server) = start();
    let mut stream = TcpStream::connect(server.address()).expect("connect");
    stream.set_read_timeout(Some(GUARD)).expect("set a guard");
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("send the head");
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).expect("read the interim answer");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").expect("send the body");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read the answer");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(r#""body":"hello""#), "{answer}");
}

fn body_of(connection: &mut Connection) -> serde_json::Value {
    let mut head = connection.read_head().expect("read the head");
    let mut body = Vec::new();
    while let Some(piece) = connection.read_piece(&mut head).expect("read the body") {
        body.extend(piece);
    }
    serde_json::from_slice(&body).expect("the body is JSON")
}

#[test]
fn requests_that_come_together_are_answered_in_turn() {
    let (_project, server) = start();
    let mut connection = server.connect();
    connection
        .write(
            b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
              POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\ntwo\
              POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nthr\r\n2\r\nee\r\n0\r\nX: y\r\n\r\n\
              GET /4 HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .expect("send four requests");
    for (path, body) in [("/1", ""), ("/2", "two"), ("/3", "three"), ("/4", "")] {
        let told = body_of(&mut connection);
        assert_eq!((&told["url"], &told["body"]), (&format!("http://a{path}").into(), &body.into()));
    }
}

#[test]
fn clients_beyond_the_limit_are_told_so() {
    let project = Project::worker(ECHO);
    let server = Server::start_with(&[project.path()], &["--max-connections", "2"]);
    let mut held: Vec<Connection> = (0..2).map(|_| server.connect()).collect();
    for connection in &mut held {
        assert_eq!(connection.get("/").expect("get an answer").status(), 200);
    }
    for _ in 0..5 {
        assert_eq!(status(&server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 503);
    }
    // Those that are served go on, and a place that is given back is taken.
    assert_eq!(held[1].get("/").expect("get an answer").status(), 200);
    held.truncate(1);
    wait_until("there is a place", || server.connect().get("/").is_ok_and(|answer| answer.status() == 200));
}
