//! The NuGet feeds that operators registered, in the table of secret mappings.

use aws_sdk_dynamodb::Client;
use aws_types::SdkConfig;
use badgesmith_domain::key;
use badgesmith_domain::package::FeedName;

use super::item_key;
use crate::sdk::AwsError;

/// The URL of a feed's service index.
pub(super) const ADDRESS: &str = "Address";

/// The feeds in the table of secret mappings.
#[derive(Debug, Clone)]
pub struct Feeds {
    pub(super) client: Client,
    pub(super) table: String,
}

impl Feeds {
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// Whether there is a feed of this name: one item, read eventually consistent.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB fails.
    pub async fn exists(&self, feed: &FeedName) -> Result<bool, AwsError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item_key(&key::feed_partition(feed), key::META)))
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:GetItem", error))?;
        Ok(output.item.is_some())
    }
}
