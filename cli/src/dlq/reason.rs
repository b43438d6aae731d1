//! What a dead letter is about, and why it is one.

use std::fmt;
use std::time::Duration;

use badgesmith_aws::sqs::Letter;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::message::ResultMessage;
use badgesmith_domain::package_request::PackageRequest;
use badgesmith_domain::timestamp::Timestamp;
use serde_json::{Value, json};

use super::Which;
use crate::duration::format_duration;

/// The reason of a message with which nothing is wrong.
const GAVE_UP: &str = "gave up";

/// A dead letter, understood as far as that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    /// A repository or a package, as the message says; it may be anything.
    pub(super) subject: Option<String>,
    /// Why it was not processed.
    pub(super) reason: String,
}

impl Cause {
    /// What `letter`, from the dead-letter queue of `queue`, has to say.
    pub(super) fn of(queue: Which, letter: &Letter) -> Self {
        let (subject, parsed) = match queue {
            Which::Results => match ResultMessage::parse(&letter.body) {
                Ok(message) => (Some(message.result.run.repository.to_string()), Ok(())),
                Err(error) => (repository_in(&letter.body), Err(error.to_string())),
            },
            Which::Refresh | Which::RefreshEvents => match PackageRequest::parse_event(&letter.body) {
                Ok(request) => (Some(request.package.to_string()), Ok(())),
                Err(error) => (None, Err(error.to_string())),
            },
        };
        let found = || parsed.err().unwrap_or_else(|| GAVE_UP.to_owned());
        Self { subject, reason: letter.reason.clone().unwrap_or_else(found) }
    }
}

/// The repository that a message names that is otherwise not understood.
fn repository_in(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let text = |name: &str| body.get("result")?.get(name)?.as_str();
    let repository = format!("{}/{}", text("owner")?, text("repo")?).parse::<Repository>().ok()?;
    Some(repository.to_string())
}

/// Which letters are meant.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) queue: Which,
    pub(super) repository: Option<Repository>,
    pub(super) older_than: Option<Duration>,
    /// In lower case.
    pub(super) reason: Option<String>,
}

impl Filter {
    /// Whether all letters are meant.
    pub(super) fn is_everything(&self) -> bool {
        self.repository.is_none() && self.older_than.is_none() && self.reason.is_none()
    }

    /// Whether `letter` is meant, for that cause.
    pub(super) fn matches(&self, letter: &Letter, cause: &Cause, now: Timestamp) -> bool {
        let subject = cause.subject.as_deref();
        self.repository.as_ref().is_none_or(|wanted| subject == Some(wanted.to_string().as_str()))
            && self.older_than.is_none_or(|wanted| now.since(letter.sent_at) > wanted)
            && self.reason.as_ref().is_none_or(|wanted| cause.reason.to_lowercase().contains(wanted))
    }
}

/// What is said of the letters that are meant, behind the name of the queue.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queue: _, repository, older_than, reason } = self;
        if let Some(repository) = repository {
            write!(f, " that are of {repository}")?;
        }
        if let Some(age) = older_than {
            write!(f, " that are older than {}", format_duration(*age))?;
        }
        if let Some(reason) = reason {
            write!(f, " that have {reason:?} in their reason")?;
        }
        Ok(())
    }
}

/// A letter for programs.
pub(super) fn to_json(letter: &Letter, cause: &Cause) -> Value {
    json!({
        "id": letter.id,
        "subject": cause.subject,
        "reason": cause.reason,
        "sent_at": letter.sent_at.to_string(),
        "failed_at": letter.failed_at.map(|at| at.to_string()),
        "receives": letter.receives,
        "body": letter.body,
    })
}
