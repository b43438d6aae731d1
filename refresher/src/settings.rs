//! The settings of the function, from its environment.

use std::time::Duration;

use badgesmith_aws::env::{self, SettingsError};
use badgesmith_domain::issuer::Issuer;
use url::Url;

use crate::upstream::{UpstreamTimeouts, base_url};

const FRESH_FOR: Duration = Duration::from_mins(15);

#[derive(Debug, Clone)]
pub struct Settings {
    pub packages_table: String,
    /// The table of secret mappings, feeds and issuers.
    pub secrets_table: String,
    /// The service index of the NuGet feed.
    pub nuget_service_index: Url,
    /// The base URL of GitHub's REST API.
    pub github_api: Url,
    /// The issuer of ID tokens whose keys are kept; `None` if no ID token is accepted.
    pub oidc_issuer: Option<Issuer>,
    /// How long a package counts as fresh.
    pub fresh_for: Duration,
    pub upstream_timeouts: UpstreamTimeouts,
}

impl Settings {
    /// The service index of nuget.org.
    pub const NUGET_SERVICE_INDEX: &str = "https://api.nuget.org/v3/index.json";
    /// The public API of GitHub.
    pub const GITHUB_API: &str = "https://api.github.com";

    /// Reads the function's environment.
    ///
    /// # Errors
    /// [`SettingsError`] names the variable that is missing or invalid.
    pub fn from_env() -> Result<Self, SettingsError> {
        Ok(Self {
            packages_table: env::required(env::PACKAGES_TABLE)?,
            secrets_table: env::required(env::SECRETS_TABLE)?,
            nuget_service_index: url_from_env(env::NUGET_SERVICE_INDEX, Self::NUGET_SERVICE_INDEX)?,
            github_api: url_from_env(env::GITHUB_API, Self::GITHUB_API)?,
            oidc_issuer: issuer_from_env()?,
            fresh_for: fresh_for_from_env()?,
            upstream_timeouts: UpstreamTimeouts::default(),
        })
    }
}

fn url_from_env(name: &'static str, default: &str) -> Result<Url, SettingsError> {
    let url = env::optional(name).unwrap_or_else(|| default.to_owned());
    let expected = "an http or https URL without a password or query";
    base_url(&url).ok_or(SettingsError::Invalid { name, expected })
}

fn issuer_from_env() -> Result<Option<Issuer>, SettingsError> {
    let issuer = env::optional(env::OIDC_ISSUER).map(|issuer| issuer.parse()).transpose();
    issuer.map_err(SettingsError::invalid(env::OIDC_ISSUER))
}

fn fresh_for_from_env() -> Result<Duration, SettingsError> {
    let name = env::FRESH_SECONDS;
    let Some(text) = env::optional(name) else { return Ok(FRESH_FOR) };
    let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    let expected = "a number of seconds from 1 to 86400";
    seconds.map(Duration::from_secs).ok_or(SettingsError::Invalid { name, expected })
}
