//! The badge of a package.

use badgesmith_api::http::{Request, Response};
use badgesmith_aws::metrics::Metric;
use badgesmith_domain::badge::{Badge, Subject};
use badgesmith_domain::ids::ParseError;
use badgesmith_domain::package::{Package, Provider};
use badgesmith_domain::package_record::{Known, PackageState};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::{Comparator, NuGetVersion, Requirement};
use tokio::time::Instant;

use crate::packages::{Found, KnownPackages};
use crate::respond::{self, CachePolicy};

/// What a reader wants of the versions.
struct Wish {
    requirement: Requirement,
    prerelease: bool,
}

/// Answers a request for the badge of `package`, until `deadline` at the latest.
pub(crate) async fn answer(
    packages: &KnownPackages,
    request: Request<'_>,
    (provider, package): (Provider, Option<Package>),
    now: Timestamp,
    deadline: Instant,
) -> Response {
    let badge = |badge: Badge, policy| respond::cached(request, &badge, policy, None);
    let Some(package) = package else {
        return badge(Badge::not_found(Subject::Package(provider)), CachePolicy::Brief);
    };
    let Ok(wish) = read(request) else {
        return badge(Badge::invalid_range(provider), CachePolicy::Brief);
    };
    let found = match packages.find(&package, !wish.requirement.is_empty(), now).await {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%package, %error, "a badge is unavailable");
            Metric::BadgesUnavailable.count(1);
            return badge(Badge::unavailable(Subject::Package(provider)), CachePolicy::Unavailable);
        }
    };
    packages.tell(&package, found.as_ref().map(|found| &found.record), now, deadline).await;
    match found.as_ref().map(|found| (&found.record.state, found)) {
        None => badge(Badge::pending(provider), CachePolicy::Unavailable),
        Some((PackageState::Unconfirmed, found)) if found.record.failures == 0 => {
            badge(Badge::pending(provider), CachePolicy::Unavailable)
        }
        Some((PackageState::Unconfirmed, _)) => {
            badge(Badge::unavailable(Subject::Package(provider)), CachePolicy::Unavailable)
        }
        Some((PackageState::NotFound, _)) => {
            badge(Badge::not_found(Subject::Package(provider)), CachePolicy::Brief)
        }
        Some((PackageState::Known(known), found)) => match latest(known, found, &wish) {
            Some(shown) => {
                let shown = Badge::version(provider, shown);
                respond::cached(request, &shown, CachePolicy::Packages, Some(known.changed_at))
            }
            None => badge(Badge::not_found(Subject::Package(provider)), CachePolicy::Brief),
        },
    }
}

/// The highest version that is as wanted.
fn latest<'a>(known: &'a Known, found: &'a Found, wish: &Wish) -> Option<&'a NuGetVersion> {
    match &found.versions {
        Some(versions) if !wish.requirement.is_empty() => versions.latest(&wish.requirement, wish.prerelease),
        Some(_) | None => known.latest(wish.prerelease),
    }
}

/// Reads the query: `version`, the comparators by name, `prerelease`. Everything that is given must hold.
fn read(request: Request<'_>) -> Result<Wish, ParseError> {
    let mut requirement = Requirement::default();
    if let Some(text) = request.query("version") {
        requirement = requirement.and_range(&text)?;
    }
    for (name, comparator) in Comparator::ALL {
        if let Some(text) = request.query(name).filter(|text| !text.trim().is_empty()) {
            requirement = requirement.and(comparator, text.parse()?);
        }
    }
    let prerelease = request.query("prerelease").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    Ok(Wish { requirement, prerelease })
}
