//! Bodies of requests and responses: streamed piece by piece in both directions, large, and cut off.

mod support;

use support::{Project, Server};

const ECHO: &str = "export default { fetch(request) { return new Response(request.body); } };";
const CHUNKED_POST: &[u8] = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// Each piece comes back before the next is sent: neither direction waits for the whole.
#[test]
fn an_echo_comes_back_piece_by_piece() {
    let project = Project::worker(ECHO);
    let server = Server::start(project.path());
    let mut connection = server.connect();
    // Twice, to see that the connection is left in order.
    for _ in 0..2 {
        connection.write(CHUNKED_POST).expect("send the head");
        connection.write(&chunk("piece 0")).expect("send a piece");
        let mut head = connection.read_head().expect("read the head");
        assert_eq!(head.status, 200);
        assert_eq!(connection.read_piece(&mut head).expect("read a piece"), Some(b"piece 0".to_vec()));
        for number in 1..20 {
            let text = format!("piece {number}");
            connection.write(&chunk(&text)).expect("send a piece");
            assert_eq!(connection.read_piece(&mut head).expect("read a piece"), Some(text.into_bytes()));
        }
        connection.write(b"0\r\n\r\n").expect("send the end");
        assert_eq!(connection.read_piece(&mut head).expect("read the end"), None);
    }
}

#[test]
fn a_body_with_a_length_is_echoed() {
    let project = Project::worker(ECHO);
    let server = Server::start(project.path());
    let mut connection = server.connect();
    for body in [&b"some text"[..], b"", &[0_u8, 255, 13, 10]] {
        let response = connection.send("POST", "/", &[], Some(body)).expect("get an answer");
        assert_eq!((response.status(), response.body.as_slice()), (200, body));
    }
}

#[test]
fn a_large_body_arrives_whole() {
    let project = Project::worker(
        "export default { async fetch(request) { return new Response(await request.arrayBuffer()); } };",
    );
    let server = Server::start(project.path());
    let body: Vec<u8> = (0..8 * 1024 * 1024_u32).map(|index| (index % 251) as u8).collect();
    let response = server.connect().send("POST", "/", &[], Some(&body)).expect("get an answer");
    assert_eq!(response.status(), 200);
    assert!(response.body == body, "the body has changed on its way");
}

#[test]
fn a_stream_made_by_the_worker_arrives_whole() {
    let project = Project::worker(
        r#"export default {
            fetch() {
                let number = 0;
                const encoder = new TextEncoder();
                return new Response(new ReadableStream({
                    pull(controller) {
                        if (number === 2000) controller.close();
                        else controller.enqueue(encoder.encode(`line ${number++}\n`));
                    },
                }));
            },
        };"#,
    );
    let server = Server::start(project.path());
    let expected: String = (0..2000).map(|number| format!("line {number}\n")).collect();
    assert_eq!(server.get("/").text(), expected);
}

/// A response whose worker fails half-way must not look complete.
#[test]
fn a_stream_that_fails_is_cut_off() {
    let project = Project::worker(
        r#"export default {
            fetch(request) {
                if (request.url.endsWith("/ok")) return new Response("ok");
                let pulls = 0;
                return new Response(new ReadableStream({
                    pull(controller) {
                        if (pulls++ === 1) throw new Error("out of data");
                        controller.enqueue(new TextEncoder().encode("beginning"));
                    },
                }));
            },
        };"#,
    );
    let server = Server::start(project.path());
    assert!(server.connect().get("/").is_err(), "an incomplete response must not end as a complete one does");
    assert_eq!(server.get("/ok").text(), "ok");
}

/// Answers `/count` with how many bodies have come to an end and how many have failed.
const READER: &str = r#"
    let whole = 0, failed = 0;
    export default {
        async fetch(request) {
            if (request.url.endsWith("/count")) return Response.json({ whole, failed });
            try { await request.text(); whole++; } catch (error) { failed++; throw error; }
            return new Response("ok");
        },
    };
"#;

/// A worker must not take the part of a body that arrived for all of it.
#[test]
fn a_body_that_is_cut_off_never_counts_as_whole() {
    let project = Project::worker(READER);
    let server = Server::start(project.path());
    for beginning in [
        &b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\nonly this"[..],
        b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let mut connection = server.connect();
        connection.write(beginning).expect("send the beginning");
        drop(connection);
        assert_eq!(
            server.connect().send("POST", "/", &[], Some(b"all")).expect("get an answer").text(),
            "ok"
        );
    }
    assert_eq!(support::json(&server.get("/count"))["whole"], 2);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_response_is_no_trouble() {
    let project = Project::worker(
        r#"export default {
            fetch(request) {
                if (request.url.endsWith("/ok")) return new Response("ok");
                return new Response(new ReadableStream({
                    pull(controller) { controller.enqueue(new Uint8Array(65536)); },
                }));
            },
        };"#,
    );
    let server = Server::start(project.path());
    for _ in 0..5 {
        let mut connection = server.connect();
        connection.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").expect("send the request");
        let mut head = connection.read_head().expect("read the head");
        assert!(connection.read_piece(&mut head).expect("read a piece").is_some());
        drop(connection);
        assert_eq!(server.get("/ok").text(), "ok");
    }
}
