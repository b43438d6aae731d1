//! The options that all `dlq` commands share.

use std::time::Duration;

use clap::Args;

use super::filter::Filter;
use super::queue::DeadLetterQueue;
use crate::error::CliError;
use crate::stack::Target;

#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Dead-letter queue to read
    #[arg(long, value_enum, default_value_t)]
    pub(super) queue: DeadLetterQueue,
    #[command(flatten)]
    pub(super) filter: Filter,
    /// Time that received messages stay invisible to other consumers, in seconds, unless the command ends earlier
    // A receive waits for up to a second.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(2..=43_200))]
    visibility_timeout: u64,
    #[command(flatten)]
    pub(super) target: Target,
}

impl Selection {
    pub(super) fn check(&self) -> Result<(), CliError> {
        if self.queue == DeadLetterQueue::Results || self.filter.repo.is_none() {
            return Ok(());
        }
        let error = "--repo: only test results have a repository; omit it with this --queue";
        Err(CliError::Usage(error.to_owned()))
    }

    pub(super) fn visibility_timeout(&self) -> Duration {
        Duration::from_secs(self.visibility_timeout)
    }
}
