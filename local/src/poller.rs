//! The event source mapping between a queue and the function that it feeds:
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use aws_types::SdkConfig;
use badgesmith_aws::sdk::{AwsError, CallTimeouts};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use embedded_aws::last_part;

/// The most messages of one receive, and so of one batch.
const BATCH_MAX: i32 = 10;
/// How long a receive waits for a message, in seconds; as long, a stop may have to wait for it.
const WAIT_SECONDS: i32 = 1;
/// Longer than a receive may wait.
const CALL_TIMEOUTS: CallTimeouts =
    CallTimeouts { attempt: Duration::from_secs(5), call: Duration::from_secs(15) };
/// After a failed receive.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// A function that takes batches: an event to a partial batch response.
type Function = dyn Fn(SqsEvent) -> Pin<Box<dyn Future<Output = SqsBatchResponse> + Send>> + Send + Sync;

/// Receives batches, has them processed, and deletes what was.
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
    /// A poller of the queue at `queue_url`, which hands its batches to `function`.
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

    /// Polls until `stop` is cancelled, and from then on until the queue has no visible message left. A
    /// receive is never broken off, since what it has taken would be hidden from everybody.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            let stopping = stop.is_cancelled();
            match self.poll(if stopping { 0 } else { WAIT_SECONDS }).await {
                Ok(0) if stopping => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(queue = self.queue_url, %error, "a queue was not read");
                    if stopping {
                        return;
                    }
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    }

    /// Takes one batch, waiting for it at most `wait_seconds`, and returns how many messages it had.
    ///
    /// # Errors
    /// [`AwsError`] when nothing could be received.
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
        // On its own task, so that a panic is a failed batch, as it is in Lambda.
        let poller = self.clone();
        if let Err(error) = tokio::spawn(async move { poller.process(messages).await }).await {
            tracing::error!(%error, "a function failed; its batch will be delivered again");
        }
        Ok(count)
    }

    async fn process(&self, messages: Vec<Message>) {
        let response = match event(&self.queue_url, &messages) {
            Ok(event) => (self.function)(event).await,
            Err(error) => {
                tracing::error!(%error, "a batch could not be made an event");
                return;
            }
        };
        let done = messages.iter().filter(|message| !failed(&response, message));
        let mut entries = Vec::new();
        for (position, message) in done.enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder()
                .id(position.to_string())
                .receipt_handle(message.receipt_handle().unwrap_or_default())
                .build();
            match entry {
                Ok(entry) => entries.push(entry),
                Err(error) => tracing::error!(%error, "a message cannot be deleted"),
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
            tracing::warn!(%error, "processed messages were not deleted and will be delivered again");
        }
    }
}

/// Whether the partial batch response says that a message is to be delivered again. An empty id means all.
fn failed(response: &SqsBatchResponse, message: &Message) -> bool {
    response.batch_item_failures.iter().any(|failure| {
        failure.item_identifier.is_empty() || Some(failure.item_identifier.as_str()) == message.message_id()
    })
}

/// The event that Lambda makes of a batch.
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
                "eventSourceARN": format!("arn:aws:sqs:local:000000000000:{}", last_part(queue_url)),
                "awsRegion": "local",
            })
        })
        .collect();
    serde_json::from_value(json!({ "Records": records }))
}
