//! The six steps of a submission, in order.

use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::Duration;

use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_types::SdkConfig;
use badgesmith_api::error_response::ErrorResponse;
use badgesmith_api::http::{Request, Response};
use badgesmith_api::route::Route;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{Nonces, Registrations, Reservation, ReservationOutcome};
use badgesmith_aws::metrics::Metric;
use badgesmith_aws::sdk::{self, CallTimeouts};
use badgesmith_aws::secrets_manager::SecretsManager;
use badgesmith_aws::sqs::Queue;
use badgesmith_domain::message::ResultMessage;
use badgesmith_domain::test_result::{TestResult, TestResultId, TestRun};
use badgesmith_domain::timestamp::Timestamp;
use http::{HeaderValue, Method, StatusCode};
use lambda_runtime::LambdaEvent;
use serde::Serialize;

use crate::error::{Reason, SubmitError};
use crate::keyless::IdTokens;
use crate::rate_limits::RateLimits;
use crate::repository_keys::{RepositoryKeys, ValidKeys};
use crate::secret_cache::SecretCache;
use crate::settings::Settings;
use crate::submission::{Proof, Submission, Unverified};

/// A submission makes at most nine calls one after the other. Six read the registration and two secrets: if the cached
/// copies of both secrets have expired, that is two calls each, and the registration is read before and after them.
/// Three make the reservation, send the message, and mark the reservation as enqueued. Together they take less than the
/// function's timeout of 12 s, which in turn is less than [`Nonces::LEASE`].
const CALL_TIMEOUTS: CallTimeouts =
    CallTimeouts { attempt: Duration::from_millis(600), call: Duration::from_millis(1300) };

/// The header with the X-Ray trace.
const TRACE_HEADER: &str = "x-amzn-trace-id";

/// The function, ready to answer requests.
#[derive(Debug)]
pub struct App {
    keys: RepositoryKeys,
    /// `None` if no ID token is accepted. Its clients are built for the first one.
    id_tokens: Option<LazyLock<IdTokens, BuildIdTokens>>,
    rate_limits: RateLimits,
    nonces: Nonces,
    queue: Queue,
    clock: Clock,
}

type BuildIdTokens = Box<dyn FnOnce() -> IdTokens + Send>;

/// The body of a 202.
#[derive(Serialize)]
struct Accepted {
    test_result_id: TestResultId,
    repository: String,
    timestamp: Timestamp,
    status: &'static str,
}

impl App {
    /// Builds the clients; makes no call.
    pub fn new(config: &SdkConfig, settings: Settings, clock: Clock) -> Self {
        let config = CALL_TIMEOUTS.apply_to(config);
        let id_tokens = settings.oidc.map(|oidc| {
            let (config, secrets_table) = (config.clone(), settings.secrets_table.clone());
            LazyLock::new(Box::new(move || IdTokens::new(&config, &secrets_table, oidc)) as BuildIdTokens)
        });
        Self {
            id_tokens,
            keys: RepositoryKeys::new(
                Registrations::new(&config, settings.secrets_table),
                SecretCache::new(SecretsManager::new(&config)),
                settings.secret_names,
                settings.master_key_arn,
            ),
            rate_limits: RateLimits::new(),
            nonces: Nonces::new(&config, settings.nonces_table),
            queue: Queue::new(&config, settings.results_queue_url),
            clock,
        }
    }

    /// Opens connections before the first request arrives.
    pub async fn warm_up(&self) {
        let keys = self.keys.warm_up(self.clock.now());
        tokio::join!(sdk::warm_up(keys), sdk::warm_up(self.nonces.warm_up()));
    }

    /// Handles one invocation. Its trace header replaces that of the request, which names neither the parent segment
    /// nor whether the trace is sampled.
    pub async fn invoke(&self, event: LambdaEvent<ApiGatewayV2httpRequest>) -> ApiGatewayV2httpResponse {
        let LambdaEvent { mut payload, context } = event;
        if let Some(trace) = context.xray_trace_id.and_then(|trace| HeaderValue::try_from(trace).ok()) {
            payload.headers.insert(TRACE_HEADER, trace);
        }
        self.handle(payload).await
    }

    /// Handles one request. A failure becomes an error response.
    pub async fn handle(&self, event: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let request = Request::new(&event);
        let response = match self.submit(request).await {
            Ok(result) => {
                let TestRun { repository, platform, branch, timestamp, .. } = &result.run;
                tracing::info!(
                    test_result_id = %result.id, %repository, %platform, %branch, "accepted a result"
                );
                Metric::ResultsAccepted.count(1);
                let accepted = Accepted {
                    test_result_id: result.id,
                    repository: repository.to_string(),
                    timestamp: *timestamp,
                    status: "queued",
                };
                Response::json(StatusCode::ACCEPTED, &accepted)
            }
            Err(error) => {
                error.log();
                error.into_error_response().into_response()
            }
        };
        response.into_event()
    }

