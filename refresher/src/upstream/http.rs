//! Requests upstream: conditional, bounded in time and size, tried again, and spared to a host that fails.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use badgesmith_shared::clock::Clock;
use badgesmith_shared::package_record::Validator;
use badgesmith_shared::timestamp::Timestamp;
use flate2::read::MultiGzDecoder;
use http::header::{self, HeaderMap, HeaderName};
use http::{HeaderValue, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use url::Url;

use super::FetchError;
use super::host::Host;
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
/// Where a limit has no end: at least a minute, as GitHub asks for.
const LIMITED_FOR: Duration = Duration::from_mins(1);
/// However long a limit is said to last, it is tried again after this long.
const LIMITED_MAX: Duration = Duration::from_hours(1);
const REDIRECTS_MAX: usize = 5;
/// The largest body as it is sent, and unpacked. A page of a registration has some hundred KB, unpacked a few MB.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
const PLAIN_BYTES_MAX: u64 = 32 * 1024 * 1024;

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
            answer: Duration::from_secs(15),
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
    /// Until when whom (a host, and a secret where one is used) wants to be left alone.
    limits: Mutex<HashMap<(String, Option<String>), Timestamp>>,
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Get<'a> {
    /// What.
    pub(crate) url: &'a Url,
    /// What is known of it.
    pub(crate) validator: Option<&'a Validator>,
    /// For GitHub.
    pub(crate) token: Option<&'a Token>,
}

/// What a host answers, if it works.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The same as before.
    Unchanged,
    /// A document.
    Found(Document),
    /// There is none.
    Missing,
}

/// A document, as it was sent.
#[derive(Debug)]
pub(crate) struct Document {
    body: Vec<u8>,
    /// What to ask with next time.
    pub(crate) validator: Validator,
    /// The `Link` header.
    pub(crate) link: Option<String>,
}

/// Why a try failed.
#[derive(Debug)]
enum TryError {
    /// Another may succeed, not before some time if the host says so.
    Transient { cause: String, wait: Option<Duration> },
    /// Another would not.
    Final(FetchError),
}

impl Http {
    pub(crate) fn new(patience: Patience, clock: Clock) -> Self {
        Self { client: OnceCell::new(), clock, patience, hosts: Mutex::default(), limits: Mutex::default() }
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
        let limit = (name.clone(), get.token.map(|token| token.secret_id.clone()));
        self.check(&limit)?;
        let host = self.host(&name, get.token.is_some());
        let turn = host.turn().await.ok_or_else(|| FetchError::BreakerOpen(name.clone()))?;
        // Whoever had the turn before may have met a limit.
        self.check(&limit)?;
        let result = (|| self.attempt(get))
            .retry(self.backoff())
            .when(|error| match error {
                TryError::Transient { wait, .. } => wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX),
                TryError::Final(_) => false,
            })
            .adjust(|error, backoff| match error {
                TryError::Transient { wait: Some(wait), .. } => backoff.map(|backoff| backoff.max(*wait)),
                TryError::Transient { wait: None, .. } | TryError::Final(_) => backoff,
            })
            .await;
        match result {
            Ok(reply) => {
                turn.end(true);
                Ok(reply)
            }
            Err(TryError::Transient { cause, wait: Some(wait) }) => {
                turn.end(true);
                let until = self.clock.now().plus(wait.min(LIMITED_MAX));
                self.limits.lock().unwrap_or_else(PoisonError::into_inner).insert(limit, until);
                Err(FetchError::Limited { until, cause })
            }
            Err(TryError::Transient { cause, wait: None }) => {
                turn.end(false);
                Err(FetchError::Failed(cause))
            }
            Err(TryError::Final(error)) => {
                turn.end(true);
                Err(error)
            }
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

    fn check(&self, limit: &(String, Option<String>)) -> Result<(), FetchError> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        limits.retain(|_, until| now < *until);
        match limits.get(limit) {
            Some(until) => {
                Err(FetchError::Limited { until: *until, cause: format!("{} limits us", limit.0) })
            }
            None => Ok(()),
        }
    }

