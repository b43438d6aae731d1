//! `badgesmith status`: how the pipeline is doing, at a glance.

use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{BranchHistory, HistoryQuery};
use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::sqs::{Queue, QueueDepth};
use badgesmith_domain::ids::{Branch, Repository};
use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;
use clap::Args;
use serde_json::{Value, json};

use crate::dlq::DeadLetterQueue;
use crate::duration::{age, format_duration};
use crate::error::CliError;
use crate::help;
use crate::package::scheduled;
use crate::stack::{Resource, Stack, Target};
use crate::table::Table;
use crate::terminal::Paint;
use crate::told::Told;

/// For the age of the oldest, some dead letters are looked at, and hidden from others for that long at most.
const PEEK_HIDE: Duration = Duration::from_secs(10);
/// How long they are waited for: without waiting, SQS asks some of its machines only.
const PEEK_WAIT: Duration = Duration::from_secs(1);
/// What is a minute late is refreshed with the next run.
const LAG_MAX: Duration = Duration::from_mins(15);

const EXAMPLES: &str = "    badgesmith status --stack badgesmith
    badgesmith status --stack badgesmith --repo acme/kit
    badgesmith status --endpoint-url http://127.0.0.1:9475 --json";

/// Shows what waits in the queues, dead letters, how late packages are, and the last results of a repository.
#[derive(Debug, Args)]
#[command(after_long_help = help::with_examples(EXAMPLES))]
pub(crate) struct Options {
    /// Show the last results of this repository
    #[arg(long, value_name = "OWNER/REPO")]
    repo: Option<Repository>,
    /// Of this branch
    #[arg(long, default_value = "main", requires = "repo")]
    branch: Branch,
    /// How many of them
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=200))]
    results: u16,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// One queue.
struct QueueStatus {
    resource: Resource,
    depth: QueueDepth,
    /// The oldest that was looked at, or why none was; of dead letters only.
    oldest: Result<Option<Oldest>, AwsError>,
}

/// SQS gives out any ten dead letters, and tells nobody but CloudWatch how old the oldest is.
struct Oldest {
    sent_at: Timestamp,
    /// There are others, which may be older.
    is_sample: bool,
}

