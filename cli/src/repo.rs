//! `badgesmith repo`: the repositories that may submit results, and their keys.

mod add;
mod import;
mod output;
mod reset;
mod results;
mod rotate;
mod store;

use std::num::NonZeroU32;

use badgesmith_aws::clock::Clock;
use badgesmith_domain::ids::{Branch, Repository};
use badgesmith_domain::registration::{ActiveRegistration, Registration};
use clap::{Args, Subcommand};

use self::output::{RegistrationList, RemovedRepository, RepositoryDescription, ShownKey, UpdatedRepository};
use self::reset::Identity;
pub(crate) use self::store::RepositoryStore;
use crate::error::CliError;
use crate::help;
use crate::output::Output;
use crate::stack::Target;
use crate::terminal;

const IN_FORCE: &str = "Takes effect within 5 minutes: running functions cache registrations for that long.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register a repository, and print its key
    ///
    /// Prints only the key on stdout: 32 bytes in base64. The key is derived from the stack's master key, so storing it
    /// costs nothing. With --own-secret, it is stored in Secrets Manager instead. It is usable within 1 minute. A
    /// repository that was removed before gets a new key.
    ///
    /// With --keyless, there is no key: the repository's CI jobs submit with their ID tokens, which are accepted within 1
    /// minute.
    #[command(after_long_help = help::with_examples(ADD))]
    Add(Add),
    /// Show how a repository is registered
    ///
    /// Does not print the key, except with --key.
    #[command(after_long_help = help::with_examples(SHOW))]
    Show(Show),
    /// List the registered repositories, and those that were removed
    #[command(after_long_help = help::with_examples(LIST))]
    List(Target),
    /// Change how many results a repository may submit
    ///
    /// Takes effect within 5 minutes. The key stays the same.
    #[command(after_long_help = help::with_examples(UPDATE))]
    Update(Update),
    /// Replace the key of a repository, and print the new one
    ///
    /// The new key is usable within 1 minute. The old key stays valid for 24 hours. To avoid rejected results, switch
    /// clients to the new key within that time, but not in the first minute.
    #[command(after_long_help = help::with_examples(ROTATE))]
    Rotate(Rotate),
    /// Stop accepting results of a repository
    ///
    /// Takes effect within 5 minutes. Badges and history stay. `repo list` shows the name as removed, and only `repo add`
    /// registers it again, with a new key.
    #[command(after_long_help = help::with_examples(REMOVE))]
    Remove(Confirmed),
    /// Register all repositories that have their own secret
    ///
    /// Finds the secrets PREFIX/repo/OWNER/REPO, and registers these repositories. Their keys stay valid. Does not change
    /// repositories that are registered or were removed.
    #[command(after_long_help = help::with_examples(IMPORT))]
    Import(Target),
    /// Move a repository to another name, and print its new key
    ///
    /// Moves the registration and the latest results, which badges show. The history up to now stays under the old name.
    /// The new key is usable within 1 minute, and results of the old name are rejected within 5 minutes. A repository
    /// without a key gets none. Run the command again to move results that arrived in the meantime, or after it was interrupted.
    #[command(after_long_help = help::with_examples(RENAME))]
    Rename(Rename),
    /// Accept ID tokens with other ids under the same name
    ///
    /// The first ID token of a repository sets the ids of the repository and its owner, and later ones must have the same.
    /// Run this command after you deleted a repository and created it again, or gave its name to another account: the next
    /// ID token sets new ids. They count within 1 minute, and the previous ones are rejected within 5 minutes.
    #[command(after_long_help = help::with_examples(RESET))]
    ResetIdentity(Reset),
    /// Delete the results of a repository, or of one branch
    ///
    /// Deletes history and latest results permanently. Badges change within 90 seconds. The registration stays: to stop
    /// new results, run `repo remove` first.
    #[command(after_long_help = help::with_examples(ERASE))]
    Erase(Erase),
}

