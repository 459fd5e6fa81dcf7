//! JSON and TOML as text: what is accepted, and how mistakes and oddities are shown.

mod fixture;

use fixture::{Folder, QUIET};
use serde_json::json;

#[test]
fn json_may_have_comments_and_trailing_commas_in_both_extensions() {
    let text = format!(
        "\u{feff}// first\n{{{QUIET}, /* then */ \"compatibility_flags\": [\"a\", \"b\",],}} // last\n"
    );
    for name in ["wrangler.jsonc", "wrangler.json"] {
        let folder = Folder::new(&[("w.js", ""), (name, text.as_str())]);
        assert_eq!(folder.project().compatibility_flags, ["a", "b"]);
    }
}

#[test]
fn toml_has_the_same_keys() {
    let toml = r#"
        name = "w"
        main = "w.js"
        compatibility_date = "2026-01-01"
        compatibility_flags = ["nodejs_compat"]
        no_bundle = true
        vars.Z = "text"
        vars.A = { deep = [1, -2.5, true], when = 2026-01-01T10:00:00Z }

        [[services]]
        binding = "S"
        service = "other"
        props = { b = 1, a = 0xff }

        [[worker_loaders]]
        binding = "LOADER"
        id = "shared"

        [[rules]]
        type = "Text"
        globs = ["**/*.txt"]
        fallthrough = true

        [atoll.outbound]
        allow = ["10.0.0.0/8"]

        [atoll.global_outbound]
        service = "gate"
    "#;
    let json = r#"{
        "name": "w",
        "main": "w.js",
        "compatibility_date": "2026-01-01",
        "compatibility_flags": ["nodejs_compat"],
        "no_bundle": true,
        "vars": { "Z": "text", "A": { "deep": [1, -2.5, true], "when": "2026-01-01T10:00:00Z" } },
        "services": [{ "binding": "S", "service": "other", "props": { "b": 1, "a": 255 } }],
        "worker_loaders": [{ "binding": "LOADER", "id": "shared" }],
        "rules": [{ "type": "Text", "globs": ["**/*.txt"], "fallthrough": true }],
        "atoll": { "outbound": { "allow": ["10.0.0.0/8"] }, "global_outbound": { "service": "gate" } }
    }"#;
    let (toml, json) = (Folder::toml(toml).project(), Folder::jsonc(json).project());
    assert_eq!(toml.vars[1].1, json!({ "deep": [1, -2.5, true], "when": "2026-01-01T10:00:00Z" }));
    // Only the places differ.
    let moved = atoll_config::Project {
        dir: json.dir.clone(),
        file: json.file.clone(),
        main: json.main.clone(),
        ..toml
    };
    assert_eq!(moved, json);
}

