//! The repositories that may submit results, and the keys that they sign with.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Mutex, PoisonError};

use badgesmith_aws::dynamodb::{Registrations, StoreError};
use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::secrets_manager::SecretNames;
use badgesmith_domain::derived_key::MasterKey;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::registration::{
    ActiveRegistration, DerivedKeyIds, PREVIOUS_KEY_LIFETIME, Proofs, Registration,
};
use badgesmith_domain::signature::SecretKeys;
use badgesmith_domain::timestamp::Timestamp;
use lru::LruCache;

use crate::error::{Reason, SubmitError};
use crate::secret_cache::{LIFETIME, RELOAD_AFTER, Secret, SecretCache};

/// The maximum number of cached registrations. The least recently used are evicted first.
const REGISTERED_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// The maximum number of cached names without a registration. They have their own cache, so that a flood of them evicts
/// no registration.
const UNREGISTERED_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

#[derive(Debug)]
pub(crate) struct RepositoryKeys {
    registrations: Registrations,
    secrets: SecretCache,
    secret_names: SecretNames,
    master_key_arn: String,
    cache: Mutex<Cache>,
}

#[derive(Debug)]
struct Cache {
    registered: LruCache<Repository, Registered>,
    /// Why each name may not submit results, and when that was read.
    unregistered: LruCache<Repository, (Reason, Timestamp)>,
}

#[derive(Debug, Clone)]
struct Registered {
    registration: ActiveRegistration,
    read_at: Timestamp,
    /// When it was last read because no key matched.
    reloaded_at: Option<Timestamp>,
}

/// The keys of a registered repository that count now.
#[derive(Debug)]
pub(crate) struct ValidKeys {
    pub(crate) keys: Vec<SecretKeys>,
    pub(crate) posts_per_minute: NonZeroU32,
}

impl RepositoryKeys {
    pub(crate) fn new(
        registrations: Registrations,
        secrets: SecretCache,
        secret_names: SecretNames,
        master_key_arn: String,
    ) -> Self {
        let cache = Cache {
            registered: LruCache::new(REGISTERED_MAX),
            unregistered: LruCache::new(UNREGISTERED_MAX),
        };
        Self { registrations, secrets, secret_names, master_key_arn, cache: Mutex::new(cache) }
    }

    /// Opens the connection to Secrets Manager by reading the master key, which most repositories need.
    pub(crate) async fn warm_up(&self, now: Timestamp) -> Result<(), AwsError> {
        self.secrets.get(&self.master_key_arn, now).await.map(drop)
    }

    /// The keys of `repository`.
    ///
    /// # Errors
    /// [`SubmitError::Unauthorized`] if it is not registered, [`SubmitError::Unavailable`] if that is not known.
    pub(crate) async fn get(
        &self,
        repository: &Repository,
        now: Timestamp,
    ) -> Result<ValidKeys, SubmitError> {
        let registration = self.registration(repository, now).await?;
        let registration =
            registration.map_err(|reason| SubmitError::Unauthorized(repository.clone(), reason))?;
        self.keys(repository, &registration, now).await
    }

    /// The registration of `repository`, or why it may not submit results.
    ///
    /// # Errors
    /// [`StoreError`] if that is not known.
    pub(crate) async fn registration(
        &self,
        repository: &Repository,
        now: Timestamp,
    ) -> Result<Result<ActiveRegistration, Reason>, StoreError> {
        match self.cached(repository, now) {
            Ok(Some(Registered { registration, .. })) => Ok(Ok(registration)),
            Ok(None) => self.read(repository, now, None).await,
            Err(reason) => Ok(Err(reason)),
        }
    }

    /// The registration after an ID token did not match the one in memory. Reads it again, unless that happened within
    /// the last minute.
    ///
    /// # Errors
    /// As [`Self::registration`].
    pub(crate) async fn reload_registration(
        &self,
        repository: &Repository,
        now: Timestamp,
    ) -> Result<Result<ActiveRegistration, Reason>, StoreError> {
        match self.cached(repository, now) {
            Ok(Some(Registered { registration, reloaded_at: Some(at), .. }))
                if at.is_recent(now, RELOAD_AFTER) =>
            {
                Ok(Ok(registration))
            }
            Ok(_) => self.read(repository, now, Some(now)).await,
            Err(reason) => Ok(Err(reason)),
        }
    }

    /// The registration with all changes so far, from a strongly consistent read.
    ///
    /// # Errors
    /// As [`Self::registration`].
    pub(crate) async fn latest_registration(
        &self,
        repository: &Repository,
        now: Timestamp,
    ) -> Result<Result<ActiveRegistration, Reason>, StoreError> {
        let registration = self.registrations.latest(repository).await?;
        Ok(self.remember(repository, registration, now, Some(now)))
    }

