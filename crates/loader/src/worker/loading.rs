//! Where a named child's code comes from: whose callback is called, and what becomes of those who wait beside it.

use std::sync::{MutexGuard, PoisonError};

use atoll_rpc::object::CONTEXT_GONE;
use atoll_web::fetcher::RemoteError;

use super::{WeakWorker, Worker};
use crate::code::WorkerCode;
use crate::limits;
use crate::line::{Joined, Left, Line, Ticket};

/// Tells one who asked: true, that its callback is to be called; false, that it is not needed any more.
pub(crate) type Turn = Box<dyn FnOnce(bool) + Send>;

/// Held by the context of one who asked: should that end first, the next one's callback is called.
pub(crate) struct LoadGuard {
    worker: WeakWorker,
    ticket: Ticket,
}

impl Drop for LoadGuard {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.upgrade() {
            worker.leave_line(self.ticket);
        }
    }
}

impl LoadGuard {
    /// The Worker that waits for code, where it still does.
    pub(crate) fn worker(&self) -> Option<Worker> {
        self.worker.upgrade()
    }

    /// The callback gave its code: the Worker starts, unless it has other code by now.
    pub(crate) fn give(&self, code: WorkerCode) {
        let Some(worker) = self.worker.upgrade() else { return };
        let others = worker.line().give(self.ticket);
        if let Some(others) = others {
            worker.start(code);
            others.into_iter().for_each(|other| other(false));
        }
    }

    /// The callback failed. With all who wait the load fails, unless others are at it.
    pub(crate) fn fail(&self, error: RemoteError) {
        let Some(worker) = self.worker.upgrade() else { return };
        let others = worker.line().fail(self.ticket);
        if let Some(others) = others {
            worker.fail(error);
            others.into_iter().for_each(|other| other(false));
        }
    }
}

impl Worker {
    fn line(&self) -> MutexGuard<'_, Line<Turn>> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stands in line with a callback for its code. Gives a guard where the callback may be needed; the turn back, where
    /// the load has failed and is to be begun anew.
    pub(crate) fn stand_in_line(&self, turn: Turn) -> Result<Option<LoadGuard>, Turn> {
        let joined = self.line().join(turn);
        let ticket = match joined {
            Joined::Given => return Ok(None),
            Joined::Failed(turn) => return Err(turn),
            Joined::Turn(ticket, turn) => {
                turn(true);
                ticket
            }
            Joined::Waits(ticket) => ticket,
        };
        self.time_turn();
        Ok(Some(LoadGuard { worker: self.downgrade(), ticket }))
    }

    fn leave_line(&self, ticket: Ticket) {
        let left = self.line().leave(ticket);
        match left {
            Left::Nothing => {}
            Left::Turn(turn) => {
                turn(true);
                self.time_turn();
            }
            Left::Nobody => self.fail(RemoteError::error(CONTEXT_GONE)),
        }
    }

    /// While others wait, a callback has [`limits::LOAD_TURN`] for itself.
    fn time_turn(&self) {
        let Some(ticket) = self.line().take_time() else { return };
        let (worker, clock) = (self.downgrade(), self.0.runtime.host.clock.clone());
        self.0.runtime.scheduler.spawn(self.0.home, async move {
            clock.sleep(limits::LOAD_TURN).await;
            let Some(worker) = worker.upgrade() else { return };
            let next = worker.line().overdue(ticket);
            if let Some(turn) = next {
                turn(true);
            }
            worker.time_turn();
        });
    }
}
