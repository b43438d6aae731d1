//! Query parameters of responses that come in pages.

use badgesmith_api::error_response::{ErrorResponse, ValidationErrors};
use badgesmith_api::http::Query;
use badgesmith_aws::dynamodb::PagePosition;
use badgesmith_domain::ids::ParseError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The maximum number of items on a page.
pub(crate) const LIMIT_MAX: usize = 200;
const WRONG_CURSOR: ParseError = ParseError { expected: "the next_cursor of the same query" };

/// An optional parameter, parsed.
pub(crate) fn parameter<T>(
    query: &Query<'_>,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, ParseError>,
    errors: &mut ValidationErrors,
) -> Option<T> {
    errors.check(name, parse(query.get(name)?))
}

pub(crate) fn parse_limit(text: &str) -> Result<usize, ParseError> {
    text.parse()
        .ok()
        .filter(|limit| (1..=LIMIT_MAX).contains(limit))
        .ok_or(ParseError { expected: "an integer from 1 to 200" })
}

/// The error of a cursor that belongs to another query.
pub(crate) fn wrong_cursor() -> ErrorResponse {
    let mut errors = ValidationErrors::default();
    errors.push("cursor", WRONG_CURSOR);
    errors.into()
}

pub(crate) fn to_cursor(position: &PagePosition) -> String {
    URL_SAFE_NO_PAD.encode(position.as_str())
}

pub(crate) fn parse_cursor(cursor: &str) -> Result<PagePosition, ParseError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let position = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    position.map(PagePosition::new).ok_or(WRONG_CURSOR)
}
