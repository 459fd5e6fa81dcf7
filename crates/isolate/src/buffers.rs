//! The bytes of `ArrayBuffer`s lie outside the JavaScript heap and its limit: they are counted here, for each isolate.
//! Past the limit V8 first collects, then throws a `RangeError`, as the standard says.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::heap::MemoryEnd;
use crate::memory;

/// Bytes of buffers of one isolate.
pub struct Budget {
    used: AtomicUsize,
    /// Bytes of the JavaScript heap, which count against the same limit.
    heap: AtomicUsize,
    limit: AtomicUsize,
    /// The last request was refused, and V8 has not been told what to make of it.
    refused: AtomicBool,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            heap: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            refused: AtomicBool::new(false),
        })
    }

    /// Bytes that are taken.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The JavaScript heap has this many bytes of live objects.
    pub(crate) fn heap_has(&self, bytes: usize) {
        self.heap.store(bytes, Ordering::Relaxed);
    }

    /// Makes the limit smaller.
    pub(crate) fn lower(&self, limit: usize) {
        self.limit.fetch_min(limit, Ordering::Relaxed);
    }

    /// Whether the last request was refused; asked once for each refusal.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused.swap(false, Ordering::Relaxed)
    }

    fn most(&self) -> usize {
        self.limit.load(Ordering::Relaxed).saturating_sub(self.heap.load(Ordering::Relaxed))
    }

    /// Takes `length` bytes of the budget. False: they are not there.
    fn take(&self, length: usize) -> bool {
        let most = self.most();
        let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            used.checked_add(length).filter(|sum| *sum <= most)
        });
        self.refused.store(taken.is_err(), Ordering::Relaxed);
        if taken.is_ok() {
            memory::buffer_made(length);
        }
        taken.is_ok()
    }

    fn has_room(&self, length: usize) -> bool {
        self.used.load(Ordering::Acquire).checked_add(length).is_some_and(|sum| sum <= self.most())
    }

    fn give_back(&self, length: usize) {
        self.used.fetch_sub(length, Ordering::AcqRel);
        memory::buffer_dropped(length);
    }
}

/// The functions that the crate's C++ allocator calls (its `RustAllocatorVtable`).
#[repr(C)]
struct Functions {
    allocate: unsafe extern "C" fn(&Budget, usize) -> *mut c_void,
    allocate_uninitialized: unsafe extern "C" fn(&Budget, usize) -> *mut c_void,
    free: unsafe extern "C" fn(&Budget, *mut c_void, usize),
    drop: unsafe extern "C" fn(*const Budget),
}

/// For natives that make buffers: V8 aborts the process where it cannot. Lives in the isolate's slot.
pub(crate) struct Guard {
    pub(crate) budget: Arc<Budget>,
    pub(crate) state: Arc<crate::heap::HeapState>,
}

/// Bytes that the buffers of this isolate have now.
pub(crate) fn bytes(scope: &mut v8::PinScope<'_, '_>) -> usize {
    scope.get_slot::<Guard>().map_or(0, |guard| guard.budget.used())
}

/// Whether what runs in this isolate is being stopped.
pub(crate) fn is_stopping(scope: &mut v8::PinScope<'_, '_>) -> bool {
    scope.get_slot::<Guard>().is_some_and(|guard| guard.state.is_stopping())
}

/// Whether a buffer of this length can be made now. Where it cannot, after a collection too, the isolate is ended for its
/// memory.
pub(crate) fn make_room(scope: &mut v8::PinScope<'_, '_>, length: usize) -> bool {
    let Some((budget, state)) =
        scope.get_slot::<Guard>().map(|guard| (guard.budget.clone(), guard.state.clone()))
    else {
        return true;
    };
    if budget.has_room(length) {
        return true;
    }
    scope.low_memory_notification();
    let room = budget.has_room(length);
    if !room {
        state.exceed(MemoryEnd::Isolate);
    }
    room
}

