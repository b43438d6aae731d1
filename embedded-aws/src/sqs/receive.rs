//! Receiving messages:
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Row, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::batch::BATCH_MAX;
use super::checksum;
use super::errors::within;
use super::queues::Queues;
use crate::arn::ACCOUNT;
use crate::error::ServiceError;
use crate::template::{QueueSettings, Redrive};

/// The maximum duration of a long poll.
const WAIT_SECONDS_MAX: i64 = 20;
/// The maximum visibility timeout: 12 hours.
pub(super) const VISIBILITY_SECONDS_MAX: i64 = 12 * 60 * 60;
/// The system attribute with the queue that a dead letter comes from.
const SOURCE_ATTRIBUTE: &str = "DeadLetterQueueSourceArn";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage {
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    #[serde(default)]
    wait_time_seconds: i64,
    #[serde(flatten)]
    names: AttributeNames,
}

/// The attributes that a request wants of each message.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "named as in the API")]
struct AttributeNames {
    /// The former name of [`Self::message_system_attribute_names`].
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

impl AttributeNames {
    fn wants_system(&self, name: &str) -> bool {
        let mut names = self.attribute_names.iter().chain(&self.message_system_attribute_names);
        names.any(|wanted| wanted == "All" || wanted == name)
    }

    /// A name with the suffix `.*` matches all names with that prefix.
    fn wants(&self, name: &str) -> bool {
        self.message_attribute_names.iter().any(|wanted| {
            let all_of = wanted.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix));
            wanted == "All" || wanted == name || all_of
        })
    }
}

/// A request whose parameters are within their bounds.
struct Receive {
    queue: QueueSettings,
    messages_max: usize,
    visibility_timeout_milliseconds: i64,
    names: AttributeNames,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "named as in the API")]
struct Message {
    message_id: String,
    receipt_handle: String,
    #[serde(rename = "MD5OfBody")]
    body_digest: String,
    body: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    attributes: Map<String, Value>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_digest: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    message_attributes: Map<String, Value>,
}

impl Queues {
    /// Receives messages, with a long poll if the request has a `WaitTimeSeconds`.
    pub(crate) async fn receive(&self, body: &[u8]) -> Result<String, ServiceError> {
        let request: ReceiveMessage = serde_json::from_slice(body)?;
        let queue = self.addressed(body)?.clone();
        let wait = within("WaitTimeSeconds", request.wait_time_seconds, 0, WAIT_SECONDS_MAX)?;
        let deadline = Instant::now() + Duration::from_secs(wait.unsigned_abs());
        let most = within("MaxNumberOfMessages", request.max_number_of_messages.unwrap_or(1), 1, 10)?;
        let timeout = request.visibility_timeout.unwrap_or(queue.visibility_timeout_seconds);
        let timeout = within("VisibilityTimeout", timeout, 0, VISIBILITY_SECONDS_MAX)?;
        let request = Arc::new(Receive {
            queue,
            messages_max: usize::try_from(most).unwrap_or(BATCH_MAX),
            visibility_timeout_milliseconds: timeout * 1000,
            names: request.names,
        });
        loop {
            // Created before the query, so that a message that arrives during the query is not missed.
            let arrived = self.arrived.notified();
            let (queues, request) = (self.clone(), Arc::clone(&request));
            let (messages, next) = self.database.calls.run(move || queues.take(&request)).await?;
            if !messages.is_empty() {
                return Ok(json!({ "Messages": messages }).to_string());
            }
            if Instant::now() >= deadline {
                return Ok("{}".to_owned());
            }
            // Polls again when a message arrives or becomes visible, and one last time at the deadline.
            let next = next.map_or(deadline, |wait| deadline.min(Instant::now() + wait));
            let _ = tokio::time::timeout_at(next, arrived).await;
        }
    }

