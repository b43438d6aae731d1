//! Secrets from Secrets Manager, cached in memory.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::secrets_manager::{SecretVersion, SecretsManager, Stage};
use badgesmith_domain::timestamp::Timestamp;
use lru::LruCache;

/// Secrets and registrations are read again after this long, and never used for longer.
pub(crate) const LIFETIME: Duration = Duration::from_mins(5);
/// If no known key matches a signature, registration and secrets are read again early, each of them at most this
/// often. An unregistered name, or a secret that does not exist, is looked up again at the same interval.
pub(crate) const RELOAD_AFTER: Duration = Duration::from_mins(1);
/// The maximum number of cached secrets. The least recently used are evicted first. Only a registered repository
/// brings one in.
const SECRETS_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

#[derive(Debug)]
pub(crate) struct SecretCache {
    manager: SecretsManager,
    cache: Mutex<LruCache<String, CachedSecret>>,
}

/// The versions of a secret that are known to exist.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) current: SecretVersion,
    /// `None` also before it was needed.
    pub(crate) previous: Option<SecretVersion>,
}

#[derive(Debug, Clone)]
struct CachedSecret {
    /// `None` if the secret does not exist.
    secret: Option<Secret>,
    read_at: Timestamp,
    /// When both versions were last read.
    both_read_at: Option<Timestamp>,
}

impl SecretCache {
    pub(crate) fn new(manager: SecretsManager) -> Self {
        Self { manager, cache: Mutex::new(LruCache::new(SECRETS_MAX)) }
    }

    /// The secret with this name or ARN; `None` if it does not exist. The first read is of the current version only,
    /// which nearly always suffices.
    ///
    /// # Errors
    /// [`AwsError`] if the secret had to be read, and was not. An older copy is never used instead.
    pub(crate) async fn get(&self, id: &str, now: Timestamp) -> Result<Option<Secret>, AwsError> {
        match self.cached(id) {
            Some(CachedSecret { secret, read_at, .. })
                if read_at.is_recent(now, if secret.is_some() { LIFETIME } else { RELOAD_AFTER }) =>
            {
                Ok(secret)
            }
            Some(_) => Box::pin(self.read_both(id, now)).await,
            None => {
                let current = self.manager.read(id, Stage::Current).await?;
                let secret = current.map(|current| Secret { current, previous: None });
                Ok(self.remember(id, CachedSecret { secret, read_at: now, both_read_at: None }))
            }
        }
    }

    /// Reads both versions again, unless that happened within [`RELOAD_AFTER`].
    ///
    /// # Errors
    /// [`AwsError`] if a version was not read.
    pub(crate) async fn reload(&self, id: &str, now: Timestamp) -> Result<(), AwsError> {
        let both_read_at = self.cached(id).and_then(|cached| cached.both_read_at);
        if !both_read_at.is_some_and(|at| at.is_recent(now, RELOAD_AFTER)) {
            self.read_both(id, now).await?;
        }
        Ok(())
    }

    async fn read_both(&self, id: &str, now: Timestamp) -> Result<Option<Secret>, AwsError> {
        // In this order: if the secret is rotated in between, the key that was current is read twice. In the other
        // order or at once, it might not be read at all, and clients that still use it would be rejected.
        let current = self.manager.read(id, Stage::Current).await?;
        let previous = self.manager.read(id, Stage::Previous).await?;
        let secret = current.map(|current| Secret { current, previous });
        Ok(self.remember(id, CachedSecret { secret, read_at: now, both_read_at: Some(now) }))
    }

    fn cached(&self, id: &str) -> Option<CachedSecret> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn remember(&self, id: &str, cached: CachedSecret) -> Option<Secret> {
        let secret = cached.secret.clone();
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).put(id.to_owned(), cached);
        secret
    }
}
