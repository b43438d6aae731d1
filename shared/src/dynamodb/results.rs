//! Test results: written by the processor, read by the badge API.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use aws_types::SdkConfig;
use serde_json::Value;

use super::{Item, PK, SK, TTL, number, string};
use crate::key::{self, Group, Order};
use crate::name::{Branch, Platform, Repository};
use crate::sdk::CallError;
use crate::test_result::TestResult;
use crate::timestamp::Timestamp;

/// The index of the latest results, and its keys.
const LATEST_INDEX: &str = "GSI1";
const LATEST_PK: &str = "GSI1PK";
const LATEST_SK: &str = "GSI1SK";

/// How long results are kept: two years, from the time they were measured.
const LIFETIME: Duration = Duration::from_hours(2 * 365 * 24);
/// How many writes one `BatchWriteItem` takes:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
const BATCH_WRITES_MAX: usize = 25;
/// How often what DynamoDB left unprocessed is sent again, before SQS takes over.
const UNPROCESSED_RETRIES_MAX: u32 = 4;
/// Before the first of those retries, doubled before each other, with full jitter.
const UNPROCESSED_BACKOFF: Duration = Duration::from_millis(50);

/// The table of test results.
#[derive(Debug, Clone)]
pub struct Results {
    client: Client,
    table: String,
}

/// What of a repository's history is wanted.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    /// Whose results.
    pub repository: Repository,
    /// Of one platform, or all.
    pub platform: Option<Platform>,
    /// Of one branch, with when, or all.
    pub branch: Option<BranchHistory>,
    /// At most this many results.
    pub limit: usize,
    /// Where the page before this one ended.
    pub after: Option<HistoryPosition>,
}

/// One branch's results of a period.
#[derive(Debug, Clone)]
pub struct BranchHistory {
    /// The branch.
    pub branch: Branch,
    /// Not before this.
    pub from: Option<Timestamp>,
    /// Before this.
    pub to: Option<Timestamp>,
}

/// The place of the last result of a page, opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPosition(String);

impl HistoryPosition {
    /// Reads what [`HistoryPosition::as_str`] gave out.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The position as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Some results, and where to go on.
#[derive(Debug)]
pub struct HistoryPage {
    /// In the order that was asked for.
    pub results: Vec<TestResult>,
    /// Absent at the end.
    pub next: Option<HistoryPosition>,
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
        let mut unwritten = Vec::new();
        let mut entries = by_key.into_iter().peekable();
        while entries.peek().is_some() {
            let mut chunk: BTreeMap<_, _> = entries.by_ref().take(BATCH_WRITES_MAX).collect();
            if let Err(error) = self.write(&mut chunk).await {
                tracing::error!(%error, "results could not be written");
            }
            unwritten.extend(chunk.into_values().flat_map(|(_, positions)| positions));
        }
        unwritten
    }

    /// Writes the items of `chunk` and removes from it those that are written.
    async fn write(
        &self,
        chunk: &mut BTreeMap<(String, String), (Item, Vec<usize>)>,
    ) -> Result<(), CallError> {
        for retry in 0..=UNPROCESSED_RETRIES_MAX {
            if retry > 0 {
                let ceiling = UNPROCESSED_BACKOFF * 2_u32.pow(retry - 1);
                tokio::time::sleep(ceiling.mul_f64(fastrand::f64())).await;
            }
            let mut writes = Vec::with_capacity(chunk.len());
            for (item, _) in chunk.values() {
                let put = PutRequest::builder()
                    .set_item(Some(item.clone()))
                    .build()
                    .map_err(|error| CallError::new("dynamodb:BatchWriteItem", error))?;
                writes.push(WriteRequest::builder().put_request(put).build());
            }
            let output = self
                .client
                .batch_write_item()
                .request_items(&self.table, writes)
                .send()
                .await
                .map_err(|error| CallError::new("dynamodb:BatchWriteItem", error))?;
            let unprocessed: Vec<_> = output
                .unprocessed_items
                .iter()
                .flat_map(|tables| tables.values().flatten())
                .filter_map(|write| write.put_request().and_then(|put| item_key(put.item())))
                .collect();
            chunk.retain(|key, _| unprocessed.contains(key));
            if chunk.is_empty() {
                return Ok(());
            }
        }
        Err(CallError::new("dynamodb:BatchWriteItem", "some items stayed unprocessed"))
    }

    /// The last result, in the order of their keys, of one platform and branch: one item of the index,
    /// however many results there are.
    ///
    /// # Errors
    /// [`CallError`] when DynamoDB could not be asked, or the item is none of ours.
    pub async fn latest(
        &self,
        repository: &Repository,
        platform: Platform,
        branch: &Branch,
    ) -> Result<Option<TestResult>, CallError> {
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(LATEST_INDEX)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", LATEST_PK)
            .expression_attribute_values(":pk", string(key::latest_partition(repository, platform, branch)))
            .scan_index_forward(false)
            .limit(1)
            .send()
            .await
            .map_err(|error| CallError::new("dynamodb:Query", error))?;
        output.items().first().map(from_item).transpose()
    }

