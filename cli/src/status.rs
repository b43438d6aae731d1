//! `badgesmith status`: how the pipeline is doing, at a glance.

use std::time::Duration;

use badgesmith_shared::clock::Clock;
use badgesmith_shared::dynamodb::{BranchHistory, HistoryQuery};
use badgesmith_shared::name::{Branch, Repository};
use badgesmith_shared::sqs::{Depth, Queue};
use badgesmith_shared::test_result::TestResult;
use badgesmith_shared::timestamp::Timestamp;
use clap::Args;
use serde_json::{Value, json};

use crate::failure::{Failure, help};
use crate::package::scheduled;
use crate::stack::{Resource, Stack, Target};
use crate::terminal::Paint;
use crate::told::{Table, Told, age, duration};

/// Dead letters that are looked at for the age of the oldest.
const PEEKS: usize = Queue::BATCH;
/// They are hidden from others for that long at most.
const PEEK_HIDE: Duration = Duration::from_secs(10);
/// What is a minute late is refreshed with the next run.
const LAG_MAX: Duration = Duration::from_mins(15);

const EXAMPLES: &str = "    badgesmith status --stack badgesmith
    badgesmith status --stack badgesmith --repo acme/kit
    badgesmith status --endpoint-url http://127.0.0.1:9475 --json";

/// Shows what waits in the queues, dead letters, how late packages are, and the last results of a repository.
#[derive(Debug, Args)]
#[command(after_long_help = help(EXAMPLES))]
pub(crate) struct Options {
    /// Show the last results of this repository
    #[arg(long, value_name = "OWNER/REPO")]
    repo: Option<Repository>,
    /// Of this branch
    #[arg(long, default_value = "main")]
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
    depth: Depth,
    /// When the oldest message was sent, of those that were looked at; of dead letters only.
    oldest: Option<Timestamp>,
}

impl Options {
    pub(crate) async fn run(&self) -> Result<Told, Failure> {
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
        let mut table = Table::new(&["QUEUE", "WAITING", "AT WORK", "DELAYED", "OLDEST"]);
        for QueueStatus { resource, depth, oldest } in &queues {
            let oldest = oldest.map_or("-".to_owned(), |oldest| age(oldest, now));
            let [waiting, hidden, delayed] =
                [depth.waiting, depth.hidden, depth.delayed].map(|count| count.to_string());
            table.row([resource.logical_id().to_owned(), waiting, hidden, delayed, oldest]);
        }
        let late = match due.len() {
            0 => Paint::Green.on("no package is overdue"),
            count if lag > LAG_MAX => {
                Paint::Red.on(&format!("{count} packages are overdue, one for {}", duration(lag)))
            }
            count => format!("{count} packages are due, one for {}", duration(lag)),
        };
        let dead: u64 = queues.iter().filter(|queue| queue.is_dead()).map(|queue| queue.depth.total()).sum();
        let letters = match dead {
            0 => Paint::Green.on("no dead letters"),
            dead => Paint::Yellow.on(&format!("{dead} dead letters: `badgesmith dlq list` says why")),
        };
        let mut text = format!("{table}\n\n{letters}\n{late}");
        if let (Some(repository), Some(results)) = (&self.repo, &results) {
            text.push_str("\n\n");
            text.push_str(&results_table(repository, results, now));
        }
        Ok(Told::new(json, text))
    }

    /// The newest results of a repository's branch, on all platforms.
    async fn results_of(&self, stack: &Stack, repository: &Repository) -> Result<Vec<TestResult>, Failure> {
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
    fn is_dead(&self) -> bool {
        matches!(
            self.resource,
            Resource::ResultsDeadLetterQueue
                | Resource::RefreshDeadLetterQueue
                | Resource::RefreshEventsDeadLetterQueue
        )
    }

    fn to_json(&self, now: Timestamp) -> Value {
        json!({
            "queue": self.resource.logical_id(),
            "dead_letters": self.is_dead(),
            "waiting": self.depth.waiting,
            "at_work": self.depth.hidden,
            "delayed": self.depth.delayed,
            "oldest_seconds": self.oldest.map(|oldest| now.since(oldest).as_secs()),
        })
    }
}

async fn queues(stack: &Stack) -> Result<Vec<QueueStatus>, Failure> {
    let mut all = Vec::new();
    for resource in [
        Resource::ResultsQueue,
        Resource::RefreshQueue,
        Resource::ResultsDeadLetterQueue,
        Resource::RefreshDeadLetterQueue,
        Resource::RefreshEventsDeadLetterQueue,
    ] {
        let queue = stack.queue(resource)?;
        let mut status = QueueStatus { resource, depth: queue.depth().await?, oldest: None };
        // Only where being received is not a try.
        if status.is_dead() && status.depth.waiting > 0 {
            let letters = queue.take(PEEKS, PEEK_HIDE, Duration::ZERO).await?;
            queue.put_back(&letters).await?;
            status.oldest = letters.iter().map(|letter| letter.sent_at).min();
        }
        all.push(status);
    }
    Ok(all)
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
