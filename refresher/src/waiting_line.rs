//! The line of names that exceed the lookup limits, and wait until the schedule looks them up. It is a shard of the
//! table, to which all instances of the function add names.

use std::time::Duration;

use badgesmith_aws::dynamodb::{Packages, StoreError};
use badgesmith_domain::key::DueShard;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_request::PackageRequest;
use badgesmith_domain::timestamp::Timestamp;
use tokio::sync::Mutex as AsyncMutex;

/// The maximum number of waiting names of each upstream, so that a flood of one takes no place from the other. The
/// schedule looks up at least 200 of NuGet and 30 of GitHub every 5 minutes.
const PLACES: usize = 250;
/// The number of taken places is read again after this long.
const LIFETIME: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct WaitingLine(AsyncMutex<Option<TakenPlaces>>);

#[derive(Debug)]
struct TakenPlaces {
    nuget: usize,
    github: usize,
    read_at: Timestamp,
}

impl WaitingLine {
    /// Puts the name of a request in line; `false` when all places are taken.
    ///
    /// # Errors
    /// [`StoreError`] if DynamoDB fails.
    pub(crate) async fn put(
        &self,
        packages: &Packages,
        request: &PackageRequest,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let PackageRequest { package, requested_at, .. } = request;
        // Before the write, so that concurrent requests do not take the same place.
        if !self.take_place(packages, package, now).await? {
            return Ok(false);
        }
        let put = packages.wait_in_line(package, request.spelling(), *requested_at, now).await;
        if !matches!(put, Ok(true))
            && let Some(taken) = &mut *self.0.lock().await
        {
            let taken = taken.of(package);
            *taken = taken.saturating_sub(1);
        }
        put?;
        Ok(true)
    }

    async fn take_place(
        &self,
        packages: &Packages,
        package: &Package,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        // Locked while the line is read, so that concurrent requests read it once.
        let mut cached = self.0.lock().await;
        let taken = match cached.take() {
            Some(taken) if taken.read_at.is_recent(now, LIFETIME) => taken,
            Some(_) | None => TakenPlaces::read(packages, now).await?,
        };
        let taken = cached.insert(taken).of(package);
        let is_free = *taken < PLACES;
        *taken += usize::from(is_free);
        Ok(is_free)
    }
}

impl TakenPlaces {
    async fn read(packages: &Packages, now: Timestamp) -> Result<Self, StoreError> {
        let page = packages.due(DueShard::Waiting, now, None).await?;
        if page.next.is_some() {
            // A page has as many names as there are places.
            return Ok(Self { nuget: PLACES, github: PLACES, read_at: now });
        }
        let is_nuget = |package: &Package| matches!(package, Package::NuGet(..));
        let nuget = page.packages.iter().filter(|due| is_nuget(&due.package)).count();
        Ok(Self { nuget, github: page.packages.len() - nuget, read_at: now })
    }

    /// Those of names of the same upstream.
    fn of(&mut self, package: &Package) -> &mut usize {
        match package {
            Package::NuGet(..) => &mut self.nuget,
            Package::GitHub(..) => &mut self.github,
        }
    }
}
