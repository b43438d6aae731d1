//! The rate limits that upstreams impose on us.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_domain::timestamp::Timestamp;
use http::header::HeaderMap;
use lru::LruCache;

use super::fetch::FetchError;
use super::request::Get;

/// A rate limit without an end lasts a minute, doubled each time it is hit again in a row, as GitHub recommends:
/// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>
const UNANNOUNCED_PERIOD: Duration = Duration::from_mins(1);
/// Requests resume after at most this long, even if an upstream announces a longer rate limit.
const PERIOD_MAX: Duration = Duration::from_hours(1);

/// The maximum number of hosts that are remembered. A feed may name any host, so those that were not used for the
/// longest time are forgotten.
pub(super) const HOSTS_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The key by which an upstream counts requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RateLimitKey {
    host: String,
    /// The id of the secret whose token is sent.
    secret: Option<String>,
}

/// A rate limit, from the response that announced it until a later request succeeds.
#[derive(Debug, Clone, Copy)]
struct RateLimit {
    until: Timestamp,
    /// How many times in a row it was hit.
    count: u32,
}

/// What is left of a token's rate limit, as GitHub reports it:
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#checking-the-status-of-your-rate-limit>
#[derive(Debug, Clone, Copy)]
struct Quota {
    limit: u64,
    remaining: u64,
    reset: Timestamp,
}

#[derive(Debug)]
pub(super) struct RateLimits {
    clock: Clock,
    limits: Mutex<LruCache<RateLimitKey, RateLimit>>,
    quotas: Mutex<LruCache<RateLimitKey, Quota>>,
}

impl RateLimitKey {
    pub(super) fn of(get: Get<'_>) -> Self {
        let secret = get.credential.map(|credential| credential.token.secret_id.clone());
        Self { host: get.host(), secret }
    }
}

impl RateLimits {
    pub(super) fn new(clock: Clock) -> Self {
        let (limits, quotas) = (LruCache::new(HOSTS_MAX), LruCache::new(HOSTS_MAX));
        Self { clock, limits: Mutex::new(limits), quotas: Mutex::new(quotas) }
    }

    /// # Errors
    /// [`FetchError::RateLimited`] while a rate limit lasts.
    pub(super) fn check(&self, key: &RateLimitKey) -> Result<(), FetchError> {
        let limit = self.limits.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied();
        match limit {
            Some(RateLimit { until, .. }) if self.clock.now() < until => {
                let cause = format!("no request was sent to {}", key.host);
                Err(FetchError::RateLimited { until, cause })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// # Errors
    /// [`FetchError::RateLimited`] when less than half of the token's quota is left.
    pub(super) fn check_speculative(&self, key: &RateLimitKey) -> Result<(), FetchError> {
        let quota = self.quotas.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied();
        match quota {
            Some(Quota { limit, remaining, reset }) if remaining < limit / 2 && self.clock.now() < reset => {
                let cause = "the rest of the token's quota is reserved for packages that exist".to_owned();
                Err(FetchError::RateLimited { until: reset, cause })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Records a rate limit that a response announced, and returns its end.
    pub(super) fn record(&self, key: &RateLimitKey, retry_after: Option<Duration>) -> Timestamp {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let limit = limits.get_or_insert_mut(key.clone(), || RateLimit { until: now, count: 0 });
        // Requests that were in flight when the limit began hit the same one.
        if limit.until <= now {
            limit.count = limit.count.saturating_add(1);
        }
        let unannounced = UNANNOUNCED_PERIOD.saturating_mul(2_u32.saturating_pow(limit.count - 1));
        let period = retry_after.unwrap_or(unannounced).min(PERIOD_MAX);
        limit.until = limit.until.max(now.plus(period));
        limit.until
    }

    /// Records the token's quota from a response.
    pub(super) fn record_quota(&self, key: &RateLimitKey, headers: &HeaderMap) {
        if let Some(quota) = Quota::parse(headers) {
            self.quotas.lock().unwrap_or_else(PoisonError::into_inner).put(key.clone(), quota);
        }
    }

    /// Forgets a rate limit after a successful request, unless it began while the request was in flight.
    pub(super) fn clear(&self, key: &RateLimitKey) {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if limits.get(key).is_some_and(|limit| limit.until <= self.clock.now()) {
            limits.pop(key);
        }
    }
}

impl Quota {
    fn parse(headers: &HeaderMap) -> Option<Self> {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
        let reset = i64::try_from(number("x-ratelimit-reset")?).ok()?.saturating_mul(1000);
        Some(Self {
            limit: number("x-ratelimit-limit")?,
            remaining: number("x-ratelimit-remaining")?,
            reset: Timestamp::from_unix_milliseconds(reset),
        })
    }
}
