//! Which secret the packages of an organisation are read with.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use aws_types::SdkConfig;

use super::{PK, is_expired, item_key, string, text};
use crate::sdk::AwsError;
use badgesmith_domain::key;
use badgesmith_domain::package::{Organization, PackageName};
use badgesmith_domain::timestamp::Timestamp;

/// The name or ARN of the secret.
const SECRET_ID: &str = "SecretId";
const PROVIDER: &str = "Provider";
const ORGANIZATION: &str = "Org";
const PACKAGE: &str = "Package";
const CREATED_AT: &str = "CreatedAt";

/// The table of secrets. It holds their names only.
#[derive(Debug, Clone)]
pub struct SecretMappings {
    client: Client,
    table: String,
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

    /// The secret for a package: its own, else that of its organisation's public packages, if there is one. One
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

    /// The name or ARN of the secret that is mapped to exactly this: one package, or all public ones.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked.
    pub async fn secret_of(
        &self,
        organization: &Organization,
        package: Option<&PackageName>,
    ) -> Result<Option<String>, AwsError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item_key(&key::secret_partition(organization, package), key::META)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:GetItem", error))?;
        Ok(output.item.and_then(|item| text(&item, SECRET_ID).map(str::to_owned)))
    }

    /// Maps a secret to one package, or to all public packages of an organisation.
    ///
    /// # Errors
    /// [`AwsError`] when no answer confirmed it.
    pub async fn put(
        &self,
        organization: &Organization,
        package: Option<&PackageName>,
        secret_id: &str,
        now: Timestamp,
    ) -> Result<(), AwsError> {
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item_key(&key::secret_partition(organization, package), key::META)))
            .item(SECRET_ID, string(secret_id))
            .item(PROVIDER, string("github"))
            .item(ORGANIZATION, string(organization.as_str()))
            .item(PACKAGE, string(package.map_or("*", PackageName::as_str)))
            .item(CREATED_AT, string(now.to_string()))
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:PutItem", error))?;
        Ok(())
    }

    /// Takes a mapping away.
    ///
    /// # Errors
    /// [`AwsError`] when no answer confirmed it.
    pub async fn delete(
        &self,
        organization: &Organization,
        package: Option<&PackageName>,
    ) -> Result<(), AwsError> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(item_key(&key::secret_partition(organization, package), key::META)))
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:DeleteItem", error))?;
        Ok(())
    }
}
