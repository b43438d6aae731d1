//! Requests upstream: conditional, bounded in time and size, tried again, and spared to a host that fails.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use badgesmith_aws::clock::Clock;
use badgesmith_domain::package_record::Validator;
use badgesmith_domain::timestamp::Timestamp;
use http::HeaderValue;
use http::header::{self, HeaderMap, HeaderName};
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::sync::OnceCell;
use url::Url;

use super::FetchError;
use super::host::Host;
use super::reply::{Reply, TryError, transient};
use crate::tokens::Token;

/// Requests that one host gets at once. GitHub's limit is 100 for all that use a token, and it asks for far fewer:
/// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>
const GITHUB_AT_ONCE_MAX: usize = 8;
const NUGET_AT_ONCE_MAX: usize = 32;
/// Tries after the first.
const RETRIES: usize = 3;
/// Between two tries, before jitter.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A host that asks for more patience than this before the next try is asked another time.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
/// A limit without an end lasts a minute, twice as long each time it is met again, as GitHub asks for.
const LIMITED_FOR: Duration = Duration::from_mins(1);
/// However long a limit is said to last, it is tried again after this long.
const LIMITED_MAX: Duration = Duration::from_hours(1);
const REDIRECTS_MAX: usize = 5;

const USER_AGENT: &str = concat!("badgesmith/", env!("CARGO_PKG_VERSION"));
const GITHUB_JSON: &str = "application/vnd.github+json";
const GITHUB_API_VERSION: &str = "2022-11-28";

/// How patient the refresher is with its upstreams.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the next piece of an answer.
    pub read: Duration,
    /// For a whole answer, of one try.
    pub answer: Duration,
    /// Before the second try, at most; doubled before each other.
    pub first_backoff: Duration,
    /// A host that failed three times in a row is left alone for so long.
    pub breaker_open: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            read: Duration::from_secs(5),
            answer: Duration::from_secs(10),
            first_backoff: Duration::from_millis(200),
            breaker_open: Duration::from_mins(1),
        }
    }
}

/// The client of all upstreams.
#[derive(Debug)]
pub(crate) struct Http {
    /// Made with the first request: it reads the system's certificates.
    client: OnceCell<Client>,
    clock: Clock,
    patience: Patience,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    limits: Mutex<HashMap<Limited, Limit>>,
    /// What is left to whom.
    quotas: Mutex<HashMap<Limited, Quota>>,
}

/// Who sets a limit, and to whom: a host, and the secret that is used there.
type Limited = (String, Option<String>);

/// A limit that was met, and no answer since.
#[derive(Debug, Clone, Copy)]
struct Limit {
    until: Timestamp,
    /// How often in a row.
    times: u32,
}

/// What GitHub has said of a token's limit:
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#checking-the-status-of-your-rate-limit>
#[derive(Debug, Clone, Copy)]
struct Quota {
    limit: u64,
    remaining: u64,
    reset: Timestamp,
}

impl Quota {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
        let reset = i64::try_from(number("x-ratelimit-reset")?).ok()?.saturating_mul(1000);
        Some(Self {
            limit: number("x-ratelimit-limit")?,
            remaining: number("x-ratelimit-remaining")?,
            reset: Timestamp::from_unix_milliseconds(reset),
        })
    }
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Get<'a> {
    /// What.
    pub(crate) url: &'a Url,
    /// What is known of it.
    pub(crate) validator: Option<&'a Validator>,
    /// For GitHub.
    pub(crate) credential: Option<Credential<'a>>,
}

/// On whose behalf GitHub is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credential<'a> {
    /// The token.
    pub(crate) token: &'a Token,
    /// It is about a name that may be invented: half of the token's limit is kept for the others.
    pub(crate) is_speculative: bool,
}

impl Http {
    pub(crate) fn new(patience: Patience, clock: Clock) -> Self {
        Self {
            client: OnceCell::new(),
            clock,
            patience,
            hosts: Mutex::default(),
            limits: Mutex::default(),
            quotas: Mutex::default(),
        }
    }

