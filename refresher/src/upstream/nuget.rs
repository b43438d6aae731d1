//! A NuGet feed, by its V3 protocol: <https://learn.microsoft.com/en-us/nuget/api/overview>

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use badgesmith_domain::package::PackageName;
use badgesmith_domain::package_record::{Validator, Validators};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::NuGetVersion;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::http::{Get, Http};
use super::reply::{Document, Reply};
use super::{FetchError, Fetched, Found, Part};

/// Registrations with all versions, always gzip. Those of older types lack versions without a word, which is
/// worse than showing an unlisted one:
/// <https://learn.microsoft.com/en-us/nuget/api/registration-base-url-resource>
const REGISTRATIONS: &str = "RegistrationsBaseUrl/3.6.0";
/// Versions without a word on whether they are listed:
/// <https://learn.microsoft.com/en-us/nuget/api/package-base-address-resource>
const FLAT_CONTAINER: &str = "PackageBaseAddress/3.0.0";
/// The service index is read again after this long.
const INDEX_LIFETIME: Duration = Duration::from_mins(30);
/// After it could not be read, the last one counts for so long.
const INDEX_GRACE: Duration = Duration::from_mins(1);
/// Pages of one package that are read at once.
const PAGES_AT_ONCE: usize = 4;
/// Pages of one package that are read, the highest. A page of nuget.org's has 64 versions.
const PAGES_MAX: usize = 512;

/// A feed.
#[derive(Debug)]
pub(crate) struct NuGet {
    http: Arc<Http>,
    service_index: Url,
    resources: Mutex<Option<Kept>>,
}

/// What the service index has said, and until when that counts.
#[derive(Debug)]
struct Kept {
    resources: Resources,
    until: Timestamp,
}

/// Where versions are. Several addresses are alternates.
#[derive(Debug, Clone)]
struct Resources {
    kind: Kind,
    bases: Vec<Url>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Registrations,
    FlatContainer,
}

#[derive(Deserialize)]
struct ServiceIndex {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "@id", default)]
    id: Value,
    /// A string, or a list of them.
    #[serde(rename = "@type", default)]
    kind: Value,
}

/// The index of a registration.
#[derive(Deserialize)]
struct Registration {
    items: Vec<Page>,
}

/// A page, in the index with or without its items, or by itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(rename = "@id")]
    id: String,
    commit_id: Option<String>,
    commit_time_stamp: Option<String>,
    lower: String,
    upper: String,
    items: Option<Vec<Leaf>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Leaf {
    catalog_entry: CatalogEntry,
}

#[derive(Deserialize)]
struct CatalogEntry {
    version: String,
    listed: Option<bool>,
    published: Option<String>,
}

#[derive(Deserialize)]
struct FlatContainer {
    versions: Vec<String>,
}

/// What is known of a page now.
struct ReadPage {
    part: Part,
    /// Its address and validator, unless it is in the index.
    validator: Option<(String, Validator)>,
    /// It is of the commit that the index announced.
    as_announced: bool,
}

impl NuGet {
    pub(crate) fn new(http: Arc<Http>, service_index: Url) -> Self {
        Self { http, service_index, resources: Mutex::default() }
    }

    pub(crate) async fn fetch(
        &self,
        name: &PackageName,
        known: &Validators,
        now: Timestamp,
    ) -> Result<Fetched, FetchError> {
        let Resources { kind, bases } = self.resources(now).await?;
        let mut failure = FetchError::Failed("the feed has no address".to_owned());
        for base in bases {
            let url = base.join(&format!("{name}/index.json")).map_err(|_| not_a_url(base.as_str()))?;
            match self.fetch_from(kind, &url, known).await {
                // Another address may work.
                Err(error @ (FetchError::Failed(_) | FetchError::BreakerOpen(_))) => failure = error,
                fetched => return fetched,
            }
        }
        Err(failure)
    }

