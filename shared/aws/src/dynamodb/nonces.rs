//! Reservations, which ensure that a submission is accepted only once.

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

const STATE: &str = "State";
const RESERVED: &str = "RESERVED";
const ENQUEUED: &str = "ENQUEUED";
/// The digest of the submission: its body and its route.
const DIGEST: &str = "Digest";
/// Identifies the attempt that holds the reservation.
const TOKEN: &str = "Token";
/// When that attempt's lease ends, in milliseconds since the Unix epoch.
const LEASE_UNTIL: &str = "LeaseUntil";
const TEST_RESULT_ID: &str = "TestResultId";

/// The table of nonces, with one item per reservation.
#[derive(Debug, Clone)]
pub struct Nonces {
    client: Client,
    table: String,
}

/// A reservation of one submission, held by one attempt to accept it.
#[derive(Debug)]
pub struct Reservation {
    partition: String,
    token: String,
}

/// The outcome of [`Nonces::reserve`].
#[derive(Debug)]
pub enum ReservationOutcome {
    /// The caller holds the reservation and must enqueue the submission. Either the submission is new, or an
    /// earlier attempt's lease expired before it was enqueued.
    Reserved(Reservation),
    /// The same submission was already enqueued.
    AlreadyAccepted,
    /// The nonce was used for another submission.
    Reused,
    /// Another attempt at the same submission holds the reservation, for at most this long.
    InProgress(Duration),
}

impl Nonces {
    /// How long an attempt holds its reservation. It must exceed the timeout of the function, so that an attempt
    /// whose lease has expired is no longer running.
    pub const LEASE: Duration = Duration::from_secs(15);
    /// How long a nonce is reserved. When it can be used again, no signature over it is fresh anymore.
    pub const LIFETIME: Duration = Duration::from_mins(45);

    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    /// Reserves the submission under the key `partition` with one conditional write.
    ///
    /// The write succeeds if the key is new, if its item has expired (DynamoDB may take days to delete it), if the
    /// same submission has a reservation whose lease has expired, or if the item is this attempt's own reservation,
    /// because the SDK retries the write when a response is lost.
    ///
    /// # Errors
    /// [`AwsError`] if DynamoDB fails. Whether the submission is reserved is then unknown.
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
            .item(LEASE_UNTIL, number(now.plus(Self::LEASE).unix_milliseconds()))
            .item(TEST_RESULT_ID, string(id.to_string()))
            .item(TTL, number(now.plus(Self::LIFETIME).unix_seconds()))
            .condition_expression(
                "attribute_not_exists(#pk) OR #ttl <= :seconds OR #token = :token \
                 OR (#state = :reserved AND #digest = :digest AND #lease_until <= :milliseconds)",
            )
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_names("#token", TOKEN)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_names("#digest", DIGEST)
            .expression_attribute_names("#lease_until", LEASE_UNTIL)
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
        if let Some(PutItemError::ConditionalCheckFailedException(failure)) = error.as_service_error()
            && let Some(item) = failure.item()
        {
            return Ok(outcome_for_existing(item, &digest, now));
        }
        Err(AwsError::new("dynamodb:PutItem", error))
    }

    /// Records that the submission is on the queue.
    ///
    /// # Errors
    /// [`AwsError`] if the write fails, or if another attempt now holds the reservation. The submission is on the
    /// queue either way. At worst it is enqueued twice, which is harmless.
    pub async fn mark_enqueued(&self, reservation: &Reservation) -> Result<(), AwsError> {
        self.update(reservation, STATE, string(ENQUEUED)).await.map_err(failed_update)
    }

    /// Ends the lease, so that the client can retry immediately.
    ///
    /// # Errors
    /// [`AwsError`] if the write fails. The lease then expires by itself.
    pub async fn release(&self, reservation: &Reservation) -> Result<(), AwsError> {
        self.update(reservation, LEASE_UNTIL, number(0)).await.map_err(failed_update)
    }

    /// Opens the connection before the first reservation by updating one that does not exist. The condition fails,
    /// so nothing is written.
    ///
    /// # Errors
    /// [`AwsError`] if DynamoDB fails.
    pub async fn warm_up(&self) -> Result<(), AwsError> {
        let nonexistent =
            Reservation { partition: key::WARM_UP_KEY.to_owned(), token: key::WARM_UP_KEY.to_owned() };
        match self.update(&nonexistent, LEASE_UNTIL, number(0)).await {
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(failed_update(error)),
            },
            Ok(()) => Ok(()),
        }
    }

    /// Sets one attribute if this attempt still holds the reservation.
    async fn update(
        &self,
        reservation: &Reservation,
        field: &str,
        value: AttributeValue,
    ) -> Result<(), SdkError<UpdateItemError>> {
        self.client
            .update_item()
            .table_name(&self.table)
            .key(PK, string(&reservation.partition))
            .key(SK, string(key::META))
            .update_expression("SET #field = :value")
            .condition_expression("#token = :token")
            .expression_attribute_names("#field", field)
            .expression_attribute_names("#token", TOKEN)
            .expression_attribute_values(":value", value)
            .expression_attribute_values(":token", string(&reservation.token))
            .send()
            .await
            .map(drop)
    }
}

fn failed_update(error: SdkError<UpdateItemError>) -> AwsError {
    AwsError::new("dynamodb:UpdateItem", error)
}

/// The outcome if an existing item made the condition fail.
fn outcome_for_existing(item: &Item, digest: &str, now: Timestamp) -> ReservationOutcome {
    if text(item, DIGEST) != Some(digest) {
        ReservationOutcome::Reused
    } else if text(item, STATE) == Some(ENQUEUED) {
        ReservationOutcome::AlreadyAccepted
    } else {
        let lease_end =
            integer(item, LEASE_UNTIL).map_or(now.plus(Nonces::LEASE), Timestamp::from_unix_milliseconds);
        ReservationOutcome::InProgress(lease_end.since(now))
    }
}
