//! Reads packages through a cache, and requests a refresh where one is due.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::dynamodb::{Packages, StoreError};
use badgesmith_aws::event_bridge::EventBus;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageRecord, PackageState};
use badgesmith_domain::package_request::PackageRequest;
use badgesmith_domain::timestamp::Timestamp;
use tokio::time::Instant;

use crate::cache::Cache;
use crate::cached_package::CachedPackage;
use crate::refresh_requests::{RequestLimiter, refresh_reason};

/// How long a package is served from memory, by wall clock, because a sandbox may be frozen in between.
const LIFETIME: Duration = Duration::from_mins(2);
/// The maximum number of cached packages.
const PACKAGES_MAX: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// The maximum number of cached versions of all packages together.
const VERSIONS_MAX: usize = 50_000;

#[derive(Debug)]
pub(crate) struct PackageReader {
    packages: Packages,
    events: EventBus,
    /// How long a read and its request to the refresher may take together.
    answer_within: Duration,
    cache: Mutex<Cache<Package, CachedPackage>>,
    limiter: Mutex<RequestLimiter>,
}

impl PackageReader {
    pub(crate) fn new(packages: Packages, events: EventBus, answer_within: Duration) -> Self {
        let cache = Mutex::new(Cache::new(PACKAGES_MAX, VERSIONS_MAX));
        let limiter = Mutex::new(RequestLimiter::new());
        Self { packages, events, answer_within, cache, limiter }
    }

    /// Reads a package, with its versions if they are needed, in at most one call to DynamoDB. While DynamoDB
    /// fails, a cached package is served regardless of its age. Requests a refresh if there is a reason to.
    pub(crate) async fn get(
        &self,
        package: &Package,
        needs_versions: bool,
        now: Timestamp,
    ) -> Result<Option<CachedPackage>, StoreError> {
        let deadline = Instant::now() + self.answer_within;
        let found = self.find(package, needs_versions, now).await?;
        self.request_refresh(package, found.as_ref().map(|found| &found.record), now, deadline).await;
        Ok(found)
    }

    async fn find(
        &self,
        package: &Package,
        needs_versions: bool,
        now: Timestamp,
    ) -> Result<Option<CachedPackage>, StoreError> {
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(package);
        let cached = cached.filter(|(found, _)| found.versions.is_some() || !needs_versions);
        if let Some((found, read_at)) = &cached
            && read_at.is_recent(now, LIFETIME)
        {
            return Ok(Some(found.clone()));
        }
        match (self.read(package, needs_versions, now).await, cached) {
            (Ok(mut found), cached) => {
                if let (Some(found), Some((before, _))) = (&mut found, cached) {
                    found.keep_versions_of(before);
                }
                let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
                cache.remove(package);
                if let Some(found) = &found
                    && matches!(found.record.state, PackageState::Known(_))
                {
                    cache.put(package.clone(), found.clone(), now);
                }
                Ok(found)
            }
            (Err(error), Some((found, _))) => {
                tracing::warn!(%package, %error, "served a stale cached package");
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
    ) -> Result<Option<CachedPackage>, StoreError> {
        if !needs_versions {
            let record = self.packages.find(package, now).await?;
            return Ok(record.map(|record| CachedPackage { record, versions: None }));
        }
        let found = self.packages.find_with_versions(package, now).await?;
        Ok(found.map(|(record, versions)| CachedPackage { record, versions: Some(Arc::new(versions)) }))
    }

    /// Publishes `PackageRequested` if there is a reason to, by `deadline`. If that fails, the next read tries
    /// again.
    async fn request_refresh(
        &self,
        package: &Package,
        record: Option<&PackageRecord>,
        now: Timestamp,
        deadline: Instant,
    ) {
        let Some(reason) = refresh_reason(record, now) else { return };
        if !self.limiter.lock().unwrap_or_else(PoisonError::into_inner).try_acquire(package, reason, now) {
            return;
        }
        let request = PackageRequest::new(package.clone(), reason, now);
        let published = tokio::time::timeout_at(deadline, self.events.publish_requested(&request)).await;
        let error = match published {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(late) => late.to_string(),
        };
        tracing::warn!(%package, ?reason, error, "failed to publish PackageRequested");
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner).forget(package);
    }
}
