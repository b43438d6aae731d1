//! The values of secrets. A `ClientRequestToken` becomes the id of the version: the same one with the same value is a
//! retry, and changes nothing.

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::{Value, json};

use super::entry::{Entry, SecretId, arn_of, date};
use super::versions::{self, CURRENT, Version};
use crate::error::ServiceError;

const VALUE_BYTES_MAX: usize = 65_536;
const NAME_CHARACTERS_MAX: usize = 512;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetSecretValue {
    #[serde(flatten)]
    secret: SecretId,
    version_id: Option<String>,
    version_stage: Option<String>,
}

/// The SDK and the AWS CLI add a `ClientRequestToken` to each request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutSecretValue {
    #[serde(flatten)]
    secret: SecretId,
    client_request_token: String,
    secret_string: Option<String>,
    version_stages: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateSecret {
    name: String,
    client_request_token: String,
    secret_string: Option<String>,
}

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
pub(super) fn get(connection: &Connection, request: &GetSecretValue) -> Result<Value, ServiceError> {
    let name = Entry::usable(connection, request.secret.name())?.name;
    if request.version_id.is_some() {
        return Err(invalid_parameter("VersionId is not embedded; use VersionStage."));
    }
    let stage = request.version_stage.as_deref().unwrap_or(CURRENT);
    let mut versions = Version::all(connection, &name)?.into_iter();
    let version = versions.find(|version| version.stage == stage).ok_or_else(|| {
        let message = "Secrets Manager can't find the specified secret value for staging label:";
        ServiceError::client("ResourceNotFoundException", format!("{message} {stage}"))
    })?;
    Ok(json!({
        "ARN": arn_of(&name),
        "Name": name,
        "VersionId": version.id,
        "VersionStages": [version.stage],
        "SecretString": version.value,
        "CreatedDate": date(version.created_at)?,
    }))
}

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html>
pub(super) fn put(connection: &Connection, request: PutSecretValue, now: i64) -> Result<Value, ServiceError> {
    let value = checked(request.secret_string)?;
    if request.version_stages.is_some_and(|stages| stages != [CURRENT]) {
        return Err(invalid_parameter("VersionStages other than AWSCURRENT are not embedded."));
    }
    let name = Entry::usable(connection, request.secret.name())?.name;
    let id = request.client_request_token;
    let mut versions = Version::all(connection, &name)?.into_iter();
    let stage = match versions.find(|version| version.id == id) {
        None => {
            versions::add(connection, &name, &id, &value, now)?;
            CURRENT.to_owned()
        }
        Some(version) if version.value == value => version.stage,
        Some(_) => {
            let message = format!("You can't use ClientRequestToken {id} because a version has it already.");
            return Err(ServiceError::client("ResourceExistsException", message));
        }
    };
    Ok(json!({ "ARN": arn_of(&name), "Name": name, "VersionId": id, "VersionStages": [stage] }))
}

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
pub(super) fn create(
    connection: &Connection,
    request: CreateSecret,
    now: i64,
) -> Result<Value, ServiceError> {
    let CreateSecret { name, client_request_token: id, secret_string } = request;
    if !is_name(&name) {
        let message = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the \
                       following: -/_+=.@!";
        return Err(ServiceError::client("ValidationException", message));
    }
    let value = checked(secret_string)?;
    if let Some(entry) = Entry::find(connection, &name)? {
        if entry.deleted_at.is_some() {
            let message = "You can't create this secret because a secret with this name is already scheduled for \
                           deletion.";
            return Err(ServiceError::client("InvalidRequestException", message));
        }
        let versions = Version::all(connection, &name)?;
        if !versions.iter().any(|version| version.id == id && version.value == value) {
            let message = format!("The operation failed because the secret {name} already exists.");
            return Err(ServiceError::client("ResourceExistsException", message));
        }
    } else {
        connection.execute(
            "INSERT INTO secret_entry (name, created_at, changed_at) VALUES (?1, ?2, ?2)",
            params![name, now],
        )?;
        versions::add(connection, &name, &id, &value, now)?;
    }
    Ok(json!({ "ARN": arn_of(&name), "Name": name, "VersionId": id }))
}

/// Only text is embedded, because no function reads anything else.
fn checked(secret_string: Option<String>) -> Result<String, ServiceError> {
    let in_bounds = |value: &String| (1..=VALUE_BYTES_MAX).contains(&value.len());
    secret_string.filter(in_bounds).ok_or_else(|| {
        invalid_parameter(&format!(
            "SecretString must have 1 to {VALUE_BYTES_MAX} bytes; SecretBinary is not embedded."
        ))
    })
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-/_+=.@!".contains(&byte);
    !name.is_empty() && name.len() <= NAME_CHARACTERS_MAX && name.bytes().all(allowed)
}

fn invalid_parameter(message: &str) -> ServiceError {
    ServiceError::client("InvalidParameterException", message)
}
