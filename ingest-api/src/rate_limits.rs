//! How often each repository may submit results, counted in this instance.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use badgesmith_domain::ids::Repository;
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::token_bucket::TokenBucket;
use lru::LruCache;

/// Only verified repositories are counted, so nobody can evict the bucket of another one at will.
const REPOSITORIES_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// The cost of a verified submission that is not accepted: a replay, a reused nonce, or a failed call to AWS. It is
/// less than 1, because a matrix of jobs may retry often, and more than 0, because each attempt writes to the nonces
/// table: such submissions are limited to ten times the rate.
const NOT_ACCEPTED_COST: f64 = 0.1;

#[derive(Debug)]
pub(crate) struct RateLimits(Mutex<LruCache<Repository, (NonZeroU32, TokenBucket)>>);

impl RateLimits {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(REPOSITORIES_MAX)))
    }

    /// Counts a verified submission as one result.
    ///
    /// # Errors
    /// The time until the next one is allowed, if this one is over the limit: that many in a minute, and at once.
    pub(crate) fn take(
        &self,
        repository: &Repository,
        per_minute: NonZeroU32,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let per_second = f64::from(per_minute.get()) / 60.0;
        let full = || (per_minute, TokenBucket::new(per_minute.get().into(), per_second));
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (rate, bucket) = buckets.get_or_insert_mut_ref(repository, full);
        if *rate != per_minute {
            (*rate, *bucket) = full();
        }
        if bucket.take(now) { Ok(()) } else { Err(Duration::from_secs_f64(1.0 / per_second)) }
    }

    /// Gives back most of what [`Self::take`] took, because the submission was not accepted.
    pub(crate) fn give_back(&self, repository: &Repository) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Absent if other repositories have evicted it in the meantime.
        if let Some((_, bucket)) = buckets.get_mut(repository) {
            bucket.give_back(1.0 - NOT_ACCEPTED_COST);
        }
    }
}
