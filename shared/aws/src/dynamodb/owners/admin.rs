//! What operators do with the ids of owners: read them, and reset them.

use badgesmith_domain::ids::Owner;
use badgesmith_domain::key;

use super::{OWNER_ID, Owners};
use crate::dynamodb::{Consistency, StoreError, get_item, item_key, optional};
use crate::sdk::AwsError;

impl Owners {
    /// The id of an owner; `None` if it has none yet.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item is corrupt.
    pub async fn id(&self, owner: &Owner) -> Result<Option<u64>, StoreError> {
        let key = item_key(&key::owner_partition(owner), key::META);
        let item = get_item(&self.client, &self.table, key, Consistency::Strong).await?;
        item.map_or(Ok(None), |item| optional(&item, OWNER_ID))
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
