//! Whether a NuGet feed is registered, through a cache.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::dynamodb::Feeds;
use badgesmith_aws::sdk::AwsError;
use badgesmith_domain::package::FeedName;
use badgesmith_domain::timestamp::Timestamp;
use lru::LruCache;

/// How long the presence of a feed is remembered, and its absence.
const LIFETIME: Duration = Duration::from_mins(1);
/// The maximum number of remembered names, which may be made up.
const NAMES_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

#[derive(Debug)]
pub(crate) struct FeedReader {
    feeds: Feeds,
    cache: Mutex<LruCache<FeedName, (bool, Timestamp)>>,
}

impl FeedReader {
    pub(crate) fn new(feeds: Feeds) -> Self {
        Self { feeds, cache: Mutex::new(LruCache::new(NAMES_MAX)) }
    }

    /// Whether there is a feed of this name. While DynamoDB fails, a remembered answer is used regardless of its age.
    pub(crate) async fn exists(&self, feed: &FeedName, now: Timestamp) -> Result<bool, AwsError> {
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(feed).copied();
        if let Some((exists, read_at)) = cached
            && now.since(read_at) < LIFETIME
        {
            return Ok(exists);
        }
        match (self.feeds.exists(feed).await, cached) {
            (Ok(exists), _) => {
                let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
                cache.put(feed.clone(), (exists, now));
                Ok(exists)
            }
            (Err(_), Some((exists, _))) => Ok(exists),
            (Err(error), None) => Err(error),
        }
    }
}
