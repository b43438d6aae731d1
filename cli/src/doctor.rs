//! `badgesmith doctor`: everything that has to be there, asked one after the other.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aws_credential_types::provider::ProvideCredentials;
use badgesmith_shared::clock::Clock;
use badgesmith_shared::dynamodb::table_status;
use badgesmith_shared::env;
use badgesmith_shared::name::Repository;
use badgesmith_shared::sdk::causes;
use badgesmith_shared::secrets_manager::{SecretsManager, repository_secret_name};
use badgesmith_shared::signature::HmacKey;
use badgesmith_shared::timestamp::Timestamp;
use clap::Args;
use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::failure::{Failure, help, with_advice};
use crate::stack::{Resource, Stack, Target};
use crate::terminal::{Paint, Progress, printable};
use crate::told::{Told, duration};

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
#[command(after_long_help = help(EXAMPLES))]
pub(crate) struct Options {
    /// Send a result of this repository, and wait until it is stored
    #[arg(long, value_name = "OWNER/REPO")]
    repo: Option<Repository>,
    /// A file with the repository's key; BADGESMITH_KEY if not given
    #[arg(long, value_name = "FILE", requires = "repo")]
    key_file: Option<PathBuf>,
    /// Where the service is; the stack's own address if not given
    #[arg(long, value_name = "URL", env = "BADGESMITH_URL", hide_env_values = true)]
    url: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// What was looked at, and what is the matter, if something is.
struct Check {
    name: String,
    outcome: Result<String, String>,
}

/// A result to be sent.
struct Trip<'a> {
    repository: &'a Repository,
    key: HmacKey,
    base: String,
}

impl Options {
    pub(crate) async fn run(&self) -> Result<Told, Failure> {
        let stack = self.target.find().await?;
        let base = self.url.as_deref().or(stack.api_url()).map(|url| url.trim_end_matches('/').to_owned());
        let trip = match &self.repo {
            Some(repository) => Some(self.trip(repository, base.clone())?),
            None => None,
        };
        let mut checks = Vec::new();
        let mut progress = Progress::new();
        let mut note = |name: &str, outcome: Result<String, String>| {
            progress.show(name);
            checks.push(Check { name: name.to_owned(), outcome });
        };
        note("credentials", credentials(&stack).await);
        for resource in [
            Resource::TestResultsTable,
            Resource::NoncesTable,
            Resource::PackagesTable,
            Resource::SecretsTable,
        ] {
            note(resource.logical_id(), table(&stack, resource).await);
        }
        for resource in [
            Resource::ResultsQueue,
            Resource::ResultsDeadLetterQueue,
            Resource::RefreshQueue,
            Resource::RefreshDeadLetterQueue,
            Resource::RefreshEventsDeadLetterQueue,
        ] {
            note(resource.logical_id(), queue(&stack, resource).await);
        }
        note("EventBus", bus(&stack).await);
        note("secrets", secrets(&stack, self.repo.as_ref()).await);
        note("clock", clock(&stack, base.as_deref()).await);
        if let Some(trip) = &trip {
            note("round trip", trip.take().await);
        }
        drop(progress);
        Ok(told(&checks))
    }

    fn trip<'a>(&self, repository: &'a Repository, base: Option<String>) -> Result<Trip<'a>, Failure> {
        let text = match &self.key_file {
            Some(path) => Some(fs::read_to_string(path).map_err(|error| {
                Failure::Usage(format!("--key-file: cannot read {}: {error}", path.display()))
            })?),
            None => env::optional("BADGESMITH_KEY"),
        };
        let base =
            base.ok_or_else(|| Failure::Usage("--repo: say where the service is with --url".to_owned()))?;
        let missing = "--repo: set BADGESMITH_KEY to the repository's key, or name a file with --key-file";
        let text = text.ok_or_else(|| Failure::Usage(missing.to_owned()))?;
        let key = HmacKey::new(text.trim_end_matches(['\r', '\n']).as_bytes());
        let key = key.ok_or_else(|| Failure::Usage("the key is too short".to_owned()))?;
        Ok(Trip { repository, key, base })
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

fn advised(error: impl std::fmt::Display) -> String {
    with_advice(&error.to_string())
}