    async fn attempt(&self, get: Get<'_>) -> Result<Reply, TryError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if let Some(Validator { etag, last_modified, .. }) = get.validator {
            insert(&mut headers, header::IF_NONE_MATCH, etag.as_deref());
            insert(&mut headers, header::IF_MODIFIED_SINCE, last_modified.as_deref());
        }
        if let Some(token) = get.token {
            headers.insert(header::ACCEPT, HeaderValue::from_static(GITHUB_JSON));
            let version = HeaderValue::from_static(GITHUB_API_VERSION);
            headers.insert("x-github-api-version", version);
            headers.insert(header::AUTHORIZATION, token.authorization.clone());
        }
        let client = self.client.get_or_try_init(async || self.build_client()).await?;
        let response = client.get(get.url.clone()).headers(headers).send().await;
        let response = response.map_err(|error| transient(&error))?;
        self.read(get, response).await
    }

    /// Makes of a status what it means. GitHub's 403 means a limit, or that the token may not, told apart by
    /// headers first, since a limit is over in a while:
    /// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
    async fn read(&self, get: Get<'_>, response: Response) -> Result<Reply, TryError> {
        let status = response.status();
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let cause = format!("{} answered {status}", get.url);
        match status {
            StatusCode::NOT_MODIFIED if get.validator.is_some_and(Validator::is_conditional) => {
                Ok(Reply::Unchanged)
            }
            StatusCode::OK => {
                let validator = Validator {
                    etag: header("etag"),
                    last_modified: header("last-modified"),
                    commit: None,
                    next: None,
                };
                let known = get.validator.and_then(|known| known.etag.as_deref());
                if known.is_some_and(|known| same_tag(known, validator.etag.as_deref())) {
                    // Some caches do not know about conditional requests:
                    // https://github.com/NuGet/NuGetGallery/issues/9175
                    return Ok(Reply::Unchanged);
                }
                let link = header("link");
                let body = read_body(response).await?;
                Ok(Reply::Found(Document { body, validator, link }))
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Reply::Missing),
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                let now = self.clock.now();
                let wait = header("retry-after").and_then(|text| retry_after(&text));
                let spent = header("x-ratelimit-remaining").as_deref() == Some("0");
                let reset = header("x-ratelimit-reset").and_then(|text| text.parse::<i64>().ok());
                let reset =
                    reset.map(|seconds| Timestamp::from_unix_milliseconds(seconds.saturating_mul(1000)));
                let sso = header("x-github-sso").is_some();
                let body = read_body(response).await.unwrap_or_default();
                let secondary = String::from_utf8_lossy(&body).contains("secondary rate limit");
                if let Some(wait) = wait {
                    Err(TryError::Transient { cause, wait: Some(wait) })
                } else if spent {
                    let wait =
                        reset.map_or(LIMITED_FOR, |reset| reset.since(now)).max(Duration::from_secs(1));
                    Err(TryError::Transient { cause, wait: Some(wait.max(RETRY_AFTER_MAX * 2)) })
                } else if secondary || status == StatusCode::TOO_MANY_REQUESTS {
                    Err(TryError::Transient { cause, wait: Some(LIMITED_FOR) })
                } else {
                    let hint =
                        if sso { ": the token is not authorised for the organisation's SSO" } else { "" };
                    Err(TryError::Final(FetchError::Refused(format!("{cause}{hint}"))))
                }
            }
            StatusCode::UNAUTHORIZED => Err(TryError::Final(FetchError::Refused(cause))),
            StatusCode::REQUEST_TIMEOUT => Err(TryError::Transient { cause, wait: None }),
            _ if status.is_server_error() => {
                let wait = header("retry-after").and_then(|text| retry_after(&text));
                Err(TryError::Transient { cause, wait })
            }
            _ if status.is_redirection() => {
                let cause =
                    format!("{cause}, a redirect that is not followed: to another host, or one too many");
                Err(TryError::Final(FetchError::Failed(cause)))
            }
            _ => Err(TryError::Final(FetchError::Failed(cause))),
        }
    }
}

impl Document {
    /// The document as JSON, unpacked on the way: it is never in memory as a whole.
    ///
    /// # Errors
    /// [`FetchError::Failed`] when it is broken, too large, or not as expected.
    pub(crate) fn json<T: DeserializeOwned>(&self, url: &Url) -> Result<T, FetchError> {
        let is_gzip = self.body.starts_with(&[0x1f, 0x8b]);
        let parsed = if is_gzip {
            // Read to its end and one byte further, so that its checksum is looked at, and its size.
            let mut plain = MultiGzDecoder::new(self.body.as_slice()).take(PLAIN_BYTES_MAX);
            let parsed = serde_json::from_reader(BufReader::with_capacity(64 * 1024, &mut plain));
            if plain.limit() == 0 {
                return Err(FetchError::Failed(format!(
                    "{url} unpacks to more than {PLAIN_BYTES_MAX} bytes"
                )));
            }
            parsed
        } else {
            serde_json::from_slice(&self.body)
        };
        parsed.map_err(|error| FetchError::Failed(format!("{url} is not as expected: {error}")))
    }
}

/// The host of a URL with its port, as circuit breakers and limits know it.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, TryError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transient(&error))? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            let cause = format!("{} has more than {BODY_BYTES_MAX} bytes", response.url());
            return Err(TryError::Final(FetchError::Failed(cause)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(name, value);
    }
}

/// A connection that failed, broke, or took too long. The chain of causes says which.
fn transient(error: &reqwest::Error) -> TryError {
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        cause.push_str(": ");
        cause.push_str(&error.to_string());
        source = error.source();
    }
    TryError::Transient { cause, wait: None }
}

/// Whether two entity tags are the same document: the weak comparison (RFC 9110, 8.8.3.2).
fn same_tag(known: &str, tag: Option<&str>) -> bool {
    let opaque = |tag: &'_ str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    tag.is_some_and(|tag| opaque(tag) == opaque(known))
}

/// The seconds of a `Retry-After` (RFC 9110, 10.2.3). None of the upstreams sends the form with a date; that
/// is taken for none.
fn retry_after(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}
