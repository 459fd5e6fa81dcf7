//! CPU budgets: one meter for each invocation, charged by the turns that work for it, watched by the watchdog. A meter
//! may draw on that of another invocation: what it counts is counted there, too, and it ends with that.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError, Weak};
use std::time::Duration;

type OnOver = Box<dyn Fn(&Meter) + Send + Sync>;

/// Somebody who waits for work that is charged to a meter: told when the meter ends that work.
pub trait Waiter: Send + Sync {
    /// The work ended early. Called without the isolate's lock, from any thread.
    fn ended(&self, reason: &str);
}

/// Counts the CPU time spent for one invocation and knows its limit.
pub struct Meter {
    /// CPU time of its own work.
    used_ns: AtomicU64,
    /// The same and that of the meters that draw on this one: what the limit is for.
    drawn_ns: AtomicU64,
    limit_ns: AtomicU64,
    over: AtomicBool,
    shed: AtomicBool,
    on_over: OnceLock<OnOver>,
    ending: Once,
    /// The limit that ended it, in nanoseconds: its own, or that of a meter it draws on.
    passed_ns: AtomicU64,
    reason: OnceLock<Arc<str>>,
    waiters: Mutex<Vec<Weak<dyn Waiter>>>,
    /// The meter that it draws on.
    source: Option<Arc<Meter>>,
    /// Those that draw on it.
    drawers: Mutex<Vec<Weak<Meter>>>,
}

impl Meter {
    /// A meter that allows `limit` of CPU time.
    pub fn new(limit: Duration) -> Self {
        Self {
            used_ns: AtomicU64::new(0),
            drawn_ns: AtomicU64::new(0),
            limit_ns: AtomicU64::new(nanoseconds(limit)),
            over: AtomicBool::new(false),
            shed: AtomicBool::new(false),
            on_over: OnceLock::new(),
            ending: Once::new(),
            passed_ns: AtomicU64::new(0),
            reason: OnceLock::new(),
            waiters: Mutex::default(),
            source: None,
            drawers: Mutex::default(),
        }
    }

    /// A meter that allows `limit`, and no more than `source` has left: see [`Meter::follow_source`].
    pub fn drawing_on(source: Arc<Self>, limit: Duration) -> Self {
        Self { source: Some(source), ..Self::new(limit) }
    }

    /// From now on it ends with the meter that it draws on, where there is one. Called once, after [`Meter::on_over`].
    pub fn follow_source(self: &Arc<Self>) {
        let Some(source) = &self.source else { return };
        let mut drawers = source.drawers();
        // Swept when those that are gone could outnumber the others.
        if drawers.len() >= 16 && drawers.len().is_power_of_two() {
            drawers.retain(|known| known.strong_count() > 0);
        }
        drawers.push(Arc::downgrade(self));
        drop(drawers);
        let passed = source.passed_ns.load(Ordering::Acquire);
        // Whoever ends it may have looked at the list already.
        if passed > 0 {
            self.end(passed);
        }
    }

    fn drawers(&self) -> MutexGuard<'_, Vec<Weak<Self>>> {
        self.drawers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens when the limit is passed: called once, from the watchdog's or the turn's thread, without the
    /// isolate's lock. Callers get their error here even where V8 cannot be stopped at once.
    pub fn on_over(&self, action: impl Fn(&Self) + Send + Sync + 'static) {
        let _ = self.on_over.set(Box::new(action));
    }

