//! Exact output for every construct that is erased, rewritten or refused, and properties for arbitrary
//! sources.

mod classes;
mod enums;
mod errors;
mod jsx;
mod modules;
mod properties;
mod statements;
mod types;

use atoll_typescript::{SyntaxError, strip};

/// Strips the first halves of `lines`, joined, and expects the second halves.
#[track_caller]
pub(crate) fn check(lines: &[(&str, &str)]) {
    let source: Vec<&str> = lines.iter().map(|line| line.0).collect();
    let expected: Vec<&str> = lines.iter().map(|line| line.1).collect();
    match strip("module.ts", &source.join("\n")) {
        Ok(output) => assert_eq!(output.split('\n').collect::<Vec<_>>(), expected),
        Err(error) => panic!("{error}"),
    }
}

/// Expects that `source` is left as it is.
#[track_caller]
pub(crate) fn check_unchanged(source: &str) {
    assert_eq!(strip("module.ts", source).as_deref(), Ok(source));
}

/// The error of a source that is refused.
#[track_caller]
pub(crate) fn refused(source: &str) -> SyntaxError {
    match strip("module.ts", source) {
        Ok(output) => panic!("accepted: {output}"),
        Err(error) => error,
    }
}
