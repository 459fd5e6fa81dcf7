//! What all Workers of a process share.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use atoll_host::clock::Clock;
use atoll_host::log::LogSink;
use atoll_host::random::Random;
use atoll_isolate::pool::Room;
use atoll_isolate::{HeapLimits, Pool, Scheduler, Startup};

use crate::limits;
use crate::loader::{Loader, evict_longest_idle};
use crate::metrics::{Eviction, Metrics};
use crate::worker::{WeakWorker, Worker};

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
    /// Isolates that the process may have.
    pub(crate) isolates: usize,
    loaders: Mutex<Vec<Weak<Loader>>>,
    sleepers: Mutex<Sleepers>,
}

/// Dynamic Workers that can be put to sleep. Those that have ended are swept when the list has doubled.
#[derive(Default)]
struct Sleepers {
    workers: Vec<WeakWorker>,
    sweep_at: usize,
}

/// How often idle children are looked for.
const SWEEP: std::time::Duration = std::time::Duration::from_secs(10);

/// Most children let go of at once when there is no room: making room for each load alone would be slow.
const EVICTED_AT_ONCE: usize = 16;

/// The list of those that can sleep is never swept below this length.
const FEW_SLEEPERS: usize = 256;

impl Runtime {
    /// Puts a runtime together: `warm` blank isolates are kept ready; there are never more than `isolates` in all.
    pub fn new(
        startup: &'static Startup,
        scheduler: Arc<Scheduler>,
        host: Host,
        warm: usize,
        isolates: usize,
    ) -> Arc<Self> {
        let limits = HeapLimits { heap_bytes: limits::HEAP_BYTES };
        let room = Room { heaps: isolates, wait: limits::ROOM_WAIT };
        let pool = Pool::new(startup, limits, warm, room);
        let runtime = Arc::new(Self {
            scheduler,
            pool,
            host,
            metrics: Metrics::default(),
            isolates,
            loaders: Mutex::default(),
            sleepers: Mutex::default(),
        });
        let weak = Arc::downgrade(&runtime);
        runtime.pool.on_pressure(move || weak.upgrade().map_or(0, |r| r.make_room()));
        let weak = Arc::downgrade(&runtime);
        runtime.scheduler.spawn(0, async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(runtime) = weak.upgrade() else { return };
                let now = runtime.host.clock.monotonic().as_micros() as u64;
                let before = now.saturating_sub(limits::IDLE.as_micros() as u64);
                runtime.evict(before, false, usize::MAX, Eviction::Idle);
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

    /// A Worker that can be put to sleep when there is no room.
    pub(crate) fn may_sleep(&self, worker: &Worker) {
        let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        if sleepers.workers.len() >= sleepers.sweep_at {
            sleepers.workers.retain(WeakWorker::exists);
            sleepers.sweep_at = FEW_SLEEPERS.max(2 * sleepers.workers.len());
        }
        sleepers.workers.push(worker.downgrade());
    }

    /// Lets go of some isolates that nobody needs now: those of named children that nobody holds, then those of children
    /// whose stubs are held. Gives how many.
    fn make_room(&self) -> usize {
        let most = EVICTED_AT_ONCE.min(self.isolates / 16 + 1);
        let evicted = self.evict(u64::MAX, true, most, Eviction::Pressure);
        evicted + self.put_to_sleep(most - evicted)
    }

    /// Lets go of at most `most` named children that nobody holds and that are idle since before `before` (microseconds
    /// of the monotonic clock), the longest idle first. `live`: only those that have an isolate. Gives how many.
    fn evict(&self, before: u64, live: bool, most: usize, reason: Eviction) -> usize {
        let loaders: Vec<_> = {
            let loaders = self.loaders.lock().unwrap_or_else(PoisonError::into_inner);
            loaders.iter().filter_map(Weak::upgrade).collect()
        };
        let evicted = evict_longest_idle(&loaders, before, live, most);
        self.metrics.evicted(reason, evicted);
        evicted
    }

    /// Puts at most `most` idle children to sleep, the longest idle first. Gives how many.
    fn put_to_sleep(&self, most: usize) -> usize {
        if most == 0 {
            return 0;
        }
        let mut live: Vec<Worker> = {
            let sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
            sleepers.workers.iter().filter_map(WeakWorker::upgrade).collect()
        };
        live.retain(Worker::is_live);
        live.sort_by_cached_key(Worker::last_used);
        let asleep = live.iter().filter(|worker| worker.sleep()).take(most).count();
        self.metrics.evicted(Eviction::Pressure, asleep);
        asleep
    }
}
