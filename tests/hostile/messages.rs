//! Children that reach into the runtime's own scripts, as far as these let them, to send requests and answers that no
//! `Request` or `Response` holds: past a gateway, and to a client whose connection is kept. What natives make of such is
//! in `crates/snapshot/tests/requests.rs`.

use crate::support::http::Connection;
use crate::support::upstream::Upstream;
use crate::support::{Project, Server};

/// Answers with what the request says it is to forge.
const FORGING: &str = r#"
    import { WorkerEntrypoint } from "cloudflare:workers";
    const CHILD = `
        let parts;
        Object.defineProperty(Object.prototype, "detachResponse", { configurable: true,
            set(original) { globalThis.original = original; },
            get() {
                return (...args) => {
                    const real = globalThis.original(...args);
                    for (const key in parts) real[key] = parts[key];
                    return real;
                };
            } });
        export default {
            async fetch(request) {
                if (new URL(request.url).pathname === "/next") { parts = undefined; return new Response("the next answer"); }
                parts = JSON.parse(await request.text());
                return new Response("0123456789");
            },
        };`;
    export default {
        fetch(request, env) {
            return env.LOADER.get("child", () => ({
                compatibilityDate: "2026-07-01", mainModule: "c.js", modules: { "c.js": CHILD }, globalOutbound: null,
            })).getEntrypoint().fetch(request);
        },
    };
"#;

/// Each is `{ index: part }` over `[status, statusText, headers, body, manual]`.
const FORGERIES: [&str; 16] = [
    r#"{ "0": 100 }"#,
    r#"{ "0": 101 }"#,
    r#"{ "0": 0 }"#,
    r#"{ "0": 204 }"#,
    r#"{ "0": 65736 }"#,
    r#"{ "0": "200 OK\r\nX: y" }"#,
    r#"{ "1": "OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK" }"#,
    r#"{ "1": 5 }"#,
    r#"{ "2": ["Content-Length", "3"] }"#,
    r#"{ "2": ["TRANSFER-ENCODING", "chunked"] }"#,
    r#"{ "2": ["x", "1\r\nContent-Length: 3"] }"#,
    r#"{ "2": ["content-length: 3\r\nx", "1"] }"#,
    r#"{ "2": ["content-length"] }"#,
    r#"{ "2": [1, 2, "content-length", "3", {}] }"#,
    r#"{ "2": "content-length" }"#,
    r#"{ "3": 4294967295 }"#,
];

/// The next request on the connection is answered as it should be.
#[track_caller]
fn assert_in_step(connection: &mut Connection, what: &str) {
    let next = connection.get("/next").unwrap_or_else(|error| panic!("{error}, after {what}"));
    assert_eq!((next.status(), next.text().as_str()), (200, "the next answer"), "after {what}");
}

#[test]
fn a_forged_answer_is_refused_or_in_step() {
    let project = Project::loading_worker(FORGING);
    let server = Server::start(project.path());
    for forgery in FORGERIES {
        let mut connection = server.connect();
        let answer = connection.send("POST", "/", &[], Some(forgery.as_bytes()));
        let answer = answer.unwrap_or_else(|error| panic!("{error}, for {forgery}"));
        let refused = answer.status() == 500;
        let plain = ["", "0123456789"].contains(&answer.text().as_str()) && answer.head.header("x").is_none();
        assert!(refused || plain, "{} {:?}, for {forgery}", answer.status(), answer.text());
        assert_in_step(&mut connection, forgery);
    }
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
}

