//! JSON with comments and trailing commas (`.jsonc`, and `.json` as wrangler reads it), turned into nodes.

use std::collections::HashMap;

use jsonc_parser::ast;
use jsonc_parser::common::{Range, Ranged as _};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::error::ConfigError;
use crate::key_path::KeyPath;
use crate::node::{Entry, MAX_DEPTH, Node, Span, Value, too_deep};
use crate::source::{SourceFile, Warnings};

/// Parses a document. A key that stands twice in an object gives a warning, and the later value counts, as in
/// `JSON.parse`.
pub(crate) fn parse(source: &SourceFile, warnings: &mut Warnings) -> Result<Node, ConfigError> {
    // The parser is loose by default; wrangler's is not, and a file should mean the same to both.
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(source.text(), &CollectOptions::default(), &options).map_err(|error| {
        source.syntax_error(&span(error.range()), format!("syntax error: {}", error.kind()))
    })?;
    let Some(value) = parsed.value else {
        return Err(source.syntax_error(&(0..0), "the file is empty; expected an object `{ … }`".to_owned()));
    };
    Converter { source, warnings }.node(&value, &KeyPath::Root, 0)
}

struct Converter<'c> {
    source: &'c SourceFile,
    warnings: &'c mut Warnings,
}

impl Converter<'_> {
    fn node(
        &mut self,
        value: &ast::Value<'_>,
        path: &KeyPath<'_>,
        depth: usize,
    ) -> Result<Node, ConfigError> {
        let span = span(value.range());
        if depth > MAX_DEPTH {
            return Err(self.source.syntax_error(&span, too_deep()));
        }
        let value = match value {
            ast::Value::NullKeyword(_) => Value::Null,
            ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
            ast::Value::StringLit(literal) => {
                self.refuse_line_breaks(&span)?;
                Value::String(literal.value.to_string())
            }
            ast::Value::NumberLit(literal) => match literal.value.parse() {
                Ok(number) => Value::Number(number),
                Err(_) => {
                    let message = "the number is too large for a 64-bit float".to_owned();
                    return Err(self.source.syntax_error(&span, message));
                }
            },
            ast::Value::Array(array) => Value::Array(self.array(array, path, depth)?),
            ast::Value::Object(object) => Value::Object(self.object(object, path, depth)?),
        };
        Ok(Node { value, span })
    }

    fn array(
        &mut self,
        array: &ast::Array<'_>,
        path: &KeyPath<'_>,
        depth: usize,
    ) -> Result<Vec<Node>, ConfigError> {
        let mut items = Vec::with_capacity(array.elements.len());
        for (index, element) in array.elements.iter().enumerate() {
            items.push(self.node(element, &KeyPath::Index(path, index), depth + 1)?);
        }
        Ok(items)
    }

    fn object(
        &mut self,
        object: &ast::Object<'_>,
        path: &KeyPath<'_>,
        depth: usize,
    ) -> Result<Vec<Entry>, ConfigError> {
        let mut entries: Vec<Entry> = Vec::with_capacity(object.properties.len());
        let mut positions: HashMap<&str, usize> = HashMap::with_capacity(object.properties.len());
        for property in &object.properties {
            let key = property.name.as_str();
            let key_path = KeyPath::Key(path, key);
            let key_span = span(property.name.range());
            self.refuse_line_breaks(&key_span)?;
            let node = self.node(&property.value, &key_path, depth + 1)?;
            let entry = Entry { key: key.to_owned(), key_span, node };
            if let Some(position) = positions.get(key) {
                let earlier = self.source.locate(entries[*position].key_span.start).line;
                let message =
                    format!("duplicate key `{key_path}`: this one replaces the one in line {earlier}");
                self.warnings.add_at(self.source, &entry.key_span, message);
                entries[*position] = entry;
            } else {
                positions.insert(key, entries.len());
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// The parser lets strings run over line breaks, which JSON forbids and which mostly means that a closing
    /// quote is missing further up.
    fn refuse_line_breaks(&self, span: &Span) -> Result<(), ConfigError> {
        let text = self.source.text().get(span.clone()).unwrap_or_default();
        if text.contains(['\n', '\r']) {
            let message = "syntax error: the string has no closing quote in its line".to_owned();
            return Err(self.source.syntax_error(span, message));
        }
        Ok(())
    }
}

fn span(range: Range) -> Span {
    range.start..range.end
}
