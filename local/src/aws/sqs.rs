//! SQS standard queues, on SQLite:
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html>

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use badgesmith_shared::clock::Clock;
use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Database, ServiceError, blocking, last_part};
use crate::template::{QueueSettings, Redrive};

/// The largest message: 1 MiB.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The most messages of one receive or batch.
const BATCH_MAX: usize = 10;
/// The longest wait for a message.
const WAIT_SECONDS_MAX: u64 = 20;

/// All queues; clones are the same queues.
#[derive(Debug, Clone)]
pub struct Queues {
    database: Database,
    settings: Arc<HashMap<String, QueueSettings>>,
    clock: Clock,
    /// A message came, or will be visible sooner than was thought.
    arrived: Arc<Notify>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage {
    queue_url: String,
    message_body: String,
    #[serde(default)]
    message_attributes: Map<String, Value>,
    #[serde(default)]
    message_system_attributes: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage {
    queue_url: String,
    #[serde(default = "one")]
    max_number_of_messages: usize,
    #[serde(default)]
    wait_time_seconds: u64,
}

fn one() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteMessageBatch {
    queue_url: String,
    entries: Vec<DeleteEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteEntry {
    id: String,
    receipt_handle: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "named as in the API")]
struct Message {
    message_id: String,
    receipt_handle: String,
    body: String,
    attributes: Map<String, Value>,
    message_attributes: Map<String, Value>,
}

impl Queues {
    pub(super) fn open(
        database: Database,
        queues: &[QueueSettings],
        clock: Clock,
    ) -> Result<Self, rusqlite::Error> {
        let opened = Self { database, settings: Arc::default(), clock, arrived: Arc::default() };
        opened.database.lock().execute_batch(
            "CREATE TABLE IF NOT EXISTS message (
                 sequence INTEGER PRIMARY KEY AUTOINCREMENT,
                 queue TEXT NOT NULL,
                 message_id TEXT NOT NULL,
                 body TEXT NOT NULL,
                 attributes TEXT NOT NULL,
                 system_attributes TEXT NOT NULL,
                 sent_at INTEGER NOT NULL,
                 visible_at INTEGER NOT NULL,
                 first_received_at INTEGER,
                 receive_count INTEGER NOT NULL DEFAULT 0,
                 receipt_handle TEXT
             ) STRICT;
             CREATE INDEX IF NOT EXISTS message_by_visibility ON message (queue, visible_at);
             CREATE INDEX IF NOT EXISTS message_by_receipt ON message (receipt_handle);",
        )?;
        // A hidden message is one that was received. Who received it was this process before it was
        // restarted: there is nobody to wait for.
        let now = opened.now();
        opened.database.lock().execute("UPDATE message SET visible_at = ?1 WHERE visible_at > ?1", [now])?;
        let settings = queues.iter().map(|queue| (queue.name.clone(), queue.clone())).collect();
        Ok(Self { settings: Arc::new(settings), ..opened })
    }

    /// The URL of the queue named `name`.
    pub fn url(name: &str) -> String {
        format!("http://sqs.local/{name}")
    }

    /// How many messages the queue named `name` holds, visible or not.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn depth(&self, name: &str) -> rusqlite::Result<usize> {
        let count = "SELECT count(*) FROM message WHERE queue = ?1";
        self.database.lock().query_row(count, [name], |row| row.get(0))
    }

    pub(super) fn call(&self, operation: &str, body: &[u8]) -> Result<String, ServiceError> {
        match operation {
            "SendMessage" => self.send(serde_json::from_slice(body)?),
            "DeleteMessageBatch" => {
                let DeleteMessageBatch { queue_url, entries } = serde_json::from_slice(body)?;
                if entries.is_empty() || entries.len() > BATCH_MAX {
                    return Err(ServiceError::client("InvalidBatchEntryId", "a batch has 1 to 10 entries"));
                }
                self.delete(&queue_url, entries.iter().map(|entry| entry.receipt_handle.as_str()))?;
                let successful: Vec<_> = entries.iter().map(|entry| json!({ "Id": entry.id })).collect();
                Ok(json!({ "Successful": successful, "Failed": [] }).to_string())
            }
            _ => Err(ServiceError::client("UnknownOperationException", operation)),
        }
    }

    /// Receives messages, waiting for one to come if the request says so.
    pub(super) async fn receive(&self, body: &[u8]) -> Result<String, ServiceError> {
        let request: ReceiveMessage = serde_json::from_slice(body)?;
        let wait = Duration::from_secs(request.wait_time_seconds.min(WAIT_SECONDS_MAX));
        let deadline = Instant::now() + wait;
        let request = Arc::new(request);
        loop {
            // Before looking, so that what arrives while we look is not missed.
            let arrived = self.arrived.notified();
            let (queues, request) = (self.clone(), Arc::clone(&request));
            let (messages, next) = blocking(move || queues.take(&request)).await?;
            if !messages.is_empty() || Instant::now() >= deadline {
                return Ok(json!({ "Messages": messages }).to_string());
            }
            let look_again = next.map_or(deadline, |wait| deadline.min(Instant::now() + wait));
            // Whichever comes first, look again; at the deadline for the last time.
            let _ = tokio::time::timeout_at(look_again, arrived).await;
        }
    }

    /// Deletes messages that are older than their queue keeps them.
    pub(super) fn delete_expired_messages(&self) -> Result<(), ServiceError> {
        for queue in self.settings.values() {
            let expired = self.database.lock().execute(
                "DELETE FROM message WHERE queue = ?1 AND sent_at <= ?2",
                params![queue.name, self.now() - queue.retention_seconds * 1000],
            )?;
            if expired > 0 {
                tracing::error!(queue = queue.name, expired, "messages expired unprocessed");
            }
        }
        Ok(())
    }

