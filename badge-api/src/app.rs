//! From a request to the part that answers it.

use std::time::Duration;

use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_types::SdkConfig;
use badgesmith_api::http::{Request, Response};
use badgesmith_api::problem::Problem;
use badgesmith_api::route::{RawTarget, Route};
use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{Packages, Results};
use badgesmith_aws::env::{self, Missing};
use badgesmith_aws::event_bridge::EventBus;
use badgesmith_aws::metrics::Metric;
use badgesmith_aws::sdk::{self, AwsError, CallTimeouts};
use badgesmith_domain::badge::{Badge, Subject};
use badgesmith_domain::ids::{ParseError, Platform, Repository};
use http::{Method, StatusCode, header};
use serde_json::json;
use tokio::time::Instant;

use crate::history;
use crate::latest::{LatestResults, Target};
use crate::package_badge;
use crate::packages::KnownPackages;
use crate::respond::{self, CachePolicy};

/// GitHub's image proxy gives the whole chain, cold start included, 4 s; a badge waits 1.5 s at most.
const CALL_BUDGET: CallTimeouts =
    CallTimeouts { attempt: Duration::from_millis(700), call: Duration::from_millis(1500) };

/// Where the function finds its resources.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table of test results.
    pub test_results_table: String,
    /// The table of packages.
    pub packages_table: String,
    /// The name of the event bus.
    pub event_bus_name: String,
}

impl Settings {
    /// Reads the function's environment.
    ///
    /// # Errors
    /// [`Missing`] names the variable that is not set.
    pub fn from_env() -> Result<Self, Missing> {
        Ok(Self {
            test_results_table: env::required(env::TEST_RESULTS_TABLE)?,
            packages_table: env::required(env::PACKAGES_TABLE)?,
            event_bus_name: env::required(env::EVENT_BUS_NAME)?,
        })
    }
}

/// The function, ready to answer requests.
#[derive(Debug)]
pub struct App {
    results: Results,
    latest: LatestResults,
    packages: KnownPackages,
    clock: Clock,
}

impl App {
    /// Builds the clients; makes no call.
    pub fn new(config: &SdkConfig, settings: Settings, clock: Clock) -> Self {
        let config = CALL_BUDGET.bound(config);
        let results = Results::new(&config, settings.test_results_table);
        let packages = Packages::new(&config, settings.packages_table);
        let events = EventBus::new(&config, settings.event_bus_name);
        Self {
            latest: LatestResults::new(results.clone()),
            results,
            packages: KnownPackages::new(packages, events),
            clock,
        }
    }

    /// Opens a connection before the first request comes.
    pub async fn warm_up(&self) {
        sdk::warm_up(self.results.warm_up_reads()).await;
    }

    /// Answers one request. Every failure is an answer too.
    pub async fn handle(&self, event: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let request = Request::new(&event);
        let response = match request.route() {
            Some(route) => self.answer(request, route).await,
            None => Problem::not_found().into_response(),
        };
        let response = response.header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        let response = if request.method() == Method::HEAD { response.without_body() } else { response };
        response.into_event()
    }

    async fn answer(&self, request: Request<'_>, route: Route<'_>) -> Response {
        if request.method() == Method::OPTIONS {
            return respond::options(route.allow());
        }
        if route.takes_posts() || !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Problem::method_not_allowed(route.allow()).into_response();
        }
        let answer = match route {
            Route::TestBadge(place) => Ok(self.test_badge(request, place).await),
            Route::PackageBadge(provider, package) => {
                let deadline = Instant::now() + CALL_BUDGET.call;
                let of = (provider, package);
                Ok(package_badge::answer(&self.packages, request, of, self.clock.now(), deadline).await)
            }
            Route::Redirect(place) => self.redirect(place).await,
            Route::History { owner, repo } => self.history(request, &owner, &repo).await,
            Route::Health => Ok(self.health()),
            // Answered above.
            Route::Submit | Route::SubmitTo(_) => Err(Problem::not_found()),
        };
        answer.unwrap_or_else(Problem::into_response)
    }

    async fn test_badge(&self, request: Request<'_>, place: Option<RawTarget<'_>>) -> Response {
        let Some(Ok(of)) = place.as_ref().map(parse_target) else {
            return respond::cached(request, &Badge::not_found(Subject::Tests), CachePolicy::Brief, None);
        };
        match self.latest.of(&of, self.clock.now()).await {
            Ok(Some(result)) => {
                let badge = Badge::tests(result.counts);
                let last_modified = result.timestamp.min(self.clock.now());
                respond::cached(request, &badge, CachePolicy::TestResults, Some(last_modified))
            }
            Ok(None) => respond::cached(request, &Badge::no_results(), CachePolicy::Brief, None),
            Err(error) => {
                let Target { repository, platform, branch } = &of;
                tracing::error!(%repository, %platform, %branch, %error, "a badge is unavailable");
                Metric::BadgesUnavailable.count(1);
                respond::cached(request, &Badge::unavailable(Subject::Tests), CachePolicy::Unavailable, None)
            }
        }
    }

    async fn redirect(&self, place: RawTarget<'_>) -> Result<Response, Problem> {
        let of = parse_target(&place).map_err(|_| Problem::not_found())?;
        let result =
            self.latest.of(&of, self.clock.now()).await.map_err(|error| respond::unavailable(&error))?;
        let no_link =
            || Problem::new(StatusCode::NOT_FOUND, "there is no run to show for this badge", "NO_RUN");
        let result = result.ok_or_else(no_link)?;
        let link = result.link().ok_or_else(no_link)?;
        Ok(Response::new(StatusCode::FOUND)
            .header(header::LOCATION, &link.encoded())
            .header(header::CACHE_CONTROL, CachePolicy::Brief.as_str()))
    }

    async fn history(&self, request: Request<'_>, owner: &str, repo: &str) -> Result<Response, Problem> {
        // A page takes several reads, each bounded; so is their sum.
        let page = history::page(&self.results, request, (owner, repo), self.clock.now());
        let late = |_| respond::unavailable(&AwsError::unexpected("reading history", "it took too long"));
        tokio::time::timeout(CALL_BUDGET.call, page).await.map_err(late)?
    }

    fn health(&self) -> Response {
        let body = json!({ "status": "healthy", "time_stamp": self.clock.now() });
        Response::json(StatusCode::OK, &body).header(header::CACHE_CONTROL, "no-store")
    }
}

fn parse_target(place: &RawTarget<'_>) -> Result<Target, ParseError> {
    Ok(Target {
        repository: Repository { owner: place.owner.parse()?, repo: place.repo.parse()? },
        platform: place.platform.parse::<Platform>()?,
        branch: place.branch.parse()?,
    })
}
