//! `badgesmith doctor`: checks everything that a stack needs.

mod job;
mod output;
mod registration;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aws_credential_types::provider::ProvideCredentials;
use aws_types::SdkConfig;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{TableDescription, describe_table};
use badgesmith_aws::env;
use badgesmith_aws::sdk::{AwsErrorKind, causes};
use badgesmith_domain::ids::{Branch, ParseError, Platform, Repository};
use badgesmith_domain::service_url::ServiceUrl;
use badgesmith_domain::test_result::{Counts, Outcome, TestRun};
use badgesmith_domain::timestamp::Timestamp;
use clap::Args;
use reqwest::{Client, StatusCode};
use serde_json::Value;

use self::output::{Check, Report};
use crate::aws_hint::aws_hint;
use crate::duration::format_duration;
use crate::error::CliError;
use crate::help;
use crate::output::Output;
use crate::quantity::quantity;
use crate::stack::{Resource, Stack, Target};
use crate::submit::{self, NoProof, Proof, Service, parse_service_url};
use crate::terminal::Progress;
use ci_env::CiRun;

/// AWS and the service reject requests that were signed five minutes ago or earlier.
const CLOCK_SKEW_MAX: Duration = Duration::from_mins(1);
const HTTP_TIMEOUT: Duration = Duration::from_secs(15);
/// A result usually takes a second from the queue to the table.
const STORED_WITHIN: Duration = Duration::from_secs(30);
/// The branch of the results that this command sends.
const BRANCH: &str = "badgesmith-doctor";

const EXAMPLES: &str = "    badgesmith doctor --stack badgesmith

  Send a result, and read it back from the branch badgesmith-doctor:
    BADGESMITH_KEY=... badgesmith doctor --stack badgesmith --repo acme/kit

  In a job of GitHub Actions or Forgejo Actions, check that it can submit without a key, but send no result:
    badgesmith doctor --url https://badges.example.org";

#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "--help shows it as it is")]
#[command(after_long_help = help::with_examples(EXAMPLES))]
pub(crate) struct Options {
    /// Repository to send a result for: one passed test on the branch badgesmith-doctor; without a key, only the token of
    /// this job is checked, and nothing is stored
    #[arg(long, value_name = "OWNER/REPO")]
    repo: Option<Repository>,
    /// File with the repository's key, instead of BADGESMITH_KEY
    #[arg(long, value_name = "FILE", requires = "repo")]
    key_file: Option<PathBuf>,
    /// URL of the service [default: the stack's ApiUrl, or BADGESMITH_URL without a stack]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// The checks so far. Each depends only on earlier ones.
struct Checks {
    report: Report,
    progress: Progress,
}

impl Options {
    pub(crate) async fn run(&self) -> Result<Output, CliError> {
        let url = self.service_url()?;
        let ci_run = submit::ci_run();
        let proof = if self.repo.is_some() || !self.target.is_given() {
            Proof::find(self.key_file.as_deref(), ci_run.provider)
                .map_err(|error| CliError::Usage(error.to_string()))?
        } else {
            None
        };
        let has_key = matches!(proof, Some(Proof::Key(_)));
        if ci_run.token_job.is_some() && !has_key && !self.target.is_given() {
            let url = url.ok_or_else(|| {
                CliError::Usage("the checks of this job need the URL of the service; use --url".to_owned())
            })?;
            return Ok(self.check_job(&url, proof.as_ref(), &ci_run).await);
        }
        let round_trip = match (&self.repo, &proof) {
            (Some(_), _) if url.is_none() && self.target.stack().is_none() => {
                return Err(CliError::Usage("--repo: requires the URL of the service; use --url".to_owned()));
            }
            (Some(_), None) => {
                return Err(CliError::Usage(
                    "--repo: requires the repository's key; set BADGESMITH_KEY, or use --key-file".to_owned(),
                ));
            }
            (Some(repository), Some(proof)) => Some((repository, proof)),
            (None, _) => None,
        };
        let config = self.target.connect().await?;
        let mut checks = Checks { report: Report { checks: Vec::new() }, progress: Progress::new() };
        checks.add("credentials", credentials(&config).await);
        checks.add("clock", clock(&config, url.as_ref()).await);
        let stack = match self.target.find_at(config).await {
            Ok(stack) => stack,
            Err(error) => {
                checks.add("stack", Err(error));
                return Ok(checks.output());
            }
        };
        checks.add("stack", Ok(self.target.stack().unwrap_or("local").to_owned()));
        self.resources(&stack, &mut checks).await;
        let public = url.clone().or_else(|| stack.cdn_url()?.parse().ok());
        if let Some(base) = &public {
            checks.add("badges", health(base).await);
        }
        if let Some((repository, proof)) = round_trip {
            let base = url.or_else(|| stack.api_url()?.parse().ok());
            let no_url = || CliError::Failed("the stack has no output ApiUrl; use --url".to_owned());
            let base = base.ok_or_else(no_url);
            if let Proof::Key(key) = proof {
                checks.add("registration", registration::check(&stack, repository).await);
                checks.add("key", registration::check_key(&stack, repository, key).await);
            }
            let (name, checked) = match (base, proof) {
                (Err(error), _) => ("round trip", Err(error)),
                (Ok(base), Proof::Key(_)) => {
                    ("round trip", RoundTrip { repository, proof, base: &base }.run().await)
                }
                (Ok(base), Proof::IdToken(_)) => {
                    ("token", job::check(proof, &base, &ci_run, repository).await)
                }
            };
            checks.add(name, checked);
        }
        Ok(checks.output())
    }

