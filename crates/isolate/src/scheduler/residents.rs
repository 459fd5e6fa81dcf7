//! The isolates that a lane's thread runs again and again, as two that call each other: it resides in their heaps for
//! a while.

use std::time::Duration;

use crate::actor::{Isolate, WeakIsolate};
use crate::residence::Residence;

/// Turns on end, with no more than [`MOST`] isolates taking turns, after which the thread resides in a heap: beginning
/// and ending it costs as much as two turns gain.
const TURNS: u32 = 4;
const MOST: usize = 4;

/// How often a thread that ends looks whether it can leave.
const PAUSE: Duration = Duration::from_millis(5);

/// Of one thread.
#[derive(Default)]
pub(super) struct Residents {
    recent: Vec<Resident>,
    /// Another thread was in the heap when these were to leave.
    overdue: Vec<(WeakIsolate, Residence)>,
}

struct Resident {
    isolate: Isolate,
    turns: u32,
    residence: Option<Residence>,
}

impl Residents {
    /// A turn of this isolate is next.
    pub(super) fn arrives(&mut self, isolate: &Isolate) {
        let Some(known) = self.recent.iter_mut().find(|r| r.isolate.same(isolate)) else {
            if self.recent.len() == MOST {
                let first = self.recent.remove(0);
                self.leaves(first);
            }
            self.recent.push(Resident { isolate: isolate.clone(), turns: 1, residence: None });
            return;
        };
        known.turns += 1;
        if known.turns == TURNS && !self.overdue.iter().any(|(overdue, _)| overdue.is(isolate)) {
            known.residence = isolate.reside();
        }
    }

    /// This isolate ends: it leaves first, for its heap goes now.
    pub(super) fn ends(&mut self, isolate: &Isolate) {
        if let Some(index) = self.recent.iter().position(|r| r.isolate.same(isolate)) {
            let resident = self.recent.remove(index);
            self.leaves(resident);
        }
        self.leave_overdue();
    }

    /// All leave, but where another thread is in the heap.
    pub(super) fn clear(&mut self) {
        while let Some(last) = self.recent.pop() {
            self.leaves(last);
        }
        self.leave_overdue();
    }

    /// All leave: the thread ends, and nobody else can end its residences. Not in a heap whose thread is lost.
    pub(super) fn depart(mut self) {
        self.clear();
        while !self.overdue.is_empty() {
            std::thread::sleep(PAUSE);
            self.overdue
                .retain(|(isolate, _)| isolate.upgrade().is_some_and(|isolate| !isolate.is_over_memory()));
            self.leave_overdue();
        }
    }

    fn leaves(&mut self, resident: Resident) {
        let Resident { isolate, residence: Some(residence), .. } = resident else { return };
        if let Some(residence) = isolate.leave(residence) {
            self.overdue.push((isolate.downgrade(), residence));
        }
    }

    fn leave_overdue(&mut self) {
        for (weak, residence) in std::mem::take(&mut self.overdue) {
            // Without an isolate there is no heap to leave.
            let Some(isolate) = weak.upgrade() else { continue };
            if let Some(residence) = isolate.leave(residence) {
                self.overdue.push((weak, residence));
            }
        }
    }
}
