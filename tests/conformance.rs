//! The conformance cases, run by `atoll test` as a user runs them. Cases that need what is not there yet are listed in
//! `conformance/pending.jsonc`; one that passes all the same must leave the list.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

fn areas() -> Vec<String> {
    let entries = fs::read_dir(root()).expect("the conformance folder can be read");
    let mut areas: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("wrangler.jsonc").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    areas.sort();
    areas
}

/// Names of pending cases, `area/test`; `area/*` for an area that does not start.
fn pending() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("pending.jsonc")).expect("pending.jsonc can be read");
    let json: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let list: Vec<Value> = serde_json::from_str(&json).expect("pending.jsonc is a list");
    list.iter()
        .map(|entry| {
            assert!(entry["reason"].is_string(), "{entry} has no reason");
            entry["test"].as_str().expect("each entry names a test").to_owned()
        })
        .collect()
}

/// Runs one area; gives (name, what is wrong).
fn run(area: &str, pending: &BTreeSet<String>) -> (usize, Vec<String>) {
    let output = Command::new(env!("CARGO_BIN_EXE_atoll"))
        .args(["test", "--json"])
        .arg(root().join(area))
        .output()
        .expect("the binary runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let mut problems = Vec::new();
    let mut passed = 0;
    let mut seen = 0;
    for line in stdout.lines() {
        let outcome: Value = serde_json::from_str(line).expect("each line is a JSON object");
        let name = format!("{area}/{}", outcome["test"].as_str().expect("each outcome names its test"));
        seen += 1;
        match (outcome["outcome"].as_str(), pending.contains(&name)) {
            (Some("passed"), false) => passed += 1,
            (Some("passed"), true) => problems.push(format!("{name} passes: take it off pending.jsonc")),
            (_, true) => {}
            _ => problems.push(format!("{name}: {}", outcome["error"])),
        }
    }
    if seen == 0 && !pending.contains(&format!("{area}/*")) {
        problems.push(format!("{area} ran no test: {}", String::from_utf8_lossy(&output.stderr)));
    }
    (passed, problems)
}

#[test]
fn all_areas_pass() {
    let (areas, pending) = (areas(), pending());
    let next = AtomicUsize::new(0);
    let passed = AtomicUsize::new(0);
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(area) = areas.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (good, bad) = run(area, &pending);
                    passed.fetch_add(good, Ordering::Relaxed);
                    problems.lock().expect("no thread panicked").extend(bad);
                }
            });
        }
    });
    let problems = problems.into_inner().expect("no thread panicked");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(passed.into_inner() > 500, "fewer cases passed than there were: is an area missing?");
}
