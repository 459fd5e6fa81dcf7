//! What can be wrong with a project, and what is merely worth a word: errors, warnings and the places they name.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A place in a configuration file. Shown as `file:line:column`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file, absolute.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1 in Unicode characters.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// Something that does not stop the project from being loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What was noticed, one line without a full stop.
    pub message: String,
    /// Where, if it is about a place in a file.
    pub location: Option<Location>,
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(formatter, "{location}: {}", self.message),
            None => formatter.write_str(&self.message),
        }
    }
}

/// A mistake in the text of a configuration file. Shown as one line that says where and what, followed by the
/// source line with a caret under the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError {
    /// Where the mistake begins.
    pub location: Location,
    /// What is wrong and what would be right.
    pub message: String,
    /// The source line and, under it, the caret; two lines.
    pub snippet: String,
}

impl fmt::Display for SourceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}\n{}", self.location, self.message, self.snippet)
    }
}

impl std::error::Error for SourceError {}

/// Why a project could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The path that was given does not exist.
    #[error("{}: there is no such file or folder", .path.display())]
    NotFound {
        /// The path, absolute.
        path: PathBuf,
    },
    /// The path is neither a folder nor a file that can be a configuration or a script.
    #[error(
        "{}: this is not a project; expected a folder, a configuration file (.jsonc, .json, .toml) or a script \
         (.js, .mjs, .ts, .mts, .jsx, .tsx)",
        .path.display()
    )]
    UnknownKind {
        /// The path, absolute.
        path: PathBuf,
    },
    /// The operating system refused to read something.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The configuration file is larger than [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES).
    #[error("{}: the file is larger than {limit} bytes, the most that a configuration may have", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file is not UTF-8, not JSON or not TOML.
    #[error("{0}")]
    Syntax(Box<SourceError>),
    /// The file can be parsed, but a value in it is wrong.
    #[error("{0}")]
    Invalid(Box<SourceError>),
    /// No `main` is set, and none of the usual files exists.
    #[error("{}: there is no script to run; set `main` or add one of: {}", .dir.display(), PathList(.tried))]
    NoMain {
        /// The project's folder.
        dir: PathBuf,
        /// The files that were looked for, relative to `dir`.
        tried: Vec<PathBuf>,
    },
}

/// Files, separated by commas.
struct PathList<'a>(&'a [PathBuf]);

impl fmt::Display for PathList<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{}", path.display())?;
        }
        Ok(())
    }
}
