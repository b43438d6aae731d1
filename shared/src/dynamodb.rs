//! The tables, one type for each, with a method for each question asked of it.

mod history;
mod nonces;
mod results;

pub use history::{BranchHistory, HistoryPage, HistoryPosition, HistoryQuery};
pub use nonces::{Claim, ClaimOutcome, Nonces};
pub use results::Results;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// An item as the SDK has it.
type Item = HashMap<String, AttributeValue>;

/// The partition key of every table.
const PK: &str = "PK";
/// The sort key of every table.
const SK: &str = "SK";
/// When DynamoDB may delete the item, in seconds since the Unix epoch.
const TTL: &str = "ttl";

fn string(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
