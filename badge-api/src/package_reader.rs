//! Reads packages through a cache, and requests a refresh where one is due.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::dynamodb::{Packages, StoreError};
use badgesmith_aws::event_bridge::EventBus;
use badgesmith_aws::sdk::AwsError;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageRecord, PackageState};
use badgesmith_domain::package_request::PackageRequest;
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::token_bucket::TokenBucket;
use tokio::time::Instant;

use crate::cache::Cache;
use crate::cached_package::CachedPackage;
use crate::feed_reader::FeedReader;
use crate::refresh_requests::{RequestLimiter, refresh_reason};

/// How long a package is served from memory, by wall clock, because a sandbox may be frozen in between.
const LIFETIME: Duration = Duration::from_mins(2);
/// The maximum number of cached packages.
const PACKAGES_MAX: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// The maximum number of cached versions of all packages together.
const VERSIONS_MAX: usize = 50_000;
/// The time between two reads of a package that is being looked up.
const POLL_INTERVAL: Duration = Duration::from_millis(150);
/// One badge in this time may wait for its package. A flood of invented names must not keep instances busy.
const SECONDS_BETWEEN_WAITS: f64 = 10.0;

/// The read of a package.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackageRead<'a> {
    pub(crate) package: &'a Package,
    /// Its name as in the request.
    pub(crate) written: &'a str,
    pub(crate) needs_versions: bool,
    pub(crate) now: Timestamp,
    /// When the answer was begun. All calls for it take a bounded time together.
    pub(crate) started: Instant,
}

#[derive(Debug)]
pub(crate) struct PackageReader {
    packages: Packages,
    feeds: FeedReader,
    events: EventBus,
    /// How long all calls for an answer may take together.
    answer_within: Duration,
    /// How long a badge may wait for the first lookup of its package, with the reads before.
    first_lookup_wait: Duration,
    waits: Mutex<TokenBucket>,
    cache: Mutex<Cache<Package, CachedPackage>>,
    limiter: Mutex<RequestLimiter>,
}

impl PackageReader {
    pub(crate) fn new(
        packages: Packages,
        feeds: FeedReader,
        events: EventBus,
        answer_within: Duration,
        first_lookup_wait: Duration,
    ) -> Self {
        let waits = Mutex::new(TokenBucket::new(1.0, 1.0 / SECONDS_BETWEEN_WAITS));
        let cache = Mutex::new(Cache::new(PACKAGES_MAX, VERSIONS_MAX));
        let limiter = Mutex::new(RequestLimiter::new());
        Self { packages, feeds, events, answer_within, first_lookup_wait, waits, cache, limiter }
    }

    /// Reads a package, with its versions if they are needed, in one call to DynamoDB at most. While DynamoDB
    /// fails, a cached package is served regardless of its age. Requests a refresh if there is a reason to. After the
    /// first request of a package, waits for a moment for its versions.
    pub(crate) async fn get(&self, read: PackageRead<'_>) -> Result<Option<CachedPackage>, StoreError> {
        let deadline = read.started + self.answer_within;
        let found = self.find(read, deadline).await?;
        let record = found.as_ref().map(|found| &found.record);
        let is_requested = self.request_refresh(read, record, deadline).await;
        if is_requested && record.is_none_or(is_pending) && self.may_wait(read.now) {
            return Ok(self.wait(read, read.started + self.first_lookup_wait).await.or(found));
        }
        Ok(found)
    }

    /// Whether the feed of a package needs credentials, so that only packages are shown that an operator has allowed.
    /// `None` if the feed is not registered.
    ///
    /// # Errors
    /// [`AwsError`] if DynamoDB fails.
    pub(crate) async fn needs_consent(
        &self,
        package: &Package,
        now: Timestamp,
    ) -> Result<Option<bool>, AwsError> {
        let Package::NuGet(Some(feed), _) = package else { return Ok(Some(false)) };
        Ok(self.feeds.find(feed, now).await?.map(|feed| feed.needs_credentials))
    }

    fn may_wait(&self, now: Timestamp) -> bool {
        !self.first_lookup_wait.is_zero()
            && self.waits.lock().unwrap_or_else(PoisonError::into_inner).take(now)
    }

    /// Reads a package until it was looked up; `None` if that takes until `deadline`.
    async fn wait(&self, read: PackageRead<'_>, deadline: Instant) -> Option<CachedPackage> {
        loop {
            tokio::time::timeout_at(deadline, tokio::time::sleep(POLL_INTERVAL)).await.ok()?;
            // An error is that of a later read, too, which reports it.
            if let Ok(Some(found)) = self.find(read, deadline).await
                && !is_pending(&found.record)
            {
                return Some(found);
            }
        }
    }

    async fn find(
        &self,
        read: PackageRead<'_>,
        deadline: Instant,
    ) -> Result<Option<CachedPackage>, StoreError> {
        let PackageRead { package, needs_versions, now, .. } = read;
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(package);
        let cached = cached.filter(|(found, _)| found.versions.is_some() || !needs_versions);
        if let Some((found, read_at)) = &cached
            && read_at.is_recent(now, LIFETIME)
        {
            return Ok(Some(found.clone()));
        }
        let found = tokio::time::timeout_at(deadline, self.read(package, needs_versions, now)).await;
        let found = found.unwrap_or_else(|late| Err(AwsError::unexpected("reading a package", late).into()));
        match (found, cached) {
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

    /// Publishes `PackageRequested` if there is a reason to, by `deadline`, and returns whether it did. If that fails,
    /// the next read tries again.
    async fn request_refresh(
        &self,
        read: PackageRead<'_>,
        record: Option<&PackageRecord>,
        deadline: Instant,
    ) -> bool {
        let PackageRead { package, written, now, .. } = read;
        let Some(reason) = refresh_reason(record, now) else { return false };
        if !self.limiter.lock().unwrap_or_else(PoisonError::into_inner).try_acquire(package, reason, now) {
            return false;
        }
        let request = PackageRequest::new(package.clone(), reason, now).written_as(written);
        let published = tokio::time::timeout_at(deadline, self.events.publish_requested(&request)).await;
        let error = match published {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(late) => late.to_string(),
        };
        tracing::warn!(%package, ?reason, error, "failed to publish PackageRequested");
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner).forget(package);
        false
    }
}

/// Whether no upstream has answered yet.
fn is_pending(record: &PackageRecord) -> bool {
    record.state == PackageState::Unconfirmed && record.failures == 0
}
