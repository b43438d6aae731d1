//! Which secrets there are, without their values.

use std::cmp::Reverse;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Entry, SELECT_ENTRY, Secrets, arn, date, entry, existing, invalid, versions};
use crate::error::ServiceError;
use crate::page::page;

/// The most secrets of one page.
const PAGE_MAX: usize = 100;

/// A request that says no more than which secret, by name or ARN.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SecretId {
    pub(super) secret_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSecrets {
    #[serde(default)]
    filters: Vec<Filter>,
    #[serde(default)]
    include_planned_deletion: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
    sort_order: Option<String>,
}

/// Beginnings, of which one must be that of the name or the description. With an exclamation mark in front
/// it must not be.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    key: String,
    values: Vec<String>,
}

impl Filter {
    fn matches(&self, entry: &Entry) -> bool {
        self.values.iter().any(|value| {
            let (wanted, prefix) = match value.strip_prefix('!') {
                Some(prefix) => (false, prefix),
                None => (true, value.as_str()),
            };
            // Names are compared as they are, descriptions in any case.
            let found = if self.key == "name" {
                entry.name.starts_with(prefix)
            } else {
                let description = entry.description.as_deref().unwrap_or_default().to_lowercase();
                description.starts_with(&prefix.to_lowercase())
            };
            found == wanted
        })
    }
}

impl Secrets {
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html>
    pub(super) fn describe(&self, request: &SecretId) -> Result<String, ServiceError> {
        let connection = self.database.lock();
        let entry = existing(&connection, &request.secret_id)?;
        let mut described = described(&entry)?;
        described.insert("VersionIdsToStages".to_owned(), versions::stages(&connection, &entry.name)?);
        if let Some(delete_after) = entry.delete_after {
            // Here it is when the deletion is due, in a list when it was asked for.
            described.insert("DeletedDate".to_owned(), date(delete_after)?);
        }
        Ok(Value::Object(described).to_string())
    }

    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>
    pub(super) fn list(&self, request: &ListSecrets) -> Result<String, ServiceError> {
        let is_known = |filter: &&Filter| matches!(filter.key.as_str(), "name" | "description");
        if let Some(filter) = request.filters.iter().find(|filter| !is_known(filter)) {
            return Err(invalid(format!("not embedded: filters by {}", filter.key)));
        }
        let connection = self.database.lock();
        let mut select =
            connection.prepare_cached(&format!("{SELECT_ENTRY} WHERE ?1 OR deleted_at IS NULL"))?;
        let entries = select.query_map([request.include_planned_deletion], entry)?;
        let mut entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
        entries.retain(|entry| request.filters.iter().all(|filter| filter.matches(entry)));
        match request.sort_order.as_deref() {
            Some("asc") => entries.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name))),
            _ => entries.sort_by_cached_key(|entry| (Reverse(entry.created_at), entry.name.clone())),
        }
        let most = request.max_results.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let (entries, next) = page(entries, |entry| &entry.name, request.next_token.as_deref(), most)
            .ok_or_else(|| ServiceError::client("InvalidNextTokenException", "NextToken is invalid."))?;
        let mut listed = Vec::new();
        for entry in entries {
            let mut described = described(&entry)?;
            let stages = versions::stages(&connection, &entry.name)?;
            described.insert("SecretVersionsToStages".to_owned(), stages);
            if let Some(deleted_at) = entry.deleted_at {
                described.insert("DeletedDate".to_owned(), date(deleted_at)?);
            }
            listed.push(described);
        }
        let mut answer = json!({ "SecretList": listed });
        if let Some(next) = next {
            answer["NextToken"] = next.into();
        }
        Ok(answer.to_string())
    }
}

fn described(entry: &Entry) -> Result<Map<String, Value>, ServiceError> {
    let mut described = Map::from_iter([
        ("ARN".to_owned(), arn(&entry.name).into()),
        ("Name".to_owned(), entry.name.as_str().into()),
        ("CreatedDate".to_owned(), date(entry.created_at)?),
        ("LastChangedDate".to_owned(), date(entry.changed_at)?),
    ]);
    if let Some(description) = &entry.description {
        described.insert("Description".to_owned(), description.as_str().into());
    }
    Ok(described)
}
