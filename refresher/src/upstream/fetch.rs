//! The request for a package from its upstream, and its result.

use std::time::Duration;

use badgesmith_aws::sdk::AwsError;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::{PackageState, Validators};
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::version::Versions;

#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchRequest<'a> {
    pub(crate) package: &'a Package,
    pub(crate) state: &'a PackageState,
    /// The name as its reader wrote it, if that is another spelling.
    pub(crate) spelling: Option<&'a str>,
    /// The validators of the last fetch.
    pub(crate) validators: &'a Validators,
    pub(crate) now: Timestamp,
    /// The timeout of all pages and retries together.
    pub(crate) timeout: Duration,
}

#[derive(Debug)]
pub(crate) enum FetchOutcome {
    /// Nothing changed since the last fetch.
    Unchanged,
    Found(FetchedPackage),
    /// The package does not exist, or the token cannot read it.
    NotFound,
    /// The package must not be shown, whether it exists or not.
    Withheld,
}

#[derive(Debug)]
pub(crate) struct FetchedPackage {
    pub(crate) versions: Versions,
    /// The validators for the next fetch.
    pub(crate) validators: Validators,
    /// Shown because a token is mapped to this one package.
    pub(crate) private: bool,
}

/// The maximum length of a cause in the log. A cause may quote text and URLs of a response.
const CAUSE_BYTES_MAX: usize = 800;

/// Why a fetch failed. Never contains a token.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum FetchError {
    /// The upstream failed, or its response is not as documented.
    #[error("{}", shortened(.0))]
    Failed(String),
    #[error("{}; rate limited until {until}", shortened(cause))]
    RateLimited { until: Timestamp, cause: String },
    /// No request was sent to this host.
    #[error("circuit breaker of {0} is open after three failures in a row")]
    BreakerOpen(String),
    /// The token is invalid, or lacks a permission. An operator has to fix that.
    #[error("{}", shortened(.0))]
    Refused(String),
    /// DynamoDB or Secrets Manager failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

fn shortened(cause: &str) -> &str {
    cause.get(..cause.floor_char_boundary(CAUSE_BYTES_MAX)).unwrap_or(cause)
}

impl FetchRequest<'_> {
    /// Bounds a fetch by the timeout of this request.
    pub(super) async fn bound(
        &self,
        fetch: impl Future<Output = Result<FetchOutcome, FetchError>>,
    ) -> Result<FetchOutcome, FetchError> {
        let seconds = self.timeout.as_secs();
        let timed_out = |_| Err(FetchError::Failed(format!("the fetch timed out after {seconds} s")));
        tokio::time::timeout(self.timeout, fetch).await.unwrap_or_else(timed_out)
    }
}
