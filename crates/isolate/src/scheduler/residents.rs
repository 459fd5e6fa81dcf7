//! The isolates that a lane's thread runs again and again, as two that call each other: it resides in their heaps for
//! a while.

use crate::actor::Isolate;
use crate::residence::Residence;

/// Turns on end, with no more than [`MOST`] isolates taking turns, after which the thread resides in a heap: beginning
/// and ending it costs as much as two turns gain.
const TURNS: u32 = 4;
const MOST: usize = 4;

/// Of one thread.
#[derive(Default)]
pub(super) struct Residents {
    recent: Vec<Resident>,
    /// Another thread was in the heap when these were to leave.
    overdue: Vec<Resident>,
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
        if known.turns == TURNS && !self.overdue.iter().any(|r| r.isolate.same(isolate)) {
            known.residence = isolate.reside();
        }
    }

    /// This isolate ends.
    pub(super) fn ends(&mut self, isolate: &Isolate) {
        for list in [&mut self.recent, &mut self.overdue] {
            if let Some(index) = list.iter().position(|r| r.isolate.same(isolate)) {
                list.remove(index).leave();
            }
        }
    }

    /// All leave.
    pub(super) fn clear(&mut self) {
        while let Some(last) = self.recent.pop() {
            self.leaves(last);
        }
        if !self.overdue.is_empty() {
            let overdue = std::mem::take(&mut self.overdue);
            overdue.into_iter().for_each(|resident| self.leaves(resident));
        }
    }

    fn leaves(&mut self, resident: Resident) {
        self.overdue.extend(resident.leave());
    }
}

impl Resident {
    /// Given back where that has to wait.
    fn leave(mut self) -> Option<Self> {
        let residence = self.residence.take()?;
        self.residence = self.isolate.leave(residence);
        self.residence.is_some().then_some(self)
    }
}
