//! The owners of repositories that submit results with ID tokens: the id of each, and how many repositories it has
//! registered today.

#[cfg(feature = "admin")]
mod admin;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use aws_types::SdkConfig;
use badgesmith_domain::ids::Owner;
use badgesmith_domain::key;
use badgesmith_domain::timestamp::Timestamp;

use super::{Item, item_key, number, string, text};
use crate::sdk::AwsError;

const OWNER_ID: &str = "OwnerId";
const CREATED_AT: &str = "CreatedAt";
/// The day in UTC of the last registration, `2025-01-15`.
const DAY: &str = "Day";
/// How many repositories were registered on that day.
const REPOSITORIES: &str = "Repositories";

/// The length of the date in `2025-01-15T10:30:00.000Z`.
const DAY_CHARACTERS: usize = 10;
/// How often [`Owners::count_repository`] tries to write while other instances do.
const TRIES: usize = 4;

/// The owners in the table of registrations.
#[derive(Debug, Clone)]
pub struct Owners {
    client: Client,
    table: String,
}

/// The outcome of [`Owners::pin`] and [`Owners::count_repository`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinOutcome {
    /// The owner has this id, now or since an earlier call.
    Pinned,
    /// The name belongs to another id.
    OtherId,
    /// The owner has registered as many repositories today as it may.
    LimitReached,
}

impl Owners {
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// Sets the id of an owner, unless it has one.
    ///
    /// # Errors
    /// [`AwsError`] if DynamoDB fails. The write may have taken effect all the same.
    pub async fn pin(&self, owner: &Owner, id: u64, now: Timestamp) -> Result<PinOutcome, AwsError> {
        let pin = self
            .update(owner, id)
            .update_expression("SET #owner_id = :id, #created_at = if_not_exists(#created_at, :now)")
            .condition_expression("attribute_not_exists(#owner_id) OR #owner_id = :id")
            .expression_attribute_names("#created_at", CREATED_AT)
            .expression_attribute_values(":now", string(now.to_string()));
        Ok(if send(pin).await?.is_none() { PinOutcome::Pinned } else { PinOutcome::OtherId })
    }

    /// Sets the id of an owner like [`Self::pin`], and counts a new repository, at most `max` a day. A repository may
    /// be counted twice when a response is lost.
    ///
    /// # Errors
    /// [`AwsError`] if DynamoDB fails. The write may have taken effect all the same.
    pub async fn count_repository(
        &self,
        owner: &Owner,
        id: u64,
        max: u32,
        now: Timestamp,
    ) -> Result<PinOutcome, AwsError> {
        let day: String = now.to_string().chars().take(DAY_CHARACTERS).collect();
        for _ in 0..TRIES {
            // The clock of another instance may be in the next day already.
            let one_more = self
                .count(owner, id, &day)
                .update_expression("SET #repositories = #repositories + :one")
                .condition_expression("#owner_id = :id AND #day >= :day AND #repositories < :max")
                .expression_attribute_values(":max", number(max.into()));
            let Some(old) = send(one_more).await? else { return Ok(PinOutcome::Pinned) };
            if text(&old, OWNER_ID).is_some_and(|pinned| pinned != id.to_string()) {
                return Ok(PinOutcome::OtherId);
            }
            if text(&old, DAY).is_some_and(|counted| counted >= day.as_str()) {
                return Ok(PinOutcome::LimitReached);
            }
            let first = self
                .count(owner, id, &day)
                .update_expression(
                    "SET #owner_id = :id, #created_at = if_not_exists(#created_at, :now), #day = :day, \
                     #repositories = :one",
                )
                .condition_expression(
                    "attribute_not_exists(#owner_id) \
                     OR (#owner_id = :id AND (attribute_not_exists(#day) OR #day < :day))",
                )
                .expression_attribute_names("#created_at", CREATED_AT)
                .expression_attribute_values(":now", string(now.to_string()));
            if send(first).await?.is_none() {
                return Ok(PinOutcome::Pinned);
            }
        }
        Err(AwsError::unexpected("dynamodb:UpdateItem", "the item of an owner kept changing"))
    }

    fn count(&self, owner: &Owner, id: u64, day: &str) -> UpdateItemFluentBuilder {
        self.update(owner, id)
            .expression_attribute_names("#day", DAY)
            .expression_attribute_names("#repositories", REPOSITORIES)
            .expression_attribute_values(":day", string(day))
            .expression_attribute_values(":one", number(1))
    }

    fn update(&self, owner: &Owner, id: u64) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item_key(&key::owner_partition(owner), key::META)))
            .expression_attribute_names("#owner_id", OWNER_ID)
            .expression_attribute_values(":id", string(id.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

/// `None` if the write took effect; otherwise the item that did not meet the condition, empty if there is none.
async fn send(update: UpdateItemFluentBuilder) -> Result<Option<Item>, AwsError> {
    match update.send().await {
        Ok(_) => Ok(None),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failure)) => {
                Ok(Some(failure.item().cloned().unwrap_or_default()))
            }
            Some(_) | None => Err(AwsError::new("dynamodb:UpdateItem", error)),
        },
    }
}