    /// The URL from --url or, without a stack, from `BADGESMITH_URL`. With a stack, the variable may be the URL of
    /// another stack.
    fn service_url(&self) -> Result<Option<ServiceUrl>, CliError> {
        let variable = || env::optional("BADGESMITH_URL").filter(|_| self.target.stack().is_none());
        let url = self.url.clone().or_else(variable);
        let parsed = url.as_deref().map(parse_service_url).transpose();
        parsed.map_err(|error| CliError::Usage(error.to_string()))
    }

    /// The checks of a CI job, which need no access to AWS. Without a proof, the job may not request tokens.
    async fn check_job(&self, url: &ServiceUrl, proof: Option<&Proof>, ci_run: &CiRun) -> Output {
        let mut checks = Checks { report: Report { checks: Vec::new() }, progress: Progress::new() };
        checks.add("badges", health(url).await);
        let repository = match &self.repo {
            Some(repository) => Ok(repository.clone()),
            None => {
                ci_run.repository.clone().map_err(|reason| CliError::Failed(format!("{reason}; use --repo")))
            }
        };
        let checked = match (repository, proof) {
            (Ok(repository), Some(proof)) => job::check(proof, url, ci_run, &repository).await,
            (Ok(repository), None) => {
                Err(CliError::Failed(NoProof::new(ci_run, repository.to_string()).to_string()))
            }
            (Err(error), _) => Err(error),
        };
        checks.add("token", checked);
        checks.output()
    }

    async fn resources(&self, stack: &Stack, checks: &mut Checks) {
        let mut unprotected = Vec::new();
        for resource in Resource::TABLES {
            let description = table(stack, resource).await;
            if let Ok((name, description)) = &description
                && is_at_risk(resource, description)
            {
                unprotected.push(name.clone());
            }
            checks.add(resource.name(), description.map(|(name, _)| name));
        }
        // Only the template sets it.
        if self.target.stack().is_some() {
            checks.add_deletion_protection(&unprotected);
        }
        for resource in Resource::QUEUES {
            checks.add(resource.name(), queue(stack, resource).await);
        }
        checks.add(Resource::EventBus.name(), event_bus(stack).await);
        checks.add("master key", registration::check_master_key(stack).await);
    }
}

impl Checks {
    /// Adds a check with its detail or its error.
    fn add(&mut self, name: &'static str, outcome: Result<String, CliError>) {
        self.progress.show(name);
        let ok = outcome.is_ok();
        let detail = outcome.unwrap_or_else(|error| error.to_string());
        self.report.checks.push(Check { name, ok, warning: false, detail });
    }

    fn add_deletion_protection(&mut self, unprotected: &[String]) {
        let name = "deletion protection";
        if unprotected.is_empty() {
            return self.add(name, Ok("on, or no data yet".to_owned()));
        }
        let detail = format!(
            "off for {}, which has data; set DeletionProtection to true in samconfig.toml, and run `sam deploy`",
            unprotected.join(" and ")
        );
        self.report.checks.push(Check { name, ok: true, warning: true, detail });
    }

