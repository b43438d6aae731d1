//! The HTTP client of all upstreams: conditional requests, bounded in time and size, with retries, a circuit breaker
//! for each host, and rate limits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use badgesmith_aws::clock::Clock;
use lru::LruCache;
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::sync::OnceCell;

use super::circuit_breaker::CircuitBreaker;
use super::fetch::FetchError;
use super::rate_limits::{HOSTS_MAX, RateLimitKey, RateLimits};
use super::request::{Api, Get, Redirects};
use super::response::{AttemptError, Response, transient};
use super::timeouts::UpstreamTimeouts;

/// Concurrent requests to one host. GitHub allows 100 for all users of a token, and recommends far fewer:
/// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>
const GITHUB_CONCURRENCY_MAX: usize = 8;
const NUGET_CONCURRENCY_MAX: usize = 32;
/// Attempts after the first.
const RETRIES: usize = 3;
/// The longest wait between two attempts, before jitter.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// After a longer `Retry-After`, the request fails instead of waiting.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
const REDIRECTS_MAX: usize = 5;

const USER_AGENT: &str = concat!("badgesmith/", env!("CARGO_PKG_VERSION"));

#[derive(Debug)]
pub(crate) struct HttpClient {
    // The clients are built for their first request, because they read the system's certificates.
    /// Follows redirects to the same origin.
    same_origin: OnceCell<Client>,
    /// Follows redirects to any host.
    any_host: OnceCell<Client>,
    timeouts: UpstreamTimeouts,
    /// By host.
    breakers: Mutex<LruCache<String, Arc<CircuitBreaker>>>,
    rate_limits: RateLimits,
    clock: Clock,
}

impl HttpClient {
    pub(crate) fn new(timeouts: UpstreamTimeouts, clock: Clock) -> Self {
        Self {
            same_origin: OnceCell::new(),
            any_host: OnceCell::new(),
            timeouts,
            breakers: Mutex::new(LruCache::new(HOSTS_MAX)),
            rate_limits: RateLimits::new(clock.clone()),
            clock,
        }
    }

    pub(super) fn timeouts(&self) -> &UpstreamTimeouts {
        &self.timeouts
    }

    /// Sends a request, with retries.
    ///
    /// # Errors
    /// [`FetchError`] when the last attempt failed, or none was allowed.
    pub(super) async fn get(&self, get: Get<'_>) -> Result<Response, FetchError> {
        let key = RateLimitKey::of(get);
        self.rate_limits.check(&key)?;
        if get.credential.is_some_and(|credential| credential.api == Api::GitHub { is_speculative: true }) {
            self.rate_limits.check_speculative(&key)?;
        }
        let breaker = self.breaker(get);
        let permit = breaker.acquire().await.ok_or_else(|| FetchError::BreakerOpen(get.host()))?;
        // A request that was in flight meanwhile may have hit a rate limit.
        self.rate_limits.check(&key)?;
        let result = self.attempt_with_retries(get, &key).await;
        // A host that responds is up, whatever the response.
        permit.complete(!matches!(result, Err(AttemptError::Transient(_))));
        match result {
            Ok(response) => {
                self.rate_limits.clear(&key);
                Ok(response)
            }
            Err(AttemptError::RateLimited { cause, retry_after }) => {
                let until = self.rate_limits.record(&key, retry_after);
                Err(FetchError::RateLimited { until, cause })
            }
            Err(AttemptError::Transient(cause)) => Err(FetchError::Failed(cause)),
            Err(AttemptError::Final(error)) => Err(error),
        }
    }

    fn breaker(&self, get: Get<'_>) -> Arc<CircuitBreaker> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = breakers.get_or_insert(get.host(), || {
            let concurrency_max =
                if get.is_for_github() { GITHUB_CONCURRENCY_MAX } else { NUGET_CONCURRENCY_MAX };
            Arc::new(CircuitBreaker::new(concurrency_max, self.timeouts.breaker_open))
        });
        Arc::clone(breaker)
    }

    async fn attempt_with_retries(&self, get: Get<'_>, key: &RateLimitKey) -> Result<Response, AttemptError> {
        let is_retryable = |error: &AttemptError| match error {
            AttemptError::Transient(_) => true,
            // The rate limit is that of the whole token, so this request must wait like all others.
            AttemptError::RateLimited { retry_after, .. } => {
                !get.is_for_github() && retry_after.is_some_and(|wait| wait <= RETRY_AFTER_MAX)
            }
            AttemptError::Final(_) => false,
        };
        (|| self.attempt(get, key))
            .retry(self.backoff())
            .when(is_retryable)
            .adjust(|error, backoff| match error {
                AttemptError::RateLimited { retry_after: Some(wait), .. } => {
                    backoff.map(|backoff| backoff.max(*wait))
                }
                AttemptError::RateLimited { retry_after: None, .. }
                | AttemptError::Transient(_)
                | AttemptError::Final(_) => backoff,
            })
            .await
    }

    /// Full jitter: <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
    fn backoff(&self) -> impl BackoffBuilder {
        ExponentialBuilder::new()
            .with_min_delay(self.timeouts.first_backoff)
            .with_max_delay(BACKOFF_MAX)
            .with_max_times(RETRIES)
            .build()
            .map(|ceiling| ceiling.mul_f64(fastrand::f64()))
    }

    async fn attempt(&self, get: Get<'_>, key: &RateLimitKey) -> Result<Response, AttemptError> {
        let Get { redirects, .. } = get;
        let client = match redirects {
            Redirects::SameOrigin => &self.same_origin,
            Redirects::AnyHost => &self.any_host,
        };
        let client = client.get_or_try_init(async || self.build_client(redirects)).await?;
        let response = client.get(get.url.clone()).headers(get.headers()).send().await;
        let response = response.map_err(|error| transient(&error))?;
        self.rate_limits.record_quota(key, response.headers());
        Response::read(get, response, self.clock.now()).await
    }

    fn build_client(&self, redirects: Redirects) -> Result<Client, AttemptError> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(self.timeouts.connect)
            .read_timeout(self.timeouts.read)
            .timeout(self.timeouts.attempt)
            // A redirect that is not followed is a response like any other, and its status is an error.
            .redirect(Policy::custom(move |attempt| {
                let is_allowed =
                    attempt.previous().last().is_some_and(|from| redirects.allow(from, attempt.url()));
                let is_within_limit = attempt.previous().len() <= REDIRECTS_MAX;
                if is_allowed && is_within_limit { attempt.follow() } else { attempt.stop() }
            }))
            .build();
        client.map_err(|error| {
            AttemptError::Final(FetchError::Failed(format!("failed to set up TLS: {error}")))
        })
    }
}
