//! Operations on received messages, by receipt handle: deletion and visibility timeouts.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use serde_json::Map;
use uuid::Uuid;

use super::batch;
use super::errors::{invalid_value, missing, within};
use super::queues::Queues;
use super::receive::VISIBILITY_SECONDS_MAX;
use crate::error::ServiceError;
use crate::template::QueueSettings;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeVisibility {
    receipt_handle: String,
    visibility_timeout: Option<i64>,
}

impl Queues {
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>
    pub(super) fn delete_message(&self, body: &[u8]) -> Result<String, ServiceError> {
        delete(&self.database.lock(), self.addressed(body)?, &serde_json::from_slice(body)?)?;
        Ok("{}".to_owned())
    }

    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html>
    pub(super) fn delete_batch(&self, body: &[u8]) -> Result<String, ServiceError> {
        self.each(body, &batch::entries(body)?, |connection, queue, request| {
            delete(connection, queue, request)?;
            Ok(Map::new())
        })
    }

    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
    pub(super) fn change_visibility(&self, body: &[u8]) -> Result<String, ServiceError> {
        let now = self.now();
        set_visibility(&self.database.lock(), self.addressed(body)?, &serde_json::from_slice(body)?, now)?;
        self.arrived.notify_waiters();
        Ok("{}".to_owned())
    }

    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html>
    pub(super) fn change_visibility_batch(&self, body: &[u8]) -> Result<String, ServiceError> {
        let now = self.now();
        let answer = self.each(body, &batch::entries(body)?, |connection, queue, request| {
            set_visibility(connection, queue, request, now)?;
            Ok(Map::new())
        })?;
        self.arrived.notify_waiters();
        Ok(answer)
    }
}

/// The handle of an earlier receive deletes nothing, and is not an error.
fn delete(connection: &Connection, queue: &QueueSettings, request: &Delete) -> Result<(), ServiceError> {
    let mut delete =
        connection.prepare_cached("DELETE FROM message WHERE queue = ?1 AND receipt_handle = ?2")?;
    delete.execute(params![queue.name, handle(&request.receipt_handle)?])?;
    Ok(())
}

fn set_visibility(
    connection: &Connection,
    queue: &QueueSettings,
    request: &ChangeVisibility,
    now: i64,
) -> Result<(), ServiceError> {
    let handle = handle(&request.receipt_handle)?;
    let seconds = request.visibility_timeout.ok_or_else(|| missing("VisibilityTimeout"))?;
    let seconds = within("VisibilityTimeout", seconds, 0, VISIBILITY_SECONDS_MAX)?;
    let found: Option<(i64, i64)> = connection
        .query_row(
            "SELECT sequence, visible_at FROM message WHERE queue = ?1 AND receipt_handle = ?2",
            params![queue.name, handle],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((sequence, visible_at)) = found else {
        return Err(invalid_value(format!(
            "Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not \
             available for visibility timeout change."
        )));
    };
    if visible_at <= now {
        let message = "The specified message isn't in flight.";
        return Err(ServiceError::client("MessageNotInflight", message));
    }
    connection.execute(
        "UPDATE message SET visible_at = ?2 WHERE sequence = ?1",
        params![sequence, now + seconds * 1000],
    )?;
    Ok(())
}

/// Checks that `text` has the form of a receipt handle.
fn handle(text: &str) -> Result<&str, ServiceError> {
    if Uuid::try_parse(text).is_ok() {
        return Ok(text);
    }
    let message = format!("The input receipt handle \"{text}\" is not a valid receipt handle.");
    Err(ServiceError::client("ReceiptHandleIsInvalid", message))
}
