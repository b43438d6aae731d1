//! The item of a registration.

use std::num::NonZeroU32;

use aws_sdk_dynamodb::types::AttributeValue;
use badgesmith_domain::derived_key::KeyId;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::key;
use badgesmith_domain::registration::{
    AccountIds, ActiveRegistration, DerivedKeyIds, Keyless, OwnSecret, POSTS_PER_MINUTE, Proofs, Registration,
};
use badgesmith_domain::timestamp::Timestamp;

use crate::dynamodb::{Item, StoreError, corrupt, integer, item_key, number, optional, required, string};

/// The id of the derived key, and of the one before it with its end.
const KEY_ID: &str = "KeyId";
const PREVIOUS_KEY_ID: &str = "PreviousKeyId";
const PREVIOUS_KEY_UNTIL: &str = "PreviousKeyUntil";
/// Whether the repository has its own secret, and until when that counts.
const OWN_SECRET: &str = "OwnSecret";
const OWN_SECRET_UNTIL: &str = "OwnSecretUntil";
/// Whether ID tokens count, and the ids that they must have: of the repository and of its owner.
pub(super) const KEYLESS: &str = "Keyless";
pub(super) const REPOSITORY_ID: &str = "RepositoryId";
pub(super) const OWNER_ID: &str = "OwnerId";
/// Absent for the default.
const RATE: &str = "PostsPerMinute";
const CREATED_AT: &str = "CreatedAt";
const ROTATED_AT: &str = "RotatedAt";
/// Marks a tombstone.
const REMOVED_AT: &str = "RemovedAt";

/// Parses an item.
///
/// # Errors
/// [`StoreError::CorruptItem`] names the first attribute that is missing or invalid.
pub(super) fn to_registration(item: &Item) -> Result<Registration, StoreError> {
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
    let keyless = match item.get(KEYLESS).map(|value| value.as_bool()) {
        None => None,
        Some(Ok(true)) => Some(Keyless { ids: account_ids(item)? }),
        Some(Ok(false) | Err(_)) => return Err(corrupt(item, KEYLESS)),
    };
    let posts_per_minute = match item.get(RATE) {
        None => POSTS_PER_MINUTE,
        Some(_) => integer(item, RATE)
            .and_then(|rate| NonZeroU32::new(u32::try_from(rate).ok()?))
            .ok_or_else(|| corrupt(item, RATE))?,
    };
    Ok(Registration::Active(ActiveRegistration {
        proofs: Proofs { derived, own_secret, keyless },
        posts_per_minute,
        created: required(item, CREATED_AT)?,
        rotated: optional(item, ROTATED_AT)?,
    }))
}

fn account_ids(item: &Item) -> Result<Option<AccountIds>, StoreError> {
    let Some(repository) = optional(item, REPOSITORY_ID)? else { return Ok(None) };
    Ok(Some(AccountIds { repository, owner: required(item, OWNER_ID)? }))
}

/// Makes an item, without a revision.
pub(super) fn to_item(repository: &Repository, registration: &Registration) -> Item {
    let active = match registration {
        Registration::Active(active) => active,
        Registration::Removed(at) => {
            let mut item = item_key(&key::registration_partition(repository), key::META);
            item.insert(REMOVED_AT.to_owned(), string(at.to_string()));
            return item;
        }
    };
    let ActiveRegistration { proofs, posts_per_minute, created, rotated } = active;
    let Proofs { derived, own_secret, keyless } = proofs;
    let ids = keyless.and_then(|keyless| keyless.ids);
    let previous = derived.and_then(|ids| ids.previous);
    let time = |(_, until): (KeyId, Timestamp)| string(until.to_string());
    let optional = [
        (KEY_ID, derived.map(|ids| string(ids.current.to_string()))),
        (PREVIOUS_KEY_ID, previous.map(|(id, _)| string(id.to_string()))),
        (PREVIOUS_KEY_UNTIL, previous.map(time)),
        (OWN_SECRET, own_secret.map(|_| AttributeValue::Bool(true))),
        (OWN_SECRET_UNTIL, own_secret.and_then(|OwnSecret { until }| Some(string(until?.to_string())))),
        (KEYLESS, keyless.map(|_| AttributeValue::Bool(true))),
        (REPOSITORY_ID, ids.map(|ids| string(ids.repository.to_string()))),
        (OWNER_ID, ids.map(|ids| string(ids.owner.to_string()))),
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
        let mut third = second.rotated(KeyId::new([2; 16]), false, NOW);
        third.proofs.keyless = Some(Keyless { ids: Some(AccountIds { repository: 7, owner: u64::MAX }) });
        Registration::Active(third)
    }

    #[test]
    fn registrations_round_trip() {
        let derived = ActiveRegistration::with_derived_key(KeyId::new([7; 16]), NOW);
        let keyless = ActiveRegistration::keyless(None, NOW);
        let active = [derived, keyless].map(Registration::Active);
        for registration in active.into_iter().chain([full(), Registration::Removed(NOW)]) {
            assert_eq!(to_registration(&to_item(&repository(), &registration)).unwrap(), registration);
        }
    }

    #[test]
    fn the_attributes_of_a_registration_have_these_names() {
        let mut names: Vec<_> = to_item(&repository(), &full()).into_keys().collect();
        names.sort_unstable();
        assert_eq!(
            names.join(" "),
            "CreatedAt KeyId Keyless OwnSecret OwnSecretUntil OwnerId PK PostsPerMinute PreviousKeyId PreviousKeyUntil \
             RepositoryId RotatedAt SK"
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
            (KEYLESS, Some(AttributeValue::Bool(false))),
            (REPOSITORY_ID, Some(number(7))),
            (OWNER_ID, None),
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
