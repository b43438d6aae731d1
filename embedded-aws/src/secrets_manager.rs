//! Secrets Manager, on SQLite:
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/Welcome.html>

mod deletion;
mod describe;
mod entry;
mod values;
mod versions;

use badgesmith_aws::clock::Clock;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::from_slice;
use uuid::Uuid;

use crate::database::Database;
use crate::error::ServiceError;

use versions::CURRENT;

/// All secrets, each with its current and its previous version.
#[derive(Debug)]
pub struct Secrets {
    database: Database,
    clock: Clock,
}

impl Secrets {
    pub(crate) fn open(database: Database, clock: Clock) -> Result<Self, rusqlite::Error> {
        // The INSERT migrates databases that predate the table `secret_entry`.
        database.lock().execute_batch(
            "CREATE TABLE IF NOT EXISTS secret (
                 name TEXT NOT NULL,
                 stage TEXT NOT NULL,
                 version_id TEXT NOT NULL,
                 value TEXT NOT NULL,
                 created_at INTEGER NOT NULL,
                 PRIMARY KEY (name, stage)
             ) STRICT;
             CREATE TABLE IF NOT EXISTS secret_entry (
                 name TEXT PRIMARY KEY,
                 created_at INTEGER NOT NULL,
                 changed_at INTEGER NOT NULL,
                 deleted_at INTEGER,
                 delete_after INTEGER
             ) STRICT;
             INSERT OR IGNORE INTO secret_entry (name, created_at, changed_at)
                 SELECT name, min(created_at), max(created_at) FROM secret GROUP BY name;",
        )?;
        Ok(Self { database, clock })
    }

    /// Adds `value` as the current version of a secret, which is created or restored if necessary. An unchanged value
    /// adds no version.
    ///
    /// # Errors
    /// The error of SQLite.
    pub fn put(&self, name: &str, value: &str) -> rusqlite::Result<()> {
        let now = self.now();
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        if current(&transaction, name)?.as_deref() == Some(value) {
            return Ok(());
        }
        transaction.execute(
            "INSERT INTO secret_entry (name, created_at, changed_at) VALUES (?1, ?2, ?2)
             ON CONFLICT (name) DO UPDATE SET deleted_at = NULL, delete_after = NULL",
            params![name, now],
        )?;
        versions::add(&transaction, name, &Uuid::new_v4().to_string(), value, now)?;
        transaction.commit()?;
        drop(connection);
        self.database.calls.sync()
    }

    /// Creates a secret with a random value of 64 characters, unless it exists.
    pub(crate) fn generate(&self, name: &str) -> rusqlite::Result<()> {
        if self.current(name)?.is_some() {
            return Ok(());
        }
        self.put(name, &[Uuid::new_v4(), Uuid::new_v4()].map(|part| part.simple().to_string()).concat())
    }

    /// The current value of a secret; `None` if it does not exist or is scheduled for deletion.
    ///
    /// # Errors
    /// The error of SQLite.
    pub fn current(&self, name: &str) -> rusqlite::Result<Option<String>> {
        current(&self.database.lock(), name)
    }

    /// Deletes a secret with all its versions, without a recovery window.
    ///
    /// # Errors
    /// The error of SQLite.
    pub fn delete(&self, name: &str) -> rusqlite::Result<()> {
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        entry::delete(&transaction, name)?;
        transaction.commit()?;
        drop(connection);
        self.database.calls.sync()
    }

    /// Deletes the secrets whose recovery window has ended.
    pub(crate) fn delete_expired(&self) -> Result<(), ServiceError> {
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        deletion::delete_expired(&transaction, self.now())?;
        Ok(transaction.commit()?)
    }

    /// Answers a request, in one transaction.
    pub(crate) fn call(&self, operation: &str, body: &[u8]) -> Result<String, ServiceError> {
        let now = self.now();
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        let response = match operation {
            "GetSecretValue" => values::get(&transaction, &from_slice(body)?),
            "PutSecretValue" => values::put(&transaction, from_slice(body)?, now),
            "CreateSecret" => values::create(&transaction, from_slice(body)?, now),
            "DescribeSecret" => describe::describe(&transaction, &from_slice(body)?),
            "ListSecrets" => describe::list(&transaction, &from_slice(body)?),
            "DeleteSecret" => deletion::schedule(&transaction, &from_slice(body)?, now),
            "UpdateSecretVersionStage" => versions::remove_stage(&transaction, &from_slice(body)?),
            "RestoreSecret" => deletion::restore(&transaction, &from_slice(body)?, now),
            _ => Err(ServiceError::unknown(operation)),
        }?;
        transaction.commit()?;
        Ok(response.to_string())
    }

    fn now(&self) -> i64 {
        self.clock.now().unix_milliseconds()
    }
}

fn current(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let select = "SELECT value FROM secret JOIN secret_entry USING (name)
                  WHERE name = ?1 AND stage = ?2 AND deleted_at IS NULL";
    connection.query_row(select, [name, CURRENT], |row| row.get(0)).optional()
}
