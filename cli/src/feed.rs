//! `badgesmith feed`: the NuGet feeds besides the default one.

mod output;

use std::path::PathBuf;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::Feed;
use badgesmith_aws::secrets_manager::{SecretsManager, feed_secret};
use badgesmith_domain::package::{FeedName, Package, PackageName};
use badgesmith_domain::secret_scope::SecretScope;
use clap::{Args, Subcommand};
use reqwest::Url;

use self::output::{ChangedFeed, FeedDescription, FeedList};
use crate::error::CliError;
use crate::help;
use crate::output::Output;
use crate::secret_input;
use crate::stack::Target;
use crate::submit::is_this_machine;
use crate::{terminal, token};

/// The environment variable with the password of a feed.
const VARIABLE: &str = "BADGESMITH_FEED_PASSWORD";

#[derive(Debug, Subcommand)]
#[expect(clippy::doc_markdown, reason = "--help shows it as it is")]
pub(crate) enum Command {
    /// Register a feed, or replace it
    ///
    /// Badges of its packages are at /badges/packages/nuget/PACKAGE?feed=NAME. With --username, the feed needs
    /// credentials. Then only packages that `badgesmith feed allow` names have badges.
    ///
    /// The password is read from --password-file, from the environment variable BADGESMITH_FEED_PASSWORD, or from stdin.
    #[command(after_long_help = help::with_examples(ADD))]
    Add(Add),
    /// List the feeds
    #[command(after_long_help = help::with_examples(LIST))]
    List(Target),
    /// Remove a feed
    ///
    /// Its badges show "not found" within a minute. The versions of its packages are deleted within an hour.
    #[command(after_long_help = help::with_examples(REMOVE))]
    Remove(Remove),
    /// Allow badges of a package in a feed that needs credentials
    ///
    /// Everyone can then see its versions.
    #[command(after_long_help = help::with_examples(ALLOW))]
    Allow(PackageArgs),
    /// Stop allowing badges of a package in a feed that needs credentials
    ///
    /// Its versions are deleted within an hour.
    #[command(after_long_help = help::with_examples(DENY))]
    Deny(PackageArgs),
}

const ADD: &str = "  A public feed:
    badgesmith feed add nightly https://nuget.test/v3/index.json --stack badgesmith

  A feed that needs credentials:
    printf %s \"$PASSWORD\" |
      badgesmith feed add acme https://nuget.test/v3/index.json --username ci --stack badgesmith";
const LIST: &str = "    badgesmith feed list --stack badgesmith";
const REMOVE: &str = "    badgesmith feed remove acme --yes --stack badgesmith";
const ALLOW: &str = "    badgesmith feed allow acme Closed.Kit --stack badgesmith";
const DENY: &str = "    badgesmith feed deny acme Closed.Kit --stack badgesmith";

#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "--help shows it as it is")]
pub(crate) struct Add {
    /// Name of the feed in addresses of badges
    #[arg(value_name = "NAME")]
    name: FeedName,
    /// URL of the feed's service index
    #[arg(value_name = "URL")]
    url: String,
    /// User of the feed; the password is read separately
    #[arg(long, value_name = "USER")]
    username: Option<String>,
    /// File with the password, instead of BADGESMITH_FEED_PASSWORD or stdin
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Name of the feed
    #[arg(value_name = "NAME")]
    name: FeedName,
    /// Skip the confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct PackageArgs {
    /// Name of the feed
    #[arg(value_name = "NAME")]
    name: FeedName,
    /// Package of the feed
    #[arg(value_name = "PACKAGE")]
    package: PackageName,
    #[command(flatten)]
    target: Target,
}

impl Command {
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::Add(add) => &add.target,
            Self::List(target) => target,
            Self::Remove(remove) => &remove.target,
            Self::Allow(args) | Self::Deny(args) => &args.target,
        }
    }

    pub(crate) async fn run(&self) -> Result<Output, CliError> {
        match self {
            Self::Add(options) => add(options).await,
            Self::List(target) => list(target).await,
            Self::Remove(options) => remove(options).await,
            Self::Allow(options) => allow(options).await,
            Self::Deny(options) => deny(options).await,
        }
    }
}

