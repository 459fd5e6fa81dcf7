//! What was made of a source text before: V8's code cache, JavaScript without its types, compiled Wasm. Shared by all
//! isolates of the process, kept in memory within a limit.
//!
//! An entry is made at a source's second sighting, so that code that runs once (an agent's) pays a hash and no more.
//! What is found never depends on who loaded it: entries hold what follows from the text alone, and a key is a hash of
//! the text with keys of this process, which nobody can find a collision for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use siphasher::sip128::{Hasher128, SipHasher13};

/// Most bytes of code caches and of JavaScript without its types.
pub const CODE_BYTES: usize = 64 << 20;
/// Most bytes of compiled Wasm modules, as [`wasm_weight`] counts them.
pub const WASM_BYTES: usize = 64 << 20;
/// A larger entry of code is not kept.
const LARGEST_CODE: usize = 4 << 20;
const LARGEST_WASM: usize = WASM_BYTES / 2;
/// What an entry takes beside what it holds. There is no shortest source: the first compilation in an isolate costs as
/// much as reading 50 KB of code cache, so that a text of 50 bytes starts in half the time.
const ENTRY_BYTES: usize = 256;
/// Sightings that are remembered: at least this many, at most twice as many.
const SIGHTINGS: usize = 1 << 14;

/// What a text is compiled as; the same text as another kind is another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// An ES module.
    Module,
    /// The body of a CommonJS module's function.
    Function,
    /// A text in another language, for what it is translated to.
    Translated,
    /// Wasm bytes.
    Wasm,
}

/// Names a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    hash: u128,
    length: usize,
    kind: Kind,
}

/// What an entry holds.
#[derive(Clone)]
pub(super) enum Kept {
    /// V8's code cache.
    Code(Arc<[u8]>),
    /// The text in JavaScript.
    Text(Arc<str>),
    /// A Wasm module; its code belongs to the process.
    Wasm(Arc<v8::CompiledWasmModule>),
}

/// The figures of the cache since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Entries now.
    pub entries: usize,
    /// Their bytes now.
    pub bytes: usize,
    /// Sources that were found.
    pub hits: u64,
    /// Sources that were not.
    pub misses: u64,
    /// Entries that made room for others.
    pub evicted: u64,
    /// Entries that V8 refused; they are dropped.
    pub rejected: u64,
}

/// What a look at the cache gives.
pub(super) enum Found {
    /// The entry.
    Kept(Kept),
    /// None, but the source was seen before: who looked is to make the entry.
    Again(Claim),
    /// Nothing to use and nothing to do.
    New,
}

/// The right to make an entry; dropped unused, the next who looks gets it.
pub(super) struct Claim {
    store: &'static Store,
    key: Key,
}

impl Claim {
    /// Keeps the entry, unless it is too large.
    pub(super) fn keep(self, kept: Kept) {
        self.store.insert(self.key, kept);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.store.lock().claimed.remove(&self.key);
    }
}

static HASH_KEYS: LazyLock<(u64, u64)> =
    LazyLock::new(|| (RandomState::new().hash_one(0), RandomState::new().hash_one(1)));

/// The key of a source. `variant`: what else the result follows from.
pub(super) fn key(kind: Kind, variant: &str, source: &[u8]) -> Key {
    let (first, second) = *HASH_KEYS;
    let mut hasher = SipHasher13::new_with_keys(first, second);
    hasher.write_u8(kind as u8);
    hasher.write(variant.as_bytes());
    hasher.write_u8(0xff);
    hasher.write(source);
    Key { hash: hasher.finish128().as_u128(), length: source.len(), kind }
}

static CODE: LazyLock<Store> = LazyLock::new(|| Store::new(CODE_BYTES, LARGEST_CODE));
static WASM: LazyLock<Store> = LazyLock::new(|| Store::new(WASM_BYTES, LARGEST_WASM));

fn store(kind: Kind) -> &'static Store {
    if kind == Kind::Wasm { &WASM } else { &CODE }
}

/// Looks for a source, and remembers that it was seen.
pub(super) fn look(key: Key) -> Found {
    let store = store(key.kind);
    store.look(key).into_found(store, key)
}

