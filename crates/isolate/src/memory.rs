//! The process's account of memory: what all heaps and buffers take together.
//!
//! The heaps of all isolates lie in one cage of 4 GiB, and V8 aborts the process when it is full. So there are two
//! marks long before: at the first, whoever can is asked to let go of isolates that nobody needs now; at the second, the
//! isolate that takes the most is ended. The bytes of buffers lie outside the cage, but in the machine's memory: the same
//! two marks hold for both together. Machine code of all isolates lies in a range of 512 MiB of its own, with its own two
//! marks.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use crate::heap::{CODE_RANGE, HeapState, MemoryEnd};
use crate::machine;
use crate::pool::Pool;

/// Marks for a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// Heaps alone: V8's cage has 4 GiB.
    pub heaps: usize,
    /// Heaps and buffers together.
    pub total: usize,
    /// Machine code: V8's range has 512 MiB, and each isolate that has any takes 256 KiB of it at least.
    pub code: usize,
}

/// What is held against the marks.
#[derive(Clone, Copy)]
struct Sums {
    heaps: usize,
    buffers: usize,
    code: usize,
}

impl Sums {
    fn now() -> Self {
        let [heaps, buffers, code] = [&HEAPS, &BUFFERS, &CODE].map(|sum| sum.load(Ordering::Relaxed));
        Self { heaps, buffers, code }
    }

    fn without(self, heap: &HeapState) -> Self {
        Self {
            heaps: self.heaps.saturating_sub(heap.heap_bytes()),
            buffers: self.buffers.saturating_sub(heap.buffer_bytes()),
            code: self.code.saturating_sub(heap.code_bytes()),
        }
    }
}

impl Marks {
    /// For a machine with this much memory: three quarters of it, and seven eighths of the cage. (Three thousand small
    /// isolates have three quarters of that.)
    pub fn of(memory: usize) -> Self {
        Self { heaps: CAGE / 8 * 7, total: memory / 4 * 3, code: CODE_RANGE / 8 * 7 }
    }

    /// Idle isolates are let go of from here on.
    fn pressing(self) -> Self {
        Self { heaps: self.heaps / 10 * 9, total: self.total / 10 * 9, code: self.code / 10 * 9 }
    }

    /// The one that errors name.
    pub fn smallest(self) -> usize {
        self.heaps.min(self.total)
    }

    fn passed(self, sums: Sums) -> bool {
        sums.heaps > self.heaps || sums.heaps + sums.buffers > self.total || sums.code > self.code
    }
}

const CAGE: usize = 4 << 30;

static HEAPS: AtomicUsize = AtomicUsize::new(0);
static BUFFERS: AtomicUsize = AtomicUsize::new(0);
static CODE: AtomicUsize = AtomicUsize::new(0);
static ENDED: AtomicUsize = AtomicUsize::new(0);
static RELIEVING: AtomicBool = AtomicBool::new(false);
static MARKS: OnceLock<Marks> = OnceLock::new();
static KNOWN: Mutex<Vec<Weak<HeapState>>> = Mutex::new(Vec::new());
static POOLS: Mutex<Vec<Weak<Pool>>> = Mutex::new(Vec::new());

/// Sets the marks, once, before the first heap is made; otherwise they are those of the machine's own memory.
pub fn limit(marks: Marks) {
    let _ = MARKS.set(marks);
}

/// The marks in force.
pub fn marks() -> Marks {
    *MARKS.get_or_init(|| Marks::of(machine()))
}

/// What the process has in heaps and buffers, in bytes, and how many isolates were ended because that was too much.
#[derive(Debug, Clone, Copy)]
pub struct MemoryFigures {
    /// Bytes of heaps, as V8 holds them.
    pub heaps: usize,
    /// Bytes of buffers.
    pub buffers: usize,
    /// Bytes of machine code.
    pub code: usize,
    /// Isolates ended for the process's sake.
    pub ended: usize,
}

/// Figures of now.
pub fn figures() -> MemoryFigures {
    MemoryFigures {
        heaps: HEAPS.load(Ordering::Relaxed),
        buffers: BUFFERS.load(Ordering::Relaxed),
        code: CODE.load(Ordering::Relaxed),
        ended: ENDED.load(Ordering::Relaxed),
    }
}

/// Memory of the machine, or of the control groups that the process is in, in bytes.
fn machine() -> usize {
    let found = machine::memory(Path::new("/"));
    tracing::debug!(mib = found.bytes >> 20, from = %found.from.display(), "memory for heaps and buffers: three quarters of it");
    found.bytes
}

fn known() -> MutexGuard<'static, Vec<Weak<HeapState>>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A heap was made.
pub(crate) fn register(heap: Weak<HeapState>) {
    let mut known = known();
    if known.len() == known.capacity() {
        known.retain(|heap| heap.strong_count() > 0);
    }
    known.push(heap);
}

