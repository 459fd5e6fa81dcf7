//! The watchdog: looks at the threads that are inside a turn. A turn that outlives its slice loses its lane and its
//! priority; a message whose invocation is past its CPU budget is stopped. A thread that does not stop, or that V8 will
//! never give back, is written off: the process goes on without it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::actor::Isolate;
use crate::meter::Meter;
use crate::scheduler::watch::{Finished, PERIOD, Watch};

thread_local! {
    /// This thread, while it serves a lane.
    static THIS: RefCell<Option<(Arc<Thread>, *const Watchdog)>> = const { RefCell::new(None) };
}

#[derive(Default)]
pub(super) struct Watchdog {
    threads: Mutex<Vec<Arc<Thread>>>,
    sleeping: Mutex<bool>,
    wake: Condvar,
    asleep: AtomicBool,
    written_off: WrittenOff,
}

/// Threads that the process goes on without.
#[derive(Default)]
struct WrittenOff {
    /// In a call of V8 that cannot be stopped; some end after all.
    stuck: AtomicUsize,
    /// Parked for ever, for V8 ran out of memory under them.
    lost: AtomicUsize,
}

/// One lane thread as the watchdog sees it.
struct Thread {
    lane: usize,
    id: libc::pid_t,
    clock: libc::clockid_t,
    running: Mutex<Option<Running>>,
}

struct Running {
    isolate: Isolate,
    started: Instant,
    watch: Watch,
    lost: Lost,
}

/// Whether V8 has no memory for what runs: then it will never go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    No,
    /// Nobody has been told.
    Now,
    Seen,
}

/// The lane thread's own side.
pub(crate) struct Watched {
    thread: Arc<Thread>,
    watchdog_asleep: *const AtomicBool,
    watchdog: *const Watchdog,
    last_cpu: std::cell::Cell<Duration>,
}

impl Watched {
    /// A message begins, at `now`.
    pub(crate) fn begin(&self, isolate: &Isolate, meter: Option<Arc<Meter>>, now: Instant) {
        let mut slot = self.thread.running();
        match slot.as_mut() {
            // A later message of the same turn.
            Some(running) => {
                running.watch = Watch::begin(Some(&running.watch), meter);
                running.started = now;
            }
            None => {
                let watch = Watch::begin(None, meter);
                *slot = Some(Running { isolate: isolate.clone(), started: now, watch, lost: Lost::No });
            }
        }
        drop(slot);
        // SAFETY: the watchdog belongs to the scheduler, which outlives its lane threads.
        if unsafe { &*self.watchdog_asleep }.load(Ordering::Relaxed) {
            // SAFETY: as above.
            unsafe { &*self.watchdog }.rouse();
        }
    }

    /// The message is over, at `now`: charges its meter.
    pub(crate) fn finish(&self, now: Instant) -> Finished {
        let mut slot = self.thread.running();
        let Some(running) = slot.as_mut() else { return Finished::default() };
        let wall = now.saturating_duration_since(running.started);
        let finished = running.watch.finish();
        drop(slot);
        if finished.stuck {
            // SAFETY: as in `begin`.
            unsafe { &*self.watchdog }.written_off.stuck.fetch_sub(1, Ordering::Relaxed);
        }
        finished.charge(wall, || {
            let now = cpu_time(self.thread.clock);
            now.saturating_sub(self.last_cpu.replace(now))
        });
        finished
    }

    /// The turn is over. True: it lost its lane, another thread serves that now or will soon.
    pub(crate) fn rest(&self) -> bool {
        self.thread.running().take().is_some_and(|running| running.watch.is_detached())
    }
}

impl Thread {
    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_busy(&self) -> bool {
        self.running().as_ref().is_some_and(|running| running.lost != Lost::Seen)
    }

