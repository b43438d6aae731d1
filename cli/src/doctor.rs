//! `badgesmith doctor`: everything that has to be there, asked one after the other.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aws_credential_types::provider::ProvideCredentials;
use aws_types::SdkConfig;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::table_status;
use badgesmith_aws::env;
use badgesmith_aws::sdk::causes;
use badgesmith_aws::secrets_manager::{SecretsManager, repository_secret_name};
use badgesmith_domain::ids::{ParseError, Platform, Repository};
use badgesmith_domain::signature::HmacKey;
use badgesmith_domain::test_result::{Counts, RunAttempt};
use badgesmith_domain::timestamp::Timestamp;
use clap::Args;
use reqwest::Client;
use serde_json::{Value, json};

use crate::aws_hint::with_advice;
use crate::duration::format_duration;
use crate::error::CliError;
use crate::help;
use crate::stack::{Resource, Stack, Target};
use crate::submit::{self, RunResult, Service, ServiceUrl};
use crate::terminal::{Paint, Progress, printable};
use crate::told::Told;
use ci_env::Provider;

/// AWS refuses requests that were signed five minutes ago, the service results as old.
const SKEW_MAX: Duration = Duration::from_mins(1);
/// An answer takes no longer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// A result takes a second from the queue to the table.
const STORED_WITHIN: Duration = Duration::from_secs(30);
/// Of the results that are sent to see whether they arrive.
const BRANCH: &str = "badgesmith-doctor";

const EXAMPLES: &str = "    badgesmith doctor --stack badgesmith

  With a result that is signed, sent, and read back, on the branch badgesmith-doctor:
    BADGESMITH_KEY=... badgesmith doctor --stack badgesmith --repo acme/kit";

/// Checks credentials, tables, queues, the clock and, with a repository and its key, the whole way of a result.
#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "it is shown as it is by --help")]
#[command(after_long_help = help::with_examples(EXAMPLES))]
pub(crate) struct Options {
    /// Send a result of this repository, and wait until it is stored: one passed test on the branch badgesmith-doctor
    #[arg(long, value_name = "OWNER/REPO")]
    repo: Option<Repository>,
    /// A file with the repository's key; BADGESMITH_KEY if not given
    #[arg(long, value_name = "FILE", requires = "repo")]
    key_file: Option<PathBuf>,
    /// Where the service is; the stack's own address if not given, without a stack BADGESMITH_URL
    #[arg(long, value_name = "URL", requires = "repo")]
    url: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// What was looked at, and what is the matter, if something is.
struct Check {
    name: &'static str,
    outcome: Result<String, String>,
}

/// All of them, in the order in which one needs the other.
struct Checks {
    done: Vec<Check>,
    progress: Progress,
}

impl Options {
    pub(crate) async fn run(&self) -> Result<Told, CliError> {
        let usage = |error: &dyn Display| CliError::Usage(error.to_string());
        // A stack says itself where it is; the variable, which `submit` reads, may be about another.
        let variable = || env::optional("BADGESMITH_URL").filter(|_| self.target.stack().is_none());
        let url = self.url.clone().or_else(variable);
        let url = url.as_deref().map(ServiceUrl::parse).transpose().map_err(|error| usage(&error))?;
        let trip = match &self.repo {
            Some(_) if url.is_none() && self.target.stack().is_none() => {
                return Err(usage(&"--repo: say where the service is with --url"));
            }
            Some(repository) => Some((repository, self.key()?)),
            None => None,
        };
        let config = self.target.connect().await?;
        let mut checks = Checks { done: Vec::new(), progress: Progress::new() };
        checks.note("credentials", credentials(&config).await);
        checks.note("clock", clock(&config, url.as_ref()).await);
        let stack = match self.target.find_at(config).await {
            Ok(stack) => stack,
            Err(failure) => {
                checks.note("stack", Err(failure.to_string()));
                return Ok(told(&checks.done));
            }
        };
        checks.note("stack", Ok(self.target.stack().unwrap_or("a local").to_owned()));
        self.resources(&stack, &mut checks).await;
        if let Some((repository, key)) = &trip {
            let base = url.or_else(|| ServiceUrl::parse(stack.api_url()?).ok());
            let trip = match &base {
                Some(base) => Trip { repository, key, base }.take().await,
                None => Err("the stack has no output ApiUrl: name the service with --url".to_owned()),
            };
            checks.note("round trip", trip);
        }
        Ok(told(&checks.done))
    }

