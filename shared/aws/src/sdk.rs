//! The configuration of the AWS SDK. It is lean because all of it runs in a cold start.

mod error;
mod trust_store;

use std::fmt::Display;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

use crate::env::{self, SettingsError};

pub use error::{AwsError, AwsErrorKind, causes};

/// How long the init phase waits for a connection. Without one, the first request opens its own.
const WARM_UP_MAX: Duration = Duration::from_millis(300);

/// The configuration of a Lambda function: region, credentials and endpoint from its environment, and one
/// HTTP client for all SDK clients.
///
/// There is no credential chain: the credentials in the environment outlive the sandbox.
///
/// # Errors
/// [`SettingsError::Missing`] if Lambda's own variables are not set.
pub fn config_from_env() -> Result<SdkConfig, SettingsError> {
    let credentials = Credentials::new(
        env::required(env::AWS_ACCESS_KEY_ID)?,
        env::required(env::AWS_SECRET_ACCESS_KEY)?,
        env::optional(env::AWS_SESSION_TOKEN),
        None,
        "environment",
    );
    let region = env::required(env::AWS_REGION)?;
    let trust_store = trust_store::of_aws(&region, env::optional(env::SSL_CERT_FILE).as_deref());
    Ok(match env::optional(env::AWS_ENDPOINT_URL) {
        Some(url) => config(region, credentials, https_client()).into_builder().endpoint_url(url).build(),
        None => config(region, credentials, client_with(trust_store)),
    })
}

/// An HTTP client with the platform's trust anchors, or those in `SSL_CERT_FILE`: for machines behind a proxy with
/// its own certificate, and for emulators.
pub fn https_client() -> SharedHttpClient {
    client_with(TrustStore::default())
}

/// Builds the only HTTP client that is compiled in, on the only TLS stack.
fn client_with(trust_store: TrustStore) -> SharedHttpClient {
    let builder = aws_smithy_http_client::Builder::new();
    #[expect(clippy::expect_used, reason = "only invalid server names fail, and there are none")]
    let context = TlsContext::builder().with_trust_store(trust_store).build().expect("a context");
    builder.tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc)).tls_context(context).build_https()
}

/// The version of the SDK's defaults that the code was tested with.
pub fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// The configuration that the functions and the embedded services share.
pub fn config(region: String, credentials: Credentials, http_client: SharedHttpClient) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(behavior_version())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client)
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        .build()
}

/// How long calls to AWS may take. Each function sets its own timeouts, so that the calls of one invocation add up
/// to less than its timeout.
#[derive(Debug, Clone, Copy)]
pub struct CallTimeouts {
    /// One attempt.
    pub attempt: Duration,
    /// All attempts of a call together.
    pub call: Duration,
}

impl CallTimeouts {
    /// Of operators' commands: short, because a user waits for each call. A receive waits up to 20 s for messages.
    pub const OF_COMMANDS: Self = Self { attempt: Duration::from_secs(25), call: Duration::from_mins(1) };
    const ATTEMPTS: u32 = 3;
    /// The wait before the second attempt, doubled before the third, with full jitter.
    const FIRST_BACKOFF: Duration = Duration::from_millis(50);

    /// Returns `config` with these timeouts and with two retries of a call that fails, times out or is throttled.
    pub fn apply_to(self, config: &SdkConfig) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.call)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(Self::ATTEMPTS)
            .with_initial_backoff(Self::FIRST_BACKOFF);
        config.to_builder().timeout_config(timeouts).retry_config(retries).build()
    }
}

/// Makes `call` during the init phase, where Lambda seems to provide a full CPU regardless of the function's memory
/// (measured by others, not documented). The first request then finds an open connection and code that has run before.
/// Waits at most 300 ms. The result of the call does not matter.
pub async fn warm_up<E: Display>(call: impl Future<Output = Result<(), E>>) {
    match tokio::time::timeout(WARM_UP_MAX, call).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "failed to warm up a connection"),
        Err(_) => tracing::warn!("failed to warm up a connection within {WARM_UP_MAX:?}"),
    }
}
