//! The table that maps packages to the secrets with their tokens.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use aws_types::SdkConfig;
use badgesmith_domain::key;
use badgesmith_domain::package::Package;
use badgesmith_domain::secret_scope::SecretScope;
use badgesmith_domain::timestamp::Timestamp;

use super::{PK, is_expired, item_key, string, text};
use crate::sdk::AwsError;

/// The name or ARN of the secret.
pub(super) const SECRET_ID: &str = "SecretId";

/// The table of secret mappings. It holds the names of secrets, never their values.
#[derive(Debug, Clone)]
pub struct SecretMappings {
    pub(super) client: Client,
    pub(super) table: String,
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
        let items = output.responses.unwrap_or_default().into_values().next().unwrap_or_default();
        let secret_id = |partition: &str| {
            let item = items.iter().find(|item| item.get(PK) == Some(&string(partition)))?;
            text(item, SECRET_ID).filter(|_| !is_expired(item, now)).map(str::to_owned)
        };
        let found =
            partitions.iter().enumerate().find_map(|(at, partition)| Some((at, secret_id(partition)?)));
        Ok(found.map(|(at, secret_id)| SecretMapping { secret_id, of_package: at == 0 }))
    }
}
