//! A loader's named children: found by id, shared by all who ask, let go of when idle.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::worker::{WeakWorker, Worker};

/// A loader: named children by id. Bindings with the same loader id share one.
#[derive(Default)]
pub struct Loader {
    /// How it is named in the metrics.
    name: String,
    children: Mutex<HashMap<String, Worker>>,
}

impl Loader {
    /// A loader without children.
    pub(crate) fn new(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    /// How it is named in the metrics.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn children(&self) -> MutexGuard<'_, HashMap<String, Worker>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Children that nobody holds, idle since before `before`: (since, id). `live`: only those that have an isolate.
    pub(crate) fn idle(&self, before: u64, live: bool) -> Vec<(u64, String)> {
        let children = self.children();
        let wanted = children.iter().filter(|(_, worker)| !live || worker.is_live());
        let idle = wanted.filter_map(|(id, worker)| Some((worker.idle_since()?, id.clone())));
        idle.filter(|(since, _)| *since < before).collect()
    }

    /// Lets go of a child, unless somebody has taken hold of it in the meantime.
    pub(crate) fn evict_idle(&self, id: &str) -> bool {
        let mut children = self.children();
        let idle = children.get(id).is_some_and(|worker| worker.idle_since().is_some());
        let evicted = idle.then(|| children.remove(id)).flatten();
        drop(children);
        evicted.is_some()
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
