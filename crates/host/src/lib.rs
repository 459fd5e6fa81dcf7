//! The outside world as Atoll sees it: one trait for each thing that is not computation (network, clock,
//! randomness, log sink), the values that pass through them, and a plain implementation of each.
//!
//! Nothing here knows of V8 or Workers, and no other crate touches the network, the clock or the random
//! source. A sandboxed process replaces an implementation with messages to its supervisor; a test replaces it
//! with a script.
//!
//! | module | trait | plain implementation |
//! |---|---|---|
//! | [`network`] | [`Network`] | [`PublicNetwork`]: HTTP/1.1 and HTTP/2, public addresses only |
//! | [`clock`] | [`Clock`] | [`SystemClock`] |
//! | [`random`] | [`Random`] | [`SystemRandom`] |
//! | [`log`] | [`LogSink`] | [`TracingSink`] |
//!
//! What travels through them: [`http::Request`] and [`http::Response`], whose [`Body`] is empty, whole or a
//! stream.

#![forbid(unsafe_code)]

pub mod body;
pub mod clock;
pub mod http;
pub mod log;
pub mod network;
pub mod random;
mod runtime;

use std::pin::Pin;

pub use self::body::{Body, BodyError, ByteSink, ByteStream};
pub use self::clock::{Clock, SystemClock};
pub use self::http::{Request, Response};
pub use self::log::{LogLevel, LogRecord, LogSink, TracingSink};
pub use self::network::{AddressPolicy, AllowEntry, Network, NetworkError, PublicNetwork};
pub use self::random::{Random, SystemRandom};

/// A future on the heap that may move between threads: what the traits of this crate return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
