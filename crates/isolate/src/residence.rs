//! Keeps V8's state of one thread in a heap from turn to turn.
//!
//! With each lock of a heap V8 makes the state that a thread has in it, and with each unlock it frees that: a third of
//! what a short turn costs. Inside an *unlocker* the state is only set aside (V8 says "archived"): the same thread finds
//! it as it left it, another one moves it away and can use the heap all the same. So a residence is a lock and an
//! unlocker in it that stay open.

use std::ffi::c_void;

use crate::heap::Heap;

/// As large as `v8::Locker` and `v8::Unlocker`; the crate `v8` checks these sizes when it is built.
type RawLocker = [usize; 2];
type RawUnlocker = [usize; 1];

unsafe extern "C" {
    fn v8__Locker__CONSTRUCT(locker: *mut RawLocker, isolate: *mut c_void);
    fn v8__Locker__DESTRUCT(locker: *mut RawLocker);
    fn v8__Unlocker__CONSTRUCT(unlocker: *mut RawUnlocker, isolate: *mut c_void);
    fn v8__Unlocker__DESTRUCT(unlocker: *mut RawUnlocker);
}

/// This thread's residence in one heap. Dropping it without [`Residence::end`] only leaks, some 10 KB, until V8 disposes
/// of the heap and some of it for good; so it is never done but where the heap or the thread was lost.
pub(crate) struct Residence {
    locker: Box<RawLocker>,
    unlocker: Box<RawUnlocker>,
    heap: usize,
    /// V8 goes by the thread.
    _here: std::marker::PhantomData<*const ()>,
}

impl Residence {
    /// Begins one. Nobody may be in the heap, and this thread must not reside in it already.
    pub(crate) fn begin(heap: &Heap) -> Self {
        let isolate = heap.id() as *mut c_void;
        let (mut locker, mut unlocker) = (Box::new([0; 2]), Box::new([0; 1]));
        // SAFETY: the heap's number is the address of its isolate, which lives as long as the heap. The storage has the
        // size of the objects and keeps its place.
        unsafe {
            v8__Locker__CONSTRUCT(&raw mut *locker, isolate);
            v8__Unlocker__CONSTRUCT(&raw mut *unlocker, isolate);
        }
        Self { locker, unlocker, heap: heap.id(), _here: std::marker::PhantomData }
    }

    /// Ends it. `heap` is the one that it was begun with, and nobody is in it.
    pub(crate) fn end(mut self, heap: &Heap) {
        assert_eq!(self.heap, heap.id(), "a residence ends in its own heap");
        // SAFETY: both were constructed on this thread, in the reverse order, and the isolate is alive.
        unsafe {
            v8__Unlocker__DESTRUCT(&raw mut *self.unlocker);
            v8__Locker__DESTRUCT(&raw mut *self.locker);
        }
    }
}
