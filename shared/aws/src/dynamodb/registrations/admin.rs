//! Operators list, write and remove registrations.

use badgesmith_domain::ids::Repository;
use badgesmith_domain::key;
use badgesmith_domain::registration::Registration;

use super::{REVISION, Registrations, to_registration};
use crate::dynamodb::admin::scan;
use crate::dynamodb::{Consistency, Item, PK, StoreError, corrupt, required, text};
use crate::sdk::AwsError;

/// A registration as it is stored, for an update that overwrites no other one.
#[derive(Debug, Clone)]
pub struct RegistrationRecord {
    pub registration: Registration,
    revision: String,
}

impl Registrations {
    /// The registration of `repository`, with all changes so far; `None` if it was never registered.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item is corrupt.
    pub async fn find(&self, repository: &Repository) -> Result<Option<RegistrationRecord>, StoreError> {
        let Some(item) = self.read(repository, Consistency::Strong).await? else { return Ok(None) };
        Ok(Some(RegistrationRecord {
            registration: to_registration(&item)?,
            revision: required(&item, REVISION)?,
        }))
    }

    /// Stores a registration in place of `replaced`. `false` if that has changed in the meantime or, without it, if
    /// there is a registration. A lost response changes nothing: the SDK's retry finds its own write.
    ///
    /// # Errors
    /// [`AwsError`] if the call failed. It may have taken effect all the same.
    pub async fn put(
        &self,
        repository: &Repository,
        registration: &Registration,
        replaced: Option<&RegistrationRecord>,
    ) -> Result<bool, AwsError> {
        let replaced = replaced.map(|replaced| replaced.revision.as_str());
        self.store(repository, registration, replaced).await
    }

    /// All registrations, in no order. Scans the table.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item is corrupt.
    pub async fn list(&self) -> Result<Vec<(Repository, Registration)>, StoreError> {
        let items = scan(&self.client, &self.table, key::REGISTRATION_PREFIX).await?;
        let parse = |item: &Item| {
            let repository = text(item, PK).and_then(key::registered_repository);
            Ok((repository.ok_or_else(|| corrupt(item, PK))?, to_registration(item)?))
        };
        items.iter().map(parse).collect()
    }
}
