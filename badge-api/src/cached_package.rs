//! A package as it was read.

use std::sync::Arc;

use badgesmith_domain::package_record::{PackageRecord, PackageState};
use badgesmith_domain::version::Versions;

use crate::cache::Weighted;

#[derive(Debug, Clone)]
pub(crate) struct CachedPackage {
    pub(crate) record: PackageRecord,
    /// `None` if the versions were not read.
    pub(crate) versions: Option<Arc<Versions>>,
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
}

impl Weighted for CachedPackage {
    /// The number of versions. Each takes about 40 bytes.
    fn weight(&self) -> usize {
        self.versions.as_ref().map_or(0, |versions| versions.len())
    }
}
