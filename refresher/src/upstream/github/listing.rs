//! The names of an owner's packages as GitHub lists them, for those that it does not know in lower case:
//! <https://docs.github.com/en/rest/packages/packages#list-packages-for-an-organization>

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use badgesmith_domain::timestamp::Timestamp;
use lru::LruCache;
use serde::Deserialize;
use tokio::sync::Mutex as AsyncMutex;
use url::Url;

use super::{GitHub, Lookup, pages};
use crate::upstream::fetch::FetchError;
use crate::upstream::request::{Get, Redirects};
use crate::upstream::response::Response;

/// How long a list is used. Invented names must not read it again each time.
const LIFETIME: Duration = Duration::from_mins(10);
const LISTS_MAX: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// The maximum number of pages of a list that are read.
const PAGES_MAX: usize = 10;

/// The lists that were read, by URL and secret.
#[derive(Debug)]
pub(super) struct Listings(Mutex<LruCache<(String, String), CachedListing>>);

type CachedListing = Arc<AsyncMutex<Option<Listing>>>;

#[derive(Debug)]
struct Listing {
    /// By the name in lower case; only names that differ from it.
    names: HashMap<String, String>,
    read_at: Timestamp,
}

#[derive(Deserialize)]
struct ListedPackage {
    name: String,
}

impl Default for Listings {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(LISTS_MAX)))
    }
}

impl GitHub {
    /// The spelling of a package's name in the list of its owner, if it is not in lower case.
    pub(super) async fn listed(
        &self,
        owner_kind: &str,
        lookup: Lookup<'_>,
    ) -> Result<Option<String>, FetchError> {
        let Lookup { organization, package_type, name, now, credential, .. } = lookup;
        let kind = package_type.as_str();
        let query = format!("package_type={kind}&per_page={}", pages::PER_PAGE);
        let first = self.url(&format!("{owner_kind}/{organization}/packages?{query}"))?;
        let key = (first.to_string(), credential.token.secret_id.clone());
        let of_owner = {
            let mut listings = self.listings.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(listings.get_or_insert(key, Arc::default))
        };
        // Locked while the list is read, so that concurrent lookups read it once.
        let mut cached = of_owner.lock().await;
        let listing = match cached.take() {
            Some(listing) if listing.read_at.is_recent(now, LIFETIME) => listing,
            Some(_) | None => Listing { names: self.read_list(first, lookup).await?, read_at: now },
        };
        Ok(cached.insert(listing).names.get(name.as_str()).cloned())
    }

    async fn read_list(&self, first: Url, lookup: Lookup<'_>) -> Result<HashMap<String, String>, FetchError> {
        let (mut url, mut names) = (first, HashMap::new());
        for _ in 0..PAGES_MAX {
            let get = Get {
                url: &url,
                validator: None,
                credential: Some(lookup.credential),
                redirects: Redirects::SameOrigin,
            };
            let document = match self.http.get(get).await {
                Ok(Response::Found(document)) => document,
                // The token may read the package all the same, or this kind of owner does not exist.
                Ok(Response::NotFound | Response::NotModified) | Err(FetchError::Refused(_)) => break,
                Err(error) => return Err(error),
            };
            let listed: Vec<ListedPackage> = document.json(&url)?;
            names.extend(listed.into_iter().filter_map(|ListedPackage { name }| {
                let key = name.to_ascii_lowercase();
                (key != name).then_some((key, name))
            }));
            let Some(next) = pages::next_page(&document.link) else { break };
            url = pages::same_origin(&url, &next)?;
        }
        Ok(names)
    }
}
