//! The warm pool: blank heaps made ahead of need, each used once; and the place where ended heaps are disposed of.
//! Both cost V8 fractions of a millisecond to some milliseconds, which no turn should wait for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::extension::Startup;
use crate::heap::{Heap, HeapLimits, live};

/// A pool of blank heaps, filled by a thread of its own.
pub struct Pool {
    startup: &'static Startup,
    limits: HeapLimits,
    target: usize,
    room: Room,
    on_pressure: OnceLock<OnPressure>,
    state: Mutex<State>,
    wake: Condvar,
    figures: Figures,
}

/// Without a request for this long, the pool makes up for what was taken.
const CALM: Duration = Duration::from_millis(4);

/// Ended heaps that may wait for the pool's thread.
const MAX_ENDED: usize = 32;

/// Takes a heap, or learns that there was no room for one in time.
type Taker = Box<dyn FnOnce(Option<Heap>) + Send>;

/// How many heaps a process may have, and how long a request waits for room.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Heaps alive at once, blank ones included.
    pub heaps: usize,
    /// After this time without room a request gets nothing.
    pub wait: Duration,
}

/// Asked, from the pool's thread, to let go of heaps that nobody needs now. Gives how many it let go of.
type OnPressure = Box<dyn Fn() -> usize + Send + Sync>;

#[derive(Default)]
struct State {
    blank: VecDeque<Heap>,
    waiting: VecDeque<(Instant, Taker)>,
    ended: Vec<Heap>,
    last_taken: Option<Instant>,
    closed: bool,
}

#[derive(Default)]
struct Figures {
    made: AtomicU64,
    missed: AtomicU64,
}

impl Pool {
    /// A pool that keeps `target` blank heaps ready. Its thread starts at once.
    pub fn new(startup: &'static Startup, limits: HeapLimits, target: usize, room: Room) -> Arc<Self> {
        let pool = Arc::new(Self {
            startup,
            limits,
            target,
            room,
            on_pressure: OnceLock::new(),
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

    /// Who is asked to let go of heaps when there is no room for another.
    pub fn on_pressure(&self, action: impl Fn() -> usize + Send + Sync + 'static) {
        let _ = self.on_pressure.set(Box::new(action));
    }

    /// Gives `take` a blank heap: a warm one at once, on this thread, or, when the pool is empty, one that the pool's
    /// thread makes next (no heap can be made inside a turn of another). A process that is full makes the request wait
    /// for room; when there is none in time, `take` gets nothing. A closed pool drops `take`.
    pub fn request(&self, take: impl FnOnce(Option<Heap>) + Send + 'static) {
        let mut state = self.lock();
        let heap = state.blank.pop_front();
        state.last_taken = Some(Instant::now());
        let mut take = Some(take);
        if heap.is_none() && !state.closed {
            self.figures.missed.fetch_add(1, Ordering::Relaxed);
            let until = Instant::now() + self.room.wait;
            state.waiting.extend(take.take().map(|t| (until, Box::new(t) as Taker)));
        }
        let low = state.blank.len() < self.target;
        drop(state);
        if low {
            self.wake.notify_one();
        }
        if let (Some(heap), Some(take)) = (heap, take) {
            take(Some(heap));
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

    /// Requests that wait for a heap.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
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
            state = self.step(state);
        }
    }

    /// Does one thing, without the lock, and takes the lock again.
    fn step<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        // Whoever waits comes first, then the first half of the pool, then disposals, then the rest of the pool.
        let full = live() >= self.room.heaps;
        let urgent = state.blank.len() < self.target / 2 && state.ended.len() < MAX_ENDED / 2;
        if full && !state.waiting.is_empty() {
            return self.make_room(state);
        }
        let calm = state.last_taken.is_none_or(|taken| taken.elapsed() > CALM);
        let behind = state.blank.len() < self.target / 2 || state.ended.len() > MAX_ENDED / 2;
        if !calm && !behind && state.waiting.is_empty() {
            // Both kinds of work change the process's memory map, which slows whoever runs: not in the middle of a burst.
            return self.wake.wait_timeout(state, CALM).unwrap_or_else(PoisonError::into_inner).0;
        }
        if let Some((_, take)) = state.waiting.pop_front() {
            drop(state);
            take(Some(self.make()));
        } else if (!urgent || full)
            && let Some(ended) = state.ended.pop()
        {
            drop(state);
            drop(ended);
        } else if state.blank.len() < self.target && !full {
            drop(state);
            let heap = self.make();
            state = self.lock();
            state.blank.push_back(heap);
            return state;
        } else {
            return self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.lock()
    }

    fn make(&self) -> Heap {
        self.figures.made.fetch_add(1, Ordering::Relaxed);
        Heap::new(self.startup, self.limits)
    }

    /// The process is full and somebody waits.
    fn make_room<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if let Some(ended) = state.ended.pop() {
            drop(state);
            drop(ended);
            return self.lock();
        }
        let now = Instant::now();
        if let Some((_, take)) = state.waiting.pop_front_if(|(until, _)| *until <= now) {
            drop(state);
            take(None);
            return self.lock();
        }
        drop(state);
        let freed = self.on_pressure.get().map_or(0, |action| action());
        let state = self.lock();
        if freed > 0 && !state.ended.is_empty() {
            return state;
        }
        // What was let go of ends in turns of its own; requests time out meanwhile.
        self.wake.wait_timeout(state, Duration::from_millis(20)).unwrap_or_else(PoisonError::into_inner).0
    }
}
