//! Local secrets beside the configuration.

mod fixture;

use fixture::Folder;
use serde_json::json;

fn vars(folder: &Folder) -> Vec<(String, serde_json::Value)> {
    folder.project().vars
}

#[test]
fn dev_vars_override_vars() {
    let folder = Folder::with_keys(r#""vars": {"MODE": "production", "KEPT": 1}"#);
    folder.write(".dev.vars", b"TOKEN=\"a b\"\nMODE=development\nRAW=$TOKEN\n");
    folder.write(".env", b"TOKEN=other\nENV=1\n");
    let expected = [
        ("MODE", json!("development")),
        ("KEPT", json!(1)),
        ("TOKEN", json!("a b")),
        ("RAW", json!("$TOKEN")),
    ];
    assert_eq!(vars(&folder), expected.map(|(name, value)| (name.to_owned(), value)));
    assert_eq!(folder.load().unwrap().secret_files, [folder.join(".dev.vars")]);
}

#[test]
fn env_files_are_merged_and_expanded() {
    let folder = Folder::with_keys(r#""vars": {}"#);
    folder.write(".env", b"A=1\nB=2\nC=${A}-$B\n");
    folder.write(".env.local", b"B=3\n");
    let expected = [("A", "1"), ("B", "3"), ("C", "1-3")];
    assert_eq!(vars(&folder), expected.map(|(name, value)| (name.to_owned(), json!(value))));
    assert_eq!(folder.load().unwrap().secret_files, [folder.join(".env"), folder.join(".env.local")]);
}

#[test]
fn mistakes_are_shown_at_their_place() {
    let folder = Folder::with_keys(r#""services": [{"binding": "A", "service": "w"}]"#);
    folder.write(".dev.vars", b"B=1\nA=2\n");
    assert_eq!(folder.complaint(), "2:1 the name `A` is also that of a binding in `services`");
    folder.write(".dev.vars", b"B=1\nwhat is this\n");
    assert_eq!(folder.warnings(), ["2:1 this line is not of the form NAME=value and is ignored"]);
    folder.write(".dev.vars", b"B=\xff\n");
    assert!(folder.complaint().starts_with("1:3 the file is not UTF-8"));
    folder.write(".dev.vars", &vec![b'#'; 1024 * 1024 + 1]);
    assert!(folder.load().unwrap_err().to_string().contains(".dev.vars"));
}
