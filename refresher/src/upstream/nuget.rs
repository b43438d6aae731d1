//! A NuGet feed, by the V3 protocol: <https://learn.microsoft.com/en-us/nuget/api/overview>

pub mod documents;
mod registration;
mod service_index;

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use badgesmith_domain::package::PackageName;
use badgesmith_domain::package_record::{Validator, Validators};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::{Scheme, Version};
use lru::LruCache;
use serde::Deserialize;
use tokio::sync::Mutex as AsyncMutex;
use url::Url;

use self::registration::{Registration, RegistrationReader};
use self::service_index::Resources;
use super::fetch::{FetchError, FetchOutcome, FetchRequest, FetchedPackage};
use super::http_client::HttpClient;
use super::request::{Api, Credential, Get, Redirects};
use super::response::Response;
use crate::tokens::Token;

/// How long the service index is cached.
const INDEX_LIFETIME: Duration = Duration::from_mins(30);
/// How long the last one is used after a failed read.
const INDEX_GRACE: Duration = Duration::from_mins(1);

/// Feeds whose service index is cached; the least recently used are evicted first.
const FEEDS_MAX: NonZeroUsize = NonZeroUsize::new(64).unwrap();

#[derive(Debug)]
pub(crate) struct NuGet {
    http: Arc<HttpClient>,
    /// By the URL of the service index.
    resources: Mutex<LruCache<Url, Arc<AsyncMutex<Option<CachedResources>>>>>,
}

/// A feed, and how it is accessed.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    pub(crate) service_index: Url,
    /// Sent to the host of the service index only.
    pub(crate) token: Option<Token>,
}

impl Feed {
    fn get<'a>(&'a self, url: &'a Url, validator: Option<&'a Validator>) -> Get<'a> {
        let token = self.token.as_ref().filter(|_| url.origin() == self.service_index.origin());
        let credential = token.map(|token| Credential { token, api: Api::Feed });
        Get { url, validator, credential, redirects: Redirects::AnyHost }
    }
}

#[derive(Debug)]
struct CachedResources {
    resources: Resources,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct FlatContainerDocument {
    versions: Vec<String>,
}

/// The versions of a document, without those that are not valid.
fn parsed(versions: &[String]) -> Vec<Version> {
    versions.iter().filter_map(|version| Scheme::NuGet.parse(version)).collect()
}

enum FlatContainer {
    Unchanged,
    NotFound,
    Found { versions: Vec<Version>, validators: Validators },
}

impl NuGet {
    pub(crate) fn new(http: Arc<HttpClient>) -> Self {
        Self { http, resources: Mutex::new(LruCache::new(FEEDS_MAX)) }
    }

    pub(super) async fn fetch(
        &self,
        feed: &Feed,
        name: &PackageName,
        request: FetchRequest<'_>,
    ) -> Result<FetchOutcome, FetchError> {
        let known = request.validators;
        match self.resources(feed, request.now).await? {
            Resources::Registrations(bases) => {
                Ok(match self.registration(feed, &bases, name, known).await? {
                    Registration::Unchanged => FetchOutcome::Unchanged,
                    Registration::NotFound => FetchOutcome::NotFound,
                    Registration::Found { listed, validators, .. } => found(listed, validators),
                })
            }
            Resources::FlatContainer(bases) => {
                Ok(match self.flat_container(feed, &bases, name, known).await? {
                    FlatContainer::Unchanged => FetchOutcome::Unchanged,
                    FlatContainer::NotFound => FetchOutcome::NotFound,
                    FlatContainer::Found { versions, validators } => found(versions, validators),
                })
            }
            Resources::OldRegistrations { registrations, flat_container } => {
                self.fetch_both(feed, (&registrations, &flat_container), name, known).await
            }
        }
    }

    /// Reads registrations that may leave out versions by Semantic Versioning 2.0.0, and adds those from the flat
    /// container. After a change of either, both have to be complete.
    async fn fetch_both(
        &self,
        feed: &Feed,
        (registrations, flat_container): (&[Url], &[Url]),
        name: &PackageName,
        known: &Validators,
    ) -> Result<FetchOutcome, FetchError> {
        let is_known = |bases: &[Url]| indexes(bases, name).any(|url| known.contains_key(url.as_str()));
        let is_unchanged = known.values().any(Validator::is_conditional)
            && matches!(self.registration(feed, registrations, name, known).await?, Registration::Unchanged)
            && (flat_container.is_empty()
                || match self.flat_container(feed, flat_container, name, known).await? {
                    FlatContainer::Unchanged => true,
                    FlatContainer::NotFound => !is_known(flat_container),
                    FlatContainer::Found { .. } => false,
                });
        if is_unchanged {
            return Ok(FetchOutcome::Unchanged);
        }
        let none = Validators::new();
        let (mut listed, unlisted, mut validators) =
            match self.registration(feed, registrations, name, &none).await? {
                Registration::Found { listed, unlisted, validators } => (listed, unlisted, validators),
                // Half of what is known would replace all of it.
                Registration::NotFound if is_known(registrations) => return Ok(FetchOutcome::NotFound),
                Registration::NotFound | Registration::Unchanged => Default::default(),
            };
        let is_registered = !validators.is_empty();
        let of_registration = listed.iter().filter_map(|version| match version {
            Version::NuGet(version, _) => Some(version.clone()),
            Version::SemVer(_) | Version::Tag(_) => None,
        });
        let known_versions: HashSet<_> = of_registration.chain(unlisted).collect();
        if !flat_container.is_empty() {
            match self.flat_container(feed, flat_container, name, &none).await? {
                FlatContainer::Found { versions, validators: of_flat_container } => {
                    let is_left_out = |version: &Version| match version {
                        Version::NuGet(version, _) => {
                            version.is_sem_ver_2() && !known_versions.contains(version)
                        }
                        Version::SemVer(_) | Version::Tag(_) => false,
                    };
                    listed.extend(versions.into_iter().filter(is_left_out));
                    validators.extend(of_flat_container);
                }
                FlatContainer::NotFound if is_known(flat_container) => return Ok(FetchOutcome::NotFound),
                FlatContainer::NotFound | FlatContainer::Unchanged => {}
            }
        }
        let exists = is_registered || !listed.is_empty();
        Ok(if exists { found(listed, validators) } else { FetchOutcome::NotFound })
    }

