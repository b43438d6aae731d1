//! What operators do with the ids of owners: read them, and reset them.

use badgesmith_domain::ids::Owner;
use badgesmith_domain::key;

use super::owners::OWNER_ID;
use super::{Owners, item_key, optional};
use crate::dynamodb::StoreError;
use crate::sdk::AwsError;

impl Owners {
    /// The id of an owner; `None` if it has none yet.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item is corrupt.
    pub async fn id(&self, owner: &Owner) -> Result<Option<u64>, StoreError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item_key(&key::owner_partition(owner), key::META)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:GetItem", error))?;
        output.item.map_or(Ok(None), |item| optional(&item, OWNER_ID))
    }

    /// Deletes the item of an owner, so that the next ID token sets another id.
    ///
    /// # Errors
    /// [`AwsError`] if the call failed. It may have taken effect all the same.
    pub async fn reset(&self, owner: &Owner) -> Result<(), AwsError> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(item_key(&key::owner_partition(owner), key::META)))
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:DeleteItem", error))?;
        Ok(())
    }
}
