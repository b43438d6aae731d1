//! `badgesmith secret`: the keys that repositories sign with.

use badgesmith_aws::clock::Clock;
use badgesmith_aws::secrets_manager::{
    Created, PREVIOUS_KEY_LIFETIME, SecretsManager, repository_secret, repository_secret_name,
};
use badgesmith_domain::ids::Repository;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::aws_hint::with_advice;
use crate::duration::{age, format_duration};
use crate::error::CliError;
use crate::help;
use crate::stack::Target;
use crate::terminal;
use crate::told::Told;

/// 256 bits, as many as the hash has.
const KEY_BYTES: usize = 32;

/// Makes, replaces and deletes the keys of repositories.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key for a repository, and print it
    ///
    /// The key is 32 random bytes, in base64. It is printed once, to stdout and alone, and nowhere else: give it to the
    /// CI system at once. What is signed with it is accepted immediately, unless somebody has tried before: then within
    /// a minute.
    #[command(after_long_help = help::with_examples(CREATE))]
    Create(Whose),
    /// Make a new key for a repository, and print it; the old one is accepted for 24 hours more
    ///
    /// Switch clients to the new key after a minute, and before the 24 hours are over: none is refused then.
    #[command(after_long_help = help::with_examples(ROTATE))]
    Rotate(Rotate),
    /// Tell whether a repository has a key, and since when; never the key
    #[command(after_long_help = help::with_examples(SHOW))]
    Show(Whose),
    /// Shut a repository out
    ///
    /// Running functions remember a key for up to an hour. For 30 days the secret can be restored with `aws
    /// secretsmanager restore-secret`.
    #[command(after_long_help = help::with_examples(DELETE))]
    Delete(Delete),
}

const CREATE: &str = "  Hand the key over to GitHub Actions without showing it:
    KEY=$(badgesmith secret create acme/kit --stack badgesmith) &&
      printf %s \"$KEY\" | gh secret set BADGESMITH_KEY --repo acme/kit

  Of a `local --aws-port 9475`:
    badgesmith secret create acme/kit --endpoint-url http://127.0.0.1:9475";

const ROTATE: &str = "  Rotate without refusing anybody:
    KEY=$(badgesmith secret rotate acme/kit --stack badgesmith) && sleep 60 &&
      printf %s \"$KEY\" | gh secret set BADGESMITH_KEY --repo acme/kit

  The key got out:
    badgesmith secret rotate acme/kit --stack badgesmith --compromised";

const SHOW: &str = "    badgesmith secret show acme/kit --stack badgesmith";

const DELETE: &str = "    badgesmith secret delete acme/kit --stack badgesmith
    badgesmith secret delete acme/kit --stack badgesmith --yes";

#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// The repository
    #[arg(value_name = "OWNER/REPO")]
    repository: Repository,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// The old key got out: it shall not be accepted for another 24 hours
    #[arg(long)]
    compromised: bool,
    /// Rotate again, though the key before the last rotation is still accepted: who signs with it is refused then
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    whose: Whose,
}

impl Command {
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::Create(whose) | Self::Show(whose) => &whose.target,
            Self::Rotate(rotate) => &rotate.whose.target,
            Self::Delete(delete) => &delete.whose.target,
        }
    }

    pub(crate) async fn run(&self) -> Result<Told, CliError> {
        let secrets = SecretsManager::new(&self.target().find().await?.config);
        match self {
            Self::Create(Whose { repository, .. }) => create(&secrets, repository).await,
            Self::Rotate(rotate) => self::rotate(&secrets, rotate).await,
            Self::Show(Whose { repository, .. }) => show(&secrets, repository).await,
            Self::Delete(delete) => self::delete(&secrets, delete).await,
        }
    }
}

/// A new key, and the secret that it is in.
fn new_key() -> Result<(String, String), CliError> {
    let mut bytes = [0; KEY_BYTES];
    let random = getrandom::fill(&mut bytes);
    random
        .map_err(|error| CliError::Failed(format!("the operating system has no random numbers: {error}")))?;
    let key = STANDARD.encode(bytes);
    let secret = repository_secret(&key);
    Ok((key, secret))
}

