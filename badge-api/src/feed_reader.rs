//! Reads registered NuGet feeds through a cache.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::dynamodb::{Feeds, RegisteredFeed};
use badgesmith_aws::sdk::AwsError;
use badgesmith_domain::package::FeedName;
use badgesmith_domain::timestamp::Timestamp;
use lru::LruCache;

/// How long a feed is remembered, or its absence.
const LIFETIME: Duration = Duration::from_mins(1);
/// The maximum number of remembered names, which may be made up.
const NAMES_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

#[derive(Debug)]
pub(crate) struct FeedReader {
    feeds: Feeds,
    cache: Mutex<LruCache<FeedName, (Option<RegisteredFeed>, Timestamp)>>,
}

impl FeedReader {
    pub(crate) fn new(feeds: Feeds) -> Self {
        Self { feeds, cache: Mutex::new(LruCache::new(NAMES_MAX)) }
    }

    /// The feed of this name. While DynamoDB fails, a remembered answer is used regardless of its age.
    pub(crate) async fn find(
        &self,
        feed: &FeedName,
        now: Timestamp,
    ) -> Result<Option<RegisteredFeed>, AwsError> {
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(feed).copied();
        if let Some((found, read_at)) = cached
            && read_at.is_recent(now, LIFETIME)
        {
            return Ok(found);
        }
        match (self.feeds.find(feed, now).await, cached) {
            (Ok(found), _) => {
                let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
                cache.put(feed.clone(), (found, now));
                Ok(found)
            }
            (Err(_), Some((found, _))) => Ok(found),
            (Err(error), None) => Err(error),
        }
    }
}
