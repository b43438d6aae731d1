//! The item `META` of a package: its state, its latest versions, and when it is due.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use badgesmith_domain::key::{self, DueShard};
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{Known, PackageRecord, PackageState};
use badgesmith_domain::timestamp::Timestamp;

use super::{Item, StoreError, TTL, corrupt, integer, number, required, string, text};

/// The keys of the index of due packages. An item without them is not on the schedule.
pub(super) const DUE_PK: &str = "GSI1PK";
pub(super) const DUE_SK: &str = "GSI1SK";

pub(super) const STATE: &str = "State";
const UNCONFIRMED: &str = "UNCONFIRMED";
pub(super) const KNOWN: &str = "KNOWN";
const NOT_FOUND: &str = "NOT_FOUND";
pub(super) const REFRESH_AFTER: &str = "RefreshAfter";
pub(super) const LAST_REQUESTED_AT: &str = "LastRequestedAt";
const FAILURES: &str = "Failures";
const LATEST_STABLE: &str = "LatestStable";
const LATEST_PRERELEASE: &str = "LatestPrerelease";
const FETCHED_AT: &str = "FetchedAt";
const CHANGED_AT: &str = "ChangedAt";
const CONSECUTIVE_NOT_FOUND: &str = "ConsecutiveNotFound";
const PRIVATE: &str = "Private";

/// The attributes that some states do not have.
pub(super) const OPTIONAL_ATTRIBUTES: [&str; 9] = [
    DUE_PK,
    DUE_SK,
    TTL,
    LATEST_STABLE,
    LATEST_PRERELEASE,
    FETCHED_AT,
    CHANGED_AT,
    CONSECUTIVE_NOT_FOUND,
    PRIVATE,
];

/// A name that no upstream has confirmed expires after this long; so does the fact that a name does not exist.
pub(super) const UNCONFIRMED_LIFETIME: Duration = Duration::from_hours(24);
/// A package off the schedule expires this long after it was last read.
pub(super) const UNREAD_LIFETIME: Duration = Duration::from_hours(90 * 24);

pub(super) fn item_key(package: &Package, sort: &str) -> Item {
    super::item_key(&key::package_partition(package), sort)
}

pub(super) fn to_record(package: &Package, item: &Item) -> Result<PackageRecord, StoreError> {
    let version = |name| {
        let Some(text) = text(item, name) else { return Ok(None) };
        let version = package.provider().scheme().parse_stored(text);
        version.map(Some).ok_or_else(|| corrupt(item, name))
    };
    let state = match text(item, STATE) {
        Some(UNCONFIRMED) => PackageState::Unconfirmed,
        Some(NOT_FOUND) => PackageState::NotFound,
        Some(KNOWN) => PackageState::Known(Known {
            latest_stable: version(LATEST_STABLE)?,
            latest_prerelease: version(LATEST_PRERELEASE)?,
            fetched_at: required(item, FETCHED_AT)?,
            changed_at: required(item, CHANGED_AT)?,
            consecutive_not_found: count(item, CONSECUTIVE_NOT_FOUND),
            private: item.get(PRIVATE).and_then(|value| value.as_bool().ok()).copied().unwrap_or_default(),
            is_scheduled: item.contains_key(DUE_PK),
        }),
        _ => return Err(StoreError::corrupt(item, "unknown state")),
    };
    Ok(PackageRecord {
        state,
        refresh_after: required(item, REFRESH_AFTER)?,
        last_requested_at: required(item, LAST_REQUESTED_AT)?,
        failures: count(item, FAILURES),
    })
}

/// The attributes of `record`, but for its key and `LastRequestedAt`, which leases and reads update.
pub(super) fn attributes(package: &Package, record: &PackageRecord, now: Timestamp) -> Item {
    let (state, shard, expires_at) = match &record.state {
        PackageState::Unconfirmed => {
            let expires_at = record.last_requested_at.plus(UNCONFIRMED_LIFETIME);
            (UNCONFIRMED, Some(DueShard::Unconfirmed), Some(expires_at))
        }
        PackageState::NotFound => (NOT_FOUND, None, Some(now.plus(UNCONFIRMED_LIFETIME))),
        PackageState::Known(known) if known.is_scheduled => (KNOWN, Some(DueShard::of(package)), None),
        PackageState::Known(_) => (KNOWN, None, Some(record.last_requested_at.plus(UNREAD_LIFETIME))),
    };
    let refresh_after = record.refresh_after.to_string();
    let mut item = Item::from([
        (STATE.to_owned(), string(state)),
        (REFRESH_AFTER.to_owned(), string(&refresh_after)),
        (FAILURES.to_owned(), number(record.failures.into())),
    ]);
    if let Some(shard) = shard {
        item.insert(DUE_PK.to_owned(), string(shard.partition()));
        item.insert(DUE_SK.to_owned(), string(refresh_after));
    }
    if let Some(expires_at) = expires_at {
        item.insert(TTL.to_owned(), number(expires_at.unix_seconds()));
    }
    if let PackageState::Known(known) = &record.state {
        item.extend(known_attributes(known));
    }
    item
}

fn known_attributes(known: &Known) -> Item {
    let mut item = Item::from([
        (FETCHED_AT.to_owned(), string(known.fetched_at.to_string())),
        (CHANGED_AT.to_owned(), string(known.changed_at.to_string())),
        (CONSECUTIVE_NOT_FOUND.to_owned(), number(known.consecutive_not_found.into())),
        (PRIVATE.to_owned(), AttributeValue::Bool(known.private)),
    ]);
    for (name, version) in
        [(LATEST_STABLE, &known.latest_stable), (LATEST_PRERELEASE, &known.latest_prerelease)]
    {
        item.extend(version.iter().map(|version| (name.to_owned(), string(version.stored()))));
    }
    item
}

fn count(item: &Item, name: &str) -> u32 {
    integer(item, name).and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use badgesmith_domain::version::Scheme;

    use super::*;

    fn record(state: PackageState) -> PackageRecord {
        let moment = Timestamp::from_unix_milliseconds(1_000);
        PackageRecord { state, refresh_after: moment, last_requested_at: moment, failures: 0 }
    }

    #[test]
    fn every_attribute_that_a_state_lacks_is_optional() {
        let moment = Timestamp::from_unix_milliseconds(1_000);
        let known = |is_scheduled| {
            PackageState::Known(Known {
                latest_stable: Scheme::NuGet.parse("1.0.0"),
                latest_prerelease: Scheme::NuGet.parse("2.0.0-rc.1"),
                fetched_at: moment,
                changed_at: moment,
                consecutive_not_found: 0,
                private: false,
                is_scheduled,
            })
        };
        let states = [PackageState::Unconfirmed, PackageState::NotFound, known(true), known(false)];
        let package = "nuget/kit".parse().unwrap();
        let items = states.map(|state| attributes(&package, &record(state), moment));
        for name in items.iter().flat_map(Item::keys) {
            let is_optional = items.iter().any(|item| !item.contains_key(name));
            assert_eq!(OPTIONAL_ATTRIBUTES.contains(&name.as_str()), is_optional, "{name}");
        }
    }
}
