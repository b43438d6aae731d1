//! Secrets Manager, on SQLite:
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/Welcome.html>

mod catalog;
mod deletion;
mod versions;

use std::fmt::Display;

use badgesmith_aws::clock::Clock;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use uuid::Uuid;

use super::{Database, ServiceError};

/// The label of the version that counts.
const CURRENT: &str = "AWSCURRENT";
/// The label of the version that counted before.
const PREVIOUS: &str = "AWSPREVIOUS";

const SELECT_ENTRY: &str =
    "SELECT name, description, created_at, changed_at, deleted_at, delete_after FROM secret_entry";

/// All secrets, with those of their versions that have a label.
#[derive(Debug)]
pub struct Secrets {
    database: Database,
    clock: Clock,
}

/// What is known of a secret, besides its values.
#[derive(Debug)]
struct Entry {
    name: String,
    description: Option<String>,
    created_at: i64,
    changed_at: i64,
    /// When it was marked for deletion.
    deleted_at: Option<i64>,
    /// Until when it can be restored then.
    delete_after: Option<i64>,
}

impl Secrets {
    pub(super) fn open(database: Database, clock: Clock) -> Result<Self, rusqlite::Error> {
        // There was one table at first, with a line for each label of each secret. Its lines are as they were.
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
                 description TEXT,
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

    /// Makes `value` the current version of a secret, which is made or restored if need be, and what was
    /// current the previous one. The same value again changes nothing.
    ///
    /// # Errors
    /// What SQLite says.
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
        let version_id = Uuid::new_v4().to_string();
        versions::add(&transaction, name, &version_id, value, &[CURRENT.to_owned()], now)?;
        transaction.commit()
    }

    /// The current value of a secret, unless it is marked for deletion.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn current(&self, name: &str) -> rusqlite::Result<Option<String>> {
        current(&self.database.lock(), name)
    }

    /// Deletes a secret with all its versions, at once.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn delete(&self, name: &str) -> rusqlite::Result<()> {
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        deletion::forget(&transaction, name)?;
        transaction.commit()
    }

    pub(super) fn call(&self, operation: &str, body: &[u8]) -> Result<String, ServiceError> {
        match operation {
            "GetSecretValue" => self.get_value(&serde_json::from_slice(body)?),
            "CreateSecret" => self.create(serde_json::from_slice(body)?),
            "PutSecretValue" => self.put_value(serde_json::from_slice(body)?),
            "DescribeSecret" => self.describe(&serde_json::from_slice(body)?),
            "ListSecrets" => self.list(&serde_json::from_slice(body)?),
            "DeleteSecret" => self.schedule_deletion(&serde_json::from_slice(body)?),
            "RestoreSecret" => self.restore(&serde_json::from_slice(body)?),
            _ => Err(ServiceError::unknown(operation)),
        }
    }

    fn now(&self) -> i64 {
        self.clock.now().unix_milliseconds()
    }
}

fn current(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .query_row(
            "SELECT value FROM secret JOIN secret_entry USING (name)
             WHERE name = ?1 AND stage = ?2 AND deleted_at IS NULL",
            [name, CURRENT],
            |row| row.get(0),
        )
        .optional()
}

/// The secret with this name or ARN, marked for deletion or not.
fn find(connection: &Connection, id: &str) -> Result<Option<Entry>, ServiceError> {
    let select = format!("{SELECT_ENTRY} WHERE name = ?1");
    Ok(connection.query_row(&select, [name_of(id)], entry).optional()?)
}

/// The secret with this name or ARN.
fn existing(connection: &Connection, id: &str) -> Result<Entry, ServiceError> {
    find(connection, id)?.ok_or_else(|| not_found("secret."))
}

/// The same, if it is not marked for deletion.
fn usable(connection: &Connection, id: &str) -> Result<Entry, ServiceError> {
    let entry = existing(connection, id)?;
    if entry.deleted_at.is_some() {
        return Err(refused(
            "You can't perform this operation on the secret because it was marked for deletion.",
        ));
    }
    Ok(entry)
}

/// Reads a row of [`SELECT_ENTRY`].
fn entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        name: row.get(0)?,
        description: row.get(1)?,
        created_at: row.get(2)?,
        changed_at: row.get(3)?,
        deleted_at: row.get(4)?,
        delete_after: row.get(5)?,
    })
}

/// An ARN ends with the name; a name may hold slashes, so only colons separate.
fn name_of(id: &str) -> &str {
    id.rsplit(':').next().unwrap_or(id)
}

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:local:000000000000:secret:{name}")
}

/// A date is in seconds, with a fraction. A float holds milliseconds exactly enough until far beyond any date
/// here, but is written without detour to keep every digit.
fn date(milliseconds: i64) -> Result<Value, ServiceError> {
    let seconds = format!("{}.{:03}", milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000));
    let seconds: serde_json::Number = seconds.parse()?;
    Ok(seconds.into())
}

fn not_found(what: impl Display) -> ServiceError {
    let message = format!("Secrets Manager can't find the specified {what}");
    ServiceError::client("ResourceNotFoundException", message)
}

/// The secret is not in the state for it.
fn refused(message: impl Into<String>) -> ServiceError {
    ServiceError::client("InvalidRequestException", message)
}

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::client("InvalidParameterException", message)
}