    fn output(&self) -> Output {
        let failed = self.report.checks.iter().any(|check| !check.ok);
        Output::new(&self.report).failed_if(failed)
    }
}

/// Finds credentials. The other checks show whether they are valid.
async fn credentials(config: &SdkConfig) -> Result<String, CliError> {
    let hint = |kind| aws_hint(kind).unwrap_or_default();
    let provider = config
        .credentials_provider()
        .ok_or_else(|| CliError::Failed(hint(AwsErrorKind::NoCredentials).to_owned()))?;
    let credentials = provider.provide_credentials().await.map_err(|error| {
        CliError::Failed(format!("{}; {}", causes(&error), hint(AwsErrorKind::of_credentials(&error))))
    })?;
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    Ok(format!("access key {}, region {region}", credentials.access_key_id()))
}

async fn table(stack: &Stack, resource: Resource) -> Result<(String, TableDescription), CliError> {
    let name = stack.name_of(resource)?;
    let description = describe_table(&stack.config, &name).await?;
    match description.status.as_str() {
        "ACTIVE" => Ok((name, description)),
        status => Err(CliError::Failed(format!("{name} is {status}; wait until it is ACTIVE"))),
    }
}

/// Whether the table has data that cannot be recreated, and may be deleted by mistake.
fn is_at_risk(resource: Resource, description: &TableDescription) -> bool {
    matches!(resource, Resource::TestResultsTable | Resource::SecretsTable)
        && description.items > 0
        && !description.has_deletion_protection
}

async fn queue(stack: &Stack, resource: Resource) -> Result<String, CliError> {
    Ok(quantity(stack.queue(resource)?.depth().await?.total(), "message"))
}

async fn event_bus(stack: &Stack) -> Result<String, CliError> {
    stack.event_bus()?.check().await?;
    stack.name_of(Resource::EventBus)
}

/// Compares this machine's clock with that of AWS, or of the service.
async fn clock(config: &SdkConfig, base: Option<&ServiceUrl>) -> Result<String, CliError> {
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let url = match (config.endpoint_url(), base) {
        (Some(url), _) => url.to_owned(),
        (None, Some(base)) => base.to_string(),
        (None, None) => format!("https://dynamodb.{region}.amazonaws.com"),
    };
    let response = client()?.head(&url).send().await.map_err(|error| no_response(&url, error))?;
    let now = Clock::System.now();
    let theirs = response
        .headers()
        .get("date")
        .and_then(|date| jiff::fmt::rfc2822::parse(date.to_str().ok()?).ok())
        .map(|date| Timestamp::from_unix_milliseconds(date.timestamp().as_millisecond()))
        .ok_or_else(|| CliError::Failed(format!("the response from {url} has no valid Date header")))?;
    let skew = now.since(theirs).max(theirs.since(now));
    if skew > CLOCK_SKEW_MAX {
        return Err(CliError::Failed(format!(
            "this machine's clock differs by {} from the clock of {url}, so signed requests are rejected; \
             synchronize it with NTP",
            format_duration(skew)
        )));
    }
    Ok(format!("within {} s of {url}", skew.as_secs() + 1))
}

/// Reads a page that no cache keeps, through the CDN if there is one: it passes all that a badge passes, but the table.
async fn health(base: &ServiceUrl) -> Result<String, CliError> {
    const NO_SERVICE: &str = "check that it is the URL of a BadgeSmith service";
    let url = format!("{base}/health");
    let started = Instant::now();
    let response = client()?.get(&url).send().await.map_err(|error| no_response(&url, error))?;
    let advice = match response.status() {
        status if status.is_success() => {
            return Ok(format!("{url} responded after {} ms", started.elapsed().as_millis()));
        }
        StatusCode::FORBIDDEN => "the CDN is not allowed to call badge-api: deploy the template again",
        StatusCode::NOT_IMPLEMENTED => NO_SERVICE,
        status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
            "try again, then look into the log of badge-api"
        }
        _ => NO_SERVICE,
    };
    Err(CliError::Failed(format!("{url} responded with {}; {advice}", response.status())))
}

/// Sends a result and reads it back from the history.
struct RoundTrip<'a> {
    repository: &'a Repository,
    proof: &'a Proof,
    base: &'a ServiceUrl,
}

impl RoundTrip<'_> {
    async fn run(&self) -> Result<String, CliError> {
        let Self { repository, proof, base } = *self;
        let result = BRANCH.parse().and_then(|branch| result(repository, branch)).map_err(failed)?;
        let started = Instant::now();
        let service = Service { url: base, proof, retry_for: Duration::ZERO, clock: Clock::System };
        let accepted = submit::send(&service, &result, |_, _| ()).await.map_err(failed)?;
        let id = accepted.test_result_id.to_string();
        let accepted_after = started.elapsed().as_millis();
        let client = client()?;
        let history = format!("{base}/tests/results/{repository}?branch={BRANCH}&limit=1");
        while started.elapsed() < STORED_WITHIN {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let Ok(response) = client.get(&history).send().await else { continue };
            let history = parse_json(response).await;
            let newest = history.pointer("/results/0/test_result_id").and_then(Value::as_str);
            if newest == Some(id.as_str()) {
                let stored_after = started.elapsed().as_millis();
                return Ok(format!("accepted after {accepted_after} ms, stored after {stored_after} ms"));
            }
        }
        Err(CliError::Failed(format!(
            "the result was accepted, but not stored within {}; `badgesmith status` and `badgesmith dlq list` show the \
             queues",
            format_duration(STORED_WITHIN)
        )))
    }
}

fn result(repository: &Repository, branch: Branch) -> Result<TestRun, ParseError> {
    let now = Clock::System.now();
    let outcome = Outcome::new(Counts::new(1, 0, 0, 1)?, None)?;
    let run_id = now.unix_milliseconds().to_string().parse()?;
    Ok(TestRun::new(repository.clone(), Platform::Linux, branch, outcome, now, run_id))
}

/// The body as JSON; `null` if it is not JSON.
async fn parse_json(response: reqwest::Response) -> Value {
    let text = response.text().await.unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn client() -> Result<Client, CliError> {
    submit::client(HTTP_TIMEOUT).map_err(failed)
}

fn failed(error: impl Error) -> CliError {
    CliError::Failed(error.to_string())
}

fn no_response(url: &str, error: reqwest::Error) -> CliError {
    CliError::Failed(format!("{url} did not respond: {}", causes(&error.without_url())))
}
