//! Descriptions of secrets, without their values.

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::entry::{Entry, SecretId, arn_of, date};
use super::versions::Version;
use crate::error::ServiceError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSecrets {
    #[serde(default)]
    include_planned_deletion: bool,
    #[serde(default)]
    filters: Vec<Value>,
}

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html>
pub(super) fn describe(connection: &Connection, request: &SecretId) -> Result<Value, ServiceError> {
    let entry = Entry::existing(connection, request.name())?;
    // Unlike in a list, `DeletedDate` is when the recovery window ends.
    description(connection, &entry, "VersionIdsToStages", entry.delete_after)
}

/// All secrets in one page: `MaxResults` has no effect.
///
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>
pub(super) fn list(connection: &Connection, request: &ListSecrets) -> Result<Value, ServiceError> {
    if !request.filters.is_empty() {
        return Err(ServiceError::client("InvalidParameterException", "Filters are not embedded."));
    }
    let mut entries = Entry::all(connection)?;
    entries.retain(|entry| request.include_planned_deletion || entry.deleted_at.is_none());
    let descriptions = entries
        .iter()
        .map(|entry| description(connection, entry, "SecretVersionsToStages", entry.deleted_at))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "SecretList": descriptions }))
}

fn description(
    connection: &Connection,
    entry: &Entry,
    stages_field: &str,
    deleted_date: Option<i64>,
) -> Result<Value, ServiceError> {
    let versions = Version::all(connection, &entry.name)?.into_iter();
    let stages: Map<_, _> = versions.map(|version| (version.id, json!([version.stage]))).collect();
    Ok(json!({
        "ARN": arn_of(&entry.name),
        "Name": entry.name,
        "CreatedDate": date(entry.created_at)?,
        "LastChangedDate": date(entry.changed_at)?,
        "DeletedDate": deleted_date.map(date).transpose()?,
        stages_field: stages,
    }))
}
