//! Operators erase the results of a repository, and move its slots to another name.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use badgesmith_domain::ids::{Branch, Platform, Repository};
use badgesmith_domain::key::{self, ResultOrder, ResultRange};
use badgesmith_domain::test_result::TestResult;
use tokio::time::Instant;

use super::result_item::{self, ORDER};
use super::results::{BATCH_WRITES_MAX, Results, ThrottleBackoff};
use super::{Item, PK, PagePosition, SK, StoreError, item_key, string};
use crate::sdk::{AwsError, AwsErrorKind};

const SLOTS_PAGE: usize = 100;
/// How long the writes of a batch are retried while DynamoDB throttles them.
const THROTTLE_RETRY_MAX: Duration = Duration::from_mins(1);

impl Results {
    /// Deletes the history and the slots of a repository, or of one branch. Calls `progress` with the number of
    /// deleted items so far, and returns the number of all.
    ///
    /// # Errors
    /// [`AwsError`] when a call failed. Some items may be deleted; calling again deletes the rest.
    pub async fn erase(
        &self,
        repository: &Repository,
        branch: Option<&Branch>,
        mut progress: impl FnMut(usize),
    ) -> Result<usize, AwsError> {
        let (history, slots) = (key::results_partition(repository), key::slots_partition(repository));
        let ranges = match branch {
            None => vec![(history, String::new()), (slots, String::new())],
            Some(branch) => {
                let of_platform = |platform| ResultRange::Branch(platform, branch).prefix();
                let history =
                    Platform::ALL.map(|platform| (history.clone(), of_platform(platform))).into_iter();
                history.chain([(slots, key::slot_prefix(branch))]).collect()
            }
        };
        let mut erased = 0;
        for (partition, prefix) in ranges {
            let mut start = None;
            loop {
                let (keys, next) = self.keys(&partition, &prefix, start).await?;
                for batch in keys.chunks(BATCH_WRITES_MAX) {
                    self.delete(batch).await?;
                    erased += batch.len();
                    progress(erased);
                }
                start = next;
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(erased)
    }

    /// Moves the slots of a repository to another one, unless that has newer ones. Returns their number.
    ///
    /// # Errors
    /// [`StoreError`] when a call failed or an item is corrupt. Some slots may be moved; calling again moves the rest.
    pub async fn move_slots(&self, from: &Repository, to: &Repository) -> Result<usize, StoreError> {
        let (mut moved, mut position) = (0, None::<PagePosition>);
        loop {
            let page = self.slots(from, None, SLOTS_PAGE, position.as_ref()).await?;
            let Some(page) = page else { return Ok(moved) };
            let mut all_deleted = true;
            for slot in page.slots {
                let mut copy = slot.clone();
                copy.run.repository = to.clone();
                self.put_slot(&copy, Instant::now() + THROTTLE_RETRY_MAX).await?;
                if self.delete_slot(&slot).await? {
                    moved += 1;
                } else {
                    all_deleted = false;
                }
            }
            if !all_deleted {
                // Reads the page again, for the newer results.
                continue;
            }
            position = page.next;
            if position.is_none() {
                return Ok(moved);
            }
        }
    }

    /// Deletes the slot of `result`; `false` if it holds a newer result by now.
    async fn delete_slot(&self, result: &TestResult) -> Result<bool, AwsError> {
        let mut throttle = ThrottleBackoff::new(Instant::now() + THROTTLE_RETRY_MAX);
        let (partition, sort) = result_item::slot_key(result);
        loop {
            let deleted = self
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(item_key(&partition, &sort)))
                .condition_expression("attribute_not_exists(#pk) OR #order = :order")
                .expression_attribute_names("#pk", PK)
                .expression_attribute_names("#order", ORDER)
                .expression_attribute_values(":order", string(ResultOrder::of(result).to_string()))
                .send()
                .await;
            let error = match deleted {
                Ok(_) => return Ok(true),
                Err(error) => match error.as_service_error() {
                    Some(DeleteItemError::ConditionalCheckFailedException(_)) => return Ok(false),
                    Some(_) | None => AwsError::new("dynamodb:DeleteItem", error),
                },
            };
            if error.kind() != AwsErrorKind::Throttled || !throttle.wait().await {
                return Err(error);
            }
        }
    }

    /// A page of the keys that begin with `prefix`, and the start of the next page.
    async fn keys(
        &self,
        partition: &str,
        prefix: &str,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), AwsError> {
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#pk = :pk")
            .projection_expression("#pk, #sk")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#sk", SK)
            .expression_attribute_values(":pk", string(partition))
            .set_exclusive_start_key(start);
        if !prefix.is_empty() {
            query = query
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :prefix)")
                .expression_attribute_values(":prefix", string(prefix));
        }
        let output = query.send().await.map_err(|error| AwsError::new("dynamodb:Query", error))?;
        Ok((output.items.unwrap_or_default(), output.last_evaluated_key))
    }

    /// Deletes at most [`BATCH_WRITES_MAX`] items by their keys.
    async fn delete(&self, keys: &[Item]) -> Result<(), AwsError> {
        let mut throttle = ThrottleBackoff::new(Instant::now() + THROTTLE_RETRY_MAX);
        let delete = |key: &Item| {
            let request = DeleteRequest::builder().set_key(Some(key.clone())).build()?;
            Ok(WriteRequest::builder().delete_request(request).build())
        };
        let mut pending = keys.iter().map(delete).collect::<Result<Vec<_>, AwsError>>()?;
        loop {
            let tables = HashMap::from([(self.table.clone(), pending.clone())]);
            let output = self.client.batch_write_item().set_request_items(Some(tables)).send().await;
            match output.map_err(|error| AwsError::new("dynamodb:BatchWriteItem", error)) {
                Ok(output) => {
                    pending = output.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
                }
                Err(error) if error.kind() == AwsErrorKind::Throttled => {}
                Err(error) => return Err(error),
            }
            if pending.is_empty() {
                return Ok(());
            }
            if !throttle.wait().await {
                let cause = "some items were left undeleted";
                return Err(AwsError::unexpected("dynamodb:BatchWriteItem", cause));
            }
        }
    }
}
