//! What becomes of a batch of messages.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_types::SdkConfig;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::Results;
use badgesmith_aws::env::{self, Missing};
use badgesmith_aws::event_bridge::EventBus;
use badgesmith_aws::metrics::Metric;
use badgesmith_aws::sdk::{self, CallTimeouts};
use badgesmith_aws::sqs::Queue;
use badgesmith_domain::message::ResultMessage;
use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;
use futures_util::future::join_all;

/// A batch writes until all of it is taken, or a last time after 10 s; then it makes one call to the event bus, and after
/// that one to the dead-letter queue for each message that can never succeed, all at once: at most 20 s of the function's
/// timeout of 30 s.
const CALL_BUDGET: CallTimeouts =
    CallTimeouts { attempt: Duration::from_secs(1), call: Duration::from_secs(3) };

/// Where the function finds its resources.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table of test results.
    pub test_results_table: String,
    /// The URL of the queue for messages that can never succeed.
    pub results_dead_letter_queue_url: String,
    /// The name of the event bus.
    pub event_bus_name: String,
}

impl Settings {
    /// Reads the function's environment.
    ///
    /// # Errors
    /// [`Missing`] names the variable that is not set.
    pub fn from_env() -> Result<Self, Missing> {
        Ok(Self {
            test_results_table: env::required(env::TEST_RESULTS_TABLE)?,
            results_dead_letter_queue_url: env::required(env::RESULTS_DEAD_LETTER_QUEUE_URL)?,
            event_bus_name: env::required(env::EVENT_BUS_NAME)?,
        })
    }
}

/// The function, ready to take batches.
#[derive(Debug)]
pub struct App {
    results: Results,
    dead_letters: Queue,
    events: EventBus,
    clock: Clock,
}

/// The messages of a batch that hold a result; both lists are in the same order.
#[derive(Default)]
struct Understood {
    message_ids: Vec<String>,
    results: Vec<TestResult>,
    /// When the oldest of them was sent.
    sent_at: Option<Timestamp>,
}

impl App {
    /// Builds the clients; makes no call.
    pub fn new(config: &SdkConfig, settings: Settings, clock: Clock) -> Self {
        let config = CALL_BUDGET.bound(config);
        Self {
            results: Results::new(&config, settings.test_results_table),
            dead_letters: Queue::new(&config, settings.results_dead_letter_queue_url),
            events: EventBus::new(&config, settings.event_bus_name),
            clock,
        }
    }

    /// Opens a connection before the first batch comes.
    pub async fn warm_up(&self) {
        sdk::warm_up(self.results.warm_up_writes()).await;
    }

    /// Stores every result of `batch`, and reports the messages that SQS shall deliver again (a partial
    /// batch response):
    /// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
    pub async fn handle(&self, batch: SqsEvent) -> SqsBatchResponse {
        let mut understood = Understood::default();
        let mut hopeless = Vec::new();
        for message in batch.records {
            match ResultMessage::parse(message.body.as_deref().unwrap_or_default()) {
                Ok(ResultMessage { result, .. }) => {
                    understood.message_ids.push(message_id(&message));
                    understood.sent_at = understood.sent_at.into_iter().chain(sent_at(&message)).min();
                    understood.results.push(result);
                }
                Err(error) => hopeless.push((message, error.to_string())),
            }
        }
        // Results first: what can never succeed must not keep them waiting.
        let mut failed = self.record(understood).await;
        let given_up = hopeless.iter().map(|(message, reason)| self.give_up(message, reason));
        failed.extend(join_all(given_up).await.into_iter().flatten());
        Metric::ResultsRetried.count(failed.len());
        let mut response = SqsBatchResponse::default();
        for message_id in failed {
            response.add_failure(message_id);
        }
        response
    }

    /// Stores results, and tells of those that are stored. Returns the ids of the messages whose are not.
    async fn record(&self, understood: Understood) -> Vec<String> {
        let Understood { message_ids, results, sent_at } = understood;
        let unwritten = self.results.record(&results).await;
        let mut failed = Vec::new();
        let mut recorded = Vec::new();
        for (position, (message_id, result)) in message_ids.into_iter().zip(&results).enumerate() {
            if unwritten.contains(&position) {
                failed.push(message_id);
            } else {
                tracing::info!(
                    test_result_id = %result.id, repository = %result.repository, platform = %result.platform,
                    branch = %result.branch, "a result was stored"
                );
                recorded.push(result);
            }
        }
        Metric::ResultsStored.count(recorded.len());
        if let Some(sent_at) = sent_at.filter(|_| failed.is_empty()) {
            let delay = self.clock.now().since(sent_at).as_millis();
            Metric::StorageDelay.record(u64::try_from(delay).unwrap_or(u64::MAX));
        }
        if let Err(error) = self.events.publish_recorded(recorded).await {
            tracing::warn!(%error, "stored results were not announced");
        }
        failed
    }

    /// Moves a message that can never succeed to the dead-letter queue. Returns its id when that failed, and
    /// it has to be delivered again.
    async fn give_up(&self, message: &SqsMessage, reason: &str) -> Option<String> {
        let body = message.body.as_deref().unwrap_or_default();
        let message_id = message_id(message);
        match self.dead_letters.send_dead_letter(body, reason, self.clock.now()).await {
            Ok(()) => {
                tracing::error!(message_id, reason, "a message went to the dead-letter queue");
                None
            }
            Err(error) => {
                tracing::error!(message_id, reason, %error, "a message did not reach the dead-letter queue");
                Some(message_id)
            }
        }
    }
}

/// When a message was put on the queue, as SQS says.
fn sent_at(message: &SqsMessage) -> Option<Timestamp> {
    message.attributes.get("SentTimestamp")?.parse().ok().map(Timestamp::from_unix_milliseconds)
}

/// The id of a message. Lambda takes an empty one, which never comes, for the whole batch, which is safe.
fn message_id(message: &SqsMessage) -> String {
    message.message_id.clone().unwrap_or_default()
}
