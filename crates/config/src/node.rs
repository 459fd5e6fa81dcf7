//! The tree that JSON and TOML are turned into, so that what a key means is written once for both.

use std::ops::Range;

use serde_json::Number;

/// The place of something in the file: a range of bytes.
pub(crate) type Span = Range<usize>;

/// Objects and arrays may be nested this deep. Everything that walks a tree is recursive, so the limit is what
/// keeps a hostile file from exhausting the stack.
pub(crate) const MAX_DEPTH: usize = 64;

/// The message for a document that is nested deeper than [`MAX_DEPTH`].
pub(crate) fn too_deep() -> String {
    format!("values are nested more than {MAX_DEPTH} levels deep")
}

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// What JSON and TOML can say.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    /// A date, a time or both, in the form of RFC 3339; only TOML has these.
    DateTime(String),
    Array(Vec<Node>),
    Object(Vec<Entry>),
}

/// One property of an object. Keys are unique within an object.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

impl Node {
    /// What the value is, for messages of the form "expected a string, found …".
    pub(crate) fn description(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::DateTime(_) => "a date without quotes",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    /// The value as JSON; a date becomes its text.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => serde_json::Value::Bool(*value),
            Value::Number(value) => serde_json::Value::Number(value.clone()),
            Value::String(value) | Value::DateTime(value) => serde_json::Value::String(value.clone()),
            Value::Array(items) => serde_json::Value::Array(items.iter().map(Node::to_json).collect()),
            Value::Object(entries) => serde_json::Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
            ),
        }
    }
}
