//! SQS standard queues, on SQLite:
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html>

mod batch;
mod checksum;
mod directory;
mod moves;
mod receive;
mod received;
mod refusal;
mod send;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use badgesmith_aws::clock::Clock;
use rusqlite::params;
use serde_json::Map;
use tokio::sync::Notify;

use super::{Database, ServiceError, last_part};
use crate::template::QueueSettings;

pub(super) use refusal::query_code;

/// Where queues are for those who use the services in this process.
pub(super) const HOST: &str = "sqs.local";
/// A queue may be purged again after this long.
const PURGE_PERIOD_MILLISECONDS: i64 = 60_000;

/// All queues; clones are the same queues.
#[derive(Debug, Clone)]
pub struct Queues {
    database: Database,
    settings: Arc<HashMap<String, QueueSettings>>,
    clock: Clock,
    /// A message came, or will be visible sooner than was thought.
    arrived: Arc<Notify>,
    /// When queues were purged the last time.
    purged: Arc<Mutex<HashMap<String, i64>>>,
    /// The moves of messages between queues that this process has made.
    moved: Arc<Mutex<Vec<moves::Task>>>,
}

impl Queues {
    pub(super) fn open(
        database: Database,
        queues: &[QueueSettings],
        clock: Clock,
    ) -> Result<Self, rusqlite::Error> {
        let settings = queues.iter().map(|queue| (queue.name.clone(), queue.clone())).collect();
        let opened = Self {
            database,
            settings: Arc::new(settings),
            clock,
            arrived: Arc::default(),
            purged: Arc::default(),
            moved: Arc::default(),
        };
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
        // A message that was received is hidden. Who received it was this process before it was restarted,
        // or asked it: there is nobody to wait for. One that was never received is delayed, and stays so.
        opened.database.lock().execute(
            "UPDATE message SET visible_at = ?1 WHERE visible_at > ?1 AND receive_count > 0",
            [opened.now()],
        )?;
        Ok(opened)
    }

    /// The URL of the queue named `name`, in this process.
    pub fn url(name: &str) -> String {
        url_at(HOST, name)
    }

    /// How many messages the queue named `name` holds, visible or not.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn depth(&self, name: &str) -> rusqlite::Result<usize> {
        let count = "SELECT count(*) FROM message WHERE queue = ?1";
        self.database.lock().query_row(count, [name], |row| row.get(0))
    }

    /// Answers a request to `host`, but for [`Self::receive`], which waits.
    pub(super) fn call(&self, host: &str, operation: &str, body: &[u8]) -> Result<String, ServiceError> {
        match operation {
            "SendMessage" => self.send_one(body),
            "SendMessageBatch" => self.send_batch(body),
            "DeleteMessage" => self.delete_one(body),
            "DeleteMessageBatch" => self.delete_batch(body),
            "ChangeMessageVisibility" => self.change_visibility(body),
            "ChangeMessageVisibilityBatch" => self.change_visibility_batch(body),
            "PurgeQueue" => self.purge(body),
            "GetQueueUrl" => self.get_url(host, body),
            "GetQueueAttributes" => self.get_attributes(body),
            "ListQueues" => self.list(host, body),
            "ListDeadLetterSourceQueues" => self.list_sources(host, body),
            "StartMessageMoveTask" => self.start_move(body),
            "ListMessageMoveTasks" => self.list_moves(body),
            _ => Err(ServiceError::unknown(operation)),
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
        let content = send::Content {
            message_body: body,
            delay_seconds: 0,
            message_attributes: Map::new(),
            message_system_attributes: Map::new(),
            message_group_id: None,
        };
        self.send(&Self::url(name), &content)?;
        Ok(())
    }

    /// Deletes all messages of a queue:
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html>
    fn purge(&self, body: &[u8]) -> Result<String, ServiceError> {
        let queue = self.addressed(body)?;
        let (name, now) = (&queue.name, self.now());
        let mut purged = self.purged.lock().unwrap_or_else(PoisonError::into_inner);
        if purged.get(name).is_some_and(|before| now - before < PURGE_PERIOD_MILLISECONDS) {
            let message = format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds.");
            return Err(ServiceError::client("PurgeQueueInProgress", message));
        }
        self.database.lock().execute("DELETE FROM message WHERE queue = ?1", [name])?;
        purged.insert(name.clone(), now);
        Ok("{}".to_owned())
    }

    /// The queue that the URL in a request is of.
    fn addressed(&self, body: &[u8]) -> Result<&QueueSettings, ServiceError> {
        let address: batch::Address = serde_json::from_slice(body)?;
        self.settings(&address.queue_url)
    }

    /// The queue at a URL, or with an ARN or name.
    fn settings(&self, address: &str) -> Result<&QueueSettings, ServiceError> {
        self.settings.get(last_part(address)).ok_or_else(|| {
            ServiceError::client(
                "QueueDoesNotExist",
                format!("The specified queue does not exist: {address}"),
            )
        })
    }

    fn now(&self) -> i64 {
        self.clock.now().unix_milliseconds()
    }
}

/// The URL of the queue named `name` at `host`.
fn url_at(host: &str, name: &str) -> String {
    format!("http://{host}/000000000000/{name}")
}

/// The ARN of the queue named `name`.
fn arn(name: &str) -> String {
    format!("arn:aws:sqs:local:000000000000:{name}")
}
