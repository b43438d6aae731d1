//! EventBridge: <https://docs.aws.amazon.com/eventbridge/latest/APIReference/Welcome.html>

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ServiceError, last_part};

/// The most entries of one request.
const ENTRIES_MAX: usize = 10;

/// The event buses. Events are checked and logged; the template has no rule that would carry one on.
#[derive(Debug)]
pub(super) struct EventBuses(Vec<String>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    event_bus_name: Option<String>,
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
}

impl EventBuses {
    pub(super) fn new(names: &[String]) -> Self {
        Self(names.to_vec())
    }

    pub(super) fn call(&self, operation: &str, body: &[u8]) -> Result<String, ServiceError> {
        if operation != "PutEvents" {
            return Err(ServiceError::client("UnknownOperationException", operation));
        }
        let PutEvents { entries } = serde_json::from_slice(body)?;
        if entries.is_empty() || entries.len() > ENTRIES_MAX {
            return Err(ServiceError::client("ValidationException", "a request has 1 to 10 entries"));
        }
        let results: Vec<_> = entries.iter().map(|entry| self.put(entry)).collect();
        let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
        Ok(json!({ "FailedEntryCount": failed, "Entries": results }).to_string())
    }

    fn put(&self, entry: &Entry) -> Value {
        let bus = last_part(entry.event_bus_name.as_deref().unwrap_or("default"));
        if !self.0.iter().any(|name| name == bus) {
            // As EventBridge does, which takes events for a bus that does not exist and drops them.
            tracing::warn!(bus, "an event for an unknown bus was dropped");
            return json!({ "EventId": Uuid::new_v4().to_string() });
        }
        let (Some(source), Some(detail_type), Some(detail)) =
            (&entry.source, &entry.detail_type, &entry.detail)
        else {
            return json!({ "ErrorCode": "InvalidArgument", "ErrorMessage": "source, detail type and detail are required" });
        };
        if !serde_json::from_str::<Value>(detail).is_ok_and(|detail| detail.is_object()) {
            return json!({ "ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed." });
        }
        tracing::debug!(bus, source, detail_type, detail, "an event");
        json!({ "EventId": Uuid::new_v4().to_string() })
    }
}
