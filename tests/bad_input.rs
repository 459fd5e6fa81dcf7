//! Mistakes in a project, on the command line and on the wire: one clear message that names the place, and no panic.

mod support;

use support::{Ended, Project, Server, assert_contains, run};

/// `atoll serve` on a project whose configuration is wrong.
#[track_caller]
fn refused(path: &str) -> Ended {
    ends_with(2, path)
}

/// `atoll serve` on a project whose code is wrong.
#[track_caller]
fn failed(path: &str) -> Ended {
    ends_with(1, path)
}

#[track_caller]
fn ends_with(code: i32, path: &str) -> Ended {
    let ended = run(&["serve", path, "--port", "0"]);
    assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
    assert!(!ended.stdout.contains("http://"), "nothing is served: {}", ended.stdout);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended
}

#[test]
fn a_missing_main_is_named() {
    let configuration = r#"{ "name": "worker", "main": "src/none.js", "compatibility_date": "2026-07-01" }"#;
    let project = Project::new(&[("wrangler.jsonc", configuration)]);
    assert_contains(&refused(project.argument()).stderr, &["wrangler.jsonc", "main", "src/none.js"]);
}

#[test]
fn a_missing_folder_is_named() {
    let project = Project::new(&[]);
    let missing = project.path().join("nowhere");
    let missing = missing.to_str().expect("the path is UTF-8");
    assert_contains(&refused(missing).stderr, &["nowhere"]);
}

#[test]
fn a_broken_configuration_is_shown_at_its_place() {
    let project = Project::worker("export default {};");
    project.write("wrangler.jsonc", "{\n  \"name\": \"worker\",\n  \"main\" \"index.js\"\n}\n");
    assert_contains(&refused(project.argument()).stderr, &["wrangler.jsonc:3:", "\"main\" \"index.js\""]);
}

#[test]
fn a_wrong_type_in_the_configuration_is_shown_at_its_place() {
    let project = Project::worker("export default {};");
    project.write("wrangler.jsonc", "{\n  \"name\": \"worker\",\n  \"main\": 5\n}\n");
    assert_contains(&refused(project.argument()).stderr, &["wrangler.jsonc:3:", "main"]);
}

#[test]
fn a_syntax_error_in_the_main_module_is_shown_at_its_place() {
    let project = Project::worker("export default {\n  fetch() { return new Response('x' },\n};\n");
    let stderr = failed(project.argument()).stderr;
    assert_contains(&stderr, &["SyntaxError", "index.js:2:", "fetch() { return new Response('x' },"]);
}

#[test]
fn an_error_at_the_top_level_is_shown_at_its_place() {
    let project = Project::worker("const settings = undefined;\nsettings.port;\nexport default {};\n");
    assert_contains(&failed(project.argument()).stderr, &["TypeError", "index.js:2"]);
}

#[test]
fn an_import_of_nothing_is_named() {
    let project =
        Project::worker("import { a } from './absent.js';\nexport default { fetch() { return a; } };\n");
    assert_contains(&failed(project.argument()).stderr, &["absent.js", "index.js"]);
}

#[test]
fn a_binding_to_an_absent_service_is_named() {
    let project = Project::worker("export default {};");
    let services = r#""services": [{ "binding": "OTHER", "service": "absent" }], "main""#;
    project.replace("wrangler.jsonc", r#""main""#, services);
    assert_contains(&refused(project.argument()).stderr, &["OTHER", "absent"]);
}

#[test]
fn wrong_arguments_are_named() {
    let cases: [(&[&str], &str); 3] = [
        (&["serve", ".", "--port", "99999"], "99999"),
        (&["serve", ".", "--prot", "80"], "--prot"),
        (&["swerve"], "swerve"),
    ];
    for (arguments, named) in cases {
        let ended = run(arguments);
        assert!(!ended.status.success(), "{arguments:?} must be refused");
        assert_contains(&ended.stderr, &[named]);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

#[test]
fn broken_requests_leave_the_server_serving() {
    let project = Project::worker("export default { fetch() { return new Response('ok'); } };");
    let server = Server::start(project.path());
    let broken: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is not HTTP\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon in this line\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HT",
    ];
    for bytes in broken {
        let mut connection = server.connect();
        connection.write(bytes).expect("send the broken request");
        drop(connection);
        assert_eq!(server.get("/").text(), "ok", "after {:?}", String::from_utf8_lossy(bytes));
    }
    let mut connection = server.connect();
    connection.write(broken[1]).expect("send the broken request");
    assert_eq!(connection.read_head().expect("get an answer").status, 400);
}
