//! Reads what lies between two syntax nodes: white space, comments, and the few tokens the tree has no span
//! for.

/// The line terminators of ECMAScript: these characters are never erased.
pub(crate) fn is_line_terminator(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// Offset of the first character at or after `offset` that belongs neither to white space nor to a comment.
///
/// `offset` must be between two tokens, otherwise `//` may be part of a string.
pub(crate) fn skip_trivia(source: &str, offset: usize) -> usize {
    let mut rest = &source[offset..];
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if let Some(comment) = rest.strip_prefix("//") {
            rest = &comment[comment.find(is_line_terminator).unwrap_or(comment.len())..];
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = &comment[comment.find("*/").map_or(comment.len(), |end| end + 2)..];
        } else {
            return source.len() - rest.len();
        }
    }
}

/// Offset of the next token after `offset` if that token starts with `punctuator`.
pub(crate) fn find_next(source: &str, offset: usize, punctuator: char) -> Option<usize> {
    let next = skip_trivia(source, offset);
    source[next..].starts_with(punctuator).then_some(next)
}

/// The identifier or keyword that starts at `offset`; empty if none does.
pub(crate) fn word_at(source: &str, offset: usize) -> &str {
    let rest = &source[offset..];
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
    &rest[..end]
}

#[cfg(test)]
mod tests {
    use super::{find_next, skip_trivia, word_at};

    #[test]
    fn skips_white_space_and_both_kinds_of_comments() {
        assert_eq!(skip_trivia("  // a\n /* b\n */ x", 0), 17);
        assert_eq!(skip_trivia("\u{feff}\u{a0}x", 0), 5);
        assert_eq!(skip_trivia("/* never closed", 0), 15);
        assert_eq!(skip_trivia("x", 1), 1);
    }

    #[test]
    fn finds_only_the_very_next_token() {
        assert_eq!(find_next("a /* ? */ ? b", 1, '?'), Some(10));
        assert_eq!(find_next("a b ?", 1, '?'), None);
    }

    #[test]
    fn reads_one_word() {
        assert_eq!(word_at("private #x", 0), "private");
        assert_eq!(word_at("größe = 1", 0), "größe");
        assert_eq!(word_at("[x]", 0), "");
    }
}
