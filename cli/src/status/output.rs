//! The output of `badgesmith status`.

use std::fmt;
use std::time::Duration;

use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::sqs::QueueDepth;
use badgesmith_domain::ids::{Branch, Repository};
use badgesmith_domain::test_result::{Conclusion, TestResult};
use badgesmith_domain::timestamp::Timestamp;
use serde::Serialize;

use super::slots::{self, SlotStatus};
use crate::dlq::DeadLetterQueue;
use crate::duration::{age, format_duration};
use crate::error::CliError;
use crate::table::Table;
use crate::terminal::Paint;

/// A longer lag is shown in red.
const LAG_MAX: Duration = Duration::from_mins(15);

#[derive(Serialize)]
pub(super) struct Status {
    pub(super) queues: Vec<QueueStatus>,
    pub(super) refresh: RefreshStatus,
    /// `None` if no repository was named.
    #[serde(flatten)]
    pub(super) branch: Option<BranchStatus>,
    #[serde(skip)]
    pub(super) now: Timestamp,
}

#[derive(Serialize)]
pub(super) struct QueueStatus {
    /// Its name without the prefix of the stack.
    queue: &'static str,
    /// Whether it is a dead-letter queue.
    dead_letters: bool,
    visible: u64,
    in_flight: u64,
    delayed: u64,
    /// For dead-letter queues only.
    oldest_seconds: Option<u64>,
    /// Whether the queue may have older messages.
    oldest_is_sample: Option<bool>,
    #[serde(skip)]
    dead_letter_queue: Option<DeadLetterQueue>,
    /// Why the age of the oldest message is unknown.
    #[serde(skip)]
    oldest_error: Option<CliError>,
}

/// A branch of a repository.
#[derive(Serialize)]
pub(super) struct BranchStatus {
    #[serde(skip)]
    pub(super) repository: Repository,
    #[serde(skip)]
    pub(super) branch: Branch,
    pub(super) slots: Vec<SlotStatus>,
    /// The newest results.
    pub(super) results: Vec<TestResult>,
}

/// The oldest message of a sample.
pub(super) struct Oldest {
    pub(super) age: Duration,
    /// Whether the queue has other messages, which may be older.
    pub(super) is_sample: bool,
}

#[derive(Serialize)]
pub(super) struct RefreshStatus {
    /// Packages that are due.
    pub(super) due: usize,
    /// How long the most overdue package has been due, in seconds.
    pub(super) lag_seconds: u64,
}

impl Status {
    /// One for each queue whose oldest message is unknown.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.queues.iter().filter_map(|QueueStatus { queue, oldest_error, .. }| {
            let error = oldest_error.as_ref()?;
            Some(format!("the age of the messages in {queue} is unknown: {error}"))
        })
    }

    fn fmt_dead_letters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.queues.iter().filter_map(QueueStatus::dead_letters_line).peekable();
        if lines.peek().is_none() {
            return writeln!(f, "{}", Paint::Green.on("no dead letters"));
        }
        lines.try_for_each(|line| writeln!(f, "{}", Paint::Yellow.on(&line)))
    }
}

impl QueueStatus {
    pub(super) fn new(
        queue: &'static str,
        dead_letter_queue: Option<DeadLetterQueue>,
        depth: QueueDepth,
        oldest: Result<Option<Oldest>, AwsError>,
    ) -> Self {
        let (oldest, oldest_error) = match oldest {
            Ok(oldest) => (oldest, None),
            Err(error) => (None, Some(error.into())),
        };
        Self {
            queue,
            dead_letters: dead_letter_queue.is_some(),
            visible: depth.visible,
            in_flight: depth.in_flight,
            delayed: depth.delayed,
            oldest_seconds: oldest.as_ref().map(|oldest| oldest.age.as_secs()),
            oldest_is_sample: oldest.as_ref().map(|oldest| oldest.is_sample),
            dead_letter_queue,
            oldest_error,
        }
    }

    fn row(&self) -> [String; 5] {
        let age = self.oldest_seconds.map(|seconds| format_duration(Duration::from_secs(seconds)));
        let oldest = match age {
            Some(age) if self.oldest_is_sample == Some(true) => format!("at least {age}"),
            Some(age) => age,
            None if self.oldest_error.is_some() => "?".to_owned(),
            None => "-".to_owned(),
        };
        let [visible, in_flight, delayed] =
            [self.visible, self.in_flight, self.delayed].map(|count| count.to_string());
        [self.queue.to_owned(), visible, in_flight, delayed, oldest]
    }

    fn dead_letters_line(&self) -> Option<String> {
        let queue = self.dead_letter_queue?;
        let (name, command) = (queue.name(), queue.list_command());
        match self.visible + self.in_flight + self.delayed {
            0 => None,
            1 => Some(format!("1 dead letter in {name}: `{command}` lists it")),
            count => Some(format!("{count} dead letters in {name}: `{command}` lists them")),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["QUEUE", "VISIBLE", "IN FLIGHT", "DELAYED", "OLDEST"]);
        for queue in &self.queues {
            table.row(queue.row());
        }
        write!(f, "{table}\n\n")?;
        self.fmt_dead_letters(f)?;
        write!(f, "{}", self.refresh)?;
        match &self.branch {
            Some(BranchStatus { repository, branch, results, .. }) if results.is_empty() => write!(
                f,
                "\n\nno results for {repository} on branch {branch}: check --repo, or pass another --branch"
            ),
            Some(BranchStatus { repository, branch, slots, results }) => {
                let (slots, results) = (slots::table(slots, self.now), results_table(results, self.now));
                write!(f, "\n\n{repository}, branch {branch}:\n\n{slots}\n\n{results}")
            }
            None => Ok(()),
        }
    }
}

