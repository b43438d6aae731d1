//! Packages, kept in memory for a moment, and what their readers have to tell of them.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::dynamodb::Packages;
use badgesmith_aws::event_bridge::EventBus;
use badgesmith_aws::sdk::AwsError;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageRecord, PackageState};
use badgesmith_domain::package_request::{PackageRequest, Reason};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::token_bucket::TokenBucket;
use badgesmith_domain::version::Versions;
use lru::LruCache;
use tokio::time::Instant;

/// How long a package is served from memory, by wall clock: a sandbox may sleep in between.
const LIFETIME: Duration = Duration::from_mins(2);
/// Packages kept, the least recently used leave first.
const KEPT_MAX: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// Versions kept, of all packages together; each has some 40 bytes.
const VERSIONS_MAX: usize = 50_000;
/// A package on the schedule that is overdue by more than this is told of.
const STALE_AFTER: Duration = Duration::from_mins(10);
/// That a package is read is told once in this time.
const SEEN_PERIOD: Duration = Duration::from_hours(24);
/// The same package is asked for again after this long.
const ASK_AGAIN_AFTER: Duration = Duration::from_mins(1);
/// Packages that were asked for of late and are remembered.
const ASKED_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// What is known of a package.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) record: PackageRecord,
    /// If they were asked for.
    pub(crate) versions: Option<Arc<Versions>>,
}

/// All packages, read through a bounded cache.
#[derive(Debug)]
pub(crate) struct KnownPackages {
    packages: Packages,
    events: EventBus,
    kept: Mutex<Kept>,
    asked: Mutex<Asked>,
}

#[derive(Debug)]
struct Kept {
    packages: LruCache<Package, (Found, Timestamp)>,
    versions: usize,
}

/// What was asked for of late, and how much more may be. Names that may be invented have a budget of their
/// own, so that a flood of them silences no other.
#[derive(Debug)]
struct Asked {
    recently: LruCache<Package, Timestamp>,
    new: TokenBucket,
    known: TokenBucket,
}

impl KnownPackages {
    pub(crate) fn new(packages: Packages, events: EventBus) -> Self {
        let asked = Asked {
            recently: LruCache::new(ASKED_MAX),
            new: TokenBucket::new(10.0, 2.0),
            known: TokenBucket::new(10.0, 3.0),
        };
        let kept = Kept { packages: LruCache::new(KEPT_MAX), versions: 0 };
        Self { packages, events, kept: Mutex::new(kept), asked: Mutex::new(asked) }
    }

    /// What is known of a package, with its versions if they are needed: one read, or none. While DynamoDB
    /// fails, what is in memory is served however old.
    pub(crate) async fn find(
        &self,
        package: &Package,
        needs_versions: bool,
        now: Timestamp,
    ) -> Result<Option<Found>, AwsError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).packages.get(package).cloned();
        let kept = kept.filter(|(found, _)| found.versions.is_some() || !needs_versions);
        if let Some((found, read_at)) = &kept
            && now.since(*read_at) < LIFETIME
        {
            return Ok(Some(found.clone()));
        }
        match (self.read(package, needs_versions, now).await, kept) {
            (Ok(mut found), kept) => {
                if let (Some(found), Some((before, _))) = (&mut found, kept) {
                    found.keep_versions_of(before);
                }
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.remove(package);
                if let Some(found) = &found
                    && matches!(found.record.state, PackageState::Known(_))
                {
                    kept.put(package, found, now);
                }
                Ok(found)
            }
            (Err(error), Some((found, _))) => {
                tracing::warn!(%package, %error, "an old version is served from memory");
                Ok(Some(found))
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn read(
        &self,
        package: &Package,
        needs_versions: bool,
        now: Timestamp,
    ) -> Result<Option<Found>, AwsError> {
        if !needs_versions {
            let record = self.packages.find(package, now).await?;
            return Ok(record.map(|record| Found { record, versions: None }));
        }
        let found = self.packages.find_with_versions(package, now).await?;
        Ok(found.map(|(record, versions)| Found { record, versions: Some(Arc::new(versions)) }))
    }

    /// Tells whoever refreshes packages that this one is read, if there is a reason to, until `deadline` at
    /// the latest. If that fails, the next reader tells.
    pub(crate) async fn tell(
        &self,
        package: &Package,
        record: Option<&PackageRecord>,
        now: Timestamp,
        deadline: Instant,
    ) {
        let Some(reason) = reason_to_tell(record, now) else { return };
        if !self.asked.lock().unwrap_or_else(PoisonError::into_inner).may_ask(package, reason, now) {
            return;
        }
        let request = PackageRequest::new(package.clone(), reason, now);
        let published = tokio::time::timeout_at(deadline, self.events.publish_requested(&request)).await;
        let error = match published {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        tracing::warn!(%package, ?reason, error, "that a package is read was not told");
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).recently.pop(package);
    }
}

impl Found {
    /// Takes over the versions of `before`, if none were read and they have not changed since.
    fn keep_versions_of(&mut self, before: Self) {
        if let (PackageState::Known(now), PackageState::Known(then)) =
            (&self.record.state, &before.record.state)
            && now.changed_at == then.changed_at
            && self.versions.is_none()
        {
            self.versions = before.versions;
        }
    }
}

impl Kept {
    fn remove(&mut self, package: &Package) {
        if let Some((found, _)) = self.packages.pop(package) {
            self.versions -= count(&found);
        }
    }

    fn put(&mut self, package: &Package, found: &Found, now: Timestamp) {
        self.versions += count(found);
        if let Some((_, (left, _))) = self.packages.push(package.clone(), (found.clone(), now)) {
            self.versions -= count(&left);
        }
        while self.versions > VERSIONS_MAX
            && let Some((_, (left, _))) = self.packages.pop_lru()
        {
            self.versions -= count(&left);
        }
    }
}

fn count(found: &Found) -> usize {
    found.versions.as_ref().map_or(0, |versions| versions.len())
}

impl Asked {
    fn may_ask(&mut self, package: &Package, reason: Reason, now: Timestamp) -> bool {
        if self.recently.get(package).is_some_and(|at| now.since(*at) < ASK_AGAIN_AFTER) {
            return false;
        }
        let budget = match reason {
            Reason::FirstRequested => &mut self.new,
            Reason::Stale | Reason::StillRead | Reason::RefreshNow | Reason::Unschedule => &mut self.known,
        };
        let may = budget.take(now);
        if may {
            self.recently.put(package.clone(), now);
        }
        may
    }
}

/// Why it has to be told that a package is read; mostly, it has not.
fn reason_to_tell(record: Option<&PackageRecord>, now: Timestamp) -> Option<Reason> {
    let Some(record) = record else { return Some(Reason::FirstRequested) };
    let is_due = record.refresh_after <= now;
    match &record.state {
        PackageState::Unconfirmed | PackageState::NotFound => is_due.then_some(Reason::FirstRequested),
        PackageState::Known(known) => {
            let grace = if known.scheduled { STALE_AFTER } else { Duration::ZERO };
            if is_due && now.since(record.refresh_after) >= grace {
                Some(Reason::Stale)
            } else {
                (record.unread_for(now) > SEEN_PERIOD).then_some(Reason::StillRead)
            }
        }
    }
}
