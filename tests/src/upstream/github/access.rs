//! Tokens and the rate limit.

use std::collections::HashMap;

use bytes::Bytes;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderName, Response};

use super::super::document::{response, set};
use super::error;

/// The requests of a user per hour.
const HOURLY: u64 = 5000;
/// 2026-01-15T11:00:00Z, half an hour after the start of the tests' clocks.
const RESET_DEFAULT: i64 = 1_768_474_800;
/// The valid values of `X-GitHub-Api-Version`.
const API_VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];

#[derive(Debug)]
pub(super) struct Access {
    tokens: HashMap<String, Token>,
    /// `None` until a test sets it: a benchmark sends more than 5000 requests.
    remaining: Option<u64>,
    reset: i64,
}

#[derive(Debug)]
pub(super) struct Token {
    pub(super) reads_packages: bool,
    /// In lower case.
    sees_private_of: Vec<String>,
}

impl Token {
    pub(super) fn sees(&self, login: &str) -> bool {
        self.sees_private_of.contains(&login.to_lowercase())
    }
}

impl Default for Access {
    fn default() -> Self {
        Self { tokens: HashMap::new(), remaining: None, reset: RESET_DEFAULT }
    }
}

impl Access {
    pub(super) fn set_token(&mut self, token: &str, reads_packages: bool, sees_private_of: &[&str]) {
        let sees_private_of = sees_private_of.iter().map(|login| login.to_lowercase()).collect();
        self.tokens.insert(token.to_owned(), Token { reads_packages, sees_private_of });
    }

    pub(super) fn revoke_token(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    pub(super) fn set_limit(&mut self, remaining: u64, reset: i64) {
        self.remaining = Some(remaining);
        self.reset = reset;
    }

    /// The token of a request, if it is valid.
    pub(super) fn token(&self, headers: &HeaderMap) -> Option<(&str, &Token)> {
        let (scheme, token) = text(headers, AUTHORIZATION)?.split_once(' ')?;
        let known = self.tokens.get_key_value(token).filter(|_| scheme.eq_ignore_ascii_case("bearer"));
        known.map(|(name, token)| (name.as_str(), token))
    }

    /// The error that a request gets before its path is read.
    pub(super) fn refusal(&self, headers: &HeaderMap) -> Option<Response<Bytes>> {
        if text(headers, USER_AGENT).is_none_or(str::is_empty) {
            let why = "Request forbidden by administrative rules. Please make sure your request has a \
                User-Agent header.\n";
            return Some(response(403, "text/plain; charset=utf-8", why));
        }
        let version = text(headers, HeaderName::from_static("x-github-api-version"));
        if version.is_some_and(|version| !API_VERSIONS.contains(&version)) {
            return Some(error(400, "The API version is not supported."));
        }
        if self.token(headers).is_none() {
            let has_some = headers.contains_key(AUTHORIZATION);
            return Some(error(401, if has_some { "Bad credentials" } else { "Requires authentication" }));
        }
        (self.remaining == Some(0)).then(|| error(403, "API rate limit exceeded for user ID 583231."))
    }

    pub(super) fn count(&mut self) {
        self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(1));
    }

    /// Every response has the rate limit headers.
    pub(super) fn set_limit_headers(&self, answer: &mut Response<Bytes>) {
        let remaining = self.remaining.unwrap_or(HOURLY - 1);
        let limit = remaining.max(HOURLY);
        for (name, value) in [
            ("x-ratelimit-limit", limit.to_string()),
            ("x-ratelimit-remaining", remaining.to_string()),
            ("x-ratelimit-used", (limit - remaining).to_string()),
            ("x-ratelimit-reset", self.reset.to_string()),
            ("x-ratelimit-resource", "core".to_owned()),
        ] {
            set(answer, HeaderName::from_static(name), &value);
        }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
