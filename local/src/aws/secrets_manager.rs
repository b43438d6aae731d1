//! Secrets Manager, on SQLite:
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/Welcome.html>

use badgesmith_shared::clock::Clock;
use rusqlite::{OptionalExtension, params};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{Database, ServiceError};

/// All secrets, each with its current version and the one before.
#[derive(Debug)]
pub struct Secrets {
    database: Database,
    clock: Clock,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
    version_stage: Option<String>,
}

impl Secrets {
    pub(super) fn open(database: Database, clock: Clock) -> Result<Self, rusqlite::Error> {
        database.lock().execute_batch(
            "CREATE TABLE IF NOT EXISTS secret (
                 name TEXT NOT NULL,
                 stage TEXT NOT NULL,
                 version_id TEXT NOT NULL,
                 value TEXT NOT NULL,
                 created_at INTEGER NOT NULL,
                 PRIMARY KEY (name, stage)
             ) STRICT;",
        )?;
        Ok(Self { database, clock })
    }

    /// Makes `value` the current version of a secret, and what was current the previous one. The same value
    /// again changes nothing.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn put(&self, name: &str, value: &str) -> rusqlite::Result<()> {
        if self.current(name)?.as_deref() == Some(value) {
            return Ok(());
        }
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM secret WHERE name = ?1 AND stage = 'AWSPREVIOUS'", [name])?;
        transaction.execute("UPDATE secret SET stage = 'AWSPREVIOUS' WHERE name = ?1", [name])?;
        transaction.execute(
            "INSERT INTO secret (name, stage, version_id, value, created_at) VALUES (?1, 'AWSCURRENT', ?2, ?3, ?4)",
            params![name, Uuid::new_v4().to_string(), value, self.clock.now().unix_milliseconds()],
        )?;
        transaction.commit()
    }

    /// The current value of a secret.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn current(&self, name: &str) -> rusqlite::Result<Option<String>> {
        self.database
            .lock()
            .query_row("SELECT value FROM secret WHERE name = ?1 AND stage = 'AWSCURRENT'", [name], |row| {
                row.get(0)
            })
            .optional()
    }

    /// Deletes a secret with all its versions, at once.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn delete(&self, name: &str) -> rusqlite::Result<()> {
        let connection = self.database.lock();
        connection.execute("DELETE FROM secret WHERE name = ?1", [name])?;
        Ok(())
    }

    pub(super) fn call(&self, operation: &str, body: &[u8]) -> Result<String, ServiceError> {
        if operation != "GetSecretValue" {
            return Err(ServiceError::client("UnknownOperationException", operation));
        }
        let request: GetSecretValue = serde_json::from_slice(body)?;
        // An ARN ends with the name; a name may hold slashes, so only colons separate.
        let name = request.secret_id.rsplit(':').next().unwrap_or(&request.secret_id);
        let stage = request.version_stage.as_deref().unwrap_or("AWSCURRENT");
        let found = self
            .database
            .lock()
            .query_row(
                "SELECT version_id, value, created_at FROM secret WHERE name = ?1 AND stage = ?2",
                [name, stage],
                |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)),
            )
            .optional()?;
        let Some((version_id, value, created_at)) = found else {
            let message = "Secrets Manager can't find the specified secret.";
            return Err(ServiceError::client("ResourceNotFoundException", message));
        };
        // The date is in seconds, with a fraction. A float holds milliseconds exactly enough until far
        // beyond any date here, but is written without detour to keep every digit.
        let created = format!("{}.{:03}", created_at.div_euclid(1000), created_at.rem_euclid(1000));
        let created: serde_json::Number = created.parse()?;
        Ok(json!({
            "ARN": format!("arn:aws:secretsmanager:local:000000000000:secret:{name}"),
            "Name": name,
            "VersionId": version_id,
            "VersionStages": [stage],
            "SecretString": value,
            "CreatedDate": created,
        })
        .to_string())
    }
}
