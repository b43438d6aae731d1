//! Operators check tables, and map secrets to packages.

use aws_sdk_dynamodb::Client;
use aws_types::SdkConfig;
use badgesmith_domain::key;
use badgesmith_domain::package::Package;
use badgesmith_domain::secret_scope::SecretScope;
use badgesmith_domain::timestamp::Timestamp;

use super::secret_mappings::{SECRET_ID, SecretMappings};
use super::{item_key, string, text};
use crate::sdk::AwsError;

const PROVIDER: &str = "Provider";
const ORGANIZATION: &str = "Org";
const PACKAGE: &str = "Package";
const CREATED_AT: &str = "CreatedAt";

/// What `DescribeTable` says about a table.
#[derive(Debug, Clone)]
pub struct TableDescription {
    /// `ACTIVE` once the table can be used.
    pub status: String,
    /// The number of items, which DynamoDB updates every six hours.
    pub items: i64,
    pub has_deletion_protection: bool,
}

/// Describes a table.
///
/// # Errors
/// [`AwsError`] when the call failed, or the table does not exist.
pub async fn describe_table(config: &SdkConfig, name: &str) -> Result<TableDescription, AwsError> {
    let described = Client::new(config).describe_table().table_name(name).send().await;
    let output = described.map_err(|error| AwsError::new("dynamodb:DescribeTable", error))?;
    let table = output.table;
    let status = table.as_ref().and_then(|table| table.table_status.clone());
    Ok(TableDescription {
        status: status.map_or_else(|| "unknown".to_owned(), |status| status.as_str().to_owned()),
        items: table.as_ref().and_then(|table| table.item_count).unwrap_or_default(),
        has_deletion_protection: table
            .and_then(|table| table.deletion_protection_enabled)
            .unwrap_or_default(),
    })
}

impl SecretMappings {
    /// The name or ARN of the secret of one package, or of all public packages of an organization.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed.
    pub async fn secret_of(&self, scope: &SecretScope) -> Result<Option<String>, AwsError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item_key(&key::secret_partition(scope), key::META)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:GetItem", error))?;
        Ok(output.item.and_then(|item| text(&item, SECRET_ID).map(str::to_owned)))
    }

    /// Maps a secret to one package, or to all public packages of an organization.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed. It may have taken effect all the same.
    pub async fn put(&self, scope: &SecretScope, secret_id: &str, now: Timestamp) -> Result<(), AwsError> {
        let (provider, organization, package) = match scope {
            SecretScope::Organization(organization, package_type) => {
                (package_type.provider(), organization.as_str(), "*")
            }
            SecretScope::Package(package @ Package::GitHub(organization, ..)) => {
                (package.provider(), organization.as_str(), package.name().as_str())
            }
            SecretScope::Package(package @ Package::NuGet(feed, name)) => {
                (package.provider(), feed.as_ref().map_or("-", |feed| feed.as_str()), name.as_str())
            }
        };
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item_key(&key::secret_partition(scope), key::META)))
            .item(SECRET_ID, string(secret_id))
            .item(PROVIDER, string(provider.as_str()))
            .item(ORGANIZATION, string(organization))
            .item(PACKAGE, string(package))
            .item(CREATED_AT, string(now.to_string()))
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:PutItem", error))?;
        Ok(())
    }

    /// Deletes a mapping.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed. It may have taken effect all the same.
    pub async fn delete(&self, scope: &SecretScope) -> Result<(), AwsError> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(item_key(&key::secret_partition(scope), key::META)))
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:DeleteItem", error))?;
        Ok(())
    }
}
