//! Threads that run turns.
//!
//! A *lane* is a queue of isolates that have mail, together with a single-threaded tokio runtime for their I/O. One
//! thread serves a lane: it drives the I/O, then takes the next isolate and runs a turn of it, outside the runtime, so
//! that when a turn outlives its slice another thread can take over the lane, I/O and all. The long turn goes on at
//! the lowest scheduling priority on the thread that it has, which ends with it; few of them run at a time.

pub(crate) mod lane;
mod residents;
pub(crate) mod rota;
pub(crate) mod watch;
mod watchdog;

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use watch::Finished;
pub(crate) use watchdog::{Watched, give_up, pause};

use crate::actor::{Isolate, Turn};
use lane::Lane;
use residents::Residents;
use watchdog::Watchdog;

thread_local! {
    /// The lane that this thread serves.
    static CURRENT: std::cell::Cell<Option<usize>> = const { std::cell::Cell::new(None) };
}

/// The lanes and the watchdog of a process.
pub struct Scheduler {
    lanes: Vec<Lane<Isolate>>,
    /// For the I/O of each lane.
    runtimes: Vec<tokio::runtime::Runtime>,
    watchdog: Watchdog,
    next_home: AtomicUsize,
    stopped: AtomicBool,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
    on_exhausted: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

/// Threads that the process goes on without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenOff {
    /// In a call of V8 that cannot be stopped, at the lowest priority; some end after all.
    pub stuck: usize,
    /// Parked for ever, with their heaps, for V8 ran out of memory under them.
    pub lost: usize,
}

impl WrittenOff {
    /// A process with so many should end: stuck threads take processor time, lost ones memory of the cage that all
    /// heaps share.
    pub const MOST: usize = 16;
    const WEIGHT_OF_LOST: usize = 4;

    /// Whether there are too many.
    pub fn is_too_many(self) -> bool {
        self.stuck + Self::WEIGHT_OF_LOST * self.lost >= Self::MOST
    }
}

/// Turns of more than 10 ms that may be under way in a process: each keeps a thread, with its stack and two of the memory
/// mappings that the system gives a process. At most as many run at a time as there are lanes.
pub const MOST_LONG_TURNS: usize = 500;

/// Turns that follow each other may keep a lane from its I/O for so long: a look at it takes several microseconds.
const WITHOUT_IO: Duration = Duration::from_micros(200);

impl Scheduler {
    /// Starts `lanes` threads (at least one) and the watchdog.
    ///
    /// # Errors
    /// The system's error when a thread or its I/O driver cannot be made.
    pub fn start(lanes: usize) -> std::io::Result<Arc<Self>> {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtimes = (0..lanes.max(1)).map(|_| runtime()).collect::<std::io::Result<Vec<_>>>()?;
        let scheduler = Arc::new(Self {
            lanes: runtimes.iter().map(|_| Lane::default()).collect(),
            runtimes,
            watchdog: Watchdog::new(lanes),
            next_home: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            threads: Mutex::default(),
            on_exhausted: Mutex::default(),
        });
        for index in 0..scheduler.lanes.len() {
            scheduler.serve(index)?;
        }
        let watcher = scheduler.clone();
        std::thread::Builder::new().name("atoll-watchdog".into()).spawn(move || watcher.watch())?;
        Ok(scheduler)
    }

    /// Number of lanes.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// A home for a new isolate that has no parent: the lanes in turn.
    pub fn next_home(&self) -> usize {
        self.next_home.fetch_add(1, Ordering::Relaxed) % self.lanes.len()
    }

    /// Threads that the process goes on without.
    pub fn written_off(&self) -> WrittenOff {
        let (stuck, lost) = self.watchdog.written_off();
        WrittenOff { stuck, lost }
    }