/// Looks for a source and leaves no trace where there is none.
pub(super) fn peek(key: Key) -> Option<Kept> {
    store(key.kind).lock().find(&key)
}

/// Drops an entry that V8 refused.
pub(super) fn reject(key: Key) {
    let mut inner = store(key.kind).lock();
    inner.remove(&key);
    inner.figures.rejected += 1;
}

/// The figures of both stores together.
pub fn figures() -> CacheFigures {
    let (code, wasm) = (CODE.lock().figures(), WASM.lock().figures());
    CacheFigures {
        entries: code.entries + wasm.entries,
        bytes: code.bytes + wasm.bytes,
        hits: code.hits + wasm.hits,
        misses: code.misses + wasm.misses,
        evicted: code.evicted + wasm.evicted,
        rejected: code.rejected + wasm.rejected,
    }
}

/// What a Wasm module counts for: V8 does not tell how much code it has made of the bytes, and makes it function by
/// function; baseline code is some three times as long as the bytes, and each module has tables and mappings of its own.
fn wasm_weight(bytes: usize) -> usize {
    bytes.saturating_mul(4).saturating_add(64 << 10)
}

fn weight(kept: &Kept) -> usize {
    let held = match kept {
        Kept::Code(bytes) => bytes.len(),
        Kept::Text(text) => text.len(),
        Kept::Wasm(module) => wasm_weight(module.get_wire_bytes_ref().len()),
    };
    held + ENTRY_BYTES
}

struct Store {
    inner: Mutex<Inner>,
    limit: usize,
    largest: usize,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<Key, Entry>,
    /// The clock: who is in front goes when there is no room, unless it was used since it came there last.
    order: VecDeque<Key>,
    bytes: usize,
    seen: Sightings,
    claimed: HashSet<Key>,
    figures: CacheFigures,
}

struct Entry {
    kept: Kept,
    weight: usize,
    used: bool,
}

enum Look {
    Kept(Kept),
    Again,
    New,
}

impl Look {
    fn into_found(self, store: &'static Store, key: Key) -> Found {
        match self {
            Self::Kept(kept) => Found::Kept(kept),
            Self::Again => Found::Again(Claim { store, key }),
            Self::New => Found::New,
        }
    }
}

impl Store {
    fn new(limit: usize, largest: usize) -> Self {
        Self { inner: Mutex::default(), limit, largest }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, key: Key) -> Look {
        let mut inner = self.lock();
        if let Some(kept) = inner.find(&key) {
            return Look::Kept(kept);
        }
        inner.figures.misses += 1;
        // Somebody else is about to make the entry.
        if inner.claimed.contains(&key) || !inner.seen.note(key) {
            return Look::New;
        }
        inner.claimed.insert(key);
        Look::Again
    }

    fn insert(&self, key: Key, kept: Kept) {
        let weight = weight(&kept);
        if weight > self.largest {
            return;
        }
        let mut dropped = Vec::new();
        let mut inner = self.lock();
        while inner.bytes + weight > self.limit {
            let Some(front) = inner.order.pop_front() else { break };
            match inner.entries.get_mut(&front) {
                Some(entry) if entry.used => {
                    entry.used = false;
                    inner.order.push_back(front);
                }
                _ => {
                    dropped.extend(inner.take(&front));
                    inner.figures.evicted += 1;
                }
            }
        }
        dropped.extend(inner.take(&key));
        inner.entries.insert(key, Entry { kept, weight, used: false });
        inner.order.push_back(key);
        inner.bytes += weight;
        // Freed outside of the lock: a Wasm module takes a while.
        drop(inner);
    }
}

impl Inner {
    fn find(&mut self, key: &Key) -> Option<Kept> {
        let entry = self.entries.get_mut(key)?;
        entry.used = true;
        self.figures.hits += 1;
        Some(entry.kept.clone())
    }

    fn take(&mut self, key: &Key) -> Option<Kept> {
        let entry = self.entries.remove(key)?;
        self.bytes -= entry.weight;
        Some(entry.kept)
    }

