//! The keys of repositories: read from Secrets Manager, cached in memory.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::secrets_manager::{
    PREVIOUS_KEY_LIFETIME, SecretNames, SecretVersion, SecretsManager, Stage,
};
use badgesmith_domain::ids::Repository;
use badgesmith_domain::signature::SecretKeys;
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::token_bucket::TokenBucket;
use lru::LruCache;

use crate::error::SubmitError;

/// A secret is read again after this long.
const LIFETIME: Duration = Duration::from_hours(1);
/// If no known key matches a signature, the secret is read again early, at most this often for each repository. A
/// repository without a secret is looked up again at the same interval.
const RELOAD_AFTER: Duration = Duration::from_mins(1);
/// The maximum number of repositories whose keys are cached. The least recently used are evicted first.
const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// The maximum number of cached names without a secret. They have their own cache, so that a flood of them evicts
/// no keys.
const UNKNOWN_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// The rate limit on reads of secrets for unverified clients: a burst, and a rate per second. Unknown and known
/// repositories have separate limits.
const READ_BURST: f64 = 20.0;
const READS_PER_SECOND: f64 = 5.0;

/// The keys of all repositories.
#[derive(Debug)]
pub(crate) struct RepositoryKeys {
    secrets: SecretsManager,
    names: SecretNames,
    cache: Mutex<Cache>,
    limits: Mutex<SecretReadLimits>,
    /// Held during a lookup, so that concurrent requests for one repository read its secret once. Lookups of
    /// different repositories wait for each other, too, which costs nothing: a sandbox handles one request at a
    /// time.
    lookup: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Cache {
    known: LruCache<Repository, KnownKeys>,
    /// When each name was found to have no secret.
    unknown: LruCache<Repository, Timestamp>,
}

/// One version of a repository's secret.
struct Version {
    id: String,
    created: Timestamp,
    /// `None` when the secret does not parse.
    keys: Option<SecretKeys>,
}

/// A repository that has a secret.
#[derive(Debug, Clone)]
struct KnownKeys {
    current_id: String,
    current: Option<SecretKeys>,
    /// The keys before the last rotation, and when they expire.
    previous: Option<(SecretKeys, Timestamp)>,
    read_at: Timestamp,
    /// When both versions were last read because no key matched.
    reloaded_at: Option<Timestamp>,
}

impl KnownKeys {
    /// The keys that are valid at `now`.
    fn at(&self, now: Timestamp) -> Vec<SecretKeys> {
        let previous = self.previous.as_ref().filter(|(_, until)| now < *until);
        self.current.iter().chain(previous.map(|(keys, _)| keys)).cloned().collect()
    }
}

impl RepositoryKeys {
    pub(crate) fn new(secrets: SecretsManager, names: SecretNames) -> Self {
        let cache = Cache { known: LruCache::new(KNOWN_MAX), unknown: LruCache::new(UNKNOWN_MAX) };
        Self {
            secrets,
            names,
            cache: Mutex::new(cache),
            limits: Mutex::default(),
            lookup: tokio::sync::Mutex::default(),
        }
    }

    /// The keys of `repository`; none if it is unknown.
    pub(crate) async fn get(
        &self,
        repository: &Repository,
        now: Timestamp,
    ) -> Result<Vec<SecretKeys>, SubmitError> {
        if let Some(keys) = self.cached(repository, now) {
            return Ok(keys);
        }
        let _lookup = self.lookup.lock().await;
        // Another request may have read the secret in the meantime.
        if let Some(keys) = self.cached(repository, now) {
            return Ok(keys);
        }
        let known = self.known(repository);
        self.check_limit(known.is_some(), now)?;
        let Some(version) = self.read(repository, Stage::Current).await? else {
            return Ok(self.remember(repository, None, now));
        };
        let keys = match known {
            // The current version is unchanged, so the previous one is, too.
            Some(known) if known.current_id == version.id => KnownKeys { read_at: now, ..known },
            Some(known) => self.with_previous(repository, version, now, known.reloaded_at).await?,
            None => KnownKeys {
                current_id: version.id,
                current: version.keys,
                previous: None,
                read_at: now,
                reloaded_at: None,
            },
        };
        Ok(self.remember(repository, Some(keys), now))
    }

