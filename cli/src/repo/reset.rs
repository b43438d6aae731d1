//! Deletes the ids of a repository or an owner, so that the next ID token sets new ones.

use std::str::FromStr;

use badgesmith_aws::dynamodb::Owners;
use badgesmith_domain::ids::{Owner, ParseError, Repository};
use badgesmith_domain::registration::{ActiveRegistration, Keyless, Proofs, Registration};

use super::output::ResetIdentity;
use super::{RepositoryStore, Reset};
use crate::error::CliError;
use crate::output::Output;
use crate::terminal;

/// A repository, or the owner of several.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    Repository(Repository),
    Owner(Owner),
}

impl FromStr for Identity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.contains('/') { text.parse().map(Self::Repository) } else { text.parse().map(Self::Owner) }
    }
}

pub(super) async fn reset(
    store: &RepositoryStore,
    owners: &Owners,
    options: &Reset,
) -> Result<Output, CliError> {
    match &options.identity {
        Identity::Repository(repository) => reset_repository(store, owners, repository, options.yes).await,
        Identity::Owner(owner) => reset_owner(owners, owner, options.yes).await,
    }
}

async fn reset_repository(
    store: &RepositoryStore,
    owners: &Owners,
    repository: &Repository,
    yes: bool,
) -> Result<Output, CliError> {
    let (record, active) = store.active(repository).await?;
    let Some(Keyless { ids }) = active.proofs.keyless else {
        let advice = format!("accept them with `badgesmith repo add {repository} --keyless`");
        return Err(CliError::Failed(format!("{repository} does not use ID tokens; {advice}")));
    };
    terminal::confirm(&format!("Accept the next ID token of {repository}, whatever its ids?"), yes)?;
    let proofs = Proofs { keyless: Some(Keyless { ids: None }), ..active.proofs.clone() };
    let registration = Registration::Active(ActiveRegistration { proofs, ..active });
    store.put(repository, &registration, Some(&record)).await?;
    let owner = &repository.owner;
    let owner_note = owners.id(owner).await?.map(|id| {
        format!("The owner's id must still be {id}; `badgesmith repo reset-identity {owner}` changes that.")
    });
    let previous = ids.map(|ids| ids.repository);
    Ok(Output::new(&ResetIdentity { name: repository.to_string(), previous })
        .note("New ids count within 1 minute. The previous ones are rejected within 5 minutes.")
        .notes(owner_note))
}

async fn reset_owner(owners: &Owners, owner: &Owner, yes: bool) -> Result<Output, CliError> {
    let Some(id) = owners.id(owner).await? else {
        return Err(CliError::NotFound(format!("no repository of {owner} has used an ID token")));
    };
    terminal::confirm(&format!("Accept the next ID token of {owner}, whatever the id of its account?"), yes)?;
    owners.reset(owner).await?;
    Ok(Output::new(&ResetIdentity { name: owner.to_string(), previous: Some(id) }).note(format!(
        "Its registered repositories keep their ids; `badgesmith repo reset-identity {owner}/REPO` changes those of one."
    )))
}
