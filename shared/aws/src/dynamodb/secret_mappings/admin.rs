//! Operators map secrets to packages.

use badgesmith_domain::key;
use badgesmith_domain::package::Package;
use badgesmith_domain::secret_scope::SecretScope;
use badgesmith_domain::timestamp::Timestamp;

use super::{SECRET_ID, SecretMappings};
use crate::dynamodb::admin::delete_item;
use crate::dynamodb::{Consistency, get_item, item_key, string, text};
use crate::sdk::AwsError;

const PROVIDER: &str = "Provider";
const ORGANIZATION: &str = "Org";
const PACKAGE: &str = "Package";
const CREATED_AT: &str = "CreatedAt";

impl SecretMappings {
    /// The name or ARN of the secret of one package, or of all public packages of an organization.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed.
    pub async fn secret_of(&self, scope: &SecretScope) -> Result<Option<String>, AwsError> {
        let key = item_key(&key::secret_partition(scope), key::META);
        let item = get_item(&self.client, &self.table, key, Consistency::Strong).await?;
        Ok(item.and_then(|item| text(&item, SECRET_ID).map(str::to_owned)))
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
        let key = item_key(&key::secret_partition(scope), key::META);
        delete_item(&self.client, &self.table, key).await
    }
}
