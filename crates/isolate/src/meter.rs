//! CPU budgets: one meter for each invocation, charged by the turns that work for it, watched by the watchdog.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError, Weak};
use std::time::Duration;

type OnOver = Box<dyn Fn(&Meter) + Send + Sync>;

/// Somebody who waits for work that is charged to a meter: told when the meter ends that work.
pub trait Waiter: Send + Sync {
    /// The work ended early. Called without the isolate's lock, from any thread.
    fn ended(&self, reason: &str);
}

/// Counts the CPU time spent for one invocation and knows its limit.
pub struct Meter {
    used_ns: AtomicU64,
    limit_ns: AtomicU64,
    over: AtomicBool,
    shed: AtomicBool,
    on_over: OnceLock<OnOver>,
    ending: Once,
    reason: OnceLock<Arc<str>>,
    waiters: Mutex<Vec<Weak<dyn Waiter>>>,
}

impl Meter {
    /// A meter that allows `limit` of CPU time.
    pub fn new(limit: Duration) -> Self {
        Self {
            used_ns: AtomicU64::new(0),
            limit_ns: AtomicU64::new(limit.as_nanos() as u64),
            over: AtomicBool::new(false),
            shed: AtomicBool::new(false),
            on_over: OnceLock::new(),
            ending: Once::new(),
            reason: OnceLock::new(),
            waiters: Mutex::default(),
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

    /// Adds CPU time spent; passing the limit runs the action.
    pub fn charge(&self, spent: Duration) {
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
        self.over.store(true, Ordering::Release);
        // Whoever comes second waits until the callers have been told: it may be about to drop what they wait for.
        self.ending.call_once_force(|_| {
            if let Some(action) = self.on_over.get() {
                action(self);
            }
            self.tell();
        });
    }

    /// Why the work ended early, for those who ask or wait; the first reason stays. Given by [`Meter::on_over`]'s
    /// action, or before [`Meter::stop`].
    pub fn set_reason(&self, reason: &str) {
        let _ = self.reason.set(reason.into());
    }

    /// Why the work ended early, where it did and somebody said.
    pub fn reason(&self) -> Option<Arc<str>> {
        self.reason.get().cloned()
    }

    /// Ends the work for another reason than its CPU time: nothing that is charged to the meter starts any more, and
    /// what runs is stopped at the watchdog's next look. The action for the limit is not called.
    pub fn stop(&self) {
        self.over.store(true, Ordering::Release);
        self.limit_ns.store(0, Ordering::Relaxed);
        self.ending.call_once_force(|_| self.tell());
    }

    /// Ends the work although it is within its limit: the process has too many long messages under way, and this one took
    /// the most. As if the limit were passed, so its action is called.
    pub(crate) fn shed(&self) {
        self.shed.store(true, Ordering::Release);
        self.limit_ns.store(0, Ordering::Relaxed);
        self.exceed();
    }

    /// Whether it was ended so; for the action.
    pub fn is_shed(&self) -> bool {
        self.shed.load(Ordering::Acquire)
    }

    /// Tells somebody when the work ends early, unless it is gone by then.
    pub fn tell_when_ended(&self, waiter: Weak<dyn Waiter>) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        // Swept when those that are gone could outnumber the others.
        if waiters.len() >= 16 && waiters.len().is_power_of_two() {
            waiters.retain(|known| known.strong_count() > 0);
        }
        waiters.push(waiter);
        drop(waiters);
        if self.is_over() {
            // Whoever ends it may have looked at the list already.
            self.ending.wait_force();
            self.tell();
        }
    }

    fn tell(&self) {
        let waiters = std::mem::take(&mut *self.waiters.lock().unwrap_or_else(PoisonError::into_inner));
        let reason = self.reason();
        for waiter in waiters.iter().filter_map(Weak::upgrade) {
            waiter.ended(reason.as_deref().unwrap_or("The invocation ended by a limit."));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Waiter for Told {
        fn ended(&self, reason: &str) {
            self.0.lock().unwrap().push(reason.to_owned());
        }
    }

    fn told(waiter: &Told) -> Vec<String> {
        waiter.0.lock().unwrap().clone()
    }

    fn metered(limit_ms: u64) -> (Meter, Arc<Told>) {
        let meter = Meter::new(Duration::from_millis(limit_ms));
        meter.on_over(|meter| meter.set_reason(&format!("over {} ms", meter.limit().as_millis())));
        let waiter = Arc::new(Told::default());
        meter.tell_when_ended(Arc::downgrade(&waiter) as Weak<dyn Waiter>);
        (meter, waiter)
    }

    #[test]
    fn whoever_waits_is_told_once_why_the_work_ended() {
        let (meter, waiter) = metered(10);
        meter.charge(Duration::from_millis(5));
        assert!(told(&waiter).is_empty());
        meter.charge(Duration::from_millis(6));
        meter.charge(Duration::from_millis(6));
        assert_eq!(told(&waiter), ["over 10 ms"]);
        assert!(meter.is_over());
    }

    #[test]
    fn whoever_comes_later_is_told_at_once() {
        let (meter, _) = metered(0);
        meter.charge(Duration::from_millis(1));
        let waiter = Arc::new(Told::default());
        meter.tell_when_ended(Arc::downgrade(&waiter) as Weak<dyn Waiter>);
        assert_eq!(told(&waiter), ["over 0 ms"]);
    }

    #[test]
    fn a_stop_has_its_own_reason() {
        let (meter, waiter) = metered(10);
        meter.set_reason("enough");
        meter.stop();
        assert!(meter.is_over() && meter.would_exceed(Duration::from_nanos(1)));
        meter.charge(Duration::from_millis(20));
        assert_eq!(told(&waiter), ["enough"]);
    }

    #[test]
    fn those_who_are_gone_are_forgotten() {
        let meter = Meter::new(Duration::from_secs(1));
        for _ in 0..1000 {
            let waiter = Arc::new(Told::default());
            meter.tell_when_ended(Arc::downgrade(&waiter) as Weak<dyn Waiter>);
        }
        assert!(meter.waiters.lock().unwrap().len() <= 16);
    }
}
