//! Limits on lookups of names that no upstream has confirmed: anyone can request the badge of an invented name.

use std::num::NonZeroUsize;

use badgesmith_domain::package::{Organization, Package};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::token_bucket::TokenBucket;
use lru::LruCache;

/// Organizations with their own bucket; the least recently requested are evicted first.
const ORGANIZATIONS_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// Why an unconfirmed name is looked up. Each reason has its own limits, so that new names, or failing ones, do not
/// starve those that wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LookupReason {
    /// A badge was read.
    Requested,
    /// The last lookup failed.
    Retried,
    /// The name waited in line.
    Waited,
}

/// The lookups of unconfirmed names that are left to this instance of the function.
#[derive(Debug, Default)]
pub(crate) struct LookupLimits {
    requested: Limits,
    retried: Limits,
    waited: Limits,
}

/// The limits of lookups for one reason. Each lookup costs some writes, and up to four requests upstream.
#[derive(Debug)]
struct Limits {
    nuget: TokenBucket,
    /// Organizations that may be invented themselves.
    unconfirmed: OrganizationLimits,
    /// Organizations that have packages. Invented ones neither use up their limits nor evict them.
    confirmed: OrganizationLimits,
}

/// The limits of all organizations together, and of each.
#[derive(Debug)]
struct OrganizationLimits {
    all: TokenBucket,
    each: LruCache<Organization, TokenBucket>,
}

impl Default for OrganizationLimits {
    fn default() -> Self {
        Self { all: TokenBucket::new(60.0, 1.0), each: LruCache::new(ORGANIZATIONS_MAX) }
    }
}

impl OrganizationLimits {
    fn take(&mut self, organization: &Organization, now: Timestamp) -> bool {
        let own = self.each.get_or_insert_mut(organization.clone(), organization_bucket);
        // From both or from none.
        own.has_one(now) && self.all.take(now) && own.take(now)
    }
}

/// At most 630 names an hour. GitHub's quota of the token may allow fewer.
fn organization_bucket() -> TokenBucket {
    TokenBucket::new(30.0, 10.0 / 60.0)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A page of badges; at most 173,000 names a day.
            nuget: TokenBucket::new(200.0, 2.0),
            unconfirmed: OrganizationLimits::default(),
            confirmed: OrganizationLimits::default(),
        }
    }
}

impl LookupLimits {
    /// Uses up one lookup of `package` for this reason; `false` when its limit is reached.
    pub(crate) fn take(&mut self, reason: LookupReason, package: &Package, now: Timestamp) -> bool {
        let limits = match reason {
            LookupReason::Requested => &mut self.requested,
            LookupReason::Retried => &mut self.retried,
            LookupReason::Waited => &mut self.waited,
        };
        limits.take(package, now)
    }

    /// Records that `package` exists, and with it its organization.
    pub(crate) fn confirm(&mut self, package: &Package) {
        for limits in [&mut self.requested, &mut self.retried, &mut self.waited] {
            limits.confirm(package);
        }
    }
}

impl Limits {
    fn take(&mut self, package: &Package, now: Timestamp) -> bool {
        match package {
            Package::NuGet(..) => self.nuget.take(now),
            Package::GitHub(organization, ..) if self.confirmed.each.contains(organization) => {
                self.confirmed.take(organization, now)
            }
            Package::GitHub(organization, ..) => self.unconfirmed.take(organization, now),
        }
    }

    fn confirm(&mut self, package: &Package) {
        if let Package::GitHub(organization, ..) = package {
            let own = self.unconfirmed.each.pop(organization).unwrap_or_else(organization_bucket);
            self.confirmed.each.get_or_insert(organization.clone(), || own);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn invented_organizations_do_not_use_up_the_limits_of_confirmed_ones() {
        let mut limits = Limits::default();
        let package = |organization: &str, number: u32| -> Package {
            format!("github/{organization}/p{number}").parse().unwrap()
        };
        assert!(limits.take(&package("acme", 0), Timestamp::from_unix_milliseconds(0)));
        limits.confirm(&package("acme", 0));
        let mut now = Timestamp::from_unix_milliseconds(0);
        let mut counts = [0, 0];
        for second in 0..600 {
            now = now.plus(Duration::from_secs(1));
            for number in 0..20 {
                let invented = package(&format!("org-{second}-{number}"), 0);
                counts[0] += u32::from(limits.take(&invented, now));
                counts[1] += u32::from(limits.take(&package("acme", number), now));
            }
        }
        // To within one, because a tenth of a second is no exact fraction of a token.
        assert!((658..=660).contains(&counts[0]), "60, and one a second: {counts:?}");
        assert!((128..=130).contains(&counts[1]), "29 left of 30, and ten a minute: {counts:?}");
    }
}
