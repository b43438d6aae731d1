//! One pass over a dead-letter queue.
//!
//! SQS returns messages in no order, so a message that stays in the queue is in flight until the pass ends. If the
//! visibility timeout expires earlier, SQS returns the message again, and the pass recognizes it by its id.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::sqs::{Queue, QueueDepth, ReceiptHandle, ReceivedMessage};
use serde::Serialize;
use tokio::time::Instant;

use super::dead_letter::DeadLetter;
use super::queue::DeadLetterQueue;
use super::selection::Selection;
use crate::error::CliError;
use crate::output::Output;
use crate::quantity::quantity;
use crate::terminal::Progress;

/// A long poll, because a short poll queries only some of SQS's servers.
const WAIT: Duration = Duration::from_secs(1);
/// The number of empty receives in a row that end a pass, even if messages are missing.
const EMPTY_RECEIVES_MAX: usize = 3;

#[derive(Debug)]
pub(super) struct Scan<'a> {
    queue: &'a Queue,
    selection: &'a Selection,
    progress: Option<Progress>,
    /// When the last receive was sent.
    received_at: Instant,
    /// Messages that stay in the queue, by id.
    held: HashMap<String, ReceiptHandle>,
    /// Messages that may be in the queue although the pass deleted them, by id.
    undeleted: HashSet<String>,
    /// Messages received again since the last new one, or the last deletion.
    redeliveries: usize,
    pub(super) summary: ScanSummary,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct ScanSummary {
    pub(super) queue: DeadLetterQueue,
    /// The depth before the pass.
    #[serde(flatten)]
    pub(super) depth: QueueDepth,
    pub(super) examined: usize,
    /// Examined messages that the filter does not select.
    pub(super) skipped: usize,
    /// About how many messages of the queue were not examined.
    pub(super) missing: u64,
    /// Examined messages whose deletion failed or was late, and that may still be in the queue.
    pub(super) undeleted: u64,
    /// The first error of a deletion.
    #[serde(skip)]
    deletion_error: Option<String>,
    /// Whether no messages are missing, and none are undeleted.
    pub(super) complete: bool,
    /// Whether messages are missing that the command needs, or undeleted.
    #[serde(skip)]
    pub(super) failed: bool,
    #[serde(skip)]
    pub(super) notes: Vec<String>,
}

impl<'a> Scan<'a> {
    pub(super) async fn begin(queue: &'a Queue, selection: &'a Selection) -> Result<Self, CliError> {
        let depth = queue.depth().await?;
        let missing = depth.total();
        let summary = ScanSummary { queue: selection.queue, depth, missing, ..ScanSummary::default() };
        let (held, undeleted, received_at) = (HashMap::new(), HashSet::new(), Instant::now());
        Ok(Self { queue, selection, progress: None, received_at, held, undeleted, redeliveries: 0, summary })
    }

    /// Receives up to `max` messages, ten at most, and returns those that the filter selects. `None` at the end of the
    /// pass.
    pub(super) async fn next(&mut self, max: usize) -> Result<Option<Vec<DeadLetter>>, CliError> {
        for _ in 0..EMPTY_RECEIVES_MAX {
            self.received_at = Instant::now();
            let messages = self.queue.receive(max, self.selection.visibility_timeout(), WAIT).await?;
            if messages.is_empty() {
                let left = self.queue.depth().await?.total().saturating_sub(self.held.len() as u64);
                self.summary.undeleted = left.min(self.undeleted.len() as u64);
                self.summary.missing = self.summary.missing.min(left - self.summary.undeleted);
                if self.summary.missing == 0 && self.summary.undeleted == 0 {
                    return Ok(None);
                }
                continue;
            }
            let selected = self.select(messages);
            let progress = self.progress.get_or_insert_with(Progress::new);
            progress.bar("examined", self.summary.examined, self.summary.depth.total());
            if self.redeliveries <= self.held.len() + self.undeleted.len() {
                return Ok(Some(selected));
            }
            self.end(
                "examined messages became visible again; run the command again with a longer \
                 --visibility-timeout",
            );
            return Ok(None);
        }
        self.end(
            "they are in flight, or the message counts from SQS are out of date; run the command again in a \
             minute",
        );
        Ok(None)
    }

