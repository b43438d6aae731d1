//! Which queues there are, and how they are doing.

use rusqlite::params;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::refusal::{invalid_value, within};
use super::send::BYTES_MAX;
use super::{Queues, arn, url_at};
use crate::error::ServiceError;
use crate::page::page;
use crate::template::QueueSettings;

/// The most queues of one page.
const PAGE_MAX: usize = 1000;
/// The attributes that a queue may have, though none of ours has.
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
struct GetQueueUrl {
    queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListQueues {
    queue_name_prefix: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueAttributes {
    #[serde(default)]
    attribute_names: Vec<String>,
}

impl Queues {
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html>
    pub(super) fn get_url(&self, host: &str, body: &[u8]) -> Result<String, ServiceError> {
        let GetQueueUrl { queue_name } = serde_json::from_slice(body)?;
        Ok(json!({ "QueueUrl": url_at(host, &self.settings(&queue_name)?.name) }).to_string())
    }

    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html>
    pub(super) fn list(&self, host: &str, body: &[u8]) -> Result<String, ServiceError> {
        let request: ListQueues = serde_json::from_slice(body)?;
        let prefix = request.queue_name_prefix.as_deref().unwrap_or_default();
        self.urls(host, &request, "QueueUrls", |queue| queue.name.starts_with(prefix))
    }

    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListDeadLetterSourceQueues.html>
    pub(super) fn list_sources(&self, host: &str, body: &[u8]) -> Result<String, ServiceError> {
        let target = self.addressed(body)?;
        // In lower case, unlike that of the other list.
        self.urls(host, &serde_json::from_slice(body)?, "queueUrls", |queue| feeds(queue, &target.name))
    }

    fn urls(
        &self,
        host: &str,
        request: &ListQueues,
        field: &str,
        wanted: impl Fn(&QueueSettings) -> bool,
    ) -> Result<String, ServiceError> {
        let most = within("MaxResults", request.max_results.unwrap_or(1000), 1, 1000)?;
        let mut names: Vec<&str> =
            self.settings.values().filter(|queue| wanted(queue)).map(|queue| queue.name.as_str()).collect();
        names.sort_unstable();
        let most = usize::try_from(most).unwrap_or(PAGE_MAX);
        let (names, next) = page(names, |name| name, request.next_token.as_deref(), most)
            .ok_or_else(|| invalid_value("Invalid or expired next token."))?;
        let urls: Vec<_> = names.into_iter().map(|name| url_at(host, name)).collect();
        let mut answer = Map::from_iter([(field.to_owned(), urls.into())]);
        if let Some(next) = next {
            answer.insert("NextToken".to_owned(), next.into());
        }
        Ok(Value::Object(answer).to_string())
    }

    /// Whether some queue's messages go to this one when they were received too often.
    pub(super) fn is_dead_letter_queue(&self, name: &str) -> bool {
        self.settings.values().any(|queue| feeds(queue, name))
    }

    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
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
            ("QueueArn", arn(&queue.name)),
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
                "deadLetterTargetArn": arn(&policy.dead_letter_queue),
                "maxReceiveCount": policy.receives_max,
            });
            attributes.insert("RedrivePolicy".to_owned(), policy.to_string().into());
        }
        Ok(attributes)
    }
}

fn feeds(queue: &QueueSettings, dead_letter_queue: &str) -> bool {
    queue.redrive.as_ref().is_some_and(|policy| policy.dead_letter_queue == dead_letter_queue)
}
