//! The dead-letter queues of a stack.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use crate::stack::Resource;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DeadLetterQueue {
    /// Test results
    #[default]
    Results,
    /// Package requests
    Refresh,
    /// Package requests that EventBridge failed to deliver to the queue
    RefreshEvents,
}

impl DeadLetterQueue {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Results => "results",
            Self::Refresh => "refresh",
            Self::RefreshEvents => "refresh-events",
        }
    }

    /// The dead-letter queue that is this resource.
    pub(crate) fn from_resource(resource: Resource) -> Option<Self> {
        Self::value_variants().iter().copied().find(|queue| queue.resource() == resource)
    }

    pub(super) fn resource(self) -> Resource {
        match self {
            Self::Results => Resource::ResultsDeadLetterQueue,
            Self::Refresh => Resource::RefreshDeadLetterQueue,
            Self::RefreshEvents => Resource::RefreshEventsDeadLetterQueue,
        }
    }

    /// The queue that a replay sends to.
    pub(super) fn source(self) -> Resource {
        match self {
            Self::Results => Resource::ResultsQueue,
            Self::Refresh | Self::RefreshEvents => Resource::RefreshQueue,
        }
    }

    /// The command that lists its messages.
    pub(crate) fn list_command(self) -> String {
        match self {
            Self::Results => "badgesmith dlq list".to_owned(),
            Self::Refresh | Self::RefreshEvents => format!("badgesmith dlq list --queue {self}"),
        }
    }
}

impl fmt::Display for DeadLetterQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
