//! How many names are looked up that may be invented.

use std::num::NonZeroUsize;

use badgesmith_shared::package::{Organization, Package};
use badgesmith_shared::timestamp::Timestamp;
use badgesmith_shared::token_bucket::TokenBucket;
use lru::LruCache;

/// Organisations that have a budget of their own, the least recently asked for leave first.
const ORGANIZATIONS_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Organisations that are remembered to have packages.
const PROVEN_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The budgets of names that no upstream has confirmed. Each such name costs some writes, and up to two
/// requests to its upstream.
#[derive(Debug)]
pub(crate) struct Budgets {
    nuget: TokenBucket,
    /// Shared by all organisations that may be invented themselves.
    github: TokenBucket,
    organizations: LruCache<Organization, TokenBucket>,
    proven: LruCache<Organization, ()>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            // At most 172,850 names a day.
            nuget: TokenBucket::new(50.0, 2.0),
            github: TokenBucket::new(20.0, 1.0),
            organizations: LruCache::new(ORGANIZATIONS_MAX),
            proven: LruCache::new(PROVEN_MAX),
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
                let own = self.organizations.get_or_insert_mut(organization.clone(), full);
                // From both or from none.
                let may =
                    own.has_one(now) && (self.proven.get(organization).is_some() || self.github.take(now));
                may && own.take(now)
            }
        }
    }

    /// Notes that `package` exists, and so does its organisation.
    pub(crate) fn prove(&mut self, package: &Package) {
        if let Package::GitHub(organization, _) = package {
            self.proven.put(organization.clone(), ());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn invented_organisations_take_nothing_from_those_that_exist() {
        let mut budgets = Budgets::default();
        let package = |organization: &str, number: u32| -> Package {
            format!("github/{organization}/p{number}").parse().unwrap()
        };
        budgets.prove(&package("acme", 0));
        let mut now = Timestamp::from_unix_milliseconds(0);
        let mut counts = [0, 0];
        for second in 0..600 {
            now = now.plus(Duration::from_secs(1));
            for number in 0..20 {
                let invented = package(&format!("org-{second}-{number}"), 0);
                counts[0] += u32::from(budgets.take(&invented, now));
                counts[1] += u32::from(budgets.take(&package("acme", number), now));
            }
        }
        assert_eq!(counts, [20 + 599, 10 + 99], "a second and a minute each; full at the first one");
    }
}
