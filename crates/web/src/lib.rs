//! Web and Workers APIs: JavaScript in the snapshot (`js/`), native operations under it.
//!
//! | module | owns |
//! |---|---|
//! | [`context`] | I/O contexts, resources, promises that the outside settles |
//! | `timers` | timers of a context |
//! | [`usage`] | what an invocation uses: subrequests, calls, bytes, memory |
//! | [`account`], [`depth`] | which invocation code is of, and what led to it; how deep calls are in each other |
//! | [`inbox`], [`sender`], `held` | messages on their way to a Worker; shares of one sender; bytes of bodies |
//! | `lines`, [`resizable`] | how much may be logged; how many resizable buffers there may be |
//! | [`interest`] | whether somebody still waits for an answer |
//! | [`task`] | tasks that end with whoever started them |
//! | [`fetcher`] | where a `fetch` goes; errors that cross |
//! | [`exchange`] | the parts of requests and answers, checked |
//! | [`fetch`] | `fetch()` as natives |
//! | [`body`] | bodies that are still on their way, pipes |
//! | [`basics`] | console, clock, randomness |
//! | [`report`] | errors that no code catches |
//! | [`url`], [`encoding`], [`compression`] | parsing and codecs over well-kept crates |
//! | [`clone`], [`inspection`] | structured clone; what only V8 can tell of a value |
//! | `signal` | abort signals that crossed |
//!
//! The crate does not know who calls: a Worker, a test or a bundler.

pub mod account;
pub mod basics;
pub mod body;
pub mod clone;
pub mod coding;
pub mod compression;
pub mod context;
pub mod depth;
pub mod encoding;
pub mod exchange;
pub mod fetch;
pub mod fetcher;
pub mod inbox;
pub mod inspection;
pub mod interest;
pub mod report;
pub mod resizable;
pub mod sender;
pub mod task;
pub mod url;
pub mod usage;

mod held;
mod lines;
mod manifest;
mod signal;
mod timers;

pub use manifest::EXTENSION;
