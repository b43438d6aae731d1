//! A message in a dead-letter queue, with its reason.

use badgesmith_aws::sqs::ReceivedMessage;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::message::ResultMessage;
use badgesmith_domain::package_request::PackageRequest;
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::queue::DeadLetterQueue;
use crate::duration::age;
use crate::terminal;

/// The reason for a valid message.
const MAX_RECEIVES_EXCEEDED: &str = "max receives exceeded";

#[derive(Debug, Serialize)]
pub(super) struct DeadLetter {
    /// The repository or the package that the message names.
    pub(super) subject: Option<String>,
    /// The recorded reason, or else the parse error, or else [`MAX_RECEIVES_EXCEEDED`].
    pub(super) reason: String,
    #[serde(flatten)]
    pub(super) message: ReceivedMessage,
}

impl DeadLetter {
    pub(super) fn new(queue: DeadLetterQueue, mut message: ReceivedMessage) -> Self {
        let (subject, error) = match queue {
            DeadLetterQueue::Results => match ResultMessage::parse(&message.body) {
                Ok(parsed) => (Some(parsed.result.run.repository.to_string()), None),
                Err(error) => (repository_in(&message.body), Some(error.to_string())),
            },
            DeadLetterQueue::Refresh | DeadLetterQueue::RefreshEvents => {
                match PackageRequest::parse_event(&message.body) {
                    Ok(request) => (Some(request.package.to_string()), None),
                    Err(error) => (None, Some(error.to_string())),
                }
            }
        };
        let reason = message.reason.take().or(error);
        Self { subject, reason: reason.unwrap_or_else(|| MAX_RECEIVES_EXCEEDED.to_owned()), message }
    }

    /// The message with its body. Each line of the body has a prefix, because GitHub's runner interprets commands at the
    /// start of a line.
    pub(super) fn details(&self, now: Timestamp) -> String {
        let Self { subject: _, reason, message } = self;
        let parsed: Option<Value> = serde_json::from_str(&message.body).ok();
        let body = parsed.and_then(|body| serde_json::to_string_pretty(&body).ok());
        let mut lines = vec![
            format!("id        {}", message.id),
            format!("reason    {}", reason.replace('\n', " ")),
            format!("sent      {}, {} ago", message.sent_at, age(message.sent_at, now)),
        ];
        lines.extend(message.failed_at.map(|at| format!("failed    {at}, {} ago", age(at, now))));
        lines.push(format!("receives  {}", message.receives));
        lines.extend(body.as_ref().unwrap_or(&message.body).lines().map(|line| format!("  | {line}")));
        terminal::printable(&lines.join("\n"))
    }
}

/// The repository that an invalid message names.
fn repository_in(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let text = |name: &str| body.get("result")?.get(name)?.as_str();
    let repository = format!("{}/{}", text("owner")?, text("repo")?).parse::<Repository>().ok()?;
    Some(repository.to_string())
}
