//! What a Worker is told to patch, and its modules: for the test beside this folder and the fuzz target in `fuzz/`, which
//! includes this file.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

/// The modules of the Worker that loads others, the main one first.
pub(crate) const PARENT: [(&str, &str); 2] =
    [("parent.js", include_str!("parent.js")), ("patch.js", include_str!("patch.js"))];

/// The modules of the Worker that it loads, for `env.MODULES`.
pub(crate) fn modules() -> Value {
    json!({
        "child.js": include_str!("child.js"),
        "program.js": include_str!("program.js"),
        "patch.js": include_str!("patch.js"),
        "late.js": "await 0; export const value = 'late';",
    })
}

/// As many as `prototypes` of `patch.js` has, or more: an index counts modulo that.
pub(crate) const PROTOTYPES: usize = 64;

/// As many as `answers` of `child.js` has; the first is that nothing is found.
pub(crate) const ANSWERS: usize = 7;

/// Every name in the runtime's scripts, which are those of exports, natives and members of records, and indices. `root`: the
/// folder of the workspace.
pub(crate) fn names(root: &Path) -> Vec<String> {
    let mut names: BTreeSet<String> = ["default", "raw"].map(String::from).into();
    for layer in ["isolate", "web", "rpc", "loader"] {
        collect(&root.join("crates").join(layer).join("js"), &mut names);
    }
    assert!(names.len() > 1500, "the scripts are where this looks for them");
    // An accessor of the language's own.
    names.remove("__proto__");
    names.extend((0..12).map(|index| index.to_string()));
    names.into_iter().collect()
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of scripts") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, names);
            continue;
        }
        let text = std::fs::read_to_string(path).expect("a script");
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$'));
        names.extend(words.filter(|word| word.starts_with(|c: char| !c.is_ascii_digit())).map(String::from));
    }
}

/// What is wrong with an outcome of `POST /run` or `POST /parent`; `plain` is what there was without any patch.
pub(crate) fn fault(plain: &str, outcome: &Value) -> Option<String> {
    let transcript = outcome["transcript"].as_str().unwrap_or_default();
    let pairs = plain.lines().zip(transcript.lines()).filter(|(a, b)| a != b);
    let mut text: String = pairs.map(|(a, b)| format!("without: {a}\n   with: {b}\n")).collect();
    if plain.lines().count() != transcript.lines().count() {
        text += &format!("what came: {outcome}");
    }
    match outcome["unknown"].as_str() {
        Some("") => {}
        calls => text += &format!("accessors were called: {calls:?}"),
    }
    Some(text).filter(|text| !text.is_empty())
}
