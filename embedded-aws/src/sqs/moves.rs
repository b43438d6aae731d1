//! Replaying dead letters:
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>
//!
//! AWS takes its time for it; here all is done when it is answered. So there is nothing to cancel.

use std::sync::PoisonError;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::params;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::receive::SOURCE_ATTRIBUTE;
use super::refusal::{invalid_value, within};
use super::{Queues, arn};
use crate::error::ServiceError;
use crate::last_part;
use crate::template::QueueSettings;

/// As many moves are remembered of a queue.
const TASKS_MAX: usize = 10;

/// A move that was made.
#[derive(Debug)]
pub(super) struct Task {
    source: String,
    destination: Option<String>,
    moved: usize,
    started_at: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartMessageMoveTask {
    source_arn: String,
    destination_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListMessageMoveTasks {
    source_arn: String,
    max_results: Option<i64>,
}

impl Queues {
    pub(super) fn start_move(&self, body: &[u8]) -> Result<String, ServiceError> {
        let request: StartMessageMoveTask = serde_json::from_slice(body)?;
        let source = self.at_arn(&request.source_arn)?;
        if !self.is_dead_letter_queue(&source.name) {
            return Err(invalid_value("Source queue must be configured as a Dead Letter Queue."));
        }
        let destination = request.destination_arn.as_deref().map(|arn| self.at_arn(arn)).transpose()?;
        let now = self.now();
        // Without a destination a message goes where it came from; one that does not know stays.
        let moved = self.database.lock().execute(
            "UPDATE message SET queue = target, visible_at = ?3, receive_count = 0, receipt_handle = NULL,
                 first_received_at = NULL, system_attributes = json_remove(system_attributes, '$.' || ?4)
             FROM (SELECT sequence AS moving, coalesce(?2, replace(
                       json_extract(system_attributes, '$.' || ?4 || '.StringValue'), ?5, '')) AS target
                   FROM message WHERE queue = ?1 AND visible_at <= ?3)
             WHERE sequence = moving AND target IS NOT NULL",
            params![source.name, destination.map(|queue| &queue.name), now, SOURCE_ATTRIBUTE, arn("")],
        )?;
        let (source, destination) = (source.name.clone(), destination.map(|queue| queue.name.clone()));
        let mut tasks = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.insert(0, Task { source, destination, moved, started_at: now });
        // Of all queues together: there are few.
        tasks.truncate(TASKS_MAX * self.settings.len());
        self.arrived.notify_waiters();
        Ok(json!({ "TaskHandle": STANDARD.encode(Uuid::new_v4().to_string()) }).to_string())
    }

    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListMessageMoveTasks.html>
    pub(super) fn list_moves(&self, body: &[u8]) -> Result<String, ServiceError> {
        let request: ListMessageMoveTasks = serde_json::from_slice(body)?;
        let source = self.at_arn(&request.source_arn)?;
        let most = within("MaxResults", request.max_results.unwrap_or(1), 1, 10)?;
        let tasks = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let of_source = tasks.iter().filter(|task| task.source == source.name);
        let results: Vec<_> = of_source.take(usize::try_from(most).unwrap_or(1)).map(described).collect();
        Ok(json!({ "Results": results }).to_string())
    }

    fn at_arn(&self, arn: &str) -> Result<&QueueSettings, ServiceError> {
        self.settings.get(last_part(arn)).filter(|_| arn.starts_with("arn:")).ok_or_else(|| {
            let message =
                format!("The resource that you specified for the ARN parameter doesn't exist: {arn}");
            ServiceError::client("ResourceNotFoundException", message)
        })
    }
}

fn described(task: &Task) -> Value {
    let mut described = json!({
        "Status": "COMPLETED",
        "SourceArn": arn(&task.source),
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.moved,
        "StartedTimestamp": task.started_at,
    });
    if let Some(destination) = &task.destination {
        described["DestinationArn"] = arn(destination).into();
    }
    described
}

#[cfg(test)]
mod tests {
    use badgesmith_aws::clock::Clock;

    use crate::template::Template;
    use crate::{Aws, Storage};

    use super::*;

    async fn call(aws: &Aws, operation: &str, body: Value) -> Value {
        let target = format!("AmazonSQS.{operation}");
        let answer = aws.answer("sqs.test", &target, body.to_string().into_bytes()).await.unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    #[tokio::test]
    async fn what_was_received_too_often_knows_the_way_back() {
        let aws = Aws::open(&Storage::Memory, &Template::load().unwrap(), &Clock::System).unwrap();
        let (results, dead) = ("http://sqs.test/ResultsQueue", "http://sqs.test/ResultsDeadLetterQueue");
        for (queue, body) in [(results, "tired"), (dead, "stranger")] {
            call(&aws, "SendMessage", json!({ "QueueUrl": queue, "MessageBody": body })).await;
        }
        let peek = json!({ "QueueUrl": results, "VisibilityTimeout": 0, "AttributeNames": ["All"] });
        for count in 1..=20 {
            let received = call(&aws, "ReceiveMessage", peek.clone()).await;
            let told = &received["Messages"][0]["Attributes"]["ApproximateReceiveCount"];
            assert_eq!(told, &json!(count.to_string()));
        }
        assert_eq!(call(&aws, "ReceiveMessage", peek).await, json!({}));
        let peek = json!({
            "QueueUrl": dead, "VisibilityTimeout": 0, "MaxNumberOfMessages": 10,
            "MessageSystemAttributeNames": [SOURCE_ATTRIBUTE],
        });
        let letters = call(&aws, "ReceiveMessage", peek).await;
        let letter = |body: &str| {
            letters["Messages"].as_array().unwrap().iter().find(|letter| letter["Body"] == body).unwrap()
        };
        assert_eq!(letter("tired")["Attributes"], json!({ SOURCE_ATTRIBUTE: arn("ResultsQueue") }));
        assert_eq!(letter("stranger")["Attributes"], Value::Null);

        let source = json!({ "SourceArn": arn("ResultsDeadLetterQueue") });
        call(&aws, "StartMessageMoveTask", source.clone()).await;
        let moves = call(&aws, "ListMessageMoveTasks", source).await;
        assert_eq!(moves["Results"][0]["ApproximateNumberOfMessagesMoved"], 1);
        assert_eq!(aws.queues().depth("ResultsQueue"), Ok(1));
        assert_eq!(aws.queues().depth("ResultsDeadLetterQueue"), Ok(1));
    }
}
