//! What all Workers of a process share.

use std::sync::Arc;

use atoll_host::clock::Clock;
use atoll_host::log::LogSink;
use atoll_host::random::Random;
use atoll_isolate::{HeapLimits, Pool, Scheduler, Startup};

use crate::limits;

/// The outside, as far as Workers reach it without a capability.
pub struct Host {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn Random>,
    /// Where console lines go.
    pub log: Arc<dyn LogSink>,
}

/// Scheduler, warm pool and host.
pub struct Runtime {
    /// The threads that run turns.
    pub scheduler: Arc<Scheduler>,
    /// Blank isolates.
    pub pool: Arc<Pool>,
    /// The outside.
    pub host: Host,
    /// Whether experimental compatibility flags are allowed in projects.
    pub allow_experimental: bool,
}

impl Runtime {
    /// Puts a runtime together: `warm` blank isolates are kept ready.
    pub fn new(startup: &'static Startup, scheduler: Arc<Scheduler>, host: Host, warm: usize) -> Arc<Self> {
        let pool = Pool::new(startup, HeapLimits { heap_bytes: limits::HEAP_BYTES }, warm);
        Arc::new(Self { scheduler, pool, host, allow_experimental: true })
    }
}
