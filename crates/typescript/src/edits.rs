//! The list of erasures and replacements, and how they are applied so that no line or column moves.
//!
//! An erased character becomes one space per UTF-16 code unit (the unit in which V8 counts columns); line
//! terminators stay. Erasing can also join two statements that automatic semicolon insertion kept apart; such
//! an erasure is guarded, and its first character becomes `;` if what follows would continue what is before.

use crate::trivia::{is_line_terminator, skip_trivia};

/// What may begin a statement and would continue the expression before it.
pub(crate) const CONTINUES_STATEMENT: &str = "([`+-/";
/// What continues an expression, but cannot follow `as T`: behind that, it begins the next statement.
pub(crate) const CONTINUES_EXPRESSION: &str = "([`";

/// Replaces the bytes `start..end` of the source by `text`, padded with spaces to the columns that it had.
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

struct Guard {
    /// Start of the erasure that may become `;`.
    start: usize,
    /// Characters in front of which it must; `None` if it must anyway.
    continuations: Option<&'static str>,
}

pub(crate) struct Edits<'a> {
    source: &'a str,
    list: Vec<Edit>,
    guards: Vec<Guard>,
}

impl<'a> Edits<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        Self { source, list: Vec::new(), guards: Vec::new() }
    }

    pub(crate) fn blank(&mut self, start: usize, end: usize) {
        self.replace(start, end, String::new());
    }

    pub(crate) fn replace(&mut self, start: usize, end: usize, text: impl Into<String>) {
        self.list.push(Edit { start, end, text: text.into() });
    }

    /// Inserts `text`, which moves the rest of its line to the right.
    pub(crate) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at, at, text);
    }

    /// Turns the first character of the erasure at `start` into `;` if one of `continuations` comes to follow
    /// it.
    pub(crate) fn guard(&mut self, start: usize, continuations: &'static str) {
        self.guards.push(Guard { start, continuations: Some(continuations) });
    }

    /// Turns the first character of the erasure at `start` into `;`.
    pub(crate) fn terminate(&mut self, start: usize) {
        self.guards.push(Guard { start, continuations: None });
    }

    /// The source with all edits applied.
    pub(crate) fn apply(mut self) -> String {
        // An insertion at the start of an erasure comes first: it belongs to the expression that ends there.
        self.list.sort_by_key(|edit| (edit.start, edit.end));
        self.resolve_guards();
        let inserted: usize = self.list.iter().map(|edit| edit.text.len()).sum();
        let mut output = String::with_capacity(self.source.len() + inserted);
        let mut cursor = 0;
        for edit in &self.list {
            // An erasure around this one has covered it.
            if edit.start < cursor {
                continue;
            }
            output.push_str(&self.source[cursor..edit.start]);
            output.push_str(&edit.text);
            pad(&mut output, &self.source[edit.start..edit.end], edit.text.encode_utf16().count());
            cursor = edit.end;
        }
        output.push_str(&self.source[cursor..]);
        output
    }

    fn resolve_guards(&mut self) {
        let mut guards = std::mem::take(&mut self.guards);
        guards.sort_by_key(|guard| guard.start);
        // Several erasures in a row see the same continuation: one `;` is enough.
        let mut separated = None;
        // What the last one saw, and from where: those on the way see the same, and need not look again.
        let mut seen: Option<(usize, Option<(usize, char)>)> = None;
        for guard in guards {
            let index = self.list.partition_point(|edit| edit.end <= guard.start);
            let Some(edit) = self.list.get(index).filter(|edit| edit.start == guard.start) else { continue };
            if let Some(continuations) = guard.continuations {
                let offset = edit.end;
                let next = match seen {
                    Some((from, next)) if from <= offset && next.is_none_or(|(at, _)| offset <= at) => next,
                    _ => self.next_character(offset),
                };
                seen = Some((offset, next));
                let Some((at, next)) = next else { continue };
                if !continuations.contains(next) || separated == Some(at) {
                    continue;
                }
                separated = Some(at);
            }
            self.list[index].text = ";".to_owned();
        }
    }

    /// The first character from `offset` on that will be left in the output, other than white space and
    /// comments.
    fn next_character(&self, mut offset: usize) -> Option<(usize, char)> {
        loop {
            offset = skip_trivia(self.source, offset);
            let index = self.list.partition_point(|edit| edit.end <= offset);
            match self.list.get(index).filter(|edit| edit.start <= offset) {
                Some(edit) if edit.text.is_empty() => offset = edit.end,
                Some(edit) => return edit.text.chars().next().map(|character| (offset, character)),
                None => return self.source[offset..].chars().next().map(|character| (offset, character)),
            }
        }
    }
}

