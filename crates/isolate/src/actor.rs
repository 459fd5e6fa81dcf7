//! An isolate as an actor: a heap with a mailbox. A turn takes the heap, delivers messages one by one, drains the
//! microtasks after each, and lets the heap go. Nothing ever waits inside a turn.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant};

use crate::allowance::{Allowance, TASK_CPU};
use crate::heap::{self, Heap, HeapState, MemoryEnd};
use crate::mailbox::{Mailbox, Next, OUTSIDE, Sender, Sent};
use crate::meter::Meter;
use crate::pool::Pool;
use crate::residence::Residence;
use crate::scheduler::{Finished, Scheduler, Watched};
use crate::uncaught::{MAX_REJECTIONS, Rejections, take_rejections};
use crate::{engine, error::ExceptionReport};

/// Messages for one turn: after this much time the isolate goes to the end of its queue.
const TURN_SLICE: Duration = Duration::from_millis(2);

type Deliver = Box<dyn for<'s, 'i> FnOnce(&mut v8::PinScope<'s, 'i>) + Send>;

thread_local! {
    /// The heap whose turn runs on this thread, or whose objects are dropped here.
    static SENDER: Cell<Sender> = const { Cell::new(OUTSIDE) };
}

/// Until this is dropped, messages that this thread sends are those of a heap.
pub(crate) struct SendsFor(Sender);

impl SendsFor {
    pub(crate) fn heap(id: Sender) -> Self {
        Self(SENDER.replace(id))
    }
}

impl Drop for SendsFor {
    fn drop(&mut self) {
        SENDER.set(self.0);
    }
}

/// Who sends what this thread sends: messages of one origin are delivered in order, those of several take turns.
#[derive(Clone, Copy)]
pub struct Origin(Sender);

impl Origin {
    /// That of now, for a message that is sent later, or by another thread.
    pub fn current() -> Self {
        Self(SENDER.get())
    }
}

/// A message: work to do inside the isolate, and the meter that its CPU time is charged to.
pub struct Envelope {
    origin: Origin,
    meter: Option<Arc<Meter>>,
    deliver: Deliver,
    /// One of V8's own, which may be finalisation callbacks.
    is_task: bool,
}

impl Envelope {
    /// A message whose CPU time counts against `meter`.
    pub fn new(
        meter: Arc<Meter>,
        deliver: impl for<'s, 'i> FnOnce(&mut v8::PinScope<'s, 'i>) + Send + 'static,
    ) -> Self {
        Self { origin: Origin::current(), meter: Some(meter), deliver: Box::new(deliver), is_task: false }
    }

    /// A message on the runtime's own account. None of the guest's code may run in it, also none that it queues: no
    /// listener, no disposer, no getter, no continuation. What can run any goes by [`Envelope::new`]. Should some run all
    /// the same, the isolate ends after [`RUNTIME_CPU`](crate::RUNTIME_CPU).
    pub fn without_guest_code(
        deliver: impl for<'s, 'i> FnOnce(&mut v8::PinScope<'s, 'i>) + Send + 'static,
    ) -> Self {
        Self { origin: Origin::current(), meter: None, deliver: Box::new(deliver), is_task: false }
    }

    /// The same, sent for another.
    #[must_use]
    pub fn from(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// A task that V8 posted: within the isolate's allowance for those, in place of an invocation's budget.
    pub(crate) fn task(isolate: &WeakIsolate, task: v8::Task) -> Self {
        let meter = Meter::new(TASK_CPU);
        let isolate = isolate.clone();
        meter.on_over(move |_| {
            if let Some(isolate) = isolate.upgrade() {
                isolate.end(End::Tasks);
            }
        });
        Self { is_task: true, ..Self::new(Arc::new(meter), move |_| task.run()) }
    }
}

/// What the layers above are told of at the end of each message, inside the isolate.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// After a message and its microtasks, on its meter: promises that were rejected and that nothing handles, and
    /// those that are handled late. May run guest code; called again for what that leaves.
    pub rejected: fn(&mut v8::PinScope<'_, '_>, rejections: Rejections),
    /// At the end of a message, off its meter: only the runtime's own code may run here, for as long as a message
    /// [without guest code](Envelope::without_guest_code) may. `stopped`: the message was cut short.
    pub after_message: fn(&mut v8::PinScope<'_, '_>, stopped: bool),
    /// A message threw outside of any promise.
    pub uncaught: fn(&mut v8::PinScope<'_, '_>, report: ExceptionReport),
}