/// The gateway of the README, which adds a secret, and a child that forges what it is told to.
const GATEWAY: &str = r#"
    import { WorkerEntrypoint } from "cloudflare:workers";
    export class Gateway extends WorkerEntrypoint {
        fetch(request) {
            const { host } = this.ctx.props;
            if (new URL(request.url).host !== host) return new Response("not permitted\n", { status: 403 });
            const headers = new Headers(request.headers);
            headers.set("x-secret", "only for the one that is allowed");
            return fetch(new Request(request, { headers }));
        }
    }
    const CHILD = `
        let parts;
        Object.defineProperty(Object.prototype, "detachRequest", { configurable: true,
            set(original) { globalThis.original = original; },
            get() {
                return (request) => {
                    const real = globalThis.original(request);
                    for (const key in parts) real[key] = parts[key];
                    if (parts?.texts) real[1] = { length: 9, toString: () => parts.texts.shift() };
                    return real;
                };
            } });
        export default {
            async go({ forged, base }) {
                parts = forged;
                try {
                    const response = await fetch(base);
                    return response.status + " " + await response.text();
                } catch (error) {
                    return String(error);
                }
            },
        };`;
    export default {
        async fetch(request, env, ctx) {
            const { host, parts } = await request.json();
            const child = env.LOADER.load({
                compatibilityDate: "2026-07-01", mainModule: "c.js", modules: { "c.js": CHILD },
                globalOutbound: ctx.exports.Gateway({ props: { host } }),
            });
            return new Response(await child.getEntrypoint().go({ forged: parts, base: `http://${host}/plain` }));
        },
    };
"#;

#[test]
fn a_forged_request_reaches_nothing_that_its_gateway_does_not_permit() {
    let project = Project::loading_worker(GATEWAY);
    project.replace(
        "wrangler.jsonc",
        r#""main""#,
        r#""atoll": { "outbound": { "allow": ["127.0.0.1"] } }, "main""#,
    );
    let server = Server::start(project.path());
    let allowed = Upstream::start("HTTP/1.1 200 OK", "allowed");
    let other = Upstream::start("HTTP/1.1 200 OK", "secret");
    let (host, elsewhere) = (allowed.address().to_string(), other.address().to_string());
    let ask = |parts: serde_json::Value| {
        let request = serde_json::json!({ "host": host, "parts": parts }).to_string();
        let answer =
            server.connect().send("POST", "/", &[], Some(request.as_bytes())).expect("get an answer");
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.text()
    };
    assert_eq!(ask(serde_json::json!({})), "200 allowed");
    let urls = [
        format!("http://{host}\\@{elsewhere}/secret"),
        format!("http://{host}@{elsewhere}/secret"),
        format!("http://{host}#@{elsewhere}/secret"),
        format!("http://{elsewhere}/secret"),
        format!("\thttp:\\\\{host}\r\n\\@{elsewhere}/secret"),
        format!("{elsewhere}/secret"),
        "not a url".to_owned(),
    ];
    for url in &urls {
        ask(serde_json::json!({ "1": url }));
        ask(serde_json::json!({ "texts": ["http:", "x", "@", "@//", "@//", "@", "", "h", url, url, url] }));
    }
    let plain = format!("http://{host}/forged");
    for parts in [
        serde_json::json!({ "1": plain, "0": "GET /smuggled HTTP/1.1\r\nX: y\r\n\r\nGET" }),
        serde_json::json!({ "1": plain, "0": "CONNECT" }),
        serde_json::json!({ "1": plain, "0": 5 }),
        serde_json::json!({ "1": plain, "2": ["x-evil", "1\r\nX-Injected: yes"] }),
        serde_json::json!({ "1": plain, "2": ["x-injected: yes\r\nx", "1"] }),
        serde_json::json!({ "1": plain, "2": ["host", elsewhere, "Transfer-Encoding", "chunked", "content-length", "3"] }),
        serde_json::json!({ "1": plain, "2": ["x-secret"] }),
        serde_json::json!({ "1": plain, "4": "}{" }),
        serde_json::json!({ "1": plain, "4": "{},\"x\":{" }),
        serde_json::json!({ "1": plain, "3": 77 }),
    ] {
        ask(parts);
    }
    assert_eq!(other.requests(), Vec::<String>::new());
    for request in allowed.requests() {
        let line = request.lines().next().unwrap_or_default();
        assert!(["get /plain http/1.1", "get /forged http/1.1"].contains(&line), "{request}");
        assert!(!request.contains("x-injected") && !request.contains("smuggled"), "{request}");
        assert!(!request.contains("transfer-encoding"), "{request}");
        assert_eq!(request.matches("\r\nhost: ").count(), 1, "{request}");
    }
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
}
