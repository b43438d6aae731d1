//! Reads the slots of branches through a cache.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::dynamodb::{Results, StoreError};
use badgesmith_domain::ids::{Branch, Repository};
use badgesmith_domain::slots::{LiveSlots, Selection};
use badgesmith_domain::timestamp::Timestamp;

use crate::cache::{Cache, Weighted};

/// How long slots are served from memory, by wall clock, because a sandbox may be frozen in between.
const LIFETIME: Duration = Duration::from_secs(30);
/// How long slots are served from memory if none matches. Requests for nonexistent suites cause at most one read a
/// second, and the first result of a suite shows within a second.
const LIFETIME_WITHOUT_MATCH: Duration = Duration::from_secs(1);
/// The maximum number of cached branches.
const BRANCHES_MAX: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// The maximum number of cached slots of all branches together. Each takes some 300 bytes, and 2.4 KB at most.
const CACHED_SLOTS_MAX: usize = 10_000;

/// What a test badge shows: some slots of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) repository: Repository,
    pub(crate) branch: Branch,
    pub(crate) selection: Selection,
}

impl Weighted for Arc<LiveSlots> {
    fn weight(&self) -> usize {
        self.len()
    }
}

#[derive(Debug)]
pub(crate) struct SlotReader {
    results: Results,
    cache: Mutex<Cache<(Repository, Branch), Arc<LiveSlots>>>,
}

impl SlotReader {
    pub(crate) fn new(results: Results) -> Self {
        Self { results, cache: Mutex::new(Cache::new(BRANCHES_MAX, CACHED_SLOTS_MAX)) }
    }

    /// The live slots of the branch of `target`. While DynamoDB fails, cached slots that match are served regardless of
    /// their age.
    pub(crate) async fn get(&self, target: &Target, now: Timestamp) -> Result<Arc<LiveSlots>, StoreError> {
        let key = (target.repository.clone(), target.branch.clone());
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&key);
        let matches = |slots: &LiveSlots| slots.has_match(&target.selection);
        if let Some((slots, read_at)) = &cached
            && read_at.is_recent(now, if matches(slots) { LIFETIME } else { LIFETIME_WITHOUT_MATCH })
        {
            return Ok(Arc::clone(slots));
        }
        match (self.results.live_slots(&target.repository, &target.branch, now).await, cached) {
            (Ok(slots), _) => {
                let slots = Arc::new(slots);
                let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
                if slots.is_empty() {
                    cache.remove(&key);
                } else {
                    cache.put(key, Arc::clone(&slots), now);
                }
                Ok(slots)
            }
            (Err(error), Some((slots, _))) if matches(&slots) => {
                tracing::warn!(%error, "served stale cached slots");
                Ok(slots)
            }
            (Err(error), Some(_) | None) => Err(error),
        }
    }
}
