//! The watchdog: looks at the threads that are inside a turn. A turn that outlives its slice loses its lane and its
//! priority; a message whose invocation is past its CPU budget is stopped. A thread that does not stop, or that V8 will
//! never give back, is written off: the process goes on without it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::actor::Isolate;
use crate::meter::Meter;

/// How often the watchdog looks while anything runs.
const PERIOD: Duration = Duration::from_millis(4);

/// A message that runs longer loses its lane.
const SLICE: Duration = Duration::from_millis(10);

/// Messages shorter than this are charged their wall time: reading the thread's CPU clock is a system call.
const CHEAP: Duration = Duration::from_micros(250);

/// A message that goes on for so long after it was stopped is in a call of V8 that cannot be stopped.
const PATIENCE: Duration = Duration::from_secs(1);

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
    meter: Option<Arc<Meter>>,
    started: Instant,
    /// The thread's CPU clock when the watchdog first saw this message.
    first_seen: Option<Duration>,
    detached: bool,
    terminated: Option<Instant>,
    /// Counted as stuck.
    stuck: bool,
    /// V8 has no memory for it: it will never go on.
    lost: Lost,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    No,
    /// Nobody has been told.
    Now,
    Seen,
}

/// What the watchdog found when it looked at a thread.
#[derive(Default)]
struct Found {
    /// Its turn outlived its slice just now: the lane needs another thread.
    detach: bool,
    /// Past its budget.
    over: Option<Arc<Meter>>,
    /// An isolate whose turn will never end.
    lost: Option<Isolate>,
}

/// The lane thread's own side.
pub(crate) struct Watched {
    thread: Arc<Thread>,
    watchdog_asleep: *const AtomicBool,
    watchdog: *const Watchdog,
    last_cpu: std::cell::Cell<Duration>,
}

impl Watched {
    /// A message begins.
    pub(crate) fn begin(&self, isolate: &Isolate, meter: Option<Arc<Meter>>) {
        let running = Running {
            isolate: isolate.clone(),
            meter,
            started: Instant::now(),
            first_seen: None,
            detached: false,
            terminated: None,
            stuck: false,
            lost: Lost::No,
        };
        let mut slot = self.thread.running();
        // A thread that lost its lane stays detached for the rest of its turn.
        let detached = slot.as_ref().is_some_and(|r| r.detached);
        *slot = Some(Running { detached, ..running });
        drop(slot);
        // SAFETY: the watchdog belongs to the scheduler, which outlives its lane threads.
        if unsafe { &*self.watchdog_asleep }.load(Ordering::Relaxed) {
            // SAFETY: as above.
            unsafe { &*self.watchdog }.rouse();
        }
    }

    /// The message is over: charges its meter. True: it was stopped.
    pub(crate) fn finish(&self, meter: Option<&Meter>) -> bool {
        let mut slot = self.thread.running();
        let Some(running) = slot.as_mut() else { return false };
        let (wall, terminated) = (running.started.elapsed(), running.terminated.is_some());
        // The entry stays, without a meter, so that `detached` is remembered until the turn ends.
        running.meter = None;
        running.terminated = None;
        let stuck = std::mem::take(&mut running.stuck);
        drop(slot);
        if stuck {
            // SAFETY: the watchdog belongs to the scheduler, which outlives its lane threads.
            unsafe { &*self.watchdog }.written_off.stuck.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(meter) = meter {
            let spent = if wall < CHEAP {
                wall
            } else {
                let now = cpu_time(self.thread.clock);
                let since = now.saturating_sub(self.last_cpu.replace(now));
                wall.min(since)
            };
            meter.charge(spent);
        }
        terminated
    }

    /// The turn is over. True: it lost its lane, another thread serves that now or will soon.
    pub(crate) fn rest(&self) -> bool {
        self.thread.running().take().is_some_and(|running| running.detached)
    }
}

impl Thread {
    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_busy(&self) -> bool {
        self.running().as_ref().is_some_and(|running| running.lost != Lost::Seen)
    }

    /// Looks at what the thread runs.
    fn look(&self, written_off: &WrittenOff) -> Found {
        let mut found = Found::default();
        let mut slot = self.running();
        let Some(running) = slot.as_mut() else { return found };
        if running.lost == Lost::Now {
            running.lost = Lost::Seen;
            found.lost = Some(running.isolate.clone());
            found.detach = !std::mem::replace(&mut running.detached, true);
            return found;
        }
        let wall = running.started.elapsed();
        if wall < PERIOD || running.lost == Lost::Seen {
            return found;
        }
        running.isolate.state().look_again();
        let now = cpu_time(self.clock);
        let first = *running.first_seen.get_or_insert(now.saturating_sub(wall));
        let spent = wall.min(now.saturating_sub(first));
        found.over = running.meter.clone().filter(|m| m.would_exceed(spent));
        if found.over.is_some() {
            // Each time: what was stopped may have gone on with what it had queued.
            let since = *running.terminated.get_or_insert_with(Instant::now);
            running.isolate.state().terminate();
            if since.elapsed() > PATIENCE && !std::mem::replace(&mut running.stuck, true) {
                written_off.stuck.fetch_add(1, Ordering::Relaxed);
            }
        }
        found.detach = wall > SLICE && !std::mem::replace(&mut running.detached, wall > SLICE);
        found
    }
}

/// V8 calls this when it cannot have memory that it cannot do without, and aborts the process if it returns. The thread
/// gives up its turn for ever: the heap is as V8 left it, and nobody will use it again. Threads that serve no lane
/// return.
pub(crate) unsafe extern "C" fn out_of_memory(location: *const std::ffi::c_char, _: &v8::OomDetails) {
    let Some((thread, watchdog)) = THIS.with_borrow(Option::clone) else { return };
    {
        let mut slot = thread.running();
        let Some(running) = slot.as_mut() else { return };
        running.lost = Lost::Now;
    }
    // SAFETY: V8 gives a text that ends with a zero byte.
    let place = unsafe { std::ffi::CStr::from_ptr(location) };
    tracing::error!(?place, "V8 is out of memory; the thread is given up, its Worker is ended");
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
        threads.iter().filter(|thread| self.act(thread)).map(|thread| thread.lane).collect()
    }

    /// Looks at one thread and does what is due. True: its lane needs another thread.
    fn act(&self, thread: &Thread) -> bool {
        let Found { detach, over, lost } = thread.look(&self.written_off);
        if let Some(meter) = over {
            meter.exceed();
        }
        if let Some(isolate) = lost {
            self.written_off.lost.fetch_add(1, Ordering::Relaxed);
            isolate.lose();
        } else if detach {
            lower_priority(thread.id);
        }
        detach
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
