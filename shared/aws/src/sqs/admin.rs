//! Operations on a queue that only operators use.
//!
//! A redrive sends a message before it is deleted. In between the message is in both queues, which does no harm:
//! processing it twice changes nothing.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageAttributeValue, MessageSystemAttributeName, MessageSystemAttributeNameForSends,
    QueueAttributeName, SendMessageBatchRequestEntry,
};
use aws_smithy_types::error::operation::BuildError;
use badgesmith_domain::message::ResultMessage;
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;

use super::{FAILED_AT_ATTRIBUTE, Queue, REASON_ATTRIBUTE, group_id, trace_header};
use crate::sdk::AwsError;

/// Bodies of one request in bytes: half of what SQS accepts, the rest is for attributes.
const BATCH_BYTES_MAX: usize = 512 * 1024;
/// Attributes of an event that EventBridge failed to deliver. The first that is present is the reason:
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
const EVENT_BRIDGE_ATTRIBUTES: [&str; 6] =
    ["ERROR_MESSAGE", "ERROR_CODE", "EXHAUSTED_RETRY_CONDITION", "RETRY_ATTEMPTS", "RULE_ARN", "TARGET_ARN"];

/// Approximate numbers of messages; SQS may take a minute to update them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QueueDepth {
    /// Messages that a receive may return.
    pub visible: u64,
    /// Messages that were received, and not deleted.
    pub in_flight: u64,
    /// Messages that become visible later.
    pub delayed: u64,
}

impl QueueDepth {
    /// The sum of all three.
    pub fn total(&self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// A message that is invisible to other consumers until its visibility timeout is over.
#[derive(Debug, Clone, Serialize)]
pub struct ReceivedMessage {
    /// SQS's id, the same each time that the message is received.
    pub id: String,
    /// The body as it was sent.
    pub body: String,
    /// Why the message was dead-lettered, from its attributes.
    #[serde(skip)]
    pub reason: Option<String>,
    /// The time at which the processor dead-lettered the message.
    pub failed_at: Option<Timestamp>,
    /// The time of the first send. SQS keeps it when it moves a message to a dead-letter queue.
    pub sent_at: Timestamp,
    /// How often the message was received, this time included.
    pub receives: u64,
    /// The handle of this receive.
    #[serde(skip)]
    pub receipt_handle: ReceiptHandle,
    #[serde(skip)]
    group_id: Option<String>,
    #[serde(skip)]
    trace_header: Option<String>,
    /// The message attributes without those that describe the failure.
    #[serde(skip)]
    attributes: HashMap<String, MessageAttributeValue>,
}

/// The right to delete a message, or to change its visibility, until it is received again. After that SQS still
/// confirms a deletion with an old handle, and may not delete the message.
#[derive(Debug, Clone)]
pub struct ReceiptHandle(String);

/// The outcome of a request about several messages.
#[derive(Debug, Default)]
pub struct BatchOutcome {
    /// Ids of the messages for which it succeeded.
    pub succeeded: HashSet<String>,
    /// The first error of the other messages.
    pub error: Option<String>,
}

impl BatchOutcome {
    fn extend(&mut self, succeeded: impl Iterator<Item = String>, failed: &[BatchResultErrorEntry]) {
        self.succeeded.extend(succeeded);
        if let (None, Some(entry)) = (&self.error, failed.first()) {
            self.error = Some(format!("{}: {}", entry.code(), entry.message().unwrap_or_default()));
        }
    }
}

impl Queue {
    /// The most messages of one request.
    pub const BATCH: usize = 10;

    /// Reads how many messages the queue has.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed.
    pub async fn depth(&self) -> Result<QueueDepth, AwsError> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let output = request.set_attribute_names(Some(names.to_vec())).send().await;
        let output = output.map_err(|error| AwsError::new("sqs:GetQueueAttributes", error))?;
        let attributes = output.attributes.unwrap_or_default();
        let count = |name| attributes.get(&name).and_then(|count| count.parse().ok()).unwrap_or_default();
        let [visible, in_flight, delayed] = names.map(count);
        Ok(QueueDepth { visible, in_flight, delayed })
    }

    /// Receives up to `max` messages, ten at most, and waits up to `wait` for the first. On a queue with a
    /// dead-letter queue this counts as an attempt. Returns no messages when 120,000 are in flight, SQS's limit.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed.
    pub async fn receive(
        &self,
        max: usize,
        visibility_timeout: Duration,
        wait: Duration,
    ) -> Result<Vec<ReceivedMessage>, AwsError> {
        let output = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(max.clamp(1, Self::BATCH)).unwrap_or(1))
            .visibility_timeout(seconds(visibility_timeout))
            .wait_time_seconds(seconds(wait))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await;
        let output = match output {
            Err(error) if error.as_service_error().is_some_and(ReceiveMessageError::is_over_limit) => {
                return Ok(Vec::new());
            }
            output => output.map_err(|error| AwsError::new("sqs:ReceiveMessage", error))?,
        };
        Ok(output.messages.unwrap_or_default().into_iter().map(ReceivedMessage::from).collect())
    }

