//! The watchdog: looks at the threads that are inside a turn. A turn that outlives its slice loses its lane and its
//! priority; a message whose invocation is past its CPU budget is stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::actor::Isolate;
use crate::heap::HeapState;
use crate::meter::Meter;
use crate::scheduler::watch::{self, PERIOD, Watch};

#[derive(Default)]
pub(super) struct Watchdog {
    threads: Mutex<Vec<Arc<Thread>>>,
    sleeping: Mutex<bool>,
    wake: Condvar,
    asleep: AtomicBool,
}

/// One lane thread as the watchdog sees it.
struct Thread {
    lane: usize,
    id: libc::pid_t,
    clock: libc::clockid_t,
    running: Mutex<Option<Running>>,
}

struct Running {
    state: Arc<HeapState>,
    started: Instant,
    watch: Watch,
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
        let (state, started) = (isolate.state().clone(), Instant::now());
        let mut slot = self.thread.running();
        let watch = Watch::begin(slot.as_ref().map(|r| &r.watch), meter);
        *slot = Some(Running { state, started, watch });
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
        let (wall, terminated) = (running.started.elapsed(), running.watch.finish());
        drop(slot);
        if let Some(meter) = meter {
            meter.charge(watch::spent(wall, || {
                let now = cpu_time(self.thread.clock);
                now.saturating_sub(self.last_cpu.replace(now))
            }));
        }
        terminated
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

    /// Looks at what the thread runs. True: its turn outlived its slice just now.
    fn look(&self) -> bool {
        let mut slot = self.running();
        let Some(running) = slot.as_mut() else { return false };
        let verdict = running.watch.judge(running.started.elapsed(), || cpu_time(self.clock));
        if verdict.stop.is_some() {
            running.state.terminate();
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

impl Watchdog {
    pub(super) fn register(&self, lane: usize) -> Watched {
        let mut clock = 0;
        // SAFETY: asks for the CPU clock of the calling thread, which exists.
        unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) };
        // SAFETY: has no preconditions.
        let id = unsafe { libc::gettid() };
        let thread = Arc::new(Thread { lane, id, clock, running: Mutex::default() });
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread.clone());
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
    }

    /// Waits for the next look, looks, and gives the lanes that need another thread.
    pub(super) fn tick(&self) -> Vec<usize> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if threads.iter().any(|t| t.running().is_some()) {
            std::thread::sleep(PERIOD);
        } else {
            self.sleep();
        }
        threads.iter().filter(|t| t.look()).map(|t| t.lane).collect()
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
