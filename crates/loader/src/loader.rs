//! A loader's named children: found by id, shared by all who ask, let go of when idle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::worker::{WeakWorker, Worker};

/// A loader: named children by id. Bindings with the same loader id share one.
pub type Loader = Children<Worker>;

/// What a loader must know of a child to let go of it. Times are in microseconds of a monotonic clock.
pub trait Child {
    /// When it was used last; none while anybody but the loader holds it.
    fn idle_since(&self) -> Option<u64>;
    /// Whether it has an isolate.
    fn is_live(&self) -> bool;
}

impl Child for Worker {
    fn idle_since(&self) -> Option<u64> {
        self.idle_since()
    }

    fn is_live(&self) -> bool {
        self.is_live()
    }
}

/// Children by id.
pub struct Children<C> {
    /// How they are named in the metrics.
    name: String,
    children: Mutex<HashMap<String, C>>,
}

impl<C> Default for Children<C> {
    fn default() -> Self {
        Self { name: String::new(), children: Mutex::default() }
    }
}

/// Lets go of at most `most` children that nobody holds and that are idle since before `before`, the longest idle first.
/// `live`: only those that have an isolate. Gives how many.
pub(crate) fn evict_longest_idle<C: Child>(
    loaders: &[Arc<Children<C>>],
    before: u64,
    live: bool,
    most: usize,
) -> usize {
    let mut idle: Vec<_> = loaders
        .iter()
        .flat_map(|loader| loader.idle(before, live).into_iter().map(move |(since, id)| (since, id, loader)))
        .collect();
    idle.sort_by_key(|(since, ..)| *since);
    idle.into_iter().filter(|(_, id, loader)| loader.evict_idle(id)).take(most).count()
}

impl<C: Child> Children<C> {
    /// No children yet.
    pub(crate) fn new(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    /// How they are named in the metrics.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn children(&self) -> MutexGuard<'_, HashMap<String, C>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Children that nobody holds, idle since before `before`: (since, id). `live`: only those that have an isolate.
    fn idle(&self, before: u64, live: bool) -> Vec<(u64, String)> {
        let children = self.children();
        let wanted = children.iter().filter(|(_, worker)| !live || worker.is_live());
        let idle = wanted.filter_map(|(id, worker)| Some((worker.idle_since()?, id.clone())));
        idle.filter(|(since, _)| *since < before).collect()
    }

    /// Lets go of a child, unless somebody has taken hold of it in the meantime.
    fn evict_idle(&self, id: &str) -> bool {
        let mut children = self.children();
        let idle = children.get(id).is_some_and(|worker| worker.idle_since().is_some());
        let evicted = idle.then(|| children.remove(id)).flatten();
        drop(children);
        evicted.is_some()
    }
}

impl Loader {
    /// A child that has its code.
    pub(crate) fn started(&self, id: &str) -> Option<Worker> {
        self.children().get(id).filter(|worker| worker.has_code()).cloned()
    }

    /// Forgets a child at once; the next `get` of its id loads anew. Calls under way finish, and whoever holds a stub of it
    /// goes on with the old code.
    pub(crate) fn evict(&self, id: &str) -> bool {
        let evicted = self.children().remove(id);
        if let Some(worker) = &evicted {
            worker.sleep();
        }
        evicted.is_some()
    }

    pub(crate) fn forget(&self, id: &str, worker: &WeakWorker) {
        let mut children = self.children();
        let same = match (children.get(id), worker.upgrade()) {
            (Some(known), Some(worker)) => known.same(&worker),
            _ => false,
        };
        let forgotten = same.then(|| children.remove(id)).flatten();
        drop(children);
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Somebody takes hold of it once it has been looked at.
    #[derive(Default)]
    struct TakenMeanwhile(AtomicU32);

    impl Child for TakenMeanwhile {
        fn idle_since(&self) -> Option<u64> {
            (self.0.fetch_add(1, Ordering::Relaxed) == 0).then_some(1)
        }

        fn is_live(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_child_that_was_taken_in_the_meantime_stays() {
        let loader = Arc::new(Children::default());
        loader.children().insert("id".into(), TakenMeanwhile::default());
        assert_eq!(evict_longest_idle(std::slice::from_ref(&loader), u64::MAX, true, 1), 0);
        assert!(loader.children().contains_key("id"));
    }
}
