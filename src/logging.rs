//! Where log lines go: stderr, coloured on a terminal only. `RUST_LOG`-like filters come from `ATOLL_LOG`.

use std::fmt::Write as _;
use std::io::IsTerminal;

use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{self, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sets the process's logging up: by default `info`, and everything that Workers print.
pub(crate) fn start() {
    let wanted = std::env::var("ATOLL_LOG").unwrap_or_else(|_| "info,worker=trace".into());
    let (targets, problem) = match wanted.parse::<Targets>() {
        Ok(targets) => (targets, None),
        Err(error) => (Targets::new().with_default(tracing::Level::INFO), Some(error)),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(true)
        .fmt_fields(fields());
    tracing_subscriber::registry().with(targets).with(lines).init();
    if let Some(error) = problem {
        tracing::warn!(%error, value = wanted, "ATOLL_LOG is not a list of target=level and is ignored");
    }
}

/// Fields as text that cannot be taken for a line of its own: guests choose what many of them say.
fn fields() -> impl for<'w> FormatFields<'w> {
    format::debug_fn(|writer, field, value| {
        let text = one_entry(&format!("{value:?}"));
        match field.name() {
            "message" => write!(writer, "{text}"),
            name => write!(writer, "{name}={text}"),
        }
    })
    .delimited(" ")
}

/// Line breaks stay, with a mark before what follows them; other control characters are escaped.
fn one_entry(text: &str) -> String {
    let text = text.trim_end_matches('\n');
    let mut entry = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => entry.push_str("\n    | "),
            '\t' => entry.push('\t'),
            // Line and paragraph separators, and what turns the direction of text around, among them.
            '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                let _ = write!(entry, "{}", character.escape_unicode());
            }
            other if other.is_control() => {
                let _ = write!(entry, "{}", other.escape_default());
            }
            other => entry.push(other),
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_one_entry() {
        assert_eq!(one_entry("a line"), "a line");
        assert_eq!(one_entry("two\nlines\n"), "two\n    | lines");
        assert_eq!(one_entry("\r2026 INFO forged"), "\\r2026 INFO forged");
        assert_eq!(one_entry("\u{1b}[2Jcleared"), "\\u{1b}[2Jcleared");
        assert_eq!(one_entry("\u{9b}31m\u{202e}x\u{85}"), "\\u{9b}31m\\u{202e}x\\u{85}");
        assert_eq!(one_entry("t\u{fc}r\t\u{1f600}"), "t\u{fc}r\t\u{1f600}");
    }
}