/// Finds credentials; whether they are good, the other checks show.
async fn credentials(stack: &Stack) -> Result<String, String> {
    let none = || with_advice("no providers in chain");
    let provider = stack.config.credentials_provider().ok_or_else(none)?;
    let credentials = provider.provide_credentials().await;
    let credentials =
        credentials.map_err(|error| with_advice(&format!("credentials: {}", causes(&error))))?;
    let region = stack.config.region().map(ToString::to_string).unwrap_or_default();
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
        Some(repository) if facts.is_none_or(|facts| facts.deleted.is_some()) => {
            Err(format!("{repository} has no key: `badgesmith secret create {repository}` makes one"))
        }
        Some(_) => Ok(name),
        None => Ok("Secrets Manager answers".to_owned()),
    }
}

/// Compares this machine's clock with that of who answers.
async fn clock(stack: &Stack, base: Option<&str>) -> Result<String, String> {
    let region = stack.config.region().map(ToString::to_string).unwrap_or_default();
    let aws = || format!("https://dynamodb.{region}.amazonaws.com");
    let url = stack.config.endpoint_url().or(base).map_or_else(aws, str::to_owned);
    let answer =
        client()?.head(&url).send().await.map_err(|error| format!("{url} does not answer: {error}"))?;
    let now = Clock::System.now();
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    let theirs = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let theirs = theirs.ok_or_else(|| format!("{url} does not tell the time"))?;
    let theirs = Timestamp::from_unix_milliseconds(theirs.timestamp().as_millisecond());
    let skew = now.since(theirs).max(theirs.since(now));
    if skew > SKEW_MAX {
        let skew = duration(skew);
        return Err(format!(
            "it is {skew} off that of {url}: set it, or have it set by NTP; what it signs is refused"
        ));
    }
    Ok(format!("within {} s of that of {url}", skew.as_secs() + 1))
}

impl Trip<'_> {
    /// Sends a result, and waits until it is in the history.
    async fn take(&self) -> Result<String, String> {
        let Self { repository, key, base } = self;
        let client = client()?;
        let now = Clock::System.now();
        let body = json!({
            "owner": repository.owner.as_str(), "repo": repository.repo.as_str(),
            "platform": "linux", "branch": BRANCH,
            "passed": 1, "failed": 0, "skipped": 0, "total": 1,
            "timestamp": now.to_string(), "nonce": Uuid::new_v4().to_string(),
            "run_id": now.unix_milliseconds().to_string(),
        })
        .to_string();
        let signature = key.sign(body.as_bytes()).to_string();
        let started = Instant::now();
        let post = client
            .post(format!("{base}/tests/results"))
            .header("content-type", "application/json")
            .header("x-repo-secret", repository.to_string())
            .header("x-signature", signature)
            .body(body);
        let answer = post.send().await.map_err(|error| format!("{base} does not answer: {error}"))?;
        let status = answer.status().as_u16();
        let answer = json_of(answer).await;
        if status != 202 {
            let message = answer.get("message").and_then(Value::as_str).unwrap_or("no reason given");
            let advice = if status == 401 {
                "; is it the key of this repository, and did it switch a minute after a rotation?"
            } else {
                ""
            };
            return Err(format!("the result was refused with {status}: {message}{advice}"));
        }
        let accepted = started.elapsed().as_millis();
        let history = format!("{base}/tests/results/{repository}?branch={BRANCH}&limit=1");
        while started.elapsed() < STORED_WITHIN {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let Ok(read) = client.get(&history).send().await else { continue };
            let read = json_of(read).await;
            let newest = read.pointer("/results/0/test_result_id");
            if newest.is_some() && newest == answer.get("test_result_id") {
                let stored = started.elapsed().as_millis();
                return Ok(format!("accepted after {accepted} ms, stored after {stored} ms"));
            }
        }
        let advice = "`badgesmith status` and `badgesmith dlq list` show where it is";
        Err(format!("it was accepted, and not stored within {}: {advice}", duration(STORED_WITHIN)))
    }
}

async fn json_of(answer: reqwest::Response) -> Value {
    let text = answer.text().await.unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn client() -> Result<Client, String> {
    let builder = Client::builder().user_agent(concat!("badgesmith/", env!("CARGO_PKG_VERSION")));
    let client = builder.timeout(ANSWER_TIME_MAX).redirect(Policy::none()).build();
    client.map_err(|error| error.to_string())
}
