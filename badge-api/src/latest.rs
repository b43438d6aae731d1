//! The latest result of a branch, cached in memory.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::dynamodb::{Results, StoreError};
use badgesmith_domain::ids::{Branch, Platform, Repository};
use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;
use lru::LruCache;

/// How long a result is served from memory, by wall clock, because a sandbox may be frozen in between.
const LIFETIME: Duration = Duration::from_secs(30);
/// The maximum number of cached results, of up to 6 KB each. The least recently used are evicted first.
const CACHED_MAX: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// The results that a test badge shows: one platform and branch of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) repository: Repository,
    pub(crate) platform: Platform,
    pub(crate) branch: Branch,
}

/// The latest results, read through a bounded cache. A missing result is never cached, so that the first result
/// shows immediately.
#[derive(Debug)]
pub(crate) struct LatestResults {
    results: Results,
    cache: Mutex<LruCache<Target, (TestResult, Timestamp)>>,
}

impl LatestResults {
    pub(crate) fn new(results: Results) -> Self {
        Self { results, cache: Mutex::new(LruCache::new(CACHED_MAX)) }
    }

    /// The latest result, if there is one. While DynamoDB fails, a cached result is served regardless of its age.
    pub(crate) async fn get(
        &self,
        target: &Target,
        now: Timestamp,
    ) -> Result<Option<TestResult>, StoreError> {
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(target).cloned();
        if let Some((result, read_at)) = &cached
            && now.since(*read_at) < LIFETIME
        {
            return Ok(Some(result.clone()));
        }
        let Target { repository, platform, branch } = target;
        match (self.results.latest(repository, *platform, branch).await, cached) {
            (Ok(latest), _) => {
                let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
                match &latest {
                    Some(result) => cache.put(target.clone(), (result.clone(), now)),
                    None => cache.pop(target),
                };
                Ok(latest)
            }
            (Err(error), Some((result, _))) => {
                tracing::warn!(%error, "served a stale cached result");
                Ok(Some(result))
            }
            (Err(error), None) => Err(error),
        }
    }
}
