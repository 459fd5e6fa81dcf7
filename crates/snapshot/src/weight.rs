//! What a blank isolate weighs and how long it takes to make: the numbers that are kept under version control.

use std::fmt;
use std::time::{Duration, Instant};

use atoll_isolate::{Heap, HeapLimits};

/// Figures of blank isolates in this process.
#[derive(Debug, Clone, Copy)]
pub struct Weight {
    /// How many were made.
    pub isolates: usize,
    /// Resident memory of each, in bytes.
    pub resident: usize,
    /// JavaScript heap in use in each, in bytes.
    pub heap_used: usize,
    /// Functions of the runtime that exist in a blank isolate's snapshot blob, in bytes of blob.
    pub blob: usize,
    /// Code cache of the lazy scripts, in bytes.
    pub cache: usize,
    /// Median time to make one.
    pub creation: Duration,
    /// Median time to drop one.
    pub disposal: Duration,
}

/// Makes `count` blank isolates, measures, and drops them. V8 must be initialised; no other isolate should be alive.
pub fn measure(count: usize) -> Weight {
    let startup = crate::startup();
    let limits = HeapLimits { heap_bytes: 128 << 20 };
    // The first one pays for what the process needs once.
    drop(Heap::new(startup, limits));
    let before = resident();
    let mut times = Vec::with_capacity(count);
    let mut heaps = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        heaps.push(Heap::new(startup, limits));
        times.push(started.elapsed());
    }
    let resident = resident().saturating_sub(before) / count.max(1);
    let heap_used = heaps.last().map_or(0, |heap| heap.figures().used);
    let mut drops = Vec::with_capacity(count);
    for heap in heaps {
        let started = Instant::now();
        drop(heap);
        drops.push(started.elapsed());
    }
    let (blob, cache) = crate::sizes();
    Weight {
        isolates: count,
        resident,
        heap_used,
        blob,
        cache,
        creation: median(&mut times),
        disposal: median(&mut drops),
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Resident memory of this process in bytes; 0 where the system does not tell.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = statm.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    pages * 4096
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "blank isolates measured   {}", self.isolates)?;
        writeln!(f, "resident memory of each   {} KiB", self.resident / 1024)?;
        writeln!(f, "heap in use in each       {} KiB", self.heap_used / 1024)?;
        writeln!(f, "startup blob              {} KiB", self.blob / 1024)?;
        writeln!(f, "code cache, lazy scripts  {} KiB", self.cache / 1024)?;
        writeln!(f, "creation, median          {:.2} ms", self.creation.as_secs_f64() * 1000.0)?;
        write!(f, "disposal, median          {:.2} ms", self.disposal.as_secs_f64() * 1000.0)
    }
}
