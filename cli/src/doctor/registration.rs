//! Checks the registration and the key of a repository.

use badgesmith_aws::clock::Clock;
use badgesmith_aws::secrets_manager::{SecretDescription, Stage};
use badgesmith_domain::ids::Repository;
use badgesmith_domain::signature::HmacKey;

use crate::error::CliError;
use crate::quantity::quantity;
use crate::repo::RepositoryStore;
use crate::stack::Stack;

/// What the key signs. Nobody else ever sees the signature.
const PROBE: &[u8] = b"badgesmith doctor";

/// Checks that the master key exists, and whether its previous version counts, too. Reads no value, because anyone who
/// knows one can sign results of every repository.
pub(super) async fn check_master_key(stack: &Stack) -> Result<String, CliError> {
    let store = RepositoryStore::new(stack)?;
    match store.master_key_description().await? {
        None => Err(CliError::Failed("the master key does not exist; deploy the template again".to_owned())),
        Some(SecretDescription { deletes_at: Some(at), .. }) => Err(CliError::Failed(format!(
            "the master key is scheduled for deletion at {at}; restore it with `aws secretsmanager restore-secret`"
        ))),
        Some(SecretDescription { has_previous: true, .. }) => Ok("two versions, which both count".to_owned()),
        Some(_) => Ok("one version".to_owned()),
    }
}

/// Checks that the repository is registered, and that its own secret exists, if it has one.
pub(super) async fn check(stack: &Stack, repository: &Repository) -> Result<String, CliError> {
    let store = RepositoryStore::new(stack)?;
    let (record, active) = store.active(repository).await?;
    let secret = store.secret_description(repository, &record.registration).await?;
    if active.proofs.own_secret.is_some_and(|secret| secret.counts_at(Clock::System.now()))
        && secret.is_none_or(|secret| secret.deletes_at.is_some())
    {
        let advice = format!("replace it with `badgesmith repo rotate {repository} --derived`");
        let name = store.secret_name(repository);
        return Err(CliError::Failed(format!(
            "the secret {name} does not exist or is scheduled for deletion; {advice}"
        )));
    }
    let rate = quantity(active.posts_per_minute.get(), "result");
    Ok(format!("since {}, {rate} a minute", active.created))
}

/// Checks that `key` is one of those that count. Does not read a secret of the repository's own.
pub(super) async fn check_key(
    stack: &Stack,
    repository: &Repository,
    key: &HmacKey,
) -> Result<String, CliError> {
    let store = RepositoryStore::new(stack)?;
    let (_, active) = store.active(repository).await?;
    let now = Clock::System.now();
    let signature = key.sign(PROBE);
    if let Some(ids) = active.proofs.derived {
        for stage in [Stage::Current, Stage::Previous] {
            let Some(master) = store.master_key(stage).await? else { continue };
            for id in ids.at(now) {
                if !master.derive(repository, id).secret_keys().verify(PROBE, &signature) {
                    continue;
                }
                return Ok(match (id == ids.current, stage) {
                    (true, Stage::Current) => "the current key".to_owned(),
                    (true, Stage::Previous) => {
                        "a key of the previous master key; rotate it before that is taken away".to_owned()
                    }
                    (false, _) => {
                        "the key before the last rotation; replace it within a day of that".to_owned()
                    }
                });
            }
        }
    }
    if active.proofs.own_secret.is_some_and(|secret| secret.counts_at(now)) {
        return Ok(format!("to be compared with the secret {}", store.secret_name(repository)));
    }
    Err(CliError::Failed(format!(
        "not a key of {repository}; print the current one with `badgesmith repo show {repository} --key`"
    )))
}
