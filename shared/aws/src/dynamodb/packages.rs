//! Packages, as readers see them and as they are due. What changes them is in [`super::refreshes`].

use std::io::{Read, Write};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_types::SdkConfig;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::{Item, PK, SK, TTL, integer, is_expired, item_key, number, string, text};
use crate::sdk::AwsError;
use badgesmith_domain::key::{self, DueShard};
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{Known, PackageRecord, PackageState, Validators};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::{NuGetVersion, Versions};

/// The index of what is due, and its keys.
const DUE_INDEX: &str = "GSI1";
const DUE_PK: &str = "GSI1PK";
const DUE_SK: &str = "GSI1SK";

const STATE: &str = "state";
const UNPROVEN: &str = "UNPROVEN";
const KNOWN: &str = "KNOWN";
const NOT_FOUND: &str = "NOT_FOUND";
const REFRESH_AFTER: &str = "refresh_after";
pub(super) const LAST_REQUESTED_AT: &str = "last_requested_at";
const FAILURES: &str = "failures";
const LATEST_STABLE: &str = "latest_stable";
const LATEST_PRERELEASE: &str = "latest_prerelease";
const FETCHED_AT: &str = "fetched_at";
const CHANGED_AT: &str = "changed_at";
const MISSING: &str = "missing";
const PRIVATE: &str = "private";
/// Of the items with versions and validators: what they hold, compressed (zlib, RFC 1950).
pub(super) const CONTENT: &str = "content";

/// A name that no upstream has confirmed is forgotten after this long; so is that one does not exist.
const UNCONFIRMED_LIFETIME: Duration = Duration::from_hours(24);
/// A package that nobody reads is forgotten after this long.
pub(super) const UNREAD_LIFETIME: Duration = Duration::from_hours(90 * 24);
/// How many due packages one read of the index brings.
const DUE_PAGE: i32 = 500;
/// The largest content, compressed: an item has at most 400 KB.
const CONTENT_BYTES_MAX: usize = 350 * 1024;
/// The largest content again, which nothing that was written here exceeds.
const PLAIN_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The table of packages.
#[derive(Debug, Clone)]
pub struct Packages {
    pub(super) client: Client,
    pub(super) table: String,
}

/// A package that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePackage {
    /// Which.
    pub package: Package,
    /// Since when.
    pub since: Timestamp,
}

/// Some packages that are due, the longest overdue first.
#[derive(Debug, Default)]
pub struct DuePage {
    /// The packages.
    pub packages: Vec<DuePackage>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<DuePosition>,
}

/// A place among the due packages of one shard.
#[derive(Debug, Clone)]
pub struct DuePosition(Item);

impl Packages {
    /// The table named `table`.
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// What is known of a package but for its versions: one item. May be a moment old.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked, or the item is none of ours.
    pub async fn find(&self, package: &Package, now: Timestamp) -> Result<Option<PackageRecord>, AwsError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item_key(&key::package_partition(package), key::META)))
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:GetItem", error))?;
        match output.item {
            Some(item) if !is_expired(&item, now) => to_record(&item).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// What is known of a package, its versions included, if it has any: one query. May be a moment old.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked, or an item is none of ours.
    pub async fn find_with_versions(
        &self,
        package: &Package,
        now: Timestamp,
    ) -> Result<Option<(PackageRecord, Versions)>, AwsError> {
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":pk", string(key::package_partition(package)))
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:Query", error))?;
        let item = |sort: &str| output.items().iter().find(|item| text(item, SK) == Some(sort));
        let Some(meta) = item(key::META).filter(|item| !is_expired(item, now)) else { return Ok(None) };
        let record = to_record(meta)?;
        let versions = item(key::VERSIONS).map(to_versions).transpose()?.unwrap_or_default();
        Ok(Some((record, versions)))
    }

    /// The packages of `shard` that are due at `now`, the longest overdue first. A name that no upstream has
    /// confirmed for a day is forgotten, and not among them. An item that is none of ours is left out.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked.
    pub async fn due(
        &self,
        shard: DueShard,
        now: Timestamp,
        from: Option<DuePosition>,
    ) -> Result<DuePage, AwsError> {
        let oldest = match shard {
            DueShard::Known(_) => Timestamp::from_unix_milliseconds(i64::MIN),
            DueShard::Unconfirmed => now.minus(UNCONFIRMED_LIFETIME),
        };
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(DUE_INDEX)
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :now")
            .expression_attribute_names("#pk", DUE_PK)
            .expression_attribute_names("#sk", DUE_SK)
            .expression_attribute_values(":pk", string(shard.partition()))
            .expression_attribute_values(":from", string(oldest.to_string()))
            .expression_attribute_values(":now", string(now.to_string()))
            .limit(DUE_PAGE)
            .set_exclusive_start_key(from.map(|DuePosition(key)| key))
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:Query", error))?;
        let package = |item: &Item| -> Result<DuePackage, AwsError> {
            let package = text(item, PK).and_then(key::package_of);
            let package = package.ok_or_else(|| foreign("its key is no package's"))?;
            Ok(DuePackage { package, since: timestamp(item, DUE_SK)? })
        };
        let ours = |item: &Item| {
            package(item).inspect_err(|error| tracing::error!(%error, "what is due is not understood")).ok()
        };
        let packages = output.items().iter().filter_map(ours).collect();
        Ok(DuePage { packages, next: output.last_evaluated_key.map(DuePosition) })
    }
}

