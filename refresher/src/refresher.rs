//! Refreshing one package while holding its lease.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{Lease, Packages, StoreError};
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageState, Validators};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::Versions;

use crate::lookup_limits::{LookupLimits, LookupReason};
use crate::transition::{RefreshOutcome, RefreshPolicy, Transition};
use crate::upstream::{FetchOutcome, FetchRequest, Upstreams};
use crate::waiting_line::WaitingLine;

/// The longest fetch of one package, however many pages it has. With the reads before and the writes after it, a
/// refresh takes less time than a lease lasts.
const FETCH_TIME_MAX: Duration = Duration::from_mins(1);
/// The part of the remaining time that is reserved for writing the result.
const TIME_TO_WRITE: Duration = Duration::from_secs(13);
/// A package that is not read for this long leaves the schedule.
const UNREAD_MAX: Duration = Duration::from_hours(30 * 24);

#[derive(Debug)]
pub(crate) struct Refresher {
    pub(crate) packages: Packages,
    pub(crate) clock: Clock,
    pub(crate) waiting_line: WaitingLine,
    upstreams: Upstreams,
    policy: RefreshPolicy,
    lookup_limits: Mutex<LookupLimits>,
}

impl Refresher {
    pub(crate) fn new(packages: Packages, upstreams: Upstreams, policy: RefreshPolicy, clock: Clock) -> Self {
        let (waiting_line, lookup_limits) = (WaitingLine::default(), Mutex::default());
        Self { packages, clock, waiting_line, upstreams, policy, lookup_limits }
    }

    /// Whether an unconfirmed name may be looked up now; uses up one of the lookups that its limit allows.
    pub(crate) fn may_look_up(&self, reason: LookupReason, package: &Package) -> bool {
        let mut limits = self.lookup_limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.take(reason, package, self.clock.now())
    }

    /// Fetches a leased package from its upstream, and writes the result. `spelling` is the name as its reader wrote it
    /// now; without it, the stored one counts.
    ///
    /// # Errors
    /// [`StoreError`] when DynamoDB failed. The lease then ends by itself, and the package is still due.
    pub(crate) async fn refresh(
        &self,
        lease: &Lease,
        spelling: Option<&str>,
        deadline: Timestamp,
    ) -> Result<RefreshOutcome, StoreError> {
        let now = self.clock.now();
        if let PackageState::Known(known) = &lease.record.state
            && lease.record.unread_for(now) > UNREAD_MAX
        {
            let written = self.packages.unschedule(lease, known, now).await?;
            return Ok(if written { RefreshOutcome::Unscheduled } else { RefreshOutcome::LeaseLost });
        }
        let Transition { outcome, record, content } = self.fetch(lease, spelling, deadline).await?;
        let written = self.packages.complete(lease, &record, &content, self.clock.now()).await?;
        if !written {
            return Ok(RefreshOutcome::LeaseLost);
        }
        if matches!(outcome, RefreshOutcome::Unchanged | RefreshOutcome::Changed) {
            self.lookup_limits.lock().unwrap_or_else(PoisonError::into_inner).confirm(&lease.package);
        }
        Ok(outcome)
    }

    async fn fetch(
        &self,
        lease: &Lease,
        spelling: Option<&str>,
        deadline: Timestamp,
    ) -> Result<Transition, StoreError> {
        let state = &lease.record.state;
        let validators = if lease.record.is_scheduled() {
            self.packages.validators(&lease.package).await?
        } else {
            // A package that returns to the schedule is fetched in full, because its items were about to expire.
            Validators::new()
        };
        let now = self.clock.now();
        let timeout = deadline.since(now).saturating_sub(TIME_TO_WRITE).min(FETCH_TIME_MAX);
        let package = &lease.package;
        let spelling = spelling.or(lease.spelling.as_deref());
        let request = FetchRequest { package, state, spelling, validators: &validators, now, timeout };
        let fetched = self.upstreams.fetch(request).await;
        let now = self.clock.now();
        match fetched {
            Ok(fetched) => {
                let stored = self.stored_versions(lease, &fetched).await?;
                Ok(self.policy.on_fetched(lease, fetched, stored.as_ref(), now))
            }
            Err(error) => Ok(self.policy.on_error(lease, &error, now)),
        }
    }

    /// The versions to compare a fetched package with: those of a known package.
    async fn stored_versions(
        &self,
        lease: &Lease,
        fetched: &FetchOutcome,
    ) -> Result<Option<Versions>, StoreError> {
        match (fetched, &lease.record.state) {
            (FetchOutcome::Found(_), PackageState::Known(_)) => self.packages.versions(&lease.package).await,
            _ => Ok(None),
        }
    }
}
