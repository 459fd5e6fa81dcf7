//! A V8 isolate with its context, made from the startup snapshot, and its memory limit.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::actor::{Envelope, SendsFor, WeakIsolate};
use crate::extension::Startup;
use crate::liveness::Liveness;
use crate::{abort, buffers, engine, memory, modules, realm, scheduler};

/// Machine code of all isolates of the process lies in one range, each isolate's in pages of its own (256 KiB): V8's own
/// choice of 128 MiB is full after some 500 isolates that have any, and V8 aborts the process then.
pub(crate) const CODE_RANGE: usize = 512 << 20;

/// Memory limits of one heap.
#[derive(Debug, Clone, Copy)]
pub struct HeapLimits {
    /// Bytes of JavaScript heap and of buffers outside it, together.
    pub heap_bytes: usize,
}

/// Whose memory limit ended an isolate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum MemoryEnd {
    /// Its own.
    Isolate = 1,
    /// The process's: it took the most when there was no more.
    Process = 2,
    /// That of all machine code: it had the most.
    Code = 3,
}

/// What can be known of a heap without its lock.
pub struct HeapState {
    handle: v8::IsolateHandle,
    /// 0, or a [`MemoryEnd`].
    over_memory: AtomicU8,
    /// V8 was told to stop what runs, at some time.
    was_stopped: AtomicBool,
    /// Whether what runs is to stop, for Rust code that looks.
    stopping: AtomicBool,
    limit: AtomicUsize,
    /// Bytes that V8 held for the heap when it was last looked at; large objects count twice, because each begins a new
    /// 256 KiB of the cage.
    held: AtomicUsize,
    /// Bytes of live objects and buffers, likewise.
    used: AtomicUsize,
    /// Bytes of machine code, likewise.
    code: AtomicUsize,
    /// Nanoseconds that code ran since then; written in turns only.
    unseen: AtomicU64,
    budget: Arc<buffers::Budget>,
    /// Bytes elsewhere that the collector was told of, to make it look sooner: not this heap's own.
    elsewhere: AtomicI64,
    /// Ended for the process's sake only when there is nobody else.
    spared: AtomicBool,
    reading: AtomicU8,
    /// Objects made so far that keep memory which V8 does not count.
    foreign: AtomicUsize,
    actor: OnceLock<WeakIsolate>,
}

impl HeapState {
    /// Whether the heap reached a memory limit and is being ended.
    pub fn is_over_memory(&self) -> bool {
        self.over_memory.load(Ordering::Acquire) != 0
    }

