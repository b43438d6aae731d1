//! `/packages/nuget/{package}` and `/packages/github/{org}/{package}`: the versions of a package.

use badgesmith_api::http::{Query, Request, Response};
use badgesmith_api::route::{BadgeFormat, Registry, segment};
use badgesmith_aws::dynamodb::StoreError;
use badgesmith_domain::package::{Package, PackageType, Provider};
use badgesmith_domain::package_record::{Known, PackageState};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::{Advisory, Version, Versions};
use maud::{Markup, html};
use tokio::time::Instant;

use super::layout::{age, chip, document, fit, message};
use super::path::package_path;
use super::site::Site;
use super::snippets::{self, Badge};
use crate::cached_package::CachedPackage;
use crate::package_badge::{self, PackageNames, VersionQuery};
use crate::package_reader::{PackageRead, PackageReader};
use crate::respond::{self, CachePolicy};

/// The share of the page of the list of versions, in bytes. A row has about 40.
const VERSIONS_BYTES_MAX: usize = 12_000;
const NOT_FOUND: &str =
    "This package does not exist, or the operator has not allowed this service to show it.";

/// The page of a package. The package is looked up as for its badge.
///
/// # Errors
/// [`StoreError`] if DynamoDB fails or an item is corrupt.
pub(super) async fn page(
    packages: &PackageReader,
    request: Request<'_>,
    registry: Registry,
    names: &str,
    site: &Site<'_>,
    now: Timestamp,
) -> Result<Response, StoreError> {
    let started = Instant::now();
    let query = request.query();
    let names = PackageNames::parse(registry, names, &query);
    let PackageNames { provider, written, package } = &names;
    let Ok(package) = package else {
        let text = "The name, owner, type or feed is invalid.";
        return Ok(respond::page_not_found(message("Not a package", text)));
    };
    let Some(needs_consent) = packages.needs_consent(package, now).await? else {
        let text = "The operator has not registered this feed.";
        return Ok(respond::page_not_found(message("Unknown feed", text)));
    };
    let found = packages.get(PackageRead { package, written, needs_versions: true, now, started }).await?;
    if needs_consent && found.as_ref().is_some_and(|found| package_badge::lacks_consent(&found.record.state))
    {
        return Ok(respond::page_not_found(message(written, NOT_FOUND)));
    }
    let path = package_path(package, written);
    let known = found.as_ref().and_then(|found| match &found.record.state {
        PackageState::Known(known) => Some((found, known)),
        PackageState::Unconfirmed | PackageState::NotFound => None,
    });
    let Some((found, known)) = known else { return Ok(absent(request, written, found.as_ref())) };
    let page =
        PackagePage { package, written, provider: *provider, path: &path, query: &query, found, known };
    let text = document(written, site.absolute(&path).as_deref(), &page.draw(site, now));
    Ok(respond::page(request, text, CachePolicy::Packages, Some(known.changed_at)))
}

/// The page of a package without versions.
fn absent(request: Request<'_>, name: &str, found: Option<&CachedPackage>) -> Response {
    let text = match found.map(|found| (&found.record.state, found.record.failures)) {
        Some((PackageState::NotFound, _)) => {
            return respond::page_not_found(message(name, NOT_FOUND));
        }
        Some((_, 1..)) => "The first lookup of this package failed. The service will try again.",
        Some(_) | None => "This package is being looked up. Reload this page in a moment.",
    };
    respond::page(request, message(name, text), CachePolicy::Pending, None)
}

/// What the page shows.
struct PackagePage<'a> {
    package: &'a Package,
    written: &'a str,
    provider: Provider,
    path: &'a str,
    query: &'a Query<'a>,
    found: &'a CachedPackage,
    known: &'a Known,
}

