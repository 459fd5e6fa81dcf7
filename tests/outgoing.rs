//! Requests of Workers to servers on the network, here the server itself: what a program that is not careful may rely on.

mod support;

use support::{Project, Server};

const CONFIGURATION: &str = r#"{
    "name": "worker",
    "main": "index.js",
    "compatibility_date": "2026-07-01",
    "atoll": { "outbound": { "allow": ["127.0.0.1"] } }
}"#;

const MAIN: &str = r#"
    const pieces = (count, size) => new ReadableStream({
      type: "bytes",
      pull(controller) {
        if (count-- > 0) controller.enqueue(new Uint8Array(size));
        else controller.close();
      },
    });
    const answers = {
      "/small": () => new Response(pieces(2, 500)),
      "/fields": () => new Response(null, { headers: Array.from({ length: 900 }, (_, i) => [`x-${i}`, "v"]) }),
      "/echo": ({ headers }) => Response.json([...headers]),
    };
    const programs = {
      async "/unread"(origin) {
        const kept = [];
        for (let i = 0; i < 600; i++) kept.push(await fetch(`${origin}/small`));
        const { length } = await kept[0].bytes();
        return [kept.length, length];
      },
      async "/many-fields"(origin) {
        const { headers } = await fetch(`${origin}/fields`);
        return [...headers].filter(([name]) => name.startsWith("x-")).length;
      },
      async "/forwarded"(origin) {
        const connection = "Upgrade, HTTP2-Settings, X-Of-This-Connection";
        const headers = { connection, upgrade: "h2c", "http2-settings": "AAMAAABkAAQAAP__", "x-of-this-connection": "1",
          "keep-alive": "timeout=5", "proxy-connection": "keep-alive", te: "trailers", trailer: "x", "x-other": "1" };
        const incoming = new Request("http://worker.example/", { headers });
        const sent = await (await fetch(`${origin}/echo`, incoming)).json();
        return sent.map(([name]) => name).filter((name) => name in headers);
      },
    };
    export default {
      async fetch(request) {
        const { origin, pathname } = new URL(request.url);
        return answers[pathname]?.(request) ?? Response.json(await programs[pathname](origin));
      },
    };
"#;

fn run(path: &str) -> serde_json::Value {
    let project = Project::new(&[("wrangler.jsonc", CONFIGURATION), ("index.js", MAIN)]);
    let server = Server::start(project.path());
    support::json(&server.get(path))
}

#[test]
fn answers_that_nobody_reads_hold_up_no_request() {
    assert_eq!(run("/unread"), serde_json::json!([600, 1000]));
}

#[test]
fn answers_may_have_many_fields() {
    assert_eq!(run("/many-fields"), serde_json::json!(900));
}

#[test]
fn fields_of_one_connection_are_not_passed_on() {
    assert_eq!(run("/forwarded"), serde_json::json!(["x-other"]));
}
