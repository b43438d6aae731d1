//! How many names are looked up that may be invented.

use std::num::NonZeroUsize;

use badgesmith_shared::package::{Organization, Package};
use badgesmith_shared::timestamp::Timestamp;
use badgesmith_shared::token_bucket::TokenBucket;
use lru::LruCache;

/// Organisations that have a budget of their own, the least recently asked for leave first.
const ORGANIZATIONS_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The budgets of names that no upstream has confirmed. Each such name costs some writes, and up to two
/// requests to its upstream.
#[derive(Debug)]
pub(crate) struct Budgets {
    nuget: TokenBucket,
    github: TokenBucket,
    organizations: LruCache<Organization, TokenBucket>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            // At most 172,850 names a day.
            nuget: TokenBucket::new(50.0, 2.0),
            github: TokenBucket::new(20.0, 1.0),
            organizations: LruCache::new(ORGANIZATIONS_MAX),
        }
    }
}

impl Budgets {
    /// Ten names a minute for each organisation: some 1,220 requests an hour of the 5,000 that a token of
    /// GitHub's has.
    const ORGANIZATION: (f64, f64) = (10.0, 10.0 / 60.0);

    /// Whether `package` may be looked up now.
    pub(crate) fn take(&mut self, package: &Package, now: Timestamp) -> bool {
        match package {
            Package::NuGet(_) => self.nuget.take(now),
            Package::GitHub(organization, _) => {
                let full = || TokenBucket::new(Self::ORGANIZATION.0, Self::ORGANIZATION.1);
                // The organisation's first: one that is flooded takes nothing from the others.
                let of_organization = self.organizations.get_or_insert_mut(organization.clone(), full);
                of_organization.take(now) && self.github.take(now)
            }
        }
    }
}
