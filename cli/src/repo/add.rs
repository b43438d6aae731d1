//! Registers a repository.

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::RegistrationRecord;
use badgesmith_aws::secrets_manager::{CreateOutcome, repository_secret};
use badgesmith_domain::derived_key::KeyId;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::registration::{ActiveRegistration, Keyless, Proofs, Registration};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::output::{KeylessRepository, NewKey};
use super::{Add, RepositoryArgs, RepositoryStore};
use crate::error::CliError;
use crate::output::Output;

pub(super) async fn add(store: &RepositoryStore, options: &Add) -> Result<Output, CliError> {
    let Add { own_secret, keyless, posts_per_minute, args: RepositoryArgs { repository, .. } } = options;
    let record = store.registrations.find(repository).await?;
    if *keyless {
        return add_keyless(store, options, record).await;
    }
    if let Some(Registration::Active(active)) = record.as_ref().map(|record| &record.registration) {
        let verb = if has_key(&active.proofs) { "replace its" } else { "create its first" };
        let advice = format!("{verb} key with `badgesmith repo rotate {repository}`");
        return Err(CliError::Failed(format!("{repository} is already registered; {advice}")));
    }
    let now = Clock::System.now();
    let (key, mut registration) = if *own_secret {
        let (key, rotated) = match create_secret(store, repository, record.is_some()).await? {
            NewSecret::Created(key) => (key, None),
            NewSecret::Replaced(key) => (key, Some(now)),
        };
        (key, ActiveRegistration { rotated, ..ActiveRegistration::with_own_secret(now) })
    } else {
        let id = new_key_id()?;
        let key = store.derive(repository, id).await?.as_str().to_owned();
        (key, ActiveRegistration::with_derived_key(id, now))
    };
    if let Some(rate) = posts_per_minute {
        registration.posts_per_minute = *rate;
    }
    store.put(repository, &Registration::Active(registration), record.as_ref()).await?;
    let hint = if *own_secret {
        format!(
            "the key is lost; create another one with `badgesmith repo rotate {repository} --compromised`"
        )
    } else {
        format!("print the key with `badgesmith repo show {repository} --key`")
    };
    let secret = own_secret.then(|| store.secret_name(repository));
    let key = NewKey { repository: repository.to_string(), secret, key, previous_valid_until: None };
    Ok(Output::new(&key)
        .recovery_hint(hint)
        .note(format!("This is the key of {repository}. It is usable within 1 minute."))
        .note("Store it in the CI system as the secret BADGESMITH_KEY."))
}

/// Registers a repository for ID tokens, or accepts them besides its key.
async fn add_keyless(
    store: &RepositoryStore,
    options: &Add,
    record: Option<RegistrationRecord>,
) -> Result<Output, CliError> {
    let Add { posts_per_minute, args: RepositoryArgs { repository, .. }, .. } = options;
    let mut registration = match record.as_ref().map(|record| &record.registration) {
        Some(Registration::Active(active)) if active.proofs.keyless.is_some() => {
            return Err(CliError::Failed(format!("the ID tokens of {repository} are already accepted")));
        }
        Some(Registration::Active(active)) => {
            let proofs = Proofs { keyless: Some(Keyless { ids: None }), ..active.proofs.clone() };
            ActiveRegistration { proofs, ..active.clone() }
        }
        Some(Registration::Removed(_)) | None => ActiveRegistration::keyless(None, Clock::System.now()),
    };
    let keeps_key = has_key(&registration.proofs);
    if let Some(rate) = posts_per_minute {
        registration.posts_per_minute = *rate;
    }
    store.put(repository, &Registration::Active(registration), record.as_ref()).await?;
    Ok(Output::new(&KeylessRepository { repository: repository.to_string() })
        .note("They count within 1 minute. The first one sets the ids of the repository and its owner.")
        .notes(keeps_key.then(|| "The key stays valid.".to_owned())))
}

pub(super) fn has_key(proofs: &Proofs) -> bool {
    proofs.derived.is_some() || proofs.own_secret.is_some()
}

/// The key in a secret that was created, or that had another key before.
enum NewSecret {
    Created(String),
    Replaced(String),
}

/// Creates the repository's own secret. A repository that `was_removed` may still have its secret, whose key is replaced.
async fn create_secret(
    store: &RepositoryStore,
    repository: &Repository,
    was_removed: bool,
) -> Result<NewSecret, CliError> {
    let (name, key) = (store.secret_name(repository), generate_key()?);
    match store.secrets.create(&name, &repository_secret(&key)).await? {
        CreateOutcome::Created => Ok(NewSecret::Created(key)),
        CreateOutcome::AlreadyExists if was_removed => {
            replace_compromised(store, repository).await.map(NewSecret::Replaced)
        }
        CreateOutcome::AlreadyExists => Err(CliError::Failed(format!(
            "the secret {name} exists; register it as it is with `badgesmith repo import`"
        ))),
        CreateOutcome::ScheduledForDeletion => Err(CliError::Failed(format!(
            "the secret {name} is scheduled for deletion; register {repository} without --own-secret, or restore the \
             secret with `aws secretsmanager restore-secret --secret-id {name}`, then run the command again"
        ))),
    }
}

/// Replaces both versions of a repository's own secret, and returns the new key.
pub(super) async fn replace_compromised(
    store: &RepositoryStore,
    repository: &Repository,
) -> Result<String, CliError> {
    // The value before the last one stays valid, so the old key must be two values back.
    put_key(store, repository, &generate_key()?).await?;
    let key = generate_key()?;
    put_key(store, repository, &key).await?;
    Ok(key)
}

/// Makes `key` the current version of a repository's own secret.
pub(super) async fn put_key(
    store: &RepositoryStore,
    repository: &Repository,
    key: &str,
) -> Result<(), CliError> {
    let name = store.secret_name(repository);
    match store.secrets.put_value(&name, &repository_secret(key)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(CliError::Failed(format!(
            "the secret {name} does not exist or is scheduled for deletion; replace it by a derived key with \
             `badgesmith repo rotate {repository} --derived`"
        ))),
        Err(error) => {
            let error = CliError::from(error);
            Err(CliError::Failed(format!(
                "{error}; check with `badgesmith repo show {repository}` whether the key was rotated"
            )))
        }
    }
}

pub(super) fn new_key_id() -> Result<KeyId, CliError> {
    random().map(KeyId::new)
}

/// A key as long as the hash of HMAC-SHA256, in base64.
pub(super) fn generate_key() -> Result<String, CliError> {
    random::<32>().map(|bytes| STANDARD.encode(bytes))
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], CliError> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes)
        .map_err(|error| CliError::Failed(format!("failed to generate a key: {error}")))?;
    Ok(bytes)
}