async fn create(secrets: &SecretsManager, repository: &Repository) -> Result<Told, CliError> {
    let (key, secret) = new_key()?;
    let name = repository_secret_name(repository);
    match secrets.create(&name, &secret).await? {
        Created::Created => {}
        Created::Exists => {
            let advice = format!("`badgesmith secret rotate {repository}` makes a new one");
            return Err(CliError::Failed(format!("{repository} has a key already: {advice}")));
        }
        Created::BeingDeleted => return Err(deleted(repository, &name)),
    }
    let json = json!({ "repository": repository.to_string(), "secret": name, "key": key });
    let mut told =
        Told::new(json, key).note(format!("This is the key of {repository}. It is not shown again."));
    told.unprinted =
        Some(format!("the key is lost: make another with `badgesmith secret rotate {repository}`"));
    Ok(told.note("Keep it as the secret BADGESMITH_KEY of the CI system."))
}

async fn rotate(secrets: &SecretsManager, rotate: &Rotate) -> Result<Told, CliError> {
    let Rotate { compromised, yes, whose: Whose { repository, target } } = rotate;
    let name = repository_secret_name(repository);
    let now = Clock::System.now();
    let facts = secrets.describe(&name).await?.ok_or_else(|| none(repository))?;
    if facts.gone_at.is_some() {
        return Err(deleted(repository, &name));
    }
    if facts.has_previous && now.since(facts.changed) < PREVIOUS_KEY_LIFETIME && !compromised {
        let (last, left) =
            (age(facts.changed, now), PREVIOUS_KEY_LIFETIME.saturating_sub(now.since(facts.changed)));
        let left = format_duration(left);
        let question = format!(
            "The key of {repository} was changed {last} ago, and the one before it is accepted for {left} more. \
             Rotate again, and refuse who signs with that?"
        );
        terminal::confirm(&question, *yes)?;
    }
    if *compromised {
        // What was current becomes the previous one, which is accepted too: that is not to be the old key.
        replace(secrets, rotate, &name, &new_key()?.1).await?;
    }
    let (key, secret) = new_key()?;
    replace(secrets, rotate, &name, &secret).await?;
    let valid_until = (!compromised).then(|| now.plus(PREVIOUS_KEY_LIFETIME).to_string());
    let json = json!({
        "repository": repository.to_string(),
        "secret": name,
        "key": key,
        "previous_valid_until": valid_until,
    });
    let mut told =
        Told::new(json, key).note(format!("This is the new key of {repository}. It is not shown again."));
    told.unprinted = Some(lost(rotate, &name));
    if !compromised {
        return Ok(told
            .note("Clients may switch to it in a minute: running functions read a key again once a minute at most.")
            .note("The old key is accepted for 24 hours: switch until then."));
    }
    let told = told.note(
        "The old key is neither the current nor the previous version of the secret. Running functions remember it for up to an hour;",
    );
    let Some(stack) = target.stack() else {
        return Ok(told.note("start them anew (a `local` too) to have it refused at once."));
    };
    let function = format!("--function-name {stack}-ingest-api");
    Ok(told
        .note("any change of their configuration starts them anew:")
        .note(format!("  aws lambda update-function-configuration {function} --timeout 11"))
        .note(format!("  aws lambda wait function-updated-v2 {function}"))
        .note(format!("  aws lambda update-function-configuration {function} --timeout 12")))
}

async fn replace(
    secrets: &SecretsManager,
    rotate: &Rotate,
    name: &str,
    secret: &str,
) -> Result<(), CliError> {
    let Rotate { whose: Whose { repository, .. }, .. } = rotate;
    match secrets.replace(name, secret).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(none(repository)),
        Err(error) => {
            let (reason, lost) = (with_advice(&error.to_string()), lost(rotate, name));
            let advice =
                format!("`badgesmith secret show {repository}` tells whether it was done all the same");
            Err(CliError::Failed(format!("{reason}; {advice}, and if so {lost}")))
        }
    }
}

