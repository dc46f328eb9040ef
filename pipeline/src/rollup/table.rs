//! One accumulator per name, found by one look into a hash table.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use super::accumulators::Added;
use super::books::Books;
use super::guard::SourceId;

/// Names and what is accumulated for each. The hash is seeded anew in each process: nobody can choose names that collide.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent, bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct Table<T>(HashMap<Box<str>, Entry<T>, RandomState>);

/// What is kept for a name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Entry<T> {
    pub(super) value: T,
    /// Samples since the last flush.
    #[serde(skip)]
    pub(super) samples: u32,
    /// Who made the name; after a restart nobody.
    #[serde(skip)]
    pub(super) source: SourceId,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<T> Table<T> {
    /// Changes the accumulator of a name, when there is one.
    #[inline]
    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut T) -> Added) -> Option<Added> {
        let entry = self.0.get_mut(name)?;
        let added = change(&mut entry.value);
        if added == Added::Yes {
            entry.samples = entry.samples.saturating_add(1);
        }
        Some(added)
    }

    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.0.get(name).map(|entry| &entry.value)
    }

    /// Adds a name that is new.
    pub(super) fn insert(&mut self, name: &str, value: T, source: SourceId) {
        self.0.insert(name.into(), Entry { value, samples: 1, source });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut T)> {
        self.0.iter_mut().map(|(name, entry)| (&**name, &mut entry.value))
    }

    /// Forgets all names, or those without a sample, and counts anew.
    pub(super) fn begin_interval(&mut self, forget_all: bool, forget_idle: bool, books: &mut Books) {
        self.0.retain(|_, entry| {
            let stays = !(forget_all || forget_idle && entry.samples == 0);
            entry.samples = 0;
            if !stays {
                books.unmake(entry.source);
            }
            stays
        });
    }
}

impl<T> IntoIterator for Table<T> {
    type Item = (Box<str>, Entry<T>);
    type IntoIter = std::collections::hash_map::IntoIter<Box<str>, Entry<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