    /// Puts a message on the queue named `name`, as a rule of EventBridge does.
    pub(super) fn deliver(&self, name: &str, body: String) -> Result<(), ServiceError> {
        self.send(SendMessage {
            queue_url: Self::url(name),
            message_body: body,
            message_attributes: Map::new(),
            message_system_attributes: Map::new(),
        })?;
        Ok(())
    }

    fn send(&self, request: SendMessage) -> Result<String, ServiceError> {
        let queue = self.settings(&request.queue_url)?;
        if request.message_body.is_empty() || request.message_body.len() > BODY_BYTES_MAX {
            return Err(ServiceError::client("InvalidParameterValue", "a message has 1 byte to 1 MiB"));
        }
        let message_id = Uuid::new_v4().to_string();
        self.database.lock().execute(
            "INSERT INTO message (queue, message_id, body, attributes, system_attributes, sent_at, visible_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
            params![
                queue.name,
                message_id,
                request.message_body,
                Value::Object(request.message_attributes).to_string(),
                Value::Object(request.message_system_attributes).to_string(),
                self.now(),
            ],
        )?;
        self.arrived.notify_waiters();
        Ok(json!({ "MessageId": message_id }).to_string())
    }

    /// Takes visible messages, the oldest first, and hides them; those that were received too often go to
    /// the dead-letter queue instead. If there is none, tells how long until there will be.
    fn take(&self, request: &ReceiveMessage) -> Result<(Vec<Message>, Option<Duration>), ServiceError> {
        let queue = self.settings(&request.queue_url)?;
        let now = self.now();
        let hidden = queue.visibility_timeout_seconds * 1000;
        let wanted = request.max_number_of_messages.clamp(1, BATCH_MAX);
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        let mut messages = Vec::new();
        {
            let mut select = transaction.prepare_cached(
                "SELECT sequence, receive_count FROM message WHERE queue = ?1 AND visible_at <= ?2
                 ORDER BY visible_at, sequence LIMIT ?3",
            )?;
            let mut receive = transaction.prepare_cached(
                "UPDATE message SET visible_at = ?2 + ?3, receipt_handle = ?4, receive_count = receive_count + 1,
                     first_received_at = coalesce(first_received_at, ?2)
                 WHERE sequence = ?1
                 RETURNING message_id, receipt_handle, body, attributes, system_attributes, sent_at,
                     first_received_at, receive_count",
            )?;
            while messages.is_empty() {
                let found: Vec<(i64, i64)> = select
                    .query_map(params![queue.name, now, wanted], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<_, _>>()?;
                if found.is_empty() {
                    break;
                }
                for (sequence, receive_count) in found {
                    match &queue.redrive {
                        Some(policy) if receive_count >= policy.receives_max => {
                            redrive(&transaction, sequence, policy, now)?;
                        }
                        Some(_) | None => {
                            let handle = Uuid::new_v4().to_string();
                            messages
                                .push(receive.query_row(params![sequence, now, hidden, handle], message)?);
                        }
                    }
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

    fn delete<'a>(
        &self,
        queue_url: &str,
        handles: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), ServiceError> {
        let queue = self.settings(queue_url)?;
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        for handle in handles {
            // A handle that is no longer the last one is no error, and deletes nothing.
            transaction.execute(
                "DELETE FROM message WHERE queue = ?1 AND receipt_handle = ?2",
                params![queue.name, handle],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn settings(&self, queue_url: &str) -> Result<&QueueSettings, ServiceError> {
        self.settings.get(last_part(queue_url)).ok_or_else(|| {
            ServiceError::client("QueueDoesNotExist", format!("there is no queue {queue_url}"))
        })
    }

    fn now(&self) -> i64 {
        self.clock.now().unix_milliseconds()
    }
}

/// Moves a message that was received too often to the dead-letter queue.
fn redrive(
    transaction: &Transaction<'_>,
    sequence: i64,
    policy: &Redrive,
    now: i64,
) -> Result<(), ServiceError> {
    let message_id: String = transaction.query_row(
        "UPDATE message SET queue = ?2, visible_at = ?3, receive_count = 0, receipt_handle = NULL, first_received_at = NULL
         WHERE sequence = ?1 RETURNING message_id",
        params![sequence, policy.dead_letter_queue, now],
        |row| row.get(0),
    )?;
    tracing::error!(message_id, "a message was received too often and went to the dead-letter queue");
    Ok(())
}

/// Reads a row as a receive returns it.
fn message(row: &rusqlite::Row<'_>) -> rusqlite::Result<Message> {
    let object = |column: usize| -> rusqlite::Result<Map<String, Value>> {
        // Written above, from an object.
        Ok(serde_json::from_str(&row.get::<_, String>(column)?).unwrap_or_default())
    };
    let mut attributes: Map<String, Value> =
        object(4)?.into_iter().map(|(name, value)| (name, value["StringValue"].clone())).collect();
    for (name, column) in
        [("SentTimestamp", 5), ("ApproximateFirstReceiveTimestamp", 6), ("ApproximateReceiveCount", 7)]
    {
        attributes.insert(name.to_owned(), row.get::<_, i64>(column)?.to_string().into());
    }
    Ok(Message {
        message_id: row.get(0)?,
        receipt_handle: row.get(1)?,
        body: row.get(2)?,
        attributes,
        message_attributes: object(3)?,
    })
}
