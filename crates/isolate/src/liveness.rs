//! The cell of an isolate by which the crate `v8` knows whether it is alive. The crate makes one for each isolate, for all its
//! `Global`s to point at, and never frees it, because one of these may be dropped after its isolate. Here none is: they
//! are all in slots of the isolate or on the stack of a turn. So the cell goes with the heap, or a process that loads five
//! thousand Workers a minute would grow by half a gigabyte a day.

use std::alloc::Layout;
use std::ptr::NonNull;

/// What `v8::isolate::IsolateLiveness` takes: `snapshot/tests/disposal.rs` holds it against what the crate allocates.
const CELL: Layout = Layout::new::<[u64; 8]>();

/// The cell of one isolate; freed with this. To be dropped after the isolate.
pub(crate) struct Liveness(NonNull<u8>);

// SAFETY: it is only a claim on the memory, and has it alone once the isolate is gone.
unsafe impl Send for Liveness {}

impl Liveness {
    /// The cell that `global` points at, and `global` again.
    ///
    /// # Safety
    /// No handle of the isolate may outlive what is returned, and the isolate has one `Liveness` only.
    pub(crate) unsafe fn of<T>(isolate: &mut v8::Isolate, global: v8::Global<T>) -> (v8::Global<T>, Self) {
        const { assert!(size_of::<v8::Global<T>>() == size_of::<[usize; 2]>()) };
        // SAFETY: a `Global` is two pointers, to V8's handle and to the cell, in an order that Rust chooses.
        let [one, other]: [NonNull<u8>; 2] = unsafe { std::mem::transmute_copy(&global) };
        let handle = global.into_raw();
        // SAFETY: it was a `Global` of this isolate a line ago.
        let global = unsafe { v8::Global::from_raw(isolate, handle) };
        (global, Self(if one == handle.cast() { other } else { one }))
    }
}

impl Drop for Liveness {
    fn drop(&mut self) {
        // SAFETY: the crate allocated it with this layout and leaked it; the caller of `of` answers for the handles.
        unsafe { std::alloc::dealloc(self.0.as_ptr(), CELL) };
    }
}
