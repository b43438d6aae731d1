//! `badgesmith dlq`: dead-letter queues.

mod dead_letter;
mod filter;
mod inspect;
mod purge;
mod queue;
mod replay;
mod scan;
mod selection;

use clap::{Args, Subcommand};

use self::inspect::Inspector;
pub(crate) use self::queue::DeadLetterQueue;
use self::selection::Selection;
use crate::error::CliError;
use crate::help::{self, YES_ORDER};
use crate::output::Output;
use crate::stack::Target;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List messages with their ages and reasons
    ///
    /// The reason is the one that the processor or EventBridge recorded. Without it, the reason is the parse error of
    /// the message, or "max receives exceeded" for a valid message. The messages are in flight while the command runs;
    /// after Ctrl-C, until --visibility-timeout expires. If some messages cannot be received, the command reports how
    /// many and exits with 1.
    #[command(after_long_help = help::with_examples(LIST))]
    List(ListArgs),
    /// Show messages with their bodies
    #[command(after_long_help = help::with_examples(SHOW))]
    Show(ShowArgs),
    /// Move messages back to their source queue
    ///
    /// Each message is sent before it is deleted, and processing a message twice changes nothing. You can therefore
    /// interrupt a replay at any time: no message is lost, and another replay moves the rest. A message that fails
    /// again and returns during the replay stays in the dead-letter queue.
    #[command(after_long_help = help::with_examples(REPLAY))]
    Replay(ReplayArgs),
    /// Delete messages permanently
    ///
    /// Replay first, so that only messages that can never succeed remain. The command asks for confirmation before it
    /// receives any.
    #[command(after_long_help = help::with_examples(PURGE))]
    Purge(PurgeArgs),
}

const LIST: &str = "    badgesmith dlq list --stack badgesmith
    badgesmith dlq list --stack badgesmith --repo acme/kit --older-than 2h
    badgesmith dlq list --stack badgesmith --queue refresh --json | jq .reasons";

const SHOW: &str = "    badgesmith dlq show --stack badgesmith --reason malformed
    badgesmith dlq show --stack badgesmith 1b0f5c3e-6f1d-4b5e-8d57-0a8d1f0f3f55";

const REPLAY: &str = "  Count the messages that would be moved:
    badgesmith dlq replay --stack badgesmith --reason 'max receives exceeded' --dry-run

  Move all messages, ten per second:
    badgesmith dlq replay --stack badgesmith --rate 10";

const PURGE: &str = "    badgesmith dlq purge --stack badgesmith --queue refresh
    badgesmith dlq purge --stack badgesmith --reason malformed --yes";

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Maximum number of messages to examine
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    max: usize,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// ID of the message, from `dlq list` [default: all messages]
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Maximum number of messages to examine; ignored with an ID
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    max: usize,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Maximum number of messages to move per second; 0 for no limit
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    rate: u32,
    /// Count the messages that would be moved, without moving them
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// Skip the confirmation
    #[arg(long, short, display_order = YES_ORDER)]
    yes: bool,
    #[command(flatten)]
    selection: Selection,
}

impl Command {
    fn selection(&self) -> &Selection {
        match self {
            Self::List(ListArgs { selection, .. })
            | Self::Show(ShowArgs { selection, .. })
            | Self::Replay(ReplayArgs { selection, .. })
            | Self::Purge(PurgeArgs { selection, .. }) => selection,
        }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.selection().target
    }

    pub(crate) async fn run(&self) -> Result<Output, CliError> {
        let selection = self.selection();
        selection.check()?;
        let stack = selection.target.find().await?;
        let queue = &stack.queue(selection.queue.resource())?;
        match self {
            Self::List(ListArgs { max, .. }) => Inspector { queue, selection, max: *max }.list().await,
            Self::Show(ShowArgs { id, max, .. }) => {
                Inspector { queue, selection, max: *max }.show(id.as_deref()).await
            }
            Self::Purge(PurgeArgs { yes, .. }) => purge::purge(queue, selection, *yes).await,
            Self::Replay(ReplayArgs { rate, dry_run, .. }) => {
                let source = &stack.queue(selection.queue.source())?;
                let replay = replay::Replay { queue, source, selection, rate: *rate, dry_run: *dry_run };
                replay.run().await
            }
        }
    }
}