async fn show(secrets: &SecretsManager, repository: &Repository) -> Result<Told, CliError> {
    let name = repository_secret_name(repository);
    let now = Clock::System.now();
    let Some(facts) = secrets.describe(&name).await? else { return Err(none(repository)) };
    let rotated = facts.has_previous.then_some(facts.changed);
    let json = json!({
        "repository": repository.to_string(),
        "secret": name,
        "created_at": facts.created.to_string(),
        "rotated_at": rotated.map(|rotated| rotated.to_string()),
        "gone_at": facts.gone_at.map(|gone_at| gone_at.to_string()),
    });
    let mut lines = vec![
        format!("secret   {name}"),
        format!("created  {}, {} ago", facts.created, age(facts.created, now)),
    ];
    if let Some(rotated) = rotated {
        let left = PREVIOUS_KEY_LIFETIME.checked_sub(now.since(rotated));
        let left = left.map(|left| {
            format!(
                "; the key before is accepted for {} more, unless this was done with --compromised",
                format_duration(left)
            )
        });
        lines.push(format!("rotated  {rotated}, {} ago{}", age(rotated, now), left.unwrap_or_default()));
    }
    if let Some(gone_at) = facts.gone_at {
        lines.push(format!(
            "deleted, and gone on {gone_at}; `aws secretsmanager restore-secret --secret-id {name}` restores it"
        ));
    }
    Ok(Told::new(json, lines.join("\n")))
}

async fn delete(secrets: &SecretsManager, delete: &Delete) -> Result<Told, CliError> {
    let Delete { yes, whose: Whose { repository, .. } } = delete;
    let name = repository_secret_name(repository);
    let facts = secrets.describe(&name).await?.ok_or_else(|| none(repository))?;
    if facts.gone_at.is_some() {
        return Err(deleted(repository, &name));
    }
    terminal::confirm(&format!("Delete the key of {repository}? Its results are refused then."), *yes)?;
    if !secrets.delete(&name).await? {
        return Err(none(repository));
    }
    let days = SecretsManager::RECOVERY_DAYS;
    let json = json!({ "repository": repository.to_string(), "secret": name, "recovery_days": days });
    Ok(Told::new(json, format!("deleted the key of {repository}"))
        .note("Running functions remember it for up to an hour; start them anew to have it refused at once.")
        .note(format!(
            "Within {days} days, `aws secretsmanager restore-secret --secret-id {name}` brings it back."
        )))
}

fn none(repository: &Repository) -> CliError {
    CliError::NotFound(format!("{repository} has no key: `badgesmith secret create {repository}` makes one"))
}

fn deleted(repository: &Repository, name: &str) -> CliError {
    let restore = format!("aws secretsmanager restore-secret --secret-id {name}");
    let rotate = format!("badgesmith secret rotate {repository} --compromised");
    let advice = format!("restore the secret with `{restore}`, then have a new key with `{rotate}`");
    CliError::Failed(format!("the key of {repository} was deleted: {advice}"))
}

/// What to do when a new key is current that nobody knows. The one before it is still accepted; rotating again would
/// end that, as is wanted of one that got out.
fn lost(rotate: &Rotate, name: &str) -> String {
    let Rotate { compromised, whose: Whose { repository, .. }, .. } = rotate;
    if *compromised {
        return format!(
            "the new key of {repository} is lost, and the old one may still be accepted: run it again"
        );
    }
    let list = format!("aws secretsmanager list-secret-version-ids --secret-id {name}");
    format!(
        "the new key of {repository} is lost. Clients go on with the old one for 24 hours: make it the current one again with \
         `aws secretsmanager update-secret-version-stage` (`{list}` lists the versions), then rotate once more"
    )
}
