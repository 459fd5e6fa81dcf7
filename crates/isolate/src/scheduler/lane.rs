//! One lane: a queue of isolates with mail, and the tokio runtime that their I/O runs on.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::actor::Isolate;

/// Turns in a row before the lane looks at its I/O again.
const TURNS_BEFORE_IO: u32 = 8;

pub(super) struct Lane {
    pub(super) runtime: tokio::runtime::Runtime,
    queue: Mutex<VecDeque<Isolate>>,
    waker: Mutex<Option<Waker>>,
    idle: AtomicBool,
    turns: AtomicU32,
}

impl Lane {
    pub(super) fn new() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self {
            runtime,
            queue: Mutex::default(),
            waker: Mutex::default(),
            idle: AtomicBool::new(false),
            turns: AtomicU32::new(0),
        })
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Isolate>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an isolate. True: the lane is busy and others wait in its queue too.
    pub(super) fn push(&self, isolate: Isolate) -> bool {
        let mut queue = self.queue();
        queue.push_back(isolate);
        let crowded = queue.len() > 1;
        drop(queue);
        !self.wake_if_idle() && crowded
    }

    pub(super) fn wake_if_idle(&self) -> bool {
        if !self.idle.load(Ordering::SeqCst) || !self.idle.swap(false, Ordering::SeqCst) {
            return false;
        }
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// The next isolate to run; none when the scheduler stops. Lets I/O run in between.
    pub(super) async fn next(&self, lanes: &[Self], stopped: &AtomicBool) -> Option<Isolate> {
        poll_fn(|cx| self.poll_next(cx, lanes, stopped)).await
    }

    fn poll_next(&self, cx: &mut Context<'_>, lanes: &[Self], stopped: &AtomicBool) -> Poll<Option<Isolate>> {
        if stopped.load(Ordering::Acquire) {
            return Poll::Ready(None);
        }
        if self.turns.fetch_add(1, Ordering::Relaxed) >= TURNS_BEFORE_IO {
            self.turns.store(0, Ordering::Relaxed);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(isolate) = self.take(lanes) {
            return Poll::Ready(Some(isolate));
        }
        self.turns.store(0, Ordering::Relaxed);
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        self.idle.store(true, Ordering::SeqCst);
        // Somebody may have pushed, or stopped the scheduler, before they could see that the lane is idle.
        if stopped.load(Ordering::Acquire) {
            return Poll::Ready(None);
        }
        match self.take(lanes) {
            Some(isolate) => {
                self.idle.store(false, Ordering::SeqCst);
                Poll::Ready(Some(isolate))
            }
            None => Poll::Pending,
        }
    }

    fn take(&self, lanes: &[Self]) -> Option<Isolate> {
        if let Some(isolate) = self.queue().pop_front() {
            return Some(isolate);
        }
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
