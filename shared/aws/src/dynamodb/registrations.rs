//! Registrations: which repositories may submit results, and the proofs that count.

#[cfg(feature = "admin")]
mod admin;
mod item;
mod keyless;

#[cfg(feature = "admin")]
pub use admin::RegistrationRecord;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_types::SdkConfig;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::key;
use badgesmith_domain::registration::Registration;
use uuid::Uuid;

use self::item::{to_item, to_registration};
use super::{Consistency, Item, PK, StoreError, get_item, item_key, string};
use crate::sdk::AwsError;

/// Random, new with each write. A write that expects another one changes nothing.
const REVISION: &str = "Revision";

/// The table of registrations. It holds ids of keys, never the keys.
#[derive(Debug, Clone)]
pub struct Registrations {
    client: Client,
    table: String,
}

impl Registrations {
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// The registration of `repository`; `None` if it was never registered. Reads half a unit, and may miss a change
    /// of the last second.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item is corrupt.
    pub async fn get(&self, repository: &Repository) -> Result<Option<Registration>, StoreError> {
        let item = self.read(repository, Consistency::Eventual).await?;
        item.map(|item| to_registration(&item)).transpose()
    }

    async fn read(
        &self,
        repository: &Repository,
        consistency: Consistency,
    ) -> Result<Option<Item>, AwsError> {
        let key = item_key(&key::registration_partition(repository), key::META);
        get_item(&self.client, &self.table, key, consistency).await
    }

    /// Stores a registration in place of the one with the revision `replaced`. `false` if that has changed in the
    /// meantime or, without it, if there is a registration. A lost response changes nothing: the SDK's retry finds its
    /// own write.
    async fn store(
        &self,
        repository: &Repository,
        registration: &Registration,
        replaced: Option<&str>,
    ) -> Result<bool, AwsError> {
        let revision = Uuid::new_v4().to_string();
        let mut put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(repository, registration)))
            .item(REVISION, string(&revision))
            .expression_attribute_names("#revision", REVISION)
            .expression_attribute_values(":new", string(&revision));
        put = match replaced {
            Some(replaced) => put
                .condition_expression("#revision = :replaced OR #revision = :new")
                .expression_attribute_values(":replaced", string(replaced)),
            None => put
                .condition_expression("attribute_not_exists(#pk) OR #revision = :new")
                .expression_attribute_names("#pk", PK),
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
                Some(_) | None => Err(AwsError::new("dynamodb:PutItem", error)),
            },
        }
    }
}