    /// The limit that it reached.
    pub fn memory_end(&self) -> Option<MemoryEnd> {
        match self.over_memory.load(Ordering::Acquire) {
            0 => None,
            1 => Some(MemoryEnd::Isolate),
            2 => Some(MemoryEnd::Process),
            _ => Some(MemoryEnd::Code),
        }
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Bytes of heap and buffers that the process has for it, as of its last garbage collection.
    pub fn bytes(&self) -> usize {
        self.heap_bytes() + self.buffer_bytes()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub(crate) fn code_bytes(&self) -> usize {
        self.code.load(Ordering::Relaxed)
    }

    fn has_code(&self, bytes: usize) {
        self.unseen.store(0, Ordering::Relaxed);
        memory::code_changed(self.code.swap(bytes, Ordering::Relaxed), bytes);
    }

    pub(crate) fn buffer_bytes(&self) -> usize {
        self.budget.used()
    }

    /// A memory limit is reached: what runs is stopped, the isolate ends with its turn.
    pub(crate) fn exceed(&self, end: MemoryEnd) {
        let _ = self.over_memory.compare_exchange(0, end as u8, Ordering::AcqRel, Ordering::Acquire);
        self.terminate();
    }

    /// An isolate that is to end and has nothing to do gets a turn to end in.
    pub(crate) fn wake(&self) {
        if let Some(isolate) = self.actor.get().and_then(WeakIsolate::upgrade) {
            isolate.send(Envelope::without_guest_code(|_| {}));
        }
    }

    pub(crate) fn adopted_by(&self, actor: WeakIsolate) {
        let _ = self.actor.set(actor);
    }

    /// Takes it away now, unless it is in a turn.
    pub(crate) fn reap(&self) {
        if let Some(isolate) = self.actor.get().and_then(WeakIsolate::upgrade) {
            isolate.reap();
        }
    }

    pub(crate) fn spare(&self) {
        self.spared.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_spared(&self) -> bool {
        self.spared.load(Ordering::Relaxed)
    }

    /// Stops what runs in the heap, from any thread.
    pub(crate) fn terminate(&self) {
        self.stopping.store(true, Ordering::Release);
        self.handle.terminate_execution();
        self.was_stopped.store(true, Ordering::Release);
    }

    pub(crate) fn resume(&self) {
        self.stopping.store(false, Ordering::Release);
        self.handle.cancel_terminate_execution();
    }

    /// Whether what runs is being stopped: V8 tells only code that it runs itself.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// A stop that came too late for its turn is not for the next. V8 keeps it with the state of the thread that ran
    /// the turn, so whenever a thread comes back it may find one: called once it is in the heap.
    pub(crate) fn forget_stop(&self) {
        if self.was_stopped.load(Ordering::Acquire) {
            self.resume();
        }
    }

    /// A turn takes long: at its next stop what its heap holds is looked at again, for much can be allocated between two
    /// collections, and it pauses where others are to run.
    pub(crate) fn look_again(self: &Arc<Self>) {
        self.handle.request_interrupt(looked_at, Arc::as_ptr(self) as *mut std::ffi::c_void);
    }

    /// There is too much in the heap. True: because of a message that is being read, which is all that ends.
    fn overruns_reading(&self) -> bool {
        let was = self.reading.compare_exchange(READING, OVERRUN, Ordering::Relaxed, Ordering::Relaxed);
        was != Err(NOT_READING)
    }

    /// After a garbage collection: the process's account, and, where all of it was looked at, the heap's own limit.
    fn collected(&self, figures: HeapFigures, all: bool) {
        let held = figures.committed + figures.large;
        let before = self.held.swap(held, Ordering::Relaxed);
        memory::heap_changed(before, held);
        self.has_code(figures.code);
        if all {
            let elsewhere = self.elsewhere.load(Ordering::Relaxed).max(0) as usize;
            let used = figures.used + figures.external.saturating_sub(elsewhere);
            self.used.store(used, Ordering::Relaxed);
            self.budget.heap_has(figures.used);
            if used > self.limit() && !self.overruns_reading() {
                self.exceed(MemoryEnd::Isolate);
            }
        }
    }
}

impl Drop for HeapState {
    fn drop(&mut self) {
        memory::heap_changed(*self.held.get_mut(), 0);
        memory::code_changed(*self.code.get_mut(), 0);
    }
}

/// A V8 isolate with one context. Any thread may use it, one at a time, under its lock.
pub struct Heap {
    // Dropped in this order: handles before the isolate that they belong to, and then what is left of it.
    context: v8::Global<v8::Context>,
    isolate: v8::SharedIsolate,
    _liveness: Liveness,
    state: Arc<HeapState>,
    id: usize,
    /// While it is dropped: what its objects send then is sent for it.
    sends: Option<SendsFor>,
}

/// Heaps alive in this process.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Heaps alive in this process: V8 aborts it when there are too many (see `limits` in the loader).
pub fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

impl Heap {
    /// Makes a blank heap: the snapshot deserialised, no guest code in it.
    pub fn new(startup: &'static Startup, limits: HeapLimits) -> Self {
        let budget = buffers::Budget::new(limits.heap_bytes);
        let params = v8::CreateParams::default()
            .snapshot_blob(v8::StartupData::from(startup.blob))
            .external_references(startup.references())
            .heap_limits(0, limits.heap_bytes)
            .array_buffer_allocator(buffers::allocator(budget.clone()))
            .allow_atomics_wait(false)
            .set_code_range_size_in_bytes(CODE_RANGE);
        let mut isolate = v8::Isolate::new(params);
        configure(&mut isolate);
        // SAFETY: everything attached to an isolate in this workspace (slots, callbacks, their data) is Send.
        let isolate =
            unsafe { isolate.try_into_shared() }.expect("a new isolate has nothing that forbids sharing");
        let state = Arc::new(HeapState {
            handle: isolate.thread_safe_handle(),
            over_memory: AtomicU8::new(0),
            was_stopped: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            limit: AtomicUsize::new(limits.heap_bytes),
            held: AtomicUsize::new(0),
            used: AtomicUsize::new(0),
            code: AtomicUsize::new(0),
            unseen: AtomicU64::new(0),
            budget: budget.clone(),
            elsewhere: AtomicI64::new(0),
            spared: AtomicBool::new(false),
            reading: AtomicU8::new(NOT_READING),
            foreign: AtomicUsize::new(0),
            actor: OnceLock::new(),
        });
        memory::register(Arc::downgrade(&state));
        let mut locker = isolate.lock();
        let id = {
            // SAFETY: only the address is taken, as the key under which V8's platform posts tasks.
            let pointer = unsafe { locker.as_raw_isolate_ptr() };
            // SAFETY: both are one pointer wide; the value is never dereferenced.
            unsafe { std::mem::transmute_copy::<v8::UnsafeRawIsolatePtr, usize>(&pointer) }
        };
        engine::expect(id);
        locker.set_slot(buffers::Guard { budget, state: state.clone() });
        let data = Arc::as_ptr(&state) as *mut std::ffi::c_void;
        locker.add_near_heap_limit_callback(near_heap_limit, data);
        locker.add_gc_epilogue_callback(collected, data, v8::GCType::kGCTypeAll);
        locker.set_oom_error_handler(abort::out_of_memory);
        let context = {
            v8::scope!(let scope, &mut *locker);
            let context = v8::Context::new(scope, v8::ContextOptions::default());
            let scope = &mut v8::ContextScope::new(scope, context);
            realm::restore(scope, startup);
            modules::bind(scope);
            for extension in startup.extensions {
                (extension.bind)(scope);
            }
            v8::Global::new(scope, context)
        };
        // SAFETY: handles are kept in slots of the isolate, which go with it, and on the stacks of turns.
        let (context, liveness) = unsafe { Liveness::of(&mut locker, context) };
        state.collected(figures(&mut locker), true);
        drop(locker);
        LIVE.fetch_add(1, Ordering::Relaxed);
        Self { context, isolate, _liveness: liveness, state, id, sends: None }
    }

    /// What other threads may know of it.
    pub fn state(&self) -> &Arc<HeapState> {
        &self.state
    }

    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// Takes the lock and enters the context.
    pub fn enter<R>(&self, body: impl FnOnce(&mut v8::PinScope<'_, '_>) -> R) -> R {
        let mut locker = self.isolate.lock();
        v8::scope!(let scope, &mut *locker);
        let context = v8::Local::new(scope, &self.context);
        let scope = &mut v8::ContextScope::new(scope, context);
        body(scope)
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        self.sends = Some(SendsFor::heap(self.id));
        engine::forget(self.id);
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How much further a heap may grow that has reached its limit and is being stopped. One step of a built-in (a table
/// that doubles, an array that is filled) can ask for up to 512 MiB before the stop takes effect, and V8 aborts the process
/// when it cannot have them.
const LAST_STEP: usize = 1 << 30;

/// V8 calls this when the heap is nearly full. It must raise the limit, or V8 aborts the process: enough for the
/// termination to unwind.
unsafe extern "C" fn near_heap_limit(data: *mut std::ffi::c_void, current: usize, initial: usize) -> usize {
    // SAFETY: the data is the state that the heap owns; the callback lives no longer than the heap's isolate.
    let state = unsafe { &*data.cast::<HeapState>() };
    if state.budget.was_refused() {
        // A buffer is what there is no room for: that is the guest's RangeError, and the heap is well.
        return current;
    }
    if state.overruns_reading() {
        return current.max(initial + LAST_STEP);
    }
    state.exceed(if memory::is_full() { MemoryEnd::Process } else { MemoryEnd::Isolate });
    current.max(initial + LAST_STEP)
}

/// V8 calls this at the end of each garbage collection.
unsafe extern "C" fn collected(
    isolate: v8::UnsafeRawIsolatePtr,
    kind: v8::GCType,
    _flags: v8::GCCallbackFlags,
    data: *mut std::ffi::c_void,
) {
    // SAFETY: as in `near_heap_limit`.
    let state = unsafe { &*data.cast::<HeapState>() };
    // SAFETY: V8 gives the isolate that it collected, locked by this thread.
    let mut isolate = unsafe { v8::Isolate::from_raw_isolate_ptr(isolate) };
    state.collected(figures(&mut isolate), kind == v8::GCType::kGCTypeMarkSweepCompact);
}

/// V8 calls this when the code that runs next looks for interrupts.
unsafe extern "C" fn looked_at(isolate: v8::UnsafeRawIsolatePtr, data: *mut std::ffi::c_void) {
    // SAFETY: as in `collected`.
    let (state, mut isolate) =
        unsafe { (&*data.cast::<HeapState>(), v8::Isolate::from_raw_isolate_ptr(isolate)) };
    let figures = figures(&mut isolate);
    state.collected(figures, false);
    // V8 collects before a heap of small objects grows past its limit, but lets single large ones through.
    if figures.used > state.limit() + SLACK && !state.overruns_reading() {
        state.exceed(MemoryEnd::Isolate);
    }
    if !state.is_stopping() {
        scheduler::pause();
    }
}

/// Code that ran for less has no machine code that it did not have before: V8 compiles what is hot.
const UNSEEN_FIRST: Duration = Duration::from_micros(20);

/// Code that has some already cannot have made much more in less.
const UNSEEN: Duration = Duration::from_micros(500);

/// The code in a heap ran for so long: how much machine code there is shows in no collection, for it is made without one.
pub(crate) fn ran(isolate: &mut v8::Isolate, state: &HeapState, spent: Duration) {
    let unseen = state.unseen.load(Ordering::Relaxed).saturating_add(spent.as_nanos() as u64);
    let most = if state.code_bytes() == 0 { UNSEEN_FIRST } else { UNSEEN };
    if unseen < most.as_nanos() as u64 {
        state.unseen.store(unseen, Ordering::Relaxed);
        return;
    }
    let code = code_bytes(isolate);
    state.has_code(code);
}

fn code_bytes(isolate: &mut v8::Isolate) -> usize {
    let spaces = &spaces(isolate).code;
    spaces.iter().map(|space| isolate.get_heap_space_statistics(*space).map_or(0, |s| s.space_size())).sum()
}

/// States of [`HeapState::reading`].
const NOT_READING: u8 = 0;
const READING: u8 = 1;
/// The limit was passed while a message was read.
const OVERRUN: u8 = 2;

fn state_of(scope: &mut v8::PinScope<'_, '_>) -> Option<Arc<HeapState>> {
    scope.get_slot::<buffers::Guard>().map(|guard| guard.state.clone())
}

/// From now on a message is read: should it not fit, that is what fails, and not the isolate.
pub(crate) fn begin_reading(scope: &mut v8::PinScope<'_, '_>) {
    if let Some(state) = state_of(scope) {
        state.reading.store(READING, Ordering::Relaxed);
    }
}

/// Whether the message did not fit.
pub(crate) fn is_overrun(scope: &mut v8::PinScope<'_, '_>) -> bool {
    state_of(scope).is_some_and(|state| state.reading.load(Ordering::Relaxed) == OVERRUN)
}

/// The message is read; where it did not fit, what is left of it is collected. Gives the isolate's limit in bytes.
pub(crate) fn end_reading(scope: &mut v8::PinScope<'_, '_>) -> usize {
    let Some(state) = state_of(scope) else { return 0 };
    if state.reading.load(Ordering::Relaxed) == OVERRUN {
        scope.low_memory_notification();
        restore_limit(scope, &state);
    }
    state.reading.store(NOT_READING, Ordering::Relaxed);
    state.limit()
}

/// V8 takes a smaller limit only when it is told that the callback goes.
fn restore_limit(scope: &mut v8::PinScope<'_, '_>, state: &Arc<HeapState>) {
    scope.remove_near_heap_limit_callback(near_heap_limit, state.limit());
    scope.add_near_heap_limit_callback(near_heap_limit, Arc::as_ptr(state) as *mut std::ffi::c_void);
}

/// What a heap may have beyond its limit while garbage is in it: V8's young generation.
const SLACK: usize = 64 << 20;

fn figures(isolate: &mut v8::Isolate) -> HeapFigures {
    let used = isolate.get_heap_statistics().used_heap_size();
    let (mut committed, mut large) = (0, 0);
    for (space, is_large) in &spaces(isolate).cage {
        let size = isolate.get_heap_space_statistics(*space).map_or(0, |space| space.space_size());
        committed += size;
        large += if *is_large { size } else { 0 };
    }
    // No change, but the sum: buffers, Wasm memories and code, and what `weigh` told of.
    let external = isolate.adjust_amount_of_external_allocated_memory(0).max(0) as usize;
    let code = code_bytes(isolate);
    HeapFigures { used, committed, large, external, code }
}

/// Heap spaces by number. The same in every isolate.
#[derive(Default)]
struct Spaces {
    /// Those that lie in the cage, and whether each of their objects has pages of its own.
    cage: Vec<(usize, bool)>,
    /// Those that lie in the range of machine code.
    code: Vec<usize>,
}

fn spaces(isolate: &mut v8::Isolate) -> &'static Spaces {
    static SPACES: OnceLock<Spaces> = OnceLock::new();
    SPACES.get_or_init(|| {
        let mut spaces = Spaces::default();
        // More than there are; those beyond give nothing.
        for number in 0..64 {
            let Some(space) = isolate.get_heap_space_statistics(number) else { continue };
            match space.space_name().to_bytes() {
                b"new_space" | b"old_space" => spaces.cage.push((number, false)),
                b"new_large_object_space" | b"large_object_space" => spaces.cage.push((number, true)),
                b"code_space" | b"code_large_object_space" => spaces.code.push(number),
                _ => {}
            }
        }
        spaces
    })
}

fn configure(isolate: &mut v8::Isolate) {
    isolate.set_microtasks_policy(v8::MicrotasksPolicy::Explicit);
    isolate.set_capture_stack_trace_for_uncaught_exceptions(true, 10);
    modules::configure(isolate);
    crate::uncaught::configure(isolate);
    crate::stack::configure(isolate);
}

/// Bytes of this isolate's heap, what nobody refers to any more included, and of its buffers.
pub fn footprint(scope: &mut v8::PinScope<'_, '_>) -> usize {
    let heap = scope.get_heap_statistics().used_heap_size();
    heap + buffers::bytes(scope)
}

/// Heap figures of one isolate, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeapFigures {
    /// Bytes in use.
    pub used: usize,
    /// Bytes of the cage that all heaps share.
    pub committed: usize,
    /// Those of them that are in large objects.
    pub large: usize,
    /// Bytes outside the heap that V8 was told of.
    pub external: usize,
    /// Bytes of the range for machine code that all isolates share.
    pub code: usize,
}

impl Heap {
    /// Reads the figures.
    pub fn figures(&self) -> HeapFigures {
        self.enter(|scope| figures(scope))
    }
}

/// Tells the collector of `bytes` of memory elsewhere that objects of this heap keep (negative: no longer): otherwise an
/// isolate with a small heap collects too late, or never.
pub fn weigh(scope: &mut v8::PinScope<'_, '_>, bytes: i64) {
    if bytes == 0 {
        return;
    }
    if let Some(guard) = scope.get_slot::<buffers::Guard>() {
        guard.state.elsewhere.fetch_add(bytes, Ordering::Relaxed);
    }
    scope.adjust_amount_of_external_allocated_memory(bytes);
}

/// An object was made that keeps memory of about [`FOREIGN_BYTES`] which V8 does not count. Each of them has a global handle,
/// so that their number is known after a collection: looked at after every thousand.
pub fn count_foreign(scope: &mut v8::PinScope<'_, '_>) {
    let Some(state) = scope.get_slot::<buffers::Guard>().map(|guard| guard.state.clone()) else { return };
    let made = state.foreign.fetch_add(1, Ordering::Relaxed) + 1;
    if made % FOREIGN_AT_ONCE != 0 {
        return;
    }
    scope.low_memory_notification();
    let statistics = scope.get_heap_statistics();
    // Promises that wait have global handles too: the guess is on the low side.
    let alive = made.min(statistics.used_global_handles_size() / GLOBAL_HANDLE);
    if statistics.used_heap_size() + state.buffer_bytes() + alive * FOREIGN_BYTES > state.limit() {
        state.exceed(MemoryEnd::Isolate);
    }
}

/// What an object of `Intl` keeps, at least.
const FOREIGN_BYTES: usize = 20 << 10;
const FOREIGN_AT_ONCE: usize = 1_000;
/// Bytes of one of V8's global handles.
const GLOBAL_HANDLE: usize = 32;

/// Makes the memory limit of the isolate that runs here smaller; a larger one changes nothing.
pub(crate) fn lower_limit(scope: &mut v8::PinScope<'_, '_>, bytes: usize) {
    let Some(state) = state_of(scope) else { return };
    if state.limit.fetch_min(bytes, Ordering::Relaxed) <= bytes {
        return;
    }
    state.budget.lower(bytes);
    restore_limit(scope, &state);
}
