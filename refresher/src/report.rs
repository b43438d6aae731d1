//! The report of a scheduled run.

use badgesmith_aws::metrics::Metric;
use serde::Serialize;

use crate::transition::RefreshOutcome;

/// The packages of a scheduled run, counted by outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub unchanged: usize,
    pub changed: usize,
    /// Packages that do not exist, or must not be shown.
    pub not_found: usize,
    /// Packages whose lookup failed; their stored versions stay.
    pub failed: usize,
    /// Packages that left the schedule, because they are no longer read.
    pub unscheduled: usize,
    /// Packages that another run has refreshed, or is refreshing.
    pub skipped: usize,
    /// Unconfirmed names beyond the lookup limit.
    pub postponed: usize,
    /// The longest time that a package was overdue, in seconds.
    pub lag_seconds: u64,
    /// Whether the run ended before all due packages were looked up.
    pub unfinished: bool,
}

impl Report {
    /// Counts a package; `None` when it was no longer due.
    pub(crate) fn count(&mut self, outcome: Option<RefreshOutcome>) {
        let count = match outcome {
            Some(RefreshOutcome::Unchanged) => &mut self.unchanged,
            Some(RefreshOutcome::Changed) => &mut self.changed,
            Some(RefreshOutcome::NotFound) => &mut self.not_found,
            Some(RefreshOutcome::Failed) => &mut self.failed,
            Some(RefreshOutcome::Unscheduled) => &mut self.unscheduled,
            Some(RefreshOutcome::LeaseLost) | None => &mut self.skipped,
        };
        *count += 1;
    }

    /// Records the metrics of a run, and logs the report unless nothing was due.
    pub(crate) fn publish(&self) {
        Metric::PackagesRefreshed.count(self.unchanged + self.changed + self.not_found + self.failed);
        Metric::PackagesFailed.count(self.failed);
        Metric::RefreshLag.record(self.lag_seconds);
        if *self == Self::default() {
            return;
        }
        tracing::info!(
            unchanged = self.unchanged,
            changed = self.changed,
            not_found = self.not_found,
            failed = self.failed,
            unscheduled = self.unscheduled,
            skipped = self.skipped,
            postponed = self.postponed,
            lag_seconds = self.lag_seconds,
            unfinished = self.unfinished,
            "refreshed due packages"
        );
    }
}
