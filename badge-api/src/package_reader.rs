//! Reads packages through a cache, and requests a refresh where one is due.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::dynamodb::{Packages, StoreError};
use badgesmith_aws::event_bridge::EventBus;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageRecord, PackageState};
use badgesmith_domain::package_request::PackageRequest;
use badgesmith_domain::timestamp::Timestamp;
use tokio::time::Instant;

use crate::package_cache::{self, CachedPackage, PackageCache};
use crate::refresh_requests::{RequestLimiter, refresh_reason};

/// All packages.
#[derive(Debug)]
pub(crate) struct PackageReader {
    packages: Packages,
    events: EventBus,
    /// How long a read and its request to the refresher may take in all.
    answer_within: Duration,
    cache: Mutex<PackageCache>,
    limiter: Mutex<RequestLimiter>,
}

impl PackageReader {
    pub(crate) fn new(packages: Packages, events: EventBus, answer_within: Duration) -> Self {
        let cache = Mutex::new(PackageCache::new());
        let limiter = Mutex::new(RequestLimiter::new());
        Self { packages, events, answer_within, cache, limiter }
    }

    /// A package, with its versions if they are needed, at the cost of one read or none. While DynamoDB fails, a
    /// cached package is served however old. Requests a refresh if there is a reason to.
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
            && now.since(*read_at) < package_cache::LIFETIME
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
                    cache.put(package, found.clone(), now);
                }
                Ok(found)
            }
            (Err(error), Some((found, _))) => {
                tracing::warn!(%package, %error, "served a cached package after its lifetime");
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

    /// Publishes `PackageRequested` if there is a reason to, until `deadline` at the latest. If that fails, the next
    /// read tries again.
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
