//! The metrics for the alarms and the dashboard.
//!
//! A metric is recorded as a [`tracing`] event, like a log line. A function's subscriber ([`crate::telemetry`])
//! writes it in CloudWatch's embedded metric format, which needs no API call. `local` has no such subscriber and
//! drops it.

/// The target of the events that carry a metric.
pub const TARGET: &str = "metrics";
/// The namespace of all metrics in CloudWatch.
pub const NAMESPACE: &str = "BadgeSmith";
/// The only dimension of all metrics: the name of the stack.
pub const DIMENSION: &str = "Stack";

/// Every metric has a monthly price, so there is none for what AWS already counts: invocations, errors, queues and
/// status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Submissions that were accepted with 202.
    ResultsAccepted,
    /// Submissions that were rejected for their format, their age or their nonce.
    ResultsRefused,
    /// Submissions that were not signed with a key of their repository.
    AuthenticationFailures,
    /// Messages whose result is stored in the table.
    ResultsStored,
    /// Messages that must be delivered again.
    ResultsRetried,
    /// The time from the queue to the table, in milliseconds, for the oldest message of a batch.
    StorageDelay,
    /// Badges that say "unavailable" because they could not be read.
    BadgesUnavailable,
    /// Packages that were looked up, regardless of the outcome.
    PackagesRefreshed,
    /// Packages that could not be looked up. Their known versions are kept.
    PackagesFailed,
    /// How long the most overdue package was overdue when it was looked up, in seconds. Zero if no package was
    /// due, so that a gap means that the schedule does not run.
    RefreshLag,
}

impl Metric {
    pub const ALL: [Self; 10] = [
        Self::ResultsAccepted,
        Self::ResultsRefused,
        Self::AuthenticationFailures,
        Self::ResultsStored,
        Self::ResultsRetried,
        Self::StorageDelay,
        Self::BadgesUnavailable,
        Self::PackagesRefreshed,
        Self::PackagesFailed,
        Self::RefreshLag,
    ];

    /// The name in CloudWatch.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResultsAccepted => "ResultsAccepted",
            Self::ResultsRefused => "ResultsRefused",
            Self::AuthenticationFailures => "AuthenticationFailures",
            Self::ResultsStored => "ResultsStored",
            Self::ResultsRetried => "ResultsRetried",
            Self::StorageDelay => "StorageDelay",
            Self::BadgesUnavailable => "BadgesUnavailable",
            Self::PackagesRefreshed => "PackagesRefreshed",
            Self::PackagesFailed => "PackagesFailed",
            Self::RefreshLag => "RefreshLag",
        }
    }

    /// The unit, by its name in CloudWatch:
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>
    pub fn unit(self) -> &'static str {
        match self {
            Self::StorageDelay => "Milliseconds",
            Self::RefreshLag => "Seconds",
            Self::ResultsAccepted
            | Self::ResultsRefused
            | Self::AuthenticationFailures
            | Self::ResultsStored
            | Self::ResultsRetried
            | Self::BadgesUnavailable
            | Self::PackagesRefreshed
            | Self::PackagesFailed => "Count",
        }
    }

    /// Records a value, in the metric's unit.
    pub fn record(self, value: u64) {
        tracing::info!(target: TARGET, name = self.name(), unit = self.unit(), value);
    }

    /// Records `number`, unless it is zero.
    pub fn count(self, number: usize) {
        if number > 0 {
            self.record(u64::try_from(number).unwrap_or(u64::MAX));
        }
    }
}