pub(super) fn to_record(item: &Item) -> Result<PackageRecord, AwsError> {
    let version = |name| {
        let version = text(item, name).map(str::parse::<NuGetVersion>).transpose();
        version.map_err(|_| foreign("it has something else for a version"))
    };
    let state = match text(item, STATE) {
        Some(UNPROVEN) => PackageState::Unconfirmed,
        Some(NOT_FOUND) => PackageState::NotFound,
        Some(KNOWN) => PackageState::Known(Known {
            latest_stable: version(LATEST_STABLE)?,
            latest_prerelease: version(LATEST_PRERELEASE)?,
            fetched_at: timestamp(item, FETCHED_AT)?,
            changed_at: timestamp(item, CHANGED_AT)?,
            consecutive_not_found: count(item, MISSING),
            private: item.get(PRIVATE).and_then(|value| value.as_bool().ok()).copied().unwrap_or_default(),
            scheduled: item.contains_key(DUE_PK),
        }),
        _ => return Err(foreign("its state is unknown")),
    };
    Ok(PackageRecord {
        state,
        refresh_after: timestamp(item, REFRESH_AFTER)?,
        last_requested_at: timestamp(item, LAST_REQUESTED_AT)?,
        failures: count(item, FAILURES),
    })
}

/// What a package's META has when it is what `record` says: `None` is an attribute that it must not have. When it
/// was last read is noted elsewhere.
pub(super) fn attributes(
    package: &Package,
    record: &PackageRecord,
    now: Timestamp,
) -> [(&'static str, Option<AttributeValue>); 12] {
    let (state, known, shard, forgotten) = match &record.state {
        PackageState::Unconfirmed => {
            let forgotten = record.last_requested_at.plus(UNCONFIRMED_LIFETIME);
            (UNPROVEN, None, Some(DueShard::Unconfirmed), Some(forgotten))
        }
        PackageState::NotFound => (NOT_FOUND, None, None, Some(now.plus(UNCONFIRMED_LIFETIME))),
        PackageState::Known(known) if known.scheduled => {
            (KNOWN, Some(known), Some(DueShard::of(package)), None)
        }
        PackageState::Known(known) => {
            (KNOWN, Some(known), None, Some(record.last_requested_at.plus(UNREAD_LIFETIME)))
        }
    };
    let refresh_after = record.refresh_after.to_string();
    let version = |version: &NuGetVersion| string(version.to_string());
    let moment = |moment: Timestamp| string(moment.to_string());
    [
        (STATE, Some(string(state))),
        (REFRESH_AFTER, Some(string(&refresh_after))),
        (FAILURES, Some(number(record.failures.into()))),
        (DUE_PK, shard.map(|shard| string(shard.partition()))),
        (DUE_SK, shard.map(|_| string(&refresh_after))),
        (TTL, forgotten.map(|moment| number(moment.unix_seconds()))),
        (LATEST_STABLE, known.and_then(|known| known.latest_stable.as_ref()).map(version)),
        (LATEST_PRERELEASE, known.and_then(|known| known.latest_prerelease.as_ref()).map(version)),
        (FETCHED_AT, known.map(|known| moment(known.fetched_at))),
        (CHANGED_AT, known.map(|known| moment(known.changed_at))),
        (MISSING, known.map(|known| number(known.consecutive_not_found.into()))),
        (PRIVATE, known.map(|known| AttributeValue::Bool(known.private))),
    ]
}

/// `versions` as an attribute, the highest if not all of them fit into an item.
pub(super) fn versions_content(versions: &Versions) -> Result<AttributeValue, AwsError> {
    let mut kept = versions.len();
    loop {
        let lines: Vec<_> = versions.iter().take(kept).map(NuGetVersion::to_string).collect();
        let content = compress(lines.join("\n").as_bytes())?;
        if content.len() <= CONTENT_BYTES_MAX || kept == 0 {
            return Ok(AttributeValue::B(Blob::new(content)));
        }
        kept /= 2;
    }
}

pub(super) fn to_versions(item: &Item) -> Result<Versions, AwsError> {
    let text = decompress(item)?;
    let versions = text.lines().map(str::parse::<NuGetVersion>).collect::<Result<Versions, _>>();
    versions.map_err(|_| foreign("it has something else for a version"))
}

/// `validators` as an attribute; none of them if they do not fit into an item.
pub(super) fn validators_content(validators: &Validators) -> Result<AttributeValue, AwsError> {
    let plain = serde_json::to_vec(validators).map_err(|error| foreign(error.to_string()))?;
    let content = compress(&plain)?;
    let content = if content.len() <= CONTENT_BYTES_MAX { content } else { compress(b"{}")? };
    Ok(AttributeValue::B(Blob::new(content)))
}

pub(super) fn to_validators(item: &Item) -> Result<Validators, AwsError> {
    serde_json::from_str(&decompress(item)?).map_err(|error| foreign(error.to_string()))
}

fn compress(plain: &[u8]) -> Result<Vec<u8>, AwsError> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    encoder.write_all(plain).and_then(|()| encoder.finish()).map_err(|error| foreign(error.to_string()))
}

