//! Finds where a source nests too deeply: brackets, template substitutions, type arguments, JSX elements, and what makes
//! the parser recurse without a bracket (prefix operators, member chains, arrows, conditionals, `else if`).
//!
//! A scan by bytes is enough here: it knows strings, templates, comments and, by what is before it, most regular
//! expressions, and where statements end without a semicolon. Where it is fooled, the bound on recursion in `limits`
//! still holds.

/// Deepest nesting of brackets, template substitutions and type arguments.
pub const MAX_NESTING: usize = 1_000;

/// Deepest recursion of the parser, as counted here: what [`MAX_NESTING`] counts, and the operators, members, arrows and
/// statements that lead on from one to the next without a bracket.
pub const MAX_RECURSION: usize = 2_000;

/// Largest sum of the nesting depths of all opening brackets that are more than [`FREE_NESTING`] deep. The parser tries
/// some brackets twice, first as the parameters of an arrow function or as type arguments, and keeps both trees: its
/// memory grows with this sum.
const MAX_NESTING_SUM: usize = 500_000;
const FREE_NESTING: usize = 32;

/// What is open between two brackets.
#[derive(Clone, Copy, Default)]
struct Level {
    /// `<` that may be open type arguments.
    angles: usize,
    /// What ends with its operand: prefix operators, members, calls, `as`.
    tight: usize,
    /// What ends with its expression or statement: assignments, arrows, conditionals, labels, `if`, `else`.
    loose: usize,
    /// Whether the bracket was opened behind an operand: a call or an index.
    call: bool,
    /// Whether it is the head of `if`, `for`, `while` or `with`: a statement follows.
    head: bool,
}

/// What the token before was, as far as it says whether a statement has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Semicolon,
    Brace,
    Dot,
    /// `if`, `for`, `while`, `with`, or `await` behind `for`.
    Head,
    Other,
}

struct Scan<'s> {
    source: &'s [u8],
    jsx: bool,
    index: usize,
    levels: Vec<Level>,
    /// Open brackets and open type arguments.
    depth: usize,
    /// The `tight` and `loose` of all levels.
    chained: usize,
    /// Open JSX elements.
    elements: usize,
    sum: usize,
    /// Value of `levels.len()` just inside each open `${`, whose `}` continues the template.
    substitutions: Vec<usize>,
    /// Whether a `/` here would begin a regular expression.
    operand_expected: bool,
    before: Before,
    line_break: bool,
}

/// Offset of the first token with which `source` is nested too deeply. `jsx`: whether it may have JSX elements.
pub(crate) fn too_deep(source: &str, jsx: bool) -> Option<usize> {
    let mut scan = Scan {
        source: source.as_bytes(),
        jsx,
        index: 0,
        levels: vec![Level::default()],
        depth: 0,
        chained: 0,
        elements: 0,
        sum: 0,
        substitutions: Vec::new(),
        operand_expected: true,
        before: Before::Semicolon,
        line_break: false,
    };
    while let Some(byte) = scan.byte(0) {
        let offset = scan.index;
        scan.step(byte);
        let nesting = scan.depth + scan.elements;
        if nesting > MAX_NESTING || scan.sum > MAX_NESTING_SUM || nesting + scan.chained > MAX_RECURSION {
            return Some(offset);
        }
        scan.index += 1;
    }
    None
}