    /// CPU time used so far, without that of meters that draw on it.
    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.used_ns.load(Ordering::Relaxed))
    }

    /// The limit.
    pub fn limit(&self) -> Duration {
        Duration::from_nanos(self.limit_ns.load(Ordering::Relaxed))
    }

    /// The limit that was passed, once one was: its own, or that of a meter that it draws on.
    pub fn passed(&self) -> Duration {
        Duration::from_nanos(self.passed_ns.load(Ordering::Relaxed))
    }

    /// Makes the limit smaller; a larger one changes nothing.
    pub fn lower(&self, limit: Duration) {
        self.limit_ns.fetch_min(nanoseconds(limit), Ordering::Relaxed);
    }

    /// Whether the limit was passed, or the work was stopped.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// It, and the meters that it draws on.
    fn sources(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |meter| meter.source.as_deref())
    }

    /// Adds CPU time spent; passing a limit runs the action.
    pub fn charge(&self, spent: Duration) {
        let spent = nanoseconds(spent);
        self.used_ns.fetch_add(spent, Ordering::Relaxed);
        let mut over = None;
        for meter in self.sources() {
            let drawn = meter.drawn_ns.fetch_add(spent, Ordering::Relaxed) + spent;
            if drawn > meter.limit_ns.load(Ordering::Relaxed) {
                over = Some(meter);
            }
        }
        if let Some(meter) = over {
            meter.exceed();
        }
    }

    /// Whether what is charged to it has to stop: `running` more CPU time, not charged yet, would pass its limit or that
    /// of a meter it draws on, or it is over.
    pub(crate) fn would_exceed(&self, running: Duration) -> bool {
        self.is_over() || self.would_pass(running).is_some()
    }

    /// The one whose limit would be passed; the last of them where there are more.
    fn would_pass(&self, running: Duration) -> Option<&Self> {
        let running = nanoseconds(running);
        let passes = |meter: &&Self| {
            let drawn = meter.drawn_ns.load(Ordering::Relaxed).saturating_add(running);
            drawn > meter.limit_ns.load(Ordering::Relaxed)
        };
        self.sources().filter(passes).last()
    }

    /// What would be passed with `running` more is over now; it alone, where that is nothing.
    pub(crate) fn exceed_with(&self, running: Duration) {
        self.would_pass(running).unwrap_or(self).exceed();
        // It was stopped: whoever waits is told, whatever the clocks say by now.
        self.exceed();
    }

    fn exceed(&self) {
        self.end(self.limit_ns.load(Ordering::Relaxed).max(1));
    }

    /// Ends it and those that draw on it, for a limit of so many nanoseconds.
    fn end(&self, passed: u64) {
        let _ = self.passed_ns.compare_exchange(0, passed, Ordering::AcqRel, Ordering::Acquire);
        self.over.store(true, Ordering::Release);
        // Whoever comes second waits until the callers have been told: it may be about to drop what they wait for.
        self.ending.call_once_force(|_| {
            if let Some(action) = self.on_over.get() {
                action(self);
            }
            self.tell();
        });
        let drawers = std::mem::take(&mut *self.drawers());
        for drawer in drawers.iter().filter_map(Weak::upgrade) {
            drawer.end(passed);
        }
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
    /// what runs is stopped at the watchdog's next look. The action for the limit is not called, and meters that draw on
    /// it go on.
    pub fn stop(&self) {
        self.over.store(true, Ordering::Release);
        self.ending.call_once_force(|_| self.tell());
    }

    /// Ends the work although it is within its limit: the process has too many long messages under way, and this one took
    /// the most. As if the limit were passed, so its action is called.
    pub(crate) fn shed(&self) {
        self.shed.store(true, Ordering::Release);
        self.exceed();
    }

    /// Whether it, or one that it draws on, was ended so; for the action.
    pub fn is_shed(&self) -> bool {
        self.sources().any(|meter| meter.shed.load(Ordering::Acquire))
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

fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos() as u64
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

    /// A meter of 100 ms, and one of 80 ms that draws on it.
    fn nested() -> (Arc<Meter>, Arc<Meter>) {
        let outer = Arc::new(Meter::new(Duration::from_millis(100)));
        let inner = Arc::new(Meter::drawing_on(outer.clone(), Duration::from_millis(80)));
        inner.follow_source();
        (outer, inner)
    }

    #[test]
    fn what_one_draws_on_another_is_counted_there_but_is_not_its_own() {
        let (outer, inner) = nested();
        inner.charge(Duration::from_millis(70));
        assert_eq!((outer.used(), inner.used()), (Duration::ZERO, Duration::from_millis(70)));
        assert!(!outer.would_exceed(Duration::from_millis(30)));
        assert!(outer.would_exceed(Duration::from_millis(31)));
        outer.charge(Duration::from_millis(31));
        assert!(outer.is_over() && inner.is_over());
        assert_eq!(inner.passed(), Duration::from_millis(100));
    }

    #[test]
    fn all_who_draw_on_a_meter_end_with_it_also_those_who_come_later() {
        let (outer, inner) = nested();
        let again = Arc::new(Meter::drawing_on(inner.clone(), Duration::from_secs(1)));
        again.follow_source();
        let beside = Arc::new(Meter::drawing_on(outer.clone(), Duration::from_secs(1)));
        beside.follow_source();
        beside.charge(Duration::from_millis(60));
        again.charge(Duration::from_millis(41));
        for meter in [&outer, &inner, &again, &beside] {
            assert!(meter.is_over());
            assert_eq!(meter.passed(), Duration::from_millis(100));
        }
        let late = Arc::new(Meter::drawing_on(again, Duration::from_secs(1)));
        late.follow_source();
        assert!(late.is_over());
    }

    #[test]
    fn one_that_passes_a_limit_of_its_own_ends_alone() {
        let (outer, inner) = nested();
        inner.exceed_with(Duration::from_millis(81));
        assert!(inner.is_over() && !outer.is_over());
        assert_eq!(inner.passed(), Duration::from_millis(80));
    }

    #[test]
    fn one_that_is_stopped_takes_nobody_with_it() {
        let (outer, inner) = nested();
        outer.set_reason("enough");
        outer.stop();
        assert!(outer.would_exceed(Duration::ZERO) && !inner.would_exceed(Duration::ZERO));
        inner.charge(Duration::from_millis(50));
        assert!(!inner.is_over());
    }
}