    /// Receives visible messages, oldest first. Messages that reached the maximum number of receives move to the
    /// dead-letter queue instead. Also returns how long it takes until the next message becomes visible.
    fn take(&self, request: &Receive) -> Result<(Vec<Message>, Option<Duration>), ServiceError> {
        let queue = &request.queue;
        let now = self.now();
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        let mut messages = Vec::new();
        while messages.is_empty() {
            let found = visible(&transaction, request, now)?;
            if found.is_empty() {
                break;
            }
            for (sequence, receive_count) in found {
                match &queue.redrive {
                    Some(policy) if receive_count >= policy.receives_max => {
                        move_to_dead_letter_queue(&transaction, sequence, &queue.name, policy)?;
                    }
                    Some(_) | None => messages.push(receive(&transaction, sequence, request, now)?),
                }
            }
        }
        let next: Option<i64> = transaction.query_row(
            "SELECT min(visible_at) FROM message WHERE queue = ?1",
            [&queue.name],
            |row| row.get(0),
        )?;
        transaction.commit()?;
        let next = next.map(|at| Duration::from_millis(u64::try_from(at - now).unwrap_or(0).max(1)));
        Ok((messages, next))
    }
}

/// The sequence numbers and receive counts of visible messages.
fn visible(transaction: &Transaction<'_>, request: &Receive, now: i64) -> rusqlite::Result<Vec<(i64, i64)>> {
    let mut select = transaction.prepare_cached(
        "SELECT sequence, receive_count FROM message WHERE queue = ?1 AND visible_at <= ?2
         ORDER BY visible_at, sequence LIMIT ?3",
    )?;
    let parameters = params![request.queue.name, now, request.messages_max];
    select.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn receive(
    transaction: &Transaction<'_>,
    sequence: i64,
    request: &Receive,
    now: i64,
) -> rusqlite::Result<Message> {
    let mut update = transaction.prepare_cached(
        "UPDATE message SET visible_at = ?2 + ?3, receipt_handle = ?4, receive_count = receive_count + 1,
             first_received_at = coalesce(first_received_at, ?2)
         WHERE sequence = ?1
         RETURNING message_id, receipt_handle, body, attributes, system_attributes, sent_at,
             first_received_at, receive_count",
    )?;
    let handle = Uuid::new_v4().to_string();
    let parameters = params![sequence, now, request.visibility_timeout_milliseconds, handle];
    update.query_row(parameters, |row| message(row, &request.names))
}

/// Moves a message that reached the maximum number of receives to the dead-letter queue.
fn move_to_dead_letter_queue(
    transaction: &Transaction<'_>,
    sequence: i64,
    source: &str,
    policy: &Redrive,
) -> Result<(), ServiceError> {
    let message_id: String = transaction.query_row(
        "UPDATE message SET queue = ?2, visible_at = 0, receive_count = 0, receipt_handle = NULL,
             first_received_at = NULL,
             system_attributes = json_set(system_attributes, '$.' || ?3, json_object('StringValue', ?4))
         WHERE sequence = ?1 RETURNING message_id",
        params![sequence, policy.dead_letter_queue, SOURCE_ATTRIBUTE, Queues::arn(source)],
        |row| row.get(0),
    )?;
    tracing::error!(message_id, "moved a message to the dead-letter queue: max receives exceeded");
    Ok(())
}

/// Reads a message from a row, with the attributes that the request names.
fn message(row: &Row<'_>, names: &AttributeNames) -> rusqlite::Result<Message> {
    let object = |column: usize| -> rusqlite::Result<Map<String, Value>> {
        // `SendMessage` has written an object.
        Ok(serde_json::from_str(&row.get::<_, String>(column)?).unwrap_or_default())
    };
    let mut attributes: Map<String, Value> =
        object(4)?.into_iter().map(|(name, value)| (name, value["StringValue"].clone())).collect();
    for (name, column) in
        [("SentTimestamp", 5), ("ApproximateFirstReceiveTimestamp", 6), ("ApproximateReceiveCount", 7)]
    {
        attributes.insert(name.to_owned(), row.get::<_, i64>(column)?.to_string().into());
    }
    attributes.insert("SenderId".to_owned(), ACCOUNT.into());
    let attributes = attributes.into_iter().filter(|(name, _)| names.wants_system(name)).collect();
    let message_attributes: Map<_, _> =
        object(3)?.into_iter().filter(|(name, _)| names.wants(name)).collect();
    let body: String = row.get(2)?;
    Ok(Message {
        message_id: row.get(0)?,
        receipt_handle: row.get(1)?,
        body_digest: checksum::body_md5(&body),
        body,
        attributes,
        attributes_digest: checksum::attributes_md5(&message_attributes),
        message_attributes,
    })
}
