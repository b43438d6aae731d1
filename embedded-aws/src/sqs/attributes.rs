//! The attributes of a queue:
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>

use rusqlite::params;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::queues::Queues;
use super::send::BYTES_MAX;
use crate::error::ServiceError;
use crate::template::QueueSettings;

/// The attributes of SQS that no embedded queue has.
const UNSET_ATTRIBUTES: [&str; 10] = [
    "Policy",
    "RedriveAllowPolicy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "FifoQueue",
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoThroughputLimit",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueAttributes {
    #[serde(default)]
    attribute_names: Vec<String>,
}

impl Queues {
    pub(super) fn get_attributes(&self, body: &[u8]) -> Result<String, ServiceError> {
        let GetQueueAttributes { attribute_names } = serde_json::from_slice(body)?;
        let mut attributes = self.attributes(self.addressed(body)?)?;
        let is_known = |name: &str| {
            let known = ["All", "RedrivePolicy"].into_iter().chain(UNSET_ATTRIBUTES);
            attributes.contains_key(name) || known.into_iter().any(|known| known == name)
        };
        if let Some(unknown) = attribute_names.iter().find(|name| !is_known(name)) {
            let message = format!("Unknown Attribute {unknown}.");
            return Err(ServiceError::client("InvalidAttributeName", message));
        }
        if !attribute_names.iter().any(|name| name == "All") {
            attributes.retain(|name, _| attribute_names.contains(name));
        }
        Ok(json!({ "Attributes": attributes }).to_string())
    }

    fn attributes(&self, queue: &QueueSettings) -> Result<Map<String, Value>, ServiceError> {
        let (visible, in_flight, delayed): (i64, i64, i64) = self.database.lock().query_row(
            "SELECT count(*) FILTER (WHERE visible_at <= ?2),
                 count(*) FILTER (WHERE visible_at > ?2 AND receive_count > 0),
                 count(*) FILTER (WHERE visible_at > ?2 AND receive_count = 0)
             FROM message WHERE queue = ?1",
            params![queue.name, self.now()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let mut attributes: Map<String, Value> = [
            ("ApproximateNumberOfMessages", visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", in_flight.to_string()),
            ("ApproximateNumberOfMessagesDelayed", delayed.to_string()),
            ("QueueArn", Self::arn(&queue.name)),
            ("VisibilityTimeout", queue.visibility_timeout_seconds.to_string()),
            ("MessageRetentionPeriod", queue.retention_seconds.to_string()),
            ("MaximumMessageSize", BYTES_MAX.to_string()),
            ("DelaySeconds", "0".to_owned()),
            ("ReceiveMessageWaitTimeSeconds", "0".to_owned()),
            ("SqsManagedSseEnabled", "false".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
        if let Some(policy) = &queue.redrive {
            let policy = json!({
                "deadLetterTargetArn": Self::arn(&policy.dead_letter_queue),
                "maxReceiveCount": policy.receives_max,
            });
            attributes.insert("RedrivePolicy".to_owned(), policy.to_string().into());
        }
        Ok(attributes)
    }
}
