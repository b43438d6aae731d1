//! The queues of the template, and the table of their messages.

use std::collections::HashMap;
use std::sync::Arc;

use badgesmith_aws::clock::Clock;
use parking_lot::Mutex;
use rusqlite::params;
use serde::Deserialize;
use tokio::sync::Notify;

use super::send::DELAY_SECONDS_MAX;
use crate::arn::{ACCOUNT, arn, resource_name};
use crate::database::Database;
use crate::error::ServiceError;
use crate::template::QueueSettings;

/// The host in queue URLs for clients in this process.
pub(crate) const HOST: &str = "sqs.local";

/// All queues; clones share them.
#[derive(Debug, Clone)]
pub struct Queues {
    pub(super) database: Database,
    pub(super) settings: Arc<HashMap<String, QueueSettings>>,
    clock: Clock,
    /// Notified when a message is sent, or becomes visible sooner.
    pub(super) arrived: Arc<Notify>,
    /// When each queue was last purged, in milliseconds since the Unix epoch.
    pub(super) purged: Arc<Mutex<HashMap<String, i64>>>,
}

/// The part of a request that names the queue.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Address {
    queue_url: String,
}

impl Queues {
    pub(crate) fn open(
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
        // Messages in flight become visible at a restart, because the process that received them has ended. So do those
        // with a longer delay than SQS has, which were sent while the clock was ahead.
        let now = opened.now();
        opened.database.lock().execute(
            "UPDATE message SET visible_at = 0 WHERE visible_at > ?1 AND receive_count > 0 OR visible_at > ?2",
            [now, now + DELAY_SECONDS_MAX * 1000],
        )?;
        Ok(opened)
    }

    /// The URL of the queue `name` for clients in this process.
    pub fn url(name: &str) -> String {
        url_at(HOST, name)
    }

    /// The ARN of the queue with this URL or name.
    pub fn arn(address: &str) -> String {
        arn("sqs", resource_name(address))
    }

    /// How many messages the queue `name` holds, visible or not.
    ///
    /// # Errors
    /// The error of SQLite.
    pub fn depth(&self, name: &str) -> rusqlite::Result<usize> {
        let count = "SELECT count(*) FROM message WHERE queue = ?1";
        self.database.lock().query_row(count, [name], |row| row.get(0))
    }

    /// Deletes messages that are older than the retention period of their queue.
    pub(crate) fn delete_expired_messages(&self) -> Result<(), ServiceError> {
        for queue in self.settings.values() {
            let expired = self.database.lock().execute(
                "DELETE FROM message WHERE queue = ?1 AND sent_at <= ?2",
                params![queue.name, self.now() - queue.retention_seconds * 1000],
            )?;
            if expired > 0 {
                tracing::error!(queue = queue.name, expired, "messages expired before they were processed");
            }
        }
        Ok(())
    }

    /// The queue that the `QueueUrl` of a request names.
    pub(super) fn addressed(&self, body: &[u8]) -> Result<&QueueSettings, ServiceError> {
        let Address { queue_url } = serde_json::from_slice(body)?;
        self.queue(&queue_url)
    }

    /// The queue with this URL or name.
    pub(super) fn queue(&self, address: &str) -> Result<&QueueSettings, ServiceError> {
        self.settings.get(resource_name(address)).ok_or_else(|| {
            ServiceError::client(
                "QueueDoesNotExist",
                format!("The specified queue does not exist: {address}"),
            )
        })
    }

    /// The time of the clock, in milliseconds since the Unix epoch.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().unix_milliseconds()
    }
}

/// `http://{host}/000000000000/{name}`
pub(super) fn url_at(host: &str, name: &str) -> String {
    format!("http://{host}/{ACCOUNT}/{name}")
}
