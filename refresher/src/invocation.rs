//! The events that invoke the function, and its results.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::report::Report;

/// The `detail-type` of an event from a scheduled rule.
const SCHEDULED: &str = "Scheduled Event";

#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub enum Invocation {
    /// A batch of messages, each a `PackageRequested` event.
    Requests(SqsEvent),
    /// The scheduled rule: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html>
    Schedule,
}

impl TryFrom<Value> for Invocation {
    type Error = serde_json::Error;

    fn try_from(event: Value) -> Result<Self, serde_json::Error> {
        if event.get("detail-type").and_then(Value::as_str) == Some(SCHEDULED) {
            return Ok(Self::Schedule);
        }
        serde_json::from_value(event).map(Self::Requests)
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum InvocationResult {
    /// The messages to deliver again.
    Requests(SqsBatchResponse),
    Schedule(Report),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scheduled_events_and_batches_are_distinguished() {
        let event = |value: Value| serde_json::from_value::<Invocation>(value);
        let schedule = json!({ "version": "0", "detail-type": "Scheduled Event", "detail": {} });
        assert!(matches!(event(schedule), Ok(Invocation::Schedule)));
        let batch = json!({ "Records": [{ "messageId": "1", "body": "{}" }] });
        assert!(matches!(event(batch), Ok(Invocation::Requests(batch)) if batch.records.len() == 1));
        assert!(event(json!({ "detail-type": "Other" })).is_err());
        assert!(event(json!("Records")).is_err());
    }
}
