//! Deleting secrets, and thinking better of it:
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_delete-secret.html>

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::json;

use super::catalog::SecretId;
use super::{Secrets, arn, date, existing, find, invalid, name_of, not_found, refused};
use crate::error::ServiceError;

/// How long a secret can be restored, unless it is said otherwise.
const RECOVERY_DAYS: i64 = 30;
/// The shortest time that can be said.
const RECOVERY_DAYS_MIN: i64 = 7;
const DAY_MILLISECONDS: i64 = 24 * 60 * 60 * 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteSecret {
    secret_id: String,
    #[serde(default)]
    force_delete_without_recovery: bool,
    recovery_window_in_days: Option<i64>,
}

impl Secrets {
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html>
    pub(super) fn schedule_deletion(&self, request: &DeleteSecret) -> Result<String, ServiceError> {
        let days = match request.recovery_window_in_days {
            Some(_) if request.force_delete_without_recovery => {
                return Err(invalid(
                    "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
                ));
            }
            Some(days) if !(RECOVERY_DAYS_MIN..=RECOVERY_DAYS).contains(&days) => {
                return Err(invalid("RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."));
            }
            Some(days) => days,
            None if request.force_delete_without_recovery => 0,
            None => RECOVERY_DAYS,
        };
        let now = self.now();
        let delete_after = now + days * DAY_MILLISECONDS;
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        let found = find(&transaction, &request.secret_id)?;
        let name = found.as_ref().map_or(name_of(&request.secret_id), |entry| &entry.name);
        if request.force_delete_without_recovery {
            // One that is not there, or is marked already, is none the worse for it.
            forget(&transaction, name)?;
        } else {
            let entry = found.as_ref().ok_or_else(|| not_found("secret."))?;
            if entry.deleted_at.is_some() {
                return Err(refused(
                    "You can't perform this operation on the secret because it was marked for deletion.",
                ));
            }
            transaction.execute(
                "UPDATE secret_entry SET changed_at = ?2, deleted_at = ?2, delete_after = ?3 WHERE name = ?1",
                params![name, now, delete_after],
            )?;
        }
        transaction.commit()?;
        Ok(json!({ "ARN": arn(name), "Name": name, "DeletionDate": date(delete_after)? }).to_string())
    }

    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RestoreSecret.html>
    pub(super) fn restore(&self, request: &SecretId) -> Result<String, ServiceError> {
        let connection = self.database.lock();
        let name = existing(&connection, &request.secret_id)?.name;
        connection.execute(
            "UPDATE secret_entry SET changed_at = ?2, deleted_at = NULL, delete_after = NULL WHERE name = ?1",
            params![name, self.now()],
        )?;
        Ok(json!({ "ARN": arn(&name), "Name": name }).to_string())
    }

    /// Deletes the secrets that can be restored no longer.
    pub(crate) fn delete_expired(&self) -> Result<(), ServiceError> {
        let now = self.now();
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        let expired: Vec<String> = transaction
            .prepare("SELECT name FROM secret_entry WHERE delete_after <= ?1")?
            .query_map([now], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for name in expired {
            forget(&transaction, &name)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// Deletes a secret with all its versions.
pub(super) fn forget(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM secret WHERE name = ?1", [name])?;
    connection.execute("DELETE FROM secret_entry WHERE name = ?1", [name])?;
    Ok(())
}
