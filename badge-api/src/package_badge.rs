//! The badge of a package.

use badgesmith_api::http::{Query, Request};
use badgesmith_api::route::BadgeFormat;
use badgesmith_domain::badge::{Badge, Subject};
use badgesmith_domain::ids::ParseError;
use badgesmith_domain::package::{Package, Provider};
use badgesmith_domain::package_record::{Known, PackageState};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::{Comparator, NuGetVersion, Requirement};

use crate::cached_package::CachedPackage;
use crate::package_reader::PackageReader;
use crate::respond::{BadgeAnswer, CachePolicy};

/// Which of a package's versions a badge shows.
struct VersionQuery {
    requirement: Requirement,
    prerelease: bool,
}

/// Finds the badge of `package`; `None` means that its name is invalid.
pub(crate) async fn find(
    packages: &PackageReader,
    request: Request<'_>,
    format: BadgeFormat,
    provider: Provider,
    package: Option<Package>,
    now: Timestamp,
) -> BadgeAnswer {
    let subject = Subject::Package(provider);
    let badge = BadgeAnswer::new;
    let Some(package) = package else {
        return badge(Badge::not_found(subject), CachePolicy::Brief);
    };
    let Ok(query) = parse(&request.query(), format) else {
        return badge(Badge::invalid_range(provider), CachePolicy::Brief);
    };
    let found = match packages.get(&package, !query.requirement.is_empty(), now).await {
        Ok(Some(found)) => found,
        Ok(None) => return badge(Badge::pending(provider), CachePolicy::Pending),
        Err(error) => {
            tracing::error!(%package, %error, "failed to read a package");
            return BadgeAnswer::unavailable(subject);
        }
    };
    match &found.record.state {
        PackageState::Unconfirmed if found.record.failures == 0 => {
            badge(Badge::pending(provider), CachePolicy::Pending)
        }
        PackageState::Unconfirmed => badge(Badge::unavailable(subject), CachePolicy::Pending),
        PackageState::NotFound => badge(Badge::not_found(subject), CachePolicy::Brief),
        PackageState::Known(known) => match latest(known, &found, &query) {
            Some(version) => {
                badge(Badge::version(provider, version), CachePolicy::Packages).modified(known.changed_at)
            }
            None => badge(Badge::not_found(subject), CachePolicy::Brief),
        },
    }
}

/// The highest version that matches the query.
fn latest<'a>(known: &'a Known, found: &'a CachedPackage, query: &VersionQuery) -> Option<&'a NuGetVersion> {
    match &found.versions {
        Some(versions) if !query.requirement.is_empty() => {
            versions.latest(&query.requirement, query.prerelease)
        }
        Some(_) | None => known.latest(query.prerelease),
    }
}

/// Parses `version`, the comparators by name, and `prerelease`. A version must meet all that are given. An image has no
/// comparators by name: with the parameters of its style, a cache key has no room for them.
fn parse(query: &Query<'_>, format: BadgeFormat) -> Result<VersionQuery, ParseError> {
    let mut requirement = Requirement::default();
    if let Some(text) = query.get("version") {
        requirement = requirement.and_range(text)?;
    }
    for (name, comparator) in Comparator::ALL.into_iter().filter(|_| format == BadgeFormat::Json) {
        if let Some(text) = query.get(name).filter(|text| !text.trim().is_empty()) {
            requirement = requirement.and(comparator, text.parse()?);
        }
    }
    let prerelease = query.get("prerelease").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    Ok(VersionQuery { requirement, prerelease })
}
