//! `badgesmith token`: the tokens for reading GitHub packages.

mod output;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::env;
use badgesmith_aws::secrets_manager::{CreateOutcome, SecretsManager, token_secret};
use badgesmith_domain::package::{Organization, PackageName};
use clap::{Args, Subcommand};

use self::output::{DeletedToken, StoredToken};
use crate::error::CliError;
use crate::help;
use crate::output::Output;
use crate::stack::Target;
use crate::terminal;

const TOKEN_BYTES_MAX: u64 = 4096;

#[derive(Debug, Subcommand)]
#[expect(clippy::doc_markdown, reason = "--help shows it as it is")]
pub(crate) enum Command {
    /// Store a token for GitHub Packages
    ///
    /// The token is a classic personal access token with the scope read:packages. Without --package it reads all public
    /// packages of the organization or user. With --package it reads that one package, and makes its versions public
    /// even if the package is private.
    ///
    /// The token is read from --token-file, from the environment variable BADGESMITH_GITHUB_TOKEN, or from stdin. It is
    /// never an argument, because every process on the machine can read arguments.
    #[command(after_long_help = help::with_examples(SET))]
    Set(Set),
    /// Stop reading packages with a token
    ///
    /// The versions that were read with it are deleted within an hour.
    #[command(after_long_help = help::with_examples(DELETE))]
    Delete(Delete),
}

const SET: &str = "  All public packages of an organization:
    printf %s \"$TOKEN\" | badgesmith token set acme --stack badgesmith

  One package, which may be private:
    BADGESMITH_GITHUB_TOKEN=ghp_... \\
      badgesmith token set acme --package closed.kit --stack badgesmith

  The same command replaces a token. The new one is used within an hour.";

const DELETE: &str = "    badgesmith token delete acme --package closed.kit --stack badgesmith
    badgesmith token delete acme --secret --yes --stack badgesmith";

#[derive(Debug, Args)]
pub(crate) struct PackagesArgs {
    /// Organization or user that owns the packages
    #[arg(value_name = "ORG")]
    organization: Organization,
    /// One package, public or private, instead of all public packages
    #[arg(long, value_name = "PACKAGE")]
    package: Option<PackageName>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// File that contains the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    args: PackagesArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Also delete the secret that holds the token
    #[arg(long)]
    secret: bool,
    /// Skip the confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    args: PackagesArgs,
}

impl Command {
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::Set(set) => &set.args.target,
            Self::Delete(delete) => &delete.args.target,
        }
    }

    pub(crate) async fn run(&self) -> Result<Output, CliError> {
        match self {
            Self::Set(options) => set(options).await,
            Self::Delete(options) => delete(options).await,
        }
    }
}

async fn set(options: &Set) -> Result<Output, CliError> {
    let PackagesArgs { organization, package, target } = &options.args;
    let token = read_token(options)?;
    let stack = target.find().await?;
    let name = stack.secret_names().token(organization, package.as_ref());
    put(&SecretsManager::new(&stack.config), &name, &token_secret(&token)).await?;
    // Last, because the refresher logs an error for a mapping without a secret.
    stack.secret_mappings()?.put(organization, package.as_ref(), &name, Clock::System.now()).await?;
    let effect = match package {
        Some(package) => {
            format!("The versions of {organization}/{package} are public if GitHub accepts the token.")
        }
        None => format!("Badges of public packages of {organization} work if GitHub accepts the token."),
    };
    let fine_grained = token.starts_with("github_pat_").then(|| {
        "GitHub will reject it: this is a fine-grained token, and GitHub Packages needs a classic one (ghp_...)."
            .to_owned()
    });
    let token = StoredToken { organization: organization.clone(), package: package.clone(), secret: name };
    Ok(Output::new(&token)
        .note(effect)
        .notes(fine_grained)
        .note("Badges that show \"not found\" may do so for up to 5 minutes more."))
}

