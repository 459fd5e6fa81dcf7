//! A configuration file's text: reading it within limits, and showing places in it to people.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::error::{ConfigError, Location, SourceError, Warning};
use crate::node::Span;

/// The largest configuration file that is read, in bytes (1 MiB).
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Of a long source line this many characters are shown, and at most half of them before the place.
const MAX_SHOWN_CHARS: usize = 120;

/// A file may give rise to any number of warnings; beyond this many they are only counted.
const MAX_WARNINGS: usize = 100;

/// A file's text and the positions of its lines.
#[derive(Debug)]
pub(crate) struct SourceFile {
    path: PathBuf,
    text: String,
    line_starts: Vec<usize>,
}

impl SourceFile {
    /// Reads a file that must be UTF-8 and not larger than [`MAX_FILE_BYTES`]. A byte order mark is dropped.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = read_limited(path)?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(path, text.strip_prefix('\u{feff}').unwrap_or(&text))),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let source = Self::new(path, &String::from_utf8_lossy(error.as_bytes()));
                Err(source.syntax_error(&(valid..valid), "the file is not UTF-8 from here on".to_owned()))
            }
        }
    }

    fn new(path: &Path, text: &str) -> Self {
        let mut line_starts = vec![0];
        for (index, byte) in text.bytes().enumerate() {
            let ends_line = match byte {
                b'\n' => true,
                b'\r' => text.as_bytes().get(index + 1) != Some(&b'\n'),
                _ => false,
            };
            if ends_line {
                line_starts.push(index + 1);
            }
        }
        Self { path: path.to_owned(), text: text.to_owned(), line_starts }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The line and column of a byte offset; an offset past the end is the end.
    pub(crate) fn locate(&self, offset: usize) -> Location {
        let offset = self.char_boundary(offset);
        let (line, start) = self.line_at(offset);
        let column = self.text[start..offset].chars().count() + 1;
        Location { file: self.path.clone(), line: line + 1, column }
    }

    pub(crate) fn syntax_error(&self, span: &Span, message: String) -> ConfigError {
        ConfigError::Syntax(Box::new(self.error(span, message)))
    }

    pub(crate) fn invalid(&self, span: &Span, message: String) -> ConfigError {
        ConfigError::Invalid(Box::new(self.error(span, message)))
    }

    fn error(&self, span: &Span, message: String) -> SourceError {
        SourceError { location: self.locate(span.start), message, snippet: self.snippet(span) }
    }

    /// The index of the line that holds an offset, and where that line starts.
    fn line_at(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1);
        (line, self.line_starts[line])
    }

    /// The nearest offset at or before this one that does not split a character.
    fn char_boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    /// The line on which a span starts, with carets under the part of the span that is on this line.
    fn snippet(&self, span: &Span) -> String {
        let start = self.char_boundary(span.start);
        let (line, line_start) = self.line_at(start);
        let line_end = self.line_starts.get(line + 1).copied().unwrap_or(self.text.len());
        let content = self.text[line_start..line_end].trim_end_matches(['\n', '\r']);
        // A span at the end of the file or on a line break points just behind the line.
        let start = start.min(line_start + content.len());
        let end = self.char_boundary(span.end).clamp(start, line_start + content.len());

        let before = self.text[line_start..start].chars().count();
        let marked = self.text[start..end].chars().count();
        let skipped = before.saturating_sub(MAX_SHOWN_CHARS / 2);
        let shown: Vec<char> = content.chars().skip(skipped).take(MAX_SHOWN_CHARS).map(printable).collect();
        let prefix = format!("{:>5} | {}", line + 1, if skipped > 0 { "…" } else { "" });
        let suffix = if content.chars().nth(skipped + MAX_SHOWN_CHARS).is_some() { "…" } else { "" };

        // A tab above the caret line stays a tab in it, so that both have the same width.
        let lead = shown.iter().take(before - skipped).map(|c| if *c == '\t' { '\t' } else { ' ' });
        let caret: String = " ".repeat(prefix.chars().count()).chars().chain(lead).collect();
        let width = marked.clamp(1, (shown.len() + skipped).saturating_sub(before).max(1));
        let shown: String = shown.into_iter().collect();
        format!("{prefix}{shown}{suffix}\n{caret}{}", "^".repeat(width))
    }
}

/// Source lines end up in terminals and logs, which must not obey what is in the file.
fn printable(character: char) -> char {
    if character.is_control() && character != '\t' { char::REPLACEMENT_CHARACTER } else { character }
}

/// Reads one byte more than the limit allows, to see whether there is more without believing the file's size.
fn read_limited(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let unreadable = |source| ConfigError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned(), limit: MAX_FILE_BYTES });
    }
    Ok(bytes)
}

/// The warnings so far, with a limit on how many are kept.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    kept: Vec<Warning>,
    omitted: usize,
}

impl Warnings {
    /// A warning about the project as a whole.
    pub(crate) fn add(&mut self, message: String) {
        self.push(message, || None);
    }

    /// A warning about a place in a file.
    pub(crate) fn add_at(&mut self, source: &SourceFile, span: &Span, message: String) {
        self.push(message, || Some(source.locate(span.start)));
    }

    fn push(&mut self, message: String, location: impl FnOnce() -> Option<Location>) {
        if self.kept.len() < MAX_WARNINGS {
            self.kept.push(Warning { message, location: location() });
        } else {
            self.omitted += 1;
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Warning> {
        if self.omitted > 0 {
            let message = format!("{} more warnings are not shown", self.omitted);
            self.kept.push(Warning { message, location: None });
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::SourceFile;

    fn snippet(text: &str, start: usize, end: usize) -> String {
        SourceFile::new(Path::new("f"), text).snippet(&(start..end))
    }

    #[test]
    fn the_caret_stands_under_the_span() {
        assert_eq!(snippet("ab\n  cde f\n", 5, 8), "    2 |   cde f\n          ^^^");
        assert_eq!(snippet("\tab", 1, 3), "    1 | \tab\n        \t^^");
    }

    #[test]
    fn a_span_over_several_lines_marks_the_first() {
        assert_eq!(snippet("a {\r\n b }", 2, 9), "    1 | a {\n          ^");
    }

    #[test]
    fn the_end_of_the_file_has_a_caret_too() {
        assert_eq!(snippet("abc", 3, 3), "    1 | abc\n           ^");
        assert_eq!(snippet("", 9, 12), "    1 | \n        ^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let shown = snippet(&text, 500, 501);
        let (line, caret) = shown.split_once('\n').unwrap();
        assert_eq!(line, format!("    1 | …{}X{}…", "a".repeat(60), "b".repeat(59)));
        assert_eq!(caret, format!("{}^", " ".repeat(9 + 60)));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(snippet("a\u{1b}[2J", 0, 1), "    1 | a\u{fffd}[2J\n        ^");
    }

    #[test]
    fn columns_count_characters_and_lone_carriage_returns_end_lines() {
        let source = SourceFile::new(Path::new("f"), "é\réx");
        let location = source.locate(5);
        assert_eq!((location.line, location.column), (2, 2));
        // Inside of "é": the character's own column.
        assert_eq!(source.locate(1).column, 1);
    }
}
