//! EventBridge: <https://docs.aws.amazon.com/eventbridge/latest/APIReference/Welcome.html>

use badgesmith_aws::clock::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::arn::{ACCOUNT, arn, resource_name};
use crate::error::ServiceError;
use crate::sqs::Queues;
use crate::template::Rule;

/// The maximum number of entries in one request.
const ENTRIES_MAX: usize = 10;
/// The bus that every account has.
const DEFAULT_BUS: &str = "default";

/// The event buses, and the rules that send events to queues. An event that no rule matches is only logged.
#[derive(Debug)]
pub(crate) struct EventBuses {
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

impl EventBuses {
    pub(crate) fn new(names: &[String], rules: &[Rule], queues: Queues, clock: Clock) -> Self {
        let names = [&[DEFAULT_BUS.to_owned()], names].concat();
        Self { names, rules: rules.to_vec(), queues, clock }
    }

    pub(crate) fn call(&self, operation: &str, body: &[u8]) -> Result<String, ServiceError> {
        match operation {
            "PutEvents" => self.put_events(&serde_json::from_slice(body)?),
            "DescribeEventBus" => self.describe(&serde_json::from_slice(body)?),
            _ => Err(ServiceError::unknown(operation)),
        }
    }

    /// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeEventBus.html>
    fn describe(&self, request: &DescribeEventBus) -> Result<String, ServiceError> {
        let name = resource_name(request.name.as_deref().unwrap_or(DEFAULT_BUS));
        if self.names.iter().any(|known| known == name) {
            let arn = arn("events", &format!("event-bus/{name}"));
            return Ok(json!({ "Name": name, "Arn": arn }).to_string());
        }
        let message = format!("Event bus {name} does not exist.");
        Err(ServiceError::client("ResourceNotFoundException", message))
    }

    /// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>
    fn put_events(&self, PutEvents { entries }: &PutEvents) -> Result<String, ServiceError> {
        if entries.is_empty() || entries.len() > ENTRIES_MAX {
            let message = format!("a request has 1 to {ENTRIES_MAX} entries");
            return Err(ServiceError::client("ValidationException", message));
        }
        let results = entries.iter().map(|entry| self.put(entry)).collect::<Result<Vec<_>, _>>()?;
        let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
        Ok(json!({ "FailedEntryCount": failed, "Entries": results }).to_string())
    }

    fn put(&self, entry: &Entry) -> Result<Value, ServiceError> {
        let id = Uuid::new_v4().to_string();
        let bus = resource_name(entry.event_bus_name.as_deref().unwrap_or(DEFAULT_BUS));
        if !self.names.iter().any(|name| name == bus) {
            // EventBridge also accepts events for a bus that does not exist, and drops them.
            tracing::warn!(bus, "dropped an event for an unknown event bus");
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
        tracing::debug!(bus, source, detail_type, %detail, "received an event");
        // https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
        let event = json!({
            "version": "0",
            "id": id,
            "detail-type": detail_type,
            "source": source,
            "account": ACCOUNT,
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
