//! From an event to the packages that it is about.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use aws_types::SdkConfig;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{Lease, LeaseOutcome, Packages, SecretMappings};
use badgesmith_aws::env::{self, Missing};
use badgesmith_aws::metrics::Metric;
use badgesmith_aws::sdk::{AwsError, CallTimeouts};
use badgesmith_aws::secrets_manager::SecretsManager;
use badgesmith_domain::package::Package;
use badgesmith_domain::package_record::PackageState;
use badgesmith_domain::package_request::{PackageRequest, Reason};
use badgesmith_domain::timestamp::Timestamp;
use futures_util::future::join_all;
use url::Url;

use crate::budgets::Budgets;
use crate::event::{Answer, Event};
use crate::refresh::{Refreshed, Refresher};
use crate::schedule::{self, Report};
use crate::tokens::Tokens;
use crate::upstream::{GitHub, Http, NuGet, Patience, Upstreams};

/// Of one call to AWS. Nobody waits for the refresher.
const CALL_TIMEOUTS: CallTimeouts =
    CallTimeouts { attempt: Duration::from_secs(2), call: Duration::from_secs(6) };
const FRESH_FOR: Duration = Duration::from_mins(15);
/// A package that is being refreshed is let go of afterwards. Most take less than a second, all less than their lease,
/// and who waits for longer is delivered again.
const LET_GO_TRIES: u32 = 20;
const LET_GO_PAUSE: Duration = Duration::from_millis(250);

/// Where the function finds its resources.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table of packages.
    pub packages_table: String,
    /// The table of secrets.
    pub secrets_table: String,
    /// The service index of the NuGet feed.
    pub nuget_service_index: Url,
    /// GitHub's REST API.
    pub github_api: Url,
    /// How long a package counts as fresh.
    pub fresh_for: Duration,
    /// How long upstreams are waited for.
    pub patience: Patience,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A variable is not set.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// A variable is not as it should be.
    #[error("the environment variable {name} is no {expected}")]
    Invalid {
        /// Which.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl Settings {
    /// The service index of nuget.org.
    pub const NUGET_SERVICE_INDEX: &str = "https://api.nuget.org/v3/index.json";
    /// The public API of GitHub.
    pub const GITHUB_API: &str = "https://api.github.com";

    /// Reads the address of an upstream. It shows in logs, so that it must hold no password, and no query.
    pub fn base_url(text: &str) -> Option<Url> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        url.filter(|url| url.username().is_empty() && url.password().is_none() && url.query().is_none())
    }

    /// Reads the function's environment.
    ///
    /// # Errors
    /// [`SettingsError`] names the variable that is not set, or not as it should be.
    pub fn from_env() -> Result<Self, SettingsError> {
        let url = |name, default: &str| {
            let url = env::optional(name).unwrap_or_else(|| default.to_owned());
            let expected = "http or https URL without password and query";
            Self::base_url(&url).ok_or(SettingsError::Invalid { name, expected })
        };
        let fresh_for = match env::optional(env::FRESH_SECONDS) {
            Some(seconds) => {
                let seconds = seconds.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
                let expected = "number of seconds from 1 to 86400";
                Duration::from_secs(
                    seconds.ok_or(SettingsError::Invalid { name: env::FRESH_SECONDS, expected })?,
                )
            }
            None => FRESH_FOR,
        };
        Ok(Self {
            packages_table: env::required(env::PACKAGES_TABLE)?,
            secrets_table: env::required(env::SECRETS_TABLE)?,
            nuget_service_index: url(env::NUGET_SERVICE_INDEX, Self::NUGET_SERVICE_INDEX)?,
            github_api: url(env::GITHUB_API, Self::GITHUB_API)?,
            fresh_for,
            patience: Patience::default(),
        })
    }
}

/// The function, ready to refresh packages.
#[derive(Debug)]
pub struct App {
    refresher: Refresher,
    budgets: Mutex<Budgets>,
}

impl App {
    /// Builds the clients; makes no call.
    pub fn new(config: &SdkConfig, settings: Settings, clock: Clock) -> Self {
        let config = CALL_TIMEOUTS.apply_to(config);
        let breaker_open = settings.patience.breaker_open;
        let http = Arc::new(Http::new(settings.patience, clock.clone()));
        let upstreams = Upstreams {
            nuget: NuGet::new(Arc::clone(&http), settings.nuget_service_index),
            github: GitHub::new(
                http,
                settings.github_api,
                SecretMappings::new(&config, settings.secrets_table),
                Tokens::new(SecretsManager::new(&config)),
            ),
        };
        let refresher = Refresher {
            packages: Packages::new(&config, settings.packages_table),
            upstreams,
            clock,
            fresh_for: settings.fresh_for,
            breaker_open,
        };
        Self { refresher, budgets: Mutex::default() }
    }

    /// Does what an event asks for, and stops in time before `deadline`, when the function is killed.
    ///
    /// # Errors
    /// [`AwsError`] when it could not be read what is due.
    pub async fn handle(&self, event: Event, deadline: Timestamp) -> Result<Answer, AwsError> {
        match event {
            Event::Schedule => self.refresh_due(deadline).await.map(Answer::Schedule),
            Event::Requests(batch) => Ok(Answer::Requests(self.refresh_requested(batch, deadline).await)),
        }
    }

    /// Refreshes what is due, and stops in time before `deadline`.
    ///
    /// # Errors
    /// [`AwsError`] when it could not be read what is due. What was done before stays done.
    pub async fn refresh_due(&self, deadline: Timestamp) -> Result<Report, AwsError> {
        schedule::run(self, deadline).await
    }