/// Why an isolate ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nobody holds it any more, or its owner closed it.
    Closed,
    /// A memory limit was reached.
    Memory(MemoryEnd),
    /// Its finalisation callbacks took more than [`TASK_CPU`].
    Tasks,
    /// What the runtime did in it on its own account took more than [`RUNTIME_CPU`](crate::RUNTIME_CPU).
    Runtime,
    /// A turn panicked: a defect of ours.
    Crashed,
}

struct Inner {
    mailbox: Mutex<Mailbox<Envelope>>,
    heap: Mutex<Option<Heap>>,
    /// The number of its heap.
    id: Sender,
    state: Arc<HeapState>,
    hooks: Hooks,
    home: AtomicUsize,
    scheduler: Arc<Scheduler>,
    pool: Arc<Pool>,
    on_end: OnceLock<Box<dyn Fn(End) + Send + Sync>>,
    tasks: Mutex<Allowance>,
    /// Nanoseconds that messages of invocations took since the last of those tasks; written in turns only.
    earned: AtomicU64,
}

/// A handle to an isolate; cheap to clone. The isolate lives until [`Isolate::close`].
#[derive(Clone)]
pub struct Isolate(Arc<Inner>);

/// A handle that does not keep the actor's memory.
#[derive(Clone)]
pub struct WeakIsolate(Weak<Inner>);

impl WeakIsolate {
    /// Whether two handles mean the same isolate.
    pub fn same(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.0, &other.0)
    }

    /// Whether it means this isolate.
    pub(crate) fn is(&self, isolate: &Isolate) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&isolate.0))
    }

    /// The isolate, where it still exists.
    pub fn upgrade(&self) -> Option<Isolate> {
        self.0.upgrade().map(Isolate)
    }
}

impl Isolate {
    /// Makes an actor of a heap; its turns run on lane `home` while that is free.
    pub fn new(heap: Heap, hooks: Hooks, scheduler: Arc<Scheduler>, pool: Arc<Pool>, home: usize) -> Self {
        let id = heap.id();
        let isolate = Self(Arc::new(Inner {
            mailbox: Mutex::default(),
            id,
            state: heap.state().clone(),
            heap: Mutex::new(Some(heap)),
            hooks,
            home: AtomicUsize::new(home),
            scheduler,
            pool,
            on_end: OnceLock::new(),
            tasks: Mutex::new(Allowance::new(Instant::now())),
            earned: AtomicU64::new(0),
        }));
        isolate.0.state.adopted_by(isolate.downgrade());
        engine::adopt(id, isolate.downgrade());
        isolate
    }

    /// Makes its memory limit smaller, from its next message on; a larger one changes nothing.
    pub fn set_memory_limit(&self, bytes: usize) {
        if bytes >= self.memory_limit() {
            return;
        }
        self.send(Envelope::without_guest_code(move |scope| heap::lower_limit(scope, bytes)));
    }

    /// When the process is out of memory, it is ended only if there is nobody else to end.
    pub fn spare(&self) {
        self.0.state.spare();
    }

    /// Its memory limit in bytes: heap and buffers together.
    pub fn memory_limit(&self) -> usize {
        self.0.state.limit()
    }

    /// Bytes of heap and buffers that the process has for it, as of its last garbage collection.
    pub fn memory(&self) -> usize {
        self.0.state.bytes()
    }

    /// A weak handle.
    pub fn downgrade(&self) -> WeakIsolate {
        WeakIsolate(Arc::downgrade(&self.0))
    }

    /// The scheduler that runs its turns.
    pub fn scheduler(&self) -> &Arc<Scheduler> {
        &self.0.scheduler
    }

    /// The lane that its turns run on while that lane is free.
    pub fn home(&self) -> usize {
        self.0.home.load(Ordering::Relaxed)
    }

    pub(crate) fn set_home(&self, lane: usize) {
        self.0.home.store(lane, Ordering::Relaxed);
    }

    pub(crate) fn state(&self) -> &Arc<HeapState> {
        &self.0.state
    }

    /// Whether its heap reached its limit: it ends with the turn that runs.
    pub fn is_over_memory(&self) -> bool {
        self.0.state.is_over_memory()
    }

    /// Whether two handles mean the same isolate.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Called once when the isolate has ended, on whatever thread ended it.
    pub fn on_end(&self, action: impl Fn(End) + Send + Sync + 'static) {
        let _ = self.0.on_end.set(Box::new(action));
    }

    fn mailbox(&self) -> MutexGuard<'_, Mailbox<Envelope>> {
        self.0.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message into the mailbox. Those of one [`Origin`] stay in order; one turn after the other, each has some
    /// of the isolate's time. A closed isolate drops it: what the message owns must settle itself on drop.
    pub fn send(&self, envelope: Envelope) {
        let Origin(origin) = envelope.origin;
        let sender = if origin == self.0.id { OUTSIDE } else { origin };
        let sent = self.mailbox().send(sender, envelope);
        match sent {
            Sent::Waits(true) => self.0.scheduler.enqueue(self.clone()),
            Sent::Waits(false) => {}
            Sent::Refused(envelope) => drop(envelope),
        }
    }

