//! The NuGet feeds that operators registered, in the table of secret mappings.

#[cfg(feature = "admin")]
mod admin;

#[cfg(feature = "admin")]
pub use admin::Feed;

use aws_sdk_dynamodb::Client;
use aws_types::SdkConfig;
use badgesmith_domain::key;
use badgesmith_domain::package::FeedName;
use badgesmith_domain::timestamp::Timestamp;

use super::secret_mappings::SECRET_ID;
use super::{Consistency, get_item, is_expired, item_key};
use crate::sdk::AwsError;

/// The feeds in the table of secret mappings.
#[derive(Debug, Clone)]
pub struct Feeds {
    client: Client,
    table: String,
}

/// A feed, as far as badges depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisteredFeed {
    /// A package is shown only if an operator allowed it.
    pub needs_credentials: bool,
}

impl Feeds {
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// The feed of this name: one item, read eventually consistent.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB fails.
    pub async fn find(&self, feed: &FeedName, now: Timestamp) -> Result<Option<RegisteredFeed>, AwsError> {
        let key = item_key(&key::feed_partition(feed), key::META);
        let item = get_item(&self.client, &self.table, key, Consistency::Eventual).await?;
        let item = item.filter(|item| !is_expired(item, now));
        Ok(item.map(|item| RegisteredFeed { needs_credentials: item.contains_key(SECRET_ID) }))
    }
}
