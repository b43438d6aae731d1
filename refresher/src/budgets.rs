//! How many names are looked up that may be invented.

use std::num::NonZeroUsize;

use badgesmith_domain::package::{Organization, Package};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::token_bucket::TokenBucket;
use lru::LruCache;

/// Organisations that have a budget of their own, the least recently asked for leave first.
const ORGANIZATIONS_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// The budgets of names that no upstream has confirmed, of this instance of the function. Each such name costs
/// some writes, and up to two requests to its upstream.
#[derive(Debug)]
pub(crate) struct Budgets {
    nuget: TokenBucket,
    /// Organisations that may be invented themselves.
    unproven: GitHubBudgets,
    /// Those that have packages. Invented ones take nothing from them, and drive none of them out.
    proven: GitHubBudgets,
}

/// What some organisations have together, and each of them.
#[derive(Debug)]
struct GitHubBudgets {
    all: TokenBucket,
    each: LruCache<Organization, TokenBucket>,
}

impl Default for GitHubBudgets {
    fn default() -> Self {
        Self { all: TokenBucket::new(20.0, 1.0), each: LruCache::new(ORGANIZATIONS_MAX) }
    }
}

impl GitHubBudgets {
    fn take(&mut self, organization: &Organization, now: Timestamp) -> bool {
        let own = self.each.get_or_insert_mut(organization.clone(), of_organization);
        // From both or from none.
        own.has_one(now) && self.all.take(now) && own.take(now)
    }
}

/// At most 610 names an hour. How much of a token's limit that may be, GitHub's own count decides.
fn of_organization() -> TokenBucket {
    TokenBucket::new(10.0, 10.0 / 60.0)
}

impl Default for Budgets {
    fn default() -> Self {
        // At most 172,850 names a day.
        let nuget = TokenBucket::new(50.0, 2.0);
        Self { nuget, unproven: GitHubBudgets::default(), proven: GitHubBudgets::default() }
    }
}

impl Budgets {
    /// Whether `package` may be looked up now.
    pub(crate) fn take(&mut self, package: &Package, now: Timestamp) -> bool {
        match package {
            Package::NuGet(_) => self.nuget.take(now),
            Package::GitHub(organization, _) if self.proven.each.contains(organization) => {
                self.proven.take(organization, now)
            }
            Package::GitHub(organization, _) => self.unproven.take(organization, now),
        }
    }

    /// Notes that `package` exists, and so does its organisation.
    pub(crate) fn prove(&mut self, package: &Package) {
        if let Package::GitHub(organization, _) = package {
            let own = self.unproven.each.pop(organization).unwrap_or_else(of_organization);
            self.proven.each.get_or_insert(organization.clone(), || own);
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
        assert!(budgets.take(&package("acme", 0), Timestamp::from_unix_milliseconds(0)));
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
        // To within one, since a tenth of a second has no exact fraction of a token.
        assert!((618..=620).contains(&counts[0]), "20, and one a second: {counts:?}");
        assert!((108..=110).contains(&counts[1]), "9 left of 10, and ten a minute: {counts:?}");
    }
}