impl Scan<'_> {
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.source.get(self.index + ahead).copied()
    }

    /// The level of the innermost open bracket.
    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the outermost level is never closed")
    }

    fn tighten(&mut self) {
        self.level().tight += 1;
        self.chained += 1;
    }

    fn loosen(&mut self) {
        self.level().loose += 1;
        self.chained += 1;
    }

    /// An operand of a binary operator is complete.
    fn end_operand(&mut self) {
        self.chained -= std::mem::take(&mut self.level().tight);
    }

    /// An expression of a list, or a statement, is complete.
    fn end_expression(&mut self) {
        self.end_operand();
        self.chained -= std::mem::take(&mut self.level().loose);
    }

    /// Reads the token that starts with `byte`, up to its last byte.
    fn step(&mut self, byte: u8) {
        if byte.is_ascii_whitespace() {
            self.line_break |= byte == b'\n' || byte == b'\r';
            return;
        }
        if byte == b'/' && matches!(self.byte(1), Some(b'/' | b'*')) {
            self.comment();
            return;
        }
        let (before, line_break) = (self.before, std::mem::take(&mut self.line_break));
        self.before = Before::Other;
        if is_word(byte) {
            self.word(before, line_break);
            return;
        }
        if before == Before::Semicolon
            || (line_break && !self.operand_expected && b"{@!~#\"'".contains(&byte))
        {
            self.end_expression();
        }
        self.operand_expected = match byte {
            b'/' if self.operand_expected => {
                self.regular_expression();
                false
            }
            b'(' | b'[' | b'{' => self.open(before),
            b'}' if self.substitutions.last() == Some(&self.levels.len()) => {
                self.substitutions.pop();
                self.close();
                self.template()
            }
            b')' | b']' | b'}' => {
                self.before = if byte == b'}' { Before::Brace } else { Before::Other };
                self.close()
            }
            b'`' => {
                if !self.operand_expected {
                    self.tighten();
                }
                self.template()
            }
            // No string follows an operand: it is the text of an element.
            b'"' | b'\'' if self.jsx && !self.operand_expected => false,
            b'"' | b'\'' => {
                self.quoted(byte);
                false
            }
            b'<' => self.open_angle(),
            b'>' => self.close_angle(),
            b';' => {
                self.before = Before::Semicolon;
                self.forget_angles();
                true
            }
            b',' => {
                self.end_expression();
                true
            }
            _ => self.operator(byte),
        };
    }

    /// Reads an operator; returns whether an operand follows.
    fn operator(&mut self, byte: u8) -> bool {
        let (next, prefix) = (self.byte(1), self.operand_expected);
        match byte {
            b'.' if next == Some(b'.') => self.index += 1,
            b'.' if !next.is_some_and(|byte| byte.is_ascii_digit()) => {
                self.before = Before::Dot;
                self.tighten();
            }
            b'!' if !prefix && next != Some(b'=') => {
                self.tighten();
                return false;
            }
            b'+' | b'-' if next == Some(byte) => {
                self.index += 1;
                self.tighten();
                return prefix;
            }
            b'!' | b'~' | b'+' | b'-' | b'@' if prefix => self.tighten(),
            b'=' if next == Some(b'=') => {
                self.index += 1;
                self.end_operand();
            }
            b'?' if next == Some(b'.') => self.tighten(),
            b'?' if next == Some(b'?') => {
                self.index += 1;
                self.end_operand();
            }
            b'*' if next == Some(b'*') => {
                self.index += 1;
                self.loosen();
            }
            b'=' | b'?' | b':' => self.loosen(),
            b'@' | b'#' | b'\\' => {}
            _ => self.end_operand(),
        }
        true
    }

    fn word(&mut self, before: Before, line_break: bool) {
        let start = self.index;
        while self.byte(1).is_some_and(is_word) {
            self.index += 1;
        }
        let word = &self.source[start..=self.index];
        if before == Before::Dot {
            self.operand_expected = false;
            return;
        }
        let kind = WordKind::of(word);
        let ended = before == Before::Semicolon
            || before == Before::Brace
            || (line_break && !self.operand_expected)
            || kind == WordKind::Case;
        let goes_on = kind == WordKind::Else || (kind == WordKind::Infix && before != Before::Semicolon);
        if ended && !goes_on {
            self.end_expression();
        }
        match kind {
            WordKind::Prefix => self.tighten(),
            WordKind::Infix if self.operand_expected => {
                self.operand_expected = false;
                return;
            }
            WordKind::Infix => self.tighten(),
            WordKind::Relation => self.end_operand(),
            WordKind::Else | WordKind::Loose => self.loosen(),
            WordKind::Head => {
                self.before = Before::Head;
                self.loosen();
            }
            _ => {}
        }
        if before == Before::Head && word == b"await" {
            self.before = Before::Head;
        }
        self.operand_expected = kind.expects_operand();
    }

    fn open(&mut self, before: Before) -> bool {
        let call = !self.operand_expected && self.byte(0) != Some(b'{');
        self.levels.push(Level { call, head: before == Before::Head, ..Level::default() });
        self.deepen();
        true
    }

    fn deepen(&mut self) {
        self.depth += 1;
        self.sum += self.depth.saturating_sub(FREE_NESTING);
    }

    /// Closes a bracket; returns whether an operand or a statement follows.
    fn close(&mut self) -> bool {
        self.forget_angles();
        self.end_expression();
        // The outermost level is no bracket.
        if self.levels.len() == 1 {
            return false;
        }
        let Some(closed) = self.levels.pop() else { return false };
        self.depth -= 1;
        if closed.call {
            self.tighten();
        }
        closed.head
    }

    /// Returns whether an operand follows.
    fn open_angle(&mut self) -> bool {
        let element = self.operand_expected && self.byte(1).is_some_and(|byte| is_word(byte) || byte == b'>');
        if self.jsx && self.byte(1) == Some(b'/') {
            self.index += 1;
            self.end_element();
            return true;
        }
        if self.jsx && element {
            self.end_expression();
            self.elements += 1;
            return true;
        }
        let shift = self.byte(1) == Some(b'<') || self.previous() == Some(b'<');
        if shift || self.byte(1) == Some(b'=') {
            self.end_operand();
        } else {
            self.level().angles += 1;
            self.deepen();
        }
        true
    }

    fn close_angle(&mut self) -> bool {
        match self.previous() {
            Some(b'=') => self.loosen(),
            // `/>` of an element.
            Some(b'/') if self.jsx => self.end_element(),
            _ if self.level().angles > 0 => {
                self.level().angles -= 1;
                self.depth -= 1;
            }
            _ => self.end_operand(),
        }
        true
    }

    fn end_element(&mut self) {
        self.end_expression();
        self.elements = self.elements.saturating_sub(1);
    }

    fn previous(&self) -> Option<u8> {
        self.index.checked_sub(1).map(|at| self.source[at])
    }

    /// No type arguments reach over a `;` or the end of their bracket: the `<` here were comparisons.
    fn forget_angles(&mut self) {
        self.depth -= std::mem::take(&mut self.level().angles);
    }

    /// Reads text up to the quote or line break that ends it.
    fn quoted(&mut self, quote: u8) {
        while let Some(byte) = self.byte(1) {
            self.index += 1;
            match byte {
                b'\\' => self.index += 1,
                b'\n' => break,
                _ if byte == quote => break,
                _ => {}
            }
        }
    }

    fn comment(&mut self) {
        if self.byte(1) == Some(b'/') {
            while self.byte(1).is_some_and(|byte| byte != b'\n') {
                self.index += 1;
            }
            return;
        }
        self.index += 2;
        while self.byte(0).is_some() && !(self.byte(0) == Some(b'*') && self.byte(1) == Some(b'/')) {
            self.line_break |= self.byte(0) == Some(b'\n');
            self.index += 1;
        }
        self.index += 1;
    }

    fn regular_expression(&mut self) {
        let mut in_class = false;
        while let Some(byte) = self.byte(1) {
            if byte == b'\n' {
                break;
            }
            self.index += 1;
            match byte {
                b'\\' => self.index += 1,
                b'[' => in_class = true,
                b']' => in_class = false,
                b'/' if !in_class => break,
                _ => {}
            }
        }
    }

    /// Reads template text up to its end or to a substitution; returns whether an operand follows.
    fn template(&mut self) -> bool {
        while let Some(byte) = self.byte(1) {
            self.index += 1;
            match byte {
                b'\\' => self.index += 1,
                b'`' => return false,
                b'$' if self.byte(1) == Some(b'{') => {
                    self.index += 1;
                    self.open(Before::Other);
                    self.substitutions.push(self.levels.len());
                    return true;
                }
                _ => {}
            }
        }
        false
    }
}

