//! Web and Workers APIs: JavaScript in the snapshot (`js/`), native operations under it.
//!
//! | module | owns |
//! |---|---|
//! | [`context`] | I/O contexts, resources, promises that the outside settles, timers |
//! | [`usage`] | what an invocation uses: subrequests, calls, bytes, memory |
//! | [`fetcher`] | where a `fetch` goes; errors that cross |
//! | [`fetch`] | `fetch()` as natives |
//! | [`body`] | bodies that are still on their way, pipes |
//! | [`basics`] | console, timers, clock, randomness |
//! | [`url`], [`encoding`], [`compression`] | parsing and codecs over well-kept crates |
//! | [`clone`] | structured clone |
//!
//! The crate does not know who calls: a Worker, a test or a bundler.

pub mod basics;
pub mod body;
pub mod clone;
pub mod compression;
pub mod context;
pub mod encoding;
pub mod fetch;
pub mod fetcher;
pub mod inspection;
pub mod url;
pub mod usage;

mod manifest;

pub use manifest::EXTENSION;
