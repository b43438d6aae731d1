//! What a fetch changes in the record of a package, and when the package is due next. Makes no call.

use std::time::Duration;

use badgesmith_aws::dynamodb::{ContentUpdate, Lease};
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{Known, PackageRecord, PackageState};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::Versions;

use crate::upstream::{FetchError, FetchOutcome, FetchedPackage};

/// A name that does not exist is looked up again after this long, if it is requested.
const NOT_FOUND_PERIOD: Duration = Duration::from_hours(1);
/// The same for a package that is withheld, or that the token cannot read: an operator may be fixing that.
const WITHHELD_PERIOD: Duration = Duration::from_mins(5);
/// A known package becomes not found only after this many such responses in a row, this far apart.
const NOT_FOUND_ANSWERS: u32 = 3;
const NOT_FOUND_RETRY_PERIOD: Duration = Duration::from_mins(20);
/// The wait after the first failure, doubled by each further one.
const BACKOFF_MIN: Duration = Duration::from_mins(1);
const BACKOFF_MAX: Duration = Duration::from_hours(1);
/// A known package of GitHub, or of a registered feed, is due after at most this long, even after failures: it must no
/// longer be shown an hour after its token mapping is deleted.
const CONSENT_PERIOD: Duration = Duration::from_mins(50);
/// Due times are spread over the last part of their period, so that packages that were due at once are not due at once
/// again, and none is late.
const JITTER: f64 = 0.2;
/// Requests resume within this time after a rate limit ends.
const RATE_LIMIT_JITTER: Duration = Duration::from_secs(30);

/// How often packages are refreshed.
#[derive(Debug)]
pub(crate) struct RefreshPolicy {
    /// How long a package counts as fresh.
    pub(crate) fresh_for: Duration,
    /// How long the circuit breaker of a host stays open.
    pub(crate) breaker_open_for: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshOutcome {
    Unchanged,
    /// The package has other versions than before, or is new.
    Changed,
    /// The package does not exist, or must not be shown.
    NotFound,
    /// The upstream failed. The stored versions stay.
    Failed,
    /// The package left the schedule, because it is no longer read.
    Unscheduled,
    /// Another run has taken the lease, and nothing was written.
    LeaseLost,
}

/// What a refresh writes, and its outcome if the lease is still held.
#[derive(Debug)]
pub(crate) struct Transition {
    pub(crate) outcome: RefreshOutcome,
    pub(crate) record: PackageRecord,
    pub(crate) content: ContentUpdate,
}

impl RefreshPolicy {
    /// The transition after a fetch. `stored` are the versions of a known package, if they could be read.
    pub(crate) fn on_fetched(
        &self,
        lease: &Lease,
        fetched: FetchOutcome,
        stored: Option<&Versions>,
        now: Timestamp,
    ) -> Transition {
        match (fetched, &lease.record.state) {
            (FetchOutcome::NotFound, PackageState::Known(known))
                if known.consecutive_not_found + 1 < NOT_FOUND_ANSWERS =>
            {
                possibly_not_found(lease, known, now)
            }
            (FetchOutcome::NotFound, _) => not_found(lease, now.plus(NOT_FOUND_PERIOD)),
            (FetchOutcome::Withheld, _) => not_found(lease, now.plus(WITHHELD_PERIOD)),
            (FetchOutcome::Unchanged, PackageState::Known(known)) => Transition {
                outcome: RefreshOutcome::Unchanged,
                record: self.fresh_record(lease, known.clone(), now),
                content: ContentUpdate::Kept,
            },
            (FetchOutcome::Unchanged, PackageState::Unconfirmed | PackageState::NotFound) => {
                let error = "the upstream answered an unconditional request with 304";
                self.on_error(lease, &FetchError::Failed(error.to_owned()), now)
            }
            (FetchOutcome::Found(package), PackageState::Known(known)) => {
                self.on_found(lease, package, Some(known), stored, now)
            }
            (FetchOutcome::Found(package), PackageState::Unconfirmed | PackageState::NotFound) => {
                self.on_found(lease, package, None, None, now)
            }
        }
    }

    fn on_found(
        &self,
        lease: &Lease,
        package: FetchedPackage,
        known: Option<&Known>,
        stored: Option<&Versions>,
        now: Timestamp,
    ) -> Transition {
        let FetchedPackage { versions, validators, private } = package;
        // A package that returns to the schedule is written in full, because its items were about to expire.
        let unchanged = known.filter(|known| known.is_scheduled && stored == Some(&versions));
        let changed_at = unchanged.map_or(now, |known| known.changed_at);
        let record = self.fresh_record(lease, known_package(&versions, private, changed_at), now);
        if unchanged.is_some() {
            let content = ContentUpdate::Revalidated(validators);
            return Transition { outcome: RefreshOutcome::Unchanged, record, content };
        }
        tracing::info!(package = %lease.package, versions = versions.len(), "package has new versions");
        let content = ContentUpdate::Replaced(versions, validators);
        Transition { outcome: RefreshOutcome::Changed, record, content }
    }