    /// The keys of `repository` after none of those from [`Self::get`] matched. Reads its registration and its secrets
    /// again, except each that was reloaded within the last minute. The master key may have been reloaded for another
    /// repository.
    ///
    /// # Errors
    /// The same as [`Self::get`].
    pub(crate) async fn reload(
        &self,
        repository: &Repository,
        now: Timestamp,
    ) -> Result<ValidKeys, SubmitError> {
        let unauthorized = |reason| SubmitError::Unauthorized(repository.clone(), reason);
        // First, because it may name another secret than before, of which an old copy may be in memory.
        let registration = self.reload_registration(repository, now).await?.map_err(unauthorized)?;
        let Proofs { derived, own_secret, .. } = registration.proofs;
        let master = async {
            match derived {
                Some(_) => self.secrets.reload(&self.master_key_arn, now).await,
                None => Ok(()),
            }
        };
        let own_secret = async {
            match own_secret.filter(|secret| secret.counts_at(now)) {
                Some(_) => self.secrets.reload(&self.secret_names.repository(repository), now).await,
                None => Ok(()),
            }
        };
        let (master, own_secret) = tokio::join!(master, own_secret);
        master.and(own_secret)?;
        self.keys(repository, &registration, now).await
    }

    /// The cached registration, if it is recent enough.
    fn cached(&self, repository: &Repository, now: Timestamp) -> Result<Option<Registered>, Reason> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((reason, read_at)) = cache.unregistered.get(repository)
            && read_at.is_recent(now, RELOAD_AFTER)
        {
            return Err(*reason);
        }
        let registered = cache.registered.get(repository);
        Ok(registered.filter(|registered| registered.read_at.is_recent(now, LIFETIME)).cloned())
    }

    /// Reads and caches the registration.
    async fn read(
        &self,
        repository: &Repository,
        now: Timestamp,
        reloaded_at: Option<Timestamp>,
    ) -> Result<Result<ActiveRegistration, Reason>, StoreError> {
        let registration = self.registrations.get(repository).await?;
        Ok(self.remember(repository, registration, now, reloaded_at))
    }

    fn remember(
        &self,
        repository: &Repository,
        registration: Option<Registration>,
        now: Timestamp,
        reloaded_at: Option<Timestamp>,
    ) -> Result<ActiveRegistration, Reason> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = match registration {
            Some(Registration::Active(registration)) => {
                cache.unregistered.pop(repository);
                let registered = Registered { registration: registration.clone(), read_at: now, reloaded_at };
                cache.registered.put(repository.clone(), registered);
                return Ok(registration);
            }
            Some(Registration::Removed(_)) => Reason::Removed,
            None => Reason::NotRegistered,
        };
        cache.registered.pop(repository);
        cache.unregistered.put(repository.clone(), (reason, now));
        Err(reason)
    }

    /// The keys that count by `registration`.
    async fn keys(
        &self,
        repository: &Repository,
        registration: &ActiveRegistration,
        now: Timestamp,
    ) -> Result<ValidKeys, SubmitError> {
        let proofs = &registration.proofs;
        let mut keys = Vec::new();
        if let Some(ids) = proofs.derived {
            let master = self.secrets.get(&self.master_key_arn, now).await?.ok_or_else(no_master_key)?;
            keys.extend(derived_keys(repository, ids, &master, now));
        }
        if proofs.own_secret.is_some_and(|secret| secret.counts_at(now)) {
            let name = self.secret_names.repository(repository);
            let secret = self.secrets.get(&name, now).await?;
            keys.extend(secret.into_iter().flat_map(|secret| own_keys(&name, secret, now)));
        }
        Ok(ValidKeys { keys, posts_per_minute: registration.posts_per_minute })
    }
}

/// The keys of each version of the master key, the most likely first. The operator decides how long the previous
/// version counts.
fn derived_keys(
    repository: &Repository,
    ids: DerivedKeyIds,
    master: &Secret,
    now: Timestamp,
) -> Vec<SecretKeys> {
    let versions = [Some(&master.current), master.previous.as_ref()].into_iter().flatten();
    let masters = versions.filter_map(|version| {
        let master = MasterKey::new(&version.value);
        if master.is_none() {
            tracing::error!(version = version.id, "a version of the master key is too short");
        }
        master
    });
    masters
        .flat_map(|master| ids.at(now).map(move |id| master.derive(repository, id).secret_keys()))
        .collect()
}

/// The keys of a repository's own secret. The previous version counts for a day after the rotation, which was when
/// the newer of the two was created: the current one, unless it was a rollback.
fn own_keys(name: &str, secret: Secret, now: Timestamp) -> Vec<SecretKeys> {
    let Secret { current, previous } = secret;
    let until =
        |previous_created: Timestamp| previous_created.max(current.created).plus(PREVIOUS_KEY_LIFETIME);
    let previous = previous.filter(|previous| now < until(previous.created));
    let parse = |value: &str| {
        // An operator must repair one that does not parse.
        SecretKeys::parse(value)
            .inspect_err(|error| tracing::error!(secret = name, %error, "failed to parse a secret"))
            .ok()
    };
    [Some(&current), previous.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(|version| parse(&version.value))
        .collect()
}

fn no_master_key() -> AwsError {
    AwsError::unexpected("secretsmanager:GetSecretValue", "the master key does not exist")
}
