//! Requests with up to ten entries, each of which succeeds or fails independently.

use std::collections::HashSet;

use rusqlite::Connection;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::errors::query_code;
use super::queues::Queues;
use crate::error::ServiceError;
use crate::template::QueueSettings;

/// The maximum number of messages in one receive or batch.
pub(super) const BATCH_MAX: usize = 10;
const ID_CHARACTERS_MAX: usize = 80;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    #[serde(default)]
    entries: Vec<Value>,
}

pub(super) struct Entry<T> {
    id: String,
    pub(super) content: T,
}

/// Reads the entries of a batch: 1 to 10, with distinct ids.
pub(super) fn entries<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<Entry<T>>, ServiceError> {
    let Batch { entries } = serde_json::from_slice(body)?;
    if entries.is_empty() {
        let message = "There should be at least one entry in the request.";
        return Err(ServiceError::client("EmptyBatchRequest", message));
    }
    if entries.len() > BATCH_MAX {
        let message = format!(
            "Maximum number of entries per request are {BATCH_MAX}. You have sent {}.",
            entries.len()
        );
        return Err(ServiceError::client("TooManyEntriesInBatchRequest", message));
    }
    let mut ids = HashSet::new();
    entries
        .into_iter()
        .map(|entry| {
            let id = entry["Id"].as_str().unwrap_or_default().to_owned();
            if !is_id(&id) {
                let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
                               It can be at most 80 letters long.";
                return Err(ServiceError::client("InvalidBatchEntryId", message));
            }
            if !ids.insert(id.clone()) {
                return Err(ServiceError::client("BatchEntryIdsNotDistinct", format!("Id {id} repeated.")));
            }
            Ok(Entry { id, content: serde_json::from_value(entry)? })
        })
        .collect()
}

fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !id.is_empty() && id.len() <= ID_CHARACTERS_MAX && id.bytes().all(allowed)
}

impl Queues {
    /// Applies `operation` to each entry, all in one transaction, and returns the result of each. If the database
    /// fails, the whole request fails.
    pub(super) fn each<T>(
        &self,
        body: &[u8],
        entries: &[Entry<T>],
        operation: impl Fn(&Connection, &QueueSettings, &T) -> Result<Map<String, Value>, ServiceError>,
    ) -> Result<String, ServiceError> {
        let queue = self.addressed(body)?;
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        let mut connection = self.database.lock();
        let transaction = connection.transaction()?;
        for Entry { id, content } in entries {
            match operation(&transaction, queue, content) {
                Ok(mut result) => {
                    result.insert("Id".to_owned(), id.as_str().into());
                    successful.push(result);
                }
                Err(error) if error.status >= 500 => return Err(error),
                Err(error) => failed.push(json!({
                    "Id": id,
                    "SenderFault": true,
                    "Code": query_code(&error.code()),
                    "Message": error.message(),
                })),
            }
        }
        transaction.commit()?;
        Ok(json!({ "Successful": successful, "Failed": failed }).to_string())
    }
}
