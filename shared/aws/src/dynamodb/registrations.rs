//! Registrations: which repositories may submit results, and the proofs that count.

#[cfg(feature = "admin")]
mod admin;

#[cfg(feature = "admin")]
pub use admin::RegistrationRecord;

use std::num::NonZeroU32;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_types::SdkConfig;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::key;
use badgesmith_domain::registration::{
    ActiveRegistration, DerivedKeyIds, OwnSecret, POSTS_PER_MINUTE, Proofs, Registration,
};

use super::{Item, StoreError, corrupt, integer, item_key, optional, required};
use crate::sdk::AwsError;

/// The id of the derived key, and of the one before it with its end.
const KEY_ID: &str = "KeyId";
const PREVIOUS_KEY_ID: &str = "PreviousKeyId";
const PREVIOUS_KEY_UNTIL: &str = "PreviousKeyUntil";
/// Whether the repository has a secret of its own, and until when that counts.
const OWN_SECRET: &str = "OwnSecret";
const OWN_SECRET_UNTIL: &str = "OwnSecretUntil";
/// Absent for the default.
const RATE: &str = "PostsPerMinute";
const CREATED_AT: &str = "CreatedAt";
const ROTATED_AT: &str = "RotatedAt";
/// Marks a tombstone.
const REMOVED_AT: &str = "RemovedAt";

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
        let output = self.get_item(repository).send().await;
        let output = output.map_err(|error| AwsError::new("dynamodb:GetItem", error))?;
        output.item.map(|item| to_registration(&item)).transpose()
    }

    fn get_item(&self, repository: &Repository) -> GetItemFluentBuilder {
        let key = item_key(&key::registration_partition(repository), key::META);
        self.client.get_item().table_name(&self.table).set_key(Some(key))
    }
}

/// Parses an item.
///
/// # Errors
/// [`StoreError::CorruptItem`] names the first attribute that is missing or invalid.
fn to_registration(item: &Item) -> Result<Registration, StoreError> {
    if let Some(removed) = optional(item, REMOVED_AT)? {
        return Ok(Registration::Removed(removed));
    }
    let previous = match optional(item, PREVIOUS_KEY_ID)? {
        Some(id) => Some((id, required(item, PREVIOUS_KEY_UNTIL)?)),
        None => None,
    };
    let derived = optional(item, KEY_ID)?.map(|current| DerivedKeyIds { current, previous });
    let own_secret = match item.get(OWN_SECRET).map(|value| value.as_bool()) {
        None => None,
        Some(Ok(true)) => Some(OwnSecret { until: optional(item, OWN_SECRET_UNTIL)? }),
        Some(Ok(false) | Err(_)) => return Err(corrupt(item, OWN_SECRET)),
    };
    let posts_per_minute = match item.get(RATE) {
        None => POSTS_PER_MINUTE,
        Some(_) => integer(item, RATE)
            .and_then(|rate| NonZeroU32::new(u32::try_from(rate).ok()?))
            .ok_or_else(|| corrupt(item, RATE))?,
    };
    Ok(Registration::Active(ActiveRegistration {
        proofs: Proofs { derived, own_secret, keyless: None },
        posts_per_minute,
        created: required(item, CREATED_AT)?,
        rotated: optional(item, ROTATED_AT)?,
    }))
}
