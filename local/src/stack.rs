//! The deployed stack, wired up: each function with its resources.

use std::sync::Arc;
use std::time::Duration;

use aws_types::SdkConfig;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::sdk::AwsError;
use refresher::Report;
use url::Url;

use crate::gateway::Gateway;
use crate::poller::Poller;
use embedded_aws::Queues;

/// Logical ids in the template.
const TEST_RESULTS_TABLE: &str = "TestResultsTable";
const NONCES_TABLE: &str = "NoncesTable";
const PACKAGES_TABLE: &str = "PackagesTable";
/// The table of which secret packages are read with.
pub const SECRETS_TABLE: &str = "SecretsTable";
const EVENT_BUS: &str = "EventBus";
/// The queue that results wait in.
pub const RESULTS_QUEUE: &str = "ResultsQueue";
/// The queue for results that could not be stored.
pub const RESULTS_DEAD_LETTER_QUEUE: &str = "ResultsDeadLetterQueue";
/// The queue that requests for packages wait in.
pub const REFRESH_QUEUE: &str = "RefreshQueue";
/// The queue for requests that could not be worked on.
pub const REFRESH_DEAD_LETTER_QUEUE: &str = "RefreshDeadLetterQueue";

/// The refresher's timeout on Lambda.
const REFRESHER_TIMEOUT: Duration = Duration::from_mins(5);

/// Everything that runs.
#[derive(Debug)]
pub struct Stack {
    /// What answers HTTP requests.
    pub gateway: Gateway,
    /// What moves results from the queue to the table.
    pub results: Poller,
    /// What looks after the packages that were asked for.
    pub requests: Poller,
    /// What stores results.
    pub processor: Arc<processor::App>,
    refresher: Arc<refresher::App>,
    clock: Clock,
}

/// Where packages come from, and how often they are looked up.
#[derive(Debug, Clone)]
pub struct Upstreams {
    /// The service index of the NuGet feed.
    pub nuget_service_index: Url,
    /// GitHub's REST API.
    pub github_api: Url,
    /// How long a package counts as fresh.
    pub fresh_for: Duration,
    /// How long upstreams are waited for.
    pub patience: refresher::UpstreamTimeouts,
}

impl Stack {
    /// Builds the functions on the AWS that `config` leads to.
    pub fn new(config: &SdkConfig, upstreams: &Upstreams, clock: &Clock) -> Self {
        let ingest_api = ingest_api::App::new(
            config,
            ingest_api::Settings {
                nonces_table: NONCES_TABLE.to_owned(),
                results_queue_url: Queues::url(RESULTS_QUEUE),
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
                event_bus_name: EVENT_BUS.to_owned(),
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
                fresh_for: upstreams.fresh_for,
                upstream_timeouts: upstreams.patience.clone(),
            },
            clock.clone(),
        );
        let (processor, refresher) = (Arc::new(processor), Arc::new(refresher));
        let function = Arc::clone(&processor);
        let results = Poller::new(config, Queues::url(RESULTS_QUEUE), move |batch| {
            let function = Arc::clone(&function);
            async move { function.handle(batch).await }
        });
        let (function, its_clock) = (Arc::clone(&refresher), clock.clone());
        let requests = Poller::new(config, Queues::url(REFRESH_QUEUE), move |batch| {
            let (function, deadline) = (Arc::clone(&function), its_clock.now().plus(REFRESHER_TIMEOUT));
            async move { function.refresh_requested(batch, deadline).await }
        });
        let gateway = Gateway::new(ingest_api, badge_api, clock.clone());
        Self { gateway, results, requests, processor, refresher, clock: clock.clone() }
    }

    /// Invokes the refresher, as its schedule does.
    ///
    /// # Errors
    /// [`AwsError`] when it could not be read what is due.
    pub async fn refresh_due(&self) -> Result<Report, AwsError> {
        self.refresh_due_within(REFRESHER_TIMEOUT).await
    }

    /// The same, with another timeout.
    ///
    /// # Errors
    /// As before.
    pub async fn refresh_due_within(&self, timeout: Duration) -> Result<Report, AwsError> {
        self.refresher.refresh_due(self.clock.now().plus(timeout)).await
    }
}
