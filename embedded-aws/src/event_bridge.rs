//! EventBridge: <https://docs.aws.amazon.com/eventbridge/latest/APIReference/Welcome.html>

use badgesmith_aws::clock::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::page::page;
use super::sqs::Queues;
use super::{ServiceError, last_part};
use crate::template::Rule;

/// The most entries of one request.
const ENTRIES_MAX: usize = 10;
/// The most buses of one page.
const PAGE_MAX: usize = 100;
/// The bus that every account has.
const DEFAULT_BUS: &str = "default";

/// The event buses, and the rules that carry events on to queues. An event that no rule matches is logged.
#[derive(Debug)]
pub(super) struct EventBuses {
    names: Vec<String>,
    rules: Vec<Rule>,
    queues: Queues,
    clock: Clock,
}

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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeEventBus {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListEventBuses {
    name_prefix: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

impl EventBuses {
    pub(super) fn new(names: &[String], rules: &[Rule], queues: Queues, clock: Clock) -> Self {
        let names = [&[DEFAULT_BUS.to_owned()], names].concat();
        Self { names, rules: rules.to_vec(), queues, clock }
    }

    pub(super) fn call(&self, operation: &str, body: &[u8]) -> Result<String, ServiceError> {
        match operation {
            "PutEvents" => self.put_all(&serde_json::from_slice(body)?),
            "DescribeEventBus" => self.describe(&serde_json::from_slice(body)?),
            "ListEventBuses" => self.list(&serde_json::from_slice(body)?),
            _ => Err(ServiceError::unknown(operation)),
        }
    }

    /// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeEventBus.html>
    fn describe(&self, request: &DescribeEventBus) -> Result<String, ServiceError> {
        let name = last_part(request.name.as_deref().unwrap_or(DEFAULT_BUS));
        if self.names.iter().any(|known| known == name) {
            return Ok(described(name).to_string());
        }
        let message = format!("Event bus {name} does not exist.");
        Err(ServiceError::client("ResourceNotFoundException", message))
    }

    /// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListEventBuses.html>
    fn list(&self, request: &ListEventBuses) -> Result<String, ServiceError> {
        let prefix = request.name_prefix.as_deref().unwrap_or_default();
        let names: Vec<&str> =
            self.names.iter().map(String::as_str).filter(|name| name.starts_with(prefix)).collect();
        let limit = request.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let (names, next) = page(names, |name| name, request.next_token.as_deref(), limit)
            .ok_or_else(|| ServiceError::client("ValidationException", "NextToken is invalid."))?;
        let mut answer = json!({ "EventBuses": names.into_iter().map(described).collect::<Vec<_>>() });
        if let Some(next) = next {
            answer["NextToken"] = next.into();
        }
        Ok(answer.to_string())
    }

    fn put_all(&self, PutEvents { entries }: &PutEvents) -> Result<String, ServiceError> {
        if entries.is_empty() || entries.len() > ENTRIES_MAX {
            return Err(ServiceError::client("ValidationException", "a request has 1 to 10 entries"));
        }
        let results = entries.iter().map(|entry| self.put(entry)).collect::<Result<Vec<_>, _>>()?;
        let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
        Ok(json!({ "FailedEntryCount": failed, "Entries": results }).to_string())
    }

    fn put(&self, entry: &Entry) -> Result<Value, ServiceError> {
        let id = Uuid::new_v4().to_string();
        let bus = last_part(entry.event_bus_name.as_deref().unwrap_or(DEFAULT_BUS));
        if !self.names.iter().any(|name| name == bus) {
            // As EventBridge does, which takes events for a bus that does not exist and drops them.
            tracing::warn!(bus, "an event for an unknown bus was dropped");
            return Ok(json!({ "EventId": id }));
        }
        let (Some(source), Some(detail_type), Some(detail)) =
            (&entry.source, &entry.detail_type, &entry.detail)
        else {
            return Ok(
                json!({ "ErrorCode": "InvalidArgument", "ErrorMessage": "source, detail type and detail are required" }),
            );
        };
        let Some(detail @ Value::Object(_)) = serde_json::from_str(detail).ok() else {
            return Ok(json!({ "ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed." }));
        };
        tracing::debug!(bus, source, detail_type, %detail, "an event");
        // https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
        let event = json!({
            "version": "0",
            "id": id,
            "detail-type": detail_type,
            "source": source,
            "account": "000000000000",
            "time": self.clock.now(),
            "region": "local",
            "resources": [],
            "detail": detail,
        });
        let matching = self.rules.iter().filter(|rule| {
            rule.event_bus == bus && rule.sources.contains(source) && rule.detail_types.contains(detail_type)
        });
        for queue in matching.flat_map(|rule| &rule.queues) {
            self.queues.deliver(queue, event.to_string())?;
        }
        Ok(json!({ "EventId": id }))
    }
}

/// A bus, as it is told of.
fn described(name: &str) -> Value {
    json!({ "Name": name, "Arn": format!("arn:aws:events:local:000000000000:event-bus/{name}") })
}
