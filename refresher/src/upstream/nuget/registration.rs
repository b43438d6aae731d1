//! The registration of a package: an index of pages, each with some of the versions:
//! <https://learn.microsoft.com/en-us/nuget/api/registration-base-url-resource>
//!
//! Only what NuGet's own client reads is required. The bounds and commits of a page are not evidence of its versions:
//! some feeds have wrong ones. So each page is requested again, on the condition that it changed.

use std::cmp::Reverse;

use badgesmith_domain::package_record::{Validator, Validators};
use badgesmith_domain::version::{Advisory, NuGetVersion, Scheme, Version};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use url::Url;

use super::Feed;
use super::service_index::feed_url;
use crate::upstream::fetch::FetchError;
use crate::upstream::http_client::HttpClient;
use crate::upstream::response::{Document, Response};

/// The number of pages of one package that are read concurrently.
const PAGES_AT_ONCE: usize = 4;
/// The maximum number of pages of one package that are read, highest versions first. A page of nuget.org has 64
/// versions.
const PAGES_MAX: usize = 512;

pub(super) struct RegistrationReader<'a> {
    pub(super) http: &'a HttpClient,
    pub(super) feed: &'a Feed,
    /// The validators of the last fetch.
    pub(super) known: &'a Validators,
}

/// What a registration says.
pub(super) enum Registration {
    Unchanged,
    NotFound,
    Found { listed: Vec<Version>, unlisted: Vec<NuGetVersion>, validators: Validators },
}

#[derive(Deserialize)]
struct Index {
    items: Vec<Page>,
}

/// A page in the index, with or without its items.
#[derive(Deserialize)]
struct Page {
    #[serde(rename = "@id", default)]
    id: Option<String>,
    /// The highest version, for the order only.
    #[serde(default)]
    upper: Option<String>,
    items: Option<Vec<Leaf>>,
}

#[derive(Deserialize)]
struct PageDocument {
    items: Vec<Leaf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Leaf {
    #[serde(default)]
    catalog_entry: Option<CatalogEntry>,
}

#[derive(Deserialize)]
struct CatalogEntry {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    listed: Value,
    #[serde(default)]
    published: Value,
    /// Present on a version that its owner deprecated.
    #[serde(default)]
    deprecation: Option<IgnoredAny>,
    /// Not empty for a version with a known vulnerability.
    #[serde(default)]
    vulnerabilities: Option<Vec<IgnoredAny>>,
}

/// The versions of a document, or of several.
#[derive(Default)]
pub(super) struct Leaves {
    pub(super) listed: Vec<Version>,
    pub(super) unlisted: Vec<NuGetVersion>,
}

/// One document: the index with the items in it, or a page.
pub(super) struct Part {
    url: String,
    pub(super) validator: Validator,
    /// `None` if it is not modified; then the validator has its listed versions.
    pub(super) leaves: Option<Leaves>,
}

impl RegistrationReader<'_> {
    pub(super) async fn read(&self, url: &Url) -> Result<Registration, FetchError> {
        let validator = self.known.get(url.as_str());
        let response = self.http.get(self.feed.get(url, validator)).await?;
        let (index, pages) = match response {
            Response::NotFound => return Ok(Registration::NotFound),
            Response::NotModified => {
                let index = self.unmodified(url.as_str());
                let pages = self.known.iter().filter(|(page, validator)| {
                    page.as_str() != url.as_str() && validator.versions.is_some()
                });
                (index, pages.map(|(page, _)| page.clone()).collect())
            }
            Response::Found(document) => match read_index(url, document)? {
                Some(read) => read,
                None => return Ok(Registration::NotFound),
            },
        };
        let mut parts: Vec<Part> = stream::iter(pages)
            .map(|page| self.read_page(page))
            .buffered(PAGES_AT_ONCE)
            .try_collect()
            .await?;
        parts.push(index);
        if parts.iter().all(|part| part.leaves.is_none()) {
            return Ok(Registration::Unchanged);
        }
        let (mut listed, mut unlisted, mut validators) = (Vec::new(), Vec::new(), Validators::new());
        for Part { url, validator, leaves } in parts {
            match leaves {
                Some(leaves) => {
                    listed.extend(leaves.listed);
                    unlisted.extend(leaves.unlisted);
                }
                None => {
                    listed.extend(
                        validator
                            .versions
                            .iter()
                            .flatten()
                            .filter_map(|text| Scheme::NuGet.parse_stored(text)),
                    );
                }
            }
            validators.insert(url, validator);
        }
        Ok(Registration::Found { listed, unlisted, validators })
    }

