//! Lines of a Worker's log: how much an invocation may write, and how long a line may be.

use atoll_host::log::{LogLevel, LogRecord};
use atoll_isolate::v8;

use crate::context;

/// Bytes that one invocation may write to the process's log.
pub(crate) const MAX_LOG_BYTES: usize = 1 << 20;

/// Bytes of one line; what is longer is cut.
pub(crate) const MAX_LINE_BYTES: usize = 16 << 10;

/// What an invocation has written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    bytes: usize,
    full: bool,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Write,
    /// The first that is too much: a note takes its place.
    Note,
    Drop,
}

impl Written {
    fn add(&mut self, bytes: usize) -> Verdict {
        if self.full {
            return Verdict::Drop;
        }
        self.bytes += bytes;
        self.full = self.bytes > MAX_LOG_BYTES;
        if self.full { Verdict::Note } else { Verdict::Write }
    }
}

/// Writes a line to the Worker's log, as far as its invocation may write any more.
pub(crate) fn write(scope: &mut v8::PinScope<'_, '_>, level: LogLevel, text: &str) {
    let line = cut(text);
    // A line costs something even when it is empty.
    let verdict = context::written(scope).add(line.len() + 64);
    let environment = context::environment(scope);
    let worker = &environment.name;
    match verdict {
        Verdict::Write => environment.log.write(LogRecord { level, worker, text: &line }),
        Verdict::Note => {
            let text = format!(
                "An invocation may log {} MiB; what this one logs from here on is left out.",
                MAX_LOG_BYTES >> 20
            );
            environment.log.write(LogRecord { level: LogLevel::Warn, worker, text: &text });
        }
        Verdict::Drop => {}
    }
}

fn cut(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= MAX_LINE_BYTES {
        return text.into();
    }
    let end = text.floor_char_boundary(MAX_LINE_BYTES);
    format!("{}... ({} more bytes)", &text[..end], text.len() - end).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let text = format!("x{}", "\u{e4}".repeat(MAX_LINE_BYTES));
        let line = cut(&text);
        assert!(line.ends_with("\u{e4}... (16386 more bytes)"), "{}", &line[line.len() - 40..]);
    }

    #[test]
    fn one_note_takes_the_place_of_all_that_is_too_much() {
        let mut written = Written::default();
        assert_eq!(written.add(MAX_LOG_BYTES), Verdict::Write);
        assert_eq!(written.add(1), Verdict::Note);
        assert_eq!(written.add(1), Verdict::Drop);
    }
}
