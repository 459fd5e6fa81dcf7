//! Keeps two bindings from having one name: all of them become properties of the same `env` object.

use std::collections::HashMap;

use crate::error::ConfigError;
use crate::key_path::KeyPath;
use crate::node::Span;
use crate::reader::Reader;

/// The names that are taken so far.
#[derive(Debug, Default)]
pub(crate) struct BindingNames {
    taken: HashMap<String, Owner>,
}

/// Which key of the file took a name.
#[derive(Debug)]
struct Owner {
    path: String,
    line: usize,
}

impl BindingNames {
    /// Takes a name for the binding that `path` and `span` point to; an error if another one has it.
    pub(crate) fn claim(
        &mut self,
        reader: &Reader<'_>,
        name: &str,
        path: &KeyPath<'_>,
        span: &Span,
    ) -> Result<(), ConfigError> {
        let line = reader.line(span);
        if let Some(owner) = self.taken.get(name) {
            let message = format!(
                "the binding name `{name}` is used twice: by `{}` in line {} and by `{path}` in line {line}",
                owner.path, owner.line
            );
            return Err(reader.invalid(span, message));
        }
        self.taken.insert(name.to_owned(), Owner { path: path.to_string(), line });
        Ok(())
    }
}
