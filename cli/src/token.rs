//! `badgesmith token`: what the packages of GitHub are read with, and whose consent there is to show them.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::env;
use badgesmith_aws::secrets_manager::{Created, SecretsManager, token_secret, token_secret_name};
use badgesmith_domain::package::{Organization, PackageName};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::error::CliError;
use crate::help;
use crate::stack::Target;
use crate::terminal;
use crate::told::Told;

/// No token is as long.
const TOKEN_BYTES_MAX: u64 = 4096;

/// Registers and withdraws tokens for GitHub Packages.
#[derive(Debug, Subcommand)]
#[expect(clippy::doc_markdown, reason = "it is shown as it is by --help")]
pub(crate) enum Command {
    /// Keep a token, and map it to the packages that are shown with it
    ///
    /// A classic personal access token with the scope read:packages. Without --package it is for all public packages of
    /// the organisation or user; with it, for that one package, public or not: its versions are then shown to
    /// everybody. The token is read from --token-file, from the environment variable BADGESMITH_GITHUB_TOKEN, or from
    /// stdin; never from an argument, since arguments can be read by everybody on the machine.
    #[command(after_long_help = help::with_examples(SET))]
    Set(Set),
    /// Withdraw the consent: the versions are deleted within the hour
    #[command(after_long_help = help::with_examples(DELETE))]
    Delete(Delete),
}

const SET: &str = "  All public packages of an organisation:
    printf %s \"$TOKEN\" | badgesmith token set acme --stack badgesmith

  One package that may be private:
    BADGESMITH_GITHUB_TOKEN=ghp_... badgesmith token set acme --package closed.kit --stack badgesmith

  Another token in place of the first is the same command; it is used within the hour.";

const DELETE: &str = "    badgesmith token delete acme --package closed.kit --stack badgesmith
    badgesmith token delete acme --secret --yes --stack badgesmith";

#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// The organisation or user
    #[arg(value_name = "ORG")]
    organization: Organization,
    /// This one package, public or not, instead of all public ones
    #[arg(long, value_name = "PACKAGE")]
    package: Option<PackageName>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// A file with the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Delete the secret with the token as well
    #[arg(long)]
    secret: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    whose: Whose,
}

impl Command {
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::Set(set) => &set.whose.target,
            Self::Delete(delete) => &delete.whose.target,
        }
    }

    pub(crate) async fn run(&self) -> Result<Told, CliError> {
        match self {
            Self::Set(options) => set(options).await,
            Self::Delete(options) => delete(options).await,
        }
    }
}

async fn set(options: &Set) -> Result<Told, CliError> {
    let Whose { organization, package, target } = &options.whose;
    let token = token(options)?;
    let stack = target.find().await?;
    let secrets = SecretsManager::new(&stack.config);
    let name = token_secret_name(organization, package.as_ref());
    let secret = token_secret(&token);
    match secrets.create(&name, &secret).await? {
        Created::Exists if secrets.replace(&name, &secret).await? => {}
        Created::Created => {}
        Created::Exists | Created::BeingDeleted => {
            let restore = format!("aws secretsmanager restore-secret --secret-id {name}");
            let advice = format!("restore it with `{restore}`, then set the token again");
            return Err(CliError::Failed(format!("the secret {name} was deleted: {advice}")));
        }
    }
    // Last: a mapping without a secret would be a failure in the refresher's log.
    stack.secret_mappings()?.put(organization, package.as_ref(), &name, Clock::System.now()).await?;
    let json = json!({
        "organization": organization.as_str(),
        "package": package.as_ref().map(PackageName::as_str),
        "secret": name,
    });
    let shown = match package {
        Some(package) => {
            format!(
                "The versions of {organization}/{package} are shown to everybody, if GitHub takes the token."
            )
        }
        None => format!("The public packages of {organization} are shown, if GitHub takes the token."),
    };
    let mut told = Told::new(json, format!("the token is kept in {name}, and mapped")).note(shown);
    if token.starts_with("github_pat_") {
        told = told.note(
            "It will not: this is a fine-grained token, and GitHub Packages wants a classic one, ghp_...",
        );
    }
    Ok(told.note("A badge that was read before says \"not found\" for up to 5 minutes more."))
}

async fn delete(options: &Delete) -> Result<Told, CliError> {
    let Whose { organization, package, target } = &options.whose;
    let what = match package {
        Some(package) => format!("{organization}/{package}"),
        None => format!("the public packages of {organization}"),
    };
    let stack = target.find().await?;
    let mappings = stack.secret_mappings()?;
    let mapped = mappings.secret_of(organization, package.as_ref()).await?;
    if mapped.is_none() && !options.secret {
        return Err(CliError::NotFound(format!("there is no token for {what}: nothing is shown with one")));
    }
    let name = token_secret_name(organization, package.as_ref());
    if let Some(other) = mapped.as_ref().filter(|mapped| **mapped != name && options.secret) {
        let advice = "others may be shown with it: leave --secret out, and delete it with the AWS CLI if not";
        return Err(CliError::Usage(format!(
            "--secret: {what} is mapped to {other}, not to {name}: {advice}"
        )));
    }
    let also = if options.secret { format!(" The secret {name} is deleted, too.") } else { String::new() };
    let question = format!("Stop showing {what}? Their badges say \"not found\" then.{also}");
    terminal::confirm(&question, options.yes)?;
    mappings.delete(organization, package.as_ref()).await?;
    let secret_deleted = options.secret && SecretsManager::new(&stack.config).delete(&name).await?;
    if mapped.is_none() && !secret_deleted {
        return Err(CliError::NotFound(format!("there is no token for {what}, and no secret {name}")));
    }
    let json = json!({
        "organization": organization.as_str(),
        "package": package.as_ref().map(PackageName::as_str),
        "secret": name,
        "secret_deleted": secret_deleted,
    });
    let mut told = Told::new(json, format!("{what}: the mapping is deleted"));
    told = told.note("The versions that were shown with it are deleted within the hour.");
    Ok(told.note(match mapped {
        _ if secret_deleted => {
            format!(
                "`aws secretsmanager restore-secret --secret-id {name}` brings the token back for 30 days."
            )
        }
        _ if options.secret => format!("There was no secret {name}."),
        mapped => format!("The secret {} is still there.", mapped.unwrap_or(name)),
    }))
}

/// The token, without white space around it.
fn token(options: &Set) -> Result<String, CliError> {
    let cannot = |what: String, error: io::Error| CliError::Usage(format!("cannot read {what}: {error}"));
    let read = |from: &mut dyn Read, name: String| {
        let mut text = String::new();
        let read = from.take(TOKEN_BYTES_MAX + 1).read_to_string(&mut text);
        read.map(|_| text).map_err(|error| cannot(name, error))
    };
    let text = if let Some(path) = &options.token_file {
        let name = path.display().to_string();
        let mut file = File::open(path).map_err(|error| cannot(name.clone(), error))?;
        read(&mut file, name)?
    } else if let Some(token) = env::optional("BADGESMITH_GITHUB_TOKEN") {
        token
    } else if io::stdin().is_terminal() {
        let advice = "pipe it to stdin, set BADGESMITH_GITHUB_TOKEN, or name a file with --token-file";
        return Err(CliError::Usage(format!("there is no token: {advice}")));
    } else {
        read(&mut io::stdin(), "stdin".to_owned())?
    };
    let token = text.trim();
    let is_too_long = u64::try_from(text.len()).is_ok_and(|length| length > TOKEN_BYTES_MAX);
    if token.is_empty() || is_too_long || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CliError::Usage("expected a token, one word such as ghp_...".to_owned()));
    }
    Ok(token.to_owned())
}
