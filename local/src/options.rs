//! The command line options.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use badgesmith_aws::env;
use badgesmith_domain::issuer::Issuer;
use badgesmith_domain::oidc_owners::OidcOwners;
use badgesmith_domain::service_url::ServiceUrl;
use clap::Parser;
use embedded_aws::Storage;
use ingest_api::OidcSettings;

use crate::config::{Config, GitHubToken, Secret};
use crate::stack::UpstreamConfig;

/// Run the whole BadgeSmith pipeline on this machine.
///
/// The pipeline accepts signed test results and serves badges over HTTP. It needs no AWS account and no Docker.
/// Once it answers requests, it prints `listening on http://ADDRESS:PORT` to stdout, and with --aws-port
/// `AWS at http://127.0.0.1:PORT` as the second line. Logs go to stderr.
#[derive(Debug, Parser)]
#[expect(clippy::doc_markdown, reason = "--help shows it as it is")]
#[command(name = "local", version, after_help = EXAMPLES)]
pub struct Options {
    /// IP address to listen on; 0.0.0.0 or :: for all addresses of this machine
    ///
    /// Connections have no TLS. Let other machines connect only through a reverse proxy that has it.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub listen: IpAddr,

    /// Port to listen on; 0 picks a free port
    #[arg(long, default_value_t = 9474)]
    pub port: u16,

    /// Port on 127.0.0.1 for the APIs of DynamoDB, SQS, Secrets Manager and EventBridge; 0 picks a free port
    ///
    /// Use its address as the endpoint URL of the AWS CLI or an SDK, with any region and any credentials. Signatures
    /// are not verified, so every program on this machine can read the keys. Web pages cannot.
    #[arg(long, value_name = "PORT")]
    pub aws_port: Option<u16>,

    /// Directory for tables, queues and secrets; delete it to start over
    #[arg(long, value_name = "DIR", default_value = ".badgesmith", conflicts_with = "ephemeral")]
    pub data_dir: PathBuf,

    /// Keep all data in memory
    #[arg(long)]
    pub ephemeral: bool,

    /// Start without the demo repository
    #[arg(long)]
    pub no_demo: bool,

    /// Repository to register, with its HMAC key of at least 16 characters; repeatable
    ///
    /// OWNER/REPO takes the key from the environment variable BADGESMITH_KEY, OWNER/REPO=@FILE takes it from a file, and
    /// OWNER/REPO=KEY is for keys that are not secret, since every program on this machine can read arguments. Clients
    /// sign results with the key. It is stored in the data directory. The key that it replaces stays valid for 24 hours.
    /// After `badgesmith repo` has removed the repository or replaced its key, the option is ignored.
    // `Options::secrets` parses it, because clap prints malformed values with the key.
    #[arg(long = "secret", value_name = "OWNER/REPO[=KEY]")]
    secret: Vec<String>,

    /// URL of the NuGet feed's service index
    // `Options::upstreams` parses it, because clap prints malformed values with the password of a URL.
    #[arg(long, value_name = "URL", default_value = refresher::Settings::NUGET_SERVICE_INDEX)]
    nuget_service_index: String,

    /// Base URL of GitHub's REST API
    #[arg(long, value_name = "URL", default_value = refresher::Settings::GITHUB_API)]
    github_api: String,

    /// GitHub token with the scope read:packages for the public packages of an organization or user; repeatable
    ///
    /// ORG takes the token from the environment variable BADGESMITH_GITHUB_TOKEN, and ORG=@FILE takes it from a file.
    /// ORG/PACKAGE instead of ORG sets the token for a single package, public or private, and makes its versions visible
    /// to everyone. Without npm: or container: before ORG, the packages are NuGet packages. Tokens are stored in the data
    /// directory. ORG= or ORG/PACKAGE= removes a token.
    // `Options::tokens` parses it, because clap prints malformed values with the token.
    #[arg(long = "github-token", value_name = "ORG[=TOKEN]")]
    github_token: Vec<String>,

    /// Issuer whose ID tokens are accepted instead of a signature
    ///
    /// Without it, no ID token is accepted. The issuer's keys are fetched at the start, and with each refresh.
    #[arg(long, value_name = "URL")]
    oidc_issuer: Option<Issuer>,

    /// Owners whose repositories register themselves with their first ID token, comma-separated: OWNER, OWNER:ID or *
    #[arg(long, value_name = "LIST", requires = "oidc_issuer")]
    oidc_owners: Option<OidcOwners>,

    /// URL at which clients reach this machine, for pages and ID tokens [default: http://127.0.0.1:PORT]
    #[arg(long, value_name = "URL")]
    public_url: Option<ServiceUrl>,