fn decompress(item: &Item) -> Result<String, AwsError> {
    let content = item.get(CONTENT).and_then(|value| value.as_b().ok());
    let content = content.ok_or_else(|| foreign("it has no content"))?;
    let mut text = String::new();
    let mut plain = ZlibDecoder::new(content.as_ref()).take(PLAIN_BYTES_MAX);
    plain.read_to_string(&mut text).map_err(|error| foreign(error.to_string()))?;
    Ok(text)
}

fn count(item: &Item, name: &str) -> u32 {
    integer(item, name).and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
}

fn timestamp(item: &Item, name: &str) -> Result<Timestamp, AwsError> {
    let timestamp = text(item, name).and_then(|text| text.parse().ok());
    timestamp.ok_or_else(|| foreign(format!("it has no timestamp in {name}")))
}

/// An item that was not written here.
fn foreign(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AwsError {
    AwsError::unexpected("reading a package's item", cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_of_the_highest_versions_are_kept_as_fit() {
        let item = |content| Item::from([(CONTENT.to_owned(), content)]);
        let few: Versions = ["1.0.0", "2.0.0-Beta.1"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(to_versions(&item(versions_content(&few).unwrap())).unwrap(), few);
        assert_eq!(to_versions(&item(versions_content(&Versions::default()).unwrap())).unwrap().len(), 0);
        // Labels that no compression makes smaller.
        let mut random = fastrand::Rng::with_seed(7);
        let noise = |random: &mut fastrand::Rng| -> String {
            std::iter::repeat_with(|| random.alphanumeric()).take(200).collect()
        };
        let many: Versions =
            (0..10_000).map(|major| format!("{major}.0.0-{}", noise(&mut random)).parse().unwrap()).collect();
        let content = versions_content(&many).unwrap();
        assert!(content.as_b().unwrap().as_ref().len() <= CONTENT_BYTES_MAX);
        let kept = to_versions(&item(content)).unwrap();
        assert!(kept.len() >= 1000, "{}", kept.len());
        assert_eq!(kept.iter().next(), many.iter().next());
    }
}