    async fn read_page(&self, page: String) -> Result<Part, FetchError> {
        let url = feed_url(&self.feed.service_index, &page)
            .ok_or_else(|| FetchError::Failed(format!("invalid URL of a page: {page}")))?;
        let validator = self.known.get(&page).filter(|validator| validator.versions.is_some());
        match self.http.get(self.feed.get(&url, validator)).await? {
            Response::NotModified => Ok(self.unmodified(&page)),
            Response::Found(document) => {
                let leaves = Leaves::new(document.json::<PageDocument>(&url)?.items);
                let validator = Validator { versions: Some(leaves.listed_text()), ..document.validator };
                Ok(Part { url: page, validator, leaves: Some(leaves) })
            }
            Response::NotFound => {
                Err(FetchError::Failed(format!("the page {url} of the index does not exist")))
            }
        }
    }

    fn unmodified(&self, url: &str) -> Part {
        let validator = self.known.get(url).cloned().unwrap_or_default();
        Part { url: url.to_owned(), validator, leaves: None }
    }
}

/// The index, and the URLs of the pages that it leaves out. `None` if it has no pages: unlisted versions are in the
/// index, so such a package has none at all.
pub(super) fn read_index(url: &Url, document: Document) -> Result<Option<(Part, Vec<String>)>, FetchError> {
    let Index { items: mut pages } = document.json(url)?;
    if pages.is_empty() {
        return Ok(None);
    }
    let highest = |page: &Page| page.upper.as_deref().and_then(|upper| upper.parse::<NuGetVersion>().ok());
    pages.sort_by_cached_key(|page| Reverse(highest(page)));
    pages.truncate(PAGES_MAX);
    let (mut leaves, mut left_out) = (Leaves::default(), Vec::new());
    for page in pages {
        match (page.items, page.id) {
            (Some(items), _) => leaves.extend(items),
            (None, Some(id)) => left_out.push(id),
            (None, None) => {
                return Err(FetchError::Failed(format!("a page of {url} has neither items nor a URL")));
            }
        }
    }
    // The versions of a whole package are stored anyway.
    let versions = (!left_out.is_empty()).then(|| leaves.listed_text());
    let validator = Validator { versions, ..document.validator };
    Ok(Some((Part { url: url.to_string(), validator, leaves: Some(leaves) }, left_out)))
}

impl Leaves {
    fn new(items: Vec<Leaf>) -> Self {
        let mut leaves = Self::default();
        leaves.extend(items);
        leaves
    }

    /// Adds the versions that are valid.
    fn extend(&mut self, items: Vec<Leaf>) {
        for entry in items.into_iter().filter_map(|leaf| leaf.catalog_entry) {
            let Some(version) = entry.version.as_deref().and_then(|text| text.parse().ok()) else { continue };
            if entry.is_listed() {
                self.listed.push(Version::NuGet(version, entry.advisory()));
            } else {
                self.unlisted.push(version);
            }
        }
    }

    fn listed_text(&self) -> Vec<String> {
        self.listed.iter().map(Version::stored).collect()
    }
}

impl CatalogEntry {
    fn advisory(&self) -> Advisory {
        Advisory {
            deprecated: self.deprecation.is_some(),
            vulnerable: self.vulnerabilities.as_ref().is_some_and(|list| !list.is_empty()),
        }
    }

    /// `listed` decides. Without it, the year 1900 is that of an unlisted version:
    /// <https://learn.microsoft.com/en-us/nuget/api/registration-base-url-resource#catalog-entry>
    fn is_listed(&self) -> bool {
        match &self.listed {
            Value::Bool(listed) => *listed,
            Value::String(listed) => !listed.eq_ignore_ascii_case("false"),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                !self.published.as_str().is_some_and(|published| published.starts_with("1900"))
            }
        }
    }
}