    async fn fetch_from(&self, kind: Kind, url: &Url, known: &Validators) -> Result<Fetched, FetchError> {
        let get = Get { url, validator: known.get(url.as_str()), credential: None };
        match (self.http.get(get).await?, kind) {
            (Reply::Unchanged, _) => Ok(Fetched::Unchanged),
            (Reply::Missing, _) => Ok(Fetched::Missing),
            (Reply::Found(document), Kind::Registrations) => self.registration(url, document, known).await,
            (Reply::Found(document), Kind::FlatContainer) => flat_container(url, document),
        }
    }

    /// The addresses of the feed, as its service index names them:
    /// <https://learn.microsoft.com/en-us/nuget/api/service-index>
    async fn resources(&self, now: Timestamp) -> Result<Resources, FetchError> {
        // Held while it is read, so that many packages at once read it once.
        let mut kept = self.resources.lock().await;
        if let Some(Kept { resources, until }) = &*kept
            && now < *until
        {
            return Ok(resources.clone());
        }
        let (resources, lifetime) = match (self.read_service_index().await, kept.take()) {
            (Ok(resources), _) => (resources, INDEX_LIFETIME),
            (Err(error), Some(Kept { resources, .. })) => {
                tracing::warn!(%error, "an old service index is used");
                (resources, INDEX_GRACE)
            }
            (Err(error), None) => return Err(error),
        };
        *kept = Some(Kept { resources: resources.clone(), until: now.plus(lifetime) });
        Ok(resources)
    }

    async fn read_service_index(&self) -> Result<Resources, FetchError> {
        let url = &self.service_index;
        let failed = |what: &str| FetchError::Failed(format!("the service index {url} {what}"));
        let Reply::Found(document) = self.http.get(Get { url, validator: None, credential: None }).await?
        else {
            return Err(failed("is not there"));
        };
        let ServiceIndex { resources } = document.json(url)?;
        let addresses = |kind: &str| -> Vec<Url> {
            let is_kind = |value: &Value| value.as_str() == Some(kind);
            let of_kind = resources.iter().filter(|Resource { kind, .. }| {
                is_kind(kind) || kind.as_array().is_some_and(|kinds| kinds.iter().any(is_kind))
            });
            of_kind
                .filter_map(|resource| {
                    self.address(&format!("{}/", resource.id.as_str()?.trim_end_matches('/')))
                })
                .collect()
        };
        for (kind, bases) in [
            (Kind::Registrations, addresses(REGISTRATIONS)),
            (Kind::FlatContainer, addresses(FLAT_CONTAINER)),
        ] {
            if !bases.is_empty() {
                return Ok(Resources { kind, bases });
            }
        }
        Err(failed(&format!("offers neither {REGISTRATIONS} nor {FLAT_CONTAINER}")))
    }

    /// An address that the feed names, on whatever host; over TLS if the feed itself is.
    fn address(&self, id: &str) -> Option<Url> {
        let url = Url::parse(id).ok()?;
        (url.scheme() == "https" || url.scheme() == self.service_index.scheme()).then_some(url)
    }

    /// Reads the index of a registration, and those of its pages that are neither in it nor known.
    async fn registration(
        &self,
        url: &Url,
        document: Document,
        known: &Validators,
    ) -> Result<Fetched, FetchError> {
        let Registration { items: mut pages } = document.json(url)?;
        if pages.is_empty() {
            // A package whose versions are all unlisted still has them.
            return Ok(Fetched::Missing);
        }
        pages.sort_by_cached_key(|page| Reverse(page.bounds()));
        pages.truncate(PAGES_MAX);
        // Where pages overlap, what is known does not tell which of them a version is from.
        let none = Validators::new();
        let known = if overlap(&pages) { &none } else { known };
        let pages: Vec<ReadPage> = stream::iter(pages)
            .map(|page| self.page(page, known))
            .buffered(PAGES_AT_ONCE)
            .try_collect()
            .await?;
        let mut validators: Validators = pages.iter().filter_map(|page| page.validator.clone()).collect();
        if pages.iter().all(|page| page.as_announced) {
            validators.insert(url.to_string(), document.validator);
        } else {
            // Caches are not of one mind yet. Without a validator, the index is looked through again next time.
            tracing::debug!(%url, "a page is of no commit, or of another than its index says");
        }
        Ok(Fetched::Found(Found {
            parts: pages.into_iter().map(|page| page.part).collect(),
            validators,
            private: false,
        }))
    }

