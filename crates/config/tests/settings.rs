//! What the keys mean, and which values they refuse.

mod fixture;

use atoll_config::{LoaderBinding, ModuleKind, Rule, ServiceBinding, ServiceTarget};
use fixture::{Folder, QUIET};
use serde_json::json;

/// The complaint about some keys, without its place.
fn complaint(keys: &str) -> String {
    let shown = Folder::with_keys(keys).complaint();
    shown.split_once(' ').unwrap().1.to_owned()
}

#[test]
fn every_key_is_read() {
    let project = Folder::with_keys(
        r#"
        "$schema": "node_modules/wrangler/config-schema.json",
        "compatibility_flags": ["nodejs_compat", "experimental"],
        "vars": { "TEXT": "", "JSON": { "a": [null, 1.5] }, "NOTHING": null },
        "services": [
            { "binding": "A", "service": "a" },
            { "binding": "B", "service": "b", "entrypoint": "Admin", "props": { "role": "x" } }
        ],
        "worker_loaders": [{ "binding": "LOADER" }, { "binding": "SHARED", "id": "pool" }],
        "no_bundle": true,
        "rules": [
            { "type": "ESModule", "globs": ["**/*.js"] },
            { "type": "CommonJS", "globs": [], "fallthrough": false },
            { "type": "Text", "globs": ["**/*.txt", "**/*.md"], "fallthrough": true },
            { "type": "Data", "globs": ["**/*.bin"] },
            { "type": "CompiledWasm", "globs": ["**/*.wasm"] }
        ],
        "atoll": {
            "outbound": { "allow": ["127.0.0.1", "FD00::/8", "Db.Internal:5432", "*.corp.example"] },
            "global_outbound": { "service": "gate", "entrypoint": "Filter" }
        }"#,
    )
    .project();

    assert_eq!((project.name.as_str(), project.compatibility_date.as_str()), ("w", "2026-01-01"));
    assert_eq!(project.compatibility_flags, ["nodejs_compat", "experimental"]);
    let vars = [("TEXT", json!("")), ("JSON", json!({ "a": [null, 1.5] })), ("NOTHING", json!(null))];
    assert_eq!(project.vars, vars.map(|(name, value)| (name.to_owned(), value)));
    let service = |binding: &str, service: &str| ServiceBinding {
        binding: binding.to_owned(),
        service: service.to_owned(),
        entrypoint: None,
        props: None,
    };
    let second = ServiceBinding {
        entrypoint: Some("Admin".to_owned()),
        props: Some(json!({ "role": "x" })),
        ..service("B", "b")
    };
    assert_eq!(project.services, [service("A", "a"), second]);
    let loader = |binding: &str, id: Option<&str>| LoaderBinding {
        binding: binding.to_owned(),
        id: id.map(str::to_owned),
    };
    assert_eq!(project.worker_loaders, [loader("LOADER", None), loader("SHARED", Some("pool"))]);
    assert!(project.no_bundle);
    assert_eq!(project.rules.iter().map(|rule| rule.kind).collect::<Vec<_>>(), ModuleKind::ALL);
    let globs = vec!["**/*.txt".to_owned(), "**/*.md".to_owned()];
    assert_eq!(project.rules[2], Rule { kind: ModuleKind::Text, globs, fallthrough: true });
    assert!(!project.rules[0].fallthrough);
    let allowed = ["127.0.0.1", "fd00::/8", "db.internal:5432", "*.corp.example"];
    assert_eq!(project.atoll.outbound_allow, allowed);
    let gate = ServiceTarget { service: "gate".to_owned(), entrypoint: Some("Filter".to_owned()) };
    assert_eq!(project.atoll.global_outbound, Some(gate));
}

