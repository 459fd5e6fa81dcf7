//! How many different Workers a day saw: exactly as long as they are few, then by HyperLogLog.

use std::hash::Hasher;

use atoll_isolate::modules::ModuleSource;
use rustc_hash::{FxHashSet, FxHasher};

use crate::code::WorkerCode;

/// So many are kept one by one (some 200 KB); more are estimated.
const EXACT: usize = 10_000;

/// Registers of the estimate: a power of two. The standard error is 1.04 divided by its root: 0.8 %.
const REGISTERS: usize = 1 << 14;

/// What one UTC day saw.
#[derive(Default)]
pub(super) struct Day {
    /// Days since 1970-01-01.
    number: u64,
    seen: Seen,
}

enum Seen {
    Exactly(FxHashSet<u64>),
    Roughly(Box<[u8]>),
}

impl Default for Seen {
    fn default() -> Self {
        Self::Exactly(FxHashSet::default())
    }
}

impl Day {
    /// Notes a Worker, by its hash; `now` is in milliseconds since 1970.
    pub(super) fn note(&mut self, now: f64, hash: u64) {
        self.turn(now);
        let hash = mix(hash);
        match &mut self.seen {
            Seen::Exactly(known) => {
                known.insert(hash);
                if known.len() > EXACT {
                    let mut registers = vec![0; REGISTERS].into_boxed_slice();
                    known.iter().for_each(|hash| note_roughly(&mut registers, *hash));
                    self.seen = Seen::Roughly(registers);
                }
            }
            Seen::Roughly(registers) => note_roughly(registers, hash),
        }
    }

    /// How many different ones the day of `now` has seen so far.
    pub(super) fn count(&mut self, now: f64) -> u64 {
        self.turn(now);
        match &self.seen {
            Seen::Exactly(known) => known.len() as u64,
            Seen::Roughly(registers) => estimate(registers).round() as u64,
        }
    }

    fn turn(&mut self, now: f64) {
        let today = (now / 86_400_000.0) as u64;
        if today != self.number {
            *self = Self { number: today, seen: Seen::default() };
        }
    }
}

/// Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), section 2.4: good for few and for many
/// alike. (No rank comes near the largest there is.)
fn estimate(registers: &[u8]) -> f64 {
    let size = registers.len() as f64;
    let untouched = registers.iter().filter(|rank| **rank == 0).count() as f64;
    let touched: f64 =
        registers.iter().filter(|rank| **rank > 0).map(|rank| (-f64::from(*rank)).exp2()).sum();
    size * size / (2.0 * std::f64::consts::LN_2 * (touched + size * sigma(untouched / size)))
}

/// `x + x^2 + 2 x^4 + 4 x^8 + ...`, for `x` below 1.
fn sigma(mut x: f64) -> f64 {
    let (mut sum, mut factor) = (x, 1.0);
    loop {
        x *= x;
        let next = sum + x * factor;
        if next == sum {
            return sum;
        }
        (sum, factor) = (next, factor * 2.0);
    }
}

fn note_roughly(registers: &mut [u8], hash: u64) {
    let index = hash as usize % REGISTERS;
    let rest = (hash / REGISTERS as u64) | (1 << 50);
    let rank = rest.trailing_zeros() as u8 + 1;
    registers[index] = registers[index].max(rank);
}

/// Spreads what `FxHasher` gives over all bits (the finaliser of MurmurHash3).
fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// A hash of a Worker's modules, on top of `identity`: that of its id, 0 for a Worker without one. It is for counting:
/// whoever wants two codes to collide can find some.
pub(super) fn fingerprint(identity: u64, code: &WorkerCode) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u64(identity);
    let mut part = |bytes: &[u8]| {
        hasher.write_usize(bytes.len());
        hasher.write(bytes);
    };
    part(code.main.as_bytes());
    for (name, source) in code.modules.iter() {
        part(name.as_bytes());
        match source {
            ModuleSource::Esm(text) => tagged(&mut part, b"js", text.as_bytes()),
            ModuleSource::Translated(text, _) => tagged(&mut part, b"ts", text.as_bytes()),
            ModuleSource::Either(text, _) => tagged(&mut part, b"js or ts", text.as_bytes()),
            ModuleSource::CommonJs(text) => tagged(&mut part, b"cjs", text.as_bytes()),
            ModuleSource::Text(text) => tagged(&mut part, b"text", text.as_bytes()),
            ModuleSource::Json(text) => tagged(&mut part, b"json", text.as_bytes()),
            ModuleSource::Data(bytes) => tagged(&mut part, b"data", bytes),
            ModuleSource::Wasm(bytes) => tagged(&mut part, b"wasm", bytes),
            ModuleSource::CompiledWasm(module) => tagged(&mut part, b"wasm", module.get_wire_bytes_ref()),
        }
    }
    hasher.finish()
}

fn tagged(part: &mut impl FnMut(&[u8]), kind: &[u8], content: &[u8]) {
    part(kind);
    part(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: f64 = 86_400_000.0;

    #[test]
    fn each_worker_counts_once_a_day() {
        let mut day = Day::default();
        for hash in [1, 2, 1, 3, 2] {
            day.note(5.0 * DAY + 1.0, hash);
        }
        assert_eq!(day.count(5.9 * DAY), 3);
        assert_eq!(day.count(6.0 * DAY), 0, "the next day begins at midnight UTC");
        day.note(6.5 * DAY, 1);
        assert_eq!(day.count(6.5 * DAY), 1);
    }

    #[test]
    fn many_workers_are_estimated() {
        let mut day = Day::default();
        for wanted in [EXACT as u64, 20_000, 40_000, 60_000, 300_000, 1_000_000] {
            let known = day.count(DAY);
            assert!(known <= wanted);
            for hash in 0..wanted {
                day.note(DAY, hash);
            }
            let counted = day.count(DAY);
            let error = (counted as f64 - wanted as f64).abs() / wanted as f64;
            assert!(error < 0.03, "{counted} in place of {wanted}");
        }
    }
}