    /// The keys of `repository` after none of the cached keys matched. Reads both versions of its secret again,
    /// unless that happened within the last minute.
    pub(crate) async fn reload(
        &self,
        repository: &Repository,
        now: Timestamp,
    ) -> Result<Vec<SecretKeys>, SubmitError> {
        let _lookup = self.lookup.lock().await;
        let Some(known) = self.known(repository) else {
            // Without a secret there is nothing to reload; `get` looks it up again after a minute.
            return Ok(Vec::new());
        };
        if known.reloaded_at.is_some_and(|at| now.since(at) < RELOAD_AFTER) {
            return Ok(known.at(now));
        }
        self.check_limit(true, now)?;
        let keys = match self.read(repository, Stage::Current).await? {
            Some(current) => Some(self.with_previous(repository, current, now, Some(now)).await?),
            None => None,
        };
        Ok(self.remember(repository, keys, now))
    }

    /// Opens the connection that the first read of a secret needs.
    pub(crate) async fn warm_up(&self) -> Result<(), AwsError> {
        self.secrets.warm_up(&self.names).await
    }

    /// The cached keys, if they are recent enough.
    fn cached(&self, repository: &Repository, now: Timestamp) -> Option<Vec<SecretKeys>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cache.known.get(repository) {
            return (now.since(known.read_at) < LIFETIME).then(|| known.at(now));
        }
        let unknown_since = cache.unknown.get(repository)?;
        (now.since(*unknown_since) < RELOAD_AFTER).then(Vec::new)
    }

    fn known(&self, repository: &Repository) -> Option<KnownKeys> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).known.get(repository).cloned()
    }

    fn remember(&self, repository: &Repository, keys: Option<KnownKeys>, now: Timestamp) -> Vec<SecretKeys> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = keys {
            cache.unknown.pop(repository);
            let valid = keys.at(now);
            cache.known.put(repository.clone(), keys);
            valid
        } else {
            cache.known.pop(repository);
            cache.unknown.put(repository.clone(), now);
            Vec::new()
        }
    }

    fn check_limit(&self, is_known: bool, now: Timestamp) -> Result<(), SubmitError> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = if is_known { &mut limits.known } else { &mut limits.unknown };
        if limit.take(now) { Ok(()) } else { Err(SubmitError::SecretReadLimitReached) }
    }

    async fn with_previous(
        &self,
        repository: &Repository,
        current: Version,
        now: Timestamp,
        reloaded_at: Option<Timestamp>,
    ) -> Result<KnownKeys, SubmitError> {
        let previous = self.read(repository, Stage::Previous).await?;
        // The rotation happened when the newer of the two was created: the current one, unless it was a rollback.
        let rotated =
            previous.as_ref().map_or(current.created, |previous| previous.created.max(current.created));
        let previous =
            previous.and_then(|version| version.keys).map(|keys| (keys, rotated.plus(PREVIOUS_KEY_LIFETIME)));
        Ok(KnownKeys { current_id: current.id, current: current.keys, previous, read_at: now, reloaded_at })
    }

    /// Reads one version of a repository's secret. An operator must repair one that does not parse.
    async fn read(&self, repository: &Repository, stage: Stage) -> Result<Option<Version>, SubmitError> {
        let name = self.names.repository(repository);
        let version = self.secrets.read(&name, stage).await.map_err(SubmitError::Unavailable)?;
        let Some(SecretVersion { id, value, created }) = version else { return Ok(None) };
        let keys = SecretKeys::parse(&value)
            .inspect_err(|error| tracing::error!(secret = name, ?stage, %error, "failed to parse a secret"));
        Ok(Some(Version { id, created, keys: keys.ok() }))
    }
}

/// Limits on reads of secrets for unverified clients.
#[derive(Debug)]
struct SecretReadLimits {
    unknown: TokenBucket,
    known: TokenBucket,
}

impl Default for SecretReadLimits {
    fn default() -> Self {
        let full = TokenBucket::new(READ_BURST, READS_PER_SECOND);
        Self { unknown: full.clone(), known: full }
    }
}
