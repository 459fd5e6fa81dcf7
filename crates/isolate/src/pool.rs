//! The warm pool: blank heaps made ahead of need, each used once; and the place where ended heaps are disposed of.
//! Both cost V8 fractions of a millisecond to some milliseconds, which no turn should wait for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::extension::Startup;
use crate::heap::{Heap, HeapLimits};

/// A pool of blank heaps, filled by a thread of its own.
pub struct Pool {
    startup: &'static Startup,
    limits: HeapLimits,
    target: usize,
    state: Mutex<State>,
    wake: Condvar,
    figures: Figures,
}

/// Ended heaps that may wait for the pool's thread.
const MAX_ENDED: usize = 32;

type Taker = Box<dyn FnOnce(Heap) + Send>;

#[derive(Default)]
struct State {
    blank: VecDeque<Heap>,
    waiting: VecDeque<Taker>,
    ended: Vec<Heap>,
    making: usize,
    closed: bool,
}

#[derive(Default)]
struct Figures {
    made: AtomicU64,
    missed: AtomicU64,
}

impl Pool {
    /// A pool that keeps `target` blank heaps ready. Its thread starts at once.
    pub fn new(startup: &'static Startup, limits: HeapLimits, target: usize) -> Arc<Self> {
        let pool = Arc::new(Self {
            startup,
            limits,
            target,
            state: Mutex::default(),
            wake: Condvar::new(),
            figures: Figures::default(),
        });
        let worker = pool.clone();
        std::thread::Builder::new()
            .name("atoll-pool".into())
            .spawn(move || worker.serve())
            .expect("the system can start a thread at start-up");
        pool
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `take` a blank heap: a warm one at once, on this thread, or, when the pool is empty, one that the pool's
    /// thread makes next (no heap can be made inside a turn of another). A closed pool drops `take`.
    pub fn request(&self, take: impl FnOnce(Heap) + Send + 'static) {
        let mut state = self.lock();
        let heap = state.blank.pop_front();
        let mut take = Some(take);
        if heap.is_none() && !state.closed {
            self.figures.missed.fetch_add(1, Ordering::Relaxed);
            state.waiting.extend(take.take().map(|t| Box::new(t) as Taker));
        }
        let low = state.blank.len() < self.target;
        drop(state);
        if low {
            self.wake.notify_one();
        }
        if let (Some(heap), Some(take)) = (heap, take) {
            take(heap);
        }
    }

    /// Disposes of a heap on the pool's thread; on this one where that is behind, so that heaps which nobody uses cannot
    /// pile up. Not to be called inside a turn.
    pub fn dispose(&self, heap: Heap) {
        let mut state = self.lock();
        if state.closed || state.ended.len() >= MAX_ENDED {
            drop(state);
            return drop(heap);
        }
        state.ended.push(heap);
        drop(state);
        self.wake.notify_one();
    }

    /// Heaps made so far, and how often a caller found the pool empty.
    pub fn figures(&self) -> (u64, u64) {
        (self.figures.made.load(Ordering::Relaxed), self.figures.missed.load(Ordering::Relaxed))
    }

    /// Blank heaps that are ready now.
    pub fn ready(&self) -> usize {
        self.lock().blank.len()
    }

    /// Ends the thread; heaps disposed of later are dropped where they are.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if state.closed {
                let rest = std::mem::take(&mut *state);
                state.closed = true;
                drop(state);
                drop(rest);
                return;
            }
            let urgent = state.blank.len() < self.target / 2 && state.ended.len() < MAX_ENDED / 2;
            if let Some(take) = state.waiting.pop_front() {
                drop(state);
                self.figures.made.fetch_add(1, Ordering::Relaxed);
                take(Heap::new(self.startup, self.limits));
                state = self.lock();
            } else if !urgent && let Some(ended) = state.ended.pop() {
                drop(state);
                drop(ended);
                state = self.lock();
            } else if state.blank.len() + state.making < self.target {
                // Two threads must not both make the last one that is missing.
                state.making += 1;
                drop(state);
                let heap = Heap::new(self.startup, self.limits);
                self.figures.made.fetch_add(1, Ordering::Relaxed);
                state = self.lock();
                state.making -= 1;
                state.blank.push_back(heap);
            } else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}
