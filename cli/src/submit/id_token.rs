//! OIDC tokens, with which a job of GitHub Actions or Forgejo Actions proves its repository and its branch:
//! <https://docs.github.com/en/actions/reference/security/oidc>,
//! <https://forgejo.org/docs/latest/user/actions/security-openid-connect/>.

use std::time::Duration;

use badgesmith_aws::env;
use badgesmith_aws::sdk::causes;
use badgesmith_domain::id_token::ID_TOKEN_BYTES_MAX;
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use super::send::read_body;
use super::urls::is_this_machine;

const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// Where a job requests its tokens. `Debug` does not reveal the request token.
#[derive(Debug, Clone)]
pub(crate) struct TokenEndpoint {
    url: Url,
    /// `bearer TOKEN`
    authorization: HeaderValue,
}

/// A token, as the value of a header. `Debug` does not reveal it.
#[derive(Debug, Clone)]
pub(crate) struct IdToken(pub(crate) HeaderValue);

#[derive(Debug, thiserror::Error)]
#[error("invalid {variable} in the environment: expected {expected}")]
pub(crate) struct InvalidEndpoint {
    variable: &'static str,
    expected: &'static str,
}

/// Why there is no token. Of the response, messages have only the status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the CI system did not issue an OIDC token: {reason}")]
    Transient {
        reason: String,
        /// The minimum delay before another attempt.
        retry_after: Duration,
    },
    #[error("the CI system did not issue an OIDC token: {0}")]
    Permanent(String),
}

#[derive(Deserialize)]
struct TokenResponse {
    value: String,
}

impl TokenEndpoint {
    /// The endpoint of this job. `None` unless both variables are set, as in a job without `id-token: write`.
    pub(crate) fn from_environment() -> Result<Option<Self>, InvalidEndpoint> {
        match (env::optional(URL), env::optional(REQUEST_TOKEN)) {
            (Some(url), Some(token)) => Self::new(&url, &token).map(Some),
            _ => Ok(None),
        }
    }

    pub(crate) fn new(url: &str, token: &str) -> Result<Self, InvalidEndpoint> {
        let is_secure = |url: &Url| url.scheme() == "https" || url.scheme() == "http" && is_this_machine(url);
        let url = Url::parse(url)
            .ok()
            .filter(is_secure)
            .ok_or(InvalidEndpoint { variable: URL, expected: "an https URL" })?;
        let mut authorization = HeaderValue::from_str(&format!("bearer {token}"))
            .map_err(|_| InvalidEndpoint { variable: REQUEST_TOKEN, expected: "one line of ASCII" })?;
        authorization.set_sensitive(true);
        Ok(Self { url, authorization })
    }

    /// Requests a new token. `client` must not follow redirects, which could lead the request token elsewhere.
    pub(crate) async fn request(&self, client: &Client, audience: &str) -> Result<IdToken, TokenError> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("audience", audience);
        let response = client
            .get(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .send()
            .await
            .map_err(|error| transient(&error.without_url()))?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let reason = format!("{} responded with {status}", self.url.host_str().unwrap_or_default());
        match status {
            _ if status.is_success() => {}
            // GitHub responds with 403 while it is starting a job.
            StatusCode::FORBIDDEN | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                return Err(TokenError::Transient { reason, retry_after });
            }
            _ if status.is_server_error() => return Err(TokenError::Transient { reason, retry_after }),
            _ => return Err(TokenError::Permanent(reason)),
        }
        let body = read_body(response).await.map_err(|error| transient(&error.without_url()))?;
        serde_json::from_str::<TokenResponse>(&body)
            .ok()
            .and_then(|response| IdToken::new(&response.value))
            .ok_or_else(|| TokenError::Permanent(format!("{reason}, but without a token")))
    }
}

impl IdToken {
    /// `None` if `text` has characters that a JWT cannot have, or is longer than the service accepts.
    fn new(text: &str) -> Option<Self> {
        let is_jwt = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if text.is_empty() || text.len() > ID_TOKEN_BYTES_MAX || !text.bytes().all(is_jwt) {
            return None;
        }
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }
}

fn transient(error: &reqwest::Error) -> TokenError {
    TokenError::Transient { reason: causes(error), retry_after: Duration::ZERO }
}

/// The delay in `Retry-After`; zero without one in seconds.
pub(crate) fn retry_after(response: &Response) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_encrypted_and_not_revealed() {
        for (url, token, variable) in [
            ("http://token.test/", "t", URL),
            ("http://localhost.token.test/", "t", URL),
            ("file:///token", "t", URL),
            ("token", "t", URL),
            ("https://token.test/", "a\nb", REQUEST_TOKEN),
        ] {
            let error = TokenEndpoint::new(url, token).unwrap_err();
            assert_eq!(error.variable, variable, "{url}");
            assert!(!error.to_string().contains(token) || token == "t");
        }
        for url in ["https://token.test/?api-version=2.0", "http://127.0.0.1:9/", "http://[::1]:9/"] {
            let endpoint = TokenEndpoint::new(url, "hunter2").unwrap();
            assert!(!format!("{endpoint:?}").contains("hunter2"), "{endpoint:?}");
        }
        let token = IdToken::new("a.b.c").unwrap();
        assert!(!format!("{token:?}").contains("a.b.c"), "{token:?}");
    }

    #[test]
    fn a_token_has_the_characters_and_the_length_of_a_jwt() {
        for text in ["", "a b", "a\r\nX: 1", "a\u{e9}", &"a".repeat(ID_TOKEN_BYTES_MAX + 1)] {
            assert!(IdToken::new(text).is_none(), "{text}");
        }
    }
}
