//! Stores a batch of messages.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_types::SdkConfig;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::Results;
use badgesmith_aws::event_bridge::EventBus;
use badgesmith_aws::metrics::Metric;
use badgesmith_aws::sdk::{self, CallTimeouts};
use badgesmith_aws::sqs::Queue;
use badgesmith_domain::message::{MessageError, ResultMessage};
use badgesmith_domain::test_result::{TestResult, TestRun};
use badgesmith_domain::timestamp::Timestamp;
use futures_util::future::join_all;

use crate::settings::Settings;

/// A batch retries throttled writes of the history and the slots for 10 s in total. It then calls the event bus once,
/// and the dead-letter queue once for each poison message, all concurrently. That takes at most 22 s of the function's
/// 30 s timeout.
const CALL_TIMEOUTS: CallTimeouts =
    CallTimeouts { attempt: Duration::from_secs(1), call: Duration::from_secs(3) };

/// The function, ready to handle batches.
#[derive(Debug)]
pub struct App {
    results: Results,
    dead_letters: Queue,
    events: EventBus,
    clock: Clock,
}

/// A batch with all of its messages parsed.
#[derive(Default)]
struct ParsedBatch {
    results: Vec<Delivery>,
    /// Messages that this version can never read, with the reason.
    poison: Vec<(SqsMessage, MessageError)>,
}

/// A result, and the message that brought it.
struct Delivery {
    message_id: String,
    sent_at: Option<Timestamp>,
    result: TestResult,
}

impl App {
    /// Builds the clients; makes no call.
    pub fn new(config: &SdkConfig, settings: Settings, clock: Clock) -> Self {
        let config = CALL_TIMEOUTS.apply_to(config);
        Self {
            results: Results::new(&config, settings.test_results_table),
            dead_letters: Queue::new(&config, settings.results_dead_letter_queue_url),
            events: EventBus::new(&config, settings.event_bus_name),
            clock,
        }
    }

    /// Opens a connection before the first batch arrives.
    pub async fn warm_up(&self) {
        sdk::warm_up(self.results.warm_up_writes()).await;
    }

    /// Stores every result of `batch`, and reports the messages that SQS must deliver again (a partial batch
    /// response): <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
    pub async fn handle(&self, batch: SqsEvent) -> SqsBatchResponse {
        let ParsedBatch { results, poison } = ParsedBatch::parse(batch);
        // Results come first: poison messages must not delay them.
        let mut failed = self.store(results).await;
        let dead_letters = poison.iter().map(|(message, reason)| self.dead_letter(message, reason));
        failed.extend(join_all(dead_letters).await.into_iter().flatten());
        Metric::ResultsRetried.count(failed.len());
        let mut response = SqsBatchResponse::default();
        for message_id in failed {
            response.add_failure(message_id);
        }
        response
    }

    /// Stores results and publishes those that are stored. Returns the ids of the messages to deliver again.
    async fn store(&self, deliveries: Vec<Delivery>) -> Vec<String> {
        let unwritten = self.results.put_all(deliveries.iter().map(|delivery| &delivery.result)).await;
        let (failed, stored): (Vec<_>, Vec<_>) =
            deliveries.into_iter().partition(|delivery| unwritten.contains(&delivery.result.id));
        for Delivery { result: TestResult { id, run }, .. } in &stored {
            let TestRun { repository, platform, branch, .. } = run;
            tracing::info!(test_result_id = %id, %repository, %platform, %branch, "stored a result");
        }
        Metric::ResultsStored.count(stored.len());
        let oldest = stored.iter().filter_map(|delivery| delivery.sent_at).min();
        if let Some(sent_at) = oldest.filter(|_| failed.is_empty()) {
            let delay = self.clock.now().since(sent_at).as_millis();
            Metric::StorageDelay.record(u64::try_from(delay).unwrap_or(u64::MAX));
        }
        if let Err(error) = self.events.publish_recorded(stored.iter().map(|delivery| &delivery.result)).await
        {
            tracing::warn!(%error, "failed to publish TestResultRecorded");
        }
        failed.into_iter().map(|delivery| delivery.message_id).collect()
    }

    /// Moves a message that can never succeed to the dead-letter queue. Returns its id when that fails, so that it
    /// is delivered again.
    async fn dead_letter(&self, message: &SqsMessage, reason: &MessageError) -> Option<String> {
        let body = message.body.as_deref().unwrap_or_default();
        let message_id = message_id(message);
        match self.dead_letters.send_dead_letter(body, &reason.to_string(), self.clock.now()).await {
            Ok(()) => {
                tracing::error!(message_id, %reason, "moved a message to the dead-letter queue");
                None
            }
            Err(error) => {
                tracing::error!(message_id, %reason, %error, "failed to move a message to the dead-letter queue");
                Some(message_id)
            }
        }
    }
}

impl ParsedBatch {
    fn parse(batch: SqsEvent) -> Self {
        let mut parsed = Self::default();
        for message in batch.records {
            match ResultMessage::parse(message.body.as_deref().unwrap_or_default()) {
                Ok(ResultMessage { result, .. }) => parsed.results.push(Delivery {
                    message_id: message_id(&message),
                    sent_at: sent_at(&message),
                    result,
                }),
                Err(error) => parsed.poison.push((message, error)),
            }
        }
        parsed
    }
}

/// When SQS accepted the message.
fn sent_at(message: &SqsMessage) -> Option<Timestamp> {
    message.attributes.get("SentTimestamp")?.parse().ok().map(Timestamp::from_unix_milliseconds)
}

/// The id of a message. Lambda would retry the whole batch for an empty one, which is safe.
fn message_id(message: &SqsMessage) -> String {
    message.message_id.clone().unwrap_or_default()
}
