//! Which of the turns that lost their lanes may run: few at a time, for a slice of CPU time each; the others are paused
//! until it is their turn again. A pure structure: CPU times are passed in, and the simulation runs the same code.
//!
//! V8 pauses code only where that looks for interrupts. So a turn that is to pause is *asked* to, and counts as running
//! until it does. One that runs on for long after it was asked is *deaf* (in a call of V8 that cannot be interrupted):
//! where only deaf ones run, one more may, or the others would wait for those.

use std::collections::VecDeque;
use std::time::Duration;

/// CPU time after which a turn makes room for one that waits.
pub(crate) const SHARE: Duration = Duration::from_millis(20);

/// CPU time after which a turn that was asked to pause counts as deaf.
const HEARING: Duration = Duration::from_millis(20);

/// The turns `T` that lost their lanes.
pub(crate) struct Rota<T> {
    places: usize,
    members: Vec<Member<T>>,
    /// Paused turns that have had no slice yet: most messages that outlive a lane's slice are over soon after.
    fresh: VecDeque<T>,
    /// Paused turns that had one.
    waiting: VecDeque<T>,
    /// The last one that may run was a fresh one; both kinds take turns.
    gave_fresh: bool,
    open: bool,
}

struct Member<T> {
    turn: T,
    state: State,
    /// It had a slice.
    served: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Since its CPU clock showed this.
    Runs(Duration),
    /// To pause, likewise.
    Asked(Duration),
    Deaf,
    Paused,
}

