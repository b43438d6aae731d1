//! The environment of a function. Every variable is a constant here, and no other module reads the environment.

use badgesmith_domain::ids::ParseError;

/// The table of test results.
pub const TEST_RESULTS_TABLE: &str = "TEST_RESULTS_TABLE";
/// The table of nonces.
pub const NONCES_TABLE: &str = "NONCES_TABLE";
/// The table of packages.
pub const PACKAGES_TABLE: &str = "PACKAGES_TABLE";
/// The table of registrations and secret mappings.
pub const SECRETS_TABLE: &str = "SECRETS_TABLE";
/// The URL of the NuGet feed's service index; nuget.org's if unset.
pub const NUGET_SERVICE_INDEX: &str = "NUGET_SERVICE_INDEX";
/// The URL of GitHub's REST API; the public one if unset.
pub const GITHUB_API: &str = "GITHUB_API";
/// How long a package counts as fresh, in seconds; 900 if unset.
pub const FRESH_SECONDS: &str = "FRESH_SECONDS";
/// The URL of the results queue.
pub const RESULTS_QUEUE_URL: &str = "RESULTS_QUEUE_URL";
/// The URL of the results queue's dead-letter queue.
pub const RESULTS_DEAD_LETTER_QUEUE_URL: &str = "RESULTS_DEAD_LETTER_QUEUE_URL";
/// The prefix of the names of secrets; `badge` if unset.
pub const SECRET_PREFIX: &str = "SECRET_PREFIX";
/// The ARN of the secret with the master key, from which the keys of repositories are derived.
pub const MASTER_KEY_ARN: &str = "MASTER_KEY_ARN";
/// The URL of the issuer of ID tokens. Without it, no ID token is accepted.
pub const OIDC_ISSUER: &str = "OIDC_ISSUER";
/// The owners whose repositories register themselves with their first ID token, comma-separated; none if unset.
pub const OIDC_OWNERS: &str = "OIDC_OWNERS";
/// The addresses of this service that ID tokens may be for, comma-separated.
pub const SERVICE_URLS: &str = "SERVICE_URLS";
/// The name of the event bus.
pub const EVENT_BUS_NAME: &str = "EVENT_BUS_NAME";
/// The public URL of the service, for links on its pages; if unset, the host of the request.
pub const PUBLIC_URL: &str = "PUBLIC_URL";
/// The name of the stack, the dimension of its metrics. Without it, no metrics are written.
pub const STACK_NAME: &str = "STACK_NAME";

/// The region, set by Lambda.
pub const AWS_REGION: &str = "AWS_REGION";
/// Credentials of the function's role, set by Lambda.
pub const AWS_ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
/// Credentials of the function's role, set by Lambda.
pub const AWS_SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
/// Credentials of the function's role, set by Lambda.
pub const AWS_SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
/// The endpoint for all AWS services, for emulators. Unset in production.
pub const AWS_ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";
/// A file with the trust anchors for AWS, instead of Amazon's, which are compiled in. Usually unset.
pub const SSL_CERT_FILE: &str = "SSL_CERT_FILE";

/// A variable that is missing or invalid.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("environment variable {0} is unset or empty")]
    Missing(&'static str),
    #[error("invalid environment variable {name}: expected {expected}")]
    Invalid {
        name: &'static str,
        /// A noun phrase.
        expected: &'static str,
    },
}

impl SettingsError {
    /// The error of a variable whose value could not be parsed.
    pub fn invalid(name: &'static str) -> impl FnOnce(ParseError) -> Self {
        move |ParseError { expected }| Self::Invalid { name, expected }
    }
}

/// The value of a variable. An empty value counts as unset, because templates write absent parameters as empty
/// strings. A value that is not Unicode counts as unset, too.
#[expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]
pub fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// # Errors
/// [`SettingsError::Missing`] if the variable is unset or empty.
pub fn required(name: &'static str) -> Result<String, SettingsError> {
    optional(name).ok_or(SettingsError::Missing(name))
}
