//! `badgesmith status`: the state of the pipeline.

mod output;
mod slots;

use std::cmp::Reverse;
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{BranchHistory, HistoryQuery};
use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::sqs::{Queue, QueueDepth};
use badgesmith_domain::ids::{Branch, Repository};
use badgesmith_domain::slots::SlotState;
use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;
use clap::Args;

use self::output::{BranchStatus, Oldest, QueueStatus, RefreshStatus, Status};
use self::slots::SlotStatus;
use crate::dlq::DeadLetterQueue;
use crate::error::CliError;
use crate::help;
use crate::output::Output;
use crate::package::scheduled;
use crate::stack::{Resource, Stack, Target};

/// The visibility timeout of dead letters that are received to read their age.
const SAMPLE_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(10);
/// A long poll, because a short poll queries only some of SQS's servers.
const SAMPLE_WAIT: Duration = Duration::from_secs(1);

const SLOTS_PAGE: usize = 300;
/// More than any badge adds up.
const SLOTS_SHOWN_MAX: usize = 900;

const EXAMPLES: &str = "    badgesmith status --stack badgesmith
    badgesmith status --stack badgesmith --repo acme/kit
    badgesmith status --endpoint-url http://127.0.0.1:9475 --json";

#[derive(Debug, Args)]
#[command(after_long_help = help::with_examples(EXAMPLES))]
pub(crate) struct Options {
    /// Repository whose suites and latest results to show
    #[arg(long, value_name = "OWNER/REPO")]
    repo: Option<Repository>,
    /// Branch whose suites and latest results to show
    #[arg(long, default_value = "main", requires = "repo")]
    branch: Branch,
    /// Number of latest results to show
    #[arg(long, value_name = "NUMBER", default_value_t = 10, requires = "repo", value_parser = clap::value_parser!(u16).range(1..=200))]
    results: u16,
    #[command(flatten)]
    pub(crate) target: Target,
}

impl Options {
    pub(crate) async fn run(&self) -> Result<Output, CliError> {
        let stack = self.target.find().await?;
        let now = Clock::System.now();
        let queues = queues(&stack, now).await?;
        let due = scheduled(&stack.packages()?, now, now).await?;
        let lag = due.iter().map(|due| now.since(due.since)).max().unwrap_or_default();
        let branch = match &self.repo {
            Some(repository) => Some(BranchStatus {
                repository: repository.clone(),
                branch: self.branch.clone(),
                slots: self.slots_of(&stack, repository).await?,
                results: self.results_of(&stack, repository).await?,
            }),
            None => None,
        };
        let status = Status {
            queues,
            refresh: RefreshStatus { due: due.len(), lag_seconds: lag.as_secs() },
            branch,
            now,
        };
        Ok(Output::new(&status).notes(status.notes()))
    }

    /// The slots of a repository's branch, newest first.
    async fn slots_of(&self, stack: &Stack, repository: &Repository) -> Result<Vec<SlotStatus>, CliError> {
        let results = stack.results()?;
        let (mut slots, mut after) = (Vec::new(), None);
        while let Some(page) =
            results.slots(repository, Some(&self.branch), SLOTS_PAGE, after.as_ref()).await?
        {
            slots.extend(page.slots);
            after = page.next;
            if after.is_none() || slots.len() >= SLOTS_SHOWN_MAX {
                break;
            }
        }
        let states = SlotState::of_branch(&slots);
        let mut slots: Vec<_> = slots.into_iter().zip(states).map(SlotStatus::from).collect();
        slots.sort_by_key(|slot| Reverse(slot.timestamp()));
        Ok(slots)
    }

    /// The newest results of a repository's branch, on all platforms.
    async fn results_of(&self, stack: &Stack, repository: &Repository) -> Result<Vec<TestResult>, CliError> {
        let query = HistoryQuery {
            repository: repository.clone(),
            platform: None,
            branch: Some(BranchHistory { branch: self.branch.clone(), from: None, to: None }),
            limit: self.results.into(),
            after: None,
        };
        Ok(stack.results()?.history(&query).await?.map(|page| page.results).unwrap_or_default())
    }
}

async fn queues(stack: &Stack, now: Timestamp) -> Result<Vec<QueueStatus>, CliError> {
    let mut queues = Vec::new();
    for resource in Resource::QUEUES {
        let queue = stack.queue(resource)?;
        let depth = queue.depth().await?;
        let dead_letter_queue = DeadLetterQueue::from_resource(resource);
        // On other queues a receive counts as an attempt to process the message.
        let oldest = match dead_letter_queue {
            Some(_) if depth.visible > 0 => oldest(&queue, depth, now).await,
            Some(_) | None => Ok(None),
        };
        queues.push(QueueStatus::new(resource.name(), dead_letter_queue, depth, oldest));
    }
    Ok(queues)
}

/// The oldest of at most ten dead letters: SQS returns any ten, and only CloudWatch has the age of the oldest of all.
async fn oldest(queue: &Queue, depth: QueueDepth, now: Timestamp) -> Result<Option<Oldest>, AwsError> {
    let sample = queue.receive(Queue::BATCH, SAMPLE_VISIBILITY_TIMEOUT, SAMPLE_WAIT).await?;
    let handles: Vec<_> = sample.iter().map(|message| message.receipt_handle.clone()).collect();
    queue.change_visibility(&handles, Duration::ZERO).await?;
    let is_sample =
        sample.len() == Queue::BATCH || u64::try_from(sample.len()).unwrap_or(u64::MAX) < depth.total();
    let sent_at = sample.iter().map(|message| message.sent_at).min();
    Ok(sent_at.map(|sent_at| Oldest { age: now.since(sent_at), is_sample }))
}
