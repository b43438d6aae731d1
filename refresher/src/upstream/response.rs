//! The response of an upstream: its classification, and its body.

use std::error::Error;
use std::io::Read;
use std::time::Duration;

use badgesmith_aws::sdk::causes;
use badgesmith_domain::package_record::Validator;
use badgesmith_domain::timestamp::Timestamp;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use super::fetch::FetchError;
use super::request::{Api, Credential, Get};

/// The largest body, as sent and unpacked. A page of a registration has some hundred KB, unpacked a few MB.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
const PLAIN_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// How gzip data begins (RFC 1952, 2.3.1). nuget.org sends it without a `Content-Encoding` header.
const GZIP: [u8; 2] = [0x1f, 0x8b];

#[derive(Debug)]
pub(super) enum Response {
    NotModified,
    Found(Document),
    NotFound,
}

#[derive(Debug)]
pub(super) struct Document {
    /// The body as sent.
    body: Vec<u8>,
    /// The validator for the next request.
    pub(super) validator: Validator,
    /// The `Link` headers, as one list (RFC 9110, 5.3).
    pub(super) link: String,
}

#[derive(Debug)]
pub(super) enum AttemptError {
    /// Another attempt may succeed.
    Transient(String),
    RateLimited {
        cause: String,
        /// How long to wait, if the host announces it.
        retry_after: Option<Duration>,
    },
    /// Another attempt would also fail.
    Final(FetchError),
}

impl Response {
    /// Classifies a response, and reads its body.
    pub(super) async fn read(
        get: Get<'_>,
        response: reqwest::Response,
        now: Timestamp,
    ) -> Result<Self, AttemptError> {
        let status = response.status();
        let cause = format!("{} answered {status}", get.url);
        let failed = |cause| Err(AttemptError::Final(FetchError::Failed(cause)));
        match status {
            StatusCode::OK => Self::found(get, response).await,
            StatusCode::NOT_MODIFIED if get.validator.is_some_and(Validator::is_conditional) => {
                Ok(Self::NotModified)
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Self::NotFound),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                let headers = response.headers().clone();
                let body = read_body(response).await.unwrap_or_default();
                Err(classify_refusal(get, status, &headers, &body, now))
            }
            _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                Err(retry_after(response.headers(), &cause).unwrap_or(AttemptError::Transient(cause)))
            }
            _ if status.is_redirection() => failed(format!("{cause}, a redirect that is not followed")),
            _ => failed(cause),
        }
    }

    async fn found(get: Get<'_>, response: reqwest::Response) -> Result<Self, AttemptError> {
        let header = |name| text(response.headers(), name).map(str::to_owned);
        let validator = Validator {
            etag: header("etag"),
            last_modified: header("last-modified"),
            ..Validator::default()
        };
        let known = get.validator.and_then(|known| known.etag.as_deref());
        if known.is_some_and(|known| same_tag(known, validator.etag.as_deref())) {
            // Some caches ignore conditional requests: https://github.com/NuGet/NuGetGallery/issues/9175
            return Ok(Self::NotModified);
        }
        let links = response.headers().get_all("link").iter().filter_map(|value| value.to_str().ok());
        let link = links.collect::<Vec<_>>().join(", ");
        Ok(Self::Found(Document { body: read_body(response).await?, validator, link }))
    }
}

