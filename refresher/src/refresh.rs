//! Refreshing one package, whose lease is held.

use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{ContentUpdate, Lease, Packages};
use badgesmith_aws::sdk::AwsError;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{Known, PackageRecord, PackageState, Validators};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::{NuGetVersion, Versions};

use crate::upstream::{Ask, FetchError, Fetched, Part, Upstreams};

/// One package is asked for no longer, however many pages it has. With what is read before and written after,
/// that is less than a lease.
const FETCH_TIME_MAX: Duration = Duration::from_mins(1);
/// What is kept back of the time that is left, to write what came of a package.
const TIME_TO_WRITE: Duration = Duration::from_secs(13);
/// A package that nobody has read for so long leaves the schedule.
const UNREAD_MAX: Duration = Duration::from_hours(30 * 24);
/// A name that does not exist is looked up again after this long, if it is read.
const ASK_AGAIN_AFTER: Duration = Duration::from_hours(1);
/// One that is not to be shown, or that our token may not see, again after this long: somebody may be mending that.
const MENDED_AFTER: Duration = Duration::from_mins(5);
/// That a known package does not exist is believed when it was said so often, at this distance.
const MISSING_MAX: u32 = 3;
const MISSING_PERIOD: Duration = Duration::from_mins(20);
/// After a first failure, doubled after each other.
const BACKOFF_MIN: Duration = Duration::from_mins(1);
const BACKOFF_MAX: Duration = Duration::from_hours(1);
/// What is shown of GitHub is looked at so often, whatever fails: that its mapping is taken away is to show within
/// an hour.
const CONSENT_PERIOD: Duration = Duration::from_mins(50);
/// Next times are drawn from the last part of their period, so that what came at once does not come again
/// at once, and nothing comes late.
const JITTER: f64 = 0.2;
/// Who was told to wait comes back within this time after.
const LIMIT_JITTER: Duration = Duration::from_secs(30);

/// Refreshes packages, one at a time.
#[derive(Debug)]
pub(crate) struct Refresher {
    pub(crate) packages: Packages,
    pub(crate) upstreams: Upstreams,
    pub(crate) clock: Clock,
    /// How long a package counts as fresh.
    pub(crate) fresh_for: Duration,
    /// How long nothing is expected of a host that failed.
    pub(crate) breaker_open: Duration,
}

/// What became of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// It is as it was.
    Unchanged,
    /// It has other versions than before.
    Changed,
    /// It does not exist, or is not to be shown.
    NotFound,
    /// Its upstream did not answer, or not to be trusted. What is known stays.
    Failed,
    /// Nobody reads it any more.
    Retired,
    /// Another run has taken it over.
    Lost,
}

/// What is written of a refresh.
struct Next {
    refreshed: Refreshed,
    record: PackageRecord,
    content: ContentUpdate,
}

impl Refresher {
    /// Asks the package's upstream, and writes what came of it.
    ///
    /// # Errors
    /// [`AwsError`] when DynamoDB failed; the lease then ends by itself, and the package is still due.
    pub(crate) async fn refresh(&self, lease: &Lease, deadline: Timestamp) -> Result<Refreshed, AwsError> {
        let now = self.clock.now();
        if let PackageState::Known(known) = &lease.record.state
            && lease.record.unread_for(now) > UNREAD_MAX
        {
            let held = self.packages.unschedule(lease, known, now).await?;
            return Ok(if held { Refreshed::Retired } else { Refreshed::Lost });
        }
        // A package that comes back is written anew as a whole: what it has was about to expire.
        let validators = match &lease.record.state {
            PackageState::Known(known) if known.is_scheduled => {
                self.packages.validators(&lease.package).await?
            }
            PackageState::Known(_) | PackageState::Unconfirmed | PackageState::NotFound => Validators::new(),
        };
        let time = deadline.since(now).saturating_sub(TIME_TO_WRITE).min(FETCH_TIME_MAX);
        let ask =
            Ask { package: &lease.package, state: &lease.record.state, validators: &validators, now, time };
        let fetched = self.upstreams.fetch(ask).await;
        let now = self.clock.now();
        let Next { refreshed, record, content } = match fetched {
            Ok(fetched) => self.learned(lease, fetched, now).await?,
            Err(error) => self.failed(lease, &error, now),
        };
        let held = self.packages.complete(lease, &record, &content, now).await?;
        Ok(if held { refreshed } else { Refreshed::Lost })
    }

    async fn learned(&self, lease: &Lease, fetched: Fetched, now: Timestamp) -> Result<Next, AwsError> {
        match (fetched, &lease.record.state) {
            (Fetched::Missing, PackageState::Known(known))
                if known.consecutive_not_found + 1 < MISSING_MAX =>
            {
                let known = Known { consecutive_not_found: known.consecutive_not_found + 1, ..known.clone() };
                tracing::warn!(
                    package = %lease.package, times = known.consecutive_not_found,
                    "a known package is said not to exist, which is believed at the third time"
                );
                Ok(Next {
                    refreshed: Refreshed::Failed,
                    record: record(lease, PackageState::Known(known), now.plus(jittered(MISSING_PERIOD)), 0),
                    content: ContentUpdate::Kept,
                })
            }
            (Fetched::Missing, _) => Ok(not_found(lease, now.plus(ASK_AGAIN_AFTER))),
            (Fetched::Withheld, _) => Ok(not_found(lease, now.plus(MENDED_AFTER))),
            (Fetched::Unchanged, PackageState::Known(known)) => Ok(Next {
                refreshed: Refreshed::Unchanged,
                record: self.fresh(lease, known.clone(), now),
                content: ContentUpdate::Kept,
            }),
            (Fetched::Unchanged, PackageState::Unconfirmed | PackageState::NotFound) => {
                // Nothing was asked conditionally.
                let error = FetchError::Failed("the upstream takes for known what is not".to_owned());
                Ok(self.failed(lease, &error, now))
            }
            (Fetched::Found(found), PackageState::Known(known)) => {
                let stored = self.packages.versions(&lease.package).await?;
                let Some(versions) = assemble(found.parts, stored.as_ref()) else {
                    // Without validators, everything is asked for next time.
                    let error = FetchError::Failed("what is known of it cannot be read".to_owned());
                    let content = ContentUpdate::Revalidated(Validators::new());
                    return Ok(Next { content, ..self.failed(lease, &error, now) });
                };
                let same = known.is_scheduled && stored.as_ref() == Some(&versions);
                let changed_at = if same { known.changed_at } else { now };
                let known = known_by(&versions, found.private, changed_at);
                Ok(self.found(lease, known, (!same).then_some(versions), found.validators, now))
            }
            (Fetched::Found(found), PackageState::Unconfirmed | PackageState::NotFound) => {
                let versions = assemble(found.parts, None).unwrap_or_default();
                let known = known_by(&versions, found.private, now);
                Ok(self.found(lease, known, Some(versions), found.validators, now))
            }
        }
    }