/// Whether `byte` is part of identifiers, keywords and numbers.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}

/// What a word does to the expression or statement that it is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WordKind {
    /// A prefix operator.
    Prefix,
    /// `as` and its like, behind an operand.
    Infix,
    /// A binary operator.
    Relation,
    /// It begins a statement with a head in parentheses.
    Head,
    Else,
    /// What follows is part of the same expression or statement.
    Loose,
    /// A clause of `switch`.
    Case,
    /// `return` and `throw`: an operand follows.
    Statement,
    /// A name, a number, or another keyword.
    Other,
}

impl WordKind {
    #[rustfmt::skip]
    fn of(word: &[u8]) -> Self {
        match word {
            b"await" | b"delete" | b"new" | b"typeof" | b"void" | b"keyof" | b"unique" | b"infer" | b"asserts"
            | b"readonly" => Self::Prefix,
            b"as" | b"satisfies" | b"is" => Self::Infix,
            b"in" | b"instanceof" | b"of" => Self::Relation,
            b"if" | b"for" | b"while" | b"with" => Self::Head,
            b"else" | b"catch" | b"finally" => Self::Else,
            b"do" | b"yield" | b"extends" | b"class" | b"async" => Self::Loose,
            b"case" | b"default" => Self::Case,
            b"return" | b"throw" => Self::Statement,
            _ => Self::Other,
        }
    }

    fn expects_operand(self) -> bool {
        self != Self::Other
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_NESTING, MAX_RECURSION, too_deep};

    #[test]
    fn strings_comments_templates_and_regular_expressions_do_not_nest() {
        let open = "(".repeat(MAX_NESTING + 1);
        let around = [
            ("'", "'"),
            ("\"", "\""),
            ("`", "`"),
            ("// ", "\n"),
            ("/* ", " */"),
            ("a = /", "/g"),
            ("/[/", "]/"),
        ];
        for (before, after) in around {
            assert_eq!(too_deep(&format!("{before}{open}{after}"), false), None, "{before}");
        }
        assert_eq!(too_deep(&open, false), Some(MAX_NESTING));
        assert_eq!(too_deep(&format!("a / {open} / b"), false), Some(MAX_NESTING + 4));
    }