    /// What happens, once, when too many threads are written off: the process should answer what it can and end.
    pub fn on_exhausted(&self, action: impl FnOnce() + Send + 'static) {
        *self.on_exhausted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(action));
    }

    /// The tokio runtime of a lane.
    pub fn runtime(&self, lane: usize) -> tokio::runtime::Handle {
        self.runtimes[lane % self.lanes.len()].handle().clone()
    }

    /// Runs a future on a lane's tokio runtime.
    pub fn spawn(&self, lane: usize, future: impl Future<Output = ()> + Send + 'static) {
        self.runtimes[lane % self.lanes.len()].spawn(future);
    }

    /// Puts an isolate that has mail into a queue: that of the lane whose thread sent the mail, so that a call and its
    /// answer need no other thread; from elsewhere, that of the lane where it ran last.
    pub(crate) fn enqueue(&self, isolate: Isolate) {
        let home = CURRENT.get().unwrap_or_else(|| isolate.home()) % self.lanes.len();
        lane::push(&self.lanes, home, isolate);
    }

    /// Ends all lanes once they are idle or their turn is over. Threads in endless turns are left behind.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        for lane in &self.lanes {
            lane.wake_if_idle();
        }
        self.watchdog.stop();
    }

    fn serve(self: &Arc<Self>, lane: usize) -> std::io::Result<()> {
        let scheduler = self.clone();
        let thread = std::thread::Builder::new()
            .name(format!("atoll-lane-{lane}"))
            .stack_size(8 << 20)
            .spawn(move || scheduler.run_lane(lane))?;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|t| !t.is_finished());
        threads.push(thread);
        Ok(())
    }

    fn run_lane(&self, index: usize) {
        let (lane, runtime) = (&self.lanes[index], &self.runtimes[index]);
        CURRENT.set(Some(index));
        let watched = self.watchdog.register(index);
        let mut residents = Residents::default();
        while let Some(isolate) = runtime.block_on(lane.next(&self.lanes, &self.stopped)) {
            let _entered = runtime.enter();
            let mut next = Some(isolate);
            let since = Instant::now();
            let mut now = since;
            // One turn after the other, without a look at the I/O in between, for a while.
            while let Some(isolate) = next {
                residents.arrives(&isolate);
                if self.turn(index, isolate, &watched, &mut residents, &mut now) {
                    self.watchdog.unregister(&watched);
                    residents.depart();
                    return;
                }
                if now.saturating_duration_since(since) > WITHOUT_IO {
                    lane.look_at_io();
                    break;
                }
                next = lane.another(&self.lanes);
            }
            residents.clear();
        }
        self.watchdog.unregister(&watched);
    }

    /// Runs one turn, from `now` on, which it moves. True: it took so long that another thread serves the lane.
    fn turn(
        &self,
        index: usize,
        isolate: Isolate,
        watched: &Watched,
        residents: &mut Residents,
        now: &mut Instant,
    ) -> bool {
        isolate.set_home(index);
        // A defect of ours in one turn must not take the lane, and with it every other isolate, along.
        let turn = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| isolate.run_turn(watched, now)));
        let lost_lane = watched.rest();
        if turn.as_ref().map_or(true, Turn::is_last) {
            residents.ends(&isolate);
        }
        if turn.is_err() {
            isolate.abandon();
        }
        isolate.after_turn(turn.unwrap_or_default());
        lost_lane
    }

    fn watch(self: Arc<Self>) {
        let mut orphaned = Vec::new();
        while !self.stopped.load(Ordering::Acquire) {
            orphaned.extend(self.watchdog.tick());
            if self.written_off().is_too_many() {
                let action = self.on_exhausted.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(action) = action {
                    action();
                }
            }
            // A lane for which no thread can be had now gets one at the next look.
            orphaned.retain(|lane| match self.serve(*lane) {
                Ok(()) => false,
                Err(error) => {
                    tracing::error!(%error, lane, "no thread to take over a lane whose turn is long");
                    true
                }
            });
            if !orphaned.is_empty() {
                self.watchdog.shed(true);
            }
        }
        self.watchdog.end();
    }
}