    /// The messages that the filter selects, each once although a receive may return it twice.
    fn select(&mut self, messages: Vec<ReceivedMessage>) -> Vec<DeadLetter> {
        let now = Clock::System.now();
        let mut selected: Vec<DeadLetter> = Vec::new();
        for message in messages {
            if let Some(handle) = self.held.get_mut(&message.id) {
                *handle = message.receipt_handle;
                self.redeliveries += 1;
                continue;
            }
            if let Some(first) = selected.iter_mut().find(|first| first.message.id == message.id) {
                first.message.receipt_handle = message.receipt_handle;
                continue;
            }
            if self.undeleted.contains(&message.id) {
                self.redeliveries += 1;
            } else {
                self.redeliveries = 0;
                self.summary.examined += 1;
                let examined = self.summary.examined as u64;
                self.summary.missing = self.summary.depth.total().saturating_sub(examined);
            }
            let dead_letter = DeadLetter::new(self.selection.queue, message);
            if self.selection.filter.matches(&dead_letter, now) {
                selected.push(dead_letter);
            } else {
                self.summary.skipped += 1;
                self.hold(&dead_letter.message);
            }
        }
        selected
    }

    /// Leaves a message in the queue.
    pub(super) fn hold(&mut self, message: &ReceivedMessage) {
        self.held.insert(message.id.clone(), message.receipt_handle.clone());
    }

    /// Deletes messages of the last receive, and returns the number of deleted ones. A deletion after the visibility
    /// timeout does not count: another consumer may have the message, and SQS confirms the deletion all the same. If
    /// the message is still in the queue, SQS returns it again.
    pub(super) async fn delete(&mut self, messages: &[ReceivedMessage]) -> Result<usize, CliError> {
        if messages.is_empty() {
            return Ok(0);
        }
        let outcome = self.queue.delete(messages).await?;
        let is_late = self.received_at.elapsed() >= self.selection.visibility_timeout();
        let mut deleted = 0;
        for ReceivedMessage { id, .. } in messages {
            if !is_late && outcome.succeeded.contains(id) {
                (deleted, self.redeliveries) = (deleted + 1, 0);
                self.undeleted.remove(id);
            } else {
                self.undeleted.insert(id.clone());
            }
        }
        self.summary.undeleted = self.undeleted.len() as u64;
        self.summary.deletion_error = self.summary.deletion_error.take().or(outcome.error);
        Ok(deleted)
    }

    fn end(&mut self, reason: &str) {
        if self.summary.missing > 0 {
            self.summary.failed = true;
            self.summary.notes.push(format!("{}: {reason}", self.summary.not_examined()));
        }
    }

    /// Makes the messages that stay in the queue visible again.
    pub(super) async fn finish(self) -> ScanSummary {
        let Self { queue, held, mut summary, .. } = self;
        let handles: Vec<_> = held.into_values().collect();
        let (mut in_flight, mut first_error) = (0, None);
        for batch in handles.chunks(Queue::BATCH) {
            if let Err(error) = queue.change_visibility(batch, Duration::ZERO).await {
                in_flight += batch.len();
                first_error = first_error.or(Some(CliError::from(error)));
            }
        }
        summary.notes.extend(first_error.map(|error| {
            let messages = quantity(in_flight, "message");
            format!("{messages} may be in flight until the visibility timeout expires: {error}")
        }));
        if summary.undeleted > 0 {
            let error =
                summary.deletion_error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            let messages = quantity(summary.undeleted, "message");
            summary.notes.push(format!(
                "failed to delete {messages} in time{error}; run the command again to delete any that are left"
            ));
            summary.failed = true;
        }
        summary.complete = summary.missing == 0 && summary.undeleted == 0;
        summary
    }
}

impl ScanSummary {
    /// How many messages are missing.
    pub(super) fn not_examined(&self) -> String {
        format!("did not examine about {}", quantity(self.missing, "more message"))
    }

    /// The output of a command, with the notes and the exit code of its pass.
    pub(super) fn output(&self, result: &(impl Serialize + Display)) -> Output {
        Output::new(result).notes(self.notes.clone()).failed_if(self.failed)
    }
}
