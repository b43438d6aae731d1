//! When a read of a package asks the refresher to look it up.

use std::num::NonZeroUsize;
use std::time::Duration;

use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageRecord, PackageState};
use badgesmith_domain::package_request::Reason;
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::token_bucket::TokenBucket;
use lru::LruCache;

/// A scheduled package is requested if it is overdue by at least this long.
const STALE_AFTER: Duration = Duration::from_mins(10);
/// How often a read of the same package is reported.
const READ_REPORT_INTERVAL: Duration = Duration::from_hours(24);
/// The minimum interval between requests for the same package.
const REQUEST_INTERVAL: Duration = Duration::from_mins(1);
/// The maximum number of recently requested packages to remember.
const RECENT_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Limits requests to the refresher. Unknown names, which may be made up, and known packages have separate limits,
/// so that a flood of unknown names blocks no other request.
#[derive(Debug)]
pub(crate) struct RequestLimiter {
    recent: LruCache<Package, Timestamp>,
    unknown: TokenBucket,
    known: TokenBucket,
}

impl RequestLimiter {
    pub(crate) fn new() -> Self {
        Self {
            recent: LruCache::new(RECENT_MAX),
            // A page of badges, and then 5 a second.
            unknown: TokenBucket::new(200.0, 5.0),
            known: TokenBucket::new(10.0, 3.0),
        }
    }

    /// Whether a request may be sent now. If so, it counts toward the limits.
    pub(crate) fn try_acquire(&mut self, package: &Package, reason: Reason, now: Timestamp) -> bool {
        if self.recent.get(package).is_some_and(|at| at.is_recent(now, REQUEST_INTERVAL)) {
            return false;
        }
        let limit = match reason {
            Reason::FirstRequested => &mut self.unknown,
            Reason::Stale | Reason::StillRead | Reason::RefreshNow | Reason::Unschedule => &mut self.known,
        };
        let allowed = limit.take(now);
        if allowed {
            self.recent.put(package.clone(), now);
        }
        allowed
    }

    /// Makes the next read of a package request it again, after a request that failed.
    pub(crate) fn forget(&mut self, package: &Package) {
        self.recent.pop(package);
    }
}

/// Why a read of a package must request its refresh; usually `None`.
pub(crate) fn refresh_reason(record: Option<&PackageRecord>, now: Timestamp) -> Option<Reason> {
    let Some(record) = record else { return Some(Reason::FirstRequested) };
    let is_due = record.refresh_after <= now;
    match &record.state {
        PackageState::Unconfirmed | PackageState::NotFound => is_due.then_some(Reason::FirstRequested),
        PackageState::Known(known) => {
            let grace = if known.is_scheduled { STALE_AFTER } else { Duration::ZERO };
            if is_due && now.since(record.refresh_after) >= grace {
                Some(Reason::Stale)
            } else {
                (record.unread_for(now) > READ_REPORT_INTERVAL).then_some(Reason::StillRead)
            }
        }
    }
}