    async fn page(&self, page: Page, known: &Validators) -> Result<ReadPage, FetchError> {
        let (commit, bounds) = (page.commit(), page.bounds());
        if let Some(leaves) = page.items {
            return Ok(ReadPage { part: Part::Listed(listed(leaves)), validator: None, as_announced: true });
        }
        let url = self.address(&page.id).ok_or_else(|| not_a_url(&page.id))?;
        let known = bounds.zip(known.get(url.as_str()));
        if let Some(((lower, upper), validator)) = &known
            && commit.is_some()
            && commit == validator.commit
        {
            let part = Part::Known { lower: lower.clone(), upper: upper.clone() };
            let validator = Some((url.to_string(), (*validator).clone()));
            return Ok(ReadPage { part, validator, as_announced: true });
        }
        let get =
            Get { url: &url, validator: known.as_ref().map(|(_, validator)| *validator), credential: None };
        let (part, validator) = match (self.http.get(get).await?, known) {
            (Reply::Found(document), _) => {
                let page: Page = document.json(&url)?;
                let validator = Validator { commit: page.commit(), ..document.validator };
                let leaves = page.items.ok_or_else(|| FetchError::Failed(format!("{url} has no items")))?;
                (Part::Listed(listed(leaves)), validator)
            }
            (Reply::Unchanged, Some(((lower, upper), validator))) => {
                (Part::Known { lower, upper }, validator.clone())
            }
            (Reply::Unchanged, None) | (Reply::Missing, _) => {
                return Err(FetchError::Failed(format!("{url} is not there, though it is in its index")));
            }
        };
        // Where there are no commits, nothing tells but the page itself.
        let as_announced = commit.is_some() && validator.commit == commit;
        Ok(ReadPage { part, validator: Some((url.to_string(), validator)), as_announced })
    }
}

impl Page {
    /// What changes whenever the page does; `None` where the feed does not say.
    fn commit(&self) -> Option<String> {
        match (&self.commit_id, &self.commit_time_stamp) {
            (None, None) => None,
            (id, time_stamp) => Some(format!(
                "{} {}",
                id.as_deref().unwrap_or_default(),
                time_stamp.as_deref().unwrap_or_default()
            )),
        }
    }

    /// Its lowest and highest version.
    fn bounds(&self) -> Option<(NuGetVersion, NuGetVersion)> {
        Some((self.lower.parse().ok()?, self.upper.parse().ok()?))
    }
}

fn flat_container(url: &Url, document: Document) -> Result<Fetched, FetchError> {
    let FlatContainer { versions } = document.json(url)?;
    if versions.is_empty() {
        return Ok(Fetched::Missing);
    }
    let listed = versions.iter().filter_map(|version| version.parse().ok()).collect();
    Ok(Fetched::Found(Found {
        parts: vec![Part::Listed(listed)],
        validators: Validators::from([(url.to_string(), document.validator)]),
        private: false,
    }))
}

/// Whether the ranges of some pages, the highest first, have a version in common, or cannot be told.
fn overlap(pages: &[Page]) -> bool {
    let bounds: Option<Vec<_>> = pages.iter().map(Page::bounds).collect();
    bounds.is_none_or(|bounds| {
        bounds.iter().zip(bounds.iter().skip(1)).any(|((lower, _), (_, upper))| upper >= lower)
    })
}

/// The versions that are listed, of those that can be read. On nuget.org, one that was published in the year
/// 1900 is not: <https://learn.microsoft.com/en-us/nuget/api/registration-base-url-resource#catalog-entry>
fn listed(leaves: Vec<Leaf>) -> Vec<NuGetVersion> {
    leaves
        .into_iter()
        .map(|leaf| leaf.catalog_entry)
        .filter(|entry| entry.listed != Some(false))
        .filter(|entry| !entry.published.as_deref().is_some_and(|published| published.starts_with("1900")))
        .filter_map(|entry| entry.version.parse().ok())
        .collect()
}

fn not_a_url(text: &str) -> FetchError {
    FetchError::Failed(format!("the feed gave an address that cannot be used: {text}"))
}
