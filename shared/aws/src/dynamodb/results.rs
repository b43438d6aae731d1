//! Test results: written by the processor, read by the badge API.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use aws_types::SdkConfig;
use serde_json::Value;
use tokio::time::Instant;

use super::{Item, PK, SK, TTL, number, string};
use crate::sdk::AwsError;
use badgesmith_domain::ids::{Branch, Platform, Repository};
use badgesmith_domain::key::{self, ResultOrder};
use badgesmith_domain::test_result::TestResult;

/// The index of the latest results, and its keys.
const LATEST_INDEX: &str = "GSI1";
const LATEST_PK: &str = "GSI1PK";
const LATEST_SK: &str = "GSI1SK";

/// How long results are kept: two years, from the time they were measured.
const LIFETIME: Duration = Duration::from_hours(2 * 365 * 24);
/// How many writes one `BatchWriteItem` takes:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
const BATCH_WRITES_MAX: usize = 25;
/// For how long what DynamoDB throttles is sent again, before SQS takes over. A partition that is written to faster than
/// it can take goes on taking as much as it can; a message that is given up here uses up one of its receives for nothing,
/// and is hidden for minutes.
const UNPROCESSED_PATIENCE: Duration = Duration::from_secs(10);
/// Before the first of those retries, doubled before each other up to the most, with full jitter.
const UNPROCESSED_BACKOFF: Duration = Duration::from_millis(50);
const UNPROCESSED_BACKOFF_MAX: Duration = Duration::from_millis(800);

/// What DynamoDB says when it takes nothing because too much was written:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
const THROTTLED: [&str; 3] =
    ["ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"];

/// The table of test results.
#[derive(Debug, Clone)]
pub struct Results {
    pub(super) client: Client,
    pub(super) table: String,
}

impl Results {
    /// The table named `table`.
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// Writes `results`, and returns the positions in `results` of those that could not be written.
    ///
    /// Writing a result again changes nothing: its item is a function of the result alone.
    pub async fn record(&self, results: &[TestResult]) -> Vec<usize> {
        let mut by_key: BTreeMap<(String, String), (Item, Vec<usize>)> = BTreeMap::new();
        for (position, result) in results.iter().enumerate() {
            let (partition, sort, item) = to_item(result);
            by_key.entry((partition, sort)).or_insert_with(|| (item, Vec::new())).1.push(position);
        }
        let give_up_at = Instant::now() + UNPROCESSED_PATIENCE;
        let mut unwritten = Vec::new();
        let mut entries = by_key.into_iter().peekable();
        while entries.peek().is_some() {
            let mut chunk: BTreeMap<_, _> = entries.by_ref().take(BATCH_WRITES_MAX).collect();
            if let Err(error) = self.write(&mut chunk, give_up_at).await {
                tracing::error!(%error, "results could not be written");
            }
            unwritten.extend(chunk.into_values().flat_map(|(_, positions)| positions));
        }
        unwritten
    }

    /// Deletes what is not there, so that the next batch finds a connection. It is the one thing that changes
    /// nothing which who may only write batches is allowed.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked.
    pub async fn warm_up_writes(&self) -> Result<(), AwsError> {
        let nothing =
            DeleteRequest::builder().set_key(Some(super::item_key(key::WARM_UP_KEY, key::WARM_UP_KEY)));
        let nothing = WriteRequest::builder().delete_request(nothing.build()?).build();
        let written = self.client.batch_write_item().request_items(&self.table, vec![nothing]).send().await;
        written.map(drop).map_err(|error| AwsError::new("dynamodb:BatchWriteItem", error))
    }

    /// Writes the items of `chunk` and removes from it those that are written.
    async fn write(
        &self,
        chunk: &mut BTreeMap<(String, String), (Item, Vec<usize>)>,
        give_up_at: Instant,
    ) -> Result<(), AwsError> {
        let mut backoff = UNPROCESSED_BACKOFF;
        loop {
            let mut writes = Vec::with_capacity(chunk.len());
            for (item, _) in chunk.values() {
                let put = PutRequest::builder().set_item(Some(item.clone())).build()?;
                writes.push(WriteRequest::builder().put_request(put).build());
            }
            match self.client.batch_write_item().request_items(&self.table, writes).send().await {
                Ok(output) => keep_unprocessed(chunk, &output)?,
                // Nothing of the batch was taken. The SDK has tried three times by now, within less than a second.
                Err(error) if error.code().is_some_and(|code| THROTTLED.contains(&code)) => {}
                Err(error) => return Err(AwsError::new("dynamodb:BatchWriteItem", error)),
            }
            if chunk.is_empty() {
                return Ok(());
            }
            if Instant::now() >= give_up_at {
                return Err(AwsError::unexpected("dynamodb:BatchWriteItem", "some items stayed unprocessed"));
            }
            tokio::time::sleep(backoff.mul_f64(fastrand::f64())).await;
            backoff = (backoff * 2).min(UNPROCESSED_BACKOFF_MAX);
        }
    }

