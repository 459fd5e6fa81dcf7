//! What code throws where no other code catches it: of that, marked and bounded lines of its Worker reach the log, and
//! nothing reaches stdout.

mod support;

use serde_json::Value;
use support::{Project, Server, assert_contains, run, wait_until};

const FORGED: &str = "2026-01-01T00:00:00Z ERROR atoll::serve: forged";

/// A child that runs `body` for each request, its method `call`, and what its parent exports besides.
fn parent(body: &str) -> String {
    let body = serde_json::to_string(body).expect("text is JSON");
    format!(
        r#"const child = `
            import {{ WorkerEntrypoint }} from "cloudflare:workers";
            const forged = (text) => new Error("\\n{FORGED} " + text);
            export default class extends WorkerEntrypoint {{
                async fetch() {{ ${{{body}}}; return new Response("answered"); }}
            }}`;
        const load = (env) => env.LOADER.load({{
            compatibilityDate: "2026-07-01", mainModule: "child.js", modules: {{ "child.js": child }},
        }}).getEntrypoint();
        export default {{ fetch(request, env) {{ return load(env).fetch(request); }} }};
        export const passes = {{ async test(_, env) {{ await load(env).fetch("http://child.example/"); }} }};"#
    )
}

/// What the server has written once `last` is in its log.
fn output_of(body: &str, last: &str) -> String {
    let project = Project::loading_worker(&parent(body));
    let server = Server::start(project.path());
    assert_eq!(server.get("/").text(), "answered");
    wait_until(last, || server.stderr().contains(last));
    server.output()
}

#[track_caller]
fn assert_nothing_forged(output: &str) {
    let forged: Vec<&str> = output.lines().filter(|line| line.starts_with(FORGED)).collect();
    assert!(forged.is_empty(), "{forged:?}");
}

#[test]
fn errors_of_microtasks_are_lines_of_their_worker() {
    let output = output_of(
        r#"queueMicrotask(() => { throw forged("first"); }); queueMicrotask(() => { throw "\u001b[2Jlast"; })"#,
        "[2Jlast",
    );
    assert_nothing_forged(&output);
    assert!(!output.contains('\u{1b}'), "{output}");
    let lines: Vec<&str> = output.lines().filter(|line| line.contains("Uncaught")).collect();
    assert_eq!(lines.len(), 2, "{output}");
    assert!(lines.iter().all(|line| line.contains("worker")), "{lines:?}");
}

#[test]
fn errors_of_microtasks_count_in_the_log_volume() {
    let output = output_of(
        r#"for (let i = 0; i < 500; i++) queueMicrotask(() => { throw forged("z".repeat(5000)); })"#,
        "what this one logs from here on is left out",
    );
    assert_nothing_forged(&output);
    assert!(output.len() < 2 << 20, "{} bytes", output.len());
}

#[test]
fn errors_of_finalisation_callbacks_are_lines_of_their_worker() {
    let output = output_of(
        r#"globalThis.registry = new FinalizationRegistry(() => { throw forged("finalised"); });
        for (let i = 0; i < 1000; i++) registry.register({}, 1);
        for (let i = 0; i < 30; i++) { for (let j = 0; j < 1e5; j++) [j, {}]; await scheduler.wait(1); }"#,
        "forged finalised",
    );
    assert_nothing_forged(&output);
}

#[test]
fn results_of_tests_stay_json() {
    let project = Project::loading_worker(&parent(
        r#"for (let i = 0; i < 5; i++) queueMicrotask(() => { throw forged("thrown"); })"#,
    ));
    let ended = run(&["test", project.argument(), "--json"]);
    assert_eq!(ended.status.code(), Some(0), "{}{}", ended.stdout, ended.stderr);
    for line in ended.stdout.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    assert_contains(&ended.stderr, &["forged thrown"]);
}

/// The project's own code: nothing but the log tells its developer.
#[test]
fn what_a_body_fails_with_is_in_the_log() {
    let project = Project::worker(
        "export default { fetch() { return new Response(new ReadableStream({
            async pull() { await scheduler.wait(1); throw new RangeError('out of data'); },
        })); } };",
    );
    let server = Server::start(project.path());
    let mut connection = server.connect();
    connection.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").expect("send the request");
    wait_until("the error is logged", || server.stderr().contains("RangeError: out of data"));
}

#[test]
fn a_prevented_error_is_not_logged() {
    let output = output_of(
        r#"addEventListener("error", (event) => event.preventDefault());
        addEventListener("unhandledrejection", (event) => event.preventDefault());
        queueMicrotask(() => { throw new Error("prevented"); });
        Promise.reject(new Error("prevented"));
        await scheduler.wait(5);
        console.log("at the end")"#,
        "at the end",
    );
    assert!(!output.contains("prevented"), "{output}");
}
