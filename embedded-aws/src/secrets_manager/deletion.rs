//! Deleting secrets with a recovery window, and restoring them:
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_delete-secret.html>

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::{Value, json};

use super::entry::{Entry, SecretId, arn_of, date, delete};
use crate::error::ServiceError;

/// The default and maximum recovery window.
const RECOVERY_DAYS: i64 = 30;
const RECOVERY_DAYS_MIN: i64 = 7;
const DAY_MILLISECONDS: i64 = 24 * 60 * 60 * 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteSecret {
    #[serde(flatten)]
    secret: SecretId,
    #[serde(default)]
    force_delete_without_recovery: bool,
    recovery_window_in_days: Option<i64>,
}

impl DeleteSecret {
    /// The recovery window; `None` to delete at once.
    fn recovery_days(&self) -> Result<Option<i64>, ServiceError> {
        let message = match (self.force_delete_without_recovery, self.recovery_window_in_days) {
            (true, None) => return Ok(None),
            (false, None) => return Ok(Some(RECOVERY_DAYS)),
            (false, Some(days @ RECOVERY_DAYS_MIN..=RECOVERY_DAYS)) => return Ok(Some(days)),
            (false, Some(_)) => "RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
            (true, Some(_)) => {
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
            }
        };
        Err(ServiceError::client("InvalidParameterException", message))
    }
}

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html>
pub(super) fn schedule(
    connection: &Connection,
    request: &DeleteSecret,
    now: i64,
) -> Result<Value, ServiceError> {
    let name = request.secret.name();
    let mut delete_after = now;
    if let Some(days) = request.recovery_days()? {
        delete_after += days * DAY_MILLISECONDS;
        Entry::usable(connection, name)?;
        connection.execute(
            "UPDATE secret_entry SET changed_at = ?2, deleted_at = ?2, delete_after = ?3 WHERE name = ?1",
            params![name, now, delete_after],
        )?;
    } else {
        // No error if the secret does not exist or is scheduled for deletion.
        delete(connection, name)?;
    }
    Ok(json!({ "ARN": arn_of(name), "Name": name, "DeletionDate": date(delete_after)? }))
}

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RestoreSecret.html>
pub(super) fn restore(connection: &Connection, request: &SecretId, now: i64) -> Result<Value, ServiceError> {
    let name = Entry::existing(connection, request.name())?.name;
    connection.execute(
        "UPDATE secret_entry SET changed_at = ?2, deleted_at = NULL, delete_after = NULL WHERE name = ?1",
        params![name, now],
    )?;
    Ok(json!({ "ARN": arn_of(&name), "Name": name }))
}

/// Deletes the secrets whose recovery window has ended.
pub(super) fn delete_expired(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT name FROM secret_entry WHERE delete_after <= ?1")?;
    let expired: Vec<String> = select.query_map([now], |row| row.get(0))?.collect::<Result<_, _>>()?;
    expired.iter().try_for_each(|name| delete(connection, name))
}
