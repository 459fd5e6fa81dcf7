//! How a place inside a document is written in messages: `services[0].binding`.

use std::fmt::{self, Write as _};

/// More of a key is not shown: keys come from the file and can be as long as the file.
const MAX_KEY_CHARS: usize = 64;

/// The way from the document's root to a value, shown as `services[0].binding`. It borrows its parents, so
/// that walking a document costs no allocation until a message is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyPath<'a> {
    /// The document itself.
    Root,
    /// A property of an object.
    Key(&'a KeyPath<'a>, &'a str),
    /// An element of an array.
    Index(&'a KeyPath<'a>, usize),
}

impl fmt::Display for KeyPath<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyPath::Root => Ok(()),
            KeyPath::Index(parent, index) => write!(formatter, "{parent}[{index}]"),
            KeyPath::Key(parent, key) if is_plain(key) => {
                write!(formatter, "{parent}")?;
                if !matches!(parent, KeyPath::Root) {
                    formatter.write_char('.')?;
                }
                formatter.write_str(key)
            }
            KeyPath::Key(parent, key) => {
                let shown: String = key.chars().take(MAX_KEY_CHARS).collect();
                let rest = if shown.len() < key.len() { "…" } else { "" };
                write!(formatter, "{parent}[\"{}{rest}\"]", shown.escape_debug())
            }
        }
    }
}

/// Whether a key can stand in a path without quotes.
fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= MAX_KEY_CHARS
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$'))
}

#[cfg(test)]
mod tests {
    use super::KeyPath;

    #[test]
    fn a_path_reads_like_javascript() {
        let root = KeyPath::Root;
        let services = KeyPath::Key(&root, "services");
        let first = KeyPath::Index(&services, 0);
        assert_eq!(KeyPath::Key(&first, "binding").to_string(), "services[0].binding");
        assert_eq!(KeyPath::Key(&first, "$schema").to_string(), "services[0].$schema");
    }

    #[test]
    fn an_odd_key_is_quoted_and_a_long_one_is_cut() {
        let root = KeyPath::Root;
        assert_eq!(KeyPath::Key(&root, "").to_string(), r#"[""]"#);
        assert_eq!(KeyPath::Key(&root, "a\nb").to_string(), r#"["a\nb"]"#);
        let long = "k".repeat(1000);
        assert_eq!(KeyPath::Key(&root, &long).to_string(), format!("[\"{}…\"]", "k".repeat(64)));
    }
}