impl fmt::Display for RefreshStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lag = Duration::from_secs(self.lag_seconds);
        let text = match self.due {
            1 => format!("1 package is overdue, by {}", format_duration(lag)),
            due => format!("{due} packages are overdue, by up to {}", format_duration(lag)),
        };
        match self.due {
            0 => f.write_str(&Paint::Green.on("no packages are overdue")),
            _ if lag > LAG_MAX => f.write_str(&Paint::Red.on(&text)),
            _ => f.write_str(&text),
        }
    }
}

fn results_table(results: &[TestResult], now: Timestamp) -> Table {
    let mut table =
        Table::new(&["AGE", "PLATFORM", "SUITE", "PASSED", "FAILED", "SKIPPED", "CONCLUSION", "RUN"]);
    for result in results {
        let run = &result.run;
        let counts = run.outcome.counts();
        let [passed, failed, skipped] =
            [counts.passed(), counts.failed(), counts.skipped()].map(|count| count.to_string());
        table.row([
            age(run.timestamp, now),
            run.platform.to_string(),
            slots::suite_name(run),
            passed,
            failed,
            skipped,
            run.outcome.conclusion().map_or("retired", Conclusion::as_str).to_owned(),
            run.run_id.as_str().to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use badgesmith_domain::slots::SlotState;

    use super::*;

    fn status(results: Vec<TestResult>) -> Status {
        let depth = |visible, in_flight| QueueDepth { visible, in_flight, delayed: 0 };
        let oldest = Oldest { age: Duration::from_mins(90), is_sample: true };
        let states = [SlotState::Live, SlotState::Silent];
        let slots = results.iter().cloned().cycle().zip(states).map(SlotStatus::from).collect();
        let queues = vec![
            QueueStatus::new("badge-results", None, depth(3, 2), Ok(None)),
            QueueStatus::new(
                "badge-results-dlq",
                Some(DeadLetterQueue::Results),
                depth(12, 0),
                Ok(Some(oldest)),
            ),
            QueueStatus::new(
                "badge-refresh-dlq",
                Some(DeadLetterQueue::Refresh),
                depth(0, 1),
                Err(AwsError::unexpected("sqs:ReceiveMessage", "no answer")),
            ),
        ];
        Status {
            queues,
            refresh: RefreshStatus { due: 4, lag_seconds: 75 },
            branch: Some(BranchStatus {
                repository: "acme/kit".parse().unwrap(),
                branch: "main".parse().unwrap(),
                slots,
                results,
            }),
            now: "2026-05-01T10:05:00Z".parse().unwrap(),
        }
    }

    fn result() -> TestResult {
        serde_json::from_value(serde_json::json!({
            "test_result_id": "0196a3b4-0000-7000-8000-000000000000",
            "owner": "acme",
            "repo": "kit",
            "platform": "linux",
            "branch": "main",
            "passed": 190,
            "failed": 1,
            "skipped": 2,
            "total": 193,
            "timestamp": "2026-05-01T10:00:00Z",
            "run_id": "7",
        }))
        .unwrap()
    }

    #[test]
    fn a_status_has_queues_dead_letters_packages_and_results() {
        let status = status(vec![result()]);
        insta::assert_snapshot!(status, @r"
        QUEUE              VISIBLE  IN FLIGHT  DELAYED  OLDEST
        badge-results      3        2          0        -
        badge-results-dlq  12       0          0        at least 1h 30m
        badge-refresh-dlq  0        1          0        ?

        12 dead letters in results: `badgesmith dlq list` lists them
        1 dead letter in refresh: `badgesmith dlq list --queue refresh` lists it
        4 packages are overdue, by up to 1m

        acme/kit, branch main:

        AGE  PLATFORM  SUITE      PASSED  FAILED  CONCLUSION  SILENT AFTER
        5m   linux     (unnamed)  190     1       failure     2026-06-05
        5m   linux     (unnamed)  190     1       failure     silent

        AGE  PLATFORM  SUITE      PASSED  FAILED  SKIPPED  CONCLUSION  RUN
        5m   linux     (unnamed)  190     1       2        failure     7
        ");
        let notes: Vec<_> = status.notes().collect();
        assert_eq!(
            notes,
            ["the age of the messages in badge-refresh-dlq is unknown: sqs:ReceiveMessage failed: no answer"]
        );
    }

    #[test]
    fn the_json_of_a_status_has_each_queue() {
        let mut status = status(Vec::new());
        status.queues.truncate(2);
        insta::assert_json_snapshot!(status, @r#"
        {
          "queues": [
            {
              "queue": "badge-results",
              "dead_letters": false,
              "visible": 3,
              "in_flight": 2,
              "delayed": 0,
              "oldest_seconds": null,
              "oldest_is_sample": null
            },
            {
              "queue": "badge-results-dlq",
              "dead_letters": true,
              "visible": 12,
              "in_flight": 0,
              "delayed": 0,
              "oldest_seconds": 5400,
              "oldest_is_sample": true
            }
          ],
          "refresh": {
            "due": 4,
            "lag_seconds": 75
          },
          "slots": [],
          "results": []
        }
        "#);
    }
}
