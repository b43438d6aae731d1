//! `badgesmith token`: the tokens for reading GitHub packages.

mod output;

use std::path::PathBuf;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::secrets_manager::{CreateOutcome, SecretsManager, token_secret};
use badgesmith_domain::package::{Organization, PackageName, PackageType};
use badgesmith_domain::secret_scope::SecretScope;
use clap::{Args, Subcommand};

use self::output::{DeletedToken, Packages, StoredToken};
use crate::error::CliError;
use crate::help::{self, YES_ORDER};
use crate::output::Output;
use crate::secret_input;
use crate::stack::Target;
use crate::terminal;

/// The environment variable with the token.
const VARIABLE: &str = "BADGESMITH_GITHUB_TOKEN";

#[derive(Debug, Subcommand)]
#[expect(clippy::doc_markdown, reason = "--help shows it as it is")]
pub(crate) enum Command {
    /// Store a token for GitHub Packages
    ///
    /// The token is a classic personal access token with the scope read:packages. Without --package it reads all public
    /// packages of the organization or user. With --package it reads that one package, and makes its versions public
    /// even if the package is private. A token for one --type of packages is none for another.
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

  All public container images:
    printf %s \"$TOKEN\" | badgesmith token set acme --type container --stack badgesmith

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
    package: Option<String>,
    /// Type of the packages: nuget, npm or container
    #[arg(long = "type", value_name = "TYPE", default_value = "nuget")]
    package_type: PackageType,
    #[command(flatten)]
    target: Target,
}

impl PackagesArgs {
    fn scope(&self) -> Result<SecretScope, CliError> {
        let package =
            self.package.as_deref().map(|name| PackageName::of(self.package_type, name)).transpose();
        let package = package.map_err(|error| CliError::Usage(format!("--package: {error}")))?;
        Ok(SecretScope::new(self.organization.clone(), self.package_type, package))
    }
}

#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "--help shows it as it is")]
pub(crate) struct Set {
    /// File with the token, instead of BADGESMITH_GITHUB_TOKEN or stdin
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
    #[arg(long, short, display_order = YES_ORDER)]
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
    let scope = options.args.scope()?;
    let token = secret_input::read(options.token_file.as_deref(), VARIABLE, "token")?;
    let stack = options.args.target.find().await?;
    let name = stack.secret_names().token(&scope);
    put(&SecretsManager::new(&stack.config), &name, &token_secret(&token)).await?;
    // Last, because the refresher logs an error for a mapping without a secret.
    stack.secret_mappings()?.put(&scope, &name, Clock::System.now()).await?;
    let effect = match &scope {
        SecretScope::Package(package) => {
            format!("The versions of {package} are public if GitHub accepts the token.")
        }
        SecretScope::Organization(..) => format!("Badges of {scope} work if GitHub accepts the token."),
    };
    let fine_grained = token.starts_with("github_pat_").then(|| {
        "GitHub will reject it: this is a fine-grained token, and GitHub Packages needs a classic one (ghp_...)."
            .to_owned()
    });
    Ok(Output::new(&StoredToken { packages: Packages::of(&scope), secret: name })
        .note(effect)
        .notes(fine_grained)
        .note("Badges that show \"not found\" may do so for up to 5 minutes more."))
}

/// Creates the secret, or replaces its value.
pub(crate) async fn put(secrets: &SecretsManager, name: &str, secret: &str) -> Result<(), CliError> {
    let is_stored = match secrets.create(name, secret).await? {
        CreateOutcome::Created => true,
        CreateOutcome::AlreadyExists => secrets.put_value(name, secret).await?,
        CreateOutcome::ScheduledForDeletion => false,
    };
    is_stored.then_some(()).ok_or_else(|| {
        CliError::Failed(format!(
            "the secret {name} is scheduled for deletion; restore it with `aws secretsmanager restore-secret --secret-id {name}`, \
             then run the command again"
        ))
    })
}

async fn delete(options: &Delete) -> Result<Output, CliError> {
    let packages = options.args.scope()?;
    let stack = options.args.target.find().await?;
    let mappings = stack.secret_mappings()?;
    let name = stack.secret_names().token(&packages);
    let mapped = mappings.secret_of(&packages).await?;
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
    mappings.delete(&packages).await?;
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
    Ok(Output::new(&DeletedToken { packages: Packages::of(&packages), secret: name, secret_deleted })
        .note("The versions that were read with the token are deleted within an hour.")
        .note(secret_note))
}