    fn build_client(&self) -> Result<Client, TryError> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(self.patience.connect)
            .read_timeout(self.patience.read)
            .timeout(self.patience.answer)
            // What is not followed is an answer like any other, and its status an error.
            .redirect(Policy::custom(|attempt| {
                let same = attempt.previous().first().map(Url::origin) == Some(attempt.url().origin());
                let few = attempt.previous().len() <= REDIRECTS_MAX;
                if same && few { attempt.follow() } else { attempt.stop() }
            }))
            .build();
        client.map_err(|error| TryError::Final(FetchError::Failed(format!("no TLS is to be had: {error}"))))
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// [`FetchError`] after all retries; nothing may be concluded then.
    pub(crate) async fn get(&self, get: Get<'_>) -> Result<Reply, FetchError> {
        let name = host_of(get.url);
        let limited = (name.clone(), get.credential.map(|credential| credential.token.secret_id.clone()));
        self.check(&limited)?;
        if get.credential.is_some_and(|credential| credential.is_speculative) {
            self.check_quota(&limited)?;
        }
        let host = self.host(&name, get.credential.is_some());
        let turn = host.turn().await.ok_or_else(|| FetchError::BreakerOpen(name.clone()))?;
        // Whoever had the turn before may have met a limit.
        self.check(&limited)?;
        let result = (|| self.attempt(get, &limited))
            .retry(self.backoff())
            .when(|error| match error {
                TryError::Transient(_) => true,
                // Who uses a token must not go on beside those that wait.
                TryError::Limited { wait, .. } => {
                    get.credential.is_none() && wait.is_some_and(|wait| wait <= RETRY_AFTER_MAX)
                }
                TryError::Final(_) => false,
            })
            .adjust(|error, backoff| match error {
                TryError::Limited { wait: Some(wait), .. } => backoff.map(|backoff| backoff.max(*wait)),
                TryError::Limited { wait: None, .. } | TryError::Transient(_) | TryError::Final(_) => backoff,
            })
            .await;
        // A host that answers works, whatever it says.
        turn.end(!matches!(result, Err(TryError::Transient(_))));
        match result {
            Ok(reply) => {
                let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
                // It may have been sent before the limit was met.
                if limits.get(&limited).is_some_and(|limit| limit.until <= self.clock.now()) {
                    limits.remove(&limited);
                }
                Ok(reply)
            }
            Err(TryError::Limited { cause, wait }) => {
                let until = self.limit(limited, wait);
                Err(FetchError::Limited { until, cause })
            }
            Err(TryError::Transient(cause)) => Err(FetchError::Failed(cause)),
            Err(TryError::Final(error)) => Err(error),
        }
    }

    /// Full jitter: <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
    fn backoff(&self) -> impl BackoffBuilder {
        ExponentialBuilder::new()
            .with_min_delay(self.patience.first_backoff)
            .with_max_delay(BACKOFF_MAX)
            .with_max_times(RETRIES)
            .build()
            .map(|ceiling| ceiling.mul_f64(fastrand::f64()))
    }

    fn host(&self, name: &str, is_github: bool) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(name.to_owned()).or_insert_with(|| {
            let at_once_max = if is_github { GITHUB_AT_ONCE_MAX } else { NUGET_AT_ONCE_MAX };
            Arc::new(Host::new(at_once_max, self.patience.breaker_open))
        });
        Arc::clone(host)
    }

    fn check(&self, limited: &Limited) -> Result<(), FetchError> {
        let limit = self.limits.lock().unwrap_or_else(PoisonError::into_inner).get(limited).copied();
        match limit {
            Some(Limit { until, .. }) if self.clock.now() < until => {
                Err(FetchError::Limited { until, cause: format!("{} limits us", limited.0) })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_quota(&self, limited: &Limited) -> Result<(), FetchError> {
        let quota = self.quotas.lock().unwrap_or_else(PoisonError::into_inner).get(limited).copied();
        match quota {
            Some(Quota { limit, remaining, reset }) if remaining < limit / 2 && self.clock.now() < reset => {
                let cause = "half of the token's limit is kept for packages that exist".to_owned();
                Err(FetchError::Limited { until: reset, cause })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Notes a limit, and returns its end.
    fn limit(&self, limited: Limited, wait: Option<Duration>) -> Timestamp {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let limit = limits.entry(limited).or_insert(Limit { until: now, times: 0 });
        // Those who were on their way when the limit was met meet the same one.
        if limit.until <= now {
            limit.times = limit.times.saturating_add(1);
        }
        let unannounced = LIMITED_FOR.saturating_mul(2_u32.saturating_pow(limit.times - 1));
        limit.until = limit.until.max(now.plus(wait.unwrap_or(unannounced).min(LIMITED_MAX)));
        limit.until
    }

    async fn attempt(&self, get: Get<'_>, limited: &Limited) -> Result<Reply, TryError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if let Some(Validator { etag, last_modified, .. }) = get.validator {
            insert(&mut headers, header::IF_NONE_MATCH, etag.as_deref());
            insert(&mut headers, header::IF_MODIFIED_SINCE, last_modified.as_deref());
        }
        if let Some(Credential { token, .. }) = get.credential {
            headers.insert(header::ACCEPT, HeaderValue::from_static(GITHUB_JSON));
            let version = HeaderValue::from_static(GITHUB_API_VERSION);
            headers.insert("x-github-api-version", version);
            headers.insert(header::AUTHORIZATION, token.authorization.clone());
        }
        let client = self.client.get_or_try_init(async || self.build_client()).await?;
        let response = client.get(get.url.clone()).headers(headers).send().await;
        let response = response.map_err(|error| transient(&error))?;
        if let Some(quota) = Quota::of(response.headers()) {
            self.quotas.lock().unwrap_or_else(PoisonError::into_inner).insert(limited.clone(), quota);
        }
        Reply::read(get, response, self.clock.now()).await
    }
}

/// The host of a URL with its port, as circuit breakers and limits know it.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(name, value);
    }
}