    /// Looks after the packages that were asked for, and reports the messages that SQS shall deliver again (a
    /// partial batch response). A message that nobody will ever understand goes to the dead-letter queue that way.
    pub async fn refresh_requested(&self, batch: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
        let mut failed = Vec::new();
        let mut asked: BTreeMap<Package, (PackageRequest, Vec<String>)> = BTreeMap::new();
        for message in batch.records {
            // Lambda takes an empty id, which never comes, for the whole batch, which is safe.
            let message_id = message.message_id.unwrap_or_default();
            match PackageRequest::parse_event(message.body.as_deref().unwrap_or_default()) {
                Ok(request) => {
                    let (merged, ids) =
                        asked.entry(request.package.clone()).or_insert_with(|| (request.clone(), Vec::new()));
                    merged.merge(&request);
                    ids.push(message_id);
                }
                Err(error) => {
                    tracing::error!(message_id, %error, "a request is not understood");
                    failed.push(message_id);
                }
            }
        }
        let worked =
            asked.into_values().map(async |(request, ids)| match self.request(&request, deadline).await {
                Ok(()) => Vec::new(),
                Err(error) => {
                    tracing::error!(package = %request.package, %error, "a request was not worked on");
                    ids
                }
            });
        failed.extend(join_all(worked).await.into_iter().flatten());
        let mut response = SqsBatchResponse::default();
        for message_id in failed {
            response.add_failure(message_id);
        }
        response
    }

    async fn request(&self, request: &PackageRequest, deadline: Timestamp) -> Result<(), AwsError> {
        let PackageRequest { package, reason, requested_at, .. } = request;
        let requested_at = self.clock().now().min(*requested_at);
        let leased = match reason {
            Reason::StillRead => return self.packages().note_read(package, requested_at).await,
            Reason::Unschedule => return self.let_go(package, requested_at).await,
            Reason::RefreshNow => {
                match self.packages().lease_now(package, Some(requested_at), self.clock().now()).await? {
                    LeaseOutcome::Unknown => {
                        self.packages().lease_or_create(package, requested_at, self.clock().now()).await?
                    }
                    leased @ (LeaseOutcome::Leased(_) | LeaseOutcome::NotDue) => leased,
                }
            }
            Reason::FirstRequested => self.lease_or_create(package, requested_at).await?,
            Reason::Stale => {
                match self.packages().lease_due(package, Some(requested_at), self.clock().now()).await? {
                    LeaseOutcome::Unknown => self.lease_or_create(package, requested_at).await?,
                    leased @ (LeaseOutcome::Leased(_) | LeaseOutcome::NotDue) => leased,
                }
            }
        };
        if let LeaseOutcome::Leased(lease) = leased {
            let refreshed = self.refresh(&lease, deadline).await?;
            tracing::info!(%package, ?reason, ?refreshed, "a package was asked for");
            Metric::PackagesRefreshed.count(1);
            Metric::PackagesFailed.count(usize::from(refreshed == Refreshed::Failed));
        }
        Ok(())
    }

    /// Takes a package off the schedule, unless it was read since that was wanted: a request may be late, or come again.
    /// What was never confirmed is forgotten by itself.
    async fn let_go(&self, package: &Package, requested_at: Timestamp) -> Result<(), AwsError> {
        for _ in 0..LET_GO_TRIES {
            let now = self.clock().now();
            let Some(record) = self.packages().find(package, now).await? else { return Ok(()) };
            if !record.is_scheduled() || record.last_requested_at > requested_at {
                return Ok(());
            }
            if let LeaseOutcome::Leased(lease) = self.packages().lease_now(package, None, now).await?
                && let PackageState::Known(known) = &lease.record.state
                && self.packages().unschedule(&lease, known, now).await?
            {
                tracing::info!(%package, "a package was let go of");
                return Ok(());
            }
            // It is being refreshed, which is a matter of moments.
            tokio::time::sleep(LET_GO_PAUSE).await;
        }
        Err(AwsError::unexpected("letting go of a package", "it is being refreshed all the time"))
    }

    /// Leases a name that may be invented, if its budget allows.
    async fn lease_or_create(
        &self,
        package: &Package,
        requested_at: Timestamp,
    ) -> Result<LeaseOutcome, AwsError> {
        if self.has_budget_for(package) {
            return self.packages().lease_or_create(package, requested_at, self.clock().now()).await;
        }
        // Its badge stays pending, and whoever still reads it asks again.
        tracing::warn!(%package, "too many names that were never seen; a request is dropped");
        Ok(LeaseOutcome::Unknown)
    }

    /// Refreshes a leased package, and remembers that it exists if it does.
    pub(crate) async fn refresh(&self, lease: &Lease, deadline: Timestamp) -> Result<Refreshed, AwsError> {
        let refreshed = self.refresher.refresh(lease, deadline).await?;
        if matches!(refreshed, Refreshed::Unchanged | Refreshed::Changed) {
            self.budgets.lock().unwrap_or_else(PoisonError::into_inner).prove(&lease.package);
        }
        Ok(refreshed)
    }

    /// Whether a name may be looked up that may be invented.
    pub(crate) fn has_budget_for(&self, package: &Package) -> bool {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.take(package, self.clock().now())
    }

    pub(crate) fn packages(&self) -> &Packages {
        &self.refresher.packages
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.refresher.clock
    }
}