    /// One page of a repository's history.
    ///
    /// With a branch: newest first, the platforms merged. Without: grouped by platform and branch, newest
    /// first inside a group.
    ///
    /// # Errors
    /// [`CallError`] when DynamoDB could not be asked, or an item is none of ours. `None` when
    /// `query.after` is no position in what the query asks for.
    pub async fn history(&self, query: &HistoryQuery) -> Result<Option<HistoryPage>, CallError> {
        let partition = key::results_partition(&query.repository);
        // One more than wanted tells whether there is another page.
        let wanted = query.limit + 1;
        let Some(ranges) = ranges(query) else { return Ok(None) };
        let mut found = Vec::new();
        for range in ranges {
            found.extend(self.newest_first(&partition, &range, wanted).await?);
        }
        if query.branch.is_some() {
            found.sort_by_cached_key(|result| std::cmp::Reverse(Order::of(result)));
        }
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let next = found.last().filter(|_| more).map(|last| position_of(query, last));
        Ok(Some(HistoryPage { results: found, next }))
    }

    /// At most `wanted` results of a range, from its end.
    async fn newest_first(
        &self,
        partition: &str,
        range: &KeyRange,
        wanted: usize,
    ) -> Result<Vec<TestResult>, CallError> {
        let mut results = Vec::new();
        let mut start = range
            .after
            .as_ref()
            .map(|sort| Item::from([(PK.to_owned(), string(partition)), (SK.to_owned(), string(sort))]));
        // A page of DynamoDB ends after 1 MB even if it holds fewer results than wanted.
        loop {
            let missing = i32::try_from(wanted - results.len()).unwrap_or(i32::MAX);
            let output = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#pk = :pk AND #sk BETWEEN :first AND :last")
                .expression_attribute_names("#pk", PK)
                .expression_attribute_names("#sk", SK)
                .expression_attribute_values(":pk", string(partition))
                .expression_attribute_values(":first", string(&range.first))
                .expression_attribute_values(":last", string(&range.last))
                .scan_index_forward(false)
                .limit(missing)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| CallError::new("dynamodb:Query", error))?;
            for item in output.items() {
                results.push(from_item(item)?);
            }
            start = output.last_evaluated_key;
            if start.is_none() || results.len() >= wanted {
                return Ok(results);
            }
        }
    }
}

/// Sort keys from `first` to `last`, both inclusive, read backwards and only what comes before `after`.
struct KeyRange {
    first: String,
    last: String,
    after: Option<String>,
}

impl KeyRange {
    /// `None` when `after` is no key, or none of the range.
    fn new((first, last): (String, String), after: Option<String>) -> Option<Self> {
        let inside = after
            .as_ref()
            .is_none_or(|after| *after > first && *after < last && after.len() <= key::SORT_KEY_BYTES_MAX);
        inside.then_some(Self { first, last, after })
    }
}

/// The ranges of keys that together hold what `query` asks for; `None` when its position is in none.
fn ranges(query: &HistoryQuery) -> Option<Vec<KeyRange>> {
    let after = query.after.as_ref().map(HistoryPosition::as_str);
    let Some(BranchHistory { branch, from, to }) = &query.branch else {
        let group = query.platform.map_or(Group::All, Group::Platform);
        return Some(vec![KeyRange::new(group.range(), after.map(str::to_owned))?]);
    };
    if from.zip(*to).is_some_and(|(from, to)| from >= to) {
        return Some(Vec::new());
    }
    // Not every text is a place among the results of a branch: one of another query is not.
    let after = after.map(str::parse::<Order>).transpose().ok()?;
    let platforms = query.platform.map_or(Platform::ALL.to_vec(), |platform| vec![platform]);
    platforms
        .into_iter()
        .map(|platform| {
            let group = Group::Branch(platform, branch);
            let after = after.as_ref().map(|order| format!("{}{order}", group.prefix()));
            KeyRange::new(group.range_of_time(*from, *to), after)
        })
        .collect()
}

/// Where the page that ends with `last` ends: in one range a sort key; across platforms, whose ranges
/// differ in their prefix, an order.
fn position_of(query: &HistoryQuery, last: &TestResult) -> HistoryPosition {
    let order = Order::of(last);
    HistoryPosition(match query.branch {
        Some(_) => order.to_string(),
        None => key::result_sort(last.platform, &last.branch, &order),
    })
}

/// The item of a result, with its keys: the fields of its JSON, each an attribute.
fn to_item(result: &TestResult) -> (String, String, Item) {
    let order = Order::of(result);
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

fn from_item(item: &Item) -> Result<TestResult, CallError> {
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
        .map_err(|error| CallError::new("reading a result's item", error))
}

fn item_key(item: &Item) -> Option<(String, String)> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some((text(PK)?, text(SK)?))
}
