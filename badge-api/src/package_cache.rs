//! Packages cached in memory.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageRecord, PackageState};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::Versions;
use lru::LruCache;

/// How long a package is served from memory, by wall clock, because a sandbox may be frozen in between.
pub(crate) const LIFETIME: Duration = Duration::from_mins(2);
/// The maximum number of cached packages. The least recently used are evicted first.
const PACKAGES_MAX: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// The maximum number of cached versions of all packages together. Each takes about 40 bytes.
const VERSIONS_MAX: usize = 50_000;

/// A package as it was read.
#[derive(Debug, Clone)]
pub(crate) struct CachedPackage {
    pub(crate) record: PackageRecord,
    /// `None` if the versions were not read.
    pub(crate) versions: Option<Arc<Versions>>,
}

/// A cache bounded by packages and by versions.
#[derive(Debug)]
pub(crate) struct PackageCache {
    packages: LruCache<Package, (CachedPackage, Timestamp)>,
    versions: usize,
}

impl PackageCache {
    pub(crate) fn new() -> Self {
        Self { packages: LruCache::new(PACKAGES_MAX), versions: 0 }
    }

    /// A package, and when it was read.
    pub(crate) fn get(&mut self, package: &Package) -> Option<(CachedPackage, Timestamp)> {
        self.packages.get(package).cloned()
    }

    pub(crate) fn remove(&mut self, package: &Package) {
        if let Some((cached, _)) = self.packages.pop(package) {
            self.versions -= cached.version_count();
        }
    }

    pub(crate) fn put(&mut self, package: &Package, cached: CachedPackage, now: Timestamp) {
        self.versions += cached.version_count();
        if let Some((_, (replaced, _))) = self.packages.push(package.clone(), (cached, now)) {
            self.versions -= replaced.version_count();
        }
        while self.versions > VERSIONS_MAX
            && let Some((_, (evicted, _))) = self.packages.pop_lru()
        {
            self.versions -= evicted.version_count();
        }
    }
}

impl CachedPackage {
    /// Takes over the versions of `before` if none were read now and they have not changed since.
    pub(crate) fn keep_versions_of(&mut self, before: Self) {
        if let (PackageState::Known(now), PackageState::Known(then)) =
            (&self.record.state, &before.record.state)
            && now.changed_at == then.changed_at
            && self.versions.is_none()
        {
            self.versions = before.versions;
        }
    }

    fn version_count(&self) -> usize {
        self.versions.as_ref().map_or(0, |versions| versions.len())
    }
}