impl PackagePage<'_> {
    fn draw(&self, site: &Site<'_>, now: Timestamp) -> Markup {
        let badge = package_badge::of_version(self.provider, self.known.latest(false));
        html! {
            div.hero {
                p.eyebrow { (kind(self.package)) }
                h1 { bdi { (self.written) } }
                p.lead {
                    (chip(&badge)) " "
                    span.muted { "looked up " (age(self.known.fetched_at, now)) " · changed " (age(self.known.changed_at, now)) }
                }
            }
            (self.range())
            (self.versions())
            (self.snippets(site))
        }
    }

    fn range(&self) -> Markup {
        let text = self.query.get("version").unwrap_or_default();
        let prerelease = self.query.flag("prerelease");
        let parsed = VersionQuery::parse(self.provider.scheme(), self.query, BadgeFormat::Svg);
        let (action, _) = self.path.split_once('?').unwrap_or((self.path, ""));
        html! {
            section {
                h2 #range { "Version of a range" }
                form.line action=(action) {
                    @for name in ["feed", "type"] {
                        @if let Some(value) = self.query.get(name) { input type="hidden" name=(name) value=(value); }
                    }
                    label { span { "Range, such as " code { (self.example()) } } input name="version" value=(text) maxlength="200" spellcheck="false" autocomplete="off"; }
                    label.check { input type="checkbox" name="prerelease" value="true" checked[prerelease]; "Prereleases" }
                    button { "Show" }
                }
                p role="status" {
                    @match &parsed {
                        Ok(query) => { "The badge shows " (chip(&package_badge::of_version(self.provider, self.picked(query)))) }
                        Err(error) => { "Invalid range: " (error) "." }
                    }
                }
            }
        }
    }

    fn example(&self) -> &'static str {
        match self.provider {
            Provider::NuGet | Provider::GitHub => "[1.0,2.0)",
            Provider::GitHubNpm | Provider::GitHubContainer => ">=1, <2",
        }
    }

    fn picked(&self, query: &VersionQuery) -> Option<&Version> {
        package_badge::latest(self.known, self.found, query)
    }

    fn versions(&self) -> Markup {
        let none = Versions::default();
        let versions = self.found.versions.as_deref().unwrap_or(&none);
        let rows = fit(VERSIONS_BYTES_MAX, versions.iter().map(version));
        html! {
            section {
                h2 #versions { "Versions" }
                ul.versions { (rows.markup) }
                p.note {
                    @if rows.shown < versions.len() { "The highest " (rows.shown) " of " (versions.len()) " versions. " }
                    "Unlisted versions do not count, and are left out."
                }
            }
        }
    }

    fn snippets(&self, site: &Site<'_>) -> Markup {
        let path = self.path.strip_prefix('/').unwrap_or(self.path);
        let mut path = path.to_owned();
        let query = [
            ("version", self.query.get("version")),
            ("prerelease", self.query.flag("prerelease").then_some("true")),
        ];
        for (name, value) in query {
            if let Some(value) = value {
                let separator = if path.contains('?') { '&' } else { '?' };
                path = format!("{path}{separator}{name}={}", segment(value));
            }
        }
        let link = match self.package {
            Package::NuGet(None, _) => format!("https://www.nuget.org/packages/{}", segment(self.written)),
            Package::NuGet(Some(_), _) | Package::GitHub(..) => site.url(self.path),
        };
        snippets::draw(
            &Badge { text: kind(self.package), path: &path, link: &link },
            snippets::BYTES_MAX,
            site,
        )
    }
}

/// A version with its warnings.
fn version(version: &Version) -> Markup {
    let Advisory { deprecated, vulnerable } = version.advisory();
    html! {
        li {
            bdi { (version) }
            @if version.is_prerelease() { span.tag { "prerelease" } }
            @if deprecated { span.tag.orange { "deprecated" } }
            @if vulnerable { span.tag.red { "vulnerable" } }
        }
    }
}

fn kind(package: &Package) -> &'static str {
    match package {
        Package::NuGet(..) => "NuGet package",
        Package::GitHub(_, PackageType::NuGet, _) => "NuGet package on GitHub",
        Package::GitHub(_, PackageType::Npm, _) => "npm package on GitHub",
        Package::GitHub(_, PackageType::Container, _) => "Container on GitHub",
    }
}