    /// Sends up to ten messages of a dead-letter queue to this queue, with their groups, trace headers and
    /// attributes, but without those that describe the failure.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed. Some messages may have been sent all the same.
    pub async fn redrive(&self, messages: &[ReceivedMessage]) -> Result<BatchOutcome, AwsError> {
        let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
        let batch = if bytes > BATCH_BYTES_MAX { 1 } else { Self::BATCH };
        let mut outcome = BatchOutcome::default();
        for messages in messages.chunks(batch) {
            let entries = messages.iter().map(send_entry).collect::<Result<_, BuildError>>();
            let request = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries?));
            let output = request.send().await;
            let output = output.map_err(|error| AwsError::new("sqs:SendMessageBatch", error))?;
            outcome.extend(output.successful.into_iter().map(|entry| entry.id), &output.failed);
        }
        Ok(outcome)
    }

    /// Sends up to ten results. The outcome lists the `test_result_id` of each result that was sent.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed. Some results may have been sent nevertheless.
    pub async fn send_results(&self, messages: &[ResultMessage]) -> Result<BatchOutcome, AwsError> {
        const OPERATION: &str = "sqs:SendMessageBatch";
        let mut request = self.client.send_message_batch().queue_url(&self.url);
        for message in messages {
            let body =
                serde_json::to_string(message).map_err(|error| AwsError::unexpected(OPERATION, error))?;
            let entry = SendMessageBatchRequestEntry::builder().id(message.result.id.to_string());
            request = request.entries(entry.message_body(body).message_group_id(group_id(message)).build()?);
        }
        let output = request.send().await.map_err(|error| AwsError::new(OPERATION, error))?;
        let mut outcome = BatchOutcome::default();
        outcome.extend(output.successful.into_iter().map(|entry| entry.id), &output.failed);
        Ok(outcome)
    }

    /// Deletes up to ten messages that were received from this queue.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed.
    pub async fn delete(&self, messages: &[ReceivedMessage]) -> Result<BatchOutcome, AwsError> {
        let entry = |message: &ReceivedMessage| {
            let ReceiptHandle(handle) = &message.receipt_handle;
            DeleteMessageBatchRequestEntry::builder().id(&message.id).receipt_handle(handle).build()
        };
        let entries = messages.iter().map(entry).collect::<Result<_, BuildError>>()?;
        let request = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let output = request.send().await;
        let output = output.map_err(|error| AwsError::new("sqs:DeleteMessageBatch", error))?;
        let mut outcome = BatchOutcome::default();
        outcome.extend(output.successful.into_iter().map(|entry| entry.id), &output.failed);
        Ok(outcome)
    }

    /// Sets when received messages, ten at most, become visible again, from now on. Ignores messages that are visible
    /// already, or deleted.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed.
    pub async fn change_visibility(
        &self,
        handles: &[ReceiptHandle],
        visibility_timeout: Duration,
    ) -> Result<(), AwsError> {
        if handles.is_empty() {
            return Ok(());
        }
        let mut request = self.client.change_message_visibility_batch().queue_url(&self.url);
        for (position, ReceiptHandle(handle)) in handles.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(position.to_string());
            let entry = entry.receipt_handle(handle).visibility_timeout(seconds(visibility_timeout));
            request = request.entries(entry.build()?);
        }
        let output = request.send().await;
        output.map(drop).map_err(|error| AwsError::new("sqs:ChangeMessageVisibilityBatch", error))
    }

    /// Deletes all messages. SQS takes up to a minute, and allows one purge a minute.
    ///
    /// # Errors
    /// [`AwsError`] when the call failed.
    pub async fn purge(&self) -> Result<(), AwsError> {
        let request = self.client.purge_queue().queue_url(&self.url);
        request.send().await.map_err(|error| AwsError::new("sqs:PurgeQueue", error))?;
        Ok(())
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

fn send_entry(message: &ReceivedMessage) -> Result<SendMessageBatchRequestEntry, BuildError> {
    let attributes = Some(message.attributes.clone()).filter(|attributes| !attributes.is_empty());
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(&message.id)
        .message_body(&message.body)
        .set_message_group_id(message.group_id.clone())
        .set_message_attributes(attributes);
    if let Some(value) = message.trace_header.as_deref().and_then(trace_header) {
        entry = entry.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
    }
    entry.build()
}

impl From<Message> for ReceivedMessage {
    fn from(message: Message) -> Self {
        let mut system = message.attributes.unwrap_or_default();
        let number = |name| system.get(&name).and_then(|value| value.parse::<i64>().ok());
        let sent_at = number(MessageSystemAttributeName::SentTimestamp).unwrap_or_default();
        let receives = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or_default();
        let mut attributes = message.message_attributes.unwrap_or_default();
        let mut text = |name: &str| attributes.remove(name).and_then(|value| value.string_value);
        let (reason, failed_at) = (text(REASON_ATTRIBUTE), text(FAILED_AT_ATTRIBUTE));
        let event_bridge_reason = EVENT_BRIDGE_ATTRIBUTES.map(text).into_iter().flatten().next();
        Self {
            id: message.message_id.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
            reason: reason.or(event_bridge_reason),
            failed_at: failed_at.and_then(|text| text.parse().ok()),
            sent_at: Timestamp::from_unix_milliseconds(sent_at),
            receives: receives.unsigned_abs(),
            receipt_handle: ReceiptHandle(message.receipt_handle.unwrap_or_default()),
            group_id: system.remove(&MessageSystemAttributeName::MessageGroupId),
            trace_header: system.remove(&MessageSystemAttributeName::AwsTraceHeader),
            attributes,
        }
    }
}
