//! What can go wrong in a run, in words for the person who started it.

use std::io;
use std::process::ExitStatus;

#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{0}\nTry --help.")]
    Usage(String),
    #[error("{action}: {source}")]
    Io { action: String, source: io::Error },
    #[error("{program} ended with {status}")]
    Program { program: String, status: ExitStatus },
    #[error("{engine} ended without saying which port it listens on")]
    NoAddress { engine: &'static str },
    #[error("{engine} answered {target} with status {status}: {body}")]
    Answer { engine: &'static str, target: String, status: u16, body: String },
    #[error("{0}")]
    Unsupported(String),
}

/// Says what was being done when an I/O error came.
pub(crate) trait During<T> {
    fn during(self, action: impl Into<String>) -> Result<T, BenchError>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, action: impl Into<String>) -> Result<T, BenchError> {
        self.map_err(|source| BenchError::Io { action: action.into(), source })
    }
}
