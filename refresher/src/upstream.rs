//! The two upstreams, and what they have to say about a package.

mod github;
mod host;
mod http;
mod nuget;
mod reply;

use std::time::Duration;

use badgesmith_aws::sdk::AwsError;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageState, Validators};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::NuGetVersion;

pub(crate) use github::GitHub;
pub(crate) use http::Http;
pub use http::Patience;
pub(crate) use nuget::NuGet;

/// What an upstream says about a package.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// The same as when it was asked last.
    Unchanged,
    /// Its versions.
    Found(Found),
    /// There is no such package, or it is hidden from us.
    Missing,
    /// It is not to be shown to everybody, whether it exists or not.
    Withheld,
}

/// A package, as its upstream describes it.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its versions, in parts.
    pub(crate) parts: Vec<Part>,
    /// What to ask with next time.
    pub(crate) validators: Validators,
    /// Shown by a consent of its own.
    pub(crate) private: bool,
}

/// Some of a package's versions.
#[derive(Debug)]
pub(crate) enum Part {
    /// These.
    Listed(Vec<NuGetVersion>),
    /// All that are known already.
    All,
    /// Those that are known already from `lower` to `upper`, both inclusive.
    Known {
        /// The lowest.
        lower: NuGetVersion,
        /// The highest.
        upper: NuGetVersion,
    },
}

/// Why an upstream has nothing to say. No token and no body is in any of it.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum FetchError {
    /// It failed, or its answer cannot be trusted.
    #[error("{0}")]
    Failed(String),
    /// It wants to be left alone for a while.
    #[error("{cause}; asked to wait until {until}")]
    Limited {
        /// Until when.
        until: Timestamp,
        /// What it said.
        cause: String,
    },
    /// It was not asked, since it failed too often.
    #[error("{0} is not asked for a while, since it failed three times in a row")]
    BreakerOpen(String),
    /// Our token is not accepted, or may not do this: for an operator to mend.
    #[error("{0}")]
    Refused(String),
    /// A part of AWS that has to be asked first failed.
    #[error(transparent)]
    Call(#[from] AwsError),
}

/// Both upstreams.
#[derive(Debug)]
pub(crate) struct Upstreams {
    pub(crate) nuget: NuGet,
    pub(crate) github: GitHub,
}

/// A question to an upstream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// About which package.
    pub(crate) package: &'a Package,
    /// What is known of it.
    pub(crate) state: &'a PackageState,
    /// What to ask with.
    pub(crate) validators: &'a Validators,
    /// When.
    pub(crate) now: Timestamp,
    /// How long to wait for the answer, in all.
    pub(crate) time: Duration,
}

impl Upstreams {
    /// Asks the package's upstream.
    pub(crate) async fn fetch(&self, ask: Ask<'_>) -> Result<Fetched, FetchError> {
        match ask.package {
            Package::NuGet(name) => within(ask.time, self.nuget.fetch(name, ask.validators, ask.now)).await,
            Package::GitHub(organization, name) => self.github.fetch(organization, name, ask).await,
        }
    }
}

async fn within(
    time: Duration,
    fetch: impl Future<Output = Result<Fetched, FetchError>>,
) -> Result<Fetched, FetchError> {
    let late = |_| Err(FetchError::Failed(format!("it took longer than {} s in all", time.as_secs())));
    tokio::time::timeout(time, fetch).await.unwrap_or_else(late)
}
