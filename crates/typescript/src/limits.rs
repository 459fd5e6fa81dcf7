//! Limits on what is parsed, and the stack that parsing needs.
//!
//! A source nested too deeply must give an error, because a parser that runs out of stack ends the process.
//! The bound that guarantees this counts tokens without lexing the source, so that no trick with strings,
//! templates or regular expressions can hide tokens from it. The limit on nesting is lower, names the place,
//! and bounds what parsing costs.

use std::cell::Cell;

use crate::error::SyntaxError;
use crate::nesting::{MAX_NESTING, MAX_RECURSION, is_word, too_deep};

/// Largest source in bytes.
pub const MAX_SOURCE_BYTES: usize = 10 * 1024 * 1024;

/// Most tokens that can make the parser recurse (opening brackets, operators, prefix keywords), counted
/// without regard to strings and comments. Typical code of about a megabyte stays below.
pub const MAX_RECURSIVE_TOKENS: usize = 131_072;

/// Stack that one level of recursion may take: several times what it takes, as frames of debug builds are
/// large.
const STACK_PER_TOKEN: usize = if cfg!(debug_assertions) { 64 * 1024 } else { 8 * 1024 };
const BASE_STACK: usize = 2 * 1024 * 1024;

/// Most bytes that enums and JSX elements of a module may become, for each byte of its source; and what every module may
/// have beside. Members of enums refer to each other, so that a text could double with each.
const GROWTH: usize = 12;
const FREE_GROWTH: usize = 64 * 1024;

/// Bytes of JavaScript that a module's enums and elements may still become.
pub(crate) struct Room {
    left: Cell<usize>,
    limit: usize,
}

impl Room {
    pub(crate) fn new(source: &str) -> Self {
        let limit = FREE_GROWTH + GROWTH * source.len();
        Self { left: Cell::new(limit), limit }
    }

    /// Takes `bytes`; false if there is not so much left.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }

    pub(crate) fn too_large(&self, what: &str, source_bytes: usize) -> String {
        format!(
            "the limit of {} bytes of JavaScript for the enums and JSX elements of a module of {source_bytes} bytes is passed \
             with {what}; write shorter values, or split the module",
            self.limit
        )
    }
}

/// Checks the limits and returns the size in bytes of a stack on which `source` can be parsed.
pub(crate) fn stack_bytes(file_name: &str, source: &str, jsx: bool) -> Result<usize, SyntaxError> {
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("the source has {} bytes; the limit is {MAX_SOURCE_BYTES}", source.len());
        return Err(SyntaxError::at(file_name, source, 0, message));
    }
    if let Some(offset) = too_deep(source, jsx) {
        let message = format!(
            "the source is nested more than {MAX_NESTING} deep (operators, members and statements that lead on to the \
             next: {MAX_RECURSION}), or deeply in too many places; flatten the code"
        );
        return Err(SyntaxError::at(file_name, source, offset, message));
    }
    let tokens = recursive_tokens(source.as_bytes());
    if tokens > MAX_RECURSIVE_TOKENS {
        let message = format!(
            "the source has {tokens} brackets and operators; the limit for TypeScript is {MAX_RECURSIVE_TOKENS}. \
             Split the module, move data to a JSON module, or compile it to JavaScript first"
        );
        return Err(SyntaxError::at(file_name, source, 0, message));
    }
    Ok(stack_for(tokens))
}

/// Bytes of stack for so many recursive tokens.
pub(crate) fn stack_for(tokens: usize) -> usize {
    BASE_STACK + tokens * STACK_PER_TOKEN
}

/// An upper bound of the recursion of parser and visitor: every level of it consumes one of these tokens.
pub(crate) fn recursive_tokens(source: &[u8]) -> usize {
    let (mut count, mut index) = (0, 0);
    while let Some(&byte) = source.get(index) {
        if is_word(byte) {
            let start = index;
            while source.get(index).is_some_and(|&byte| is_word(byte)) {
                index += 1;
            }
            count += usize::from(is_recursive_keyword(&source[start..index]));
            continue;
        }
        // The point of a number does not nest, that of a member chain does.
        let number = byte == b'.' && source.get(index + 1).is_some_and(u8::is_ascii_digit);
        count += usize::from(!number && b"([{<>?:=+-*/%&|^!~.@`".contains(&byte));
        index += 1;
    }
    count
}

#[rustfmt::skip]
fn is_recursive_keyword(word: &[u8]) -> bool {
    matches!(
        word,
        b"as" | b"asserts" | b"async" | b"await" | b"class" | b"delete" | b"do" | b"else" | b"extends" | b"in"
        | b"infer" | b"instanceof" | b"is" | b"keyof" | b"new" | b"readonly" | b"satisfies" | b"typeof" | b"unique"
        | b"void" | b"yield"
    )
}

#[cfg(test)]
mod tests {
    use super::recursive_tokens;

    #[test]
    fn counts_every_way_to_nest() {
        assert_eq!(recursive_tokens(b"((("), 3);
        assert_eq!(recursive_tokens(b"!!typeof await x"), 4);
        assert_eq!(recursive_tokens(b"class extends class extends A"), 4);
        assert_eq!(recursive_tokens(b"a.b.c"), 2);
        assert_eq!(recursive_tokens(b"1.5, newer, x1"), 0);
        assert_eq!(recursive_tokens("größe_in".as_bytes()), 0);
    }
}
