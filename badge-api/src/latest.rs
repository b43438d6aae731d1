//! The latest result of a branch, kept in memory for a moment.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::dynamodb::Results;
use badgesmith_aws::sdk::AwsError;
use badgesmith_domain::ids::{Branch, Platform, Repository};
use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;
use lru::LruCache;

/// How long a result is served from memory, by wall clock: a sandbox may sleep in between.
const LIFETIME: Duration = Duration::from_secs(30);
/// Results kept, some 6 KB each at most; the least recently used leave first.
const KEPT_MAX: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// What a badge of tests is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) repository: Repository,
    pub(crate) platform: Platform,
    pub(crate) branch: Branch,
}

/// The latest results, read through a bounded cache. That there is none is never kept: a first result
/// shows at once.
#[derive(Debug)]
pub(crate) struct LatestResults {
    results: Results,
    kept: Mutex<LruCache<Target, (TestResult, Timestamp)>>,
}

impl LatestResults {
    pub(crate) fn new(results: Results) -> Self {
        Self { results, kept: Mutex::new(LruCache::new(KEPT_MAX)) }
    }

    /// The latest result, if there is one. While DynamoDB fails, what is in memory is served however old.
    pub(crate) async fn of(&self, of: &Target, now: Timestamp) -> Result<Option<TestResult>, AwsError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(of).cloned();
        if let Some((result, read_at)) = &kept
            && now.since(*read_at) < LIFETIME
        {
            return Ok(Some(result.clone()));
        }
        match (self.results.latest(&of.repository, of.platform, &of.branch).await, kept) {
            (Ok(latest), _) => {
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                match &latest {
                    Some(result) => kept.put(of.clone(), (result.clone(), now)),
                    None => kept.pop(of),
                };
                Ok(latest)
            }
            (Err(error), Some((result, _))) => {
                tracing::warn!(%error, "an old result is served from memory");
                Ok(Some(result))
            }
            (Err(error), None) => Err(error),
        }
    }
}
