//! What all Workers of a process share.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use atoll_host::clock::Clock;
use atoll_host::log::LogSink;
use atoll_host::random::Random;
use atoll_isolate::pool::Room;
use atoll_isolate::{HeapLimits, Pool, Scheduler, Startup};

use crate::binding::Loader;
use crate::limits;
use crate::metrics::{Eviction, Metrics};

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
    /// What was done so far.
    pub metrics: Metrics,
    loaders: Mutex<Vec<Weak<Loader>>>,
}

/// How often idle children are looked for.
const SWEEP: std::time::Duration = std::time::Duration::from_secs(10);

/// Children let go of at once when there is no room: making room for each load alone would be slow.
const EVICTED_AT_ONCE: usize = 16;

impl Runtime {
    /// Puts a runtime together: `warm` blank isolates are kept ready.
    pub fn new(startup: &'static Startup, scheduler: Arc<Scheduler>, host: Host, warm: usize) -> Arc<Self> {
        let limits = HeapLimits { heap_bytes: limits::HEAP_BYTES };
        let room = Room { heaps: limits::ISOLATES, wait: limits::ROOM_WAIT };
        let pool = Pool::new(startup, limits, warm, room);
        let runtime =
            Arc::new(Self { scheduler, pool, host, metrics: Metrics::default(), loaders: Mutex::default() });
        let weak = Arc::downgrade(&runtime);
        runtime.pool.on_pressure(move || {
            weak.upgrade().map_or(0, |r| r.evict(u64::MAX, EVICTED_AT_ONCE, Eviction::Pressure))
        });
        let weak = Arc::downgrade(&runtime);
        runtime.scheduler.spawn(0, async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(runtime) = weak.upgrade() else { return };
                let now = runtime.host.clock.monotonic().as_millis() as u64;
                runtime.evict(
                    now.saturating_sub(limits::IDLE.as_millis() as u64),
                    usize::MAX,
                    Eviction::Idle,
                );
            }
        });
        runtime
    }

    /// A loader whose children this runtime may evict; `name` is for the metrics.
    pub fn loader(&self, name: &str) -> Arc<Loader> {
        let loader = Arc::new(Loader::new(name.to_owned()));
        let mut loaders = self.loaders.lock().unwrap_or_else(PoisonError::into_inner);
        loaders.retain(|known| known.strong_count() > 0);
        loaders.push(Arc::downgrade(&loader));
        loader
    }

    /// Lets go of at most `most` named children that are idle since before `before` (milliseconds of the monotonic
    /// clock), the longest idle first. Gives how many.
    fn evict(&self, before: u64, most: usize, reason: Eviction) -> usize {
        let loaders: Vec<_> = {
            let loaders = self.loaders.lock().unwrap_or_else(PoisonError::into_inner);
            loaders.iter().filter_map(Weak::upgrade).collect()
        };
        let mut idle: Vec<_> = loaders
            .iter()
            .flat_map(|loader| loader.idle(before).into_iter().map(move |(since, id)| (since, id, loader)))
            .collect();
        idle.sort_by_key(|(since, ..)| *since);
        let evicted = idle.into_iter().take(most).filter(|(_, id, loader)| loader.evict_idle(id)).count();
        self.metrics.evicted(reason, evicted);
        evicted
    }
}
