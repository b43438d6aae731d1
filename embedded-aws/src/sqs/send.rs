//! Sending messages:
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::errors::{invalid_value, missing, within};
use super::queues::Queues;
use super::{batch, checksum};
use crate::error::ServiceError;
use crate::template::QueueSettings;

/// The largest message, or batch of messages: 1 MiB.
pub(super) const BYTES_MAX: usize = 1024 * 1024;
const ATTRIBUTES_MAX: usize = 10;
const GROUP_CHARACTERS_MAX: usize = 128;
/// The longest delay: 15 minutes.
pub(super) const DELAY_SECONDS_MAX: i64 = 900;

/// A message to send.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Content {
    #[serde(default)]
    pub(super) message_body: String,
    #[serde(default)]
    pub(super) delay_seconds: i64,
    #[serde(default)]
    pub(super) message_attributes: Map<String, Value>,
    #[serde(default)]
    pub(super) message_system_attributes: Map<String, Value>,
    pub(super) message_group_id: Option<String>,
}

impl Content {
    /// The size of the message: its body and attributes.
    fn bytes(&self) -> usize {
        let text = |value: &Value, field: &str| value[field].as_str().map_or(0, str::len);
        let attributes = self.message_attributes.iter().map(|(name, value)| {
            let encoded = text(value, "BinaryValue");
            name.len() + text(value, "DataType") + text(value, "StringValue") + encoded / 4 * 3
        });
        self.message_body.len() + attributes.sum::<usize>()
    }

    fn check(&self) -> Result<(), ServiceError> {
        if self.message_body.is_empty() {
            return Err(missing("MessageBody"));
        }
        if self.bytes() > BYTES_MAX {
            return Err(invalid_value(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {BYTES_MAX} bytes."
            )));
        }
        if let Some(character) = self.message_body.chars().find(|character| !is_allowed(*character)) {
            let message = format!("Invalid characters found: #x{:X}", u32::from(character));
            return Err(ServiceError::client("InvalidMessageContents", message));
        }
        within("DelaySeconds", self.delay_seconds, 0, DELAY_SECONDS_MAX)?;
        if self.message_group_id.as_ref().is_some_and(|id| !is_group_id(id)) {
            return Err(invalid_value(format!(
                "MessageGroupId can only include alphanumeric and punctuation characters. 1 to {GROUP_CHARACTERS_MAX} \
                 in length."
            )));
        }
        if self.message_attributes.len() > ATTRIBUTES_MAX {
            let count = self.message_attributes.len();
            return Err(invalid_value(format!(
                "Number of message attributes [{count}] exceeds the allowed maximum [{ATTRIBUTES_MAX}]."
            )));
        }
        let mut attributes = self.message_attributes.iter().chain(&self.message_system_attributes);
        attributes.try_for_each(|(name, value)| check_attribute(name, value))
    }
}

/// Whether XML 1.0 allows this character; SQS accepts no others.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_group_id(id: &str) -> bool {
    (1..=GROUP_CHARACTERS_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn check_attribute(name: &str, value: &Value) -> Result<(), ServiceError> {
    let data_type = value["DataType"].as_str().unwrap_or_default();
    let present = match data_type.split('.').next().unwrap_or_default() {
        "String" | "Number" => value["StringValue"].as_str().is_some_and(|text| !text.is_empty()),
        "Binary" => value["BinaryValue"]
            .as_str()
            .is_some_and(|encoded| !encoded.is_empty() && STANDARD.decode(encoded).is_ok()),
        _ => {
            return Err(invalid_value(format!(
                "The type of message (user) attribute '{name}' is invalid. You must use only the following \
                 supported type prefixes: Binary, Number, String."
            )));
        }
    };
    if present {
        return Ok(());
    }
    Err(invalid_value(format!(
        "Message (user) attribute '{name}' must contain a non-empty value of type '{data_type}'."
    )))
}

impl Queues {
    pub(super) fn send_message(&self, body: &[u8]) -> Result<String, ServiceError> {
        let sent = self.send(self.addressed(body)?, &serde_json::from_slice(body)?)?;
        Ok(Value::Object(sent).to_string())
    }

    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
    pub(super) fn send_batch(&self, body: &[u8]) -> Result<String, ServiceError> {
        let entries = batch::entries::<Content>(body)?;
        let bytes: usize = entries.iter().map(|entry| entry.content.bytes()).sum();
        if bytes > BYTES_MAX {
            let message = format!(
                "Batch requests cannot be longer than {BYTES_MAX} bytes. You have sent {bytes} bytes."
            );
            return Err(ServiceError::client("BatchRequestTooLong", message));
        }
        let now = self.now();
        let answer =
            self.each(body, &entries, |connection, queue, content| insert(connection, queue, content, now))?;
        self.arrived.notify_waiters();
        Ok(answer)
    }

    /// Sends an event from EventBridge to the queue `name`.
    pub(crate) fn deliver(&self, name: &str, body: String) -> Result<(), ServiceError> {
        let content = Content { message_body: body, ..Content::default() };
        self.send(self.queue(name)?, &content)?;
        Ok(())
    }

    /// Stores a message, and returns the response of `SendMessage`.
    fn send(&self, queue: &QueueSettings, content: &Content) -> Result<Map<String, Value>, ServiceError> {
        let sent = insert(&self.database.lock(), queue, content, self.now())?;
        self.arrived.notify_waiters();
        Ok(sent)
    }
}

/// When a new message becomes visible. Without a delay it always is, even if the clock is set back.
fn visible_at(delay_seconds: i64, now: i64) -> i64 {
    if delay_seconds == 0 { 0 } else { now + delay_seconds * 1000 }
}

fn insert(
    connection: &Connection,
    queue: &QueueSettings,
    content: &Content,
    now: i64,
) -> Result<Map<String, Value>, ServiceError> {
    content.check()?;
    let message_id = Uuid::new_v4().to_string();
    let mut system_attributes = content.message_system_attributes.clone();
    if let Some(group) = &content.message_group_id {
        system_attributes.insert("MessageGroupId".to_owned(), json!({ "StringValue": group }));
    }
    connection.execute(
        "INSERT INTO message (queue, message_id, body, attributes, system_attributes, sent_at, visible_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            queue.name,
            message_id,
            content.message_body,
            serde_json::to_string(&content.message_attributes)?,
            serde_json::to_string(&system_attributes)?,
            now,
            visible_at(content.delay_seconds, now),
        ],
    )?;
    let mut sent = Map::new();
    sent.insert("MessageId".to_owned(), message_id.into());
    sent.insert("MD5OfMessageBody".to_owned(), checksum::body_md5(&content.message_body).into());
    for (name, attributes) in [
        ("MD5OfMessageAttributes", &content.message_attributes),
        ("MD5OfMessageSystemAttributes", &content.message_system_attributes),
    ] {
        if let Some(digest) = checksum::attributes_md5(attributes) {
            sent.insert(name.to_owned(), digest.into());
        }
    }
    Ok(sent)
}
