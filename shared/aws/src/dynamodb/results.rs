//! The table of test results: written by the processor, read by badge-api.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, WriteRequest};
use aws_types::SdkConfig;
use badgesmith_domain::ids::{Branch, Platform, Repository};
use badgesmith_domain::key;
use badgesmith_domain::test_result::{TestResult, TestResultId};
use tokio::time::Instant;

use super::result_item::{self, LATEST_PK};
use super::{Item, PK, SK, StoreError, string, text};
use crate::sdk::{AwsError, AwsErrorKind};

/// The index of the latest results.
const LATEST_INDEX: &str = "GSI1";

/// The maximum number of writes in one `BatchWriteItem`:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
const BATCH_WRITES_MAX: usize = 25;
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
type Pending = BTreeMap<(String, String), (TestResultId, Item)>;

impl Results {
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// Writes `results`, and returns the ids of those that were not written.
    ///
    /// Writing a result again changes nothing, because its item depends only on the result.
    pub async fn put_all<'a>(
        &self,
        results: impl IntoIterator<Item = &'a TestResult>,
    ) -> HashSet<TestResultId> {
        let mut unwritten = HashSet::new();
        let retry_until = Instant::now() + THROTTLE_RETRY_MAX;
        let mut results = results.into_iter().peekable();
        while results.peek().is_some() {
            // `BatchWriteItem` rejects a batch with the same key twice, so copies of a result become one item.
            let mut pending = BTreeMap::new();
            while pending.len() < BATCH_WRITES_MAX
                && let Some(result) = results.next()
            {
                let (key, item) = result_item::from_result(result);
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
    /// allows only `BatchWriteItem`, so this is its only harmless call.
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
        let mut backoff = THROTTLE_BACKOFF;
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
            if Instant::now() >= retry_until {
                return Err(AwsError::unexpected(
                    "dynamodb:BatchWriteItem",
                    "some items were left unprocessed",
                ));
            }
            tokio::time::sleep(backoff.mul_f64(fastrand::f64())).await;
            backoff = (backoff * 2).min(THROTTLE_BACKOFF_MAX);
        }
    }

    /// The latest result of one platform and branch. It reads one item of the index, regardless of the number of
    /// results.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or the item is corrupt.
    pub async fn latest(
        &self,
        repository: &Repository,
        platform: Platform,
        branch: &Branch,
    ) -> Result<Option<TestResult>, StoreError> {
        self.latest_in(key::latest_partition(repository, platform, branch)).await
    }

    /// Opens the connection before the first read by querying a key that does not exist.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn warm_up_reads(&self) -> Result<(), StoreError> {
        self.latest_in(key::WARM_UP_KEY.to_owned()).await.map(drop)
    }

    async fn latest_in(&self, partition: String) -> Result<Option<TestResult>, StoreError> {
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
        output.items().first().map(result_item::to_result).transpose()
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

fn item_key(item: &Item) -> Option<(String, String)> {
    Some((text(item, PK)?.to_owned(), text(item, SK)?.to_owned()))
}