    /// The repository's key.
    fn key(&self) -> Result<HmacKey, CliError> {
        let key = submit::key(self.key_file.as_deref(), Provider::Local);
        let missing = "--repo: set BADGESMITH_KEY to the repository's key, or name a file with --key-file";
        let key = key.map_err(|error| CliError::Usage(error.to_string()))?;
        key.ok_or_else(|| CliError::Usage(missing.to_owned()))
    }

    /// What the stack is made of.
    async fn resources(&self, stack: &Stack, checks: &mut Checks) {
        for resource in Resource::TABLES {
            checks.note(resource.logical_id(), table(stack, resource).await);
        }
        for resource in Resource::QUEUES {
            checks.note(resource.logical_id(), queue(stack, resource).await);
        }
        checks.note(Resource::EventBus.logical_id(), bus(stack).await);
        checks.note("secrets", secrets(stack, self.repo.as_ref()).await);
    }
}

impl Checks {
    fn note(&mut self, name: &'static str, outcome: Result<String, String>) {
        self.progress.show(name);
        self.done.push(Check { name, outcome });
    }
}

fn told(checks: &[Check]) -> Told {
    let checked = |check: &Check| {
        let (Ok(detail) | Err(detail)) = &check.outcome;
        json!({ "check": check.name, "ok": check.outcome.is_ok(), "detail": detail })
    };
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let line = |check: &Check| {
        let (mark, detail) = match &check.outcome {
            Ok(detail) => (Paint::Green.on("ok    "), detail),
            Err(detail) => (Paint::Red.on("FAILED"), detail),
        };
        format!("{mark}  {:width$}  {}", check.name, printable(detail))
    };
    let json = json!({ "checks": checks.iter().map(checked).collect::<Vec<_>>() });
    let lines: Vec<_> = checks.iter().map(line).collect();
    let mut told = Told::new(json, lines.join("\n"));
    told.failed = checks.iter().any(|check| check.outcome.is_err());
    told
}

fn advised(error: impl Display) -> String {
    with_advice(&error.to_string())
}

/// Finds credentials; whether they are good, the other checks show.
async fn credentials(config: &SdkConfig) -> Result<String, String> {
    let none = || with_advice("no providers in chain");
    let provider = config.credentials_provider().ok_or_else(none)?;
    let credentials = provider.provide_credentials().await;
    let credentials =
        credentials.map_err(|error| with_advice(&format!("credentials: {}", causes(&error))))?;
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    Ok(format!("access key {}, region {region}", credentials.access_key_id()))
}

async fn table(stack: &Stack, resource: Resource) -> Result<String, String> {
    let name = stack.name_of(resource).map_err(advised)?;
    match table_status(&stack.config, &name).await.map_err(advised)? {
        status if status == "ACTIVE" => Ok(name),
        status => Err(format!("{name} is {status}: wait until it is ACTIVE")),
    }
}

async fn queue(stack: &Stack, resource: Resource) -> Result<String, String> {
    let depth = stack.queue(resource).map_err(advised)?.depth().await.map_err(advised)?;
    Ok(format!("{} messages", depth.total()))
}

async fn bus(stack: &Stack) -> Result<String, String> {
    stack.event_bus().map_err(advised)?.check().await.map_err(advised)?;
    stack.name_of(Resource::EventBus).map_err(advised)
}

/// Whether Secrets Manager answers; and that a repository has a key, if one was named.
async fn secrets(stack: &Stack, repository: Option<&Repository>) -> Result<String, String> {
    let secrets = SecretsManager::new(&stack.config);
    let name = repository.map_or_else(|| "badge/repo/badgesmith/doctor".to_owned(), repository_secret_name);
    let facts = secrets.describe(&name).await.map_err(advised)?;
    match repository {
        Some(repository) if facts.is_none_or(|facts| facts.gone_at.is_some()) => {
            Err(format!("{repository} has no key: `badgesmith secret create {repository}` makes one"))
        }
        Some(_) => Ok(name),
        None => Ok("Secrets Manager answers".to_owned()),
    }
}

/// Compares this machine's clock with that of who answers.
async fn clock(config: &SdkConfig, base: Option<&ServiceUrl>) -> Result<String, String> {
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let aws = || format!("https://dynamodb.{region}.amazonaws.com");
    let base = base.map(ToString::to_string);
    let url = config.endpoint_url().map(str::to_owned).or(base).unwrap_or_else(aws);
    let answer =
        client()?.head(&url).send().await.map_err(|error| format!("{url} does not answer: {error}"))?;
    let now = Clock::System.now();
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    let theirs = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let theirs = theirs.ok_or_else(|| format!("{url} does not tell the time"))?;
    let theirs = Timestamp::from_unix_milliseconds(theirs.timestamp().as_millisecond());
    let skew = now.since(theirs).max(theirs.since(now));
    if skew > SKEW_MAX {
        let skew = format_duration(skew);
        return Err(format!(
            "it is {skew} off that of {url}: set it, or have it set by NTP; what it signs is refused"
        ));
    }
    Ok(format!("within {} s of that of {url}", skew.as_secs() + 1))
}

/// A result on its way from a client to the history.
struct Trip<'a> {
    repository: &'a Repository,
    key: &'a HmacKey,
    base: &'a ServiceUrl,
}