    /// Looks at what the thread runs and does what is due. True: its lane needs another thread.
    fn look(&self, written_off: &WrittenOff) -> bool {
        let mut slot = self.running();
        let Some(running) = slot.as_mut() else { return false };
        match running.lost {
            Lost::Seen => return false,
            Lost::Now => {
                running.lost = Lost::Seen;
                let (isolate, needs_thread) = (running.isolate.clone(), running.watch.lose());
                drop(slot);
                written_off.lost.fetch_add(1, Ordering::Relaxed);
                isolate.lose();
                return needs_thread;
            }
            Lost::No => {}
        }
        let wall = running.started.elapsed();
        let verdict = running.watch.judge(wall, || cpu_time(self.clock));
        if wall > PERIOD {
            running.isolate.state().look_again();
        }
        if verdict.stop.is_some() {
            running.isolate.state().terminate();
        }
        if verdict.stuck {
            written_off.stuck.fetch_add(1, Ordering::Relaxed);
        }
        drop(slot);
        if let Some(meter) = verdict.stop {
            meter.exceed();
        }
        if verdict.detach {
            lower_priority(self.id);
        }
        verdict.detach
    }
}

/// Gives the calling thread's turn up for ever: the heap is as V8 left it, and nobody will use it again. Returns on
/// threads that run no Worker.
pub(crate) fn give_up(reason: &str) {
    let Some((thread, watchdog)) = THIS.with_borrow(Option::clone) else { return };
    {
        let mut slot = thread.running();
        let Some(running) = slot.as_mut() else { return };
        running.lost = Lost::Now;
    }
    tracing::error!(reason, "V8 cannot go on; the thread is given up, its Worker is ended");
    // SAFETY: the watchdog belongs to the scheduler, which outlives its lane threads.
    unsafe { &*watchdog }.rouse();
    loop {
        std::thread::park();
    }
}

impl Watchdog {
    pub(super) fn register(&self, lane: usize) -> Watched {
        let mut clock = 0;
        // SAFETY: asks for the CPU clock of the calling thread, which exists.
        unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) };
        // SAFETY: has no preconditions.
        let id = unsafe { libc::gettid() };
        let thread = Arc::new(Thread { lane, id, clock, running: Mutex::default() });
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread.clone());
        THIS.set(Some((thread.clone(), std::ptr::from_ref(self))));
        Watched {
            thread,
            watchdog_asleep: &raw const self.asleep,
            watchdog: std::ptr::from_ref(self),
            last_cpu: std::cell::Cell::new(cpu_time(clock)),
        }
    }

    pub(super) fn unregister(&self, watched: &Watched) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|t| !Arc::ptr_eq(t, &watched.thread));
        THIS.set(None);
    }

    /// Threads that are written off: (stuck in V8 for now, lost for ever).
    pub(super) fn written_off(&self) -> (usize, usize) {
        (self.written_off.stuck.load(Ordering::Relaxed), self.written_off.lost.load(Ordering::Relaxed))
    }

    /// Waits for the next look, looks, and gives the lanes that need another thread.
    pub(super) fn tick(&self) -> Vec<usize> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if threads.iter().any(|t| t.is_busy()) {
            std::thread::sleep(PERIOD);
        } else {
            self.sleep();
        }
        threads.iter().filter(|t| t.look(&self.written_off)).map(|t| t.lane).collect()
    }

    fn sleep(&self) {
        let mut sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        *sleeping = true;
        self.asleep.store(true, Ordering::SeqCst);
        // The time-out covers a message that began between the last look and the flag.
        while *sleeping {
            let (guard, timeout) = self
                .wake
                .wait_timeout(sleeping, Duration::from_millis(50))
                .unwrap_or_else(PoisonError::into_inner);
            sleeping = guard;
            if timeout.timed_out() {
                break;
            }
        }
        *sleeping = false;
        self.asleep.store(false, Ordering::SeqCst);
    }

    fn rouse(&self) {
        if self.asleep.swap(false, Ordering::SeqCst) {
            *self.sleeping.lock().unwrap_or_else(PoisonError::into_inner) = false;
            self.wake.notify_all();
        }
    }

    pub(super) fn stop(&self) {
        self.rouse();
    }
}

fn cpu_time(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to a local; a clock that is gone gives an error and leaves zero.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.clamp(0, 999_999_999) as u32)
}

/// A thread in a long turn comes last from now on. It ends with its turn, so this is never undone. Not `SCHED_IDLE`: such
/// a thread would hold the locks that it takes for as long as anything else on the machine wants to run.
fn lower_priority(thread: libc::pid_t) {
    // SAFETY: takes numbers only; a thread that has ended in the meantime gives an error.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, thread as libc::id_t, 19) };
}
