//! Reservations: that a submission is accepted once.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use aws_types::SdkConfig;
use badgesmith_domain::key;
use badgesmith_domain::signature::Digest;
use badgesmith_domain::test_result::TestResultId;
use badgesmith_domain::timestamp::Timestamp;
use uuid::Uuid;

use super::{Item, PK, SK, TTL, integer, number, string, text};
use crate::sdk::AwsError;

const STATE: &str = "state";
const RESERVED: &str = "RESERVED";
const ENQUEUED: &str = "ENQUEUED";
/// The digest of what was submitted, body and route.
const DIGEST: &str = "digest";
/// Names the attempt that holds the reservation.
const TOKEN: &str = "token";
/// Until when that attempt may be at work, in milliseconds since the Unix epoch.
const LEASE: &str = "lease";
const TEST_RESULT_ID: &str = "test_result_id";

/// The table of nonces.
#[derive(Debug, Clone)]
pub struct Nonces {
    client: Client,
    table: String,
}

/// The reservation of one submission by one attempt to accept it.
#[derive(Debug)]
pub struct Reservation {
    partition: String,
    token: String,
}

/// What came of trying to reserve a submission.
#[derive(Debug)]
pub enum ReservationOutcome {
    /// It is ours to enqueue: new, or left behind by an attempt that died.
    Reserved(Reservation),
    /// The same submission was enqueued before.
    AlreadyAccepted,
    /// Another submission has used this nonce.
    Reused,
    /// Another attempt at the same submission is at work, for at most this long.
    InProgress(Duration),
}

impl Nonces {
    /// An attempt holds its reservation for this long; must exceed the timeout of the function, so that
    /// a lease that is over belongs to an attempt that is dead.
    pub const LEASE: Duration = Duration::from_secs(15);
    /// A nonce may be used again after this long; by then no signature over it is fresh.
    pub const LIFETIME: Duration = Duration::from_mins(45);

    /// The table named `table`.
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// Reserves the submission under the key `partition` with one conditional write.
    ///
    /// The write succeeds for a new key, over an expired item (DynamoDB deletes those days later), over a
    /// reservation of the same submission whose lease is over, and over our own reservation: the SDK sends
    /// the same write again when an answer was lost.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked; nothing may be concluded then.
    pub async fn reserve(
        &self,
        partition: &str,
        digest: &Digest,
        id: TestResultId,
        now: Timestamp,
    ) -> Result<ReservationOutcome, AwsError> {
        let digest = digest.to_string();
        let token = Uuid::new_v4().to_string();
        let result = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(PK, string(partition))
            .item(SK, string(key::META))
            .item(STATE, string(RESERVED))
            .item(DIGEST, string(&digest))
            .item(TOKEN, string(&token))
            .item(LEASE, number(now.plus(Self::LEASE).unix_milliseconds()))
            .item(TEST_RESULT_ID, string(id.to_string()))
            .item(TTL, number(now.plus(Self::LIFETIME).unix_seconds()))
            .condition_expression(
                "attribute_not_exists(#pk) OR #ttl <= :seconds OR #token = :token \
                 OR (#state = :reserved AND #digest = :digest AND #lease <= :milliseconds)",
            )
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_names("#token", TOKEN)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_names("#digest", DIGEST)
            .expression_attribute_names("#lease", LEASE)
            .expression_attribute_values(":seconds", number(now.unix_seconds()))
            .expression_attribute_values(":token", string(&token))
            .expression_attribute_values(":reserved", string(RESERVED))
            .expression_attribute_values(":digest", string(&digest))
            .expression_attribute_values(":milliseconds", number(now.unix_milliseconds()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = result else {
            return Ok(ReservationOutcome::Reserved(Reservation { partition: partition.to_owned(), token }));
        };
        if let Some(PutItemError::ConditionalCheckFailedException(refused)) = error.as_service_error()
            && let Some(item) = refused.item()
        {
            return Ok(refusal(item, &digest, now));
        }
        Err(AwsError::new("dynamodb:PutItem", error))
    }

    /// Records that the submission is on the queue.
    ///
    /// # Errors
    /// [`AwsError`] when that could not be written, or another attempt has taken over. The submission
    /// is on the queue all the same: at worst it gets there twice, which is harmless.
    pub async fn mark_enqueued(&self, claim: &Reservation) -> Result<(), AwsError> {
        self.update(claim, STATE, string(ENQUEUED)).await.map_err(failed_update)
    }

    /// Ends the lease, so that the client's next try need not wait for it.
    ///
    /// # Errors
    /// [`AwsError`] when that could not be written; the lease then ends by itself.
    pub async fn release(&self, claim: &Reservation) -> Result<(), AwsError> {
        self.update(claim, LEASE, number(0)).await.map_err(failed_update)
    }

    /// Tries to change a reservation that does not exist, so that the next call finds a connection. Nothing is
    /// written.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB could not be asked.
    pub async fn warm_up(&self) -> Result<(), AwsError> {
        let nobodys =
            Reservation { partition: key::WARM_UP_KEY.to_owned(), token: key::WARM_UP_KEY.to_owned() };
        match self.update(&nobodys, LEASE, number(0)).await {
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(failed_update(error)),
            },
            Ok(()) => Ok(()),
        }
    }

    /// Sets one attribute, if the reservation is still held by this attempt.
    async fn update(
        &self,
        claim: &Reservation,
        field: &str,
        value: AttributeValue,
    ) -> Result<(), SdkError<UpdateItemError>> {
        self.client
            .update_item()
            .table_name(&self.table)
            .key(PK, string(&claim.partition))
            .key(SK, string(key::META))
            .update_expression("SET #field = :value")
            .condition_expression("#token = :token")
            .expression_attribute_names("#field", field)
            .expression_attribute_names("#token", TOKEN)
            .expression_attribute_values(":value", value)
            .expression_attribute_values(":token", string(&claim.token))
            .send()
            .await
            .map(drop)
    }
}

fn failed_update(error: SdkError<UpdateItemError>) -> AwsError {
    AwsError::new("dynamodb:UpdateItem", error)
}

/// Reads an existing item that stands in the way.
fn refusal(item: &Item, digest: &str, now: Timestamp) -> ReservationOutcome {
    if text(item, DIGEST) != Some(digest) {
        ReservationOutcome::Reused
    } else if text(item, STATE) == Some(ENQUEUED) {
        ReservationOutcome::AlreadyAccepted
    } else {
        let ends = integer(item, LEASE).map_or(now.plus(Nonces::LEASE), Timestamp::from_unix_milliseconds);
        ReservationOutcome::InProgress(ends.since(now))
    }
}