const ADD: &str = "  Store the key in GitHub Actions without showing it:
    KEY=$(badgesmith repo add acme/kit --stack badgesmith) &&
      printf %s \"$KEY\" | gh secret set BADGESMITH_KEY --repo acme/kit

  Register a repository in a `local --aws-port 9475`:
    badgesmith repo add acme/kit --endpoint-url http://127.0.0.1:9475

  Accept the ID tokens of its CI jobs instead of a key:
    badgesmith repo add acme/kit --keyless --stack badgesmith

  Accept up to 1000 results a minute:
    badgesmith repo add acme/monorepo --posts-per-minute 1000 --stack badgesmith";

const SHOW: &str = "    badgesmith repo show acme/kit --stack badgesmith

  Print a key that was lost:
    badgesmith repo show acme/kit --key --stack badgesmith";

const LIST: &str = "    badgesmith repo list --stack badgesmith";

const UPDATE: &str = "    badgesmith repo update acme/monorepo --posts-per-minute 1000 --stack badgesmith";

const ROTATE: &str = "  Rotate without rejected results:
    KEY=$(badgesmith repo rotate acme/kit --stack badgesmith) && sleep 60 &&
      printf %s \"$KEY\" | gh secret set BADGESMITH_KEY --repo acme/kit

  Replace a key that leaked:
    badgesmith repo rotate acme/kit --stack badgesmith --compromised

  Replace the repository's own secret with a derived key:
    badgesmith repo rotate acme/kit --stack badgesmith --derived";

const REMOVE: &str = "    badgesmith repo remove acme/kit --stack badgesmith
    badgesmith repo remove acme/kit --stack badgesmith --yes";

const IMPORT: &str = "    badgesmith repo import --stack badgesmith";

const RENAME: &str = "    badgesmith repo rename acme/kit acme/toolkit --stack badgesmith";

const RESET: &str = "  After the repository was deleted and created again:
    badgesmith repo reset-identity acme/kit --stack badgesmith

  After another account took the name of the owner:
    badgesmith repo reset-identity acme --stack badgesmith";

const ERASE: &str = "    badgesmith repo erase acme/kit --stack badgesmith
    badgesmith repo erase acme/kit --branch feature/x --yes --stack badgesmith";

#[derive(Debug, Args)]
pub(crate) struct RepositoryArgs {
    /// Repository to operate on
    #[arg(value_name = "OWNER/REPO")]
    repository: Repository,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Store the key as the secret PREFIX/repo/OWNER/REPO in Secrets Manager instead of deriving it
    #[arg(long)]
    own_secret: bool,
    /// Accept the ID tokens of the repository's CI jobs instead of creating a key; an existing key stays valid
    #[arg(long, conflicts_with = "own_secret")]
    keyless: bool,
    /// Maximum number of results in a minute, and at once [default: 300]
    #[arg(long, value_name = "NUMBER")]
    posts_per_minute: Option<NonZeroU32>,
    #[command(flatten)]
    args: RepositoryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Print the current derived key instead
    #[arg(long)]
    key: bool,
    #[command(flatten)]
    args: RepositoryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Maximum number of results in a minute, and at once
    #[arg(long, value_name = "NUMBER")]
    posts_per_minute: NonZeroU32,
    #[command(flatten)]
    args: RepositoryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// Revoke the old key within 5 minutes instead of keeping it valid for 24 hours
    #[arg(long)]
    compromised: bool,
    /// Replace the repository's own secret with a derived key
    #[arg(long)]
    derived: bool,
    /// Skip the confirmation of a second rotation within 24 hours, which revokes the key from before the last rotation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    args: RepositoryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Confirmed {
    /// Skip the confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    args: RepositoryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// Repository to rename
    #[arg(value_name = "OLD")]
    from: Repository,
    /// New name of the repository
    #[arg(value_name = "NEW")]
    to: Repository,
    /// Skip the confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// Repository, or owner of repositories
    #[arg(value_name = "OWNER/REPO|OWNER")]
    identity: Identity,
    /// Skip the confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Erase {
    /// Branch whose results to delete, instead of those of all branches
    #[arg(long)]
    branch: Option<Branch>,
    #[command(flatten)]
    confirmed: Confirmed,
}

