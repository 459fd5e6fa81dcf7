//! How much CPU time V8's own tasks may take in an isolate: finalisation callbacks among them are the guest's code, and
//! they run for no invocation, also when none is there any more.

use std::time::{Duration, Instant};

/// The most that may be left, which is what a single task may take, too.
pub const TASK_CPU: Duration = Duration::from_secs(1);

/// What each millisecond of an invocation adds, in milliseconds: garbage collection is tasks, too, and one that made much
/// garbage in a short time may need more for it than it took.
const EARNED: u32 = 10;

/// One part of so many of the time that passes is added as well: V8 collects in isolates that do nothing.
const PASSING: u32 = 20;

/// CPU time that tasks may still take.
pub(crate) struct Allowance {
    left: Duration,
    looked: Instant,
}

impl Allowance {
    pub(crate) fn new(now: Instant) -> Self {
        Self { left: TASK_CPU, looked: now }
    }

    /// Messages of invocations took this much.
    pub(crate) fn earn(&mut self, spent: Duration) {
        if self.left < TASK_CPU {
            self.left = TASK_CPU.min(self.left + spent.min(TASK_CPU) * EARNED);
        }
    }

    /// A task took this much. False: more than was left.
    pub(crate) fn take(&mut self, spent: Duration, now: Instant) -> bool {
        let passed = now.saturating_duration_since(std::mem::replace(&mut self.looked, now));
        self.left = TASK_CPU.min(self.left + passed / PASSING);
        let left = self.left.checked_sub(spent);
        self.left = left.unwrap_or_default();
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: Duration = Duration::from_millis(400);

    #[test]
    fn tasks_one_after_the_other_come_to_an_end() {
        let now = Instant::now();
        let mut tasks = Allowance::new(now);
        let taken: Vec<bool> = (1..6).map(|n| tasks.take(PIECE, now + PIECE * n)).collect();
        assert_eq!(taken, [true, true, false, false, false]);
    }

    #[test]
    fn invocations_and_time_add_to_what_is_left() {
        let now = Instant::now();
        let mut tasks = Allowance::new(now);
        assert!(tasks.take(TASK_CPU, now));
        tasks.earn(PIECE / EARNED);
        assert!(tasks.take(PIECE, now));
        assert!(!tasks.take(PIECE, now));
        assert!(tasks.take(PIECE, now + PIECE * PASSING));
        tasks.earn(Duration::from_secs(60));
        assert!(!tasks.take(TASK_CPU * 2, now + Duration::from_secs(3600)), "what is left has a bound");
    }
}
