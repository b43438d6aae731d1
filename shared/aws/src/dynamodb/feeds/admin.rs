//! Operators register feeds.

use badgesmith_domain::key;
use badgesmith_domain::package::{FeedName, Package};
use badgesmith_domain::timestamp::Timestamp;

use super::Feeds;
use crate::dynamodb::admin::{delete_item, scan};
use crate::dynamodb::secret_mappings::{ADDRESS, SECRET_ID};
use crate::dynamodb::{Item, PK, item_key, string, text};
use crate::sdk::AwsError;

const CREATED_AT: &str = "CreatedAt";

/// A registered feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    pub name: FeedName,
    /// The URL of its service index.
    pub address: String,
    /// The name or ARN of the secret with its credentials.
    pub secret_id: Option<String>,
}

impl Feeds {
    /// Registers a feed, or replaces it.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed. It may have taken effect all the same.
    pub async fn put(&self, feed: &Feed, now: Timestamp) -> Result<(), AwsError> {
        let mut item = item_key(&key::feed_partition(&feed.name), key::META);
        item.insert(ADDRESS.to_owned(), string(&feed.address));
        item.insert(CREATED_AT.to_owned(), string(now.to_string()));
        item.extend(feed.secret_id.iter().map(|id| (SECRET_ID.to_owned(), string(id))));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item)).send().await;
        put.map(drop).map_err(|error| AwsError::new("dynamodb:PutItem", error))
    }

    /// All feeds, by name.
    ///
    /// # Errors
    /// [`AwsError`] when a call failed.
    pub async fn list(&self) -> Result<Vec<Feed>, AwsError> {
        let items = scan(&self.client, &self.table, key::FEED_PREFIX).await?;
        let mut feeds: Vec<_> = items.iter().filter_map(to_feed).collect();
        feeds.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(feeds)
    }

    /// Deletes a feed, and the mappings of its packages: they were a consent for this feed only.
    ///
    /// # Errors
    /// [`AwsError`] when a call failed. Others may have taken effect all the same.
    pub async fn delete(&self, feed: &FeedName) -> Result<(), AwsError> {
        // The feed last, so that the command can be repeated after a failure.
        for item in scan(&self.client, &self.table, &key::feed_secrets_prefix(feed)).await? {
            if let Some(partition) = text(&item, PK) {
                delete_item(&self.client, &self.table, item_key(partition, key::META)).await?;
            }
        }
        let key = item_key(&key::feed_partition(feed), key::META);
        delete_item(&self.client, &self.table, key).await
    }

    /// The packages of a feed that operators allowed, although the feed needs credentials.
    ///
    /// # Errors
    /// [`AwsError`] when a call failed.
    pub async fn allowed(&self, feed: &FeedName) -> Result<Vec<Package>, AwsError> {
        let items = scan(&self.client, &self.table, &key::feed_secrets_prefix(feed)).await?;
        let mut packages: Vec<_> =
            items.iter().filter_map(|item| key::package_of_secret(text(item, PK)?)).collect();
        packages.sort();
        Ok(packages)
    }
}

fn to_feed(item: &Item) -> Option<Feed> {
    Some(Feed {
        name: key::feed_of(text(item, PK)?)?,
        address: text(item, ADDRESS)?.to_owned(),
        secret_id: text(item, SECRET_ID).map(str::to_owned),
    })
}
