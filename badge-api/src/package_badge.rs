//! The badge of a package.

use badgesmith_api::http::{Query, Request};
use badgesmith_api::route::{BadgeFormat, Registry};
use badgesmith_domain::badge::{Badge, Subject};
use badgesmith_domain::ids::ParseError;
use badgesmith_domain::package::{Package, PackageName, PackageType, Provider};
use badgesmith_domain::package_record::{Known, PackageState};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::{Comparator, Filter, Scheme, Version};
use tokio::time::Instant;

use crate::cached_package::CachedPackage;
use crate::package_reader::{PackageRead, PackageReader};
use crate::respond::{BadgeAnswer, CachePolicy};

/// Which of a package's versions a badge shows.
pub(crate) struct VersionQuery {
    filter: Filter,
    prerelease: bool,
    warn: bool,
}

impl VersionQuery {
    /// Parses `version`, the comparison parameters such as `gte`, and `prerelease`. A version must meet all of them.
    /// An image ignores the comparison parameters and `include_prereleases`, because CloudFront's cache key has no
    /// room for them beside the style parameters.
    pub(crate) fn parse(scheme: Scheme, query: &Query<'_>, format: BadgeFormat) -> Result<Self, ParseError> {
        let is_json = format == BadgeFormat::Json;
        let comparisons = Comparator::ALL.into_iter().filter(|_| is_json).filter_map(|(name, comparator)| {
            let version = query.get(name).filter(|text| !text.trim().is_empty())?;
            Some((comparator, version))
        });
        let filter = Filter::parse(scheme, query.get("version").unwrap_or_default(), comparisons)?;
        // `include_prereleases` is the name that shields.io uses.
        let prerelease = query.flag("prerelease") || is_json && query.flag("include_prereleases");
        Ok(Self { filter, prerelease, warn: query.flag("warn") })
    }
}

/// The package that a path and its query name.
pub(crate) struct PackageNames<'a> {
    /// What its badge is labeled with even if the name is invalid.
    pub(crate) provider: Provider,
    /// Its name as in the request.
    pub(crate) written: &'a str,
    pub(crate) package: Result<Package, ParseError>,
}

impl<'a> PackageNames<'a> {
    /// `names` is the rest of the path after the registry.
    pub(crate) fn parse(registry: Registry, names: &'a str, query: &Query<'_>) -> Self {
        match registry {
            Registry::NuGet => {
                let feed = query.get("feed").map(|feed| feed.to_ascii_lowercase().parse()).transpose();
                let package = feed.and_then(|feed| Ok(Package::NuGet(feed, names.parse()?)));
                Self { provider: Provider::NuGet, written: names, package }
            }
            Registry::GitHub => {
                let (organization, name) = names.split_once('/').unwrap_or_default();
                let written = without_scope(organization, name);
                let package_type = query.get("type").map_or(Ok(PackageType::NuGet), str::parse);
                let parse = |package_type| {
                    let name = PackageName::of(package_type, written)?;
                    Ok(Package::GitHub(organization.parse()?, package_type, name))
                };
                let provider = package_type.map_or(Provider::GitHub, PackageType::provider);
                Self { provider, written, package: package_type.and_then(parse) }
            }
        }
    }
}

/// Finds the badge of the package that `names` and the query name.
pub(crate) async fn find(
    packages: &PackageReader,
    request: Request<'_>,
    format: BadgeFormat,
    registry: Registry,
    names: &str,
    now: Timestamp,
) -> BadgeAnswer {
    let started = Instant::now();
    let query = request.query();
    let PackageNames { provider, written, package } = PackageNames::parse(registry, names, &query);
    let subject = Subject::Package(provider);
    let badge = BadgeAnswer::new;
    let Ok(package) = package else {
        return badge(Badge::not_found(subject), CachePolicy::Brief);
    };
    let needs_consent = match packages.needs_consent(&package, now).await {
        Ok(Some(needs_consent)) => needs_consent,
        Ok(None) => return badge(Badge::not_found(subject), CachePolicy::Brief),
        Err(error) => {
            tracing::error!(%package, %error, "failed to read a feed");
            return BadgeAnswer::unavailable(subject);
        }
    };
    let Ok(query) = VersionQuery::parse(provider.scheme(), &query, format) else {
        return badge(Badge::invalid_range(provider), CachePolicy::Brief);
    };
    let needs_versions = !query.filter.is_empty();
    let read = PackageRead { package: &package, written, needs_versions, now, started };
    let found = match packages.get(read).await {
        Ok(Some(found)) => found,
        Ok(None) => return badge(Badge::pending(provider), CachePolicy::Pending),
        Err(error) => {
            tracing::error!(%package, %error, "failed to read a package");
            return BadgeAnswer::unavailable(subject);
        }
    };
    if needs_consent && lacks_consent(&found.record.state) {
        return badge(Badge::not_found(subject), CachePolicy::Brief);
    }
    shown(provider, &found, &query)
}

/// Whether versions are from before the feed needed credentials: no operator has allowed them yet.
pub(crate) fn lacks_consent(state: &PackageState) -> bool {
    matches!(state, PackageState::Known(known) if !known.private)
}

/// The badge of a version, or that no version matches.
pub(crate) fn of_version(provider: Provider, version: Option<&Version>) -> Badge {
    match version {
        Some(version) => Badge::version(provider, version),
        None => Badge::not_found(Subject::Package(provider)),
    }
}

/// The badge of a package that was read.
fn shown(provider: Provider, found: &CachedPackage, query: &VersionQuery) -> BadgeAnswer {
    let subject = Subject::Package(provider);
    let not_found = || BadgeAnswer::new(Badge::not_found(subject), CachePolicy::Brief);
    match &found.record.state {
        PackageState::Unconfirmed if found.record.failures == 0 => {
            BadgeAnswer::new(Badge::pending(provider), CachePolicy::Pending)
        }
        PackageState::Unconfirmed => BadgeAnswer::new(Badge::unavailable(subject), CachePolicy::Pending),
        PackageState::NotFound => not_found(),
        PackageState::Known(known) => match latest(known, found, query) {
            Some(version) => {
                let badge = if query.warn {
                    Badge::version_with_warning(provider, version)
                } else {
                    Badge::version(provider, version)
                };
                BadgeAnswer::new(badge, CachePolicy::Packages).modified(known.changed_at)
            }
            None => not_found(),
        },
    }
}

/// The highest version that matches the query.
pub(crate) fn latest<'a>(
    known: &'a Known,
    found: &'a CachedPackage,
    query: &VersionQuery,
) -> Option<&'a Version> {
    match &found.versions {
        Some(versions) if !query.filter.is_empty() => versions.latest(&query.filter, query.prerelease),
        Some(_) | None => known.latest(query.prerelease),
    }
}

/// The name of an npm package without its scope, which is the owner: `@acme/kit` of `acme`.
fn without_scope<'a>(organization: &str, name: &'a str) -> &'a str {
    let scoped = name.strip_prefix('@').and_then(|name| name.split_once('/'));
    scoped.filter(|(scope, _)| scope.eq_ignore_ascii_case(organization)).map_or(name, |(_, name)| name)
}
