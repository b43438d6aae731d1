//! The messages that a command selects.

use std::fmt;
use std::time::Duration;

use badgesmith_domain::ids::Repository;
use badgesmith_domain::timestamp::Timestamp;
use clap::Args;

use super::dead_letter::DeadLetter;
use crate::duration::{format_duration, parse_duration};

#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Repository the results belong to
    #[arg(long, value_name = "OWNER/REPO")]
    pub(super) repo: Option<Repository>,
    /// Minimum time since the message was first sent, for example 90m, 12h or 3d
    #[arg(long, value_name = "AGE", value_parser = parse_duration)]
    older_than: Option<Duration>,
    /// Text that the reason contains, case-insensitive
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Filter {
    pub(super) fn matches_all(&self) -> bool {
        self.repo.is_none() && self.older_than.is_none() && self.reason.is_none()
    }

    pub(super) fn matches(&self, dead_letter: &DeadLetter, now: Timestamp) -> bool {
        let subject = dead_letter.subject.as_deref();
        self.repo.as_ref().is_none_or(|repository| subject == Some(&repository.to_string()))
            && self.older_than.is_none_or(|age| now.since(dead_letter.message.sent_at) > age)
            && self
                .reason
                .as_ref()
                .is_none_or(|text| dead_letter.reason.to_lowercase().contains(&text.to_lowercase()))
    }
}

/// The selection, to follow the word "messages".
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repo, older_than, reason } = self;
        if let Some(repository) = repo {
            write!(f, " of {repository}")?;
        }
        if let Some(age) = older_than {
            write!(f, " older than {}", format_duration(*age))?;
        }
        if let Some(reason) = reason {
            write!(f, " with {reason:?} in the reason")?;
        }
        Ok(())
    }
}