    async fn submit(&self, request: Request<'_>) -> Result<TestResult, SubmitError> {
        let (submission, posts_per_minute) = self.verify(read(request)?).await?;
        let now = self.clock.now();
        submission.check_fresh(now)?;
        // Only after the proof, so that nobody can use up the limit of another repository.
        let repository = submission.result.run.repository.clone();
        self.rate_limits
            .take(&repository, posts_per_minute, now)
            .map_err(|wait| SubmitError::RateLimited(repository.clone(), wait))?;
        let accepted = self.accept(submission, now, request.header(TRACE_HEADER)).await;
        if accepted.is_err() {
            self.rate_limits.give_back(&repository);
        }
        accepted
    }

    async fn accept(
        &self,
        submission: Submission,
        now: Timestamp,
        trace: Option<&str>,
    ) -> Result<TestResult, SubmitError> {
        let reservation = self.reserve(&submission, now).await?;
        self.enqueue(submission, &reservation, trace).await
    }

    /// Verifies the signature or the ID token. Returns how many results the repository may submit in a minute, too.
    async fn verify(&self, unverified: Unverified<'_>) -> Result<(Submission, NonZeroU32), SubmitError> {
        unverified.check_claimed_repository()?;
        let repository = unverified.repository().clone();
        let signature = match unverified.proof() {
            Proof::Signature(signature) => signature,
            Proof::IdToken(token) => {
                let id_tokens = self.id_tokens.as_ref();
                let id_tokens =
                    id_tokens.ok_or(SubmitError::Unauthorized(repository, Reason::KeylessDisabled))?;
                // On the heap, since it is larger than the rest of a submission.
                let verified = Box::pin(id_tokens.verify(&unverified, token, &self.keys, self.clock.now()));
                let posts_per_minute = verified.await?;
                return Ok((unverified.into_submission(), posts_per_minute));
            }
        };
        let ValidKeys { keys, posts_per_minute } = self.keys.get(&repository, self.clock.now()).await?;
        if unverified.is_signed(signature, &keys) {
            return Ok((unverified.into_submission(), posts_per_minute));
        }
        // On the heap, since it is rare and larger than the rest of a submission.
        let reloaded = Box::pin(self.keys.reload(&repository, self.clock.now()));
        let ValidKeys { keys, posts_per_minute } = reloaded.await?;
        if unverified.is_signed(signature, &keys) {
            return Ok((unverified.into_submission(), posts_per_minute));
        }
        let reason = if keys.is_empty() { Reason::NoKey } else { Reason::WrongSignature };
        Err(SubmitError::Unauthorized(repository, reason))
    }

    async fn reserve(&self, submission: &Submission, now: Timestamp) -> Result<Reservation, SubmitError> {
        let id = submission.result.id;
        match self.nonces.reserve(&submission.partition, &submission.digest, id, now).await {
            Ok(ReservationOutcome::Reserved(reservation)) => Ok(reservation),
            Ok(ReservationOutcome::AlreadyAccepted) => Err(SubmitError::AlreadyAccepted(id)),
            Ok(ReservationOutcome::Reused) => Err(SubmitError::NonceReused),
            Ok(ReservationOutcome::InProgress(wait)) => Err(SubmitError::InProgress(wait)),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends the result to the queue. If that fails, ends the reservation so that the client can retry immediately.
    async fn enqueue(
        &self,
        submission: Submission,
        reservation: &Reservation,
        trace: Option<&str>,
    ) -> Result<TestResult, SubmitError> {
        let message = ResultMessage::new(submission.result);
        if let Err(error) = self.queue.send_result(&message, trace).await {
            if let Err(error) = self.nonces.release(reservation).await {
                tracing::warn!(%error, "failed to release a reservation; its lease expires by itself");
            }
            return Err(error.into());
        }
        if let Err(error) = self.nonces.mark_enqueued(reservation).await {
            tracing::warn!(%error, "failed to mark a reservation as enqueued; a resubmission is enqueued again, which is harmless");
        }
        Ok(message.result)
    }
}

/// Reads the submission in a request.
fn read(request: Request<'_>) -> Result<Unverified<'_>, SubmitError> {
    let route = request.route().ok_or(SubmitError::NotFound)?;
    let allow = route.allow();
    let Route::Submit(target) = route else { return Err(SubmitError::MethodNotAllowed(allow)) };
    if request.method() != Method::POST {
        return Err(SubmitError::MethodNotAllowed(allow));
    }
    Unverified::read(request, target.as_ref())
}

/// Reads the submission in a request without verifying its proof, which would need calls to AWS. Only fuzz targets use
/// this.
///
/// # Errors
/// The response to the client.
pub fn read_unverified(event: &ApiGatewayV2httpRequest) -> Result<TestResult, ErrorResponse> {
    let unverified = read(Request::new(event)).map_err(SubmitError::into_error_response)?;
    Ok(unverified.into_submission().result)
}
