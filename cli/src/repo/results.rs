//! Moves the results of a repository to another name, and erases them.

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{RegistrationRecord, Results};
use badgesmith_domain::ids::Repository;
use badgesmith_domain::registration::{ActiveRegistration, DerivedKeyIds, Keyless, Registration};
use badgesmith_domain::timestamp::Timestamp;

use super::add::{has_key, new_key_id};
use super::output::{ErasedResults, RenamedRepository};
use super::{Confirmed, Erase, Rename, RepositoryArgs, RepositoryStore};
use crate::error::CliError;
use crate::output::Output;
use crate::quantity::quantity;
use crate::terminal::{self, Progress};

/// A registration that has another name now.
struct MovedRegistration {
    /// The key of the new name. `None` if the repository had none.
    key: Option<String>,
    had_own_secret: bool,
}

pub(super) async fn rename(
    store: &RepositoryStore,
    results: &Results,
    options: &Rename,
) -> Result<Output, CliError> {
    let Rename { from, to, yes, .. } = options;
    if from == to {
        return Err(CliError::Usage(format!("NEW: expected another name than {from}")));
    }
    let (old, new) = (store.find(from).await?, store.registrations.find(to).await?);
    let new_is_active =
        matches!(new.as_ref().map(|record| &record.registration), Some(Registration::Active(_)));
    let moved = match &old.registration {
        Registration::Active(_) if new_is_active => {
            let advice = format!("to merge them, run `badgesmith repo remove {from}` first");
            return Err(CliError::Failed(format!("{to} is already registered; {advice}")));
        }
        Registration::Active(active) => {
            let key = if has_key(&active.proofs) { "It gets a new key, and results" } else { "Results" };
            terminal::confirm(&format!("Rename {from} to {to}? {key} of {from} will be rejected."), *yes)?;
            Some(move_registration(store, active, (from, &old), (to, new.as_ref())).await?)
        }
        // An earlier run of the command moved it.
        Registration::Removed(_) if new_is_active => {
            let question = format!("Move the latest results of {from}, which was removed, to {to}?");
            terminal::confirm(&question, *yes)?;
            None
        }
        Registration::Removed(_) => return Err(super::store::removed(from)),
    };
    let key = moved.as_ref().and_then(|moved| moved.key.clone());
    let slots = results
        .move_slots(from, to)
        .await
        .map_err(|error| unfinished(from, to, key.is_some(), &error.into()))?;
    let key_note = key.is_some().then(|| {
        format!("This is the key of {to}. It is usable within 1 minute. Store it in the CI system.")
    });
    let renamed = RenamedRepository { from: from.to_string(), to: to.to_string(), key, slots };
    let output = Output::new(&renamed).note(format!("Moved {} to {to}.", quantity(slots, "latest result")));
    let Some(MovedRegistration { had_own_secret, .. }) = moved else { return Ok(output) };
    Ok(output
        .recovery_hint(format!("print the key with `badgesmith repo show {to} --key`"))
        .notes(key_note)
        .note(format!("Results of {from} are rejected within 5 minutes. Its history stays under that name."))
        .note("Results that were accepted in the meantime are moved when you run the command again.")
        .notes(had_own_secret.then(|| store.secret_note(from))))
}

/// Registers the new name, and then removes the old one.
async fn move_registration(
    store: &RepositoryStore,
    active: &ActiveRegistration,
    (from, old): (&Repository, &RegistrationRecord),
    (to, new): (&Repository, Option<&RegistrationRecord>),
) -> Result<MovedRegistration, CliError> {
    let now = Clock::System.now();
    let (registration, key) = renamed(store, active, (from, to), now).await?;
    store.put(to, &Registration::Active(registration), new).await?;
    store.put(from, &Registration::Removed(now), Some(old)).await.map_err(|error| {
        let advice = format!("run `badgesmith repo remove {from}` and `badgesmith repo rename {from} {to}`");
        CliError::Failed(format!(
            "{error}; both names are registered: {advice}, and print the key of {to} with `badgesmith repo show {to} \
             --key`"
        ))
    })?;
    Ok(MovedRegistration { key, had_own_secret: active.proofs.own_secret.is_some() })
}

/// The registration under the new name, and its key, unless the repository had none.
async fn renamed(
    store: &RepositoryStore,
    active: &ActiveRegistration,
    (from, to): (&Repository, &Repository),
    now: Timestamp,
) -> Result<(ActiveRegistration, Option<String>), CliError> {
    let mut registration = ActiveRegistration {
        posts_per_minute: active.posts_per_minute,
        ..ActiveRegistration::keyless(None, now)
    };
    // The repository keeps its id. With another owner, the next ID token sets both.
    let same_owner = from.owner == to.owner;
    let keyless = active.proofs.keyless;
    registration.proofs.keyless = keyless.map(|Keyless { ids }| Keyless { ids: ids.filter(|_| same_owner) });
    if !has_key(&active.proofs) {
        return Ok((registration, None));
    }
    let current = new_key_id()?;
    registration.proofs.derived = Some(DerivedKeyIds { current, previous: None });
    Ok((registration, Some(store.derive(to, current).await?.as_str().to_owned())))
}

/// The registration is moved, but not all results.
fn unfinished(from: &Repository, to: &Repository, has_key: bool, error: &CliError) -> CliError {
    let advice = format!("run `badgesmith repo rename {from} {to}` again to move the rest of the results");
    let key = if has_key {
        format!("; {to} is registered: print its key with `badgesmith repo show {to} --key`")
    } else {
        String::new()
    };
    CliError::Failed(format!("{error}; {advice}{key}"))
}

pub(super) async fn erase(results: &Results, options: &Erase) -> Result<Output, CliError> {
    let Erase { branch, confirmed: Confirmed { yes, args: RepositoryArgs { repository, .. } } } = options;
    let which = match branch {
        Some(branch) => format!("branch {branch} of {repository}"),
        None => repository.to_string(),
    };
    terminal::confirm(&format!("Delete all results of {which} permanently?"), *yes)?;
    let mut progress = Progress::new();
    let items = results
        .erase(repository, branch.as_ref(), |items| progress.show(&format!("deleted {items} items")))
        .await
        .map_err(|error| {
            let error = CliError::from(error);
            CliError::Failed(format!("{error}; some results are deleted: run the command again for the rest"))
        })?;
    drop(progress);
    let branch = branch.as_ref().map(ToString::to_string);
    Ok(Output::new(&ErasedResults { repository: repository.to_string(), branch, items })
        .note("Badges follow within 90 seconds, and results that are still in a queue are stored after all.")
        .note("Backups keep deleted items for 35 days."))
}
