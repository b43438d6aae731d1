//! The table of test results: written by the processor, read by badge-api.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, WriteRequest};
use aws_types::SdkConfig;
use badgesmith_domain::key;
use badgesmith_domain::test_result::{TestResult, TestResultId};
use tokio::time::Instant;

use super::result_item::{self, ItemKey};
use super::{Item, PK, SK, text};
use crate::sdk::{AwsError, AwsErrorKind};

/// The maximum number of writes in one `BatchWriteItem`:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub(super) const BATCH_WRITES_MAX: usize = 25;
/// How long throttled writes are retried before they are left to SQS. A throttled partition still accepts what it
/// can, while a failed message uses up one of its receives and stays invisible for minutes.
const THROTTLE_RETRY_MAX: Duration = Duration::from_secs(10);
/// The wait before the first of those retries. It doubles before each further retry, up to the maximum, with full
/// jitter.
const THROTTLE_BACKOFF: Duration = Duration::from_millis(50);
const THROTTLE_BACKOFF_MAX: Duration = Duration::from_millis(800);

/// The table of test results.
#[derive(Debug, Clone)]
pub struct Results {
    pub(super) client: Client,
    pub(super) table: String,
}

/// Items that are not written yet, by partition and sort key.
type Pending = BTreeMap<ItemKey, (TestResultId, Item)>;

impl Results {
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// Writes `results` to the history, and then to their slots. Returns the ids of those that must be written again:
    /// those that are not in the history, and those whose slot was not written.
    ///
    /// Writing a result again changes nothing: its item depends only on the result, and a slot keeps its newest result.
    pub async fn put_all<'a>(
        &self,
        results: impl IntoIterator<Item = &'a TestResult>,
    ) -> HashSet<TestResultId> {
        let results: Vec<_> = results.into_iter().collect();
        let retry_until = Instant::now() + THROTTLE_RETRY_MAX;
        let mut unwritten = self.put_history(&results, retry_until).await;
        let stored = results.iter().copied().filter(|result| !unwritten.contains(&result.id));
        let slots = self.put_slots(stored, retry_until).await;
        unwritten.extend(slots);
        unwritten
    }

    /// Returns the ids of results that were not written.
    async fn put_history(&self, results: &[&TestResult], retry_until: Instant) -> HashSet<TestResultId> {
        let mut unwritten = HashSet::new();
        let mut results = results.iter().peekable();
        while results.peek().is_some() {
            // `BatchWriteItem` rejects a batch with the same key twice, so copies of a result become one item.
            let mut pending = BTreeMap::new();
            while pending.len() < BATCH_WRITES_MAX
                && let Some(result) = results.next()
            {
                let (key, item) = result_item::history_item(result);
                pending.insert(key, (result.id, item));
            }
            if let Err(error) = self.write(&mut pending, retry_until).await {
                tracing::error!(%error, results = pending.len(), "failed to write results");
            }
            unwritten.extend(pending.into_values().map(|(id, _)| id));
        }
        unwritten
    }

    /// Opens the connection before the first batch by deleting a key that does not exist. The processor's role
    /// allows only writes, so this is its only harmless call.
    ///
    /// # Errors
    /// [`AwsError`] if DynamoDB fails.
    pub async fn warm_up_writes(&self) -> Result<(), AwsError> {
        let key = super::item_key(key::WARM_UP_KEY, key::WARM_UP_KEY);
        let delete = DeleteRequest::builder().set_key(Some(key)).build()?;
        let writes = vec![WriteRequest::builder().delete_request(delete).build()];
        let output = self.client.batch_write_item().request_items(&self.table, writes).send().await;
        output.map(drop).map_err(|error| AwsError::new("dynamodb:BatchWriteItem", error))
    }

    /// Writes the items of `pending` and removes those that were written.
    async fn write(&self, pending: &mut Pending, retry_until: Instant) -> Result<(), AwsError> {
        let mut throttle = ThrottleBackoff::new(retry_until);
        loop {
            let mut writes = Vec::with_capacity(pending.len());
            for (_, item) in pending.values() {
                let put = PutRequest::builder().set_item(Some(item.clone())).build()?;
                writes.push(WriteRequest::builder().put_request(put).build());
            }
            let output = self.client.batch_write_item().request_items(&self.table, writes).send().await;
            match output.map_err(|error| AwsError::new("dynamodb:BatchWriteItem", error)) {
                Ok(output) => retain_unprocessed(pending, &output)?,
                // Nothing was written. The SDK has already made three attempts within a second.
                Err(error) if error.kind() == AwsErrorKind::Throttled => {}
                Err(error) => return Err(error),
            }
            if pending.is_empty() {
                return Ok(());
            }
            if !throttle.wait().await {
                return Err(AwsError::unexpected(
                    "dynamodb:BatchWriteItem",
                    "some items were left unprocessed",
                ));
            }
        }
    }
}

/// The waits between retries of throttled writes.
pub(super) struct ThrottleBackoff {
    until: Instant,
    backoff: Duration,
}

impl ThrottleBackoff {
    pub(super) fn new(until: Instant) -> Self {
        Self { until, backoff: THROTTLE_BACKOFF }
    }

    /// Waits before the next attempt; `false` if there is no time for one.
    pub(super) async fn wait(&mut self) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        tokio::time::sleep(self.backoff.mul_f64(fastrand::f64())).await;
        self.backoff = (self.backoff * 2).min(THROTTLE_BACKOFF_MAX);
        true
    }
}

/// Removes from `pending` the items that were written.
fn retain_unprocessed(pending: &mut Pending, output: &BatchWriteItemOutput) -> Result<(), AwsError> {
    let unprocessed = output.unprocessed_items.iter().flat_map(|tables| tables.values().flatten());
    let keys: Option<HashSet<_>> = unprocessed.map(|write| item_key(write.put_request()?.item())).collect();
    // An unprocessed item without a key could be any item, so all count as not written.
    let keys = keys
        .ok_or_else(|| AwsError::unexpected("dynamodb:BatchWriteItem", "an unprocessed item has no key"))?;
    pending.retain(|key, _| keys.contains(key));
    Ok(())
}

fn item_key(item: &Item) -> Option<ItemKey> {
    Some((text(item, PK)?.to_owned(), text(item, SK)?.to_owned()))
}