    fn remove(&mut self, key: &Key) {
        if self.take(key).is_some() {
            self.order.retain(|known| known != key);
        }
    }

    fn figures(&self) -> CacheFigures {
        CacheFigures { entries: self.entries.len(), bytes: self.bytes, ..self.figures }
    }
}

/// The sources that were seen of late, by half of their hash: one that is mistaken for another gets its entry early.
#[derive(Default)]
struct Sightings {
    recent: HashSet<u64>,
    before: HashSet<u64>,
}

impl Sightings {
    /// Notes a source; gives whether it had been seen.
    fn note(&mut self, key: Key) -> bool {
        let key = key.hash as u64;
        if self.recent.contains(&key) {
            return true;
        }
        let known = self.before.contains(&key);
        if self.recent.len() >= SIGHTINGS {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.insert(key);
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(bytes: usize) -> Kept {
        Kept::Code(vec![0; bytes].into())
    }

    fn named(name: usize) -> Key {
        key(Kind::Module, "", format!("source {name}").as_bytes())
    }

    fn store() -> &'static Store {
        Box::leak(Box::new(Store::new(5 * 400, 500)))
    }

    fn look(store: &'static Store, key: Key) -> Found {
        store.look(key).into_found(store, key)
    }

    fn put(store: &'static Store, name: usize, bytes: usize) {
        look(store, named(name));
        let Found::Again(claim) = look(store, named(name)) else { panic!("the second sighting") };
        claim.keep(code(bytes));
    }

    #[test]
    fn an_entry_is_made_at_the_second_sighting_by_one() {
        let store = store();
        assert!(matches!(look(store, named(1)), Found::New));
        let Found::Again(claim) = look(store, named(1)) else { panic!("the second sighting") };
        assert!(matches!(look(store, named(1)), Found::New), "somebody makes it already");
        drop(claim);
        let Found::Again(claim) = look(store, named(1)) else { panic!("it was given up") };
        claim.keep(code(10));
        assert!(matches!(look(store, named(1)), Found::Kept(Kept::Code(bytes)) if bytes.len() == 10));
        let figures = store.lock().figures();
        assert_eq!(
            (figures.entries, figures.bytes, figures.hits, figures.misses),
            (1, 10 + ENTRY_BYTES, 1, 4)
        );
    }

    #[test]
    fn the_limit_holds_and_what_is_used_stays() {
        let store = store();
        for name in 0..50 {
            put(store, name, 400 - ENTRY_BYTES);
            assert!(matches!(look(store, named(0)), Found::Kept(_)), "used all the time");
            assert!(store.lock().bytes <= 2_000);
        }
        let figures = store.lock().figures();
        assert_eq!((figures.entries, figures.bytes, figures.evicted), (5, 2_000, 45));
        assert_eq!(store.lock().order.len(), 5);
    }

    #[test]
    fn an_entry_larger_than_the_largest_is_not_kept() {
        let store = store();
        put(store, 1, 501 - ENTRY_BYTES);
        assert_eq!(store.lock().figures().entries, 0);
        assert!(store.lock().claimed.is_empty());
    }

    #[test]
    fn keys_differ_by_bytes_kind_and_variant() {
        let base = key(Kind::Module, "", b"export default 1");
        assert_eq!(base, key(Kind::Module, "", b"export default 1"));
        assert_ne!(base, key(Kind::Module, "", b"export default 2"));
        assert_ne!(base, key(Kind::Function, "", b"export default 1"));
        assert_ne!(key(Kind::Translated, "ts", b"x"), key(Kind::Translated, "cts", b"x"));
        assert_ne!(key(Kind::Translated, "a", b"bc"), key(Kind::Translated, "ab", b"c"));
    }

    #[test]
    fn sightings_are_forgotten_in_the_end() {
        let mut seen = Sightings::default();
        assert!(!seen.note(named(0)));
        assert!(seen.note(named(0)));
        for name in 1..=2 * SIGHTINGS {
            seen.note(named(name));
        }
        assert!(!seen.note(named(0)));
        assert!(seen.recent.len() <= SIGHTINGS && seen.before.len() <= SIGHTINGS);
    }
}
