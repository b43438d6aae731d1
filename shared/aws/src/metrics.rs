//! The figures that alarms and the dashboard are made of.
//!
//! A metric is recorded as a [`tracing`] event, like a log line. A function's subscriber ([`crate::telemetry`])
//! writes it in CloudWatch's embedded metric format, for which no call is made; `local` has none, and lets it pass.

/// The target of the events that carry a metric.
pub const TARGET: &str = "metrics";
/// The namespace of all metrics, in CloudWatch.
pub const NAMESPACE: &str = "BadgeSmith";
/// Their one dimension: the name of the stack.
pub const DIMENSION: &str = "Stack";

/// Each metric there is. Every one has a price, by the month: what AWS counts itself (invocations, errors,
/// queues, status codes) is not counted here again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Results that were answered with 202.
    ResultsAccepted,
    /// Submissions that were refused for their form, their age or their nonce.
    ResultsRefused,
    /// Submissions that no key of their repository has signed.
    AuthenticationFailures,
    /// Messages whose result is in the table.
    ResultsStored,
    /// Messages that have to be delivered again.
    ResultsRetried,
    /// From the queue to the table, in milliseconds: the oldest message of a batch.
    StorageDelay,
    /// Badges that could not be read, and say "unavailable".
    BadgesUnavailable,
    /// Packages that were looked up, whatever came of it.
    PackagesRefreshed,
    /// Packages that could not be looked up. What is known of them stays.
    PackagesFailed,
    /// The longest that a package was overdue when its turn came, in seconds. Zero when nothing was due, so
    /// that a schedule that does not run shows as a gap.
    RefreshLag,
}

impl Metric {
    /// All of them.
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

    /// Its name in CloudWatch.
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

    /// Its unit, in CloudWatch's words:
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

    /// Counts something, if there is anything to count.
    pub fn count(self, number: usize) {
        if number > 0 {
            self.record(u64::try_from(number).unwrap_or(u64::MAX));
        }
    }
}
