//! `badgesmith dlq`: what could not be processed, why, and back to where it came from.

mod look;
mod reason;
mod replay;
mod scan;

use std::time::Duration;

use badgesmith_domain::ids::Repository;
use clap::{Args, Subcommand, ValueEnum};

use self::reason::Filter;
use crate::duration::parse_duration;
use crate::error::CliError;
use crate::help;
use crate::stack::{Resource, Target};
use crate::told::Told;

/// Looks into the dead-letter queues, and empties them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List messages that could not be processed, with their ages and reasons
    ///
    /// The reason is what the processor wrote down, else what is wrong with the message, else "gave up": it was tried
    /// as often as it should. While messages are looked at they are hidden from others. When not all could be looked
    /// at, it says so, and fails.
    #[command(after_long_help = help::with_examples(LIST))]
    List(List),
    /// Show messages as a whole
    #[command(after_long_help = help::with_examples(SHOW))]
    Show(Show),
    /// Move messages back to the queue that they came from
    ///
    /// Each is sent before it is deleted, and processing one twice changes nothing: so a replay can be interrupted at
    /// any time, and run again, and nothing is lost. What was being moved when it was killed shows again after
    /// --hide. What arrives while it runs, and so what comes back at once, is left alone.
    #[command(after_long_help = help::with_examples(REPLAY))]
    Replay(Replay),
    /// Throw messages away, for good
    ///
    /// Replay first, so that only what can never succeed is left. It asks before it looks at any.
    #[command(after_long_help = help::with_examples(PURGE))]
    Purge(Purge),
}

const LIST: &str = "    badgesmith dlq list --stack badgesmith
    badgesmith dlq list --stack badgesmith --repo acme/kit --older-than 2h
    badgesmith dlq list --stack badgesmith --queue refresh --json | jq .reasons";

const SHOW: &str = "    badgesmith dlq show --stack badgesmith --reason malformed
    badgesmith dlq show 1b0f5c3e-6f1d-4b5e-8d57-0a8d1f0f3f55 --stack badgesmith";

const REPLAY: &str = "  What would be moved:
    badgesmith dlq replay --stack badgesmith --reason 'gave up' --dry-run

  Everything, slowly:
    badgesmith dlq replay --stack badgesmith --rate 10";

const PURGE: &str = "    badgesmith dlq purge --stack badgesmith --queue refresh
    badgesmith dlq purge --stack badgesmith --reason malformed --yes";

/// One of the dead-letter queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Which {
    /// Test results
    Results,
    /// Requests for packages
    Refresh,
    /// Requests for packages that EventBridge could not put on their queue
    RefreshEvents,
}

impl Which {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Results => "results",
            Self::Refresh => "refresh",
            Self::RefreshEvents => "refresh-events",
        }
    }

    /// The one that is this resource.
    pub(crate) fn of(resource: Resource) -> Option<Self> {
        Self::value_variants().iter().copied().find(|which| which.dead_letters() == resource)
    }

    fn dead_letters(self) -> Resource {
        match self {
            Self::Results => Resource::ResultsDeadLetterQueue,
            Self::Refresh => Resource::RefreshDeadLetterQueue,
            Self::RefreshEvents => Resource::RefreshEventsDeadLetterQueue,
        }
    }

    /// Where its dead letters came from, or should have gone to: EventBridge keeps an event as the queue would have had it.
    fn source(self) -> Resource {
        match self {
            Self::Results => Resource::ResultsQueue,
            Self::Refresh | Self::RefreshEvents => Resource::RefreshQueue,
        }
    }

    /// How its dead letters are listed.
    pub(crate) fn list(self) -> String {
        match self {
            Self::Results => "badgesmith dlq list".to_owned(),
            Self::Refresh | Self::RefreshEvents => format!("badgesmith dlq list --queue {}", self.name()),
        }
    }
}

/// Which messages are meant.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Of which queue the messages are
    #[arg(long, value_enum, default_value_t = Which::Results)]
    queue: Which,
    /// Only results of this repository
    #[arg(long, value_name = "OWNER/REPO")]
    repo: Option<Repository>,
    /// Only what was first sent longer ago, for example 90m, 12h or 3d
    #[arg(long, value_name = "AGE", value_parser = parse_duration)]
    older_than: Option<Duration>,
    /// Only what has this in its reason
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How long messages are hidden from others while they are worked on, in seconds; those that stay are hidden again
    /// while the command runs
    // One second is what SQS is waited for, and would be over when the answer is here.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(2..=43_200))]
    hide: u64,
    #[command(flatten)]
    target: Target,
}

impl Selection {
    fn filter(&self) -> Result<Filter, CliError> {
        let Self { queue, repo, older_than, reason, .. } = self;
        if *queue != Which::Results && repo.is_some() {
            let advice = "requests are for packages; --reason has the others left out";
            return Err(CliError::Usage(format!("--repo: only results are of a repository: {advice}")));
        }
        let (repository, reason) = (repo.clone(), reason.as_ref().map(|reason| reason.to_lowercase()));
        Ok(Filter { queue: *queue, repository, older_than: *older_than, reason })
    }

    fn hide(&self) -> Duration {
        Duration::from_secs(self.hide)
    }
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Look at this many messages at most
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    max: usize,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The message with this id, as `dlq list` tells it; all if not given
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Look at this many messages at most, when there is no ID
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    max: usize,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Move this many messages a second at most; 0 for as many as possible
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    rate: u32,
    /// Count what would be moved, and move nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    selection: Selection,
}

impl Command {
    fn selection(&self) -> &Selection {
        match self {
            Self::List(List { selection, .. })
            | Self::Show(Show { selection, .. })
            | Self::Replay(Replay { selection, .. })
            | Self::Purge(Purge { selection, .. }) => selection,
        }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.selection().target
    }

    pub(crate) async fn run(&self) -> Result<Told, CliError> {
        let selection = self.selection();
        let filter = selection.filter()?;
        let stack = selection.target.find().await?;
        let dead = stack.queue(selection.queue.dead_letters())?;
        let looking = look::Looking { dead: &dead, filter: &filter, hide: selection.hide() };
        match self {
            Self::List(List { max, .. }) => looking.list(*max).await,
            Self::Show(Show { id, max, .. }) => looking.show(id.as_deref(), *max).await,
            Self::Purge(Purge { yes, .. }) => looking.purge(*yes).await,
            Self::Replay(Replay { rate, dry_run, .. }) => {
                let source = stack.queue(selection.queue.source())?;
                let replaying =
                    replay::Replaying { looking, source: &source, rate: *rate, dry_run: *dry_run };
                replaying.run().await
            }
        }
    }
}
