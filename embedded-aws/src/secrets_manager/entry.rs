//! A secret without its values: one row of the table `secret_entry`.

use rusqlite::{Connection, OptionalExtension, Row};
use serde::Deserialize;
use serde_json::{Number, Value};

use crate::arn;
use crate::error::ServiceError;

/// The name or ARN of a secret in a request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SecretId {
    secret_id: String,
}

impl SecretId {
    /// The name; an ARN ends with it. Names may contain slashes, but no colons.
    pub(super) fn name(&self) -> &str {
        self.secret_id.rsplit(':').next().unwrap_or(&self.secret_id)
    }
}

/// Times are in milliseconds since the Unix epoch.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) created_at: i64,
    pub(super) changed_at: i64,
    /// When the deletion was scheduled.
    pub(super) deleted_at: Option<i64>,
    /// When the recovery window ends.
    pub(super) delete_after: Option<i64>,
}

impl Entry {
    const SELECT: &str = "SELECT name, created_at, changed_at, deleted_at, delete_after FROM secret_entry";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            created_at: row.get(1)?,
            changed_at: row.get(2)?,
            deleted_at: row.get(3)?,
            delete_after: row.get(4)?,
        })
    }

    pub(super) fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<Self>> {
        let select = format!("{} WHERE name = ?1", Self::SELECT);
        connection.query_row(&select, [name], Self::from_row).optional()
    }

    /// Like [`Self::find`], but a secret that does not exist is an error.
    pub(super) fn existing(connection: &Connection, name: &str) -> Result<Self, ServiceError> {
        let message = "Secrets Manager can't find the specified secret.";
        Self::find(connection, name)?
            .ok_or_else(|| ServiceError::client("ResourceNotFoundException", message))
    }

    /// Like [`Self::existing`], but a secret that is scheduled for deletion is an error, too.
    pub(super) fn usable(connection: &Connection, name: &str) -> Result<Self, ServiceError> {
        let entry = Self::existing(connection, name)?;
        if entry.deleted_at.is_some() {
            let message =
                "You can't perform this operation on the secret because it was marked for deletion.";
            return Err(ServiceError::client("InvalidRequestException", message));
        }
        Ok(entry)
    }

    /// All secrets, the newest first.
    pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Self>> {
        let select = format!("{} ORDER BY created_at DESC, name", Self::SELECT);
        connection.prepare_cached(&select)?.query_map([], Self::from_row)?.collect()
    }
}

/// Deletes a secret with all its versions.
pub(super) fn delete(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM secret WHERE name = ?1", [name])?;
    connection.execute("DELETE FROM secret_entry WHERE name = ?1", [name])?;
    Ok(())
}

pub(super) fn arn_of(name: &str) -> String {
    arn::arn("secretsmanager", &format!("secret:{name}"))
}

/// A date of the API: seconds since the Unix epoch, with three decimals.
pub(super) fn date(milliseconds: i64) -> Result<Value, ServiceError> {
    let seconds = format!("{}.{:03}", milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000));
    Ok(seconds.parse::<Number>()?.into())
}