    /// Ends the isolate: what is queued is dropped, what runs is stopped, the heap is disposed of in a later turn.
    pub fn close(&self) {
        self.end(End::Closed);
    }

    /// False: somebody else ends it, and may still be telling those who wait.
    fn end(&self, end: End) -> bool {
        if !self.mailbox().end() {
            return false;
        }
        // First of all: those who sent what is dropped unread, or what the closed mailbox refuses, are told why.
        if let Some(action) = self.0.on_end.get() {
            action(end);
        }
        let (queue, schedule) = self.mailbox().close();
        drop(queue);
        if schedule {
            self.0.scheduler.enqueue(self.clone());
        } else if end == End::Closed {
            // Somebody is in a turn, or about to be: a guest that loops must not outlive its owner.
            self.0.state.terminate();
        }
        true
    }

    fn next_message(&self, spent: Duration) -> Next<Envelope> {
        self.mailbox().next(spent)
    }

    /// Runs one turn on this thread, from `now` on, which it moves: reading a clock is not free.
    pub(crate) fn run_turn(&self, thread: &Watched, now: &mut Instant) -> Turn {
        let guard = self.0.heap.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(heap) = guard.as_ref() else { return Turn::Idle };
        heap.enter(|scope| {
            self.0.state.forget_stop();
            let _sends = SendsFor::heap(self.0.id);
            let started = *now;
            let mut spent = Duration::ZERO;
            loop {
                if self.0.state.is_over_memory() {
                    break Turn::OverMemory;
                }
                if now.saturating_duration_since(started) > TURN_SLICE {
                    self.mailbox().spent(spent);
                    break Turn::Yield;
                }
                match self.next_message(spent) {
                    Next::Message(envelope) => {
                        let after = self.deliver(scope, thread, envelope, *now);
                        spent = after.saturating_duration_since(*now);
                        *now = after;
                    }
                    Next::Idle => break Turn::Idle,
                    Next::Closed => break Turn::Closed,
                }
            }
        })
    }

    /// The calling thread resides in the heap from now on, unless that is gone or in use.
    pub(crate) fn reside(&self) -> Option<Residence> {
        let heap = self.0.heap.try_lock().ok()?;
        heap.as_ref().map(Residence::begin)
    }

    /// It no longer does. Given back while another thread is in the heap; without a heap there is nothing to leave.
    pub(crate) fn leave(&self, residence: Residence) -> Option<Residence> {
        let heap = match self.0.heap.try_lock() {
            Ok(heap) => heap,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return Some(residence),
        };
        if let Some(heap) = heap.as_ref() {
            residence.end(heap);
        }
        None
    }

    /// What comes of a turn, once the thread is no longer watched for it.
    pub(crate) fn after_turn(&self, turn: Turn) {
        match turn {
            Turn::Idle => {}
            Turn::Yield => self.0.scheduler.enqueue(self.clone()),
            Turn::Closed => self.dispose(),
            Turn::OverMemory => {
                self.end_for_memory();
                self.dispose();
            }
        }
    }

    fn end_for_memory(&self) -> bool {
        self.end(End::Memory(self.0.state.memory_end().unwrap_or(MemoryEnd::Isolate)))
    }

    /// Ends for the process's memory at once, unless it is in a turn: then it ends with that. Not to be called inside a
    /// turn of another.
    pub(crate) fn reap(&self) {
        let Ok(mut heap) = self.0.heap.try_lock() else { return };
        // Whoever ends it otherwise drops the heap, too, once those who wait have been told why.
        if heap.is_some() && self.end_for_memory() {
            *heap = None;
        }
    }

    /// The thread that runs its turn is lost inside V8, which could not have the memory that it needed: callers are told,
    /// the heap is never used again.
    pub(crate) fn lose(&self) {
        self.0.state.exceed(MemoryEnd::Isolate);
        self.end_for_memory();
    }

    /// What the runtime does in it, for no invocation, takes too long: the guest's code may have got there.
    pub(crate) fn overrun(&self) {
        tracing::error!("work of the runtime's own took too long in an isolate, which is ended");
        self.end(End::Runtime);
    }

    /// A turn panicked: the isolate cannot be trusted any more and ends, its heap with it.
    pub(crate) fn abandon(&self) {
        tracing::error!("a turn panicked; its isolate is ended");
        self.end(End::Crashed);
        self.0.state.resume();
        self.dispose();
    }