/// Memory that a native keeps for a guest, counted like a buffer until this is dropped.
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// Counts `bytes` of memory that a native is about to take. None: the isolate has not so much left, after a collection too,
/// and is ended for its memory.
pub fn charge(scope: &mut v8::PinScope<'_, '_>, bytes: usize) -> Option<Charge> {
    let budget = scope.get_slot::<Guard>().map(|guard| guard.budget.clone())?;
    (make_room(scope, bytes) && budget.take(bytes)).then(|| Charge { budget, bytes })
}

unsafe extern "C" {
    // The crate leaves this out of its interface when the V8 sandbox is on, because memory from elsewhere must not be
    // handed to V8 then. Ours comes from V8's own allocator.
    fn v8__ArrayBuffer__Allocator__NewRustAllocator(
        handle: *const c_void,
        functions: *const Functions,
    ) -> *mut v8::Allocator;
}

static FUNCTIONS: Functions = Functions { allocate, allocate_uninitialized, free, drop: release };

/// An allocator for one isolate's parameters that counts against `budget`.
pub(crate) fn allocator(budget: Arc<Budget>) -> v8::SharedPtr<v8::Allocator> {
    // SAFETY: the handle is an `Arc` that `release` takes back, the table is static and of the handle's type.
    let allocator = unsafe {
        v8__ArrayBuffer__Allocator__NewRustAllocator(
            Arc::into_raw(budget).cast::<c_void>(),
            &raw const FUNCTIONS,
        )
    };
    // SAFETY: the pointer was made with `new` just now and nobody else owns it.
    unsafe { v8::UniquePtr::from_raw(allocator) }.make_shared()
}

/// V8's own allocator, whose memory lies inside the sandbox; one for the process, never dropped.
struct Inner(*mut v8::Allocator);

// SAFETY: V8's default allocator may be used from any thread.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

/// The virtual functions of `v8::ArrayBuffer::Allocator` in their order (v8-array-buffer.h), after two destructors.
#[repr(C)]
struct Table {
    destructors: [*const c_void; 2],
    allocate: unsafe extern "C" fn(*mut v8::Allocator, usize) -> *mut c_void,
    allocate_uninitialized: unsafe extern "C" fn(*mut v8::Allocator, usize) -> *mut c_void,
    free: unsafe extern "C" fn(*mut v8::Allocator, *mut c_void, usize),
}

fn inner() -> (*mut v8::Allocator, &'static Table) {
    static INNER: OnceLock<Inner> = OnceLock::new();
    let allocator = INNER.get_or_init(|| Inner(v8::new_default_allocator().into_raw())).0;
    // SAFETY: a C++ object with virtual functions begins with a pointer to their table (Itanium C++ ABI).
    (allocator, unsafe { &**allocator.cast::<*const Table>() })
}

unsafe extern "C" fn allocate(budget: &Budget, length: usize) -> *mut c_void {
    let (allocator, table) = inner();
    // SAFETY: calls the virtual function on its own object.
    counted(budget, length, || unsafe { (table.allocate)(allocator, length) })
}

unsafe extern "C" fn allocate_uninitialized(budget: &Budget, length: usize) -> *mut c_void {
    let (allocator, table) = inner();
    // SAFETY: calls the virtual function on its own object.
    counted(budget, length, || unsafe { (table.allocate_uninitialized)(allocator, length) })
}

fn counted(budget: &Budget, length: usize, allocate: impl FnOnce() -> *mut c_void) -> *mut c_void {
    if !budget.take(length) {
        return std::ptr::null_mut();
    }
    let data = allocate();
    if data.is_null() {
        budget.give_back(length);
    }
    data
}

unsafe extern "C" fn free(budget: &Budget, data: *mut c_void, length: usize) {
    let (allocator, table) = inner();
    // SAFETY: the memory came from this allocator, with this length.
    unsafe { (table.free)(allocator, data, length) };
    budget.give_back(length);
}

unsafe extern "C" fn release(budget: *const Budget) {
    // SAFETY: the pointer came from `Arc::into_raw` in `allocator`, and V8 drops the allocator once.
    drop(unsafe { Arc::from_raw(budget) });
}
