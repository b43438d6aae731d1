//! The DynamoDB tables: one type for each, with one method for each read and write.

#[cfg(feature = "admin")]
mod admin;
mod feeds;
#[cfg(feature = "admin")]
mod feeds_admin;
mod history;
mod nonces;
mod package_content;
mod package_item;
mod package_leases;
mod package_updates;
mod packages;
mod result_item;
mod results;
mod secret_mappings;
mod slots;
mod update_expression;

#[cfg(feature = "admin")]
pub use admin::table_status;
pub use feeds::Feeds;
#[cfg(feature = "admin")]
pub use feeds_admin::Feed;
pub use history::{BranchHistory, HistoryPage, HistoryPosition, HistoryQuery};
pub use nonces::{Nonces, Reservation, ReservationOutcome};
pub use package_leases::{Lease, LeaseOutcome};
pub use package_updates::ContentUpdate;
pub use packages::{DuePackage, DuePage, DuePosition, Packages};
pub use results::Results;
pub use secret_mappings::{FeedAccess, SecretMapping, SecretMappings};
pub use slots::{SlotPage, SlotPosition};

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use badgesmith_domain::timestamp::Timestamp;

use crate::sdk::AwsError;

/// An item as the SDK represents it.
type Item = HashMap<String, AttributeValue>;

/// Why a read failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The call to DynamoDB failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// An attribute of an item is missing or invalid.
    #[error("corrupt item {key}: {cause}")]
    CorruptItem {
        /// The partition and sort key.
        key: String,
        cause: String,
    },
}

impl StoreError {
    fn corrupt(item: &Item, cause: impl Into<String>) -> Self {
        let key = [PK, SK].map(|name| text(item, name).unwrap_or("?")).join(" ");
        Self::CorruptItem { key, cause: cause.into() }
    }
}

/// The name of the partition key in every table.
const PK: &str = "PK";
/// The name of the sort key in every table.
const SK: &str = "SK";
/// When an item expires, in seconds since the Unix epoch.
const TTL: &str = "TTL";

/// The key of an item, or the first attributes of a new one.
fn item_key(partition: &str, sort: &str) -> Item {
    Item::from([(PK.to_owned(), string(partition)), (SK.to_owned(), string(sort))])
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
}

fn integer(item: &Item, name: &str) -> Option<i64> {
    item.get(name).and_then(|value| value.as_n().ok()).and_then(|text| text.parse().ok())
}

/// Whether an item has expired. DynamoDB may take days to delete expired items.
fn is_expired(item: &Item, now: Timestamp) -> bool {
    integer(item, TTL).is_some_and(|ttl| ttl <= now.unix_seconds())
}

fn string(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
