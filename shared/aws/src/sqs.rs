//! Sending to a queue, and administering one. Lambda's event source mapping receives the messages that a function
//! processes.

#[cfg(feature = "admin")]
mod admin;

#[cfg(feature = "admin")]
pub use admin::{BatchOutcome, QueueDepth, ReceiptHandle, ReceivedMessage};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};
use aws_types::SdkConfig;
use badgesmith_domain::message::ResultMessage;
use badgesmith_domain::signature::Digest;
use badgesmith_domain::timestamp::Timestamp;

use crate::sdk::AwsError;

/// The message attribute with the reason why a message is in a dead-letter queue.
pub(crate) const REASON_ATTRIBUTE: &str = "reason";
/// The message attribute with the time when the processor put it there.
pub(crate) const FAILED_AT_ATTRIBUTE: &str = "failed_at";
/// A longer trace header is ignored.
const TRACE_BYTES_MAX: usize = 256;
/// A longer reason is truncated to this many characters.
const REASON_CHARACTERS_MAX: usize = 500;

/// A queue to send to.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    pub fn new(config: &SdkConfig, url: String) -> Self {
        Self { client: Client::new(config), url }
    }

    /// Sends a result. `trace` is the X-Ray trace header of the client's request. It is sent along if it is valid
    /// and ignored otherwise, so that an invalid header never causes a result to be rejected:
    /// <https://docs.aws.amazon.com/xray/latest/devguide/xray-services-sqs.html>
    ///
    /// # Errors
    /// [`AwsError`] if SQS does not confirm the message. It may be in the queue nevertheless.
    pub async fn send_result(&self, message: &ResultMessage, trace: Option<&str>) -> Result<(), AwsError> {
        let body =
            serde_json::to_string(message).map_err(|error| AwsError::unexpected("sqs:SendMessage", error))?;
        let request = self.client.send_message().queue_url(&self.url).message_body(body);
        let mut request = request.message_group_id(group_id(message));
        if let Some(value) = trace.and_then(trace_header) {
            let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
            request = request.message_system_attributes(name, value);
        }
        request.send().await.map_err(|error| AwsError::new("sqs:SendMessage", error))?;
        Ok(())
    }

    /// Sends the body of a message that can never succeed to this dead-letter queue, with the reason.
    ///
    /// # Errors
    /// [`AwsError`] if SQS does not confirm the message.
    pub async fn send_dead_letter(
        &self,
        body: &str,
        reason: &str,
        failed_at: Timestamp,
    ) -> Result<(), AwsError> {
        let text =
            |value: String| MessageAttributeValue::builder().data_type("String").string_value(value).build();
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .message_attributes(REASON_ATTRIBUTE, text(printable(reason))?)
            .message_attributes(FAILED_AT_ATTRIBUTE, text(failed_at.to_string())?)
            .send()
            .await
            .map_err(|error| AwsError::new("sqs:SendMessage", error))?;
        Ok(())
    }
}

/// The message group of a result: its repository. With message groups, the queue is a fair queue: a backlog of one
/// repository does not delay the others.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html>
fn group_id(message: &ResultMessage) -> String {
    // A group id has at most 128 characters, and the name of a repository may be longer.
    Digest::of(message.result.run.repository.to_string().as_bytes()).to_string()
}

/// The value of the message attribute for `header`, if it is a valid trace header.
fn trace_header(header: &str) -> Option<MessageSystemAttributeValue> {
    let value = MessageSystemAttributeValue::builder().data_type("String").string_value(header);
    value.build().ok().filter(|_| is_trace_header(header))
}

/// Whether `header` starts with `Root=1-{8 hex digits}-{24 hex digits}`, as a trace header must, followed only by
/// fields:
/// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
fn is_trace_header(header: &str) -> bool {
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut fields = header.split(';');
    let root = fields.next().and_then(|field| field.strip_prefix("Root=1-")?.split_once('-'));
    root.is_some_and(|(time, id)| hex(time, 8) && hex(id, 24))
        && header.len() <= TRACE_BYTES_MAX
        && fields.all(|field| {
            field.split_once('=').is_some_and(|(name, value)| {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-');
                !name.is_empty() && !value.is_empty() && name.bytes().chain(value.bytes()).all(plain)
            })
        })
}

/// Makes `reason` a valid attribute value. A reason may quote the message, and SQS rejects most control characters and
/// empty values.
fn printable(reason: &str) -> String {
    let text: String = reason
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .filter(|character| !matches!(character, '\u{fffe}' | '\u{ffff}'))
        .take(REASON_CHARACTERS_MAX)
        .collect();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_trace_headers_are_forwarded() {
        let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
        for good in
            [root.to_owned(), format!("{root};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a87bd80c:1")]
        {
            assert!(is_trace_header(&good), "{good}");
        }
        for bad in [
            "",
            "Root=1-5759e988",
            "Sampled=1",
            "Root=1-5759e98g-bd862e3fe1be46a994272793",
            &format!("{root};"),
            &format!("{root};a"),
            &format!("{root};a=\u{1}"),
            &format!("{root};a={}", "x".repeat(256)),
        ] {
            assert!(!is_trace_header(bad), "{bad}");
        }
    }

    #[test]
    fn reasons_are_valid_message_attributes() {
        assert_eq!(printable("a\nb\u{ffff}"), "a b");
        assert_eq!(printable(""), "unknown");
        assert_eq!(printable(&"\u{e9}".repeat(1000)).chars().count(), REASON_CHARACTERS_MAX);
    }
}
