//! The table that maps packages of GitHub to the secrets with their tokens.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use aws_types::SdkConfig;
use badgesmith_domain::key;
use badgesmith_domain::package::{Organization, PackageName};
use badgesmith_domain::timestamp::Timestamp;

use super::{PK, is_expired, item_key, string, text};
use crate::sdk::AwsError;

/// The name or ARN of the secret.
pub(super) const SECRET_ID: &str = "SecretId";

/// The table of secrets. It holds their names only.
#[derive(Debug, Clone)]
pub struct SecretMappings {
    pub(super) client: Client,
    pub(super) table: String,
}

/// The secret that a package is read with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretMapping {
    /// The name or ARN of the secret.
    pub secret_id: String,
    /// It is mapped to this one package, which is the consent to show it even if it is not public.
    pub of_package: bool,
}

impl SecretMappings {
    /// The table named `table`.
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// The secret for a package: its own, else that of its organization's public packages, if there is one. One
    /// request for both.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked, or did not answer for both.
    pub async fn find(
        &self,
        organization: &Organization,
        package: &PackageName,
        now: Timestamp,
    ) -> Result<Option<SecretMapping>, AwsError> {
        let partitions = [Some(package), None].map(|package| key::secret_partition(organization, package));
        let keys = partitions.iter().map(|partition| item_key(partition, key::META)).collect();
        let keys = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            // A mapping that was taken away must not be found again.
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
            return Err(AwsError::unexpected("dynamodb:BatchGetItem", "some keys stayed unprocessed"));
        }
        let items = output.responses.unwrap_or_default().into_values().next().unwrap_or_default();
        let secret_id = |partition: &str| {
            let item = items.iter().find(|item| item.get(PK) == Some(&string(partition)))?;
            text(item, SECRET_ID).filter(|_| !is_expired(item, now)).map(str::to_owned)
        };
        let [own, shared] = partitions.map(|partition| secret_id(&partition));
        let own = own.map(|secret_id| SecretMapping { secret_id, of_package: true });
        Ok(own.or_else(|| shared.map(|secret_id| SecretMapping { secret_id, of_package: false })))
    }
}
