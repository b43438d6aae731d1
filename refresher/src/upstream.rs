//! The registries that packages are fetched from, a NuGet feed and GitHub Packages, and the issuer of ID tokens.

mod circuit_breaker;
mod feeds;
mod fetch;
mod github;
mod http_client;
mod issuer;
mod nuget;
mod rate_limits;
mod request;
mod response;
mod timeouts;

use badgesmith_domain::package::Package;
use url::Url;

pub(crate) use feeds::Feeds;
pub(crate) use fetch::{FetchError, FetchOutcome, FetchRequest, FetchedPackage};
pub(crate) use github::GitHub;
pub(crate) use http_client::HttpClient;
pub(crate) use issuer::IssuerDocuments;
pub use nuget::documents;
pub(crate) use nuget::{Feed, NuGet};
pub use timeouts::UpstreamTimeouts;

/// Parses the URL of an upstream. Logs show it, so it must not contain a password or a query.
pub fn base_url(text: &str) -> Option<Url> {
    let is_allowed = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
    };
    Url::parse(text).ok().filter(is_allowed)
}

#[derive(Debug)]
pub(crate) struct Upstreams {
    pub(crate) nuget: NuGet,
    pub(crate) default_feed: Feed,
    pub(crate) feeds: Feeds,
    pub(crate) github: GitHub,
}

impl Upstreams {
    /// Fetches a package from its registry.
    pub(crate) async fn fetch(&self, request: FetchRequest<'_>) -> Result<FetchOutcome, FetchError> {
        match request.package {
            Package::NuGet(None, name) => {
                request.bound(self.nuget.fetch(&self.default_feed, name, request)).await
            }
            Package::NuGet(Some(feed), name) => self.feeds.fetch(&self.nuget, feed, name, request).await,
            Package::GitHub(organization, package_type, name) => {
                self.github.fetch(organization, *package_type, name, request).await
            }
        }
    }
}
