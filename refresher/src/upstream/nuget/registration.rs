//! The registration of a package: an index of pages, each a range of versions:
//! <https://learn.microsoft.com/en-us/nuget/api/registration-base-url-resource>

use std::cmp::Reverse;

use badgesmith_domain::package_record::{Validator, Validators};
use badgesmith_domain::version::NuGetVersion;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use url::Url;

use super::service_index::feed_url;
use crate::upstream::fetch::{FetchError, FetchOutcome, FetchedPackage, VersionSet};
use crate::upstream::http_client::HttpClient;
use crate::upstream::request::Get;
use crate::upstream::response::{Document, Response};

/// The number of pages of one package that are read concurrently.
const PAGES_AT_ONCE: usize = 4;
/// The maximum number of pages of one package that are read, highest versions first. A page of nuget.org has 64
/// versions.
const PAGES_MAX: usize = 512;

pub(super) struct RegistrationReader<'a> {
    pub(super) http: &'a HttpClient,
    pub(super) service_index: &'a Url,
}

#[derive(Deserialize)]
struct Registration {
    items: Vec<Page>,
}

/// A page in the index, with or without its items, or a page document.
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

struct ReadPage {
    versions: VersionSet,
    /// The URL and the validator of a page document; `None` for a page whose items are in the index.
    validator: Option<(String, Validator)>,
    has_commit_of_index: bool,
}

impl RegistrationReader<'_> {
    /// Reads the pages that the index leaves out, unless they are known by their commit.
    pub(super) async fn read(
        &self,
        url: &Url,
        document: Document,
        known: &Validators,
    ) -> Result<FetchOutcome, FetchError> {
        let Registration { items: mut pages } = document.json(url)?;
        if pages.is_empty() {
            // Unlisted versions are in the index, so this package has none at all.
            return Ok(FetchOutcome::NotFound);
        }
        pages.sort_by_cached_key(|page| Reverse(page.bounds()));
        pages.truncate(PAGES_MAX);
        // When pages overlap, a stored version may be of any of them, so all are read.
        let none = Validators::new();
        let known = if overlap(&pages) { &none } else { known };
        let pages: Vec<ReadPage> = stream::iter(pages)
            .map(|page| self.read_page(page, known))
            .buffered(PAGES_AT_ONCE)
            .try_collect()
            .await?;
        let mut validators: Validators = pages.iter().filter_map(|page| page.validator.clone()).collect();
        if pages.iter().all(|page| page.has_commit_of_index) {
            validators.insert(url.to_string(), document.validator);
        } else {
            // Caches are out of sync. Without a validator, the next fetch reads the index again.
            tracing::debug!(%url, "the commit of a page is missing or differs from the index");
        }
        let versions = pages.into_iter().map(|page| page.versions).collect();
        Ok(FetchOutcome::Found(FetchedPackage { versions, validators, private: false }))
    }

    async fn read_page(&self, page: Page, known: &Validators) -> Result<ReadPage, FetchError> {
        let (commit, bounds) = (page.commit(), page.bounds());
        if let Some(leaves) = page.items {
            let versions = VersionSet::Listed(listed(leaves));
            return Ok(ReadPage { versions, validator: None, has_commit_of_index: true });
        }
        let url = feed_url(self.service_index, &page.id)
            .ok_or_else(|| FetchError::Failed(format!("invalid URL of a page: {}", page.id)))?;
        let known = bounds.zip(known.get(url.as_str()));
        if let Some(((lower, upper), validator)) = &known
            && commit.is_some()
            && commit == validator.commit
        {
            let versions = VersionSet::UnchangedRange { lower: lower.clone(), upper: upper.clone() };
            let validator = Some((url.to_string(), (*validator).clone()));
            return Ok(ReadPage { versions, validator, has_commit_of_index: true });
        }
        let validator = known.as_ref().map(|(_, validator)| *validator);
        let response = self.http.get(Get { url: &url, validator, credential: None }).await?;
        let (versions, validator) = match (response, known) {
            (Response::Found(document), _) => {
                let page: Page = document.json(&url)?;
                let validator = Validator { commit: page.commit(), ..document.validator };
                let leaves = page.items.ok_or_else(|| FetchError::Failed(format!("{url} has no items")))?;
                (VersionSet::Listed(listed(leaves)), validator)
            }
            (Response::NotModified, Some(((lower, upper), validator))) => {
                (VersionSet::UnchangedRange { lower, upper }, validator.clone())
            }
            (Response::NotModified, None) | (Response::NotFound, _) => {
                return Err(FetchError::Failed(format!("the page {url} of the index does not exist")));
            }
        };
        // Without commits, only a request for the page shows whether it changed.
        let has_commit_of_index = commit.is_some() && validator.commit == commit;
        Ok(ReadPage { versions, validator: Some((url.to_string(), validator)), has_commit_of_index })
    }
}

impl Page {
    /// Changes with the page; `None` when the feed has no commits.
    fn commit(&self) -> Option<String> {
        if self.commit_id.is_none() && self.commit_time_stamp.is_none() {
            return None;
        }
        let id = self.commit_id.as_deref().unwrap_or_default();
        let time_stamp = self.commit_time_stamp.as_deref().unwrap_or_default();
        Some(format!("{id} {time_stamp}"))
    }

    /// The lowest and the highest version.
    fn bounds(&self) -> Option<(NuGetVersion, NuGetVersion)> {
        Some((self.lower.parse().ok()?, self.upper.parse().ok()?))
    }
}

/// Whether the ranges of pages, the highest first, overlap, or one of them is invalid.
fn overlap(pages: &[Page]) -> bool {
    let bounds: Option<Vec<_>> = pages.iter().map(Page::bounds).collect();
    bounds.is_none_or(|bounds| {
        bounds.iter().zip(bounds.iter().skip(1)).any(|((lower, _), (_, upper))| upper >= lower)
    })
}

/// The listed versions; invalid ones are skipped. On nuget.org, the year of publication of an unlisted version is 1900:
/// <https://learn.microsoft.com/en-us/nuget/api/registration-base-url-resource#catalog-entry>
fn listed(leaves: Vec<Leaf>) -> Vec<NuGetVersion> {
    leaves
        .into_iter()
        .map(|leaf| leaf.catalog_entry)
        .filter(|entry| entry.listed != Some(false))
        .filter(|entry| !entry.published.as_deref().is_some_and(|published| published.starts_with("1900")))
        .filter_map(|entry| entry.version.parse().ok())
        .collect()
}
