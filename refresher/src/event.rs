//! What the function is invoked with, and answers.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schedule::Report;

/// What EventBridge Scheduler and the rules of EventBridge call an invocation by the clock.
const SCHEDULED: &str = "Scheduled Event";

/// An invocation.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub enum Event {
    /// A batch of messages, each a `PackageRequested` event.
    Requests(SqsEvent),
    /// It is time to refresh what is due:
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html>
    Schedule,
}

impl TryFrom<Value> for Event {
    type Error = serde_json::Error;

    fn try_from(event: Value) -> Result<Self, serde_json::Error> {
        if event.get("detail-type").and_then(Value::as_str) == Some(SCHEDULED) {
            return Ok(Self::Schedule);
        }
        serde_json::from_value(event).map(Self::Requests)
    }
}

/// What came of an invocation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// The messages that are to be delivered again (a partial batch response).
    Requests(SqsBatchResponse),
    /// What was refreshed.
    Schedule(Report),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_two_kinds_of_events_are_told_apart() {
        let event = |value: Value| serde_json::from_value::<Event>(value);
        let schedule = json!({ "version": "0", "detail-type": "Scheduled Event", "detail": {} });
        assert!(matches!(event(schedule), Ok(Event::Schedule)));
        let batch = json!({ "Records": [{ "messageId": "1", "body": "{}" }] });
        assert!(matches!(event(batch), Ok(Event::Requests(batch)) if batch.records.len() == 1));
        assert!(event(json!({ "detail-type": "Other" })).is_err());
        assert!(event(json!("Records")).is_err());
    }
}
