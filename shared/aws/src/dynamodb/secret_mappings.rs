//! The table that maps packages to the secrets with their tokens.

#[cfg(feature = "admin")]
mod admin;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use aws_types::SdkConfig;
use badgesmith_domain::key;
use badgesmith_domain::package::{FeedName, Package};
use badgesmith_domain::secret_scope::SecretScope;
use badgesmith_domain::timestamp::Timestamp;

use super::{Item, PK, is_expired, item_key, text};
use crate::sdk::AwsError;

/// The name or ARN of the secret.
pub(super) const SECRET_ID: &str = "SecretId";
/// The URL of a feed's service index.
pub(super) const ADDRESS: &str = "Address";

/// The table of secret mappings. It holds the names of secrets, never their values.
#[derive(Debug, Clone)]
pub struct SecretMappings {
    client: Client,
    table: String,
}

/// The secret that grants access to a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretMapping {
    /// The name or ARN of the secret.
    pub secret_id: String,
    /// Whether the secret is mapped to this one package. That is the operator's consent to show the package even
    /// if it is not public.
    pub of_package: bool,
}

/// A package's feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedAccess {
    /// The URL of the service index.
    pub address: String,
    /// The name or ARN of the secret with its credentials.
    pub secret_id: Option<String>,
    /// An operator consented to show this package, although the feed needs credentials.
    pub has_consent: bool,
}

impl SecretMappings {
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// The secret for a package: its own, else that of its organization's public packages of the same type, if there
    /// is one. One request for both.
    ///
    /// # Errors
    /// [`AwsError`] if DynamoDB fails or leaves a key unprocessed.
    pub async fn find(&self, package: &Package, now: Timestamp) -> Result<Option<SecretMapping>, AwsError> {
        let mut scopes = vec![SecretScope::Package(package.clone())];
        if let Package::GitHub(organization, package_type, _) = package {
            scopes.push(SecretScope::Organization(organization.clone(), *package_type));
        }
        let partitions: Vec<_> = scopes.iter().map(key::secret_partition).collect();
        let items = self.read(&partitions).await?;
        let found = partitions.iter().enumerate().find_map(|(at, partition)| {
            let secret_id = text(live(&items, partition, now)?, SECRET_ID)?;
            Some(SecretMapping { secret_id: secret_id.to_owned(), of_package: at == 0 })
        });
        Ok(found)
    }

    /// Where the feed of a package is, and whether the package may be shown. `None` if there is no such feed. One
    /// request for both.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn find_feed(
        &self,
        feed: &FeedName,
        package: &Package,
        now: Timestamp,
    ) -> Result<Option<FeedAccess>, AwsError> {
        let scope = SecretScope::Package(package.clone());
        let partitions = [key::feed_partition(feed), key::secret_partition(&scope)];
        let items = self.read(&partitions).await?;
        let [feed, mapping] = partitions.map(|partition| live(&items, &partition, now));
        let attribute = |item: Option<&Item>, name| text(item?, name).map(str::to_owned);
        let Some(address) = attribute(feed, ADDRESS) else { return Ok(None) };
        let (secret_id, has_consent) = (attribute(feed, SECRET_ID), mapping.is_some());
        Ok(Some(FeedAccess { address, secret_id, has_consent }))
    }

    async fn read(&self, partitions: &[String]) -> Result<Vec<Item>, AwsError> {
        let keys = partitions.iter().map(|partition| item_key(partition, key::META)).collect();
        let keys = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            // A deleted mapping must not be found.
            .consistent_read(true)
            .build()?;
        let output = self
            .client
            .batch_get_item()
            .request_items(&self.table, keys)
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:BatchGetItem", error))?;
        if output.unprocessed_keys.is_some_and(|keys| !keys.is_empty()) {
            return Err(AwsError::unexpected("dynamodb:BatchGetItem", "some keys were left unprocessed"));
        }
        Ok(output.responses.unwrap_or_default().into_values().next().unwrap_or_default())
    }
}

/// The item with this partition key, unless it has expired.
fn live<'a>(items: &'a [Item], partition: &str, now: Timestamp) -> Option<&'a Item> {
    items.iter().find(|item| text(item, PK) == Some(partition)).filter(|item| !is_expired(item, now))
}
