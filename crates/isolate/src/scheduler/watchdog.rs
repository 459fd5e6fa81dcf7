//! The watchdog: looks at the threads that are inside a turn. A turn that outlives its slice loses its lane and its
//! priority, and takes turns with others like it; a message whose invocation is past its CPU budget is stopped. A thread
//! that does not stop, or that V8 will never give back, is written off: the process goes on without it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::actor::Isolate;
use crate::meter::Meter;
use crate::scheduler::MOST_LONG_TURNS;
use crate::scheduler::rota::Rota;
use crate::scheduler::watch::{Finished, PERIOD, Stop, Watch};

thread_local! {
    /// This thread, while it serves a lane.
    static THIS: RefCell<Option<(Arc<Thread>, *const Watchdog)>> = const { RefCell::new(None) };
}

pub(super) struct Watchdog {
    threads: Mutex<Vec<Arc<Thread>>>,
    rota: Mutex<Rota<Arc<Thread>>>,
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
    handle: std::thread::Thread,
    running: Mutex<Option<Running>>,
    /// Its turn lost the lane and is in the rota.
    detached: AtomicBool,
    /// It waits for its turn in the rota.
    paused: AtomicBool,
}

impl PartialEq for Thread {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
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
                let next = Watch::begin(Some(&running.watch), meter);
                let before = std::mem::replace(&mut running.watch, next);
                running.started = now;
                self.came_back(&before);
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
        running.started = now;
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
        let running = self.thread.running().take();
        if self.thread.detached.swap(false, Ordering::Relaxed) {
            // SAFETY: as in `begin`.
            unsafe { &*self.watchdog }.leaves_rota(&self.thread);
        }
        let Some(running) = running else { return false };
        self.came_back(&running.watch);
        running.watch.is_detached()
    }

    /// What the runtime did behind a message is over, and may have been counted as stuck.
    fn came_back(&self, watch: &Watch) {
        if watch.is_stuck() {
            // SAFETY: as in `begin`.
            unsafe { &*self.watchdog }.written_off.stuck.fetch_sub(1, Ordering::Relaxed);
        }
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
    fn look(self: &Arc<Self>, watchdog: &Watchdog) -> bool {
        let mut slot = self.running();
        let Some(running) = slot.as_mut() else { return false };
        match running.lost {
            Lost::Seen => return false,
            Lost::Now => {
                running.lost = Lost::Seen;
                let (isolate, needs_thread) = (running.isolate.clone(), running.watch.lose());
                drop(slot);
                watchdog.written_off.lost.fetch_add(1, Ordering::Relaxed);
                watchdog.leaves_rota(self);
                isolate.lose();
                return needs_thread;
            }
            Lost::No => {}
        }
        let wall = running.started.elapsed();
        let (paused, seen) = (self.paused.load(Ordering::Acquire), running.watch.last_seen());
        let verdict = running.watch.judge(wall, || if paused { seen } else { cpu_time(self.clock) });
        // A project's own Worker does not wait for children.
        if verdict.detach && running.isolate.state().is_spared() {
            lower_priority(self.id);
        } else if verdict.detach {
            // Before the slot is let go of, or the turn could be over before it joins.
            self.detached.store(true, Ordering::Release);
            if watchdog.rota().joins(self.clone(), running.watch.last_seen()) {
                lower_priority(self.id);
            }
        }
        let state = running.isolate.state();
        if verdict.stop.is_some() {
            state.terminate();
        }
        if paused && state.is_stopping() {
            watchdog.release(self);
        } else if wall > PERIOD && !paused {
            // What is paused would find as many requests as there were looks.
            state.look_again();
        }
        if verdict.stuck {
            watchdog.written_off.stuck.fetch_add(1, Ordering::Relaxed);
        }
        let runtime = matches!(verdict.stop, Some(Stop::Runtime)).then(|| running.isolate.clone());
        drop(slot);
        if let Some(Stop::Budget(meter, spent)) = verdict.stop {
            meter.exceed_with(spent);
        }
        if let Some(isolate) = runtime {
            isolate.overrun();
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

/// Called where the code that runs here can be paused. Returns when it is to go on.
pub(crate) fn pause() {
    let Some((thread, watchdog)) = THIS.with_borrow(Option::clone) else { return };
    if thread.detached.load(Ordering::Acquire) {
        // SAFETY: as in `give_up`.
        unsafe { &*watchdog }.pause(&thread);
    }
}

impl Watchdog {
    /// One that lets `places` of the turns that lost their lanes run at a time.
    pub(super) fn new(places: usize) -> Self {
        Self {
            threads: Mutex::default(),
            rota: Mutex::new(Rota::new(places)),
            sleeping: Mutex::default(),
            wake: Condvar::default(),
            asleep: AtomicBool::new(false),
            written_off: WrittenOff::default(),
        }
    }

    fn rota(&self) -> MutexGuard<'_, Rota<Arc<Thread>>> {
        self.rota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self, thread: &Arc<Thread>) {
        let mut rota = self.rota();
        if !rota.pauses(thread) {
            return;
        }
        // Not before: at the lowest priority it might not come here for long, and others would wait for that.
        lower_priority(thread.id);
        thread.paused.store(true, Ordering::Release);
        admit(&mut rota);
        while !rota.may_run(thread) {
            drop(rota);
            std::thread::park();
            rota = self.rota();
        }
        thread.paused.store(false, Ordering::Release);
    }

    fn release(&self, thread: &Arc<Thread>) {
        if self.rota().release(thread, cpu_time(thread.clock)) {
            thread.handle.unpark();
        }
    }

    fn leaves_rota(&self, thread: &Arc<Thread>) {
        let mut rota = self.rota();
        rota.leaves(thread);
        admit(&mut rota);
    }

    fn rotate(&self) {
        let mut rota = self.rota();
        for deaf in rota.rotate(|thread| cpu_time(thread.clock)) {
            lower_priority(deaf.id);
        }
        admit(&mut rota);
    }

    /// Too many turns are long: those that took the most end. `lacking`: there is no thread for another.
    pub(super) fn shed(&self, lacking: bool) {
        let excess = self.rota().len().saturating_sub(MOST_LONG_TURNS).max(usize::from(lacking));
        if excess == 0 {
            return;
        }
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut ending = 0;
        let mut long = Vec::new();
        for thread in threads.iter().filter(|thread| thread.detached.load(Ordering::Acquire)) {
            let slot = thread.running();
            let Some(running) = slot.as_ref() else { continue };
            match running.watch.meter() {
                Some(meter) if meter.is_over() => ending += 1,
                Some(meter) => {
                    long.push((std::cmp::Reverse(running.watch.spent()), meter.clone()));
                }
                None => {}
            }
        }
        long.sort_by_key(|(spent, _)| *spent);
        for (_, meter) in long.into_iter().take(excess.saturating_sub(ending)) {
            tracing::warn!("too many long turns are under way; the one that took the most is ended");
            meter.shed();
        }
    }

    /// The scheduler ends: turns that are paused end with it.
    pub(super) fn end(&self) {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for thread in threads.iter().filter(|thread| thread.detached.load(Ordering::Acquire)) {
            if let Some(running) = thread.running().as_ref() {
                running.isolate.state().terminate();
            }
        }
        let mut rota = self.rota();
        rota.open();
        admit(&mut rota);
    }

    pub(super) fn register(&self, lane: usize) -> Watched {
        let mut clock = 0;
        // SAFETY: asks for the CPU clock of the calling thread, which exists.
        unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) };
        // SAFETY: has no preconditions.
        let id = unsafe { libc::gettid() };
        let thread = Arc::new(Thread {
            lane,
            id,
            clock,
            handle: std::thread::current(),
            running: Mutex::default(),
            detached: AtomicBool::new(false),
            paused: AtomicBool::new(false),
        });
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
        let orphaned = threads.iter().filter(|t| t.look(self)).map(|t| t.lane).collect();
        self.rotate();
        self.shed(false);
        orphaned
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

/// Wakes those that may run from now on.
fn admit(rota: &mut Rota<Arc<Thread>>) {
    for thread in rota.admit(|thread| cpu_time(thread.clock)) {
        thread.handle.unpark();
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