/// The error of a 401, 403 or 429. GitHub's 403 is a rate limit or a missing permission. Headers take precedence,
/// because a rate limit ends by itself:
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
fn classify_refusal(
    get: Get<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> AttemptError {
    let cause = format!("{} answered {status}", get.url);
    if status != StatusCode::UNAUTHORIZED {
        if let Some(limited) = retry_after(headers, &cause) {
            return limited;
        }
        if text(headers, "x-ratelimit-remaining") == Some("0") {
            return AttemptError::RateLimited { cause, retry_after: until_reset(headers, now) };
        }
        if status == StatusCode::TOO_MANY_REQUESTS || names_secondary_limit(body) {
            return AttemptError::RateLimited { cause, retry_after: None };
        }
    }
    match get.credential {
        None => {
            let cause = format!("{cause}; the feed requires credentials, and has none for this host");
            return AttemptError::Final(FetchError::Failed(cause));
        }
        Some(Credential { api: Api::Feed, .. }) => {
            let cause = format!("{cause}: the feed's credentials are invalid, or lack a permission");
            return AttemptError::Final(FetchError::Refused(cause));
        }
        Some(_) => {}
    }
    let hint = if headers.contains_key("x-github-sso") {
        "the token is not authorized for the organization's single sign-on"
    } else if status == StatusCode::UNAUTHORIZED {
        "the token is invalid or expired"
    } else {
        "the token lacks a permission; it needs the scope read:packages"
    };
    AttemptError::Final(FetchError::Refused(format!("{cause}: {hint}")))
}

/// Whether GitHub's message, or the documentation that it links to, names a secondary rate limit, which it once called
/// abuse detection. Enterprise servers still do.
fn names_secondary_limit(body: &[u8]) -> bool {
    let message = String::from_utf8_lossy(body).to_ascii_lowercase();
    ["secondary rate limit", "secondary-rate-limit", "abuse detection", "abuse-rate-limit"]
        .iter()
        .any(|wording| message.contains(wording))
}

/// The time until GitHub's primary rate limit is reset.
fn until_reset(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let seconds: i64 = text(headers, "x-ratelimit-reset")?.parse().ok()?;
    let reset = Timestamp::from_unix_milliseconds(seconds.saturating_mul(1000));
    // The clocks may differ by a moment.
    Some(reset.since(now) + Duration::from_secs(1))
}

impl Document {
    /// A document without a validator.
    pub(super) fn new(body: Vec<u8>) -> Self {
        Self { body, validator: Validator::default(), link: String::new() }
    }

    /// The document as JSON.
    ///
    /// # Errors
    /// [`FetchError::Failed`] when it is corrupt, too large, or has another shape.
    pub(super) fn json<T: DeserializeOwned>(&self, url: &Url) -> Result<T, FetchError> {
        let malformed = |cause: &dyn Error| FetchError::Failed(format!("malformed document {url}: {cause}"));
        if !self.body.starts_with(&GZIP) {
            return serde_json::from_slice(without_mark(&self.body)).map_err(|error| malformed(&error));
        }
        // Unpacked in full, because serde_json parses a slice several times as fast as a stream. There is no await
        // meanwhile, so each thread has one such buffer at a time.
        let mut plain = Vec::new();
        let mut unpacked = MultiGzDecoder::new(self.body.as_slice()).take(PLAIN_BYTES_MAX + 1);
        unpacked.read_to_end(&mut plain).map_err(|error| malformed(&error))?;
        if plain.len() as u64 > PLAIN_BYTES_MAX {
            return Err(FetchError::Failed(format!("{url} unpacks to more than {PLAIN_BYTES_MAX} bytes")));
        }
        serde_json::from_slice(without_mark(&plain)).map_err(|error| malformed(&error))
    }
}

/// The text after a byte order mark, which a parser may ignore (RFC 8259, 8.1). Feeds made with Windows tools have one.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

async fn read_body(mut response: reqwest::Response) -> Result<Vec<u8>, AttemptError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transient(&error))? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            let cause = format!("{} has more than {BODY_BYTES_MAX} bytes", response.url());
            return Err(AttemptError::Final(FetchError::Failed(cause)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A connection that failed, broke, or timed out.
pub(super) fn transient(error: &reqwest::Error) -> AttemptError {
    AttemptError::Transient(causes(error))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether two entity tags are equal by the weak comparison (RFC 9110, 8.8.3.2).
fn same_tag(known: &str, tag: Option<&str>) -> bool {
    fn opaque(tag: &str) -> &str {
        tag.strip_prefix("W/").unwrap_or(tag)
    }
    tag.is_some_and(|tag| opaque(tag) == opaque(known))
}

/// The rate limit that a `Retry-After` header announces (RFC 9110, 10.2.3). A date counts as an unknown time.
fn retry_after(headers: &HeaderMap, cause: &str) -> Option<AttemptError> {
    let value = headers.get("retry-after")?;
    let seconds = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let retry_after = seconds.map(Duration::from_secs);
    Some(AttemptError::RateLimited { cause: cause.to_owned(), retry_after })
}
