//! The scheduled run: refreshes every package that is due, the longest overdue first, until the deadline is near.

use std::collections::VecDeque;
use std::time::Duration;

use badgesmith_aws::dynamodb::{DuePackage, DuePosition, LeaseOutcome, Packages, StoreError};
use badgesmith_domain::key::DueShard;
use badgesmith_domain::package::Package;
use badgesmith_domain::timestamp::Timestamp;
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::lookup_limits::LookupReason;
use crate::refresher::Refresher;
use crate::report::Report;
use crate::transition::RefreshOutcome;

/// The number of packages that are refreshed concurrently.
const CONCURRENCY_MAX: usize = 32;
/// With less time left, no refresh starts, because it could not finish.
const TIME_MIN: Duration = Duration::from_secs(40);
/// After this many postponed names of a shard, the run ignores the rest of it.
const POSTPONED_MAX: usize = 1000;

/// Refreshes the due packages: first the known ones, then the unconfirmed names, and those that wait.
///
/// # Errors
/// [`StoreError`] when the due packages could not be read. Packages that were refreshed before stay refreshed.
pub(crate) async fn run(refresher: &Refresher, deadline: Timestamp) -> Result<Report, StoreError> {
    let started = refresher.clock.now();
    let mut report = Report::default();
    let known = DueShard::all_known().map(|shard| Cursor::new(shard, started)).collect();
    refresh_all(refresher, DueQueue(known), deadline, &mut report).await?;
    for shard in [DueShard::Unconfirmed, DueShard::Waiting] {
        let names = vec![Cursor::new(shard, started)];
        refresh_all(refresher, DueQueue(names), deadline, &mut report).await?;
    }
    report.publish();
    Ok(report)
}

async fn refresh_all(
    refresher: &Refresher,
    mut due: DueQueue,
    deadline: Timestamp,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut running = FuturesUnordered::new();
    let (mut failure, mut postponed, mut is_over) = (None, 0, false);
    loop {
        while running.len() < CONCURRENCY_MAX && failure.is_none() && !is_over {
            let now = refresher.clock.now();
            let (shard, DuePackage { package, since }) = match due.next(&refresher.packages).await {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            if deadline.since(now) < TIME_MIN {
                (report.unfinished, is_over) = (true, true);
                break;
            }
            let reason = match shard {
                DueShard::Known(_) => None,
                DueShard::Unconfirmed => Some(LookupReason::Retried),
                DueShard::Waiting => Some(LookupReason::Waited),
            };
            if reason.is_some_and(|reason| !refresher.may_look_up(reason, &package)) {
                report.postponed += 1;
                postponed += 1;
                is_over = postponed >= POSTPONED_MAX;
                report.unfinished |= is_over;
                continue;
            }
            report.lag_seconds = report.lag_seconds.max(now.since(since).as_secs());
            running.push(refresh_due(refresher, package, deadline));
        }
        match running.next().await {
            Some(Ok(outcome)) => report.count(outcome),
            Some(Err(error)) => {
                tracing::error!(%error, "failed to refresh a due package");
                report.failed += 1;
            }
            None => return failure.map_or(Ok(()), Err),
        }
    }
}

/// Refreshes a package; `None` when it is no longer due.
async fn refresh_due(
    refresher: &Refresher,
    package: Package,
    deadline: Timestamp,
) -> Result<Option<RefreshOutcome>, StoreError> {
    match refresher.packages.lease_due(&package, None, refresher.clock.now()).await? {
        LeaseOutcome::Leased(lease) => refresher.refresh(&lease, None, deadline).await.map(Some),
        LeaseOutcome::NotDue | LeaseOutcome::Unknown => Ok(None),
    }
}

/// The due packages of several shards, merged by due time.
struct DueQueue(Vec<Cursor>);

/// The due packages of one shard, read page by page.
struct Cursor {
    shard: DueShard,
    due_at: Timestamp,
    page: VecDeque<DuePackage>,
    next: Option<DuePosition>,
    is_at_end: bool,
}

impl DueQueue {
    /// Removes the most overdue package.
    async fn next(&mut self, packages: &Packages) -> Result<Option<(DueShard, DuePackage)>, StoreError> {
        // One after the other: at once, each would open another connection in a new instance.
        for cursor in &mut self.0 {
            // On the heap, since the type of the whole future would be too deep for the compiler.
            Box::pin(cursor.fill(packages)).await?;
        }
        let cursors = self.0.iter_mut().filter(|cursor| !cursor.page.is_empty());
        let first = cursors.min_by_key(|cursor| cursor.page.front().map(|due| due.since));
        Ok(first.and_then(|cursor| Some((cursor.shard, cursor.page.pop_front()?))))
    }
}

impl Cursor {
    fn new(shard: DueShard, due_at: Timestamp) -> Self {
        Self { shard, due_at, page: VecDeque::new(), next: None, is_at_end: false }
    }

    /// Reads the next page if the last one is used up.
    async fn fill(&mut self, packages: &Packages) -> Result<(), StoreError> {
        while self.page.is_empty() && !self.is_at_end {
            let page = packages.due(self.shard, self.due_at, self.next.take()).await?;
            self.page = page.packages.into();
            self.is_at_end = page.next.is_none();
            self.next = page.next;
        }
        Ok(())
    }
}
