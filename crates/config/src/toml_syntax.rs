//! TOML 1.1, turned into nodes.

use serde_json::Number;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use crate::error::ConfigError;
use crate::node::{Entry, MAX_DEPTH, Node, Span, Value, too_deep};
use crate::source::SourceFile;

/// Parses a document. A key that stands twice in a table is a syntax error in TOML.
pub(crate) fn parse(source: &SourceFile) -> Result<Node, ConfigError> {
    refuse_deep_nesting(source)?;
    let document = DeTable::parse(source.text()).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        source.syntax_error(&span, format!("syntax error: {}", error.message()))
    })?;
    Ok(Node { value: Value::Object(table(source, document.get_ref())?), span: 0..source.text().len() })
}

fn table(source: &SourceFile, table: &DeTable<'_>) -> Result<Vec<Entry>, ConfigError> {
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        let node = node(source, value.get_ref(), value.span())?;
        entries.push(Entry { key: key.get_ref().to_string(), key_span: key.span(), node });
    }
    // The parser keeps a table's keys sorted by name; bindings should come in the order of the file.
    entries.sort_by_key(|entry| entry.key_span.start);
    Ok(entries)
}

fn node(source: &SourceFile, value: &DeValue<'_>, span: Span) -> Result<Node, ConfigError> {
    let value = match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(value) => Value::DateTime(value.to_string()),
        DeValue::Integer(value) => {
            let message = "the number does not fit into 64 bits";
            let number = integer(value).ok_or_else(|| source.syntax_error(&span, message.to_owned()))?;
            Value::Number(number)
        }
        DeValue::Float(value) => {
            let message = "the number has no form in JSON: it is infinite, too large or not a number";
            let number = float(value).ok_or_else(|| source.syntax_error(&span, message.to_owned()))?;
            Value::Number(number)
        }
        DeValue::Array(items) => {
            let mut nodes = Vec::with_capacity(items.len());
            for item in items {
                nodes.push(node(source, item.get_ref(), item.span())?);
            }
            Value::Array(nodes)
        }
        DeValue::Table(entries) => Value::Object(table(source, entries)?),
    };
    Ok(Node { value, span })
}

fn integer(value: &DeInteger<'_>) -> Option<Number> {
    let (digits, radix) = (value.as_str(), value.radix());
    i64::from_str_radix(digits, radix)
        .map(Number::from)
        .or_else(|_| u64::from_str_radix(digits, radix).map(Number::from))
        .ok()
}

fn float(value: &DeFloat<'_>) -> Option<Number> {
    value.as_str().parse::<f64>().ok().and_then(Number::from_f64)
}

/// Refuses a document whose tree would be deeper than [`MAX_DEPTH`], before the tree is built. The parser itself
/// bounds only brackets: a dotted key with thousands of parts makes a tree that overflows the stack when it is
/// dropped.
fn refuse_deep_nesting(source: &SourceFile) -> Result<(), ConfigError> {
    let mut nesting = Nesting { at_line_start: true, ..Nesting::default() };
    for token in Source::new(source.text()).lex() {
        if nesting.after(token.kind()) > MAX_DEPTH {
            let span = token.span().start()..token.span().end();
            return Err(source.syntax_error(&span, too_deep()));
        }
    }
    Ok(())
}

/// How deep the lexer is in the tree. On malformed text it may count too much, never much too little.
#[derive(Default)]
struct Nesting {
    /// Parts of the current table's header, `[a.b]`.
    header: usize,
    /// Whether the lexer is inside of such a header.
    in_header: bool,
    /// Whether nothing but blanks has been seen in this line, outside of all brackets.
    at_line_start: bool,
    /// Dots since the last separator: parts of the current key, or of a number, which does no harm.
    dots: usize,
    /// The open brackets: what closes each, and how many levels it stands for with its key.
    open: Vec<(TokenKind, usize)>,
    /// The sum of the levels in `open`.
    open_levels: usize,
}

impl Nesting {
    /// Takes a token into account and returns the depth.
    fn after(&mut self, token: TokenKind) -> usize {
        let at_line_start = self.at_line_start;
        self.at_line_start &= token == TokenKind::Whitespace;
        match token {
            TokenKind::Dot => self.dots += 1,
            TokenKind::Comma => self.dots = 0,
            TokenKind::LeftCurlyBracket => self.open(TokenKind::RightCurlyBracket),
            TokenKind::LeftSquareBracket => {
                if at_line_start {
                    self.in_header = true;
                    self.header = 0;
                }
                self.open(TokenKind::RightSquareBracket);
            }
            TokenKind::RightCurlyBracket | TokenKind::RightSquareBracket => self.close(token),
            TokenKind::Newline => self.end_line(),
            _ => {}
        }
        self.header + self.open_levels + self.dots
    }

    fn open(&mut self, closing: TokenKind) {
        let levels = self.dots + 1;
        self.open.push((closing, levels));
        self.open_levels += levels;
        self.dots = 0;
    }

    fn close(&mut self, token: TokenKind) {
        if self.in_header {
            // `[[a.b]]` closes twice; the dots are there the first time.
            self.header = self.header.max(self.dots + 1);
        }
        if let Some((_, levels)) = self.open.pop_if(|(closing, _)| *closing == token) {
            self.open_levels -= levels;
        }
        self.dots = 0;
    }

    fn end_line(&mut self) {
        if self.in_header {
            // A header ends with its line, closed or not.
            self.in_header = false;
            self.open.clear();
            self.open_levels = 0;
        }
        self.dots = 0;
        self.at_line_start = self.open.is_empty();
    }
}
