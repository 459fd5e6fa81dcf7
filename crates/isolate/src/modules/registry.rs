//! The two module registries of the reference: how modules are named, and how errors call them.

use super::{paths, urls};
use crate::error::JsError;

/// How a Worker's modules are named and found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// Names are slash paths; a specifier is resolved against the folder of the importing module, with path arithmetic
    /// and nothing else. Every module is compiled when the Worker starts.
    Paths {
        /// Whether import attributes are an error (compatibility date 2025-06-16 and later) or ignored.
        refuse_attributes: bool,
    },
    /// The flag `new_module_registry`: names are URLs under `file:///bundle/`, there is `import.meta`, modules are
    /// compiled when they are first imported, and a query or a fragment makes another instance.
    Urls,
}

/// Who asks for a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// An `import` declaration.
    Static,
    /// `import()`.
    Dynamic,
    /// `require()`.
    Require,
}

impl Registry {
    /// The name of the module that the bundle calls `name`.
    pub(super) fn in_bundle(self, name: &str) -> Result<String, JsError> {
        match self {
            Self::Paths { .. } => Ok(paths::normalise(name)),
            Self::Urls => urls::in_bundle(name),
        }
    }

    /// What `specifier` means in the module `importer`.
    ///
    /// # Errors
    /// A path that leaves the bundle, a URL that is none.
    pub(super) fn resolve(self, way: Way, specifier: &str, importer: &str) -> Result<String, JsError> {
        match self {
            Self::Paths { .. } => {
                paths::resolve(specifier, importer).ok_or_else(|| outside(way, specifier, importer))
            }
            Self::Urls => urls::resolve(specifier, importer),
        }
    }

    /// The name of the source that the module `name` is an instance of.
    pub(super) fn source_of(self, name: &str) -> &str {
        match self {
            Self::Paths { .. } => name,
            Self::Urls => urls::source_of(name),
        }
    }

    /// Whether modules are compiled when the Worker starts.
    pub(super) fn is_eager(self) -> bool {
        matches!(self, Self::Paths { .. })
    }

    /// `__filename` of a CommonJS module.
    pub(super) fn file_name(self, name: &str) -> String {
        match self {
            Self::Paths { .. } => format!("/{name}"),
            Self::Urls => urls::file_path(name).unwrap_or(name).to_owned(),
        }
    }

    /// `module.path` of a CommonJS module.
    pub(super) fn module_path(self, name: &str) -> String {
        match self {
            Self::Paths { .. } => format!("/{name}"),
            Self::Urls => name.to_owned(),
        }
    }

    /// Checks import attributes, (key, value). True: the module must be JSON.
    pub(super) fn check_attributes(self, attributes: &[(String, String)]) -> Result<bool, JsError> {
        match self {
            Self::Paths { refuse_attributes } if refuse_attributes && !attributes.is_empty() => {
                Err(JsError::error("Unrecognized import attributes specified"))
            }
            Self::Paths { .. } => Ok(false),
            Self::Urls => {
                for (key, value) in attributes {
                    check_attribute(key, value)?;
                }
                Ok(!attributes.is_empty())
            }
        }
    }

    /// There is no such module.
    pub(super) fn missing(self, way: Way, name: &str, specifier: &str, importer: &str) -> JsError {
        let name = shown(name);
        JsError::error(match (self, way) {
            (Self::Paths { .. }, Way::Static) => {
                format!("No such module \"{name}\".\n  imported from \"{importer}\"")
            }
            (Self::Paths { .. }, _) => format!("No such module \"{name}\"."),
            (Self::Urls, Way::Require) => format!("Module not found: {specifier}"),
            (Self::Urls, _) => format!("Module not found: {name}"),
        })
    }

    /// An `import source` declaration names the module `name`, which is not Wasm.
    pub(super) fn no_source(self, name: &str, specifier: &str, importer: &str) -> JsError {
        no_source(match self {
            Self::Paths { .. } => format!("{name}.\n  imported from \"{importer}\""),
            Self::Urls => specifier.to_owned(),
        })
    }

    /// The bundle has no main module of this name.
    pub(super) fn missing_main(self, name: &str) -> JsError {
        match self {
            Self::Paths { .. } => JsError::error(format!("No such module: {}", shown(name))),
            Self::Urls => JsError::type_error("Main module name is not present in bundle."),
        }
    }

    /// The main module waits for what only I/O could settle.
    pub(super) fn unsettled(self, name: &str) -> JsError {
        JsError::error(match self {
            Self::Paths { .. } => "Top-level await in module is unsettled.".to_owned(),
            Self::Urls => format!(
                "Use of top-level await in a synchronously required module is restricted to promises that are resolved \
                 synchronously. This includes any top-level awaits in the entrypoint module for a worker. Specifier: \
                 \"{name}\"."
            ),
        })
    }

    /// `require()` of the module `name`, of which some module imports, as `specifier`, what is being evaluated.
    pub(super) fn circular(self, name: &str, specifier: &str) -> JsError {
        JsError::error(match self {
            Self::Paths { .. } => format!("Circular dependency when resolving module: {specifier}"),
            Self::Urls => format!("Failed to instantiate module: {name}"),
        })
    }

    /// `require()` of a module that waits.
    pub(super) fn unsettled_in_require(self, name: &str) -> JsError {
        JsError::error(match self {
            Self::Paths { .. } => "Top-level await in module is not permitted at this time.".to_owned(),
            Self::Urls => format!("Top-level await is not supported in this context for module: {name}"),
        })
    }
}

/// A name as errors show it. The bundle's root is the reference's `.`.
fn shown(name: &str) -> &str {
    if name.is_empty() { "." } else { name }
}

/// The module is not Wasm, so that there is no source of it.
pub(super) fn no_source(module: String) -> JsError {
    let message = format!("Source phase import not available for module: {module}");
    JsError { class: crate::ErrorClass::Syntax, message }
}

/// A path leaves the bundle.
fn outside(way: Way, specifier: &str, importer: &str) -> JsError {
    match way {
        Way::Static => JsError::type_error(format!(
            "Invalid module specifier \"{specifier}\".\n  imported from \"{importer}\"."
        )),
        Way::Dynamic => JsError::error(format!("No such module \"{specifier}\"")),
        Way::Require => JsError::type_error(format!("Invalid module specifier \"{specifier}\".")),
    }
}

fn check_attribute(key: &str, value: &str) -> Result<(), JsError> {
    Err(JsError::type_error(match (key, value) {
        ("type", "json") => return Ok(()),
        ("type", "text" | "bytes") => format!("Import attribute type \"{value}\" is not yet supported"),
        ("type", _) => format!("Unsupported import attribute type: \"{value}\""),
        _ => format!("Unsupported import attribute: \"{key}\""),
    }))
}
