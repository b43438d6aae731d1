//! Responses: cache policy, entity tags, and CORS.

use std::fmt::Display;

use badgesmith_api::error_response::ErrorResponse;
use badgesmith_api::http::{Request, Response};
use badgesmith_api::route::BadgeFormat;
use badgesmith_aws::metrics::Metric;
use badgesmith_domain::badge::{Badge, Subject};
use badgesmith_domain::svg::{self, Style};
use badgesmith_domain::timestamp::Timestamp;
use http::{StatusCode, header};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// How soon a client may retry while DynamoDB fails.
const RETRY_AFTER_SECONDS: &str = "1";

/// The `Cache-Control` of a response (RFC 9111; the stale directives are RFC 5861's).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    /// Test results, which caches may serve stale for a day while the service fails.
    TestResults,
    /// Versions of packages, which change less often.
    Packages,
    /// A response that the next result changes. CloudFront may serve it stale while the service fails, as any response.
    Brief,
    /// A package that is being looked up, or whose first lookup failed.
    Pending,
    /// A file whose address changes with its content.
    Immutable,
    /// DynamoDB fails.
    Unavailable,
}

impl CachePolicy {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::TestResults => {
                "public, max-age=30, s-maxage=30, stale-while-revalidate=30, stale-if-error=86400"
            }
            Self::Packages => {
                "public, max-age=120, s-maxage=120, stale-while-revalidate=600, stale-if-error=86400"
            }
            Self::Brief => "public, max-age=30, s-maxage=30",
            Self::Pending => "public, max-age=5, s-maxage=5",
            Self::Immutable => "public, max-age=31536000, immutable",
            Self::Unavailable => "no-store",
        }
    }
}

/// A badge, and how caches may keep it.
#[derive(Debug)]
pub(crate) struct BadgeAnswer {
    badge: Badge,
    policy: CachePolicy,
    last_modified: Option<Timestamp>,
}

impl BadgeAnswer {
    pub(crate) fn new(badge: Badge, policy: CachePolicy) -> Self {
        Self { badge, policy, last_modified: None }
    }

    pub(crate) fn modified(self, timestamp: Timestamp) -> Self {
        Self { last_modified: Some(timestamp), ..self }
    }

    /// The badge while DynamoDB fails.
    pub(crate) fn unavailable(subject: Subject) -> Self {
        Metric::BadgesUnavailable.count(1);
        Self::new(Badge::unavailable(subject), CachePolicy::Unavailable)
    }
}

/// The badge in `format`. Only a 5xx makes the CDN serve the good copy that it may have (`stale-if-error`).
pub(crate) fn badge(request: Request<'_>, format: BadgeFormat, answer: BadgeAnswer) -> Response {
    let BadgeAnswer { badge, policy, last_modified } = answer;
    let (text, response): (_, fn(StatusCode, String) -> Response) = match format {
        BadgeFormat::Json => (to_json(&badge), Response::json_text),
        BadgeFormat::Svg => {
            let query = request.query();
            (svg::draw(&badge, &Style::parse(|name| query.get_or_empty(name))), Response::svg)
        }
    };
    if policy == CachePolicy::Unavailable {
        return response(StatusCode::SERVICE_UNAVAILABLE, text)
            .header(header::CACHE_CONTROL, policy.as_str())
            .header(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    cached(request, text, response, policy, last_modified)
}

/// `body` as JSON.
pub(crate) fn json(
    request: Request<'_>,
    body: &impl Serialize,
    policy: CachePolicy,
    last_modified: Option<Timestamp>,
) -> Response {
    cached(request, to_json(body), Response::json_text, policy, last_modified)
}

/// A page that caches may keep.
pub(crate) fn page(
    request: Request<'_>,
    text: String,
    policy: CachePolicy,
    last_modified: Option<Timestamp>,
) -> Response {
    cached(request, text, Response::html, policy, last_modified)
}

/// A page with the status 404.
pub(crate) fn page_not_found(text: String) -> Response {
    Response::html(StatusCode::NOT_FOUND, text).header(header::CACHE_CONTROL, CachePolicy::Brief.as_str())
}

/// A page that says what is wrong with the request, with the status 400.
pub(crate) fn page_invalid(text: String) -> Response {
    Response::html(StatusCode::BAD_REQUEST, text).header(header::CACHE_CONTROL, "no-store")
}

/// The page while DynamoDB fails.
pub(crate) fn page_unavailable(text: String) -> Response {
    Response::html(StatusCode::SERVICE_UNAVAILABLE, text)
        .header(header::CACHE_CONTROL, CachePolicy::Unavailable.as_str())
        .header(header::RETRY_AFTER, RETRY_AFTER_SECONDS)
}

/// A file that pages need.
pub(crate) fn asset(
    request: Request<'_>,
    text: &str,
    response: fn(StatusCode, String) -> Response,
    policy: CachePolicy,
) -> Response {
    cached(request, text.to_owned(), response, policy, None)
}

/// A redirect that caches keep for 30 seconds.
pub(crate) fn redirect(location: &str) -> Response {
    Response::new(StatusCode::FOUND)
        .header(header::LOCATION, location)
        .header(header::CACHE_CONTROL, CachePolicy::Brief.as_str())
}

/// A body with its entity tag, or 304 if the client already has it (RFC 9110, 13.1.2).
fn cached(
    request: Request<'_>,
    text: String,
    response: fn(StatusCode, String) -> Response,
    policy: CachePolicy,
    last_modified: Option<Timestamp>,
) -> Response {
    let entity_tag = entity_tag(&text);
    let unchanged = request.header("if-none-match").is_some_and(|tags| matches(tags, &entity_tag));
    let response =
        if unchanged { Response::new(StatusCode::NOT_MODIFIED) } else { response(StatusCode::OK, text) };
    let response = response.header(header::ETAG, &entity_tag).header(header::CACHE_CONTROL, policy.as_str());
    match last_modified {
        Some(timestamp) => response.header(header::LAST_MODIFIED, &timestamp.http_date()),
        None => response,
    }
}

fn to_json(body: &impl Serialize) -> String {
    // Serialization fails only for maps with non-string keys, and no response has one.
    serde_json::to_string(body).unwrap_or_default()
}

/// The response to `OPTIONS`, such as a browser's preflight.
pub(crate) fn options(allow: &'static str) -> Response {
    Response::new(StatusCode::NO_CONTENT)
        .header(header::ALLOW, allow)
        .header(header::ACCESS_CONTROL_ALLOW_METHODS, allow)
        .header(header::ACCESS_CONTROL_ALLOW_HEADERS, "*")
        .header(header::ACCESS_CONTROL_MAX_AGE, "86400")
}

/// The response to anything but a badge while DynamoDB fails.
pub(crate) fn unavailable(error: impl Display) -> ErrorResponse {
    tracing::error!(%error, "failed to answer a request");
    ErrorResponse::unavailable()
}

/// A strong entity tag: 128 bits of the body's SHA-256, in quotes.
fn entity_tag(body: &str) -> String {
    let digest = hex::encode(Sha256::digest(body));
    format!("\"{}\"", digest.get(..32).unwrap_or(&digest))
}

/// Whether `If-None-Match`, a list of tags or `*`, names the tag by weak comparison (RFC 9110, 8.8.3.2).
/// BadgeSmith's tags contain no comma, so splitting at commas is enough.
fn matches(if_none_match: &str, entity_tag: &str) -> bool {
    if_none_match
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == entity_tag)
}
