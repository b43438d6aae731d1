//! What an operator does with a queue: how much is in it, what, and back to where it came from.
//!
//! A letter is never in no queue: it is sent before it is deleted. In between it is in both, which does no harm,
//! since processing it twice changes nothing.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName, MessageSystemAttributeNameForSends, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use tokio::task::JoinSet;

use super::{FAILED_AT_ATTRIBUTE, Queue, REASON_ATTRIBUTE, trace_header};
use crate::sdk::AwsError;
use badgesmith_domain::timestamp::Timestamp;

/// What one request takes in bytes; half of it is left to attributes and encoding.
const BATCH_BYTES_MAX: usize = 512 * 1024;
/// Calls that change how long many messages are hidden, at once.
const HIDES_AT_ONCE: usize = 10;
/// What EventBridge says of an event that it could not put on a queue, as attributes of the message; the first that
/// is there is the reason:
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
const EVENT_BRIDGE_ATTRIBUTES: [&str; 6] =
    ["ERROR_MESSAGE", "ERROR_CODE", "EXHAUSTED_RETRY_CONDITION", "RETRY_ATTEMPTS", "RULE_ARN", "TARGET_ARN"];

/// How many messages a queue has, to within what SQS knows at the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// To be had.
    pub waiting: u64,
    /// Received by somebody, and not deleted yet.
    pub hidden: u64,
    /// Sent, to be had later.
    pub delayed: u64,
}

impl Depth {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.waiting + self.hidden + self.delayed
    }
}

/// A message that was received, and is hidden from others for a while.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Its name, the same whenever it is received.
    pub id: String,
    /// What was sent.
    pub body: String,
    /// Why it was given up, if whoever gave it up said so.
    pub reason: Option<String>,
    /// When it was given up, in that case.
    pub failed_at: Option<Timestamp>,
    /// When it was first sent: not to the dead-letter queue, if SQS has moved it there.
    pub sent_at: Timestamp,
    /// How often it was received.
    pub receives: u64,
    /// How long it was there when it was received, by SQS's own clock; `None` when that was not for the first time.
    pub waited: Option<Duration>,
    /// What it is deleted or hidden by.
    pub handle: Handle,
    trace: Option<String>,
    /// What else it has, to go with it.
    attributes: HashMap<String, MessageAttributeValue>,
}

/// What a receive gives the right to. When the message is received again, only the handle of that time is good:
/// SQS says that it has deleted a message by an old one, and has not.
#[derive(Debug, Clone)]
pub struct Handle(String);

/// What came of sending several messages.
#[derive(Debug, Default)]
pub struct SendReport {
    /// The positions of those that are on the queue.
    pub sent: Vec<usize>,
    /// Why the first of the others is not.
    pub refusal: Option<String>,
}

impl Queue {
    /// The most messages of one request.
    pub const BATCH: usize = 10;

    /// How many messages there are.
    ///
    /// # Errors
    /// [`AwsError`] when SQS could not be asked.
    pub async fn depth(&self) -> Result<Depth, AwsError> {
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
        let [waiting, hidden, delayed] = names.map(count);
        Ok(Depth { waiting, hidden, delayed })
    }

