//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use badgesmith_aws::dynamodb::SecretMappings;
use badgesmith_aws::sdk::AwsError;
use badgesmith_aws::secrets_manager::{repository_secret, token_secret, token_secret_name};
use badgesmith_domain::ids::Repository;
use badgesmith_domain::package::{Organization, PackageName};
use badgesmith_domain::signature::SecretKeys;
use badgesmith_domain::timestamp::Timestamp;
use clap::Parser;
use refresher::Patience;

use crate::server::Setup;
use crate::stack::{SECRETS_TABLE, Upstreams};
use embedded_aws::{Aws, Storage};

/// Run the whole BadgeSmith pipeline on this machine.
///
/// Signed test results go in over HTTP, badges come out. Nothing else is needed: no account, no Docker. Logs go
/// to stderr; stdout has `listening on http://127.0.0.1:PORT` as its first line, once requests are answered, and
/// with --aws-port `AWS at http://127.0.0.1:PORT` as its second.
#[derive(Debug, Parser)]
#[command(name = "local", bin_name = "cargo run --", version, after_help = EXAMPLES)]
pub struct Options {
    /// Port to listen on, on 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 9474)]
    pub port: u16,

    /// Serve the AWS APIs of tables, queues, secrets and event bus as well, on this port of 127.0.0.1; 0 picks a free
    /// one. For the AWS CLI and SDKs, with that address as endpoint URL, and any region and credentials:
    /// signatures are not checked, so whoever is on this machine can read the keys, though no page in a browser can
    #[arg(long, value_name = "PORT")]
    pub aws_port: Option<u16>,

    /// Directory for tables, queues and secrets; delete it to start over
    #[arg(long, value_name = "DIR", default_value = ".badgesmith", conflicts_with = "ephemeral")]
    pub data_dir: PathBuf,

    /// Keep everything in memory
    #[arg(long)]
    pub ephemeral: bool,

    /// Make no demo repository
    #[arg(long)]
    pub no_demo: bool,

    /// Register a repository's HMAC key, the string of 16 characters or more that its client signs with (may be
    /// repeated). It is kept in the data directory; a key that it replaces counts for 24 hours more
    // Read by `Options::secrets`: clap would print a malformed one, key and all.
    #[arg(long = "secret", value_name = "OWNER/REPO=KEY")]
    secret: Vec<String>,

    /// Service index of the NuGet feed that packages are looked up in
    // Read by `Options::upstreams`: clap would print a URL with a password in it.
    #[arg(long, value_name = "URL", default_value = refresher::Settings::NUGET_SERVICE_INDEX)]
    nuget_service_index: String,

    /// GitHub's REST API
    #[arg(long, value_name = "URL", default_value = refresher::Settings::GITHUB_API)]
    github_api: String,

    /// Register a token with the scope read:packages for the public packages of an organisation or user, or, as
    /// ORG/PACKAGE=TOKEN, for one package, private or not: its versions are then shown to everybody (may be
    /// repeated). It is kept in the data directory, until ORG= or ORG/PACKAGE= takes it away
    // Read by `Options::tokens`, for the same reason.
    #[arg(long = "github-token", value_name = "ORG=TOKEN")]
    github_token: Vec<String>,

    /// How often packages are looked up again, 1 to 3600; a badge that was read stays as it is for 2 minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=3600))]
    refresh_every: u64,

    /// Log no requests and messages, only what went wrong
    #[arg(long)]
    pub quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  cargo run
      Start on port 9474, with a demo repository
  cargo run -- --github-token acme=ghp_... --github-token acme/secret.kit=ghp_...
      Show the public packages of an organisation, and one that is not
  cargo run -- --port 0 --ephemeral --no-demo --secret acme/kit=0123456789abcdef
      Start on a free port with one repository, and leave nothing behind
  cargo run -- --aws-port 9475
      Start, and look into the dead letters from a second terminal:
      AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_DEFAULT_REGION=us-east-1 aws sqs receive-message \\
        --endpoint-url http://127.0.0.1:9475 --queue-url http://127.0.0.1:9475/000000000000/ResultsDeadLetterQueue

Exit codes: 0 stopped by Ctrl-C or SIGTERM, all accepted results processed; 1 stopped by a second one before
that, or failed; 2 could not start as asked";

impl Options {
    /// What the pipeline is started with.
    ///
    /// # Errors
    /// A sentence that says what was expected, and shows no key and no token.
    pub fn setup(&self) -> Result<Setup, String> {
        if self.port != 0 && self.aws_port == Some(self.port) {
            return Err("--aws-port: expected another port than that of --port".to_owned());
        }
        let period = Duration::from_secs(self.refresh_every);
        let storage =
            if self.ephemeral { Storage::Memory } else { Storage::Directory(self.data_dir.clone()) };
        Ok(Setup {
            storage,
            port: self.port,
            secrets: self.secrets()?,
            tokens: self.tokens()?,
            upstreams: self.upstreams(period)?,
            refresh_every: period,
        })
    }