async fn add(options: &Add) -> Result<Output, CliError> {
    let Add { name, url, username, password_file, target } = options;
    let address = service_index(url)?;
    let password = match username {
        Some(_) if address.scheme() != "https" && !is_this_machine(&address) => {
            return Err(CliError::Usage(
                "URL: expected https, because credentials are sent to it".to_owned(),
            ));
        }
        Some(_) => secret_input::read(password_file.as_deref(), VARIABLE, "password")?,
        None => String::new(),
    };
    let stack = target.find().await?;
    let feeds = stack.feeds()?;
    let registered = feeds.list().await?.into_iter().find(|feed| feed.name == *name);
    if let Some(other) = registered.filter(|feed| feed.address != address.as_str()) {
        return Err(CliError::Failed(format!(
            "the feed {name} is {}; to use its name for another feed, first run `badgesmith feed remove {name}`, which \
             withdraws its allowed packages",
            other.address
        )));
    }
    let mut secret_id = None;
    if let Some(username) = username {
        let id = stack.secret_names().feed(name);
        token::put(
            &SecretsManager::new(&stack.config),
            &id,
            &feed_secret(address.as_str(), username, &password),
        )
        .await?;
        secret_id = Some(id);
    }
    let needs_consent = secret_id.is_some();
    let feed = Feed { name: name.clone(), address: address.to_string(), secret_id };
    // Last, because the refresher logs an error for a feed without its secret.
    feeds.put(&feed, Clock::System.now()).await?;
    let note = if needs_consent {
        format!("Allow each package that may be shown with `badgesmith feed allow {name} PACKAGE`.")
    } else {
        format!("Badges are at /badges/packages/nuget/PACKAGE?feed={name}, within a minute.")
    };
    Ok(Output::new(&ChangedFeed { feed: name.clone(), package: None, done: "registered" }).note(note))
}

/// The URL of a service index. Logs show it, so it has no password.
fn service_index(text: &str) -> Result<Url, CliError> {
    let is_allowed = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
    };
    let url = Url::parse(text).ok().filter(is_allowed);
    url.ok_or_else(|| {
        CliError::Usage("URL: expected an http or https URL without a password or query".to_owned())
    })
}

async fn list(target: &Target) -> Result<Output, CliError> {
    let feeds = target.find().await?.feeds()?;
    let mut list = Vec::new();
    for Feed { name, address, secret_id } in feeds.list().await? {
        let allowed = if secret_id.is_some() { feeds.allowed(&name).await? } else { Vec::new() };
        let allowed = allowed.iter().map(|package| package.name().to_string()).collect();
        list.push(FeedDescription { name, url: address, secret: secret_id, allowed });
    }
    Ok(Output::new(&FeedList { feeds: list }))
}

fn not_registered(name: &FeedName) -> CliError {
    CliError::NotFound(format!("there is no feed {name}; `badgesmith feed list` lists the feeds"))
}

async fn remove(options: &Remove) -> Result<Output, CliError> {
    let Remove { name, yes, target } = options;
    let stack = target.find().await?;
    let feeds = stack.feeds()?;
    let found = feeds.list().await?.into_iter().find(|feed| feed.name == *name);
    let feed = found.ok_or_else(|| not_registered(name))?;
    let question = format!("Remove the feed {name}? Its badges will show \"not found\".");
    terminal::confirm(&question, *yes)?;
    feeds.delete(name).await?;
    let secret = feed.secret_id.map(|secret| format!("The secret {secret} still exists."));
    Ok(Output::new(&ChangedFeed { feed: name.clone(), package: None, done: "removed" })
        .note("The versions of its packages are deleted within an hour.")
        .notes(secret))
}

async fn allow(options: &PackageArgs) -> Result<Output, CliError> {
    let PackageArgs { name, package, target } = options;
    let stack = target.find().await?;
    let found = stack.feeds()?.list().await?.into_iter().find(|feed| feed.name == *name);
    let Some(secret_id) = found.ok_or_else(|| not_registered(name))?.secret_id else {
        let reason = "needs no credentials, so all of its packages are shown";
        return Err(CliError::Usage(format!("the feed {name} {reason}")));
    };
    stack.secret_mappings()?.put(&scope(name, package), &secret_id, Clock::System.now()).await?;
    let allowed = ChangedFeed { feed: name.clone(), package: Some(package.clone()), done: "allowed" };
    Ok(Output::new(&allowed).note("Badges that show \"not found\" may do so for up to 5 minutes more."))
}

async fn deny(options: &PackageArgs) -> Result<Output, CliError> {
    let PackageArgs { name, package, target } = options;
    let mappings = target.find().await?.secret_mappings()?;
    let scope = scope(name, package);
    if mappings.secret_of(&scope).await?.is_none() {
        let advice = "`badgesmith feed list` lists the packages that are";
        return Err(CliError::NotFound(format!("{package} of the feed {name} is not allowed; {advice}")));
    }
    mappings.delete(&scope).await?;
    let denied = ChangedFeed { feed: name.clone(), package: Some(package.clone()), done: "denied" };
    Ok(Output::new(&denied).note("Its versions are deleted within an hour."))
}

fn scope(name: &FeedName, package: &PackageName) -> SecretScope {
    SecretScope::Package(Package::NuGet(Some(name.clone()), package.clone()))
}
