//! What an operator does with a queue: how much is in it, what, and back to where it came from.
//!
//! A letter is never in no queue: it is sent before it is deleted. In between it is in both, which does no harm,
//! since processing it twice changes nothing.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::time::Duration;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};

use super::{FAILED_AT_ATTRIBUTE, Queue, REASON_ATTRIBUTE};
use crate::sdk::CallError;
use crate::timestamp::Timestamp;

/// What one request takes in bytes; half of it is left to attributes and encoding.
const BATCH_BYTES_MAX: usize = 512 * 1024;

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
    /// When it was first sent.
    pub sent_at: Timestamp,
    /// How often it was received.
    pub receives: u64,
    handle: String,
    /// What else it has, to go with it.
    attributes: HashMap<String, MessageAttributeValue>,
}

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
    /// [`CallError`] when SQS could not be asked.
    pub async fn depth(&self) -> Result<Depth, CallError> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let output = request.set_attribute_names(Some(names.to_vec())).send().await;
        let output = output.map_err(|error| CallError::new("sqs:GetQueueAttributes", error))?;
        let attributes = output.attributes.unwrap_or_default();
        let count = |name| attributes.get(&name).and_then(|count| count.parse().ok()).unwrap_or_default();
        let [waiting, hidden, delayed] = names.map(count);
        Ok(Depth { waiting, hidden, delayed })
    }

    /// Takes up to `most` messages, ten at most, and hides them for `hide`; waits up to `wait` for the first. On a
    /// queue with a dead-letter queue of its own this counts as a try.
    ///
    /// # Errors
    /// [`CallError`] when SQS could not be asked.
    pub async fn take(&self, most: usize, hide: Duration, wait: Duration) -> Result<Vec<Letter>, CallError> {
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
            .await
            .map_err(|error| CallError::new("sqs:ReceiveMessage", error))?;
        Ok(output.messages.unwrap_or_default().into_iter().map(letter).collect())
    }

    /// Sends letters from another queue here, but for what was said of their failure.
    ///
    /// # Errors
    /// [`CallError`] when no answer confirmed it. Some may be here all the same.
    pub async fn send_again(&self, letters: &[Letter]) -> Result<SendReport, CallError> {
        let failed = |cause: Box<dyn Error + Send + Sync>| CallError::new("sqs:SendMessageBatch", cause);
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
                let entry = entry.set_message_attributes(attributes).build();
                entries.push(entry.map_err(|error| failed(error.into()))?);
            }
            let count = entries.len();
            let request = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let output = request.send().await.map_err(|error| failed(error.into()))?;
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

    /// Deletes messages that were taken from here, ten at most; returns how many SQS refused to delete.
    ///
    /// # Errors
    /// [`CallError`] when no answer confirmed it.
    pub async fn delete(&self, letters: &[Letter]) -> Result<usize, CallError> {
        let failed = |cause: Box<dyn Error + Send + Sync>| CallError::new("sqs:DeleteMessageBatch", cause);
        let mut entries = Vec::new();
        for (position, letter) in letters.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(position.to_string());
            let entry = entry.receipt_handle(&letter.handle).build();
            entries.push(entry.map_err(|error| failed(error.into()))?);
        }
        if entries.is_empty() {
            return Ok(0);
        }
        let request = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let output = request.send().await.map_err(|error| failed(error.into()))?;
        Ok(output.failed().len())
    }

    /// Ends the hiding of messages that were taken from here. Those that are gone, or were shown again already, are
    /// none the worse for it.
    ///
    /// # Errors
    /// [`CallError`] when no answer confirmed it.
    pub async fn put_back(&self, letters: &[Letter]) -> Result<(), CallError> {
        let failed =
            |cause: Box<dyn Error + Send + Sync>| CallError::new("sqs:ChangeMessageVisibilityBatch", cause);
        // A message that was received twice has one valid handle, the last.
        let mut seen = HashSet::new();
        let last: Vec<_> = letters.iter().rev().filter(|letter| seen.insert(&letter.id)).collect();
        for chunk in last.chunks(Self::BATCH) {
            let mut entries = Vec::new();
            for (position, letter) in chunk.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(position.to_string());
                let entry = entry.receipt_handle(&letter.handle).visibility_timeout(0).build();
                entries.push(entry.map_err(|error| failed(error.into()))?);
            }
            let request = self.client.change_message_visibility_batch().queue_url(&self.url);
            request.set_entries(Some(entries)).send().await.map_err(|error| failed(error.into()))?;
        }
        Ok(())
    }

    /// Deletes all messages, which may take a minute; once a minute at most.
    ///
    /// # Errors
    /// [`CallError`] when no answer confirmed it.
    pub async fn purge(&self) -> Result<(), CallError> {
        let request = self.client.purge_queue().queue_url(&self.url);
        request.send().await.map_err(|error| CallError::new("sqs:PurgeQueue", error))?;
        Ok(())
    }
}

fn letter(message: Message) -> Letter {
    let system = message.attributes.unwrap_or_default();
    let number = |name| system.get(&name).and_then(|value| value.parse::<i64>().ok()).unwrap_or_default();
    let mut attributes = message.message_attributes.unwrap_or_default();
    let mut text = |name: &str| attributes.remove(name).and_then(|value| value.string_value);
    let (reason, failed_at) = (text(REASON_ATTRIBUTE), text(FAILED_AT_ATTRIBUTE));
    Letter {
        id: message.message_id.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        reason,
        failed_at: failed_at.and_then(|text| text.parse().ok()),
        sent_at: Timestamp::from_unix_milliseconds(number(MessageSystemAttributeName::SentTimestamp)),
        receives: number(MessageSystemAttributeName::ApproximateReceiveCount).unsigned_abs(),
        handle: message.receipt_handle.unwrap_or_default(),
        attributes,
    }
}
