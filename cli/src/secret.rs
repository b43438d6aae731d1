//! `badgesmith secret`: the keys that repositories sign results with.

mod output;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::secrets_manager::{
    CreateOutcome, PREVIOUS_KEY_LIFETIME, SecretDescription, SecretsManager, repository_secret,
};
use badgesmith_domain::ids::Repository;
use badgesmith_domain::timestamp::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};

use self::output::{DeletedKey, KeyDescription, NewKey};
use crate::duration::{age, format_duration};
use crate::error::CliError;
use crate::help;
use crate::output::Output;
use crate::stack::Target;
use crate::terminal;

/// As long as the hash of HMAC-SHA256.
const KEY_BYTES: usize = 32;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create the key of a repository
    ///
    /// Prints the key to stdout, 32 random bytes in base64. No command prints it again, so store it in the CI system at
    /// once. Results signed with it are accepted immediately, or within a minute if a client sent results before the
    /// key existed.
    #[command(after_long_help = help::with_examples(CREATE))]
    Create(RepositoryArgs),
    /// Replace the key of a repository
    ///
    /// Prints the new key to stdout. The old key stays valid for 24 hours. To avoid rejected results, switch clients to
    /// the new key within that time, but not in the first minute.
    #[command(after_long_help = help::with_examples(ROTATE))]
    Rotate(Rotate),
    /// Show when the key of a repository was created and rotated
    ///
    /// Never prints the key.
    #[command(after_long_help = help::with_examples(SHOW))]
    Show(RepositoryArgs),
    /// Delete the key of a repository
    ///
    /// Results of the repository are rejected within an hour, because running functions cache keys for that long. For
    /// 30 days, `aws secretsmanager restore-secret` can restore the key.
    #[command(after_long_help = help::with_examples(DELETE))]
    Delete(Delete),
}

const CREATE: &str = "  Store the key in GitHub Actions without showing it:
    KEY=$(badgesmith secret create acme/kit --stack badgesmith) &&
      printf %s \"$KEY\" | gh secret set BADGESMITH_KEY --repo acme/kit

  Create a key in a `local --aws-port 9475`:
    badgesmith secret create acme/kit --endpoint-url http://127.0.0.1:9475";

const ROTATE: &str = "  Rotate without rejected results:
    KEY=$(badgesmith secret rotate acme/kit --stack badgesmith) && sleep 60 &&
      printf %s \"$KEY\" | gh secret set BADGESMITH_KEY --repo acme/kit

  Replace a key that leaked:
    badgesmith secret rotate acme/kit --stack badgesmith --compromised";

const SHOW: &str = "    badgesmith secret show acme/kit --stack badgesmith";

const DELETE: &str = "    badgesmith secret delete acme/kit --stack badgesmith
    badgesmith secret delete acme/kit --stack badgesmith --yes";

#[derive(Debug, Args)]
pub(crate) struct RepositoryArgs {
    /// Repository that the key belongs to
    #[arg(value_name = "OWNER/REPO")]
    repository: Repository,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// Revoke the old key instead of keeping it valid for 24 hours
    #[arg(long)]
    compromised: bool,
    /// Skip the confirmation of a second rotation within 24 hours, which revokes the key from before the last rotation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    args: RepositoryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Skip the confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    args: RepositoryArgs,
}

impl Command {
    fn args(&self) -> &RepositoryArgs {
        match self {
            Self::Create(args) | Self::Show(args) => args,
            Self::Rotate(rotate) => &rotate.args,
            Self::Delete(delete) => &delete.args,
        }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.args().target
    }

    pub(crate) async fn run(&self) -> Result<Output, CliError> {
        let stack = self.target().find().await?;
        let secrets = SecretsManager::new(&stack.config);
        let name = stack.secret_names()?.repository(&self.args().repository);
        match self {
            Self::Create(RepositoryArgs { repository, .. }) => create(&secrets, repository, name).await,
            Self::Rotate(options) => rotate(&secrets, options, name).await,
            Self::Show(RepositoryArgs { repository, .. }) => show(&secrets, repository, name).await,
            Self::Delete(options) => delete(&secrets, options, name).await,
        }
    }
}

async fn create(secrets: &SecretsManager, repository: &Repository, name: String) -> Result<Output, CliError> {
    let key = generate_key()?;
    match secrets.create(&name, &repository_secret(&key)).await? {
        CreateOutcome::Created => {}
        CreateOutcome::AlreadyExists => {
            let advice = format!("replace it with `badgesmith secret rotate {repository}`");
            return Err(CliError::Failed(format!("{repository} already has a key; {advice}")));
        }
        CreateOutcome::ScheduledForDeletion => return Err(deleted(repository, &name)),
    }
    let hint = format!("the key is lost; create another one with `badgesmith secret rotate {repository}`");
    let key = NewKey { repository: repository.to_string(), secret: name, key, previous_valid_until: None };
    Ok(Output::new(&key)
        .recovery_hint(hint)
        .note(format!("This is the key of {repository}. It is not shown again."))
        .note("Store it in the CI system as the secret BADGESMITH_KEY."))
}

