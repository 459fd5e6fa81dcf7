//! Reads a project (what to run, and with which bindings) from a folder, a configuration file in
//! wrangler's format or a single script. It knows nothing of V8 or HTTP: it checks what the file says,
//! fills in what it leaves out, and says exactly where something is wrong.
//!
//! The keys follow wrangler's configuration
//! (<https://developers.cloudflare.com/workers/wrangler/configuration/>); the table `atoll` is an addition.
//! Keys of wrangler that are not supported yet, and keys that nobody knows, are warnings and never errors, so
//! that a project made for wrangler loads unchanged.

#![forbid(unsafe_code)]

mod bindings;
mod compatibility_date;
mod dotenv;
mod error;
mod json_syntax;
mod key_path;
mod keys;
mod load;
mod node;
mod outbound;
mod project;
mod reader;
mod schema;
mod source;
mod toml_syntax;

pub use error::{ConfigError, Location, SourceError, Warning};
pub use keys::nearest;
pub use load::load;
pub use project::{
    AtollSettings, Loaded, LoaderBinding, ModuleKind, Project, Rule, ServiceBinding, ServiceTarget,
};
pub use reader::{MAX_NAME_CHARS, MAX_TEXT_CHARS};
pub use source::MAX_FILE_BYTES;