    /// `changed` are the versions, if they are others than before.
    fn found(
        &self,
        lease: &Lease,
        known: Known,
        changed: Option<Versions>,
        validators: Validators,
        now: Timestamp,
    ) -> Next {
        let record = self.fresh(lease, known, now);
        let Some(versions) = changed else {
            let content = ContentUpdate::Revalidated(validators);
            return Next { refreshed: Refreshed::Unchanged, record, content };
        };
        tracing::info!(package = %lease.package, versions = versions.len(), "the versions of a package changed");
        Next { refreshed: Refreshed::Changed, record, content: ContentUpdate::Replaced(versions, validators) }
    }

    fn fresh(&self, lease: &Lease, known: Known, now: Timestamp) -> PackageRecord {
        let known = Known { fetched_at: now, consecutive_not_found: 0, is_scheduled: true, ..known };
        let period = match lease.package {
            Package::GitHub(..) => self.fresh_for.min(CONSENT_PERIOD),
            Package::NuGet(_) => self.fresh_for,
        };
        record(lease, PackageState::Known(known), now.plus(jittered(period)), 0)
    }

    /// What is known stays, and is tried again later.
    fn failed(&self, lease: &Lease, error: &FetchError, now: Timestamp) -> Next {
        tracing::warn!(package = %lease.package, %error, "a package was not refreshed");
        let failures = lease.record.failures.saturating_add(1);
        let is_known = matches!(lease.record.state, PackageState::Known(_));
        let (refresh_after, failures) = match error {
            // What we may not see does not exist for our readers.
            FetchError::Refused(_) if !is_known => return not_found(lease, now.plus(MENDED_AFTER)),
            // Not the package's fault; but a name that was never seen is not pending any more.
            FetchError::Limited { until, .. } => {
                (until.plus(LIMIT_JITTER.mul_f64(fastrand::f64())), lease.record.failures.max(1))
            }
            FetchError::BreakerOpen(_) => {
                // Soon after the host works again, whose probe may be any package's.
                let wait = self.breaker_open.mul_f64(0.25 + JITTER * fastrand::f64());
                (now.plus(wait), lease.record.failures.max(1))
            }
            FetchError::Failed(_) | FetchError::Refused(_) | FetchError::Call(_) => {
                (now.plus(self.backoff(failures)), failures)
            }
        };
        let refresh_after = match lease.package {
            Package::GitHub(..) if is_known => refresh_after.min(now.plus(CONSENT_PERIOD)),
            Package::GitHub(..) | Package::NuGet(_) => refresh_after,
        };
        let record = record(lease, lease.record.state.clone(), refresh_after, failures);
        Next { refreshed: Refreshed::Failed, record, content: ContentUpdate::Kept }
    }

    fn backoff(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        jittered(self.fresh_for.min(BACKOFF_MIN).saturating_mul(doubled).min(BACKOFF_MAX))
    }
}

fn record(lease: &Lease, state: PackageState, refresh_after: Timestamp, failures: u32) -> PackageRecord {
    PackageRecord { state, refresh_after, failures, last_requested_at: lease.record.last_requested_at }
}

fn jittered(period: Duration) -> Duration {
    period.mul_f64(1.0 - JITTER * fastrand::f64())
}

fn not_found(lease: &Lease, ask_again_at: Timestamp) -> Next {
    let content = match lease.record.state {
        PackageState::Known(_) => {
            tracing::warn!(package = %lease.package, "a package is not to be shown any more; its versions are deleted");
            ContentUpdate::Removed
        }
        PackageState::Unconfirmed | PackageState::NotFound => ContentUpdate::Kept,
    };
    let record = record(lease, PackageState::NotFound, ask_again_at, 0);
    Next { refreshed: Refreshed::NotFound, record, content }
}

fn known_by(versions: &Versions, private: bool, changed_at: Timestamp) -> Known {
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

/// All versions, those that an upstream did not repeat taken from what is stored; `None` when that is missing.
fn assemble(parts: Vec<Part>, stored: Option<&Versions>) -> Option<Versions> {
    let parts = parts.into_iter().map(|part| match part {
        Part::Listed(versions) => Some(versions),
        Part::All => Some(stored?.iter().cloned().collect()),
        Part::Known { lower, upper } => {
            let of_part = stored?.iter().filter(|version| (&lower..=&upper).contains(version));
            Some(of_part.cloned().collect())
        }
    });
    let parts: Vec<Vec<NuGetVersion>> = parts.collect::<Option<_>>()?;
    Some(parts.into_iter().flatten().collect())
}