impl<T: Clone + PartialEq> Rota<T> {
    /// So many may run at a time.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: places.max(1),
            members: Vec::new(),
            fresh: VecDeque::new(),
            waiting: VecDeque::new(),
            gave_fresh: false,
            open: false,
        }
    }

    /// Turns that are under way.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    fn member(&mut self, turn: &T) -> Option<&mut Member<T>> {
        self.members.iter_mut().find(|member| member.turn == *turn)
    }

    fn running(&self) -> usize {
        self.members.iter().filter(|member| member.state != State::Paused).count()
    }

    fn somebody_waits(&self) -> bool {
        !self.fresh.is_empty() || !self.waiting.is_empty()
    }

    /// A turn has just lost its lane; its CPU clock shows `cpu`. Whether there is a place: otherwise it is to pause.
    pub(crate) fn joins(&mut self, turn: T, cpu: Duration) -> bool {
        let free = self.open || (self.running() < self.places && !self.somebody_waits());
        let state = if free { State::Runs(cpu) } else { State::Asked(cpu) };
        self.members.push(Member { turn, state, served: free });
        free
    }

    /// A turn can pause at this moment. True: it is to, until it [may run](Rota::may_run).
    pub(crate) fn pauses(&mut self, turn: &T) -> bool {
        let crowded = self.somebody_waits() || self.running() > self.places;
        let Some(member) = self.member(turn) else { return false };
        if !matches!(member.state, State::Asked(_) | State::Deaf) {
            return false;
        }
        if !crowded {
            // Those that waited have gone in the meantime. Its slice is looked at again.
            member.state = State::Runs(Duration::ZERO);
            member.served = true;
            return false;
        }
        member.state = State::Paused;
        let queue = if member.served { &mut self.waiting } else { &mut self.fresh };
        queue.push_back(turn.clone());
        true
    }

    /// Whether it is not paused.
    pub(crate) fn may_run(&self, turn: &T) -> bool {
        !self.members.iter().any(|member| member.turn == *turn && member.state == State::Paused)
    }

    /// A turn that is being ended goes on now, whether there is a place or not: there is nothing left for it to do. True:
    /// it was paused.
    pub(crate) fn release(&mut self, turn: &T, cpu: Duration) -> bool {
        let Some(member) = self.member(turn) else { return false };
        if member.state != State::Paused {
            return false;
        }
        member.state = State::Asked(cpu);
        member.served = true;
        self.unqueue(turn);
        true
    }

    /// A turn is over, or will never go on.
    pub(crate) fn leaves(&mut self, turn: &T) {
        self.members.retain(|member| member.turn != *turn);
        self.unqueue(turn);
    }

    fn unqueue(&mut self, turn: &T) {
        self.fresh.retain(|paused| paused != turn);
        self.waiting.retain(|paused| paused != turn);
    }

    /// Asks turns to pause whose slice is over, where others wait. `cpu` reads the CPU clock of a turn that runs. Gives
    /// those that were found just now not to hear.
    pub(crate) fn rotate(&mut self, cpu: impl Fn(&T) -> Duration) -> Vec<T> {
        let mut deaf = Vec::new();
        let mut wanted = self.fresh.len() + self.waiting.len();
        for member in &mut self.members {
            match member.state {
                State::Runs(since) if wanted > 0 => {
                    let now = cpu(&member.turn);
                    if now >= since + SHARE {
                        member.state = State::Asked(now);
                        wanted -= 1;
                    }
                }
                State::Asked(since) if cpu(&member.turn) >= since + HEARING => {
                    member.state = State::Deaf;
                    deaf.push(member.turn.clone());
                }
                _ => {}
            }
        }
        deaf
    }

    /// The paused turns that may run from now on; `cpu` reads their CPU clocks.
    pub(crate) fn admit(&mut self, cpu: impl Fn(&T) -> Duration) -> Vec<T> {
        let mut admitted = Vec::new();
        while self.somebody_waits() && (self.open || self.has_place()) {
            let fresh_first = !self.gave_fresh || self.waiting.is_empty();
            let next = if fresh_first { self.fresh.pop_front() } else { None };
            self.gave_fresh = next.is_some();
            let Some(next) = next.or_else(|| self.waiting.pop_front()) else { continue };
            if let Some(member) = self.member(&next) {
                member.state = State::Runs(cpu(&next));
                member.served = true;
                admitted.push(next);
            }
        }
        admitted
    }

    fn has_place(&self) -> bool {
        let hears = |member: &&Member<T>| matches!(member.state, State::Runs(_) | State::Asked(_));
        self.running() < self.places || self.members.iter().filter(hears).count() == 0
    }

    /// From now on all may run: the scheduler ends.
    pub(crate) fn open(&mut self) {
        self.open = true;
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        let paused = self.members.iter().filter(|member| member.state == State::Paused);
        assert_eq!(paused.count(), self.fresh.len() + self.waiting.len(), "what is paused waits, once");
        let running = self.members.iter().filter(|member| matches!(member.state, State::Runs(_))).count();
        assert!(self.open || running <= self.places, "{running} run at a time");
        assert!(self.open || !self.somebody_waits() || self.running() > 0, "all wait, none runs");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::ZERO;

    fn after(ms: u64) -> impl Fn(&u32) -> Duration {
        move |_| Duration::from_millis(ms)
    }

    /// With `places`, turns 1 to `n` of which the others are paused.
    fn crowd(places: usize, n: u32) -> Rota<u32> {
        let mut rota = Rota::new(places);
        for turn in 1..=n {
            rota.joins(turn, START);
            assert_eq!(rota.pauses(&turn), turn as usize > places);
        }
        rota
    }

    #[test]
    fn turns_take_turns() {
        let mut rota = crowd(1, 3);
        let mut order = vec![1];
        for round in 1..7 {
            rota.rotate(after(20 * round));
            assert!(rota.pauses(order.last().unwrap()));
            order.extend(rota.admit(after(20 * round)));
            rota.check();
        }
        // Those that had no slice yet and those that had take turns.
        assert_eq!(order, [1, 2, 1, 3, 2, 1, 3]);
    }

    #[test]
    fn a_turn_keeps_its_place_while_nobody_waits() {
        let mut rota = crowd(2, 2);
        rota.rotate(after(1_000));
        assert!(!rota.pauses(&1) && rota.admit(after(1_000)).is_empty());
    }

    #[test]
    fn others_do_not_wait_for_the_deaf() {
        let mut rota = crowd(2, 4);
        // Both are asked, and neither hears.
        rota.rotate(after(20));
        rota.rotate(after(39));
        assert!(rota.admit(after(39)).is_empty());
        rota.rotate(after(40));
        assert_eq!(rota.admit(after(40)), [3]);
        rota.check();
        rota.rotate(after(60));
        assert!(rota.pauses(&3));
        assert_eq!(rota.admit(after(60)), [3], "one that had a slice, after one that had none");
        rota.rotate(after(80));
        assert!(rota.pauses(&3));
        assert_eq!(rota.admit(after(80)), [4]);
        // One that hears after all waits with the others.
        assert!(rota.pauses(&1));
        rota.leaves(&2);
        assert_eq!(rota.admit(after(80)), [3]);
    }

    #[test]
    fn what_ends_does_not_wait() {
        let mut rota = crowd(1, 3);
        assert!(rota.release(&3, START) && rota.may_run(&3) && !rota.may_run(&2));
        rota.check();
        rota.leaves(&3);
        rota.leaves(&1);
        assert_eq!(rota.admit(after(1)), [2]);
        rota.joins(4, START);
        assert!(rota.pauses(&4));
        rota.open();
        assert_eq!(rota.admit(after(1)), [4]);
    }
}
