//! The one error of this crate: where in the source the trouble is, and the line it is on.

use std::fmt;

use crate::trivia::is_line_terminator;

/// Longest part of a source line that an error carries, in characters; minified lines can be megabytes long.
const MAX_EXCERPT: usize = 200;

/// A TypeScript source that cannot be turned into JavaScript.
///
/// Displays as `file:line:column: message`, the source line and a caret under the column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SyntaxError {
    /// Name of the module as the caller gave it.
    pub file: String,
    /// Line of the trouble, counted from 1. Line terminators are those of ECMAScript.
    pub line: u32,
    /// Column of the trouble in UTF-16 code units, counted from 1, as in V8's stack traces.
    pub column: u32,
    /// What is wrong and, where there is one, what to write instead.
    pub message: String,
    /// The line of the source, without its line terminator; at most its first 200 characters.
    pub source_line: String,
}

impl SyntaxError {
    pub(crate) fn at(file: &str, source: &str, offset: usize, message: impl Into<String>) -> Self {
        let mut offset = offset.min(source.len());
        while !source.is_char_boundary(offset) {
            offset -= 1;
        }
        let (line, line_start) = locate(&source[..offset]);
        let column = source[line_start..offset].encode_utf16().count() + 1;
        let rest = &source[line_start..];
        let text = rest.split(is_line_terminator).next().unwrap_or_default();
        Self {
            file: file.to_owned(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            message: message.into(),
            source_line: text.chars().take(MAX_EXCERPT).collect(),
        }
    }
}

/// Number (from 1) and start of the line on which `before` ends.
fn locate(before: &str) -> (usize, usize) {
    let (mut line, mut line_start, mut previous) = (1, 0, ' ');
    for (index, character) in before.char_indices() {
        if is_line_terminator(character) {
            // "\r\n" is one line terminator.
            if !(character == '\n' && previous == '\r') {
                line += 1;
            }
            line_start = index + character.len_utf8();
        }
        previous = character;
    }
    (line, line_start)
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, source_line } = self;
        write!(formatter, "{file}:{line}:{column}: {message}\n  {source_line}\n  ")?;
        let mut passed = 1;
        for character in source_line.chars() {
            if passed >= *column {
                break;
            }
            passed += if character.len_utf16() == 2 { 2 } else { 1 };
            // A tab stays a tab, so that the caret stands under its column at every tab width.
            formatter.write_str(if character == '\t' { "\t" } else { " " })?;
        }
        formatter.write_str("^")
    }
}