async fn rotate(secrets: &SecretsManager, options: &Rotate, name: String) -> Result<Output, CliError> {
    let Rotate { compromised, yes, args: RepositoryArgs { repository, target } } = options;
    let now = Clock::System.now();
    let secret = describe(secrets, repository, &name).await?;
    if !compromised {
        confirm_second_rotation(repository, &secret, now, *yes)?;
    }
    if *compromised {
        // The value before the last one stays valid, so the old key must be two values back.
        put(secrets, options, &name, &generate_key()?).await?;
    }
    let key = generate_key()?;
    put(secrets, options, &name, &key).await?;
    let hint = lost_key(options, &name);
    let previous_valid_until = (!compromised).then(|| now.plus(PREVIOUS_KEY_LIFETIME));
    let key = NewKey { repository: repository.to_string(), secret: name, key, previous_valid_until };
    let output = Output::new(&key)
        .recovery_hint(hint)
        .note(format!("This is the new key of {repository}. It is not shown again."));
    Ok(if *compromised {
        let restart = restart_hint(target, now);
        output.note(format!(
            "The old key is revoked, but running functions cache keys for up to an hour. To revoke it now, {restart}"
        ))
    } else {
        output
            .note("Wait a minute before clients use it: running functions read a key at most once a minute.")
            .note("The old key stays valid for 24 hours. Switch clients within that time.")
    })
}

/// A second rotation within [`PREVIOUS_KEY_LIFETIME`] revokes a key that is still valid.
fn confirm_second_rotation(
    repository: &Repository,
    secret: &SecretDescription,
    now: Timestamp,
    yes: bool,
) -> Result<(), CliError> {
    let valid_for = PREVIOUS_KEY_LIFETIME.saturating_sub(now.since(secret.changed));
    if !secret.has_previous || valid_for.is_zero() {
        return Ok(());
    }
    let (last, valid_for) = (age(secret.changed, now), format_duration(valid_for));
    let question = format!(
        "The key of {repository} was rotated {last} ago, and the key before it is valid for {valid_for} more. \
         Rotate again and revoke that key?"
    );
    terminal::confirm(&question, yes)
}

async fn put(secrets: &SecretsManager, options: &Rotate, name: &str, key: &str) -> Result<(), CliError> {
    let repository = &options.args.repository;
    match secrets.put_value(name, &repository_secret(key)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(no_key(repository)),
        Err(error) => Err(unconfirmed(error, options, name)),
    }
}

async fn show(secrets: &SecretsManager, repository: &Repository, name: String) -> Result<Output, CliError> {
    let secret = secrets.describe(&name).await?.ok_or_else(|| no_key(repository))?;
    Ok(Output::new(&KeyDescription {
        repository: repository.to_string(),
        secret: name,
        created_at: secret.created,
        rotated_at: secret.has_previous.then_some(secret.changed),
        deletes_at: secret.deletes_at,
        now: Clock::System.now(),
    }))
}

async fn delete(secrets: &SecretsManager, options: &Delete, name: String) -> Result<Output, CliError> {
    let Delete { yes, args: RepositoryArgs { repository, target } } = options;
    describe(secrets, repository, &name).await?;
    terminal::confirm(&format!("Delete the key of {repository}? Its results will be rejected."), *yes)?;
    if !secrets.delete(&name).await? {
        return Err(no_key(repository));
    }
    let restart = restart_hint(target, Clock::System.now());
    let days = SecretsManager::RECOVERY_DAYS;
    let restore =
        format!("For {days} days, `aws secretsmanager restore-secret --secret-id {name}` can restore it.");
    Ok(Output::new(&DeletedKey { repository: repository.to_string(), secret: name, recovery_days: days })
        .note(format!("Running functions cache the key for up to an hour. To reject it now, {restart}"))
        .note(restore))
}

/// The secret of a repository that is not scheduled for deletion.
async fn describe(
    secrets: &SecretsManager,
    repository: &Repository,
    name: &str,
) -> Result<SecretDescription, CliError> {
    match secrets.describe(name).await?.ok_or_else(|| no_key(repository))? {
        SecretDescription { deletes_at: Some(_), .. } => Err(deleted(repository, name)),
        secret => Ok(secret),
    }
}

fn generate_key() -> Result<String, CliError> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| CliError::Failed(format!("failed to generate a key: {error}")))?;
    Ok(STANDARD.encode(bytes))
}

/// How to make running functions forget the keys that they cache. Lambda replaces them after any change of the function's
/// configuration. The template sets no description, so that no deployment reverts this one, and each restart changes it.
fn restart_hint(target: &Target, now: Timestamp) -> String {
    match target.stack() {
        Some(stack) => format!(
            "restart ingest-api: aws lambda update-function-configuration --function-name {stack}-ingest-api \
             --description \"restarted at {now}\""
        ),
        None => "restart `local`.".to_owned(),
    }
}

fn no_key(repository: &Repository) -> CliError {
    CliError::NotFound(format!(
        "{repository} has no key; create one with `badgesmith secret create {repository}`"
    ))
}

fn deleted(repository: &Repository, name: &str) -> CliError {
    CliError::Failed(format!(
        "the key of {repository} is deleted; restore it with `aws secretsmanager restore-secret --secret-id {name}`, \
         then replace it with `badgesmith secret rotate {repository} --compromised`"
    ))
}

/// The key may be stored, although AWS did not confirm it.
fn unconfirmed(error: AwsError, options: &Rotate, name: &str) -> CliError {
    let (error, lost) = (CliError::from(error), lost_key(options, name));
    let repository = &options.args.repository;
    CliError::Failed(format!(
        "{error}; check with `badgesmith secret show {repository}` whether the key was rotated; if so, {lost}"
    ))
}

/// What to do when the current key was never printed. The old key is still valid. Rotating again would revoke it, which is
/// right only for a key that leaked.
fn lost_key(options: &Rotate, name: &str) -> String {
    let repository = &options.args.repository;
    if options.compromised {
        return format!(
            "the new key of {repository} is lost, and the old one may still be valid: run the command again"
        );
    }
    format!(
        "the new key of {repository} is lost. The old one is valid for 24 hours: make it current again with \
         `aws secretsmanager update-secret-version-stage` (`aws secretsmanager list-secret-version-ids --secret-id {name}` \
         lists the versions), then rotate again"
    )
}
