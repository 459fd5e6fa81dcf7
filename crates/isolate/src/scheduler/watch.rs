//! What the watchdog knows of the message that a thread runs, and how it judges that. Times are passed in: the simulation
//! runs the same code.

use std::sync::Arc;
use std::time::Duration;

use crate::meter::Meter;

/// How often the watchdog looks while anything runs; a message younger than that is left alone.
pub(crate) const PERIOD: Duration = Duration::from_millis(4);

/// A message that runs longer loses its lane.
pub(crate) const SLICE: Duration = Duration::from_millis(10);

/// Messages shorter than this are charged their wall time: reading the thread's CPU clock is a system call.
const CHEAP: Duration = Duration::from_micros(250);

/// A message that goes on for so long after it was stopped is in a call of V8 that cannot be stopped.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// CPU time that a message of the runtime's own may take, and what the runtime does at the end of each message. None of
/// the guest's code is to run there: should any, this is what stops it.
pub const RUNTIME_CPU: Duration = Duration::from_secs(2);

/// The message that a thread runs.
pub(crate) struct Watch {
    meter: Option<Arc<Meter>>,
    /// The thread's CPU clock when the watchdog first saw this message.
    first_seen: Option<Duration>,
    /// What it showed when the watchdog last looked.
    last_seen: Duration,
    detached: bool,
    /// How long it had run when it was first stopped.
    stopped: Option<Duration>,
    /// CPU time that it had taken when it was last stopped.
    spent: Duration,
    stuck: bool,
}

/// What became of a message that is over.
#[derive(Default)]
pub(crate) struct Finished {
    /// What it is charged to.
    pub(crate) meter: Option<Arc<Meter>>,
    pub(crate) stopped: bool,
    /// CPU time that it had taken when it was stopped, by the watchdog's clock.
    spent: Duration,
    /// It was counted as stuck.
    pub(crate) stuck: bool,
}

/// What is to be done about a message.
#[derive(Default)]
pub(crate) struct Verdict {
    /// It is past its budget: stop it. Given at each look: what was stopped may have gone on with what it had queued.
    pub(crate) stop: Option<Stop>,
    /// It outlived its slice just now: it loses its lane and its priority.
    pub(crate) detach: bool,
    /// It was found just now not to stop: the process goes on without its thread.
    pub(crate) stuck: bool,
}

/// Why a message is stopped, and who is to be told.
pub(crate) enum Stop {
    /// It is past its meter's budget, with this much that is not charged yet.
    Budget(Arc<Meter>, Duration),
    /// It is the runtime's own, and has taken more than [`RUNTIME_CPU`]: its isolate ends.
    Runtime,
}

impl Watch {
    /// A message begins on a thread that ran `before`: one that lost its lane stays detached for the rest of its turn.
    pub(crate) fn begin(before: Option<&Self>, meter: Option<Arc<Meter>>) -> Self {
        let detached = before.is_some_and(Self::is_detached);
        Self {
            meter,
            first_seen: None,
            last_seen: Duration::ZERO,
            detached,
            stopped: None,
            spent: Duration::ZERO,
            stuck: false,
        }
    }

    /// Judges a message that has run for `wall`; `cpu` reads the CPU clock of its thread.
    pub(crate) fn judge(&mut self, wall: Duration, cpu: impl FnOnce() -> Duration) -> Verdict {
        if wall < PERIOD {
            return Verdict::default();
        }
        let now = cpu();
        self.last_seen = now;
        let first = *self.first_seen.get_or_insert(now.saturating_sub(wall));
        let spent = wall.min(now.saturating_sub(first));
        let stop = match &self.meter {
            Some(meter) => meter.would_exceed(spent).then(|| Stop::Budget(meter.clone(), spent)),
            None => (spent > RUNTIME_CPU).then_some(Stop::Runtime),
        };
        if stop.is_some() {
            self.stopped.get_or_insert(wall);
            self.spent = spent;
        }
        let stuck = !self.stuck && self.stopped.is_some_and(|since| wall > since + PATIENCE);
        self.stuck |= stuck;
        let detach = wall > SLICE && !self.detached;
        self.detached |= detach;
        Verdict { stop, detach, stuck }
    }

    /// What the thread's CPU clock showed at the last look: what it shows still, if the message is paused since.
    pub(crate) fn last_seen(&self) -> Duration {
        self.last_seen
    }

    /// CPU time of the message, as of the last look.
    pub(crate) fn spent(&self) -> Duration {
        self.first_seen.map_or(Duration::ZERO, |first| self.last_seen.saturating_sub(first))
    }

    /// What it is charged to.
    pub(crate) fn meter(&self) -> Option<&Arc<Meter>> {
        self.meter.as_ref()
    }

    /// The message is over. What is left remembers until the end of the turn that the lane was lost, and watches over
    /// what the runtime does behind the message.
    pub(crate) fn finish(&mut self) -> Finished {
        self.first_seen = None;
        Finished {
            meter: self.meter.take(),
            stopped: self.stopped.take().is_some(),
            spent: self.spent,
            stuck: std::mem::take(&mut self.stuck),
        }
    }

    /// The thread will never come back: its lane needs another. False: it has one.
    pub(crate) fn lose(&mut self) -> bool {
        !std::mem::replace(&mut self.detached, true)
    }

    pub(crate) fn is_detached(&self) -> bool {
        self.detached
    }

    /// Whether it is counted as stuck.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck
    }
}

impl Finished {
    /// Charges the message, which ran for `wall`; `cpu` gives the CPU time since the last one that was asked for. Where
    /// it was stopped, whoever waits has been told why when this returns: the watchdog may not have come to that yet, and
    /// by the clock of the thread itself the budget may have been kept.
    pub(crate) fn charge(&self, wall: Duration, cpu: impl FnOnce() -> Duration) {
        let Some(meter) = &self.meter else { return };
        meter.charge(if wall < CHEAP { wall } else { wall.min(cpu()) });
        if self.stopped {
            meter.exceed_with(self.spent);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn whoever_waits_is_told_before_a_stopped_message_is_over() {
        let told = Arc::new(AtomicBool::new(false));
        let meter = Arc::new(Meter::new(Duration::from_millis(5)));
        let tell = told.clone();
        meter.on_over(move |_| tell.store(true, Ordering::Relaxed));
        let mut watch = Watch::begin(None, Some(meter));
        let wall = Duration::from_millis(6);
        assert!(watch.judge(wall, || wall).stop.is_some(), "the watchdog is about to tell");
        watch.finish().charge(wall, || Duration::from_micros(4_900));
        assert!(told.load(Ordering::Relaxed));
    }

    #[test]
    fn what_has_no_meter_is_stopped_too() {
        let mut watch = Watch::begin(None, None);
        assert!(watch.judge(RUNTIME_CPU, || RUNTIME_CPU).stop.is_none());
        let wall = RUNTIME_CPU + PERIOD;
        assert!(matches!(watch.judge(wall, || wall).stop, Some(Stop::Runtime)));
    }

    #[test]
    fn what_the_runtime_does_behind_a_message_has_a_time_of_its_own() {
        let meter = Arc::new(Meter::new(RUNTIME_CPU * 4));
        let mut watch = Watch::begin(None, Some(meter));
        let clock = RUNTIME_CPU * 2;
        assert!(watch.judge(clock, || clock).stop.is_none());
        assert!(!watch.finish().stopped);
        // It begins again, at the clock's 4 s.
        assert!(watch.judge(PERIOD, || clock + PERIOD).stop.is_none());
        let wall = RUNTIME_CPU + PERIOD;
        assert!(watch.judge(wall, || clock + wall).stop.is_some());
    }
}