#[test]
fn a_wrong_type_says_what_was_expected_and_found() {
    let cases = [
        (r#""no_bundle": "yes""#, "`no_bundle` must be a boolean, found a string"),
        (
            r#""compatibility_flags": "a""#,
            "`compatibility_flags` must be an array of strings, found a string",
        ),
        (r#""compatibility_flags": ["a", 1]"#, "`compatibility_flags[1]` must be a string, found a number"),
        (r#""vars": []"#, "`vars` must be an object, found an array"),
        (r#""services": {}"#, "`services` must be an array of objects, found an object"),
        (r#""services": [true]"#, "`services[0]` must be an object, found a boolean"),
        (
            r#""services": [{"binding": "A", "service": null}]"#,
            "`services[0].service` must be a string, found null",
        ),
        (
            r#""services": [{"binding": "A", "service": "s", "props": 1}]"#,
            "`services[0].props` must be an object, found a number",
        ),
        (
            r#""worker_loaders": [{"binding": 1}]"#,
            "`worker_loaders[0].binding` must be a string, found a number",
        ),
        (
            r#""rules": [{"type": "Text", "globs": "x"}]"#,
            "`rules[0].globs` must be an array of strings, found a string",
        ),
        (r#""atoll": 1"#, "`atoll` must be an object, found a number"),
        (r#""atoll": {"outbound": ["a"]}"#, "`atoll.outbound` must be an object, found an array"),
        (
            r#""atoll": {"outbound": {"allow": [1]}}"#,
            "`atoll.outbound.allow[0]` must be a string, found a number",
        ),
        (r#""atoll": {"global_outbound": "g"}"#, "`atoll.global_outbound` must be an object, found a string"),
    ];
    for (keys, expected) in cases {
        assert_eq!(complaint(keys), expected);
    }
    let toml = Folder::toml("compatibility_date = 2026-01-01").complaint();
    assert_eq!(toml, "1:22 `compatibility_date` must be a string, found a date without quotes");
}

#[test]
fn a_wrong_value_is_shown_with_a_caret() {
    let folder = Folder::jsonc("{\n\t\"main\": 12, // a number\n}");
    let expected = format!(
        "{}:2:10: `main` must be a string, found a number\n    2 | \t\"main\": 12, // a number\n\
         \x20       \t        ^^",
        folder.join("wrangler.jsonc").display()
    );
    assert_eq!(folder.load().unwrap_err().to_string(), expected);
}

#[test]
fn missing_keys_are_named() {
    let cases = [
        (r#""services": [{"service": "s"}]"#, "`services[0].binding` is missing; it must be a string"),
        (r#""services": [{"binding": "A"}]"#, "`services[0].service` is missing; it must be a string"),
        (r#""worker_loaders": [{}]"#, "`worker_loaders[0].binding` is missing; it must be a string"),
        (r#""rules": [{"globs": []}]"#, "`rules[0].type` is missing; it must be a string"),
        (r#""rules": [{"type": "Text"}]"#, "`rules[0].globs` is missing; it must be an array of strings"),
        (
            r#""atoll": {"global_outbound": {}}"#,
            "`atoll.global_outbound.service` is missing; it must be a string",
        ),
    ];
    for (keys, expected) in cases {
        assert_eq!(complaint(keys), expected);
    }
}

#[test]
fn empty_strings_are_refused() {
    let cases = [
        (r#""vars": {"": 1}"#, r#"the name of `vars[""]` must not be empty"#),
        (r#""compatibility_flags": [""]"#, "`compatibility_flags[0]` must not be empty"),
        (r#""services": [{"binding": "", "service": "s"}]"#, "`services[0].binding` must not be empty"),
        (r#""services": [{"binding": "A", "service": ""}]"#, "`services[0].service` must not be empty"),
        (
            r#""services": [{"binding": "A", "service": "s", "entrypoint": ""}]"#,
            "`services[0].entrypoint` must not be empty",
        ),
        (r#""worker_loaders": [{"binding": "A", "id": ""}]"#, "`worker_loaders[0].id` must not be empty"),
        (r#""rules": [{"type": "Text", "globs": [""]}]"#, "`rules[0].globs[0]` must not be empty"),
        (r#""atoll": {"outbound": {"allow": [""]}}"#, "`atoll.outbound.allow[0]` must not be empty"),
    ];
    for (keys, expected) in cases {
        assert_eq!(complaint(keys), expected);
    }
    for key in ["name", "main", "compatibility_date"] {
        let folder = Folder::jsonc(&format!("{{\"{key}\": \"\"}}"));
        assert!(folder.complaint().ends_with(&format!("`{key}` must not be empty")));
    }
}

#[test]
fn names_have_a_longest_length() {
    let service = |name: &str| format!(r#""services": [{{"binding": "A", "service": "{name}"}}]"#);
    // Characters count, not bytes.
    let longest = "é".repeat(255);
    assert_eq!(Folder::with_keys(&service(&longest)).project().services[0].service, longest);
    let message = "`services[0].service` is 256 characters long; at most 255 are allowed";
    assert_eq!(complaint(&service(&"é".repeat(256))), message);
    let main = Folder::jsonc(&format!("{{\"main\": \"{}\"}}", "a".repeat(4097))).complaint();
    assert_eq!(main, "1:10 `main` is 4097 characters long; at most 4096 are allowed");
    let variable = format!(r#""vars": {{"{}": 1}}"#, "V".repeat(256));
    assert!(complaint(&variable).ends_with("is 256 characters long; at most 255 are allowed"));
}

#[test]
fn control_characters_in_names_are_refused() {
    let message = "`services[0].service` contains the control character U+000A, which is not allowed";
    assert_eq!(complaint(r#""services": [{"binding": "A", "service": "a\nb"}]"#), message);
    let main = Folder::jsonc(r#"{"main": "a\u0000.js"}"#).complaint();
    assert_eq!(main, "1:10 `main` contains the control character U+0000, which is not allowed");
}

#[test]
fn two_bindings_cannot_have_one_name() {
    let cases = [
        (
            "\n\"vars\": {\"A\": 1},\n\"services\": [{\"binding\": \"A\", \"service\": \"s\"}]",
            "3:26 the binding name `A` is used twice: by `vars.A` in line 2 and by \
             `services[0].binding` in line 3",
        ),
        (
            "\n\"worker_loaders\": [{\"binding\": \"A\"}], \"services\": [{\"service\": \"s\", \"binding\": \"A\"}]",
            "2:32 the binding name `A` is used twice: by `services[0].binding` in line 2 and by \
             `worker_loaders[0].binding` in line 2",
        ),
        (
            "\n\"worker_loaders\": [{\"binding\": \"A\"},\n {\"binding\": \"A\"}]",
            "3:14 the binding name `A` is used twice: by `worker_loaders[0].binding` in line 2 and by \
             `worker_loaders[1].binding` in line 3",
        ),
    ];
    for (keys, expected) in cases {
        assert_eq!(Folder::with_keys(keys).complaint(), expected);
    }
}

#[test]
fn compatibility_dates_are_checked() {
    let date =
        |date: &str| Folder::jsonc(&format!("{{\"main\": \"w.js\", \"compatibility_date\": \"{date}\"}}"));
    assert_eq!(date("2026-11-17").load().unwrap().project.compatibility_date, "2026-11-17");
    assert!(date("2026-11-17").warnings().iter().all(|warning| !warning.contains("compatibility_date")));
    assert_eq!(date("2999-01-01").load().unwrap().project.compatibility_date, "2999-01-01");
    let warnings = date("2999-01-01").warnings();
    assert!(
        warnings[0].contains("is 2999-01-01") && warnings[0].contains("2026-11-17, the newest"),
        "{warnings:?}"
    );
    let message = "1:40 Invalid compatibility date: 2026-1-1 (expected the form YYYY-MM-DD)";
    assert_eq!(date("2026-1-1").complaint(), message);
}

#[test]
fn an_unknown_module_kind_lists_the_known_ones() {
    let message = "`rules[0].type` is \"PythonModule\"; it must be one of: ESModule, CommonJS, Text, Data, \
                   CompiledWasm";
    assert_eq!(complaint(r#""rules": [{"type": "PythonModule", "globs": []}]"#), message);
}

#[test]
fn a_bad_outbound_entry_is_explained() {
    let message =
        "`atoll.outbound.allow[1]` has bits set behind its prefix length; did you mean \"10.0.0.0/8\"?";
    assert_eq!(complaint(r#""atoll": {"outbound": {"allow": ["::1", "10.1.0.0/8"]}}"#), message);
}

#[test]
fn unknown_keys_are_warnings_with_their_path_and_place() {
    let keys = r#"
"services": [{ "binding": "A", "service": "a", "foo": 1 }],
"worker_loaders": [{ "binding": "L", "bar": 1 }],
"rules": [{ "type": "Text", "globs": [], "baz": 1 }],
"atoll": { "qux": 1, "outbound": { "deny": [] }, "global_outbound": { "service": "g", "to": 1 } },
"compatability_flags": [],
"a key": 1"#;
    let expected = [
        "6:1 unknown key `compatability_flags`; did you mean `compatibility_flags`?",
        "7:1 unknown key `[\"a key\"]`",
        "2:48 unknown key `services[0].foo`",
        "3:38 unknown key `worker_loaders[0].bar`",
        "4:42 unknown key `rules[0].baz`",
        "5:12 unknown key `atoll.qux`",
        "5:36 unknown key `atoll.outbound.deny`",
        "5:87 unknown key `atoll.global_outbound.to`",
    ];
    assert_eq!(Folder::with_keys(keys).warnings(), expected);
}

#[test]
fn a_warning_names_its_file() {
    let folder = Folder::with_keys("\"colour\": 1");
    let place = format!("{}:1:{}", folder.join("wrangler.jsonc").display(), QUIET.len() + 4);
    assert_eq!(folder.load().unwrap().warnings[0].to_string(), format!("{place}: unknown key `colour`"));
}

#[test]
fn keys_that_are_not_supported_yet_are_warnings() {
    let named = "kv_namespaces r2_buckets d1_databases durable_objects queues triggers routes route workers_dev \
                 assets site ai vectorize hyperdrive browser workflows migrations observability limits placement \
                 tail_consumers build minify node_compat upload_source_maps account_id env dev define alias \
                 keep_vars logpush preview_urls containers secrets_store_secrets analytics_engine_datasets \
                 dispatch_namespaces mtls_certificates send_email version_metadata unsafe";
    for key in named.split_whitespace() {
        // Their values are not looked at.
        let warnings = Folder::with_keys(&format!("\n\"{key}\": [{{\"x\": 1}}]")).warnings();
        assert_eq!(warnings, [format!("2:1 `{key}` is not supported yet and is ignored")]);
    }
    let keys = r#""services": [{"binding": "A", "service": "a", "environment": "production"}]"#;
    let warnings = Folder::with_keys(keys).warnings();
    assert!(warnings[0].ends_with("`services[0].environment` is not supported yet and is ignored"));
}

#[test]
fn warnings_have_a_limit() {
    let keys: Vec<String> = (0..1000).map(|index| format!("\"unknown{index}\": 0")).collect();
    let warnings = Folder::with_keys(&keys.join(",")).warnings();
    assert_eq!(warnings.len(), 101);
    assert_eq!(warnings[100], "900 more warnings are not shown");
}

#[test]
fn jsx_names_are_checked() {
    let project = Folder::with_keys(r#""jsx_factory": "h", "jsx_fragment": "a.Fragment""#).project();
    assert_eq!(
        (project.jsx_factory.as_deref(), project.jsx_fragment.as_deref()),
        (Some("h"), Some("a.Fragment"))
    );
    for name in ["a b", "1", "a.", ".", "a()"] {
        let mistake = Folder::with_keys(&format!("\"jsx_factory\": \"{name}\"")).mistake();
        let message = "`jsx_factory` must be a name such as `h` or `React.createElement`";
        assert_eq!(mistake.message, message, "{name}");
    }
}