impl Options {
    pub(crate) async fn run(&self) -> Result<Told, CliError> {
        let stack = self.target.find().await?;
        let now = Clock::System.now();
        let queues = queues(&stack).await?;
        let due = scheduled(&stack.packages()?, now, now).await?;
        let lag = due.iter().map(|due| now.since(due.since)).max().unwrap_or_default();
        let results = match &self.repo {
            Some(repository) => Some(self.results_of(&stack, repository).await?),
            None => None,
        };
        let json = json!({
            "queues": queues.iter().map(|queue| queue.to_json(now)).collect::<Vec<_>>(),
            "refresh": { "due": due.len(), "lag_seconds": lag.as_secs() },
            "results": results,
        });
        let mut table = Table::new(&["QUEUE", "VISIBLE", "IN FLIGHT", "DELAYED", "OLDEST"]);
        for QueueStatus { resource, depth, oldest } in &queues {
            let oldest = match oldest {
                Ok(Some(Oldest { sent_at, is_sample: true })) => format!("at least {}", age(*sent_at, now)),
                Ok(Some(Oldest { sent_at, is_sample: false })) => age(*sent_at, now),
                Ok(None) => "-".to_owned(),
                Err(_) => "?".to_owned(),
            };
            let [visible, in_flight, delayed] =
                [depth.visible, depth.in_flight, depth.delayed].map(|count| count.to_string());
            table.row([resource.logical_id().to_owned(), visible, in_flight, delayed, oldest]);
        }
        let late = match due.len() {
            0 => Paint::Green.on("no package is overdue"),
            count if lag > LAG_MAX => {
                Paint::Red.on(&format!("{count} packages are overdue, one for {}", format_duration(lag)))
            }
            count => format!("{count} packages are due, one for {}", format_duration(lag)),
        };
        let dead = queues.iter().filter(|queue| queue.depth.total() > 0);
        let letters: Vec<_> = dead
            .filter_map(|queue| {
                let which = DeadLetterQueue::from_resource(queue.resource)?;
                let (count, name, list) = (queue.depth.total(), which.name(), which.list_command());
                Some(Paint::Yellow.on(&format!("{count} dead letters of {name}: `{list}` says why")))
            })
            .collect();
        let letters =
            if letters.is_empty() { Paint::Green.on("no dead letters") } else { letters.join("\n") };
        let mut text = format!("{table}\n\n{letters}\n{late}");
        if let (Some(repository), Some(results)) = (&self.repo, &results) {
            text.push_str("\n\n");
            text.push_str(&results_table(repository, results, now));
        }
        let mut told = Told::new(json, text);
        for QueueStatus { resource, oldest, .. } in queues {
            if let Err(error) = oldest {
                let (name, why) = (resource.logical_id(), CliError::from(error));
                told = told.note(format!("how old the dead letters of {name} are is not known: {why}"));
            }
        }
        Ok(told)
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

impl QueueStatus {
    fn to_json(&self, now: Timestamp) -> Value {
        let oldest = self.oldest.as_ref().ok().and_then(Option::as_ref);
        json!({
            "queue": self.resource.logical_id(),
            "dead_letters": DeadLetterQueue::from_resource(self.resource).is_some(),
            "visible": self.depth.visible,
            "in_flight": self.depth.in_flight,
            "delayed": self.depth.delayed,
            "oldest_seconds": oldest.map(|oldest| now.since(oldest.sent_at).as_secs()),
            "oldest_is_sample": oldest.map(|oldest| oldest.is_sample),
        })
    }
}

async fn queues(stack: &Stack) -> Result<Vec<QueueStatus>, CliError> {
    let mut all = Vec::new();
    for resource in Resource::QUEUES {
        let queue = stack.queue(resource)?;
        let depth = queue.depth().await?;
        // Only where being received is not a try.
        let is_looked_at = DeadLetterQueue::from_resource(resource).is_some() && depth.visible > 0;
        let oldest = if is_looked_at { oldest(&queue, depth).await } else { Ok(None) };
        all.push(QueueStatus { resource, depth, oldest });
    }
    Ok(all)
}

/// The oldest of some dead letters.
async fn oldest(queue: &Queue, depth: QueueDepth) -> Result<Option<Oldest>, AwsError> {
    let letters = queue.receive(Queue::BATCH, PEEK_HIDE, PEEK_WAIT).await?;
    let handles: Vec<_> = letters.iter().map(|letter| letter.receipt_handle.clone()).collect();
    queue.change_visibility(&handles, Duration::ZERO).await?;
    let is_sample =
        letters.len() == Queue::BATCH || u64::try_from(letters.len()).unwrap_or(u64::MAX) < depth.total();
    let sent_at = letters.iter().map(|letter| letter.sent_at).min();
    Ok(sent_at.map(|sent_at| Oldest { sent_at, is_sample }))
}

fn results_table(repository: &Repository, results: &[TestResult], now: Timestamp) -> String {
    if results.is_empty() {
        return format!("no results of {repository} on that branch; --branch names another");
    }
    let mut table = Table::new(&["AGE", "PLATFORM", "BRANCH", "PASSED", "FAILED", "SKIPPED", "RUN"]);
    for result in results {
        let counts = &result.counts;
        let [passed, failed, skipped] =
            [counts.passed(), counts.failed(), counts.skipped()].map(|count| count.to_string());
        table.row([
            age(result.timestamp, now),
            result.platform.to_string(),
            result.branch.to_string(),
            passed,
            failed,
            skipped,
            result.run_id.as_str().to_owned(),
        ]);
    }
    table.to_string()
}