    #[test]
    fn template_substitutions_nest() {
        assert!(too_deep(&"`${".repeat(MAX_NESTING + 1), false).is_some());
        assert_eq!(too_deep(&"`${a}`".repeat(MAX_NESTING + 1), false), None);
        assert_eq!(too_deep("`${ {a: `}`} } (`", false), None);
    }

    #[test]
    fn type_arguments_nest_and_comparisons_do_not() {
        assert!(too_deep(&"a<".repeat(MAX_NESTING + 1), false).is_some());
        assert_eq!(too_deep(&"a<b>(); ".repeat(MAX_NESTING + 1), false), None);
        assert_eq!(too_deep(&"i < n;".repeat(MAX_NESTING + 1), false), None);
        assert_eq!(too_deep(&"(i < n);".repeat(MAX_NESTING + 1), false), None);
        assert_eq!(too_deep(&"1 << 2 <= 3, ".repeat(MAX_NESTING + 1), false), None);
    }

    #[test]
    fn many_deep_places_are_too_much_together() {
        let deep = format!("{}{};", "[".repeat(MAX_NESTING), "]".repeat(MAX_NESTING));
        assert_eq!(too_deep(&deep, false), None);
        assert!(too_deep(&deep.repeat(2), false).is_some());
        let usual = format!("{}{};", "[".repeat(30), "]".repeat(30));
        assert_eq!(too_deep(&usual.repeat(100_000), false), None);
    }

    #[test]
    fn recursion_without_brackets_counts() {
        let deep = [
            ("!", "a"),
            ("- ", "a"),
            ("typeof ", "a"),
            ("await ", "a"),
            ("new ", "a"),
            ("a = ", "b"),
            ("a => ", "b"),
            ("a ? b : ", "c"),
            ("a ** ", "b"),
            ("if (a) ", "b"),
            ("if (a) b; else ", "c"),
            ("if (a) {} else ", "c"),
            ("for (;;) ", "b"),
            ("while (a)\n", "b"),
            ("do ", "a"),
            ("a: ", "b"),
            ("class extends ", "A {}"),
            ("yield ", "a"),
            ("if\n(a)\n", "b"),
        ];
        for (part, end) in deep {
            assert!(too_deep(&(part.repeat(MAX_RECURSION + 1) + end), false).is_some(), "{part}");
        }
        for (start, part) in [
            ("a", ".b"),
            ("a", "?.b"),
            ("a", "()"),
            ("a", "[0]"),
            ("a", "``"),
            ("a", "!"),
            ("a", " as T"),
            ("a", "\nas T"),
            ("type T = A", "[]"),
            ("a", "\n.b"),
        ] {
            assert!(
                too_deep(&(start.to_owned() + &part.repeat(MAX_RECURSION + 1)), false).is_some(),
                "{part}"
            );
        }
        assert!(too_deep(&"<a>".repeat(MAX_NESTING + 1), true).is_some());
        assert!(too_deep(&"<>".repeat(MAX_NESTING + 1), true).is_some());
    }

    #[test]
    fn what_ends_does_not_count_on() {
        let flat = [
            "a.b = !c;",
            "a.b = !c\n",
            "if (a) b();\n",
            "if(a){b}",
            "if (a) { b } else { c }\n",
            "f(a.b, !c)\n",
            "case 1:\n",
            "a.b + ",
            "!a && ",
            "{ get a() { return 1 } }\n",
            "let a: T = b\n",
            "const f = (a) => b.c\n",
            "'use strict'\n",
            "for (;;) {}\n",
            "do {} while (a);",
            "try {} catch {}\n",
            "a?.b ?? c;",
            "import 'a'\n",
            "class A extends B { c = 1 }\n",
            "type A = B[] | C[]\n",
            "x = y ? 1 : 2\n",
            "export const a = 1\n",
        ];
        for part in flat {
            assert_eq!(too_deep(&part.repeat(MAX_RECURSION + 1), false), None, "{part}");
        }
        for part in ["<a b={c}>it's</a>\n", "<a/>\n", "<a.b c='d' />,"] {
            assert_eq!(too_deep(&part.repeat(MAX_RECURSION + 1), true), None, "{part}");
        }
    }

    #[test]
    fn unfinished_tokens_end_with_the_source() {
        for source in ["'", "\"\\", "`", "`\\", "`${", "/", "//", "/*", "/**", "/[", "/\\", "}", ">", "`${`}"]
        {
            assert_eq!(too_deep(source, false), None, "{source}");
        }
    }
}
