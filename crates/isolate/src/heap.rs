//! A V8 isolate with its context, made from the startup snapshot, and its memory limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::extension::Startup;
use crate::{buffers, engine, modules, realm};

/// Machine code of all isolates of the process lies in one range, each isolate's in pages of its own (256 KiB): V8's own
/// choice of 128 MiB is full after some 500 isolates that have any, and V8 aborts the process then.
const CODE_RANGE: usize = 512 << 20;

/// Memory limits of one heap.
#[derive(Debug, Clone, Copy)]
pub struct HeapLimits {
    /// Bytes of JavaScript heap, and as many again of buffers outside it.
    pub heap_bytes: usize,
}

/// What can be known of a heap without its lock.
pub struct HeapState {
    handle: v8::IsolateHandle,
    over_memory: AtomicBool,
    limit: AtomicUsize,
}

impl HeapState {
    /// Whether the heap reached its limit and is being ended.
    pub fn is_over_memory(&self) -> bool {
        self.over_memory.load(Ordering::Acquire)
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// The memory limit is reached: what runs is stopped, the isolate ends with its turn.
    pub(crate) fn exceed(&self) {
        self.over_memory.store(true, Ordering::Release);
        self.terminate();
    }

    /// Stops what runs in the heap, from any thread.
    pub(crate) fn terminate(&self) {
        self.handle.terminate_execution();
    }

    pub(crate) fn resume(&self) {
        self.handle.cancel_terminate_execution();
    }
}

/// A V8 isolate with one context. Any thread may use it, one at a time, under its lock.
pub struct Heap {
    // Dropped in this order: handles before the isolate that they belong to.
    context: v8::Global<v8::Context>,
    isolate: v8::SharedIsolate,
    state: Arc<HeapState>,
    id: usize,
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
            over_memory: AtomicBool::new(false),
            limit: AtomicUsize::new(limits.heap_bytes),
        });
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
        drop(locker);
        LIVE.fetch_add(1, Ordering::Relaxed);
        Self { context, isolate, state, id }
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
        engine::forget(self.id);
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// V8 calls this when the heap is nearly full. It must raise the limit, or V8 aborts the process: enough for the
/// termination to unwind.
unsafe extern "C" fn near_heap_limit(data: *mut std::ffi::c_void, current: usize, _initial: usize) -> usize {
    // SAFETY: the data is the state that the heap owns; the callback lives no longer than the heap's isolate.
    let state = unsafe { &*data.cast::<HeapState>() };
    state.exceed();
    current + (current / 2).max(16 << 20)
}

fn configure(isolate: &mut v8::Isolate) {
    isolate.set_microtasks_policy(v8::MicrotasksPolicy::Explicit);
    isolate.set_capture_stack_trace_for_uncaught_exceptions(true, 10);
    modules::configure(isolate);
    crate::actor::configure(isolate);
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
    /// Bytes reserved from the system.
    pub committed: usize,
    /// Bytes outside the heap that V8 was told of.
    pub external: usize,
}

impl Heap {
    /// Reads the figures.
    pub fn figures(&self) -> HeapFigures {
        self.enter(|scope| {
            let figures = scope.get_heap_statistics();
            HeapFigures {
                used: figures.used_heap_size(),
                committed: figures.total_heap_size(),
                external: figures.external_memory(),
            }
        })
    }
}
