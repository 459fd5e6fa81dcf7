//! Answers on a connection that is kept: whatever a Worker says of their length, the next client on it must not read one
//! as another. (Children that forge answers: `tests/hostile/messages.rs`.)

mod support;

use support::http::Connection;
use support::{Project, Server};

/// `/next` is answered with what the tests look for; other requests with what their query says.
const ANSWERS: &str = r#"
    function stream(text) {
        const { readable, writable } = new TransformStream();
        const writer = writable.getWriter();
        writer.write(new TextEncoder().encode(text));
        writer.close();
        return readable;
    }
    function fixed(text, length) {
        const { readable, writable } = new FixedLengthStream(length);
        const writer = writable.getWriter();
        writer.write(new TextEncoder().encode(text)).catch(() => {});
        writer.close().catch(() => {});
        return readable;
    }
    export default {
        async fetch(request) {
            const { pathname, searchParams: get } = new URL(request.url);
            if (pathname === "/next") return new Response("the next answer");
            const headers = JSON.parse(get.get("headers") ?? "[]");
            const status = Number(get.get("status") ?? 200);
            if (pathname === "/text") return new Response("0123456789", { status, headers });
            if (pathname === "/stream") return new Response(stream("0123456789"), { status, headers });
            if (pathname === "/fixed") return new Response(fixed("0123456789", Number(get.get("length"))), { headers });
            return new Response(null, { status, headers });
        },
    };
"#;

const FIELDS: [(&str, &str); 14] = [
    ("Content-Length", "0"),
    ("content-length", "5"),
    ("CONTENT-LENGTH", "500"),
    ("Content-Length", "x"),
    ("Transfer-Encoding", "chunked"),
    ("tRANSFER-eNCODING", "identity"),
    ("Connection", "close"),
    ("Connection", "content-length"),
    ("Keep-Alive", "timeout=1"),
    ("Proxy-Connection", "close"),
    ("Upgrade", "h2c"),
    ("Trailer", "x"),
    ("TE", "trailers"),
    ("X-Kept", "1"),
];

fn query(name: &str, value: &str) -> String {
    let headers = format!(r#"[["{name}","{value}"],["x-last","1"]]"#);
    headers.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The next request on the connection is answered as it should be.
#[track_caller]
fn assert_in_step(connection: &mut Connection, what: &str) {
    let next = connection.get("/next").unwrap_or_else(|error| panic!("{error}, after {what}"));
    assert_eq!((next.status(), next.text().as_str()), (200, "the next answer"), "after {what}");
}

#[test]
fn where_an_answer_ends_is_said_by_its_body_alone() {
    let project = Project::worker(ANSWERS);
    let server = Server::start(project.path());
    let mut connection = server.connect();
    for (name, value) in FIELDS {
        for path in ["/text", "/stream"] {
            let target = format!("{path}?headers={}", query(name, value));
            let answer = connection.get(&target).expect("get an answer");
            assert_eq!(answer.text(), "0123456789", "{target}");
            assert_eq!(answer.head.header("x-last"), Some("1"));
            for (field, _) in FIELDS {
                let expected = match (field.to_ascii_lowercase().as_str(), path) {
                    ("content-length", "/text") => Some("10"),
                    ("transfer-encoding", "/stream") => Some("chunked"),
                    ("x-kept", _) if name == "X-Kept" => Some("1"),
                    _ => None,
                };
                assert_eq!(answer.head.header(field), expected, "{field} with {name}: {value}");
            }
            assert_in_step(&mut connection, &target);
        }
    }
}

#[test]
fn answers_without_a_body_have_none() {
    let project = Project::worker(ANSWERS);
    let server = Server::start(project.path());
    let mut connection = server.connect();
    for (name, value) in FIELDS {
        for status in ["204", "304", "205"] {
            let target = format!("/none?status={status}&headers={}", query(name, value));
            let answer = connection.get(&target).expect("get an answer");
            assert_eq!((answer.status().to_string().as_str(), answer.text().as_str()), (status, ""));
            assert_in_step(&mut connection, &target);
        }
        for path in ["/text", "/stream", "/none"] {
            let target = format!("{path}?headers={}", query(name, value));
            connection.write(format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).expect("send");
            connection.read_head().expect("read the head");
            assert_in_step(&mut connection, &format!("HEAD {target}"));
        }
    }
}

#[test]
fn a_body_of_another_length_than_announced_ends_the_connection() {
    let project = Project::worker(ANSWERS);
    let server = Server::start(project.path());
    for length in [5, 20] {
        let mut connection = server.connect();
        let answer = connection.get(&format!("/fixed?length={length}"));
        assert!(
            answer.as_ref().is_err() || answer.is_ok_and(|answer| answer.body.len() as u64 == length),
            "{length}"
        );
        // It is closed, or in step.
        if let Ok(next) = connection.get("/next") {
            assert_eq!(next.text(), "the next answer", "{length}");
        }
    }
    assert_eq!(server.connect().get("/fixed?length=10").expect("get an answer").text(), "0123456789");
}