    /// The transition after a failed fetch: the stored versions stay, and the package is fetched again later.
    pub(crate) fn on_error(&self, lease: &Lease, error: &FetchError, now: Timestamp) -> Transition {
        tracing::warn!(package = %lease.package, %error, "failed to refresh package");
        let failures = lease.record.failures.saturating_add(1);
        let is_known = matches!(lease.record.state, PackageState::Known(_));
        let (refresh_after, failures) = match error {
            // For readers, a package that the token cannot read does not exist.
            FetchError::Refused(_) if !is_known => return not_found(lease, now.plus(WITHHELD_PERIOD)),
            // Not a failure of the package, but without a failure an unconfirmed name would stay pending.
            FetchError::RateLimited { until, .. } => {
                let resume_at = until.plus(RATE_LIMIT_JITTER.mul_f64(fastrand::f64()));
                (resume_at, lease.record.failures.max(1))
            }
            FetchError::BreakerOpen(_) => {
                // Soon after the host recovers, which a request for any of its packages may detect.
                let wait = self.breaker_open_for.mul_f64(0.25 + JITTER * fastrand::f64());
                (now.plus(wait), lease.record.failures.max(1))
            }
            FetchError::Failed(_) | FetchError::Refused(_) | FetchError::Aws(_) => {
                (now.plus(self.backoff(failures)), failures)
            }
        };
        let refresh_after = if is_known && needs_consent(&lease.package) {
            refresh_after.min(now.plus(CONSENT_PERIOD))
        } else {
            refresh_after
        };
        Transition {
            outcome: RefreshOutcome::Failed,
            record: record(lease, lease.record.state.clone(), refresh_after, failures),
            content: ContentUpdate::Kept,
        }
    }

    fn fresh_record(&self, lease: &Lease, known: Known, now: Timestamp) -> PackageRecord {
        let known = Known { fetched_at: now, consecutive_not_found: 0, is_scheduled: true, ..known };
        let period =
            if needs_consent(&lease.package) { self.fresh_for.min(CONSENT_PERIOD) } else { self.fresh_for };
        record(lease, PackageState::Known(known), now.plus(jittered(period)), 0)
    }

    fn backoff(&self, failures: u32) -> Duration {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        jittered(self.fresh_for.min(BACKOFF_MIN).saturating_mul(factor).min(BACKOFF_MAX))
    }
}

/// Whether an operator allowed the package to be shown, and may withdraw that.
fn needs_consent(package: &Package) -> bool {
    !matches!(package, Package::NuGet(None, _))
}

fn record(lease: &Lease, state: PackageState, refresh_after: Timestamp, failures: u32) -> PackageRecord {
    PackageRecord { state, refresh_after, failures, last_requested_at: lease.record.last_requested_at }
}

fn jittered(period: Duration) -> Duration {
    period.mul_f64(1.0 - JITTER * fastrand::f64())
}

/// A known package was not found, but not yet often enough in a row.
fn possibly_not_found(lease: &Lease, known: &Known, now: Timestamp) -> Transition {
    let known = Known { consecutive_not_found: known.consecutive_not_found + 1, ..known.clone() };
    tracing::warn!(
        package = %lease.package, times = known.consecutive_not_found,
        "known package was not found; it is kept until it is not found {NOT_FOUND_ANSWERS} times in a row"
    );
    let refresh_after = now.plus(jittered(NOT_FOUND_RETRY_PERIOD));
    Transition {
        outcome: RefreshOutcome::Failed,
        record: record(lease, PackageState::Known(known), refresh_after, 0),
        content: ContentUpdate::Kept,
    }
}

fn not_found(lease: &Lease, refresh_after: Timestamp) -> Transition {
    let content = match lease.record.state {
        PackageState::Known(_) => {
            tracing::warn!(package = %lease.package, "deleted the versions of a package that must no longer be shown");
            ContentUpdate::Removed
        }
        PackageState::Unconfirmed | PackageState::NotFound => ContentUpdate::Kept,
    };
    let record = record(lease, PackageState::NotFound, refresh_after, 0);
    Transition { outcome: RefreshOutcome::NotFound, record, content }
}

fn known_package(versions: &Versions, private: bool, changed_at: Timestamp) -> Known {
    let stable = versions.iter().find(|version| !version.is_prerelease());
    let prerelease = versions.iter().find(|version| version.is_prerelease());
    Known {
        latest_stable: stable.cloned(),
        latest_prerelease: prerelease.cloned(),
        fetched_at: changed_at,
        changed_at,
        consecutive_not_found: 0,
        private,
        is_scheduled: true,
    }
}
