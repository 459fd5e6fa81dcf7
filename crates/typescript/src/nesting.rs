//! Finds where a source nests brackets, template substitutions and type arguments too deeply.
//!
//! A scan by bytes is enough here: it knows strings, templates, comments and, by what is before it, most
//! regular expressions. Where it is fooled, the bound on recursion in `limits` still holds.

/// Deepest nesting of brackets, template substitutions and type arguments.
pub const MAX_NESTING: usize = 1_000;

/// Largest sum of the nesting depths of all opening brackets. The parser tries some brackets twice, first as
/// the parameters of an arrow function or as type arguments, and keeps both trees: its memory grows with this
/// sum.
const MAX_NESTING_SUM: usize = 2_000_000;

struct Scan<'s> {
    source: &'s [u8],
    index: usize,
    /// For each open bracket: the `<` inside of it that may be open type arguments.
    levels: Vec<usize>,
    /// Open brackets and open type arguments.
    depth: usize,
    sum: usize,
    /// Value of `levels.len()` just inside each open `${`, whose `}` continues the template.
    substitutions: Vec<usize>,
    /// Whether a `/` here would begin a regular expression.
    operand_expected: bool,
}

/// Offset of the first bracket with which `source` is nested too deeply.
pub(crate) fn too_deep(source: &str) -> Option<usize> {
    let mut scan = Scan {
        source: source.as_bytes(),
        index: 0,
        levels: vec![0],
        depth: 0,
        sum: 0,
        substitutions: Vec::new(),
        operand_expected: true,
    };
    while let Some(byte) = scan.byte(0) {
        let offset = scan.index;
        scan.step(byte);
        if scan.depth > MAX_NESTING || scan.sum > MAX_NESTING_SUM {
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

    /// Reads the token that starts with `byte`, up to its last byte.
    fn step(&mut self, byte: u8) {
        if byte.is_ascii_whitespace() {
            return;
        }
        if is_word(byte) {
            self.word();
            return;
        }
        let mut operand_expected = true;
        match byte {
            b'/' => operand_expected = self.slash(),
            b'(' | b'[' | b'{' => self.open(),
            b'}' if self.substitutions.last() == Some(&self.levels.len()) => {
                self.substitutions.pop();
                self.close();
                operand_expected = self.template();
            }
            b')' | b']' | b'}' => {
                self.close();
                operand_expected = false;
            }
            b'`' => operand_expected = self.template(),
            b'"' | b'\'' => {
                self.quoted(byte);
                operand_expected = false;
            }
            b'<' => self.open_angle(),
            b'>' => self.close_angle(),
            b';' => self.forget_angles(),
            _ => {}
        }
        self.operand_expected = operand_expected;
    }

    fn word(&mut self) {
        let start = self.index;
        while self.byte(1).is_some_and(is_word) {
            self.index += 1;
        }
        self.operand_expected = expects_operand(&self.source[start..=self.index]);
    }

    fn open(&mut self) {
        self.levels.push(0);
        self.deepen();
    }

    fn deepen(&mut self) {
        self.depth += 1;
        self.sum += self.depth;
    }

    fn close(&mut self) {
        self.forget_angles();
        // The outermost level is no bracket.
        if self.levels.len() > 1 {
            self.levels.pop();
            self.depth -= 1;
        }
    }

    fn open_angle(&mut self) {
        let shift =
            self.byte(1) == Some(b'<') || self.index.checked_sub(1).map(|at| self.source[at]) == Some(b'<');
        if !shift
            && self.byte(1) != Some(b'=')
            && let Some(angles) = self.levels.last_mut()
        {
            *angles += 1;
            self.deepen();
        }
    }

    fn close_angle(&mut self) {
        let arrow = self.index.checked_sub(1).map(|at| self.source[at]) == Some(b'=');
        if !arrow
            && let Some(angles) = self.levels.last_mut()
            && *angles > 0
        {
            *angles -= 1;
            self.depth -= 1;
        }
    }

    /// No type arguments reach over a `;` or the end of their bracket: the `<` here were comparisons.
    fn forget_angles(&mut self) {
        if let Some(angles) = self.levels.last_mut() {
            self.depth -= std::mem::take(angles);
        }
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

    /// Reads a comment, a regular expression or the operator; returns whether an operand follows.
    fn slash(&mut self) -> bool {
        match self.byte(1) {
            Some(b'/') => {
                while self.byte(1).is_some_and(|byte| byte != b'\n') {
                    self.index += 1;
                }
                self.operand_expected
            }
            Some(b'*') => {
                self.index += 2;
                while self.byte(0).is_some() && !(self.byte(0) == Some(b'*') && self.byte(1) == Some(b'/')) {
                    self.index += 1;
                }
                self.index += 1;
                self.operand_expected
            }
            _ if self.operand_expected => {
                self.regular_expression();
                false
            }
            _ => true,
        }
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
                    self.open();
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

#[rustfmt::skip]
fn expects_operand(word: &[u8]) -> bool {
    matches!(
        word,
        b"await" | b"case" | b"default" | b"delete" | b"do" | b"else" | b"extends" | b"in" | b"instanceof" | b"new"
        | b"of" | b"return" | b"throw" | b"typeof" | b"void" | b"yield"
    )
}

#[cfg(test)]
mod tests {
    use super::{MAX_NESTING, too_deep};

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
            assert_eq!(too_deep(&format!("{before}{open}{after}")), None, "{before}");
        }
        assert_eq!(too_deep(&open), Some(MAX_NESTING));
        assert_eq!(too_deep(&format!("a / {open} / b")), Some(MAX_NESTING + 4));
    }

    #[test]
    fn template_substitutions_nest() {
        assert!(too_deep(&"`${".repeat(MAX_NESTING + 1)).is_some());
        assert_eq!(too_deep(&"`${a}`".repeat(MAX_NESTING + 1)), None);
        assert_eq!(too_deep("`${ {a: `}`} } (`"), None);
    }

    #[test]
    fn type_arguments_nest_and_comparisons_do_not() {
        assert!(too_deep(&"a<".repeat(MAX_NESTING + 1)).is_some());
        assert_eq!(too_deep(&"a<b>(); ".repeat(MAX_NESTING + 1)), None);
        assert_eq!(too_deep(&"i < n;".repeat(MAX_NESTING + 1)), None);
        assert_eq!(too_deep(&"(i < n);".repeat(MAX_NESTING + 1)), None);
        assert_eq!(too_deep(&"1 << 2 <= 3, ".repeat(MAX_NESTING + 1)), None);
    }

    #[test]
    fn many_deep_places_are_too_much_together() {
        let deep = format!("{}{};", "[".repeat(1_000), "]".repeat(1_000));
        assert_eq!(too_deep(&deep.repeat(3)), None);
        assert!(too_deep(&deep.repeat(4)).is_some());
    }

    #[test]
    fn unfinished_tokens_end_with_the_source() {
        for source in ["'", "\"\\", "`", "`\\", "`${", "/", "//", "/*", "/**", "/[", "/\\", "}", ">", "`${`}"]
        {
            assert_eq!(too_deep(source), None, "{source}");
        }
    }
}