    /// The last result, in the order of their keys, of one platform and branch: one item of the index,
    /// however many results there are.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked, or the item is none of ours.
    pub async fn latest(
        &self,
        repository: &Repository,
        platform: Platform,
        branch: &Branch,
    ) -> Result<Option<TestResult>, AwsError> {
        self.latest_in(key::latest_partition(repository, platform, branch)).await
    }

    /// Looks for the last result where there is none, so that the next look finds a connection.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked.
    pub async fn warm_up_reads(&self) -> Result<(), AwsError> {
        self.latest_in(key::WARM_UP_KEY.to_owned()).await.map(drop)
    }

    async fn latest_in(&self, partition: String) -> Result<Option<TestResult>, AwsError> {
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(LATEST_INDEX)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", LATEST_PK)
            .expression_attribute_values(":pk", string(partition))
            .scan_index_forward(false)
            .limit(1)
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:Query", error))?;
        output.items().first().map(from_item).transpose()
    }
}

/// Removes from `chunk` what was written.
fn keep_unprocessed(
    chunk: &mut BTreeMap<(String, String), (Item, Vec<usize>)>,
    output: &BatchWriteItemOutput,
) -> Result<(), AwsError> {
    let unprocessed = output.unprocessed_items.iter().flat_map(|tables| tables.values().flatten());
    let unprocessed: Option<Vec<_>> =
        unprocessed.map(|write| item_key(write.put_request()?.item())).collect();
    // Whatever cannot be told apart counts as unwritten.
    let unprocessed = unprocessed
        .ok_or_else(|| AwsError::unexpected("dynamodb:BatchWriteItem", "an unprocessed item has no key"))?;
    chunk.retain(|key, _| unprocessed.contains(key));
    Ok(())
}

/// The item of a result, with its keys: the fields of its JSON, each an attribute.
fn to_item(result: &TestResult) -> (String, String, Item) {
    let order = ResultOrder::of(result);
    let partition = key::results_partition(&result.repository);
    let sort = key::result_sort(result.platform, &result.branch, &order);
    let latest = key::latest_partition(&result.repository, result.platform, &result.branch);
    let mut item = Item::from([
        (PK.to_owned(), string(&partition)),
        (SK.to_owned(), string(&sort)),
        (LATEST_PK.to_owned(), string(latest)),
        (LATEST_SK.to_owned(), string(order.to_string())),
        (TTL.to_owned(), number(result.timestamp.plus(LIFETIME).unix_seconds())),
    ]);
    item.extend(fields(result).into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, string(text))),
        Value::Number(number) => Some((name, AttributeValue::N(number.to_string()))),
        // The JSON of a result is flat, and leaves out what is absent.
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }));
    (partition, sort, item)
}

#[expect(clippy::expect_used, clippy::unreachable, reason = "a result is always a JSON object")]
fn fields(result: &TestResult) -> serde_json::Map<String, Value> {
    let value = serde_json::to_value(result).expect("no map, no float and no fallible implementation in it");
    let Value::Object(fields) = value else { unreachable!("a struct serialises to an object") };
    fields
}

pub(super) fn from_item(item: &Item) -> Result<TestResult, AwsError> {
    let fields = item.iter().filter_map(|(name, value)| {
        let value = match (value.as_s(), value.as_n()) {
            (Ok(text), _) => Value::String(text.clone()),
            (_, Ok(digits)) => serde_json::from_str(digits).ok()?,
            // Nothing else is ever written.
            _ => return None,
        };
        Some((name.clone(), value))
    });
    serde_json::from_value(Value::Object(fields.collect()))
        .map_err(|error| AwsError::unexpected("reading a result's item", error))
}

fn item_key(item: &Item) -> Option<(String, String)> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some((text(PK)?, text(SK)?))
}