impl Command {
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::Add(options) => &options.args.target,
            Self::Show(options) => &options.args.target,
            Self::Update(options) => &options.args.target,
            Self::Rotate(options) => &options.args.target,
            Self::Remove(options) => &options.args.target,
            Self::Erase(options) => &options.confirmed.args.target,
            Self::Rename(options) => &options.target,
            Self::ResetIdentity(options) => &options.target,
            Self::List(target) | Self::Import(target) => target,
        }
    }

    pub(crate) async fn run(&self) -> Result<Output, CliError> {
        let stack = self.target().find().await?;
        let store = RepositoryStore::new(&stack)?;
        match self {
            Self::Add(options) => add::add(&store, options).await,
            Self::Show(options) => show(&store, options).await,
            Self::List(_) => list(&store).await,
            Self::Update(options) => update(&store, options).await,
            Self::Rotate(options) => rotate::rotate(&store, options).await,
            Self::Remove(options) => remove(&store, options).await,
            Self::Import(_) => import::import(&store).await,
            Self::Rename(options) => results::rename(&store, &stack.results()?, options).await,
            Self::ResetIdentity(options) => reset::reset(&store, &stack.owners()?, options).await,
            Self::Erase(options) => results::erase(&stack.results()?, options).await,
        }
    }
}

async fn show(store: &RepositoryStore, options: &Show) -> Result<Output, CliError> {
    let Show { key, args: RepositoryArgs { repository, .. } } = options;
    let record = store.find(repository).await?;
    if !key {
        let secret = store.secret_description(repository, &record.registration).await?;
        let registration = record.registration;
        let now = Clock::System.now();
        return Ok(Output::new(&RepositoryDescription::new(repository, &registration, secret, now)));
    }
    let Registration::Active(active) = record.registration else { return Err(store::removed(repository)) };
    let Some(ids) = active.proofs.derived else {
        let reason = if active.proofs.own_secret.is_some() {
            format!("the key of {repository} is in the secret {}, not derived", store.secret_name(repository))
        } else {
            format!("{repository} has no key; create one with `badgesmith repo rotate {repository}`")
        };
        return Err(CliError::Failed(reason));
    };
    let key = store.derive(repository, ids.current).await?.as_str().to_owned();
    Ok(Output::new(&ShownKey { repository: repository.to_string(), key }))
}

async fn list(store: &RepositoryStore) -> Result<Output, CliError> {
    let mut registrations = store.registrations.list().await?;
    registrations.sort_by_cached_key(|(repository, _)| repository.to_string());
    Ok(Output::new(&RegistrationList::new(&registrations, Clock::System.now())))
}

async fn update(store: &RepositoryStore, options: &Update) -> Result<Output, CliError> {
    let Update { posts_per_minute, args: RepositoryArgs { repository, .. } } = options;
    let (record, active) = store.active(repository).await?;
    let registration = ActiveRegistration { posts_per_minute: *posts_per_minute, ..active };
    store.put(repository, &Registration::Active(registration), Some(&record)).await?;
    let updated =
        UpdatedRepository { repository: repository.to_string(), posts_per_minute: posts_per_minute.get() };
    Ok(Output::new(&updated).note(IN_FORCE))
}

async fn remove(store: &RepositoryStore, options: &Confirmed) -> Result<Output, CliError> {
    let Confirmed { yes, args: RepositoryArgs { repository, .. } } = options;
    let (record, active) = store.active(repository).await?;
    terminal::confirm(&format!("Remove {repository}? Its results will be rejected."), *yes)?;
    let removed_at = Clock::System.now();
    store.put(repository, &Registration::Removed(removed_at), Some(&record)).await?;
    let own_secret = active.proofs.own_secret.filter(|secret| secret.counts_at(removed_at));
    let secret_note = own_secret.map(|_| store.secret_note(repository));
    Ok(Output::new(&RemovedRepository { repository: repository.to_string(), removed_at })
        .note(IN_FORCE)
        .note(format!("Badges and history stay; `badgesmith repo erase {repository}` deletes them."))
        .notes(secret_note))
}
