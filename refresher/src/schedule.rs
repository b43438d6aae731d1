//! What happens by the clock: everything that is due, the longest overdue first, for as long as there is time.

use std::collections::VecDeque;
use std::time::Duration;

use badgesmith_aws::dynamodb::{DuePackage, DuePosition, LeaseOutcome, Packages};
use badgesmith_aws::metrics::Metric;
use badgesmith_aws::sdk::AwsError;
use badgesmith_domain::key::DueShard;
use badgesmith_domain::timestamp::Timestamp;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;

use crate::app::App;
use crate::refresh::Refreshed;

/// Packages that are worked on at once.
const AT_ONCE_MAX: usize = 32;
/// With less than this left, no package is begun: it could not end.
const TIME_MIN: Duration = Duration::from_secs(40);
/// After so many names that had to be put off, the others are put off unseen.
const POSTPONED_MAX: usize = 1000;

/// What a run has done: packages, by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Looked up, and as they were.
    pub unchanged: usize,
    /// Looked up, with other versions than before.
    pub changed: usize,
    /// Do not exist, or are not to be shown.
    pub not_found: usize,
    /// Could not be looked up; what is known of them stays.
    pub failed: usize,
    /// Left the schedule, since nobody reads them.
    pub retired: usize,
    /// Fresh already, or taken by another run.
    pub skipped: usize,
    /// Names that may not exist, put off since their budget is spent.
    pub postponed: usize,
    /// The longest that one of them was overdue, in seconds.
    pub lag_seconds: u64,
    /// Time ran out before everything due was looked up.
    pub unfinished: bool,
}

impl Report {
    fn count(&mut self, refreshed: Option<Refreshed>) {
        let count = match refreshed {
            Some(Refreshed::Unchanged) => &mut self.unchanged,
            Some(Refreshed::Changed) => &mut self.changed,
            Some(Refreshed::NotFound) => &mut self.not_found,
            Some(Refreshed::Failed) => &mut self.failed,
            Some(Refreshed::Retired) => &mut self.retired,
            Some(Refreshed::Lost) | None => &mut self.skipped,
        };
        *count += 1;
    }
}

/// Refreshes what is due: first all that is known, then the names that are not.
///
/// # Errors
/// [`AwsError`] when it could not be read what is due. What was done before stays done.
pub(crate) async fn run(app: &App, deadline: Timestamp) -> Result<Report, AwsError> {
    let started = app.clock().now();
    let mut report = Report::default();
    let known = DueShard::all_known().map(|shard| Cursor::new(shard, started)).collect();
    work(app, Due(known), deadline, &mut report).await?;
    let unproven = vec![Cursor::new(DueShard::Unconfirmed, started)];
    work(app, Due(unproven), deadline, &mut report).await?;
    Metric::PackagesRefreshed.count(report.unchanged + report.changed + report.not_found + report.failed);
    Metric::PackagesFailed.count(report.failed);
    Metric::RefreshLag.record(report.lag_seconds);
    if report == Report::default() {
        return Ok(report);
    }
    tracing::info!(
        unchanged = report.unchanged,
        changed = report.changed,
        not_found = report.not_found,
        failed = report.failed,
        retired = report.retired,
        skipped = report.skipped,
        postponed = report.postponed,
        lag_seconds = report.lag_seconds,
        unfinished = report.unfinished,
        "due packages were refreshed"
    );
    Ok(report)
}

async fn work(app: &App, mut due: Due, deadline: Timestamp, report: &mut Report) -> Result<(), AwsError> {
    let mut working = FuturesUnordered::new();
    let mut failure = None;
    loop {
        while working.len() < AT_ONCE_MAX && failure.is_none() && !report.unfinished {
            let now = app.clock().now();
            let (shard, DuePackage { package, since }) = match due.next(app.packages()).await {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            if deadline.since(now) < TIME_MIN {
                report.unfinished = true;
                break;
            }
            if shard == DueShard::Unconfirmed && !app.has_budget_for(&package) {
                report.postponed += 1;
                if report.postponed < POSTPONED_MAX {
                    continue;
                }
                report.unfinished = true;
                break;
            }
            report.lag_seconds = report.lag_seconds.max(now.since(since).as_secs());
            working.push(async move {
                let outcome = app.packages().lease_due(&package, None, app.clock().now()).await?;
                match outcome {
                    LeaseOutcome::Leased(lease) => app.refresh(&lease, deadline).await.map(Some),
                    LeaseOutcome::NotDue | LeaseOutcome::Unknown => Ok(None),
                }
            });
        }
        match working.next().await {
            Some(Ok(refreshed)) => report.count(refreshed),
            Some(Err(error)) => {
                tracing::error!(%error, "a due package was not refreshed");
                report.failed += 1;
            }
            None => return failure.map_or(Ok(()), Err),
        }
    }
}

/// What is due in several shards, merged.
struct Due(Vec<Cursor>);

/// What is due in one shard, read page by page.
struct Cursor {
    shard: DueShard,
    at: Timestamp,
    read: VecDeque<DuePackage>,
    next: Option<DuePosition>,
    is_at_end: bool,
}

impl Due {
    /// The longest overdue of all.
    async fn next(&mut self, packages: &Packages) -> Result<Option<(DueShard, DuePackage)>, AwsError> {
        for read in join_all(self.0.iter_mut().map(|cursor| cursor.fill(packages))).await {
            read?;
        }
        let first = self.0.iter_mut().filter(|cursor| !cursor.read.is_empty());
        let first = first.min_by_key(|cursor| cursor.read.front().map(|due| due.since));
        Ok(first.and_then(|cursor| Some((cursor.shard, cursor.read.pop_front()?))))
    }
}

impl Cursor {
    fn new(shard: DueShard, at: Timestamp) -> Self {
        Self { shard, at, read: VecDeque::new(), next: None, is_at_end: false }
    }

    async fn fill(&mut self, packages: &Packages) -> Result<(), AwsError> {
        while self.read.is_empty() && !self.is_at_end {
            let page = packages.due(self.shard, self.at, self.next.take()).await?;
            self.read = page.packages.into();
            self.is_at_end = page.next.is_none();
            self.next = page.next;
        }
        Ok(())
    }
}
