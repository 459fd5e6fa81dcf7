//! `atoll serve`: a project answers HTTP, several projects call each other, and the command explains itself.

mod support;

use std::net::TcpListener;

use support::{Project, Server, assert_contains, example, json, run};

#[test]
fn hello_answers() {
    let server = Server::start(example("hello"));
    let response = server.get("/");
    assert_eq!((response.status(), response.text().as_str()), (200, "Hello from Atoll\n"));
}

#[test]
fn one_connection_carries_many_requests() {
    let server = Server::start(example("hello"));
    let mut connection = server.connect();
    for _ in 0..50 {
        assert_eq!(connection.get("/").expect("get an answer").text(), "Hello from Atoll\n");
    }
}

#[test]
fn a_script_is_a_project() {
    let project =
        Project::new(&[("alone.js", "export default { fetch() { return new Response('alone'); } };")]);
    let server = Server::start(project.path().join("alone.js"));
    assert_eq!(server.get("/").text(), "alone");
}

#[test]
fn the_worker_sees_the_request_and_its_vars() {
    let project = Project::worker(
        r#"export default {
            async fetch(request, env) {
                const { method, url, headers } = request;
                const body = await request.text();
                const path = new URL(url).pathname;
                const answer = { method, path, test: headers.get("x-test"), body, vars: env };
                return Response.json(answer, { status: 201, headers: { "X-Answer": "yes" } });
            },
        };"#,
    );
    project.replace("wrangler.jsonc", r#""main""#, r#""vars": { "TEXT": "t", "LIST": [1, 2] }, "main""#);
    let server = Server::start(project.path());
    let response =
        server.connect().send("PUT", "/a/b", &[("X-Test", "1")], Some(b"body")).expect("get an answer");
    assert_eq!((response.status(), response.head.header("x-answer")), (201, Some("yes")));
    let expected = serde_json::json!({
        "method": "PUT", "path": "/a/b", "test": "1", "body": "body", "vars": { "TEXT": "t", "LIST": [1, 2] },
    });
    assert_eq!(json(&response), expected);
}

#[test]
fn an_uncaught_error_is_a_500_and_is_logged_with_its_place() {
    let project = Project::worker(
        "export default {\n  fetch(request) {\n    if (request.url.endsWith('/ok')) return new Response('ok');\n    \
         throw new RangeError('out of cheese');\n  },\n};\n",
    );
    let server = Server::start(project.path());
    assert_eq!(server.get("/").status(), 500);
    assert_eq!(server.get("/ok").text(), "ok");
    support::wait_until("the error is logged", || server.stderr().contains("out of cheese"));
    assert_contains(&server.stderr(), &["RangeError", "index.js:4"]);
}

#[test]
fn console_lines_are_printed() {
    let project = Project::worker(
        "export default { fetch() { console.log('a line of the worker'); return new Response('ok'); } };",
    );
    let server = Server::start(project.path());
    assert_eq!(server.get("/").status(), 200);
    support::wait_until("the line is printed", || server.output().contains("a line of the worker"));
}

#[test]
fn tables_are_drawn() {
    let project = Project::worker(
        "export default { fetch() { console.table([{ a: 1 }]); return new Response('ok'); } };",
    );
    let server = Server::start(project.path());
    assert_eq!(server.get("/").status(), 200);
    support::wait_until("the table is printed", || server.output().contains('\u{2518}'));
    assert_contains(&server.output(), &["\u{250c}", "\u{2502}"]);
}

#[test]
fn two_projects_call_each_other() {
    let front = Project::new(&[
        (
            "wrangler.jsonc",
            r#"{
                "name": "front",
                "main": "index.js",
                "compatibility_date": "2026-07-01",
                "services": [
                    { "binding": "BACK", "service": "back" },
                    { "binding": "ADDER", "service": "back", "entrypoint": "Adder" },
                ],
            }"#,
        ),
        (
            "index.js",
            r#"export default {
                async fetch(request, env) {
                    const response = await env.BACK.fetch("http://back/greeting");
                    return Response.json({ text: await response.text(), sum: await env.ADDER.add(2, 3) });
                },
            };"#,
        ),
    ]);
    let back = Project::new(&[
        ("wrangler.jsonc", r#"{ "name": "back", "main": "index.js", "compatibility_date": "2026-07-01" }"#),
        (
            "index.js",
            r#"import { WorkerEntrypoint } from "cloudflare:workers";
            export class Adder extends WorkerEntrypoint {
                add(a, b) { return a + b; }
            }
            export default {
                fetch(request) { return new Response(`back saw ${new URL(request.url).pathname}`); },
            };"#,
        ),
    ]);
    let server = Server::start_all(&[front.path(), back.path()]);
    let expected = serde_json::json!({ "text": "back saw /greeting", "sum": 5 });
    assert_eq!(json(&server.get("/")), expected);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("listen on a free port");
    let address = taken.local_addr().expect("a listener has an address");
    let hello = example("hello");
    let hello = hello.to_str().expect("the path is UTF-8");
    let ended = run(&["serve", hello, "--port", &address.port().to_string()]);
    assert_eq!(ended.status.code(), Some(1));
    assert_contains(&ended.stderr, &[&address.to_string()]);
}

#[test]
fn help_shows_examples() {
    for arguments in [&["--help"][..], &["serve", "--help"]] {
        let ended = run(arguments);
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {}", ended.stderr);
        assert_contains(&ended.stdout.to_ascii_lowercase(), &["examples:", "atoll serve "]);
    }
}

#[test]
fn the_version_is_printed() {
    let ended = run(&["--version"]);
    assert_eq!(ended.status.code(), Some(0));
    assert_contains(&ended.stdout, &["atoll", env!("CARGO_PKG_VERSION")]);
}
