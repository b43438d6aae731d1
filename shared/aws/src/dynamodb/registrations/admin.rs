//! Operators list, write and remove registrations.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use badgesmith_domain::derived_key::KeyId;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::key;
use badgesmith_domain::registration::{
    ActiveRegistration, OwnSecret, POSTS_PER_MINUTE, Proofs, Registration,
};
use badgesmith_domain::timestamp::Timestamp;
use uuid::Uuid;

use super::{
    CREATED_AT, KEY_ID, OWN_SECRET, OWN_SECRET_UNTIL, PREVIOUS_KEY_ID, PREVIOUS_KEY_UNTIL, RATE, REMOVED_AT,
    ROTATED_AT, Registrations, to_registration,
};
use crate::dynamodb::{Item, PK, StoreError, corrupt, item_key, number, required, string, text};
use crate::sdk::AwsError;

/// Random, new with each write. A write that expects another one changes nothing.
const REVISION: &str = "Revision";

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
        let output = self.get_item(repository).consistent_read(true).send().await;
        let output = output.map_err(|error| AwsError::new("dynamodb:GetItem", error))?;
        let Some(item) = output.item else { return Ok(None) };
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
                .expression_attribute_values(":replaced", string(&replaced.revision)),
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

    /// All registrations, in no order. Scans the table.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item is corrupt.
    pub async fn list(&self) -> Result<Vec<(Repository, Registration)>, StoreError> {
        let (mut registrations, mut start) = (Vec::new(), None);
        loop {
            let output = self
                .client
                .scan()
                .table_name(&self.table)
                .filter_expression("begins_with(#pk, :prefix)")
                .expression_attribute_names("#pk", PK)
                .expression_attribute_values(":prefix", string(key::REGISTRATIONS))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| AwsError::new("dynamodb:Scan", error))?;
            for item in output.items() {
                let repository = text(item, PK).and_then(key::registered_repository);
                let repository = repository.ok_or_else(|| corrupt(item, PK))?;
                registrations.push((repository, to_registration(item)?));
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(registrations);
            }
        }
    }
}

fn to_item(repository: &Repository, registration: &Registration) -> Item {
    let active = match registration {
        Registration::Active(active) => active,
        Registration::Removed(at) => {
            let mut item = item_key(&key::registration_partition(repository), key::META);
            item.insert(REMOVED_AT.to_owned(), string(at.to_string()));
            return item;
        }
    };
    let ActiveRegistration { proofs: Proofs { derived, own_secret, .. }, posts_per_minute, created, rotated } =
        active;
    let previous = derived.and_then(|ids| ids.previous);
    let time = |(_, until): (KeyId, Timestamp)| string(until.to_string());
    let optional = [
        (KEY_ID, derived.map(|ids| string(ids.current.to_string()))),
        (PREVIOUS_KEY_ID, previous.map(|(id, _)| string(id.to_string()))),
        (PREVIOUS_KEY_UNTIL, previous.map(time)),
        (OWN_SECRET, own_secret.map(|_| AttributeValue::Bool(true))),
        (OWN_SECRET_UNTIL, own_secret.and_then(|OwnSecret { until }| Some(string(until?.to_string())))),
        (
            RATE,
            Some(*posts_per_minute)
                .filter(|rate| *rate != POSTS_PER_MINUTE)
                .map(|rate| number(rate.get().into())),
        ),
        (CREATED_AT, Some(string(created.to_string()))),
        (ROTATED_AT, rotated.map(|at| string(at.to_string()))),
    ];
    let mut item = item_key(&key::registration_partition(repository), key::META);
    item.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn repository() -> Repository {
        "acme/kit".parse().unwrap()
    }

    /// With every attribute.
    fn full() -> Registration {
        let first = ActiveRegistration {
            posts_per_minute: 1000.try_into().unwrap(),
            ..ActiveRegistration::with_own_secret(NOW)
        };
        let second = first.rotated(KeyId::new([1; 16]), false, NOW);
        Registration::Active(second.rotated(KeyId::new([2; 16]), false, NOW))
    }

    #[test]
    fn registrations_round_trip() {
        let derived = ActiveRegistration::with_derived_key(KeyId::new([7; 16]), NOW);
        for registration in [full(), Registration::Active(derived), Registration::Removed(NOW)] {
            assert_eq!(to_registration(&to_item(&repository(), &registration)).unwrap(), registration);
        }
    }

    #[test]
    fn the_attributes_of_a_registration_have_these_names() {
        let mut names: Vec<_> = to_item(&repository(), &full()).into_keys().collect();
        names.sort_unstable();
        assert_eq!(
            names.join(" "),
            "CreatedAt KeyId OwnSecret OwnSecretUntil PK PostsPerMinute PreviousKeyId PreviousKeyUntil RotatedAt SK"
        );
    }

    #[test]
    fn a_corrupt_registration_names_the_attribute() {
        for (name, bad) in [
            (KEY_ID, Some(string("7"))),
            (PREVIOUS_KEY_UNTIL, None),
            (OWN_SECRET, Some(string("yes"))),
            (OWN_SECRET, Some(AttributeValue::Bool(false))),
            (OWN_SECRET_UNTIL, Some(string("soon"))),
            (RATE, Some(number(0))),
            (CREATED_AT, None),
            (ROTATED_AT, Some(number(7))),
            (REMOVED_AT, Some(string("yesterday"))),
        ] {
            let mut item = to_item(&repository(), &full());
            item.remove(name);
            item.extend(bad.map(|bad| (name.to_owned(), bad)));
            let error = to_registration(&item).unwrap_err().to_string();
            assert_eq!(error, format!("corrupt item REPOSITORY#acme#kit META: {name} is missing or invalid"));
        }
    }
}
