//! Replaces the key of a repository.

use badgesmith_aws::clock::Clock;
use badgesmith_domain::ids::Repository;
use badgesmith_domain::registration::{ActiveRegistration, PREVIOUS_KEY_LIFETIME, Registration};
use badgesmith_domain::timestamp::Timestamp;

use super::add::{generate_key, has_key, new_key_id, put_key, replace_compromised};
use super::output::NewKey;
use super::{RepositoryArgs, RepositoryStore, Rotate};
use crate::duration::format_duration;
use crate::error::CliError;
use crate::output::Output;
use crate::terminal;

pub(super) async fn rotate(store: &RepositoryStore, options: &Rotate) -> Result<Output, CliError> {
    let Rotate { compromised, derived, yes, args: RepositoryArgs { repository, .. } } = options;
    let (record, active) = store.active(repository).await?;
    let now = Clock::System.now();
    let had_own_secret = active.proofs.own_secret.is_some();
    let had_key = has_key(&active.proofs);
    // A repository with ID tokens gets its first key.
    let derived = *derived || !had_own_secret || active.proofs.derived.is_some();
    if !compromised {
        let expires = previous_expires(store, repository, &active, derived).await?;
        confirm_second_rotation(repository, expires, now, *yes)?;
    }
    let own_secret_exists = match active.proofs.own_secret {
        // An operator may have deleted it, since a derived key replaces it.
        Some(secret) if derived && secret.counts_at(now) => {
            let secret = store.secrets.describe(&store.secret_name(repository)).await?;
            secret.is_some_and(|secret| secret.deletes_at.is_none())
        }
        Some(_) | None => false,
    };
    let key = if derived {
        let id = new_key_id()?;
        let key = store.derive(repository, id).await?.as_str().to_owned();
        let rotated = Registration::Active(active.rotated(id, *compromised, now));
        store.put(repository, &rotated, Some(&record)).await?;
        if *compromised && own_secret_exists {
            // The secret may be registered again, or by another stack.
            replace_compromised(store, repository).await?;
        }
        key
    } else {
        // Secrets Manager overwrites without a condition. This write admits only one of two commands at the same time.
        let rotated = Registration::Active(ActiveRegistration { rotated: Some(now), ..active });
        store.put(repository, &rotated, Some(&record)).await?;
        if *compromised {
            replace_compromised(store, repository).await?
        } else {
            let key = generate_key()?;
            put_key(store, repository, &key).await?;
            key
        }
    };
    let secret = (!derived).then(|| store.secret_name(repository));
    let hint = lost_key(repository, secret.as_deref(), *compromised);
    let previous_valid_until = (had_key && !compromised).then(|| now.plus(PREVIOUS_KEY_LIFETIME));
    let key = NewKey { repository: repository.to_string(), secret, key, previous_valid_until };
    let output = Output::new(&key).recovery_hint(hint).note(format!("This is the new key of {repository}."));
    let output = output.notes(own_secret_exists.then(|| store.secret_note(repository)));
    Ok(if !had_key {
        output.note("It is usable within 1 minute. ID tokens are still accepted.")
    } else if *compromised {
        output.note("It is usable within 1 minute. The old key is refused within 5 minutes, everywhere.")
    } else {
        output
            .note("Wait a minute before clients use it: running functions read a key at most once a minute.")
            .note("The old key stays valid for 24 hours. Switch clients within that time.")
    })
}

/// When the key from before the last rotation expires, if there is one that this rotation would revoke.
async fn previous_expires(
    store: &RepositoryStore,
    repository: &Repository,
    active: &ActiveRegistration,
    derived: bool,
) -> Result<Option<Timestamp>, CliError> {
    if derived {
        return Ok(active.proofs.derived.and_then(|ids| ids.previous).map(|(_, until)| until));
    }
    let secret = store.secrets.describe(&store.secret_name(repository)).await?;
    let changed = secret.filter(|secret| secret.has_previous).map(|secret| secret.changed);
    // The registration is written first, so another command may be about to change the secret.
    Ok(changed.max(active.rotated).map(|rotated| rotated.plus(PREVIOUS_KEY_LIFETIME)))
}

/// A second rotation within [`PREVIOUS_KEY_LIFETIME`] revokes a key that is still valid.
fn confirm_second_rotation(
    repository: &Repository,
    expires: Option<Timestamp>,
    now: Timestamp,
    yes: bool,
) -> Result<(), CliError> {
    let Some(expires) = expires.filter(|expires| *expires > now) else { return Ok(()) };
    let valid_for = format_duration(expires.since(now));
    let question = format!(
        "The key of {repository} was rotated less than a day ago, and the key before it is valid for {valid_for} more. \
         Rotate again and revoke that key?"
    );
    terminal::confirm(&question, yes)
}

/// What to do when the new key was never printed.
fn lost_key(repository: &Repository, secret: Option<&str>, compromised: bool) -> String {
    match secret {
        None => format!("print the new key with `badgesmith repo show {repository} --key`"),
        Some(_) if compromised => format!("the new key of {repository} is lost: run the command again"),
        // Rotating again would revoke the old key, which clients still use.
        Some(name) => format!(
            "the new key of {repository} is lost. The old one is valid for 24 hours: make it current again with \
             `aws secretsmanager update-secret-version-stage` (`aws secretsmanager list-secret-version-ids --secret-id \
             {name}` lists the versions), then rotate again"
        ),
    }
}
