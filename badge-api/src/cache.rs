//! A cache in memory, bounded by the number of entries and by their weight.

use std::hash::Hash;
use std::num::NonZeroUsize;

use badgesmith_domain::timestamp::Timestamp;
use lru::LruCache;

/// A cached value. Its weight counts toward the limit, so that one large branch or package does not fill the memory.
pub(crate) trait Weighted {
    fn weight(&self) -> usize;
}

/// The least recently used entries are evicted first.
#[derive(Debug)]
pub(crate) struct Cache<K: Eq + Hash, V> {
    entries: LruCache<K, (V, Timestamp)>,
    weight: usize,
    weight_max: usize,
}

impl<K: Eq + Hash, V: Weighted + Clone> Cache<K, V> {
    pub(crate) fn new(entries_max: NonZeroUsize, weight_max: usize) -> Self {
        Self { entries: LruCache::new(entries_max), weight: 0, weight_max }
    }

    /// A value, and when it was read.
    pub(crate) fn get(&mut self, key: &K) -> Option<(V, Timestamp)> {
        self.entries.get(key).cloned()
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some((value, _)) = self.entries.pop(key) {
            self.weight -= value.weight();
        }
    }

    pub(crate) fn put(&mut self, key: K, value: V, now: Timestamp) {
        self.weight += value.weight();
        if let Some((_, (replaced, _))) = self.entries.push(key, (value, now)) {
            self.weight -= replaced.weight();
        }
        while self.weight > self.weight_max
            && let Some((_, (evicted, _))) = self.entries.pop_lru()
        {
            self.weight -= evicted.weight();
        }
    }
}