    fn upstreams(&self, fresh_for: Duration) -> Result<Upstreams, String> {
        let url = |option, text| {
            let url = refresher::Settings::base_url(text);
            url.ok_or_else(|| format!("{option}: expected an http or https URL without password and query"))
        };
        Ok(Upstreams {
            nuget_service_index: url("--nuget-service-index", &self.nuget_service_index)?,
            github_api: url("--github-api", &self.github_api)?,
            fresh_for,
            patience: Patience::default(),
        })
    }

    fn tokens(&self) -> Result<Vec<GitHubToken>, String> {
        let tokens = self.github_token.iter().map(|text| GitHubToken::parse(text));
        tokens.collect::<Option<_>>().ok_or_else(|| {
            "--github-token: expected ORG=TOKEN or ORG/PACKAGE=TOKEN, for example --github-token acme=ghp_..."
                .to_owned()
        })
    }

    fn secrets(&self) -> Result<Vec<Secret>, String> {
        let secrets = self.secret.iter().map(|text| {
            let parsed =
                text.split_once('=').and_then(|(repository, key)| Some((repository.parse().ok()?, key)));
            let (repository, key) = parsed.ok_or("expected OWNER/REPO=KEY")?;
            Secret::new(repository, key)
        });
        secrets
            .collect::<Result<_, String>>()
            .map_err(|error| format!("--secret: {error}, for example --secret acme/kit=0123456789abcdef"))
    }
}

/// A repository and the value of its secret.
#[derive(Clone)]
pub struct Secret {
    /// Whose.
    pub repository: Repository,
    /// The secret as Secrets Manager keeps it.
    pub value: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("repository", &self.repository).finish_non_exhaustive()
    }
}

impl Secret {
    /// The secret of `repository` with this key.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the key, and does not show it.
    pub fn new(repository: Repository, hmac_key: &str) -> Result<Self, String> {
        let value = repository_secret(hmac_key);
        SecretKeys::parse(&value).map_err(|error| error.to_string())?;
        Ok(Self { repository, value })
    }
}

/// A token for GitHub, and what it is for.
#[derive(Clone)]
pub struct GitHubToken {
    /// Whose packages are read with it.
    pub organization: Organization,
    /// The only one, which may then be private; else all public ones.
    pub package: Option<PackageName>,
    /// The token itself; an empty one takes away what was registered.
    pub token: String,
}

impl std::fmt::Debug for GitHubToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitHubToken")
            .field("organization", &self.organization)
            .field("package", &self.package)
            .finish_non_exhaustive()
    }
}

impl GitHubToken {
    /// Reads `ORG=TOKEN` or `ORG/PACKAGE=TOKEN`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_token = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
        let (of, token) = text.split_once('=').filter(|(_, token)| is_token(token))?;
        let (organization, package) = match of.split_once('/') {
            Some((organization, package)) => (organization, Some(package.parse().ok()?)),
            None => (of, None),
        };
        Some(Self { organization: organization.parse().ok()?, package, token: token.to_owned() })
    }

    /// Puts the token into a secret, and maps the secret; or takes both away.
    ///
    /// # Errors
    /// [`AwsError`] when either fails.
    pub async fn register(&self, aws: &Aws, now: Timestamp) -> Result<(), AwsError> {
        let package = self.package.as_ref();
        let secret_id = token_secret_name(&self.organization, package);
        let mappings = SecretMappings::new(&aws.sdk_config(), SECRETS_TABLE.to_owned());
        if self.token.is_empty() {
            mappings.delete(&self.organization, package).await?;
            let deleted = aws.secrets().delete(&secret_id);
            return deleted.map_err(|error| AwsError::unexpected("secretsmanager:DeleteSecret", error));
        }
        let value = token_secret(&self.token);
        let put = aws.secrets().put(&secret_id, &value);
        put.map_err(|error| AwsError::unexpected("secretsmanager:PutSecretValue", error))?;
        mappings.put(&self.organization, package, &secret_id, now).await
    }
}
