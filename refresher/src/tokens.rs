//! The tokens for GitHub's API and the credentials of feeds, read from Secrets Manager and cached.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::secrets_manager::{SecretsManager, Stage};
use badgesmith_domain::timestamp::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use lru::LruCache;
use serde::Deserialize;

/// How long a token is cached.
const LIFETIME: Duration = Duration::from_hours(1);
/// A secret that has no token, or whose token GitHub rejects, is read again after this long.
const RELOAD_AFTER: Duration = Duration::from_mins(1);
/// The least recently used tokens are evicted first.
const CACHED_MAX: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// A token, ready to send. Its `Debug` output does not contain it.
#[derive(Clone)]
pub(crate) struct Token {
    /// The name or ARN of its secret, which may appear in logs.
    pub(crate) secret_id: String,
    /// The `Authorization` header.
    pub(crate) authorization: HeaderValue,
    /// The service index of the feed that credentials belong to; `None` for a token of GitHub.
    pub(crate) service_index: Option<String>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct Tokens {
    secrets: SecretsManager,
    cache: Mutex<LruCache<String, CachedToken>>,
}

#[derive(Debug, Clone)]
struct CachedToken {
    /// `None` when the secret does not exist, or has no token.
    token: Option<Token>,
    read_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Secret {
    /// `{"token":"ghp_...","type":"github_pat"}`
    Token { token: String },
    /// `{"url":"https://...","username":"...","password":"...","type":"nuget_basic"}`
    Basic { url: String, username: String, password: String },
}

impl Tokens {
    pub(crate) fn new(secrets: SecretsManager) -> Self {
        Self { secrets, cache: Mutex::new(LruCache::new(CACHED_MAX)) }
    }

    /// The token in the secret `secret_id`; `None` when the secret does not exist, or has no token.
    pub(crate) async fn get(&self, secret_id: &str, now: Timestamp) -> Result<Option<Token>, AwsError> {
        match self.cached(secret_id) {
            Some(CachedToken { token: Some(token), read_at }) if read_at.is_recent(now, LIFETIME) => {
                Ok(Some(token))
            }
            Some(_) | None => self.reload(secret_id, now).await,
        }
    }

    /// The credentials in the secret `secret_id`, if they are for this service index. A feed that had the same name
    /// before may have left credentials for another host.
    pub(crate) async fn of_feed(
        &self,
        secret_id: &str,
        service_index: &str,
        now: Timestamp,
    ) -> Result<Option<Token>, AwsError> {
        let is_of_feed = |token: &Token| token.service_index.as_deref() == Some(service_index);
        match self.get(secret_id, now).await?.filter(is_of_feed) {
            Some(token) => Ok(Some(token)),
            None => Ok(self.reload(secret_id, now).await?.filter(is_of_feed)),
        }
    }

    /// The token that has replaced the token `refused` in its secret, if any.
    pub(crate) async fn replacement(
        &self,
        refused: &Token,
        now: Timestamp,
    ) -> Result<Option<Token>, AwsError> {
        let is_replacement = |new: &Token| {
            new.authorization != refused.authorization && new.service_index == refused.service_index
        };
        Ok(self.reload(&refused.secret_id, now).await?.filter(is_replacement))
    }

    /// The token in a secret, which is read again unless that happened within [`RELOAD_AFTER`].
    async fn reload(&self, secret_id: &str, now: Timestamp) -> Result<Option<Token>, AwsError> {
        match self.cached(secret_id) {
            Some(CachedToken { token, read_at }) if read_at.is_recent(now, RELOAD_AFTER) => Ok(token),
            Some(_) | None => self.read(secret_id, now).await,
        }
    }

    fn cached(&self, secret_id: &str) -> Option<CachedToken> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(secret_id).cloned()
    }

    async fn read(&self, secret_id: &str, now: Timestamp) -> Result<Option<Token>, AwsError> {
        let version = self.secrets.read(secret_id, Stage::Current).await?;
        let token = version.and_then(|version| parse(secret_id, &version.value));
        if token.is_none() {
            tracing::error!(secret_id, "the secret of a token is missing or malformed");
        }
        let cached = CachedToken { token: token.clone(), read_at: now };
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).put(secret_id.to_owned(), cached);
        Ok(token)
    }
}

fn parse(secret_id: &str, value: &str) -> Option<Token> {
    // The error is not logged: it may quote the secret.
    let (authorization, service_index) = match serde_json::from_str(value).ok()? {
        Secret::Token { token } if token.is_empty() => return None,
        Secret::Token { token } => (format!("Bearer {token}"), None),
        Secret::Basic { url, username, password } => {
            (format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))), Some(url))
        }
    };
    let mut authorization = HeaderValue::try_from(authorization).ok()?;
    authorization.set_sensitive(true);
    Some(Token { secret_id: secret_id.to_owned(), authorization, service_index })
}
