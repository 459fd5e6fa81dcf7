//! A heap that is dropped leaves nothing behind in Rust's memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use atoll_isolate::{Heap, HeapLimits};

/// Counts what is allocated, by the layouts that callers name.
struct Counting;

static BLOCKS: AtomicIsize = AtomicIsize::new(0);
static BYTES: AtomicIsize = AtomicIsize::new(0);

fn count(blocks: isize, bytes: usize) {
    BLOCKS.fetch_add(blocks, Ordering::Relaxed);
    BYTES.fetch_add(blocks * bytes as isize, Ordering::Relaxed);
}

// SAFETY: all is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-1, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_dropped_heap_leaves_nothing() {
    const HEAPS: isize = 100;
    atoll_isolate::engine::initialize_unprotected("");
    let make_and_drop = || {
        for _ in 0..HEAPS {
            drop(Heap::new(atoll_snapshot::startup(), HeapLimits { heap_bytes: 128 << 20 }));
        }
        (BLOCKS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed))
    };
    // The first ones make tables that stay.
    let (blocks, bytes) = make_and_drop();
    let (blocks_after, bytes_after) = make_and_drop();
    assert!((blocks_after - blocks).abs() < HEAPS / 10, "{blocks} blocks, then {blocks_after}");
    assert!((bytes_after - bytes).abs() < HEAPS * 8, "{bytes} bytes, then {bytes_after}");
}