/// A pool that is asked for relief when memory presses.
pub(crate) fn register_pool(pool: Weak<Pool>) {
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    pools.retain(|pool| pool.strong_count() > 0);
    pools.push(pool);
}

/// A heap has this many bytes now, and had that many when it was last looked at.
pub(crate) fn heap_changed(before: usize, now: usize) {
    if now <= before {
        HEAPS.fetch_sub(before - now, Ordering::Relaxed);
        return;
    }
    HEAPS.fetch_add(now - before, Ordering::Relaxed);
    relieve();
}

/// A heap has this many bytes of machine code now, and had that many when it was last looked at.
pub(crate) fn code_changed(before: usize, now: usize) {
    if now <= before {
        CODE.fetch_sub(before - now, Ordering::Relaxed);
        return;
    }
    CODE.fetch_add(now - before, Ordering::Relaxed);
    relieve();
}

pub(crate) fn buffer_made(bytes: usize) {
    BUFFERS.fetch_add(bytes, Ordering::Relaxed);
    relieve();
}

pub(crate) fn buffer_dropped(bytes: usize) {
    BUFFERS.fetch_sub(bytes, Ordering::Relaxed);
}

/// Whether isolates that nobody needs now should go.
pub(crate) fn is_pressing() -> bool {
    marks().pressing().passed(Sums::now())
}

/// Whether there is so much machine code that no further isolate should be made.
pub fn is_full_of_code() -> bool {
    CODE.load(Ordering::Relaxed) > marks().code
}

/// Whether the cage is so full that no isolate can count on more of it.
pub(crate) fn is_full() -> bool {
    HEAPS.load(Ordering::Relaxed) > marks().heaps
}

/// Looks at the marks. Any thread, also inside a garbage collection or an allocation: nothing here touches V8's heaps.
fn relieve() {
    if !is_pressing() {
        return;
    }
    let pools: Vec<_> = {
        let pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        pools.iter().filter_map(Weak::upgrade).collect()
    };
    pools.iter().for_each(|pool| pool.press());
    // One at a time: what was chosen to go is still in the sum until it has gone.
    if marks().passed(Sums::now()) && !RELIEVING.swap(true, Ordering::AcqRel) {
        end_largest();
        RELIEVING.store(false, Ordering::Release);
    }
}

/// An isolate that takes less is not worth ending.
const WORTH_ENDING: usize = 8 << 20;

/// Ends isolates, the largest first, until what those that stay have is below the mark.
fn end_largest() {
    let heaps: Vec<_> = known().iter().filter_map(Weak::upgrade).collect();
    let (going, mut staying): (Vec<_>, Vec<_>) = heaps.into_iter().partition(|heap| heap.is_over_memory());
    let mut sums = going.iter().fold(Sums::now(), |sums, heap| sums.without(heap));
    let of_code = sums.code > marks().code;
    staying.retain(|heap| if of_code { heap.code_bytes() > 0 } else { heap.bytes() >= WORTH_ENDING });
    // Looked at once: they go on growing while they are sorted.
    staying.sort_by_cached_key(|heap| {
        (!heap.is_spared(), if of_code { heap.code_bytes() } else { 0 }, heap.bytes())
    });
    while marks().passed(sums) {
        let Some(largest) = staying.pop() else { return };
        sums = sums.without(&largest);
        ENDED.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            bytes = largest.bytes(),
            code = largest.code_bytes(),
            "the process is short of memory; its largest isolate is ended"
        );
        largest.exceed(if of_code { MemoryEnd::Code } else { MemoryEnd::Process });
        // For one that is in a turn, or of a process without a pool; the others are reaped.
        largest.wake();
    }
}

/// Takes away the heaps that were chosen to go and are not in a turn. On the pool's thread: a heap may not be dropped
/// inside a turn.
pub(crate) fn reap() {
    let going: Vec<_> =
        known().iter().filter_map(Weak::upgrade).filter(|heap| heap.is_over_memory()).collect();
    going.iter().for_each(|heap| heap.reap());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_leave_room() {
        let marks = Marks::of(8 << 30);
        assert_eq!(marks, Marks { heaps: 7 << 29, total: 6 << 30, code: 448 << 20 });
        let sums = |heaps, buffers, code| Sums { heaps, buffers, code };
        assert!(!marks.passed(sums(3 << 30, 3 << 30, 448 << 20)));
        assert!(marks.passed(sums((7 << 29) + 1, 0, 0)));
        assert!(marks.passed(sums(1 << 30, (5 << 30) + 1, 0)));
        assert!(marks.passed(sums(0, 0, (448 << 20) + 1)));
        assert!(marks.pressing().passed(sums(13 << 28, 0, 0)));
        assert!(marks.pressing().passed(sums(0, 0, 404 << 20)));
    }
}
