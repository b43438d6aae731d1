//! The function: its clients, and one method for each kind of invocation.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use aws_types::SdkConfig;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{Packages, SecretMappings, StoreError};
use badgesmith_aws::sdk::CallTimeouts;
use badgesmith_aws::secrets_manager::SecretsManager;
use badgesmith_domain::timestamp::Timestamp;
use futures_util::future;
use lambda_runtime::{Error, LambdaEvent};

use crate::invocation::{Invocation, InvocationResult};
use crate::issuer_keys::IssuerKeys;
use crate::refresher::Refresher;
use crate::report::Report;
use crate::settings::Settings;
use crate::tokens::Tokens;
use crate::transition::RefreshPolicy;
use crate::upstream::{Feed, Feeds, GitHub, HttpClient, NuGet, Upstreams};
use crate::{requests, schedule};

/// No client waits for the refresher, so its calls may take longer than those of the other functions.
const CALL_TIMEOUTS: CallTimeouts =
    CallTimeouts { attempt: Duration::from_secs(2), call: Duration::from_secs(6) };

/// The function, ready for invocations.
#[derive(Debug)]
pub struct App {
    refresher: Refresher,
    /// `None` if no ID token is accepted.
    issuer_keys: Option<IssuerKeys>,
}

impl App {
    /// Builds the clients; makes no call.
    pub fn new(config: &SdkConfig, settings: Settings, clock: Clock) -> Self {
        let config = CALL_TIMEOUTS.apply_to(config);
        let policy = RefreshPolicy {
            fresh_for: settings.fresh_for,
            breaker_open_for: settings.upstream_timeouts.breaker_open,
        };
        let http = Arc::new(HttpClient::new(settings.upstream_timeouts, clock.clone()));
        let issuer_keys = settings.oidc_issuer.map(|issuer| {
            let table = settings.secrets_table.clone();
            IssuerKeys::new(&config, table, issuer, Arc::clone(&http), clock.clone())
        });
        let mappings = SecretMappings::new(&config, settings.secrets_table);
        let tokens = Arc::new(Tokens::new(SecretsManager::new(&config)));
        let upstreams = Upstreams {
            nuget: NuGet::new(Arc::clone(&http)),
            default_feed: Feed { service_index: settings.nuget_service_index, token: None },
            feeds: Feeds::new(mappings.clone(), Arc::clone(&tokens)),
            github: GitHub::new(http, settings.github_api, mappings, tokens),
        };
        let packages = Packages::new(&config, settings.packages_table);
        Self { refresher: Refresher::new(packages, upstreams, policy, clock), issuer_keys }
    }

    /// Handles an invocation, and stops in time before Lambda's deadline.
    ///
    /// # Errors
    /// When the due packages could not be read.
    pub async fn handle(&self, event: LambdaEvent<Invocation>) -> Result<InvocationResult, Error> {
        let deadline = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
        let deadline = Timestamp::from_unix_milliseconds(deadline);
        match event.payload {
            Invocation::Schedule => Ok(InvocationResult::Schedule(self.refresh_due(deadline).await?)),
            Invocation::Requests(batch) => {
                Ok(InvocationResult::Requests(self.refresh_requested(batch, deadline).await))
            }
        }
    }

    /// Refreshes the packages that are due and the issuer's keys, and stops in time before `deadline`.
    ///
    /// # Errors
    /// [`StoreError`] when the due packages could not be read. Packages that were refreshed before stay refreshed.
    pub async fn refresh_due(&self, deadline: Timestamp) -> Result<Report, StoreError> {
        // On the heap: the compiler rejects futures that are nested any deeper.
        let issuer_keys = Box::pin(self.refresh_issuer_keys());
        let (report, ()) = future::join(schedule::run(&self.refresher, deadline), issuer_keys).await;
        report
    }

    /// Refreshes the issuer's keys. Logs a failure.
    pub async fn refresh_issuer_keys(&self) {
        if let Some(keys) = &self.issuer_keys {
            keys.refresh().await;
        }
    }

    /// Handles requests for packages, and reports those that SQS must deliver again (a partial batch response):
    /// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
    pub async fn refresh_requested(&self, batch: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
        requests::run(&self.refresher, batch, deadline).await
    }
}