/// Writes spaces for `erased`, of which `covered` code units are already written, and its line terminators.
fn pad(output: &mut String, erased: &str, mut covered: usize) {
    for character in erased.chars() {
        if is_line_terminator(character) {
            output.push(character);
            covered = 0;
            continue;
        }
        for _ in 0..character.len_utf16() {
            if covered > 0 {
                covered -= 1;
            } else {
                output.push(' ');
            }
        }
    }
}

/// `text` as an ECMAScript string literal on one line.
pub(crate) fn quote(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => literal.extend(['\\', character]),
            '\u{0}'..='\u{1f}' | '\u{7f}' | '\u{2028}' | '\u{2029}' => {
                literal.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => literal.push(character),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::{CONTINUES_STATEMENT, Edits, quote};

    #[test]
    fn literals_stay_on_one_line() {
        assert_eq!(quote("a\"\\\n\u{2028}ü"), "\"a\\\"\\\\\\u000a\\u2028ü\"");
    }

    #[test]
    fn keeps_lines_and_columns_of_every_character_width() {
        let source = "a: 'ü\u{1f600}'\r\n\u{2028}'x'; b";
        let mut edits = Edits::new(source);
        edits.blank(1, source.len() - 3);
        assert_eq!(edits.apply(), "a       \r\n\u{2028}   ; b");
    }

    #[test]
    fn a_replacement_longer_than_its_line_keeps_the_lines() {
        let mut edits = Edits::new("x {\n  y\n} z");
        edits.replace(0, 9, "longer text");
        assert_eq!(edits.apply(), "longer text\n   \n  z");
    }

    #[test]
    fn guards_see_through_erasures_and_comments_and_separate_once() {
        let source = "TYPE\nTYPE // (\n(x)";
        let mut edits = Edits::new(source);
        edits.blank(5, 9);
        edits.guard(5, CONTINUES_STATEMENT);
        edits.blank(0, 4);
        edits.guard(0, CONTINUES_STATEMENT);
        assert_eq!(edits.apply(), ";   \n     // (\n(x)");
    }

    /// Each of them looked at all that follow: minutes.
    #[test]
    fn many_erasures_in_a_row_take_no_longer_each() {
        let source = "T\n".repeat(200_000) + "(x)";
        let mut edits = Edits::new(&source);
        for start in (0..400_000).step_by(2) {
            edits.blank(start, start + 1);
            edits.guard(start, CONTINUES_STATEMENT);
        }
        assert_eq!(edits.apply(), format!(";\n{}(x)", " \n".repeat(199_999)));
    }

    #[test]
    fn guards_do_nothing_in_front_of_other_tokens() {
        let mut edits = Edits::new("TYPE\nx");
        edits.blank(0, 4);
        edits.guard(0, CONTINUES_STATEMENT);
        assert_eq!(edits.apply(), "    \nx");
    }

    #[test]
    fn an_inner_erasure_is_covered_by_the_outer_one() {
        let mut edits = Edits::new("abcdef");
        edits.blank(2, 3);
        edits.blank(1, 5);
        assert_eq!(edits.apply(), "a    f");
    }
}
