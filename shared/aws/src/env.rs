//! The environment of a function: every variable it reads is a constant here, and nothing else reads one.

/// The table of test results.
pub const TEST_RESULTS_TABLE: &str = "TEST_RESULTS_TABLE";
/// The table of nonces.
pub const NONCES_TABLE: &str = "NONCES_TABLE";
/// The table of packages.
pub const PACKAGES_TABLE: &str = "PACKAGES_TABLE";
/// The table of the secrets that packages are read with.
pub const SECRETS_TABLE: &str = "SECRETS_TABLE";
/// The URL of the NuGet feed's service index; that of nuget.org if unset.
pub const NUGET_SERVICE_INDEX: &str = "NUGET_SERVICE_INDEX";
/// The URL of GitHub's REST API; the public one if unset.
pub const GITHUB_API: &str = "GITHUB_API";
/// How long a package counts as fresh, in seconds; 900 if unset.
pub const FRESH_SECONDS: &str = "FRESH_SECONDS";
/// The URL of the queue that results wait in.
pub const RESULTS_QUEUE_URL: &str = "RESULTS_QUEUE_URL";
/// The URL of the queue for results that could not be stored.
pub const RESULTS_DEAD_LETTER_QUEUE_URL: &str = "RESULTS_DEAD_LETTER_QUEUE_URL";
/// The name of the event bus.
pub const EVENT_BUS_NAME: &str = "EVENT_BUS_NAME";
/// The name of the stack, for its metrics; none are written if unset.
pub const STACK_NAME: &str = "STACK_NAME";

/// The region, set by Lambda.
pub const AWS_REGION: &str = "AWS_REGION";
/// Credentials of the function's role, set by Lambda.
pub const AWS_ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
/// Credentials of the function's role, set by Lambda.
pub const AWS_SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
/// Credentials of the function's role, set by Lambda.
pub const AWS_SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
/// Where to send requests to AWS instead of AWS; for emulators, unset in production.
pub const AWS_ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";

/// A variable that a function cannot do without.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {0} is not set, or empty")]
pub struct Missing(&'static str);

/// The value of a variable; an empty one counts as unset, as templates write an absent parameter, and so does one that
/// is not Unicode.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The value of a variable.
///
/// # Errors
/// [`Missing`] when it is unset or empty.
pub fn required(name: &'static str) -> Result<String, Missing> {
    optional(name).ok_or(Missing(name))
}
