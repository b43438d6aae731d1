//! The versions of a secret, each with one staging label:
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version>
//!
//! A version without a label is deleted at once; AWS deletes it later.

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::{Value, json};

use super::entry::{Entry, SecretId, arn_of};
use crate::error::ServiceError;

/// The label of the version in use.
pub(super) const CURRENT: &str = "AWSCURRENT";
/// The label of the version before it.
const PREVIOUS: &str = "AWSPREVIOUS";

/// One row of the table `secret`.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) stage: String,
    pub(super) id: String,
    pub(super) value: String,
    /// In milliseconds since the Unix epoch.
    pub(super) created_at: i64,
}

impl Version {
    /// All versions of a secret, the current one first.
    pub(super) fn all(connection: &Connection, name: &str) -> rusqlite::Result<Vec<Self>> {
        let select = "SELECT stage, version_id, value, created_at FROM secret WHERE name = ?1 ORDER BY stage";
        let version = |row: &rusqlite::Row<'_>| {
            Ok(Self { stage: row.get(0)?, id: row.get(1)?, value: row.get(2)?, created_at: row.get(3)? })
        };
        connection.prepare_cached(select)?.query_map([name], version)?.collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateSecretVersionStage {
    #[serde(flatten)]
    secret: SecretId,
    version_stage: String,
    remove_from_version_id: Option<String>,
    move_to_version_id: Option<String>,
}

/// Only `AWSPREVIOUS` can be removed; labels do not move.
///
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html>
pub(super) fn remove_stage(
    connection: &Connection,
    request: &UpdateSecretVersionStage,
) -> Result<Value, ServiceError> {
    let name = Entry::usable(connection, request.secret.name())?.name;
    let invalid = |message| Err(ServiceError::client("InvalidParameterException", message));
    if request.move_to_version_id.is_some() || request.version_stage != PREVIOUS {
        return invalid("Only the removal of AWSPREVIOUS is embedded.");
    }
    let removed = connection.execute(
        "DELETE FROM secret WHERE name = ?1 AND stage = ?2 AND version_id = ?3",
        params![name, PREVIOUS, request.remove_from_version_id],
    )?;
    if removed == 0 {
        return invalid("The version of RemoveFromVersionId does not have the staging label.");
    }
    Ok(json!({ "ARN": arn_of(&name), "Name": name }))
}

/// Adds the current version of a secret; the one that was current becomes the previous one.
pub(super) fn add(
    connection: &Connection,
    name: &str,
    id: &str,
    value: &str,
    now: i64,
) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE OR REPLACE secret SET stage = ?3 WHERE name = ?1 AND stage = ?2",
        [name, CURRENT, PREVIOUS],
    )?;
    connection.execute(
        "INSERT INTO secret (name, stage, version_id, value, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![name, CURRENT, id, value, now],
    )?;
    connection.execute("UPDATE secret_entry SET changed_at = ?2 WHERE name = ?1", params![name, now])?;
    Ok(())
}
