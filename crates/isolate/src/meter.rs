//! CPU budgets: one meter for each invocation, charged by the turns that work for it, watched by the watchdog.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

type OnOver = Box<dyn Fn(&Meter) + Send + Sync>;

/// Counts the CPU time spent for one invocation and knows its limit.
pub struct Meter {
    used_ns: AtomicU64,
    limit_ns: AtomicU64,
    over: AtomicBool,
    on_over: OnceLock<OnOver>,
    onward: OnceLock<Arc<Meter>>,
}

impl Meter {
    /// A meter that allows `limit` of CPU time.
    pub fn new(limit: Duration) -> Self {
        Self {
            used_ns: AtomicU64::new(0),
            limit_ns: AtomicU64::new(limit.as_nanos() as u64),
            over: AtomicBool::new(false),
            on_over: OnceLock::new(),
            onward: OnceLock::new(),
        }
    }

    /// What happens when the limit is passed: called once, from the watchdog's or the turn's thread, without the
    /// isolate's lock. Callers get their error here even where V8 cannot be stopped at once.
    pub fn on_over(&self, action: impl Fn(&Self) + Send + Sync + 'static) {
        let _ = self.on_over.set(Box::new(action));
    }

    /// CPU time used so far.
    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.used_ns.load(Ordering::Relaxed))
    }

    /// The limit.
    pub fn limit(&self) -> Duration {
        Duration::from_nanos(self.limit_ns.load(Ordering::Relaxed))
    }

    /// Makes the limit smaller; a larger one changes nothing.
    pub fn lower(&self, limit: Duration) {
        self.limit_ns.fetch_min(limit.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Whether the limit was passed.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// What is charged from now on is charged to `meter` too: for work whose invocation is known only once it runs.
    pub fn pass_on_to(&self, meter: Arc<Self>) {
        let _ = self.onward.set(meter);
    }

    /// Adds CPU time spent; passing the limit runs the action.
    pub fn charge(&self, spent: Duration) {
        if let Some(onward) = self.onward.get() {
            onward.charge(spent);
        }
        let used =
            self.used_ns.fetch_add(spent.as_nanos() as u64, Ordering::Relaxed) + spent.as_nanos() as u64;
        if used > self.limit_ns.load(Ordering::Relaxed) {
            self.exceed();
        }
    }

    /// Whether `running` more CPU time, not charged yet, would pass the limit.
    pub(crate) fn would_exceed(&self, running: Duration) -> bool {
        self.used() + running > self.limit()
    }

    pub(crate) fn exceed(&self) {
        if !self.over.swap(true, Ordering::AcqRel)
            && let Some(action) = self.on_over.get()
        {
            action(self);
        }
    }
}
