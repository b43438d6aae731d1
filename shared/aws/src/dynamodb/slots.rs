//! Slots: the newest result of each suite, platform and branch. See [`badgesmith_domain::slots`].

use std::collections::{BTreeMap, HashSet};

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use badgesmith_domain::ids::{Branch, Repository};
use badgesmith_domain::key::{self, ResultOrder};
use badgesmith_domain::slots::{LiveSlots, SLOTS_MAX};
use badgesmith_domain::test_result::{TestResult, TestResultId};
use badgesmith_domain::timestamp::Timestamp;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::result_item::{self, BRANCH_PK, ORDER};
use super::results::{Results, ThrottleBackoff};
use super::{PK, PagePosition, SK, StoreError, item_key, string};
use crate::sdk::{AwsError, AwsErrorKind};

/// One page of slots, and the position of the next.
#[derive(Debug, Default)]
pub struct SlotPage {
    pub slots: Vec<TestResult>,
    /// `None` on the last page.
    pub next: Option<PagePosition>,
}

/// The index of slots by branch, newest first when it is read backwards.
const BRANCH_INDEX: &str = "GSI1";
/// One more than a badge adds up shows whether there are more.
const SLOTS_READ_MAX: usize = SLOTS_MAX + 1;

impl Results {
    /// Writes the newest of `results` of each slot, all slots at once. Returns the ids of all results whose slot was
    /// not written.
    pub(super) async fn put_slots<'a>(
        &self,
        results: impl Iterator<Item = &'a TestResult>,
        retry_until: Instant,
    ) -> HashSet<TestResultId> {
        let mut slots: BTreeMap<_, Vec<&TestResult>> = BTreeMap::new();
        for result in results {
            slots.entry(result_item::slot_key(result)).or_default().push(result);
        }
        let writes = slots.into_values().map(async |results| {
            let newest = results.iter().max_by_key(|result| ResultOrder::of(result))?;
            let error = self.put_slot(newest, retry_until).await.err()?;
            tracing::error!(%error, repository = %newest.run.repository, "failed to write a slot");
            Some(results.into_iter().map(|result| result.id).collect::<Vec<_>>())
        });
        join_all(writes).await.into_iter().flatten().flatten().collect()
    }

    /// Writes the slot of `result` unless it holds a newer result. The copy of a result changes nothing.
    pub(super) async fn put_slot(&self, result: &TestResult, retry_until: Instant) -> Result<(), AwsError> {
        let mut throttle = ThrottleBackoff::new(retry_until);
        loop {
            let written = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(result_item::slot_item(result)))
                .condition_expression("attribute_not_exists(#pk) OR #order < :order")
                .expression_attribute_names("#pk", PK)
                .expression_attribute_names("#order", ORDER)
                .expression_attribute_values(":order", string(ResultOrder::of(result).to_string()))
                .send()
                .await;
            let error = match written {
                Ok(_) => return Ok(()),
                Err(error) => match error.as_service_error() {
                    Some(PutItemError::ConditionalCheckFailedException(_)) => return Ok(()),
                    Some(_) | None => AwsError::new("dynamodb:PutItem", error),
                },
            };
            if error.kind() != AwsErrorKind::Throttled || !throttle.wait().await {
                return Err(error);
            }
        }
    }

    /// The live slots of a branch. One query reads at most 301 items, regardless of the number of results.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item is corrupt.
    pub async fn live_slots(
        &self,
        repository: &Repository,
        branch: &Branch,
        now: Timestamp,
    ) -> Result<LiveSlots, StoreError> {
        self.live_slots_in(key::branch_partition(repository, branch), now).await
    }

    /// Opens the connection before the first read by querying a key that does not exist.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub async fn warm_up_reads(&self) -> Result<(), StoreError> {
        self.live_slots_in(key::WARM_UP_KEY.to_owned(), Timestamp::UNIX_EPOCH).await.map(drop)
    }

    /// A page of a repository's slots, retired ones included, in the order of their keys: by branch, platform and
    /// suite. `None` if `after` is not a position in the slots of `branch`.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails or an item is corrupt.
    pub async fn slots(
        &self,
        repository: &Repository,
        branch: Option<&Branch>,
        limit: usize,
        after: Option<&PagePosition>,
    ) -> Result<Option<SlotPage>, StoreError> {
        let partition = key::slots_partition(repository);
        let prefix = branch.map(key::slot_prefix).unwrap_or_default();
        if after.is_some_and(|after| !after.0.starts_with(&prefix) || after.0.len() > key::SORT_KEY_BYTES_MAX)
        {
            return Ok(None);
        }
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression(if prefix.is_empty() {
                "#pk = :pk"
            } else {
                "#pk = :pk AND begins_with(#sk, :prefix)"
            })
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":pk", string(&partition))
            // One more than the limit shows whether there is another page.
            .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|after| item_key(&partition, &after.0)));
        if !prefix.is_empty() {
            query = query
                .expression_attribute_names("#sk", SK)
                .expression_attribute_values(":prefix", string(prefix));
        }
        let output = query.send().await.map_err(|error| AwsError::new("dynamodb:Query", error))?;
        let mut slots = output.items().iter().map(result_item::to_result).collect::<Result<Vec<_>, _>>()?;
        let has_more = slots.len() > limit || output.last_evaluated_key.is_some();
        slots.truncate(limit);
        let last = slots.last().filter(|_| has_more);
        let next = last.map(|last| PagePosition(result_item::slot_key(last).1));
        Ok(Some(SlotPage { slots, next }))
    }

    async fn live_slots_in(&self, partition: String, now: Timestamp) -> Result<LiveSlots, StoreError> {
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BRANCH_INDEX)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", BRANCH_PK)
            .expression_attribute_values(":pk", string(partition))
            .scan_index_forward(false)
            .limit(i32::try_from(SLOTS_READ_MAX).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| AwsError::new("dynamodb:Query", error))?;
        let slots = output.items().iter().map(result_item::to_slot).collect::<Result<_, _>>()?;
        Ok(LiveSlots::new(slots, output.last_evaluated_key.is_some(), now))
    }
}
