//! The contexts of an isolate by number. A message is about one context and asks for it many times: the one that was asked
//! for last is found without hashing.

use std::cell::Cell;

use rustc_hash::FxHashMap;

use super::ContextId;

pub(crate) struct Table<T> {
    entries: Vec<(ContextId, T)>,
    places: FxHashMap<ContextId, usize>,
    recent: Cell<usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: FxHashMap::default(), recent: Cell::default() }
    }
}

impl<T> Table<T> {
    fn place(&self, id: ContextId) -> Option<usize> {
        if self.entries.get(self.recent.get()).is_some_and(|(known, _)| *known == id) {
            return Some(self.recent.get());
        }
        let place = *self.places.get(&id)?;
        self.recent.set(place);
        Some(place)
    }

    pub(crate) fn get(&self, id: ContextId) -> Option<&T> {
        self.place(id).map(|place| &self.entries[place].1)
    }

    pub(crate) fn get_mut(&mut self, id: ContextId) -> Option<&mut T> {
        self.place(id).map(|place| &mut self.entries[place].1)
    }

    pub(crate) fn contains(&self, id: ContextId) -> bool {
        self.place(id).is_some()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// Adds an entry. The number must be free.
    pub(crate) fn insert(&mut self, id: ContextId, value: T) {
        let taken = self.places.insert(id, self.entries.len());
        debug_assert!(taken.is_none(), "numbers are given once");
        self.entries.push((id, value));
    }

    pub(crate) fn remove(&mut self, id: ContextId) -> Option<T> {
        let place = self.places.remove(&id)?;
        let (_, value) = self.entries.swap_remove(place);
        if let Some((moved, _)) = self.entries.get(place) {
            self.places.insert(*moved, place);
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_after_others_were_removed() {
        let mut table = Table::default();
        (1..=9).for_each(|id| table.insert(id, id * 10));
        for id in [1, 9, 5] {
            assert_eq!(table.remove(id), Some(id * 10));
            assert!(table.get(id).is_none() && table.remove(id).is_none());
        }
        for id in [2, 3, 4, 6, 7, 8] {
            assert_eq!(table.get_mut(id).copied(), Some(id * 10));
            assert_eq!(table.get(id).copied(), Some(id * 10));
        }
        assert!(!table.contains(0));
    }
}
