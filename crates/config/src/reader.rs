//! Takes values out of a document and checks them on the way: types, missing and unknown keys, empty and
//! over-long strings. Each complaint names the key's path and place.

use std::fmt;

use crate::error::ConfigError;
use crate::key_path::KeyPath;
use crate::keys::KeySet;
use crate::node::{Entry, Node, Span, Value};
use crate::source::{SourceFile, Warnings};

/// The longest name (of a Worker, a binding, an entrypoint, a flag, a loader's cache), in characters.
pub const MAX_NAME_CHARS: usize = 255;

/// The longest of other strings that are not values of `vars` (paths, patterns, hosts), in characters.
pub const MAX_TEXT_CHARS: usize = 4096;

/// Reads one document.
pub(crate) struct Reader<'s> {
    source: &'s SourceFile,
    warnings: &'s mut Warnings,
}

impl<'s> Reader<'s> {
    pub(crate) fn new(source: &'s SourceFile, warnings: &'s mut Warnings) -> Self {
        Self { source, warnings }
    }

    /// The line of a place, counted from 1.
    pub(crate) fn line(&self, span: &Span) -> usize {
        self.source.locate(span.start).line
    }

    pub(crate) fn invalid(&self, span: &Span, message: String) -> ConfigError {
        self.source.invalid(span, message)
    }

    fn wrong_type(&self, node: &Node, path: &KeyPath<'_>, expected: &str) -> ConfigError {
        let found = node.description();
        let message = match path {
            KeyPath::Root => format!("the document must be {expected}, found {found}"),
            _ => format!("`{path}` must be {expected}, found {found}"),
        };
        self.invalid(&node.span, message)
    }

    /// An object whose keys are known. Others give a warning each.
    pub(crate) fn fields<'n>(
        &mut self,
        node: &'n Node,
        path: &'n KeyPath<'n>,
        keys: &KeySet,
    ) -> Result<Fields<'n>, ConfigError> {
        let entries = self.entries(node, path)?;
        for entry in entries {
            let key = entry.key.as_str();
            if keys.read.contains(&key) || keys.silent.contains(&key) {
                continue;
            }
            let key_path = KeyPath::Key(path, key);
            let message = if keys.unsupported.contains(&key) {
                format!("`{key_path}` is not supported yet and is ignored")
            } else if let Some(nearest) = keys.nearest(key) {
                format!("unknown key `{key_path}`; did you mean `{nearest}`?")
            } else {
                format!("unknown key `{key_path}`")
            };
            self.warnings.add_at(self.source, &entry.key_span, message);
        }
        Ok(Fields { node, path, entries })
    }

    /// The properties of an object that may have any keys.
    pub(crate) fn entries<'n>(&self, node: &'n Node, path: &KeyPath<'_>) -> Result<&'n [Entry], ConfigError> {
        match &node.value {
            Value::Object(entries) => Ok(entries),
            _ => Err(self.wrong_type(node, path, "an object")),
        }
    }

    /// The elements of an array.
    pub(crate) fn items<'n>(
        &self,
        node: &'n Node,
        path: &KeyPath<'_>,
        expected: &str,
    ) -> Result<&'n [Node], ConfigError> {
        match &node.value {
            Value::Array(items) => Ok(items),
            _ => Err(self.wrong_type(node, path, expected)),
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, node: &Node, path: &KeyPath<'_>) -> Result<bool, ConfigError> {
        match node.value {
            Value::Bool(value) => Ok(value),
            _ => Err(self.wrong_type(node, path, "a boolean")),
        }
    }

    /// A string within [`MAX_NAME_CHARS`].
    pub(crate) fn name(&self, node: &Node, path: &KeyPath<'_>) -> Result<String, ConfigError> {
        self.string(node, path, MAX_NAME_CHARS)
    }

    /// A string within [`MAX_TEXT_CHARS`].
    pub(crate) fn text(&self, node: &Node, path: &KeyPath<'_>) -> Result<String, ConfigError> {
        self.string(node, path, MAX_TEXT_CHARS)
    }

    /// An array of strings, each within [`MAX_NAME_CHARS`].
    pub(crate) fn names(&self, node: &Node, path: &KeyPath<'_>) -> Result<Vec<String>, ConfigError> {
        self.strings(node, path, MAX_NAME_CHARS)
    }

    /// An array of strings, each within [`MAX_TEXT_CHARS`].
    pub(crate) fn texts(&self, node: &Node, path: &KeyPath<'_>) -> Result<Vec<String>, ConfigError> {
        self.strings(node, path, MAX_TEXT_CHARS)
    }

    fn strings(&self, node: &Node, path: &KeyPath<'_>, limit: usize) -> Result<Vec<String>, ConfigError> {
        let items = self.items(node, path, "an array of strings")?;
        let read = |(index, item)| self.string(item, &KeyPath::Index(path, index), limit);
        items.iter().enumerate().map(read).collect()
    }

    fn string(&self, node: &Node, path: &KeyPath<'_>, limit: usize) -> Result<String, ConfigError> {
        let Value::String(text) = &node.value else {
            return Err(self.wrong_type(node, path, "a string"));
        };
        self.check_string(text, &node.span, format_args!("`{path}`"), limit)?;
        Ok(text.clone())
    }

    /// Refuses a string that is empty, too long, or has control characters (names and paths are printed, sent
    /// in headers and handed to the operating system). `subject` says in the message which string it is.
    pub(crate) fn check_string(
        &self,
        text: &str,
        span: &Span,
        subject: fmt::Arguments<'_>,
        limit: usize,
    ) -> Result<(), ConfigError> {
        if text.is_empty() {
            return Err(self.invalid(span, format!("{subject} must not be empty")));
        }
        let length = text.chars().count();
        if length > limit {
            let message = format!("{subject} is {length} characters long; at most {limit} are allowed");
            return Err(self.invalid(span, message));
        }
        if let Some(control) = text.chars().find(|character| character.is_control()) {
            let code = u32::from(control);
            let message =
                format!("{subject} contains the control character U+{code:04X}, which is not allowed");
            return Err(self.invalid(span, message));
        }
        Ok(())
    }
}

/// An object that has been checked for unknown keys.
pub(crate) struct Fields<'n> {
    node: &'n Node,
    path: &'n KeyPath<'n>,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// Reads a key that may be missing.
    pub(crate) fn optional<T>(
        &self,
        key: &str,
        read: impl FnOnce(&'n Node, &KeyPath<'_>) -> Result<T, ConfigError>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(entry) = self.entries.iter().find(|entry| entry.key == key) else {
            return Ok(None);
        };
        read(&entry.node, &KeyPath::Key(self.path, key)).map(Some)
    }

    /// Reads a string that must be there.
    pub(crate) fn required_name(&self, reader: &Reader<'_>, key: &str) -> Result<String, ConfigError> {
        let name = self.optional(key, |node, path| reader.name(node, path))?;
        name.ok_or_else(|| self.missing(reader, key, "a string"))
    }

    /// The error for a key that must be there and is not.
    pub(crate) fn missing(&self, reader: &Reader<'_>, key: &str, expected: &str) -> ConfigError {
        let path = KeyPath::Key(self.path, key);
        reader.invalid(&self.node.span, format!("`{path}` is missing; it must be {expected}"))
    }

    /// Where a key's value stands; the object itself if the key is missing.
    pub(crate) fn span(&self, key: &str) -> &'n Span {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        entry.map_or(&self.node.span, |entry| &entry.node.span)
    }
}