    async fn registration(
        &self,
        feed: &Feed,
        bases: &[Url],
        name: &PackageName,
        known: &Validators,
    ) -> Result<Registration, FetchError> {
        let reader = RegistrationReader { http: &self.http, feed, known };
        let mut failure = no_base();
        for url in indexes(bases, name) {
            match reader.read(&url).await {
                Err(error) if is_of_base(&error) => failure = error,
                read => return read,
            }
        }
        Err(failure)
    }

    async fn flat_container(
        &self,
        feed: &Feed,
        bases: &[Url],
        name: &PackageName,
        known: &Validators,
    ) -> Result<FlatContainer, FetchError> {
        let mut failure = no_base();
        for url in indexes(bases, name) {
            match self.read_flat_container(feed, &url, known).await {
                Err(error) if is_of_base(&error) => failure = error,
                read => return read,
            }
        }
        Err(failure)
    }

    async fn read_flat_container(
        &self,
        feed: &Feed,
        url: &Url,
        known: &Validators,
    ) -> Result<FlatContainer, FetchError> {
        let get = feed.get(url, known.get(url.as_str()));
        let document = match self.http.get(get).await? {
            Response::NotModified => return Ok(FlatContainer::Unchanged),
            Response::NotFound => return Ok(FlatContainer::NotFound),
            Response::Found(document) => document,
        };
        let FlatContainerDocument { versions } = document.json(url)?;
        if versions.is_empty() {
            return Ok(FlatContainer::NotFound);
        }
        let versions = parsed(&versions);
        let validators = Validators::from([(url.to_string(), document.validator)]);
        Ok(FlatContainer::Found { versions, validators })
    }

    async fn resources(&self, feed: &Feed, now: Timestamp) -> Result<Resources, FetchError> {
        let of_feed = {
            let mut resources = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(resources.get_or_insert(feed.service_index.clone(), Arc::default))
        };
        // Locked while the index is read, so that concurrent fetches read it once.
        let mut cached = of_feed.lock().await;
        if let Some(CachedResources { resources, expires_at }) = &*cached
            && now < *expires_at
        {
            return Ok(resources.clone());
        }
        let (resources, lifetime) = match (self.read_service_index(feed).await, cached.take()) {
            (Ok(resources), _) => (resources, INDEX_LIFETIME),
            (Err(error), Some(CachedResources { resources, .. })) => {
                tracing::warn!(%error, "failed to read the service index; using the last one");
                (resources, INDEX_GRACE)
            }
            (Err(error), None) => return Err(error),
        };
        *cached = Some(CachedResources { resources: resources.clone(), expires_at: now.plus(lifetime) });
        Ok(resources)
    }

    async fn read_service_index(&self, feed: &Feed) -> Result<Resources, FetchError> {
        let url = &feed.service_index;
        match self.http.get(feed.get(url, None)).await? {
            Response::Found(document) => Resources::parse(url, &document),
            Response::NotFound | Response::NotModified => {
                Err(FetchError::Failed(format!("the service index {url} does not exist")))
            }
        }
    }
}

/// The index of a package at each of several alternative base URLs.
fn indexes(bases: &[Url], name: &PackageName) -> impl Iterator<Item = Url> {
    bases.iter().filter_map(move |base| base.join(&format!("{name}/index.json")).ok())
}

fn no_base() -> FetchError {
    FetchError::Failed("the service index names no valid base URL".to_owned())
}

/// Whether another base URL may work.
fn is_of_base(error: &FetchError) -> bool {
    matches!(error, FetchError::Failed(_) | FetchError::BreakerOpen(_))
}

fn found(versions: Vec<Version>, validators: Validators) -> FetchOutcome {
    let versions = versions.into_iter().collect();
    FetchOutcome::Found(FetchedPackage { versions, validators, private: false })
}
