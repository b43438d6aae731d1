//! The registries that packages are fetched from: a NuGet feed, and GitHub Packages.

mod circuit_breaker;
mod fetch;
mod github;
mod http_client;
mod nuget;
mod rate_limits;
mod request;
mod response;
mod timeouts;

use badgesmith_domain::package::Package;

pub(crate) use fetch::{FetchError, FetchOutcome, FetchRequest, FetchedPackage};
pub(crate) use github::GitHub;
pub(crate) use http_client::HttpClient;
pub(crate) use nuget::NuGet;
pub use timeouts::UpstreamTimeouts;

#[derive(Debug)]
pub(crate) struct Upstreams {
    pub(crate) nuget: NuGet,
    pub(crate) github: GitHub,
}

impl Upstreams {
    /// Fetches a package from its registry.
    pub(crate) async fn fetch(&self, request: FetchRequest<'_>) -> Result<FetchOutcome, FetchError> {
        match request.package {
            Package::NuGet(_, name) => {
                request.bound(self.nuget.fetch(name, request.validators, request.now)).await
            }
            Package::GitHub(organization, package_type, name) => {
                self.github.fetch(organization, *package_type, name, request).await
            }
        }
    }
}
