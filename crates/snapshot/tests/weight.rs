//! What a blank isolate weighs is under version control: a change of it shows up in review.

use std::path::Path;

/// How far figures may be off, in percent: V8 rounds to pages.
const TOLERANCE: usize = 3;

fn recorded(text: &str, name: &str) -> usize {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no line {name:?}"));
    let figure = line[name.len()..].split_whitespace().next().and_then(|n| n.parse().ok());
    figure.unwrap_or_else(|| panic!("{line:?} has no number"))
}

#[test]
fn blank_isolate_weighs_what_is_recorded() {
    atoll_isolate::engine::initialize_unprotected("");
    let weight = atoll_snapshot::weight::measure(10);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("weight.txt");
    let text = std::fs::read_to_string(file).expect("weight.txt can be read");
    for (name, kib) in [
        ("heap in use in each", weight.heap_used / 1024),
        ("startup blob", weight.blob / 1024),
        ("code cache, lazy scripts", weight.cache / 1024),
    ] {
        let recorded = recorded(&text, name);
        assert!(
            kib.abs_diff(recorded) * 100 <= recorded * TOLERANCE,
            "{name}: {kib} KiB now, {recorded} KiB in weight.txt. If the change is meant, record it:\n  \
             cargo run --release -p bench -- --isolate > crates/snapshot/weight.txt"
        );
    }
}
