//! The functions of the stack, each with its resources.

use std::sync::Arc;
use std::time::Duration;

use aws_types::SdkConfig;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::StoreError;
use badgesmith_aws::secrets_manager::SecretNames;
use badgesmith_domain::service_url::ServiceUrl;
use embedded_aws::Queues;
use ingest_api::OidcSettings;
use refresher::{Report, UpstreamTimeouts};
use url::Url;

use crate::gateway::Gateway;
use crate::poller::Poller;

// The names of the template, without the prefix. A resource without a name has its logical id.

pub const TEST_RESULTS_TABLE: &str = "badge-test-results";
pub const NONCES_TABLE: &str = "hmac-nonce";
pub const PACKAGES_TABLE: &str = "badge-packages";
pub const SECRETS_TABLE: &str = "badge-secrets";
pub const MASTER_KEY: &str = "MasterKey";
pub const EVENT_BUS: &str = "badge-events";
pub const RESULTS_QUEUE: &str = "badge-results";
pub const RESULTS_DEAD_LETTER_QUEUE: &str = "badge-results-dlq";
pub const REFRESH_QUEUE: &str = "badge-refresh";
pub const REFRESH_DEAD_LETTER_QUEUE: &str = "badge-refresh-dlq";

/// The timeout of the refresher in the template.
const REFRESHER_TIMEOUT: Duration = Duration::from_mins(5);
/// How long a package is fresh on a deployed stack, by default.
const FRESH_FOR: Duration = Duration::from_mins(15);

/// All functions, with the event sources that invoke them.
#[derive(Debug)]
pub struct Stack {
    pub gateway: Gateway,
    /// Invokes the processor with results.
    pub results: Poller,
    /// Invokes the refresher with requests for packages.
    pub requests: Poller,
    pub processor: Arc<processor::App>,
    refresher: Arc<refresher::App>,
    clock: Clock,
}

/// Where the refresher fetches packages and an issuer's keys, and how often.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    pub nuget_service_index: Url,
    pub github_api: Url,
    /// A package is not fetched again for this long.
    pub fresh_for: Duration,
    pub timeouts: UpstreamTimeouts,
    /// How long the first badge of a package may wait for its lookup.
    pub first_lookup_wait: Duration,
    /// The issuer whose ID tokens are accepted; `None` to accept none.
    pub oidc: Option<OidcSettings>,
}

impl UpstreamConfig {
    /// Upstreams at these URLs, with the timeouts and periods of a deployed stack.
    pub fn new(nuget_service_index: Url, github_api: Url) -> Self {
        Self {
            nuget_service_index,
            github_api,
            fresh_for: FRESH_FOR,
            timeouts: UpstreamTimeouts::default(),
            first_lookup_wait: badge_api::Settings::FIRST_LOOKUP_WAIT,
            oidc: None,
        }
    }
}

/// nuget.org and GitHub.
impl Default for UpstreamConfig {
    #[expect(clippy::expect_used, reason = "the URLs are constants")]
    fn default() -> Self {
        let url = |text| refresher::base_url(text).expect("a URL");
        Self::new(url(refresher::Settings::NUGET_SERVICE_INDEX), url(refresher::Settings::GITHUB_API))
    }
}

impl Stack {
    /// The functions, with AWS clients of `config`. Without `public_url`, pages use the host that the CDN reports.
    pub fn new(
        config: &SdkConfig,
        upstreams: &UpstreamConfig,
        public_url: Option<ServiceUrl>,
        clock: &Clock,
    ) -> Self {
        let ingest_api = ingest_api::App::new(
            config,
            ingest_api::Settings {
                nonces_table: NONCES_TABLE.to_owned(),
                secrets_table: SECRETS_TABLE.to_owned(),
                results_queue_url: Queues::url(RESULTS_QUEUE),
                secret_names: SecretNames::default(),
                master_key_arn: MASTER_KEY.to_owned(),
                oidc: upstreams.oidc.clone(),
            },
            clock.clone(),
        );
        let processor = processor::App::new(
            config,
            processor::Settings {
                test_results_table: TEST_RESULTS_TABLE.to_owned(),
                results_dead_letter_queue_url: Queues::url(RESULTS_DEAD_LETTER_QUEUE),
                event_bus_name: EVENT_BUS.to_owned(),
            },
            clock.clone(),
        );
        let badge_api = badge_api::App::new(
            config,
            badge_api::Settings {
                test_results_table: TEST_RESULTS_TABLE.to_owned(),
                packages_table: PACKAGES_TABLE.to_owned(),
                secrets_table: SECRETS_TABLE.to_owned(),
                event_bus_name: EVENT_BUS.to_owned(),
                first_lookup_wait: upstreams.first_lookup_wait,
                public_url,
            },
            clock.clone(),
        );
        let refresher = refresher::App::new(
            config,
            refresher::Settings {
                packages_table: PACKAGES_TABLE.to_owned(),
                secrets_table: SECRETS_TABLE.to_owned(),
                nuget_service_index: upstreams.nuget_service_index.clone(),
                github_api: upstreams.github_api.clone(),
                oidc_issuer: upstreams.oidc.as_ref().map(|oidc| oidc.issuer.clone()),
                fresh_for: upstreams.fresh_for,
                upstream_timeouts: upstreams.timeouts.clone(),
            },
            clock.clone(),
        );
        let (processor, refresher) = (Arc::new(processor), Arc::new(refresher));
        let function = Arc::clone(&processor);
        let results = Poller::new(config, Queues::url(RESULTS_QUEUE), move |batch| {
            let function = Arc::clone(&function);
            async move { function.handle(batch).await }
        });
        let (function, function_clock) = (Arc::clone(&refresher), clock.clone());
        let requests = Poller::new(config, Queues::url(REFRESH_QUEUE), move |batch| {
            let (function, deadline) = (Arc::clone(&function), function_clock.now().plus(REFRESHER_TIMEOUT));
            async move { function.refresh_requested(batch, deadline).await }
        });
        let gateway = Gateway::new(ingest_api, badge_api, clock.clone());
        Self { gateway, results, requests, processor, refresher, clock: clock.clone() }
    }

    /// Fetches the issuer's keys, for which a deployed stack waits until the schedule runs.
    pub async fn refresh_issuer_keys(&self) {
        self.refresher.refresh_issuer_keys().await;
    }

    /// Invokes the refresher like its schedule.
    ///
    /// # Errors
    /// [`StoreError`] when the packages that are due cannot be read.
    pub async fn refresh_due(&self) -> Result<Report, StoreError> {
        self.refresh_due_within(REFRESHER_TIMEOUT).await
    }

    /// Like [`Self::refresh_due`], with another timeout of the function.
    ///
    /// # Errors
    /// [`StoreError`] when the packages that are due cannot be read.
    pub async fn refresh_due_within(&self, timeout: Duration) -> Result<Report, StoreError> {
        self.refresher.refresh_due(self.clock.now().plus(timeout)).await
    }
}