#[test]
fn properties_keep_the_order_of_the_file() {
    let keys = r#""vars": { "Z": { "y": 1, "x": 2 }, "A": 1, "M": 1 }"#;
    let toml = "name = \"w\"\nmain = \"w.js\"\ncompatibility_date = \"2026-01-01\"\n\
                [vars.Z]\ny = 1\nx = 2\n[vars]\nA = 1\nM = 1\n";
    for project in [Folder::with_keys(keys).project(), Folder::toml(toml).project()] {
        let names: Vec<&str> = project.vars.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Z", "A", "M"]);
        assert_eq!(project.vars[0].1.to_string(), r#"{"y":1,"x":2}"#);
    }
}

#[test]
fn a_syntax_error_shows_the_place() {
    let folder = Folder::jsonc("{\n  \"name\": w\n}");
    let mistake = folder.mistake();
    assert_eq!(mistake.snippet, "    2 |   \"name\": w\n                  ^");
    let expected = format!(
        "{}:2:11: syntax error: Unexpected word\n{}",
        folder.join("wrangler.jsonc").display(),
        mistake.snippet
    );
    assert_eq!(folder.load().unwrap_err().to_string(), expected);

    let mistake = Folder::toml("name = \"w\"\nmain w.js\n").mistake();
    assert_eq!(mistake.location.line, 2);
    assert!(mistake.message.starts_with("syntax error: "), "{}", mistake.message);
}

#[test]
fn json_is_not_javascript() {
    let wrong = [
        "{name: \"w\"}",
        "{\"name\": 'w'}",
        "{\"vars\": {\"A\": 0x10}}",
        "{\"vars\": {\"A\": +1}}",
        "{\"vars\": {\"A\": .5}}",
        "{\"vars\": {\"A\": NaN}}",
        "{\"vars\": {\"A\": \"\\x41\"}}",
        "{\"name\": \"w\" \"main\": \"w.js\"}",
        "{} {}",
        "{",
        "[",
    ];
    for text in wrong {
        let mistake = Folder::jsonc(text).mistake();
        assert!(mistake.message.starts_with("syntax error: "), "{text}: {}", mistake.message);
        assert_eq!(mistake.location.line, 1);
    }
}

#[test]
fn odd_documents_are_explained() {
    let cases = [
        ("", "1:1 the file is empty; expected an object `{ … }`"),
        ("// only\n", "1:1 the file is empty; expected an object `{ … }`"),
        (" []", "1:2 the document must be an object, found an array"),
        ("{\"vars\": {\"A\": 1e999}}", "1:16 the number is too large for a 64-bit float"),
        ("{\"name\": \"w,\n \"}", "1:10 syntax error: the string has no closing quote in its line"),
        ("{\"na\nme\": 1}", "1:2 syntax error: the string has no closing quote in its line"),
    ];
    for (text, expected) in cases {
        assert_eq!(Folder::jsonc(text).complaint(), expected);
    }
    let infinite = "the number has no form in JSON: it is infinite, too large or not a number";
    assert_eq!(Folder::toml("vars.A = inf").complaint(), format!("1:10 {infinite}"));
    assert_eq!(Folder::toml("vars.A = 1e999").complaint(), format!("1:10 {infinite}"));
    let large = "vars.A = 18446744073709551616";
    assert_eq!(Folder::toml(large).complaint(), "1:10 the number does not fit into 64 bits");
}

#[test]
fn a_file_that_is_not_utf8_is_refused_at_the_first_bad_byte() {
    let folder = Folder::new(&[]);
    folder.write("wrangler.jsonc", b"{\n \"name\": \"\xff\"}");
    assert_eq!(folder.complaint(), "2:11 the file is not UTF-8 from here on");
}

#[test]
fn of_a_duplicate_key_the_later_counts_with_a_warning() {
    let keys = "\n\"vars\": {\"A\": 1, \"B\": 2,\n  \"A\": 3}";
    let folder = Folder::with_keys(keys);
    assert_eq!(folder.warnings(), ["3:3 duplicate key `vars.A`: this one replaces the one in line 2"]);
    let vars = folder.load().unwrap().project.vars;
    assert_eq!(vars, [("A".to_owned(), json!(3)), ("B".to_owned(), json!(2))]);

    let toml = "name = \"a\"\nname = \"b\"\n";
    assert_eq!(Folder::toml(toml).complaint(), "2:1 syntax error: duplicate key");
}

#[test]
fn nesting_has_a_limit() {
    let nested = |levels: usize| format!("\"vars\": {{\"A\": {}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(Folder::with_keys(&nested(60)).project().vars.len(), 1);
    let too_deep = "values are nested more than 64 levels deep";
    assert!(Folder::with_keys(&nested(100)).complaint().ends_with(too_deep));
    // Far beyond what recursion could survive.
    assert!(Folder::with_keys(&nested(100_000)).complaint().ends_with("nesting depth exceeded"));

    let toml = |text: String| Folder::toml(&text).complaint();
    assert!(toml(format!("vars.A = {}{}", "[".repeat(100), "]".repeat(100))).ends_with(too_deep));
    assert!(toml(format!("{}a = 1", "a.".repeat(200_000))).ends_with(too_deep));
    assert!(toml(format!("[{}a]\nb = 1", "a.".repeat(200_000))).ends_with(too_deep));
    let halves = format!("[[{0}a]]\n{0}a = 1", "a.".repeat(40));
    assert!(toml(halves).starts_with("2:"));
    let inline = format!("vars.A = {}1{}", "{a.b.c.d = ".repeat(20), "}".repeat(20));
    assert!(toml(inline).ends_with(too_deep));
}

#[test]
fn dots_that_are_not_keys_are_not_nesting() {
    let mut text = "name = \"w\"\nmain = \"w.js\"\ncompatibility_date = \"2026-01-01\"\n".to_owned();
    text.push_str(&format!("vars.F = [{}]\n", "1.5, ".repeat(500)));
    text.push_str(&format!("vars.S = \"{}\"\n", ".".repeat(500)));
    for index in 0..200 {
        text.push_str(&format!("[[worker_loaders]] # {}\nbinding = \"L{index}\"\n", "[.".repeat(100)));
    }
    assert_eq!(Folder::toml(&text).project().worker_loaders.len(), 200);
}
