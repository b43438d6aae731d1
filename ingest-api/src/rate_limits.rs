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

#[derive(Debug)]
pub(crate) struct RateLimits(Mutex<LruCache<Repository, (NonZeroU32, TokenBucket)>>);

impl RateLimits {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(REPOSITORIES_MAX)))
    }

    /// Counts a submission.
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
        let bucket = buckets.get_or_insert_mut_ref(repository, full);
        if bucket.0 != per_minute {
            *bucket = full();
        }
        if bucket.1.take(now) { Ok(()) } else { Err(Duration::from_secs_f64(1.0 / per_second)) }
    }
}
