//! A simulation of those who ask for one named child before it has its code: they come, leave, hang, give code and fail in
//! any order. The line of a Worker runs as it is.

use super::{Seed, seeds};
use crate::line::{Joined, Left, Line, Ticket};

const STEPS: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waits,
    /// Its callback runs.
    Called,
    /// Told that it need not give code.
    Told,
    Gone,
}

struct Caller {
    ticket: Ticket,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Open,
    Given,
    Failed,
}

struct World {
    random: fastrand::Rng,
    line: Line<usize>,
    callers: Vec<Caller>,
    load: Load,
    /// Tickets whose time runs.
    timers: Vec<Ticket>,
    /// Whose turn it is.
    current: Option<usize>,
    /// How often another's callback was called than that of the first who asked.
    passed_on: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            line: Line::default(),
            callers: Vec::new(),
            load: Load::Open,
            timers: Vec::new(),
            current: None,
            passed_on: 0,
        }
    }

    fn in_state(&self, state: State) -> Vec<usize> {
        (0..self.callers.len()).filter(|index| self.callers[*index].state == state).collect()
    }

    fn any(&mut self, state: State) -> Option<usize> {
        let all = self.in_state(state);
        self.random.choice(all)
    }

    fn time(&mut self) {
        self.timers.extend(self.line.take_time());
    }

    // As the methods of `Worker` and its guards.

    fn ask(&mut self) {
        let index = self.callers.len();
        let (ticket, state) = match self.line.join(index) {
            Joined::Turn(ticket, whom) => {
                assert_eq!(whom, index);
                assert!(self.in_state(State::Waits).is_empty(), "one who comes late is called first");
                self.current = Some(index);
                (ticket, State::Called)
            }
            Joined::Waits(ticket) => (ticket, State::Waits),
            Joined::Given => return assert_eq!(self.load, Load::Given),
            Joined::Failed(_) => {
                assert_eq!(self.load, Load::Failed);
                // It is forgotten: whoever comes now begins anew.
                *self = Self { passed_on: self.passed_on, random: self.random.clone(), ..Self::new(0) };
                return;
            }
        };
        self.callers.push(Caller { ticket, state });
        self.time();
    }

    /// The next one's callback is called.
    fn call(&mut self, index: usize) {
        assert_eq!(Some(index), self.in_state(State::Waits).first().copied(), "not the first is called");
        self.callers[index].state = State::Called;
        self.current = Some(index);
        self.passed_on += 1;
        self.time();
    }

    fn leave(&mut self, index: usize) {
        self.callers[index].state = State::Gone;
        self.current = self.current.filter(|current| *current != index);
        match self.line.leave(self.callers[index].ticket) {
            Left::Nothing => {}
            Left::Turn(next) => self.call(next),
            Left::Nobody => {
                assert!(self.in_state(State::Waits).is_empty(), "those who wait are left alone");
                assert!(self.in_state(State::Called).is_empty(), "a load fails while a callback runs");
                self.load = Load::Failed;
            }
        }
    }

    fn time_is_up(&mut self) {
        if self.timers.is_empty() {
            return;
        }
        let timer = self.random.usize(..self.timers.len());
        let ticket = self.timers.swap_remove(timer);
        if let Some(next) = self.line.overdue(ticket) {
            self.call(next);
        }
        self.time();
    }

    fn end(&mut self, load: Load, told: Vec<usize>) {
        assert_eq!(self.load, Load::Open, "a load ends twice");
        self.load = load;
        assert_eq!(told, self.in_state(State::Waits), "not all who wait are told, or others");
        told.into_iter().for_each(|index| self.callers[index].state = State::Told);
    }

    fn give(&mut self, index: usize) {
        match self.line.give(self.callers[index].ticket) {
            Some(told) => self.end(Load::Given, told),
            None => assert_ne!(self.load, Load::Open, "code is not taken"),
        }
        self.callers[index].state = State::Told;
    }

    fn fail(&mut self, index: usize) {
        let decides = self.current == Some(index) || self.in_state(State::Called) == [index];
        match self.line.fail(self.callers[index].ticket) {
            Some(told) => self.end(Load::Failed, told),
            None => assert!(!decides || self.load != Load::Open, "a failure is kept from those who wait"),
        }
        self.callers[index].state = State::Told;
    }

    fn step(&mut self) {
        match self.random.u8(..20) {
            0..=6 => self.ask(),
            7..=9 => {
                let state = if self.random.bool() { State::Waits } else { State::Called };
                if let Some(index) = self.any(state) {
                    self.leave(index);
                }
            }
            10..=16 => self.time_is_up(),
            17 => {
                if let Some(index) = self.any(State::Called) {
                    self.give(index);
                }
            }
            _ if self.random.bool() => {
                if let Some(index) = self.any(State::Called) {
                    self.fail(index);
                }
            }
            _ => {}
        }
        self.check();
    }

    fn check(&self) {
        let waits = !self.in_state(State::Waits).is_empty();
        assert!(!waits || self.load == Load::Open, "one waits although the load has ended");
        if waits {
            assert!(!self.in_state(State::Called).is_empty(), "one waits and no callback runs");
            assert!(!self.timers.is_empty(), "one waits for a callback that may never end");
        }
    }

    /// Whoever is called hangs: the others are called one after the other, and the last one gives code.
    fn settle(&mut self) {
        while !self.in_state(State::Waits).is_empty() {
            assert!(!self.timers.is_empty(), "one waits for ever");
            self.time_is_up();
            self.check();
        }
        if let Some(last) = self.in_state(State::Called).last().copied().filter(|_| self.load == Load::Open) {
            self.give(last);
            assert_eq!(self.load, Load::Given);
        }
    }
}

#[test]
fn a_load_belongs_to_whoever_still_waits() {
    let mut passed_on = 0;
    let all = seeds();
    let many = all.size_hint().0 > 1;
    for seed in all {
        let seed = Seed(seed);
        let mut world = World::new(seed.0);
        (0..STEPS).for_each(|_| world.step());
        world.settle();
        passed_on += world.passed_on;
    }
    assert!(passed_on > 0 || !many, "no load was passed on: the simulation reaches too little");
}
