//! What holds after each step of the simulation, and at its end.

use std::sync::atomic::Ordering;

use super::{End, Pending, State, Thread, Watch, World};
use crate::scheduler::lane::Lane;

/// Interleavings of one run of the test, and steps of each before no more mail comes from outside.
const SEEDS: u64 = 2_000;
const STEPS: usize = 600;

impl World {
    pub(super) fn check(&self) {
        let queues: Vec<Vec<usize>> = self.lanes.iter().map(Lane::queued).collect();
        for (id, actor) in self.actors.iter().enumerate() {
            let queued = queues.iter().flatten().filter(|queued| **queued == id).count();
            let on_its_way =
                self.pending.iter().filter(|p| matches!(p, Pending::Put(_, a) if *a == id)).count();
            let locked =
                self.threads.iter().filter(|t| matches!(t.state, State::Locked(a) if a == id)).count();
            let running = actor.run_by.is_some_and(|index| !self.threads[index].is_leaving());
            let places = queued + on_its_way + locked + usize::from(running);
            // A closed one stays scheduled after its last turn.
            let wanted = usize::from(actor.mailbox.is_scheduled() && actor.disposed == 0);
            assert_eq!(places, wanted, "isolate {id} is where it should not be, or lost");
            assert!(actor.mailbox.len() == 0 || actor.mailbox.is_scheduled(), "mail of isolate {id} is lost");
            assert!(actor.disposed <= 1, "the heap of isolate {id} is dropped twice");
        }
        for (lane, queue) in queues.iter().enumerate() {
            let serving = self.threads.iter().filter(|thread| thread.lane == lane && thread.serves());
            let (serving, orphans) =
                (serving.collect::<Vec<_>>(), self.orphaned.iter().filter(|o| **o == lane).count());
            assert_eq!(serving.len() + orphans, 1, "lane {lane} is served by {} threads", serving.len());
            let asleep = serving.iter().any(|thread| thread.is_asleep());
            let hint = self.pending.iter().any(|p| matches!(p, Pending::Rouse(l, _) if *l == lane));
            assert!(!asleep || queue.is_empty() || hint, "lane {lane} sleeps beside its queue");
            self.check_sharing(&queues);
        }
    }

    /// While all that is under way are turns, the other lanes do not all sleep beside a long queue. One can, for
    /// a turn: a lane that was woken to share the queue may have found mail of its own.
    fn check_sharing(&self, queues: &[Vec<usize>]) {
        let settled = |thread: &Thread| match thread.state {
            State::Look | State::Doze | State::LookAgain => false,
            State::Parked => thread.is_asleep(),
            _ => true,
        };
        if !self.pending.is_empty() || !self.threads.iter().all(settled) {
            return;
        }
        let asleep: Vec<_> = self.threads.iter().filter(|thread| thread.is_asleep()).collect();
        let others_sleep = !asleep.is_empty() && asleep.len() + 1 == self.lanes.len();
        let long = queues.iter().any(|queue| queue.len() > 1);
        assert!(!others_sleep || !long, "all lanes sleep beside the long queue of one");
    }

    /// No more mail from outside: all that can end does.
    fn settle(&mut self) {
        self.quiet = true;
        for _ in 0..200_000 {
            let busy = self.threads.iter().any(|thread| thread.running.is_some());
            let scheduled = self.actors.iter().any(|a| a.mailbox.is_scheduled() && a.disposed == 0);
            if !busy && !scheduled && self.pending.is_empty() && self.orphaned.is_empty() {
                return;
            }
            self.step();
        }
        panic!("mail is left after 200,000 steps");
    }

    /// The process ends: what is paused ends at once.
    fn shut_down(&mut self) {
        self.stop();
        for _ in 0..10 {
            (0..self.threads.len()).for_each(|index| self.step_thread(index));
        }
        for thread in &self.threads {
            assert!(!matches!(thread.state, State::Paused), "a paused turn is left behind");
        }
    }

    fn check_callers(&self) {
        for caller in &self.callers {
            assert_eq!(caller.told.load(Ordering::Relaxed), 1, "a caller is told exactly once");
        }
        for invocation in &self.invocations {
            let over = u32::from(invocation.meter.is_over());
            assert_eq!(invocation.callers.over.load(Ordering::Relaxed), over, "a budget is passed once");
            assert!(
                over == 1 || invocation.meter.used() <= invocation.meter.limit(),
                "a passed budget goes unnoticed"
            );
        }
    }
}

impl Thread {
    fn serves(&self) -> bool {
        let detached = self.seen.as_ref().or(self.running.as_ref().map(|running| &running.watch));
        !matches!(self.state, State::Gone) && !detached.is_some_and(Watch::is_detached)
    }

    /// It has found no more mail: from now on the isolate can be queued again.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.state, State::After(_, End::Idle))
    }

    fn is_asleep(&self) -> bool {
        matches!(self.state, State::Parked) && !self.woken.0.load(Ordering::SeqCst)
    }
}

/// Says how to run a failure again.
struct Seed(u64);

#[expect(clippy::print_stderr, reason = "a failed test says how to run it again")]
impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the simulation failed: run it again with ATOLL_SEED={}", self.0);
        }
    }
}

#[test]
fn lanes_budgets_and_mail_hold_in_every_order() {
    let given = std::env::var("ATOLL_SEED").ok().map(|text| text.parse().expect("ATOLL_SEED is a number"));
    let first = given.unwrap_or_else(|| fastrand::u64(..));
    for seed in (0..if given.is_some() { 1 } else { SEEDS }).map(|n| first.wrapping_add(n)) {
        let seed = Seed(seed);
        let mut world = World::new(seed.0);
        (0..STEPS).for_each(|_| world.step());
        if seed.0.is_multiple_of(8) {
            world.shut_down();
            continue;
        }
        world.settle();
        assert_eq!(world.rota.len(), 0, "all long turns have ended");
        world.check_callers();
    }
}
