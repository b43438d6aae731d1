//! What an upstream's answer means.

use std::error::Error;
use std::io::Read;
use std::time::Duration;

use badgesmith_aws::sdk::causes;
use badgesmith_domain::package_record::Validator;
use badgesmith_domain::timestamp::Timestamp;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, StatusCode};
use reqwest::Response;
use serde::de::DeserializeOwned;
use url::Url;

use super::FetchError;
use super::http::Get;

/// The largest body as it is sent, and unpacked. A page of a registration has some hundred KB, unpacked a few MB.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
const PLAIN_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// What gzip begins with (RFC 1952, 2.3.1). The header is not asked: nuget.org's hive is always packed.
const GZIP: [u8; 2] = [0x1f, 0x8b];

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
pub(super) enum TryError {
    /// Another may succeed.
    Transient(String),
    /// The host wants to be left alone, perhaps for a known time.
    Limited {
        /// What it said.
        cause: String,
        /// For how long, if it said so.
        wait: Option<Duration>,
    },
    /// Another would not succeed.
    Final(FetchError),
}

impl Reply {
    /// Reads an answer.
    pub(super) async fn read(get: Get<'_>, response: Response, now: Timestamp) -> Result<Self, TryError> {
        let status = response.status();
        let cause = format!("{} answered {status}", get.url);
        let failed = |cause| Err(TryError::Final(FetchError::Failed(cause)));
        match status {
            StatusCode::OK => Self::found(get, response).await,
            StatusCode::NOT_MODIFIED if get.validator.is_some_and(Validator::is_conditional) => {
                Ok(Self::Unchanged)
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Self::Missing),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                let headers = response.headers().clone();
                let body = read_body(response).await.unwrap_or_default();
                Err(refusal(get, status, &headers, &body, now))
            }
            _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                Err(limit(response.headers(), &cause).unwrap_or(TryError::Transient(cause)))
            }
            _ if status.is_redirection() => {
                failed(format!("{cause}, a redirect that is not followed: to another host, or one too many"))
            }
            _ => failed(cause),
        }
    }

    async fn found(get: Get<'_>, response: Response) -> Result<Self, TryError> {
        let header = |name| text(response.headers(), name).map(str::to_owned);
        let validator = Validator {
            etag: header("etag"),
            last_modified: header("last-modified"),
            ..Validator::default()
        };
        let known = get.validator.and_then(|known| known.etag.as_deref());
        if known.is_some_and(|known| same_tag(known, validator.etag.as_deref())) {
            // Some caches do not know about conditional requests:
            // https://github.com/NuGet/NuGetGallery/issues/9175
            return Ok(Self::Unchanged);
        }
        let link = header("link");
        Ok(Self::Found(Document { body: read_body(response).await?, validator, link }))
    }
}

/// Makes of a refusal what it means. GitHub's 403 is a limit, or says that the token may not, told apart by
/// headers first, since a limit is over in a while:
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
fn refusal(get: Get<'_>, status: StatusCode, headers: &HeaderMap, body: &[u8], now: Timestamp) -> TryError {
    let cause = format!("{} answered {status}", get.url);
    let may_be_limit = status != StatusCode::UNAUTHORIZED;
    if may_be_limit && let Some(limited) = limit(headers, &cause) {
        return limited;
    }
    if may_be_limit && text(headers, "x-ratelimit-remaining") == Some("0") {
        let reset = text(headers, "x-ratelimit-reset").and_then(|text| text.parse::<i64>().ok());
        let reset = reset.map(|seconds| Timestamp::from_unix_milliseconds(seconds.saturating_mul(1000)));
        // Clocks differ by a moment.
        let wait = reset.map(|reset| reset.since(now) + Duration::from_secs(1));
        return TryError::Limited { cause, wait };
    }
    let is_secondary = String::from_utf8_lossy(body).contains("secondary rate limit");
    if status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::FORBIDDEN && is_secondary) {
        return TryError::Limited { cause, wait: None };
    }
    if get.credential.is_none() {
        let cause = format!("{cause}; feeds that want credentials are not supported");
        return TryError::Final(FetchError::Failed(cause));
    }
    let hint = if headers.contains_key("x-github-sso") {
        "the token is not authorised for the organisation's single sign-on"
    } else if status == StatusCode::UNAUTHORIZED {
        "the token is not accepted; has it expired?"
    } else {
        "the token may not; has it the scope read:packages?"
    };
    TryError::Final(FetchError::Refused(format!("{cause}: {hint}")))
}

impl Document {
    /// The document as JSON.
    ///
    /// # Errors
    /// [`FetchError::Failed`] when it is broken, too large, or not as expected.
    pub(crate) fn json<T: DeserializeOwned>(&self, url: &Url) -> Result<T, FetchError> {
        let broken = |cause: &dyn Error| FetchError::Failed(format!("{url} is not as expected: {cause}"));
        let mut plain = Vec::new();
        let plain = if self.body.starts_with(&GZIP) {
            // As a whole, since it is parsed several times as fast as a stream. Nothing is awaited meanwhile, so
            // that each thread has one of these at a time.
            let mut unpacked = MultiGzDecoder::new(self.body.as_slice()).take(PLAIN_BYTES_MAX + 1);
            unpacked.read_to_end(&mut plain).map_err(|error| broken(&error))?;
            if plain.len() as u64 > PLAIN_BYTES_MAX {
                return Err(FetchError::Failed(format!(
                    "{url} unpacks to more than {PLAIN_BYTES_MAX} bytes"
                )));
            }
            &plain
        } else {
            &self.body
        };
        serde_json::from_slice(plain).map_err(|error| broken(&error))
    }
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

/// A connection that failed, broke, or took too long. The chain of causes says which.
pub(super) fn transient(error: &reqwest::Error) -> TryError {
    TryError::Transient(causes(error))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether two entity tags are the same document: the weak comparison (RFC 9110, 8.8.3.2).
fn same_tag(known: &str, tag: Option<&str>) -> bool {
    fn opaque(tag: &str) -> &str {
        tag.strip_prefix("W/").unwrap_or(tag)
    }
    tag.is_some_and(|tag| opaque(tag) == opaque(known))
}

/// What a `Retry-After` says (RFC 9110, 10.2.3), if there is one. Its other form, a date, is taken for a time that
/// is not known.
fn limit(headers: &HeaderMap, cause: &str) -> Option<TryError> {
    let value = headers.get("retry-after")?;
    let seconds = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    Some(TryError::Limited { cause: cause.to_owned(), wait: seconds.map(Duration::from_secs) })
}
