//! Routes each request to the module that answers it.

use std::time::Duration;

use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_types::SdkConfig;
use badgesmith_api::error_response::ErrorResponse;
use badgesmith_api::http::{Request, Response};
use badgesmith_api::route::{ReadRoute, Route};
use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{Feeds, Packages, Results};
use badgesmith_aws::event_bridge::EventBus;
use badgesmith_aws::sdk::{self, CallTimeouts};
use badgesmith_domain::service_url::ServiceUrl;
use http::{Method, StatusCode, header};
use serde_json::json;

use crate::feed_reader::FeedReader;
use crate::package_reader::PackageReader;
use crate::pages::{self, Readers};
use crate::settings::Settings;
use crate::slot_reader::SlotReader;
use crate::{history, latest, package_badge, respond, test_badge};

/// GitHub's image proxy allows 4 s for the whole chain, cold start included; a badge waits 1.5 s at most.
const CALL_TIMEOUTS: CallTimeouts =
    CallTimeouts { attempt: Duration::from_millis(700), call: Duration::from_millis(1500) };

/// The function, ready to answer requests.
#[derive(Debug)]
pub struct App {
    results: Results,
    slots: SlotReader,
    packages: PackageReader,
    public_url: Option<ServiceUrl>,
    clock: Clock,
}

impl App {
    /// Builds the clients; makes no call.
    pub fn new(config: &SdkConfig, settings: Settings, clock: Clock) -> Self {
        let config = CALL_TIMEOUTS.apply_to(config);
        let results = Results::new(&config, settings.test_results_table);
        let packages = Packages::new(&config, settings.packages_table);
        let feeds = FeedReader::new(Feeds::new(&config, settings.secrets_table));
        let events = EventBus::new(&config, settings.event_bus_name);
        Self {
            slots: SlotReader::new(results.clone()),
            results,
            packages: PackageReader::new(
                packages,
                feeds,
                events,
                CALL_TIMEOUTS.call,
                settings.first_lookup_wait,
            ),
            public_url: settings.public_url,
            clock,
        }
    }

    /// Opens a connection before the first request arrives.
    pub async fn warm_up(&self) {
        sdk::warm_up(self.results.warm_up_reads()).await;
    }

    /// Handles one request. A failure becomes an error badge or an error response.
    pub async fn handle(&self, event: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let request = Request::new(&event);
        let response = match request.route() {
            Some(route) => self.answer(request, route).await,
            None => ErrorResponse::not_found().into_response(),
        };
        let response = response.header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        let response = if request.method() == Method::HEAD { response.without_body() } else { response };
        response.into_event()
    }

    async fn answer(&self, request: Request<'_>, route: Route<'_>) -> Response {
        let allow = route.allow();
        if request.method() == Method::OPTIONS {
            return respond::options(allow);
        }
        let (Route::Read(route), &Method::GET | &Method::HEAD) = (route, request.method()) else {
            return ErrorResponse::method_not_allowed(allow).into_response();
        };
        let answer = match route {
            ReadRoute::TestBadge(format, target) => {
                let badge = test_badge::find(&self.slots, request, target, self.clock.now()).await;
                Ok(respond::badge(request, format, badge))
            }
            ReadRoute::PackageBadge(format, registry, names) => {
                let now = self.clock.now();
                let badge = package_badge::find(&self.packages, request, format, registry, &names, now).await;
                Ok(respond::badge(request, format, badge))
            }
            ReadRoute::Redirect(target) => {
                test_badge::redirect(&self.slots, request, target, self.clock.now()).await
            }
            // Boxed, so that the future of a badge stays small.
            ReadRoute::History { owner, repo } => {
                bounded(Box::pin(history::page(&self.results, request, &owner, &repo, self.clock.now())))
                    .await
            }
            ReadRoute::Latest { owner, repo } => {
                bounded(Box::pin(latest::page(&self.results, request, &owner, &repo, self.clock.now()))).await
            }
            ReadRoute::Page(route) => {
                let readers = Readers { results: &self.results, packages: &self.packages };
                let page = pages::page(readers, request, route, self.public_url.as_ref(), self.clock.now());
                match tokio::time::timeout(CALL_TIMEOUTS.call, Box::pin(page)).await {
                    Ok(response) => Ok(response),
                    Err(late) => {
                        tracing::error!(%late, "failed to draw a page");
                        Ok(pages::unavailable())
                    }
                }
            }
            ReadRoute::Health => Ok(self.health()),
        };
        answer.unwrap_or_else(ErrorResponse::into_response)
    }

    fn health(&self) -> Response {
        let body = json!({ "status": "healthy", "time_stamp": self.clock.now() });
        Response::json(StatusCode::OK, &body).header(header::CACHE_CONTROL, "no-store")
    }
}

/// Limits the total time of a page's calls; each call also has its own timeout.
async fn bounded(
    page: impl Future<Output = Result<Response, ErrorResponse>>,
) -> Result<Response, ErrorResponse> {
    match tokio::time::timeout(CALL_TIMEOUTS.call, page).await {
        Ok(answer) => answer,
        Err(late) => Err(respond::unavailable(late)),
    }
}
