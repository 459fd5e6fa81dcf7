//! The warm pool: blank heaps made ahead of need, each used once; and the place where ended heaps are disposed of.
//! Both cost V8 fractions of a millisecond to some milliseconds, which no turn should wait for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::extension::Startup;
use crate::heap::{Heap, HeapLimits, live};
use crate::memory;
use stock::{PRESSED, Step, Stock};

pub mod stock;

/// A pool of blank heaps, filled by a thread of its own.
pub struct Pool {
    startup: &'static Startup,
    limits: HeapLimits,
    on_pressure: OnceLock<OnPressure>,
    state: Mutex<State>,
    wake: Condvar,
    pressed: AtomicBool,
    figures: Figures,
}

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

struct State {
    stock: Stock<Heap, Taker>,
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
        // The surroundings are looked at now, not when a guest first asks for memory.
        memory::marks();
        let pool = Arc::new(Self {
            startup,
            limits,
            on_pressure: OnceLock::new(),
            state: Mutex::new(State { stock: Stock::new(target, room), closed: false }),
            wake: Condvar::new(),
            pressed: AtomicBool::new(false),
            figures: Figures::default(),
        });
        let worker = pool.clone();
        std::thread::Builder::new()
            .name("atoll-pool".into())
            .spawn(move || worker.serve())
            .expect("the system can start a thread at start-up");
        memory::register_pool(Arc::downgrade(&pool));
        pool
    }

    /// Memory is short: whoever can is asked to let go of heaps. Any thread.
    pub(crate) fn press(&self) {
        if !self.pressed.swap(true, Ordering::AcqRel) {
            // Under the lock, or the pool's thread could miss it on its way to sleep.
            let _state = self.lock();
            self.wake.notify_one();
        }
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
        let now = Instant::now();
        let heap = state.stock.take(now);
        let mut take = Some(take);
        if heap.is_none() && !state.closed {
            self.figures.missed.fetch_add(1, Ordering::Relaxed);
            if let Some(take) = take.take() {
                state.stock.wait(now, Box::new(take));
            }
        }
        let short = state.stock.is_short();
        drop(state);
        if short {
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
        let at_once = state.closed || memory::is_pressing();
        let left = if at_once { Some(heap) } else { state.stock.end(heap) };
        drop(state);
        match left {
            Some(heap) => drop(heap),
            None => self.wake.notify_one(),
        }
    }

    /// Heaps made so far, and how often a caller found the pool empty.
    pub fn figures(&self) -> (u64, u64) {
        (self.figures.made.load(Ordering::Relaxed), self.figures.missed.load(Ordering::Relaxed))
    }

    /// Blank heaps that are ready now.
    pub fn ready(&self) -> usize {
        self.lock().stock.ready()
    }

    /// Requests that wait for a heap.
    pub fn waiting(&self) -> usize {
        self.lock().stock.waiting()
    }

    /// Ends the thread; heaps disposed of later are dropped where they are.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn serve(&self) {
        let mut state = self.lock();
        while !state.closed {
            if self.pressed.swap(false, Ordering::AcqRel) {
                drop(state);
                self.ease();
                state = self.lock();
                continue;
            }
            // Where machine code has no more room, there is none for another heap.
            let live = if memory::is_full_of_code() { usize::MAX } else { live() };
            let step = state.stock.next(Instant::now(), live);
            state = self.take_step(state, step);
        }
        let rest = state.stock.close();
        drop(state);
        drop(rest);
    }

    /// Does one thing, without the lock, and takes the lock again.
    fn take_step<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        step: Step<Heap, Taker>,
    ) -> MutexGuard<'a, State> {
        match step {
            Step::Wait(Some(time)) => return self.wait(state, time),
            Step::Wait(None) => return self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            _ => drop(state),
        }
        match step {
            Step::Give(heap, take) => take(Some(heap)),
            Step::Serve(take) => take(Some(self.make())),
            Step::Refuse(take) => take(None),
            Step::Dispose(heap) => drop(heap),
            Step::Fill => {
                let heap = self.make();
                let mut state = self.lock();
                state.stock.add(heap);
                return state;
            }
            Step::Press => {
                let freed = self.on_pressure.get().map_or(0, |action| action());
                let state = self.lock();
                let ended = freed > 0 && state.stock.has_ended();
                return if ended { state } else { self.wait(state, PRESSED) };
            }
            Step::Wait(_) => {}
        }
        self.lock()
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.wake.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Memory is short: idle heaps go, a few at a time, until it no longer is.
    fn ease(&self) {
        memory::reap();
        while memory::is_pressing() && self.on_pressure.get().map_or(0, |action| action()) > 0 {
            // What was let go of ends in turns of its own, and is dropped there.
            std::thread::sleep(PRESSED);
        }
    }

    fn make(&self) -> Heap {
        self.figures.made.fetch_add(1, Ordering::Relaxed);
        Heap::new(self.startup, self.limits)
    }
}
