//! The registrations of repositories that submit results with ID tokens.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::key;
use badgesmith_domain::registration::{AccountIds, ActiveRegistration, Registration};
use uuid::Uuid;

use super::item::{KEYLESS, OWNER_ID, REPOSITORY_ID, to_registration};
use super::{REVISION, Registrations};
use crate::dynamodb::update_expression::UpdateExpression;
use crate::dynamodb::{Consistency, StoreError, item_key, string};
use crate::sdk::AwsError;

impl Registrations {
    /// The registration of `repository`, with all changes so far; `None` if it was never registered.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item is corrupt.
    pub async fn latest(&self, repository: &Repository) -> Result<Option<Registration>, StoreError> {
        let item = self.read(repository, Consistency::Strong).await?;
        item.map(|item| to_registration(&item)).transpose()
    }

    /// Registers a repository. `false` if it is registered, or was removed.
    ///
    /// # Errors
    /// [`AwsError`] if the call failed. It may have taken effect all the same.
    pub async fn register(
        &self,
        repository: &Repository,
        registration: ActiveRegistration,
    ) -> Result<bool, AwsError> {
        self.store(repository, &Registration::Active(registration), None).await
    }

    /// Sets the ids of a registration that accepts ID tokens and has no ids yet. `false` for any other one. A lost
    /// response changes nothing: the SDK's retry finds its own write.
    ///
    /// # Errors
    /// [`AwsError`] if the call failed. It may have taken effect all the same.
    pub async fn set_ids(&self, repository: &Repository, ids: AccountIds) -> Result<bool, AwsError> {
        let mut update = UpdateExpression::default();
        update.set(REPOSITORY_ID, string(ids.repository.to_string()));
        update.set(OWNER_ID, string(ids.owner.to_string()));
        // A command that has read the registration before must not overwrite it.
        update.set(REVISION, string(Uuid::new_v4().to_string()));
        update.bind(KEYLESS, AttributeValue::Bool(true));
        let result = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item_key(&key::registration_partition(repository), key::META)))
            .update_expression(update.expression())
            .condition_expression(format!(
                "#{KEYLESS} = :{KEYLESS} AND (attribute_not_exists(#{REPOSITORY_ID}) OR #{REVISION} = :{REVISION})"
            ))
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .send()
            .await;
        match result {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                Some(_) | None => Err(AwsError::new("dynamodb:UpdateItem", error)),
            },
        }
    }
}