impl Trip<'_> {
    /// Sends a result, and waits until it is in the history.
    async fn take(&self) -> Result<String, String> {
        let Self { repository, key, base } = *self;
        let result = result(repository).map_err(|ParseError { expected }| format!("expected {expected}"))?;
        let started = Instant::now();
        let service = Service { base, key, patience: Duration::ZERO, clock: Clock::System };
        let accepted = submit::send(&service, &result, |_, _| ()).await.map_err(|error| error.to_string())?;
        let accepted_after = started.elapsed().as_millis();
        let client = client()?;
        let history = format!("{base}/tests/results/{repository}?branch={BRANCH}&limit=1");
        while started.elapsed() < STORED_WITHIN {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let Ok(read) = client.get(&history).send().await else { continue };
            let read = json_of(read).await;
            let newest = read.pointer("/results/0/test_result_id").and_then(Value::as_str);
            if newest == Some(accepted.test_result_id.as_str()) {
                let stored_after = started.elapsed().as_millis();
                return Ok(format!("accepted after {accepted_after} ms, stored after {stored_after} ms"));
            }
        }
        let advice = "`badgesmith status` and `badgesmith dlq list` show where it is";
        Err(format!("it was accepted, and not stored within {}: {advice}", format_duration(STORED_WITHIN)))
    }
}

fn result(repository: &Repository) -> Result<RunResult, ParseError> {
    Ok(RunResult {
        repository: repository.clone(),
        platform: Platform::Linux,
        branch: BRANCH.parse()?,
        counts: Counts::new(1, 0, 0, 1)?,
        run_id: Clock::System.now().unix_milliseconds().to_string().parse()?,
        run_attempt: RunAttempt::default(),
        commit: None,
        run_url: None,
    })
}

async fn json_of(answer: reqwest::Response) -> Value {
    let text = answer.text().await.unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn client() -> Result<Client, String> {
    submit::client(ANSWER_TIME_MAX).map_err(|error| error.to_string())
}
