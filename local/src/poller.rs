//! The event source mapping between a queue and the function that it feeds:
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use aws_types::SdkConfig;
use badgesmith_aws::sdk::{AwsError, CallTimeouts};
use embedded_aws::Queues;
use futures_util::FutureExt as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// The maximum number of messages in one receive, and so in one batch.
const BATCH_MAX: i32 = 10;
/// The long poll of a receive, in seconds. Shutdown waits for it.
const WAIT_SECONDS: i32 = 1;
/// Longer than a long poll.
const CALL_TIMEOUTS: CallTimeouts =
    CallTimeouts { attempt: Duration::from_secs(5), call: Duration::from_secs(15) };
/// The delay after a failed receive.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Processes a batch, and returns a partial batch response.
type Function = dyn Fn(SqsEvent) -> Pin<Box<dyn Future<Output = SqsBatchResponse> + Send>> + Send + Sync;

/// Receives batches, invokes a function with them, and deletes the messages that did not fail.
#[derive(Clone)]
pub struct Poller {
    client: Client,
    queue_url: String,
    function: Arc<Function>,
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("queue_url", &self.queue_url).finish_non_exhaustive()
    }
}

impl Poller {
    /// A poller that invokes `function` with batches of the queue at `queue_url`.
    pub fn new<F>(
        config: &SdkConfig,
        queue_url: String,
        function: impl Fn(SqsEvent) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = SqsBatchResponse> + Send + 'static,
    {
        let client = Client::new(&CALL_TIMEOUTS.apply_to(config));
        Self { client, queue_url, function: Arc::new(move |event| Box::pin(function(event))) }
    }

    /// Polls until `stop` is canceled, and then until the queue has no visible message. A receive is never canceled,
    /// because its messages would stay in flight.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            let stopping = stop.is_cancelled();
            match self.poll(if stopping { 0 } else { WAIT_SECONDS }).await {
                Ok(0) if stopping => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(queue = self.queue_url, %error, "failed to receive messages");
                    if stopping {
                        return;
                    }
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    /// Processes one batch, after a long poll of at most `wait_seconds`, and returns its number of messages.
    ///
    /// # Errors
    /// [`AwsError`] when the receive failed.
    pub async fn poll(&self, wait_seconds: i32) -> Result<usize, AwsError> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(BATCH_MAX)
            .wait_time_seconds(wait_seconds)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| AwsError::new("sqs:ReceiveMessage", error))?;
        let messages = received.messages.unwrap_or_default();
        if messages.is_empty() {
            return Ok(0);
        }
        let count = messages.len();
        // As in Lambda, a panic fails the batch. The panic hook has printed its message.
        if AssertUnwindSafe(self.process(messages)).catch_unwind().await.is_err() {
            tracing::error!("the function panicked; its batch is delivered again");
        }
        Ok(count)
    }

    async fn process(&self, messages: Vec<Message>) {
        let response = match event(&self.queue_url, &messages) {
            Ok(event) => (self.function)(event).await,
            Err(error) => {
                tracing::error!(%error, "failed to convert a batch to an event");
                return;
            }
        };
        let processed = messages.iter().filter(|message| !failed(&response, message));
        let mut entries = Vec::new();
        for (position, message) in processed.enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder()
                .id(position.to_string())
                .receipt_handle(message.receipt_handle().unwrap_or_default())
                .build();
            match entry {
                Ok(entry) => entries.push(entry),
                Err(error) => tracing::error!(%error, "failed to delete a message"),
            }
        }
        if entries.is_empty() {
            return;
        }
        let deletion = self
            .client
            .delete_message_batch()
            .queue_url(&self.queue_url)
            .set_entries(Some(entries))
            .send()
            .await;
        if let Err(error) = deletion {
            let error = AwsError::new("sqs:DeleteMessageBatch", error);
            tracing::warn!(%error, "failed to delete processed messages; they are delivered again");
        }
    }
}

/// Whether the response reports the message as failed. An empty id stands for all messages.
fn failed(response: &SqsBatchResponse, message: &Message) -> bool {
    response.batch_item_failures.iter().any(|failure| {
        failure.item_identifier.is_empty() || Some(failure.item_identifier.as_str()) == message.message_id()
    })
}

/// The Lambda event of a batch.
fn event(queue_url: &str, messages: &[Message]) -> Result<SqsEvent, serde_json::Error> {
    let records: Vec<_> = messages
        .iter()
        .map(|message| {
            let attributes: serde_json::Map<_, _> = message
                .attributes
                .iter()
                .flatten()
                .map(|(name, value)| (name.as_str().to_owned(), value.clone().into()))
                .collect();
            let message_attributes: serde_json::Map<_, _> = message
                .message_attributes
                .iter()
                .flatten()
                .map(|(name, value)| {
                    let attribute = json!({
                        "stringValue": value.string_value(),
                        "dataType": value.data_type(),
                        "stringListValues": [],
                        "binaryListValues": [],
                    });
                    (name.clone(), attribute)
                })
                .collect();
            json!({
                "messageId": message.message_id(),
                "receiptHandle": message.receipt_handle(),
                "body": message.body(),
                "attributes": attributes,
                "messageAttributes": message_attributes,
                "eventSource": "aws:sqs",
                "eventSourceARN": Queues::arn(queue_url),
                "awsRegion": "local",
            })
        })
        .collect();
    serde_json::from_value(json!({ "Records": records }))
}
