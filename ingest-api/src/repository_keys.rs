//! The keys of repositories, as Secrets Manager has them, kept in memory for a while.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::secrets_manager::{
    PREVIOUS_KEY_LIFETIME, SecretVersion, SecretsManager, Stage, repository_secret_name,
};
use badgesmith_domain::ids::Repository;
use badgesmith_domain::signature::SecretKeys;
use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::token_bucket::TokenBucket;
use lru::LruCache;

use crate::error::SubmitError;

/// A secret is read again after this long.
const LIFETIME: Duration = Duration::from_hours(1);
/// A repository's secret is read again early, because no known key fits a signature, at most this often.
/// A repository without a secret is looked up again as often.
const READ_AGAIN_AFTER: Duration = Duration::from_mins(1);
/// Repositories whose keys are kept, the least recently used leave first.
const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Names without a secret that are remembered; apart, so that a flood of them drives no key out.
const UNKNOWN_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Reads of secrets for clients that no key has verified yet: at once, and for each second after. Names never
/// seen and names known before have a budget each.
const READ_BURST: f64 = 20.0;
const READS_PER_SECOND: f64 = 5.0;

/// The keys of all repositories.
#[derive(Debug)]
pub(crate) struct RepositoryKeys {
    secrets: SecretsManager,
    cache: Mutex<Cache>,
    /// Held while Secrets Manager is asked, so that many requests at once ask it once.
    budgets: tokio::sync::Mutex<Budgets>,
}

#[derive(Debug)]
struct Cache {
    known: LruCache<Repository, KnownKeys>,
    /// When each name was found to have no secret.
    unknown: LruCache<Repository, Timestamp>,
}

/// One version of a repository's secret. One that cannot be used has no keys.
struct Version {
    id: String,
    created: Timestamp,
    keys: Option<SecretKeys>,
}

/// A repository that has a secret.
#[derive(Debug, Clone)]
struct KnownKeys {
    current_id: String,
    current: Option<SecretKeys>,
    /// The keys before the last rotation, and until when they count.
    previous: Option<(SecretKeys, Timestamp)>,
    read_at: Timestamp,
    /// When both versions were read because no key fitted.
    read_again_at: Option<Timestamp>,
}

impl KnownKeys {
    /// What a signature may be made with at `now`.
    fn at(&self, now: Timestamp) -> Vec<SecretKeys> {
        let previous = self.previous.as_ref().filter(|(_, until)| now < *until);
        self.current.iter().chain(previous.map(|(keys, _)| keys)).cloned().collect()
    }
}

impl RepositoryKeys {
    pub(crate) fn new(secrets: SecretsManager) -> Self {
        let cache = Cache { known: LruCache::new(KNOWN_MAX), unknown: LruCache::new(UNKNOWN_MAX) };
        Self { secrets, cache: Mutex::new(cache), budgets: tokio::sync::Mutex::default() }
    }

    /// The keys of `repository`; none when it is unknown.
    pub(crate) async fn of(
        &self,
        repository: &Repository,
        now: Timestamp,
    ) -> Result<Vec<SecretKeys>, SubmitError> {
        if let Some(keys) = self.cached(repository, now) {
            return Ok(keys);
        }
        let mut budgets = self.budgets.lock().await;
        // Another request may have asked in the meantime.
        if let Some(keys) = self.cached(repository, now) {
            return Ok(keys);
        }
        let known = self.known(repository);
        let budget = if known.is_some() { &mut budgets.known } else { &mut budgets.unknown };
        take(budget, now)?;
        let keys = match (self.read(repository, Stage::Current).await?, known) {
            // Unchanged, so the version before it is the same one too.
            (Some(version), Some(known)) if version.id == known.current_id => {
                Some(KnownKeys { read_at: now, ..known })
            }
            (Some(version), Some(known)) => {
                Some(self.with_previous(repository, version, now, known.read_again_at).await?)
            }
            (Some(version), None) => Some(KnownKeys {
                current_id: version.id,
                current: version.keys,
                previous: None,
                read_at: now,
                read_again_at: None,
            }),
            (None, _) => None,
        };
        Ok(self.remember(repository, keys, now))
    }

    /// The keys of `repository` after none of the known ones fitted: both versions of its secret, read anew
    /// unless that was done a moment ago.
    pub(crate) async fn read_again(
        &self,
        repository: &Repository,
        now: Timestamp,
    ) -> Result<Vec<SecretKeys>, SubmitError> {
        let mut budgets = self.budgets.lock().await;
        let Some(known) = self.known(repository) else {
            // Without a secret there is nothing more to read; `of` looks again in due time.
            return Ok(Vec::new());
        };
        if known.read_again_at.is_some_and(|at| now.since(at) < READ_AGAIN_AFTER) {
            return Ok(known.at(now));
        }
        take(&mut budgets.known, now)?;
        let keys = match self.read(repository, Stage::Current).await? {
            Some(current) => Some(self.with_previous(repository, current, now, Some(now)).await?),
            None => None,
        };
        Ok(self.remember(repository, keys, now))
    }

    /// Opens the connection that the first read of a secret needs.
    pub(crate) async fn warm_up(&self) -> Result<(), AwsError> {
        self.secrets.warm_up().await
    }

    /// What is known and recent enough to be relied on.
    fn cached(&self, repository: &Repository, now: Timestamp) -> Option<Vec<SecretKeys>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cache.known.get(repository) {
            return (now.since(known.read_at) < LIFETIME).then(|| known.at(now));
        }
        let unknown_since = cache.unknown.get(repository)?;
        (now.since(*unknown_since) < READ_AGAIN_AFTER).then(Vec::new)
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

    async fn with_previous(
        &self,
        repository: &Repository,
        current: Version,
        now: Timestamp,
        read_again_at: Option<Timestamp>,
    ) -> Result<KnownKeys, SubmitError> {
        let previous = self.read(repository, Stage::Previous).await?;
        // The rotation was when the younger of the two was created: the current one, but for a rollback.
        let rotated =
            previous.as_ref().map_or(current.created, |previous| previous.created.max(current.created));
        let previous =
            previous.and_then(|version| version.keys).map(|keys| (keys, rotated.plus(PREVIOUS_KEY_LIFETIME)));
        Ok(KnownKeys { current_id: current.id, current: current.keys, previous, read_at: now, read_again_at })
    }

    /// Reads one version of a repository's secret. That it cannot be used is the operator's to repair.
    async fn read(&self, repository: &Repository, stage: Stage) -> Result<Option<Version>, SubmitError> {
        let name = repository_secret_name(repository);
        let version = self.secrets.read(&name, stage).await.map_err(SubmitError::Unavailable)?;
        let Some(SecretVersion { id, value, created }) = version else { return Ok(None) };
        let keys = SecretKeys::parse(&value)
            .inspect_err(|error| tracing::error!(secret = name, ?stage, %error, "a secret cannot be used"));
        Ok(Some(Version { id, created, keys: keys.ok() }))
    }
}

/// Secrets are read at a bounded rate for clients that may be anybody.
#[derive(Debug)]
struct Budgets {
    unknown: TokenBucket,
    known: TokenBucket,
}

impl Default for Budgets {
    fn default() -> Self {
        let full = TokenBucket::new(READ_BURST, READS_PER_SECOND);
        Self { unknown: full.clone(), known: full }
    }
}

fn take(budget: &mut TokenBucket, now: Timestamp) -> Result<(), SubmitError> {
    if budget.take(now) { Ok(()) } else { Err(SubmitError::LookupsExhausted) }
}