    /// Takes up to `most` messages, ten at most, and hides them for `hide`; waits up to `wait` for the first. On a
    /// queue with a dead-letter queue of its own this counts as a try. Nothing comes when as many messages are
    /// hidden as SQS allows, 120,000 of a queue: it says so only to who does not wait, which is no difference here.
    ///
    /// # Errors
    /// [`AwsError`] when SQS could not be asked.
    pub async fn take(&self, most: usize, hide: Duration, wait: Duration) -> Result<Vec<Letter>, AwsError> {
        let seconds = |duration: Duration| i32::try_from(duration.as_secs()).unwrap_or(i32::MAX);
        let output = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(most.clamp(1, Self::BATCH)).unwrap_or(1))
            .visibility_timeout(seconds(hide))
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
        Ok(output.messages.unwrap_or_default().into_iter().map(letter).collect())
    }

    /// Sends letters from another queue here, but for what was said of their failure.
    ///
    /// # Errors
    /// [`AwsError`] when no answer confirmed it. Some may be here all the same.
    pub async fn send_again(&self, letters: &[Letter]) -> Result<SendReport, AwsError> {
        let mut report = SendReport::default();
        let mut begin = 0;
        while let Some(rest) = letters.get(begin..).filter(|rest| !rest.is_empty()) {
            let mut entries = Vec::new();
            let mut bytes = 0;
            for (position, letter) in rest.iter().enumerate().take(Self::BATCH) {
                bytes += letter.body.len();
                if position > 0 && bytes > BATCH_BYTES_MAX {
                    break;
                }
                let entry = SendMessageBatchRequestEntry::builder().id(position.to_string());
                let entry = entry.message_body(&letter.body);
                let attributes = Some(letter.attributes.clone()).filter(|attributes| !attributes.is_empty());
                let mut entry = entry.set_message_attributes(attributes);
                if let Some(value) = letter.trace.as_deref().and_then(trace_header) {
                    let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
                    entry = entry.message_system_attributes(name, value);
                }
                entries.push(entry.build()?);
            }
            let count = entries.len();
            let request = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let output =
                request.send().await.map_err(|error| AwsError::new("sqs:SendMessageBatch", error))?;
            let sent = output.successful().iter().filter_map(|entry| entry.id().parse::<usize>().ok());
            report.sent.extend(sent.map(|position| begin + position));
            if let (None, Some(refused)) = (&report.refusal, output.failed().first()) {
                let message = refused.message().unwrap_or_default();
                report.refusal = Some(format!("{}: {message}", refused.code()));
            }
            begin += count;
        }
        Ok(report)
    }

    /// Deletes messages that were taken from here, ten at most; returns the positions of those that SQS refused to
    /// delete.
    ///
    /// # Errors
    /// [`AwsError`] when no answer confirmed it.
    pub async fn delete(&self, handles: &[Handle]) -> Result<Vec<usize>, AwsError> {
        let mut entries = Vec::new();
        for (position, Handle(handle)) in handles.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(position.to_string());
            entries.push(entry.receipt_handle(handle).build()?);
        }
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let request = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let output = request.send().await.map_err(|error| AwsError::new("sqs:DeleteMessageBatch", error))?;
        Ok(output.failed().iter().filter_map(|entry| entry.id().parse().ok()).collect())
    }

    /// Hides messages that were taken from here for so long from now on; not at all puts them back. Those that are
    /// gone, or were shown again already, are none the worse for it.
    ///
    /// # Errors
    /// [`AwsError`] when no answer confirmed it.
    pub async fn hide(&self, handles: &[Handle], hide: Duration) -> Result<(), AwsError> {
        let seconds = i32::try_from(hide.as_secs()).unwrap_or(i32::MAX);
        for wave in handles.chunks(Self::BATCH * HIDES_AT_ONCE) {
            let mut calls = JoinSet::new();
            for batch in wave.chunks(Self::BATCH) {
                let mut entries = Vec::new();
                for (position, Handle(handle)) in batch.iter().enumerate() {
                    let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(position.to_string());
                    let entry = entry.receipt_handle(handle).visibility_timeout(seconds).build();
                    entries.push(entry?);
                }
                let request = self.client.change_message_visibility_batch().queue_url(&self.url);
                calls.spawn(request.set_entries(Some(entries)).send());
            }
            while let Some(answer) = calls.join_next().await {
                answer
                    .map_err(|error| AwsError::unexpected("sqs:ChangeMessageVisibilityBatch", error))?
                    .map_err(|error| AwsError::new("sqs:ChangeMessageVisibilityBatch", error))?;
            }
        }
        Ok(())
    }

    /// Deletes all messages, which may take a minute; once a minute at most.
    ///
    /// # Errors
    /// [`AwsError`] when no answer confirmed it.
    pub async fn purge(&self) -> Result<(), AwsError> {
        let request = self.client.purge_queue().queue_url(&self.url);
        request.send().await.map_err(|error| AwsError::new("sqs:PurgeQueue", error))?;
        Ok(())
    }
}

fn letter(message: Message) -> Letter {
    let mut system = message.attributes.unwrap_or_default();
    let trace = system.remove(&MessageSystemAttributeName::AwsTraceHeader);
    let number = |name| system.get(&name).and_then(|value| value.parse::<i64>().ok());
    let time = |name| number(name).map(Timestamp::from_unix_milliseconds);
    let sent_at = time(MessageSystemAttributeName::SentTimestamp);
    let receives = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or_default();
    let first_received_at = time(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp);
    let waited = first_received_at.zip(sent_at).map(|(received_at, sent_at)| received_at.since(sent_at));
    let mut attributes = message.message_attributes.unwrap_or_default();
    let mut text = |name: &str| attributes.remove(name).and_then(|value| value.string_value);
    let (reason, failed_at) = (text(REASON_ATTRIBUTE), text(FAILED_AT_ATTRIBUTE));
    let of_event = EVENT_BRIDGE_ATTRIBUTES.map(text).into_iter().flatten().next();
    Letter {
        id: message.message_id.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        reason: reason.or(of_event),
        failed_at: failed_at.and_then(|text| text.parse().ok()),
        sent_at: sent_at.unwrap_or(Timestamp::UNIX_EPOCH),
        receives: receives.unsigned_abs(),
        waited: waited.filter(|_| receives == 1),
        handle: Handle(message.receipt_handle.unwrap_or_default()),
        trace,
        attributes,
    }
}
