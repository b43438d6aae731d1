//! The DynamoDB tables: one type for each, with one method for each read and write.

#[cfg(feature = "admin")]
mod admin;
#[cfg(feature = "admin")]
mod erasure;
mod feeds;
mod history;
mod issuers;
mod nonces;
mod owners;
mod package_content;
mod package_item;
mod package_leases;
mod package_updates;
mod packages;
mod registrations;
mod result_item;
mod results;
mod secret_mappings;
mod slots;
mod update_expression;

#[cfg(feature = "admin")]
pub use admin::{TableDescription, describe_table};
#[cfg(feature = "admin")]
pub use feeds::Feed;
pub use feeds::{Feeds, RegisteredFeed};
pub use history::{BranchHistory, HistoryPage, HistoryQuery};
pub use issuers::{IssuerRecord, Issuers};
pub use nonces::{Nonces, Reservation, ReservationOutcome};
pub use owners::{Owners, PinOutcome};
pub use package_leases::{Lease, LeaseOutcome};
pub use package_updates::ContentUpdate;
pub use packages::{DuePackage, DuePage, DuePosition, Packages};
#[cfg(feature = "admin")]
pub use registrations::RegistrationRecord;
pub use registrations::Registrations;
pub use result_item::LIFETIME as RESULT_LIFETIME;
pub use results::Results;
pub use secret_mappings::{FeedAccess, SecretMapping, SecretMappings};
pub use slots::SlotPage;

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::Client;
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

/// The position of the last item of a page, opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagePosition(String);

impl PagePosition {
    /// The position from [`PagePosition::as_str`].
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How up to date a read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consistency {
    /// It may miss a write of the last second. It costs half as much.
    Eventual,
    /// It has all writes so far.
    Strong,
}

/// The item with this key.
async fn get_item(
    client: &Client,
    table: &str,
    key: Item,
    consistency: Consistency,
) -> Result<Option<Item>, AwsError> {
    let get = client.get_item().table_name(table).set_key(Some(key));
    let output = get.consistent_read(consistency == Consistency::Strong).send().await;
    Ok(output.map_err(|error| AwsError::new("dynamodb:GetItem", error))?.item)
}

/// The key of an item, or the first attributes of a new one.
fn item_key(partition: &str, sort: &str) -> Item {
    Item::from([(PK.to_owned(), string(partition)), (SK.to_owned(), string(sort))])
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
}

/// Parses a text attribute.
///
/// # Errors
/// [`StoreError::CorruptItem`] if it is missing or invalid.
fn required<T: FromStr>(item: &Item, name: &'static str) -> Result<T, StoreError> {
    optional(item, name)?.ok_or_else(|| corrupt(item, name))
}

/// Like [`required`], but `None` if the attribute is missing.
fn optional<T: FromStr>(item: &Item, name: &'static str) -> Result<Option<T>, StoreError> {
    let Some(value) = item.get(name) else { return Ok(None) };
    let parsed = value.as_s().ok().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or_else(|| corrupt(item, name))
}

fn corrupt(item: &Item, attribute: &'static str) -> StoreError {
    StoreError::corrupt(item, format!("{attribute} is missing or invalid"))
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
