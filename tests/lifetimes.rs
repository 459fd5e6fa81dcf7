//! When children end, observed from inside with garbage collections on demand.

use std::path::Path;
use std::process::Command;

#[test]
fn children_end_when_nobody_holds_them() {
    let output = Command::new(env!("CARGO_BIN_EXE_atoll"))
        .arg("test")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lifetimes"))
        .args(["--v8-flags", "--expose-gc"])
        .output()
        .expect("the binary runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("4 passed, 0 failed"), "{stdout}");
}
