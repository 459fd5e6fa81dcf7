//! Whatever is in the file: it loads or it is an error that names a place within it, and nothing panics.

mod fixture;

use atoll_config::ConfigError;
use fixture::Folder;
use proptest::prelude::*;

/// Pieces from which random documents are put together: plain noise never gets past the first byte.
const JSON_PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    "\r",
    " ",
    "//",
    "/*",
    "*/",
    "\"",
    "\\",
    "\\u",
    "null",
    "true",
    "1",
    "-",
    "e9",
    "\"name\":",
    "\"main\":",
    "\"vars\":",
    "\"services\":[",
    "\"atoll\":{",
    "\"outbound\":{\"allow\":[",
    "\"w.js\"",
    "\"10.0.0.0/8\"",
    "\"compatibility_date\":",
    "\"é\"",
    "\u{feff}",
    "\u{2028}",
];
const TOML_PIECES: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    ".",
    "=",
    ",",
    "\n",
    "\r\n",
    "\r",
    " ",
    "#",
    "\"",
    "\"\"\"",
    "'",
    "\\",
    "a",
    "b.c",
    "1",
    "-",
    "inf",
    "0x",
    "2026-01-01",
    "true",
    "name = ",
    "main = ",
    "[vars]\n",
    "[[services]]\n",
    "\"w.js\"",
    "é",
    "binding = ",
    "atoll.outbound.allow = [",
    "\u{feff}",
];

fn document(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(pieces), 0..60).prop_map(|pieces| pieces.concat())
}

/// Loads a project with this configuration; if its text is wrong, the error must point into it.
fn check(name: &str, bytes: &[u8]) {
    let folder = Folder::new(&[("w.js", "")]);
    folder.write(name, bytes);
    match folder.load() {
        Err(ConfigError::Syntax(mistake) | ConfigError::Invalid(mistake)) => {
            let lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
            assert!((1..=lines).contains(&mistake.location.line), "{mistake}");
            assert!((1..=bytes.len() + 1).contains(&mistake.location.column), "{mistake}");
            assert!(mistake.snippet.ends_with('^'), "{mistake}");
        }
        Err(ConfigError::NoMain { .. }) | Ok(_) => {}
        Err(other) => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check("wrangler.jsonc", &bytes);
        check("wrangler.toml", &bytes);
    }

    #[test]
    fn text(text in "\\PC{0,200}") {
        check("wrangler.jsonc", text.as_bytes());
        check("wrangler.toml", text.as_bytes());
    }

    #[test]
    fn json_pieces(text in document(JSON_PIECES)) {
        check("wrangler.jsonc", text.as_bytes());
        check("wrangler.json", format!("{{{text}}}").as_bytes());
    }

    #[test]
    fn toml_pieces(text in document(TOML_PIECES)) {
        check("wrangler.toml", text.as_bytes());
    }

    #[test]
    fn outbound_entries(entry in "[ -~é]{0,40}|[a-z0-9.:/*\\[\\]-]{0,20}") {
        let entry = serde_json::Value::String(entry);
        check("wrangler.json", format!("{{\"atoll\":{{\"outbound\":{{\"allow\":[{entry}]}}}}}}").as_bytes());
    }
}
