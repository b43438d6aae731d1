//! The tokens with which GitHub is asked, as Secrets Manager has them, kept in memory for a while.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::secrets_manager::{SecretsManager, Stage};
use badgesmith_domain::timestamp::Timestamp;
use http::HeaderValue;
use lru::LruCache;
use serde::Deserialize;

/// A secret is read again after this long.
const LIFETIME: Duration = Duration::from_hours(1);
/// One that is not there, or that GitHub refuses, is read again early, at most this often.
const READ_AGAIN_AFTER: Duration = Duration::from_mins(1);
/// Tokens kept, the least recently used leave first.
const KEPT_MAX: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// A token, ready to be sent. It shows in no log.
#[derive(Clone)]
pub(crate) struct Token {
    /// The secret that it is from, which may be told.
    pub(crate) secret_id: String,
    /// The `Authorization` header.
    pub(crate) authorization: HeaderValue,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

/// All tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    secrets: SecretsManager,
    kept: Mutex<LruCache<String, (Option<Token>, Timestamp)>>,
}

/// `{"token":"ghp_...","type":"github_pat"}`
#[derive(Deserialize)]
struct Secret {
    token: String,
}

impl Tokens {
    pub(crate) fn new(secrets: SecretsManager) -> Self {
        Self { secrets, kept: Mutex::new(LruCache::new(KEPT_MAX)) }
    }

    /// The token in the secret `secret_id`; `None` when there is no such secret, or it holds none.
    pub(crate) async fn of(&self, secret_id: &str, now: Timestamp) -> Result<Option<Token>, AwsError> {
        match self.kept(secret_id) {
            Some((token @ Some(_), read_at)) if now.since(read_at) < LIFETIME => Ok(token),
            Some((None, read_at)) if now.since(read_at) < READ_AGAIN_AFTER => Ok(None),
            Some(_) | None => self.read(secret_id, now).await,
        }
    }

    /// Another token than `refused`, which its secret held before, if there is one by now.
    pub(crate) async fn instead_of(
        &self,
        refused: &Token,
        now: Timestamp,
    ) -> Result<Option<Token>, AwsError> {
        let token = match self.kept(&refused.secret_id) {
            Some((token, read_at)) if now.since(read_at) < READ_AGAIN_AFTER => token,
            Some(_) | None => self.read(&refused.secret_id, now).await?,
        };
        Ok(token.filter(|token| token.authorization != refused.authorization))
    }

    fn kept(&self, secret_id: &str) -> Option<(Option<Token>, Timestamp)> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(secret_id).cloned()
    }

    async fn read(&self, secret_id: &str, now: Timestamp) -> Result<Option<Token>, AwsError> {
        let version = self.secrets.read(secret_id, Stage::Current).await?;
        let token = version.and_then(|version| parse(secret_id, &version.value));
        if token.is_none() {
            tracing::error!(secret_id, "a secret with a token of GitHub's is not there, or cannot be used");
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.put(secret_id.to_owned(), (token.clone(), now));
        Ok(token)
    }
}

fn parse(secret_id: &str, value: &str) -> Option<Token> {
    // Not even the error is logged: it may quote what it did not understand.
    let Secret { token } = serde_json::from_str(value).ok()?;
    let mut authorization = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    authorization.set_sensitive(true);
    (!token.is_empty()).then(|| Token { secret_id: secret_id.to_owned(), authorization })
}
