//! What operators do with the ids of owners: read them, and reset them.

use badgesmith_domain::ids::Owner;
use badgesmith_domain::key;

use super::{OWNER_ID, Owners};
use crate::dynamodb::admin::delete_item;
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
        let key = item_key(&key::owner_partition(owner), key::META);
        delete_item(&self.client, &self.table, key).await
    }
}
