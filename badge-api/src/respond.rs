//! Responses: cache policy, entity tags, and CORS.

use std::fmt::Display;

use badgesmith_api::error_response::ErrorResponse;
use badgesmith_api::http::{Request, Response};
use badgesmith_aws::metrics::Metric;
use badgesmith_domain::badge::{Badge, Subject};
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
        }
    }
}

/// `body` as JSON with its entity tag, or 304 if the client already has it (RFC 9110, 13.1.2).
pub(crate) fn cached(
    request: Request<'_>,
    body: &impl Serialize,
    policy: CachePolicy,
    last_modified: Option<Timestamp>,
) -> Response {
    // Serialization fails only for maps with non-string keys, and no response has one.
    let text = serde_json::to_string(body).unwrap_or_default();
    let entity_tag = entity_tag(&text);
    let unchanged = request.header("if-none-match").is_some_and(|tags| matches(tags, &entity_tag));
    let response = if unchanged {
        Response::new(StatusCode::NOT_MODIFIED)
    } else {
        Response::json_text(StatusCode::OK, text)
    };
    let response = response.header(header::ETAG, &entity_tag).header(header::CACHE_CONTROL, policy.as_str());
    match last_modified {
        Some(timestamp) => response.header(header::LAST_MODIFIED, &timestamp.http_date()),
        None => response,
    }
}

/// The response to `OPTIONS`, such as a browser's preflight.
pub(crate) fn options(allow: &'static str) -> Response {
    Response::new(StatusCode::NO_CONTENT)
        .header(header::ALLOW, allow)
        .header(header::ACCESS_CONTROL_ALLOW_METHODS, allow)
        .header(header::ACCESS_CONTROL_ALLOW_HEADERS, "*")
        .header(header::ACCESS_CONTROL_MAX_AGE, "86400")
}

/// The badge while DynamoDB fails. A 5xx makes the CDN serve its cached copy, if it has one (`stale-if-error`).
pub(crate) fn unavailable_badge(subject: Subject) -> Response {
    Metric::BadgesUnavailable.count(1);
    Response::json(StatusCode::SERVICE_UNAVAILABLE, &Badge::unavailable(subject))
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::RETRY_AFTER, RETRY_AFTER_SECONDS)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_none_match_is_a_list_of_tags_or_an_asterisk() {
        for (header, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("\"b\",W/\"a\" , \"c\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("\"A\"", false),
            ("", false),
            ("w/\"a\"", false),
        ] {
            assert_eq!(matches(header, "\"a\""), expected, "{header}");
        }
    }
}
