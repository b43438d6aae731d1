//! SQS standard queues, on SQLite:
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html>

mod attributes;
mod batch;
mod checksum;
mod errors;
mod purge;
mod queue_urls;
mod queues;
mod receipts;
mod receive;
mod send;

use crate::error::ServiceError;

pub(crate) use errors::query_code;
pub(crate) use queues::HOST;
pub use queues::Queues;

impl Queues {
    /// Answers every operation but `ReceiveMessage`, which is async. `host` is where the request was sent to.
    pub(crate) fn call(&self, host: &str, operation: &str, body: &[u8]) -> Result<String, ServiceError> {
        match operation {
            "SendMessage" => self.send_message(body),
            "SendMessageBatch" => self.send_batch(body),
            "DeleteMessage" => self.delete_message(body),
            "DeleteMessageBatch" => self.delete_batch(body),
            "ChangeMessageVisibility" => self.change_visibility(body),
            "ChangeMessageVisibilityBatch" => self.change_visibility_batch(body),
            "PurgeQueue" => self.purge(body),
            "GetQueueUrl" => self.get_url(host, body),
            "ListQueues" => self.list_urls(host, body),
            "GetQueueAttributes" => self.get_attributes(body),
            _ => Err(ServiceError::unknown(operation)),
        }
    }
}
