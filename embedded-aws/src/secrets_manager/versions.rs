//! The values of secrets, and the labels that say which one counts:
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version>
//!
//! A version that has lost its last label is forgotten at once; AWS does that later.

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{CURRENT, PREVIOUS, Secrets, arn, date, find, invalid, not_found, refused, usable};
use crate::error::ServiceError;

/// The largest value.
const VALUE_BYTES_MAX: usize = 65_536;
/// The longest name.
const NAME_CHARACTERS_MAX: usize = 512;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetSecretValue {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateSecret {
    name: String,
    description: Option<String>,
    client_request_token: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutSecretValue {
    secret_id: String,
    client_request_token: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
    version_stages: Option<Vec<String>>,
}

/// One label, and the version that has it.
struct Labelled {
    stage: String,
    version_id: String,
    value: String,
    created_at: i64,
}

impl Secrets {
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
    pub(super) fn get_value(&self, request: &GetSecretValue) -> Result<String, ServiceError> {
        let connection = self.database.lock();
        let name = usable(&connection, &request.secret_id)?.name;
        let labelled = labelled(&connection, &name)?;
        let stage = match (&request.version_id, &request.version_stage) {
            (_, Some(stage)) => Some(stage.as_str()),
            (None, None) => Some(CURRENT),
            (Some(_), None) => None,
        };
        let missing = || match (&request.version_id, stage) {
            (Some(_), Some(_)) => {
                refused("You provided a VersionStage that is not associated to the provided VersionId.")
            }
            (Some(id), None) => not_found(format_args!("secret value for VersionId: {id}")),
            (None, stage) => {
                not_found(format_args!("secret value for staging label: {}", stage.unwrap_or_default()))
            }
        };
        let found = labelled.iter().find(|version| {
            request.version_id.as_ref().is_none_or(|id| *id == version.version_id)
                && stage.is_none_or(|stage| stage == version.stage)
        });
        let version = found.ok_or_else(missing)?;
        Ok(json!({
            "ARN": arn(&name),
            "Name": name,
            "VersionId": version.version_id,
            "VersionStages": stages_of(&labelled, &version.version_id),
            "SecretString": version.value,
            "CreatedDate": date(version.created_at)?,
        })
        .to_string())
    }

    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
    pub(super) fn create(&self, request: CreateSecret) -> Result<String, ServiceError> {
        let CreateSecret { name, description, client_request_token, secret_string, secret_binary } = request;
        if !is_name(&name) {
            let message = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the \
                           following: -/_+=.@!";
            return Err(ServiceError::client("ValidationException", message));
        }
        let value = text(secret_string, secret_binary.is_some())?;
        let now = self.now();
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        if let Some(entry) = find(&transaction, &name)? {
            if entry.deleted_at.is_some() {
                return Err(refused(
                    "You can't create this secret because a secret with this name is already scheduled for deletion.",
                ));
            }
            let labelled = labelled(&transaction, &name)?;
            let repeated = labelled.iter().find(|version| {
                client_request_token.as_ref() == Some(&version.version_id)
                    && value.as_ref() == Some(&version.value)
            });
            let Some(version) = repeated else {
                let message = format!("The operation failed because the secret {name} already exists.");
                return Err(ServiceError::client("ResourceExistsException", message));
            };
            return Ok(created(&name, Some(&version.version_id)));
        }
        transaction.execute(
            "INSERT INTO secret_entry (name, description, created_at, changed_at) VALUES (?1, ?2, ?3, ?3)",
            params![name, description, now],
        )?;
        let version_id = value.as_ref().map(|_| client_request_token.unwrap_or_else(new_id));
        if let (Some(version_id), Some(value)) = (&version_id, &value) {
            add(&transaction, &name, version_id, value, &[CURRENT.to_owned()], now)?;
        }
        transaction.commit()?;
        Ok(created(&name, version_id.as_deref()))
    }

    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html>
    pub(super) fn put_value(&self, request: PutSecretValue) -> Result<String, ServiceError> {
        let value = text(request.secret_string, request.secret_binary.is_some())?
            .ok_or_else(|| refused("You must provide either SecretString or SecretBinary."))?;
        let stages = request.version_stages.unwrap_or_else(|| vec![CURRENT.to_owned()]);
        if stages.is_empty() || stages.iter().any(String::is_empty) {
            return Err(invalid("VersionStages must hold at least one label."));
        }
        let version_id = request.client_request_token.unwrap_or_else(new_id);
        let now = self.now();
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        let name = usable(&transaction, &request.secret_id)?.name;
        let before = labelled(&transaction, &name)?;
        match before.iter().find(|version| version.version_id == version_id) {
            // A request that was repeated, since its answer was lost.
            Some(version) if version.value == value => {}
            Some(_) => {
                let message = format!(
                    "You can't use ClientRequestToken {version_id} because that value is already in use for a \
                     version of secret {}.",
                    arn(&name)
                );
                return Err(ServiceError::client("ResourceExistsException", message));
            }
            None => add(&transaction, &name, &version_id, &value, &stages, now)?,
        }
        let after = labelled(&transaction, &name)?;
        transaction.commit()?;
        Ok(json!({
            "ARN": arn(&name),
            "Name": name,
            "VersionId": version_id,
            "VersionStages": stages_of(&after, &version_id),
        })
        .to_string())
    }
}

/// Adds a version with these labels, which others lose. The first version of a secret is its current one, and the
/// one that was current before is the previous one.
pub(super) fn add(
    connection: &Connection,
    name: &str,
    version_id: &str,
    value: &str,
    labels: &[String],
    now: i64,
) -> rusqlite::Result<()> {
    let has_current =
        connection.prepare("SELECT 1 FROM secret WHERE name = ?1 AND stage = ?2")?.exists([name, CURRENT])?;
    let becomes_current = labels.iter().any(|label| label == CURRENT);
    if has_current && becomes_current {
        connection.execute("DELETE FROM secret WHERE name = ?1 AND stage = ?2", [name, PREVIOUS])?;
        connection.execute(
            "UPDATE secret SET stage = ?3 WHERE name = ?1 AND stage = ?2",
            [name, CURRENT, PREVIOUS],
        )?;
    }
    let first = (!has_current && !becomes_current).then_some(CURRENT);
    for label in labels.iter().map(String::as_str).chain(first) {
        connection.execute(
            "INSERT OR REPLACE INTO secret (name, stage, version_id, value, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![name, label, version_id, value, now],
        )?;
    }
    connection.execute("UPDATE secret_entry SET changed_at = ?2 WHERE name = ?1", params![name, now])?;
    Ok(())
}

/// The labels of each version of a secret.
pub(super) fn stages(connection: &Connection, name: &str) -> Result<Value, ServiceError> {
    let labelled = labelled(connection, name)?;
    let stages: Map<String, Value> = labelled
        .iter()
        .map(|version| (version.version_id.clone(), stages_of(&labelled, &version.version_id).into()))
        .collect();
    Ok(stages.into())
}

fn labelled(connection: &Connection, name: &str) -> Result<Vec<Labelled>, ServiceError> {
    let select = "SELECT stage, version_id, value, created_at FROM secret WHERE name = ?1 ORDER BY stage";
    let mut select = connection.prepare_cached(select)?;
    let rows = select.query_map([name], |row| {
        Ok(Labelled {
            stage: row.get(0)?,
            version_id: row.get(1)?,
            value: row.get(2)?,
            created_at: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn stages_of<'a>(labelled: &'a [Labelled], version_id: &str) -> Vec<&'a str> {
    let of_version = labelled.iter().filter(|version| version.version_id == version_id);
    of_version.map(|version| version.stage.as_str()).collect()
}

fn created(name: &str, version_id: Option<&str>) -> String {
    let mut created = json!({ "ARN": arn(name), "Name": name });
    if let Some(version_id) = version_id {
        created["VersionId"] = version_id.into();
    }
    created.to_string()
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// The value of a request. Only text is embedded: no function reads anything else.
fn text(string: Option<String>, has_binary: bool) -> Result<Option<String>, ServiceError> {
    if has_binary {
        return Err(invalid("SecretBinary is not embedded; use SecretString."));
    }
    let Some(value) = string else { return Ok(None) };
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return Err(invalid(format!("SecretString must have 1 to {VALUE_BYTES_MAX} bytes.")));
    }
    Ok(Some(value))
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-/_+=.@!".contains(&byte);
    !name.is_empty() && name.len() <= NAME_CHARACTERS_MAX && name.bytes().all(allowed)
}