    fn dispose(&self) {
        let heap = self.0.heap.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(heap) = heap {
            self.0.pool.dispose(heap);
        }
    }

    /// Delivers a message, at `now`. Gives the time after it.
    fn deliver(
        &self,
        scope: &mut v8::PinScope<'_, '_>,
        thread: &Watched,
        envelope: Envelope,
        now: Instant,
    ) -> Instant {
        let Envelope { meter, deliver, is_task, .. } = envelope;
        if meter.as_ref().is_some_and(|m| m.is_over()) {
            // The invocation has ended; its callers have their error.
            return now;
        }
        let began = now;
        v8::scope!(let scope, scope);
        let used = meter.as_ref().map_or(Duration::ZERO, |m| m.used());
        thread.begin(self, meter, now);
        let uncaught = {
            v8::tc_scope!(let scope, scope);
            deliver(scope);
            match scope.exception() {
                _ if scope.has_terminated() => Outcome::Stopped,
                Some(exception) => {
                    let message = scope.message();
                    Outcome::Threw(ExceptionReport::read(scope, exception, message))
                }
                None => Outcome::Done,
            }
        };
        if matches!(uncaught, Outcome::Stopped) {
            self.drop_microtasks(scope);
        } else {
            scope.perform_microtask_checkpoint();
            crate::modules::refuse_unsettled(scope);
        }
        // What the guest left is looked at on its own account: that can run its code.
        if let Outcome::Threw(report) = uncaught
            && !self.is_stopped(scope)
        {
            v8::tc_scope!(let scope, scope);
            (self.0.hooks.uncaught)(scope, report);
        }
        self.tell_rejected(scope);
        let now = Instant::now();
        let Finished { meter, stopped, .. } = thread.finish(now);
        heap::ran(scope, &self.0.state, now.saturating_duration_since(began));
        let stopped = stopped || scope.is_execution_terminating();
        if let Some(meter) = &meter {
            self.account(is_task, meter.used().saturating_sub(used), now);
        }
        if stopped && !self.0.state.is_over_memory() {
            self.drop_microtasks(scope);
        }
        if !self.is_stopped(scope) {
            v8::tc_scope!(let scope, scope);
            (self.0.hooks.after_message)(scope, stopped);
        }
        now
    }

    /// Tells of promises that nothing handles. Listeners leave microtasks and rejections of their own, and are told of
    /// those in turn, up to a number.
    fn tell_rejected(&self, scope: &mut v8::PinScope<'_, '_>) {
        let mut told = 0;
        loop {
            let rejections = take_rejections(scope);
            if rejections.len() == 0 || told > MAX_REJECTIONS || self.is_stopped(scope) {
                return;
            }
            told += rejections.len();
            let stopped = {
                v8::tc_scope!(let scope, scope);
                (self.0.hooks.rejected)(scope, rejections);
                scope.has_terminated()
            };
            if stopped || self.is_stopped(scope) {
                return self.drop_microtasks(scope);
            }
            scope.perform_microtask_checkpoint();
        }
    }

    /// A message took this much, at `now`. Callbacks that take more than they may, a little in each task, end the isolate.
    fn account(&self, is_task: bool, spent: Duration, now: Instant) {
        let earned = self.0.earned.load(Ordering::Relaxed);
        if !is_task {
            self.0.earned.store(earned.saturating_add(spent.as_nanos() as u64), Ordering::Relaxed);
            return;
        }
        self.0.earned.store(0, Ordering::Relaxed);
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.earn(Duration::from_nanos(earned));
        let over = !tasks.take(spent, now);
        drop(tasks);
        if over {
            self.end(End::Tasks);
        }
    }

    fn is_stopped(&self, scope: &mut v8::PinScope<'_, '_>) -> bool {
        self.0.state.is_over_memory() || scope.is_execution_terminating()
    }

    /// V8 keeps what was queued behind code that was stopped: a checkpoint while terminating drops that.
    fn drop_microtasks(&self, scope: &mut v8::PinScope<'_, '_>) {
        self.0.state.terminate();
        scope.perform_microtask_checkpoint();
        if !self.0.state.is_over_memory() {
            self.0.state.resume();
        }
    }
}

/// How the delivery of a message ended.
enum Outcome {
    Done,
    Threw(ExceptionReport),
    Stopped,
}

/// How a turn ended.
#[derive(Default)]
pub(crate) enum Turn {
    #[default]
    Idle,
    Yield,
    Closed,
    OverMemory,
}

impl Turn {
    /// Whether the heap goes with it.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self, Self::Closed | Self::OverMemory)
    }
}
