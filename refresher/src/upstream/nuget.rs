//! A NuGet feed, by the V3 protocol: <https://learn.microsoft.com/en-us/nuget/api/overview>

mod registration;
mod service_index;

use std::sync::Arc;
use std::time::Duration;

use badgesmith_domain::package::PackageName;
use badgesmith_domain::package_record::Validators;
use badgesmith_domain::timestamp::Timestamp;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use self::registration::RegistrationReader;
use self::service_index::{ResourceKind, Resources};
use super::fetch::{FetchError, FetchOutcome, FetchedPackage, VersionSet};
use super::http_client::HttpClient;
use super::request::Get;
use super::response::{Document, Response};

/// How long the service index is cached.
const INDEX_LIFETIME: Duration = Duration::from_mins(30);
/// How long the last one is used after a failed read.
const INDEX_GRACE: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct NuGet {
    http: Arc<HttpClient>,
    service_index: Url,
    resources: Mutex<Option<CachedResources>>,
}

#[derive(Debug)]
struct CachedResources {
    resources: Resources,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct FlatContainer {
    versions: Vec<String>,
}

impl NuGet {
    pub(crate) fn new(http: Arc<HttpClient>, service_index: Url) -> Self {
        Self { http, service_index, resources: Mutex::default() }
    }

    pub(super) async fn fetch(
        &self,
        name: &PackageName,
        known: &Validators,
        now: Timestamp,
    ) -> Result<FetchOutcome, FetchError> {
        let Resources { kind, bases } = self.resources(now).await?;
        let mut failure = FetchError::Failed("the service index names no base URL".to_owned());
        for base in bases {
            let url = base
                .join(&format!("{name}/index.json"))
                .map_err(|_| FetchError::Failed(format!("invalid base URL {base}")))?;
            match self.fetch_from(kind, &url, known).await {
                // Another base URL may work.
                Err(error @ (FetchError::Failed(_) | FetchError::BreakerOpen(_))) => failure = error,
                fetched => return fetched,
            }
        }
        Err(failure)
    }

    async fn fetch_from(
        &self,
        kind: ResourceKind,
        url: &Url,
        known: &Validators,
    ) -> Result<FetchOutcome, FetchError> {
        let get = Get { url, validator: known.get(url.as_str()), credential: None };
        match (self.http.get(get).await?, kind) {
            (Response::NotModified, _) => Ok(FetchOutcome::Unchanged),
            (Response::NotFound, _) => Ok(FetchOutcome::NotFound),
            (Response::Found(document), ResourceKind::Registrations) => {
                let reader = RegistrationReader { http: &self.http, service_index: &self.service_index };
                reader.read(url, document, known).await
            }
            (Response::Found(document), ResourceKind::FlatContainer) => read_flat_container(url, document),
        }
    }

    async fn resources(&self, now: Timestamp) -> Result<Resources, FetchError> {
        // Locked while the index is read, so that concurrent fetches read it once.
        let mut cached = self.resources.lock().await;
        if let Some(CachedResources { resources, expires_at }) = &*cached
            && now < *expires_at
        {
            return Ok(resources.clone());
        }
        let (resources, lifetime) = match (self.read_service_index().await, cached.take()) {
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

    async fn read_service_index(&self) -> Result<Resources, FetchError> {
        let url = &self.service_index;
        match self.http.get(Get { url, validator: None, credential: None }).await? {
            Response::Found(document) => Resources::parse(url, &document),
            Response::NotFound | Response::NotModified => {
                Err(FetchError::Failed(format!("the service index {url} does not exist")))
            }
        }
    }
}

fn read_flat_container(url: &Url, document: Document) -> Result<FetchOutcome, FetchError> {
    let FlatContainer { versions } = document.json(url)?;
    if versions.is_empty() {
        return Ok(FetchOutcome::NotFound);
    }
    let listed = versions.iter().filter_map(|version| version.parse().ok()).collect();
    Ok(FetchOutcome::Found(FetchedPackage {
        versions: vec![VersionSet::Listed(listed)],
        validators: Validators::from([(url.to_string(), document.validator)]),
        private: false,
    }))
}