    /// Seconds between refreshes of a package, 1 to 3600; badges are cached for 2 minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=3600))]
    refresh_every: u64,

    /// Log only warnings and errors
    #[arg(long)]
    pub quiet: bool,
}

const EXAMPLES: &str = "\
Examples, in a checkout with `cargo run --` instead of `local`:
  local
      Start on port 9474 with a demo repository
  BADGESMITH_GITHUB_TOKEN=ghp_... local --github-token acme --github-token acme/closed=@closed.txt
      Show the public packages of an organization, and one private package
  BADGESMITH_KEY=0123456789abcdef local --port 0 --ephemeral --no-demo --secret acme/kit
      Start on a free port with one repository, without writing files
  local --oidc-issuer https://token.actions.githubusercontent.com --oidc-owners acme \\
    --public-url https://badges.example.com
      Accept results of all GitHub repositories of acme without a key
  local --aws-port 9475
      Start, and receive a dead letter from a second terminal:
      AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_DEFAULT_REGION=us-east-1 \\
        aws sqs receive-message --endpoint-url http://127.0.0.1:9475 \\
        --queue-url http://127.0.0.1:9475/000000000000/badge-results-dlq

Exit codes:
  0  stopped by Ctrl-C or SIGTERM, after all accepted results were stored
  1  failed, or stopped before that: by a second signal, or because a result cannot be stored now
  2  invalid options, or a port or data directory that cannot be used";

impl Options {
    /// # Errors
    /// The invalid option and the expected value, without keys and tokens.
    pub fn config(&self) -> Result<Config, String> {
        if self.port != 0 && self.aws_port == Some(self.port) {
            return Err("--aws-port: expected a different port than --port".to_owned());
        }
        let period = Duration::from_secs(self.refresh_every);
        let storage =
            if self.ephemeral { Storage::Memory } else { Storage::Directory(self.data_dir.clone()) };
        Ok(Config {
            storage,
            listen: self.listen,
            port: self.port,
            secrets: self.secrets()?,
            tokens: self.tokens()?,
            upstreams: self.upstreams(period)?,
            refresh_every: period,
            public_url: self.public_url.clone(),
        })
    }

    fn upstreams(&self, fresh_for: Duration) -> Result<UpstreamConfig, String> {
        let url = |option, text| {
            let url = refresher::base_url(text);
            url.ok_or_else(|| format!("{option}: expected an http or https URL without a password or query"))
        };
        let nuget_service_index = url("--nuget-service-index", &self.nuget_service_index)?;
        let github_api = url("--github-api", &self.github_api)?;
        let oidc = self.oidc_issuer.clone().map(|issuer| OidcSettings {
            issuer,
            owners: self.oidc_owners.clone().unwrap_or_default(),
            services: Vec::new(),
        });
        Ok(UpstreamConfig { fresh_for, oidc, ..UpstreamConfig::new(nuget_service_index, github_api) })
    }

    fn tokens(&self) -> Result<Vec<GitHubToken>, String> {
        let token = |text: &String| {
            let (scope, token) = split(text, "BADGESMITH_GITHUB_TOKEN")?;
            let scope = scope.parse().map_err(|_| "expected ORG=@FILE or ORG/PACKAGE=@FILE".to_owned())?;
            GitHubToken::new(scope, &token)
        };
        let tokens = self.github_token.iter().map(token);
        tokens.collect::<Result<_, _>>().map_err(|error| format!("--github-token: {error}"))
    }

    fn secrets(&self) -> Result<Vec<Secret>, String> {
        let secret = |text: &String| {
            let (repository, key) = split(text, "BADGESMITH_KEY")?;
            let repository = repository.parse().map_err(|_| "expected OWNER/REPO=@FILE".to_owned())?;
            Secret::new(repository, &key)
        };
        let secrets = self.secret.iter().map(secret);
        secrets.collect::<Result<_, _>>().map_err(|error| format!("--secret: {error}"))
    }
}

/// The name and the value of `NAME=VALUE`, `NAME=@FILE`, or `NAME` with the value in the environment.
fn split<'a>(text: &'a str, variable: &str) -> Result<(&'a str, String), String> {
    match text.split_once('=') {
        None => {
            // Not the text: it may be a value whose name was forgotten.
            let value = env::optional(variable);
            let missing =
                || format!("expected =@FILE after the name, or the environment variable {variable}");
            Ok((text, value.ok_or_else(missing)?))
        }
        Some((name, value)) => match value.strip_prefix('@') {
            None => Ok((name, value.to_owned())),
            Some(file) => {
                let text =
                    fs::read_to_string(file).map_err(|error| format!("failed to read {file}: {error}"))?;
                Ok((name, text.trim_end_matches(['\r', '\n']).to_owned()))
            }
        },
    }
}
