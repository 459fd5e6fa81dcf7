//! `atoll test`: exported objects with `async test(controller, env, ctx)` are run inside the runtime and reported.

mod support;

use support::{Ended, Project, assert_contains, run};

const PASSES: &str = r#"
    export const addsUp = {
        async test(controller, env, ctx) {
            if (1 + 2 !== 3) throw new Error("1 + 2 is not 3");
        },
    };
    export const seesItsVars = {
        test(controller, env) {
            if (env.COLOR !== "blue") throw new Error(`COLOR is ${env.COLOR}`);
        },
    };
"#;
const FAILS: &str = r#"
export const goesWrong = {
    async test() {
        throw new Error("three is not four");
    },
};
"#;

fn project(main: &str) -> Project {
    let project = Project::worker(main);
    project.replace("wrangler.jsonc", r#""main""#, r#""vars": { "COLOR": "blue" }, "main""#);
    project
}

fn everything(ended: &Ended) -> String {
    format!("{}{}", ended.stdout, ended.stderr)
}

#[test]
fn passing_tests_are_named() {
    let project = project(PASSES);
    let ended = run(&["test", project.argument()]);
    assert_eq!(ended.status.code(), Some(0), "{}", everything(&ended));
    assert_contains(&ended.stdout, &["addsUp", "seesItsVars", "2 passed"]);
}

#[test]
fn a_failing_test_is_shown_with_its_place() {
    let project = project(&format!("{FAILS}{PASSES}"));
    let ended = run(&["test", project.argument()]);
    assert_eq!(ended.status.code(), Some(1), "{}", everything(&ended));
    let parts = ["goesWrong", "three is not four", "index.js:4", "addsUp", "2 passed", "1 failed"];
    assert_contains(&everything(&ended), &parts);
}

#[test]
fn a_filter_selects_by_name() {
    let project = project(&format!("{FAILS}{PASSES}"));
    let ended = run(&["test", project.argument(), "--filter", "adds"]);
    assert_eq!(ended.status.code(), Some(0), "{}", everything(&ended));
    assert_contains(&ended.stdout, &["addsUp", "1 passed"]);
    assert!(!everything(&ended).contains("goesWrong"), "{}", everything(&ended));
}

#[test]
fn a_filter_that_selects_nothing_is_a_mistake() {
    let project = project(PASSES);
    let ended = run(&["test", project.argument(), "--filter", "misspelt"]);
    assert_eq!(ended.status.code(), Some(1), "{}", everything(&ended));
    assert_contains(&ended.stderr, &["misspelt"]);
}

#[test]
fn json_is_one_value_a_line() {
    let project = project(&format!("{FAILS}{PASSES}"));
    let ended = run(&["test", project.argument(), "--json"]);
    assert_eq!(ended.status.code(), Some(1), "{}", everything(&ended));
    let values: Vec<serde_json::Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let text = serde_json::to_string(&values).expect("JSON can be written");
    assert_contains(&text, &["addsUp", "seesItsVars", "goesWrong", "three is not four"]);
}

#[test]
fn a_project_that_cannot_be_loaded_is_an_error() {
    let project = project("export const broken = {\n  test() { return ( },\n};\n");
    let ended = run(&["test", project.argument()]);
    assert_eq!(ended.status.code(), Some(1), "{}", everything(&ended));
    assert_contains(&ended.stderr, &["SyntaxError", "index.js:2:"]);
}

#[test]
fn a_test_that_never_ends_fails() {
    let project = project("export const waits = { async test() { await new Promise(() => {}); } };");
    let ended = run(&["test", project.argument()]);
    assert_eq!(ended.status.code(), Some(1), "{}", everything(&ended));
    assert_contains(&everything(&ended), &["waits"]);
}
