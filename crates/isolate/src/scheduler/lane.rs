//! One lane: a queue of what is to have a turn (isolates that have mail), and the waker of the thread that serves it.
//! Nothing here knows what an item is or which time it is: the simulation runs the same code.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Turns in a row before the lane looks at its I/O again.
const TURNS_BEFORE_IO: u32 = 8;

pub(crate) struct Lane<T> {
    queue: Mutex<VecDeque<T>>,
    waker: Mutex<Option<Waker>>,
    idle: AtomicBool,
    turns: AtomicU32,
}

/// What a thread that looks for work is to do.
pub(crate) enum Look<T> {
    Stop,
    /// Let the lane's I/O run, then look again.
    Io,
    Run(T),
    Nothing,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            queue: Mutex::default(),
            waker: Mutex::default(),
            idle: AtomicBool::new(false),
            turns: AtomicU32::new(0),
        }
    }
}

/// Adds an item to the queue of lane `home`. Where that is busy and has a queue, an idle lane is woken to steal.
pub(crate) fn push<T>(lanes: &[Lane<T>], home: usize, item: T) {
    let crowded = lanes[home].put(item);
    rouse(lanes, home, crowded);
}

/// The second half of a push. `crowded`: others wait in the queue too.
pub(crate) fn rouse<T>(lanes: &[Lane<T>], home: usize, crowded: bool) {
    if !lanes[home].wake_if_idle() && crowded {
        wake_another(lanes, &lanes[home]);
    }
}

/// An idle lane is to share the queue of this one.
fn wake_another<T>(lanes: &[Lane<T>], crowded: &Lane<T>) {
    let _woken = lanes.iter().filter(|lane| !std::ptr::eq(*lane, crowded)).any(Lane::wake_if_idle);
}

impl<T> Lane<T> {
    fn queue(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first half of a push. True: others wait in the queue too.
    pub(crate) fn put(&self, item: T) -> bool {
        let mut queue = self.queue();
        queue.push_back(item);
        queue.len() > 1
    }

    pub(crate) fn wake_if_idle(&self) -> bool {
        if !self.idle.load(Ordering::SeqCst) || !self.idle.swap(false, Ordering::SeqCst) {
            return false;
        }
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// The next item to run; none when the scheduler stops. Lets I/O run in between.
    pub(super) async fn next(&self, lanes: &[Self], stopped: &AtomicBool) -> Option<T> {
        poll_fn(|cx| self.poll_next(cx, lanes, stopped)).await
    }

    fn poll_next(&self, cx: &mut Context<'_>, lanes: &[Self], stopped: &AtomicBool) -> Poll<Option<T>> {
        match self.look(lanes, stopped) {
            Look::Stop => return Poll::Ready(None),
            Look::Run(item) => return Poll::Ready(Some(item)),
            Look::Io => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Look::Nothing => {}
        }
        self.doze(cx.waker());
        match self.look_again(lanes, stopped) {
            Look::Stop => Poll::Ready(None),
            Look::Run(item) => Poll::Ready(Some(item)),
            Look::Io | Look::Nothing => Poll::Pending,
        }
    }

    pub(crate) fn look(&self, lanes: &[Self], stopped: &AtomicBool) -> Look<T> {
        if stopped.load(Ordering::Acquire) {
            return Look::Stop;
        }
        if self.turns.fetch_add(1, Ordering::Relaxed) >= TURNS_BEFORE_IO {
            self.turns.store(0, Ordering::Relaxed);
            return Look::Io;
        }
        self.take(lanes).map_or(Look::Nothing, Look::Run)
    }

    /// The next item, where there is one.
    pub(crate) fn another(&self, lanes: &[Self]) -> Option<T> {
        self.take(lanes)
    }

    /// It is time for the lane's I/O.
    pub(crate) fn look_at_io(&self) {
        self.turns.store(TURNS_BEFORE_IO, Ordering::Relaxed);
    }

    /// There was nothing to run: whoever pushes from now on wakes the thread.
    pub(crate) fn doze(&self, waker: &Waker) {
        self.turns.store(0, Ordering::Relaxed);
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        self.idle.store(true, Ordering::SeqCst);
    }

    /// Somebody may have pushed, or stopped the scheduler, before they could see that the lane is idle.
    pub(crate) fn look_again(&self, lanes: &[Self], stopped: &AtomicBool) -> Look<T> {
        if stopped.load(Ordering::Acquire) {
            return Look::Stop;
        }
        match self.take(lanes) {
            Some(item) => {
                self.idle.store(false, Ordering::SeqCst);
                Look::Run(item)
            }
            None => Look::Nothing,
        }
    }

    #[cfg(test)]
    pub(crate) fn queued(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.queue().iter().cloned().collect()
    }

    fn take(&self, lanes: &[Self]) -> Option<T> {
        let mut queue = self.queue();
        if let Some(item) = queue.pop_front() {
            let crowded = queue.len() > 1;
            drop(queue);
            if crowded {
                // Whoever pushed these may have found this lane idle, and woken no other.
                wake_another(lanes, self);
            }
            return Some(item);
        }
        drop(queue);
        lanes
            .iter()
            .filter(|other| !std::ptr::eq(*other, self) && !other.idle.load(Ordering::Relaxed))
            .find_map(|other| {
                let mut queue = other.queue();
                // The one at the front is about to run there.
                if queue.len() > 1 { queue.pop_back() } else { None }
            })
    }
}