/// Creates the secret, or replaces its value.
async fn put(secrets: &SecretsManager, name: &str, secret: &str) -> Result<(), CliError> {
    let is_stored = match secrets.create(name, secret).await? {
        CreateOutcome::Created => true,
        CreateOutcome::AlreadyExists => secrets.put_value(name, secret).await?,
        CreateOutcome::ScheduledForDeletion => false,
    };
    is_stored.then_some(()).ok_or_else(|| {
        CliError::Failed(format!(
            "the secret {name} is deleted; restore it with `aws secretsmanager restore-secret --secret-id {name}`, \
             then set the token again"
        ))
    })
}

async fn delete(options: &Delete) -> Result<Output, CliError> {
    let PackagesArgs { organization, package, target } = &options.args;
    let packages = match package {
        Some(package) => format!("{organization}/{package}"),
        None => format!("public packages of {organization}"),
    };
    let stack = target.find().await?;
    let mappings = stack.secret_mappings()?;
    let name = stack.secret_names().token(organization, package.as_ref());
    let mapped = mappings.secret_of(organization, package.as_ref()).await?;
    if mapped.is_none() && !options.secret {
        return Err(CliError::NotFound(format!("there is no token for {packages}")));
    }
    if let Some(other) = mapped.as_ref().filter(|mapped| **mapped != name && options.secret) {
        return Err(CliError::Usage(format!(
            "--secret: {packages} is mapped to {other}, not to {name}; omit --secret, because other packages may use \
             {other}"
        )));
    }
    let also = if options.secret { format!(" This also deletes the secret {name}.") } else { String::new() };
    let question = format!("Stop showing {packages}? Their badges will show \"not found\".{also}");
    terminal::confirm(&question, options.yes)?;
    mappings.delete(organization, package.as_ref()).await?;
    let secret_deleted = options.secret && SecretsManager::new(&stack.config).delete(&name).await?;
    if mapped.is_none() && !secret_deleted {
        return Err(CliError::NotFound(format!("there is no token for {packages}, and no secret {name}")));
    }
    let secret_note = match mapped {
        _ if secret_deleted => {
            let days = SecretsManager::RECOVERY_DAYS;
            format!(
                "For {days} days, `aws secretsmanager restore-secret --secret-id {name}` can restore the token."
            )
        }
        _ if options.secret => format!("There was no secret {name}."),
        mapped => format!("The secret {} still exists.", mapped.as_ref().unwrap_or(&name)),
    };
    let (organization, package) = (organization.clone(), package.clone());
    Ok(Output::new(&DeletedToken { organization, package, secret: name, secret_deleted })
        .note("The versions that were read with the token are deleted within an hour.")
        .note(secret_note))
}

/// The token, without whitespace around it.
fn read_token(options: &Set) -> Result<String, CliError> {
    let text = if let Some(path) = &options.token_file {
        let name = path.display().to_string();
        File::open(path).and_then(read_text).map_err(|error| unreadable(&name, &error))?
    } else if let Some(token) = env::optional("BADGESMITH_GITHUB_TOKEN") {
        token
    } else if io::stdin().is_terminal() {
        return Err(CliError::Usage(
            "the token is missing; pipe it to stdin, set BADGESMITH_GITHUB_TOKEN, or use --token-file"
                .to_owned(),
        ));
    } else {
        read_text(io::stdin()).map_err(|error| unreadable("stdin", &error))?
    };
    let token = text.trim();
    let is_too_long = u64::try_from(text.len()).is_ok_and(|length| length > TOKEN_BYTES_MAX);
    if token.is_empty() || is_too_long || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CliError::Usage("expected a token, one word such as ghp_...".to_owned()));
    }
    Ok(token.to_owned())
}

/// At most one byte more than a token may have.
fn read_text(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(TOKEN_BYTES_MAX + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn unreadable(name: &str, error: &io::Error) -> CliError {
    CliError::Usage(format!("failed to read {name}: {error}"))
}
