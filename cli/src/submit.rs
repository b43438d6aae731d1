//! `badgesmith submit`: from reports to an accepted result.

mod address;
mod announce;
mod options;
mod result;
mod run;
mod send;

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::env;
use badgesmith_domain::signature::{HmacKey, KEY_BYTES_MIN};
use serde_json::json;

pub(crate) use self::address::ServiceUrl;
use self::address::{BadgeAddress, NoServiceUrl};
use self::announce::{Announcement, RunnerFiles};
pub(crate) use self::options::Options;
pub(crate) use self::result::RunResult;
use self::run::RunError;
pub(crate) use self::send::{Service, client, send};
use crate::counted::{self, CountError};
use crate::terminal;
use ci_env::{self, Provider};

/// The event file of GitHub Actions has some ten kilobytes; it describes commits, of which there may be many.
const EVENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why nothing was sent, though it should have been.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error(transparent)]
    Counts(#[from] CountError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("there is no address of a service: name it with --url, or set BADGESMITH_URL")]
    NoUrl,
    #[error(transparent)]
    Url(#[from] NoServiceUrl),
    #[error(
        "there is no key: set BADGESMITH_KEY to the key of {repository}, or name a file with --key-file{hint}"
    )]
    NoKey { repository: String, hint: String },
    #[error("--key-file: cannot read {path}: {source}")]
    KeyFile { path: String, source: io::Error },
    #[error("the key is too short: a key has at least {KEY_BYTES_MIN} bytes")]
    ShortKey,
}

/// What there is to do.
enum Plan {
    Send(ServiceUrl, Box<RunResult>, HmacKey),
    Show(ServiceUrl, Box<RunResult>, Option<HmacKey>),
    /// Nothing, in order, and why.
    Nothing(String),
}

/// Runs the command.
pub(crate) async fn run(options: &Options) -> ExitCode {
    let run = ci_env::detect(env::optional, event);
    let says = Says { actions: run.provider == Provider::GitHubActions };
    let plan = match plan(options, &run) {
        Ok(plan) => plan,
        Err(error) => {
            says.error(&error.to_string());
            if options.json {
                says.print(&terminal::json(&json!({ "accepted": false, "error": error.to_string() })));
            }
            return ExitCode::from(2);
        }
    };
    match plan {
        Plan::Nothing(reason) => {
            says.notice(&reason);
            if options.json {
                says.print(&terminal::json(&json!({ "accepted": false, "skipped": reason })));
            }
            ExitCode::SUCCESS
        }
        Plan::Show(base, result, key) => {
            says.print(&shown(&base, &result, key.as_ref(), options.json));
            ExitCode::SUCCESS
        }
        Plan::Send(base, result, key) => deliver(options, &says, &base, &result, &key).await,
    }
}

fn plan(options: &Options, run: &ci_env::Run) -> Result<Plan, Unusable> {
    let key = key(options.key_file.as_deref(), run.provider)?;
    // Who can have no key has nothing to send, and no fault to find with its reports.
    if key.is_none()
        && !options.dry_run
        && let Some(withheld) = run.key_withheld.filter(|withheld| withheld.is_expected())
    {
        return Ok(Plan::Nothing(format!("{withheld}: nothing is sent")));
    }
    let base =
        ServiceUrl::parse(options.url.as_deref().filter(|url| !url.is_empty()).ok_or(Unusable::NoUrl)?)?;
    let counts = counted::counts(options)?;
    let result = match run::result(options, run, counts) {
        Err(reason @ RunError::NothingToReport(_)) => return Ok(Plan::Nothing(reason.to_string())),
        result => Box::new(result?),
    };
    match key {
        key if options.dry_run => Ok(Plan::Show(base, result, key)),
        Some(key) => Ok(Plan::Send(base, result, key)),
        None => {
            let hint = run.key_withheld.map(|withheld| format!(" ({withheld})")).unwrap_or_default();
            Err(Unusable::NoKey { repository: result.repository.to_string(), hint })
        }
    }
}

async fn deliver(
    options: &Options,
    says: &Says,
    base: &ServiceUrl,
    result: &RunResult,
    key: &HmacKey,
) -> ExitCode {
    let RunResult { repository, platform, branch, .. } = result;
    let patience = Duration::from_secs(options.retry_for);
    let retrying = |reason: &str, wait: Duration| {
        terminal::note(&format!("{reason}; trying again in {:.1} s", wait.as_secs_f64()));
    };
    let service = Service { base, key, patience, clock: Clock::System };
    let outcome = send(&service, result, retrying).await;
    let address = BadgeAddress::new(base, repository, *platform, branch);
    let announcement = Announcement::new(result, address, &outcome);
    if let Err(error) = announcement.write(&runner_files()) {
        says.warning(&format!("the runner cannot be told: {error}"));
    }
    if options.json {
        says.print(&terminal::json(&announcement));
    }
    match outcome {
        Ok(_) => {
            if !options.json {
                terminal::note(&accepted(result));
                says.print(&format!("{}\n", announcement.markdown));
            }
            ExitCode::SUCCESS
        }
        Err(error) if options.fail_on_error => {
            says.error(&error.to_string());
            ExitCode::FAILURE
        }
        Err(error) => {
            says.warning(&error.to_string());
            ExitCode::SUCCESS
        }
    }
}

/// What a person reads when all is well, on stderr; the Markdown alone goes to stdout.
fn accepted(result: &RunResult) -> String {
    let RunResult { repository, platform, branch, counts, .. } = result;
    format!("accepted: {counts}, of {repository}, {branch} on {platform}; the badge, for a README:")
}

/// The request, as `--dry-run` shows it.
fn shown(base: &ServiceUrl, result: &RunResult, key: Option<&HmacKey>, is_json: bool) -> String {
    let body = result.body(Clock::System.now());
    let signature = key.map(|key| key.sign(body.as_bytes()).to_string());
    let (url, repository) = (format!("{base}/tests/results"), result.repository.to_string());
    if is_json {
        let headers = json!({
            "Content-Type": "application/json", "X-Repo-Secret": repository, "X-Signature": signature,
        });
        return terminal::json(&json!({ "method": "POST", "url": url, "headers": headers, "body": body }));
    }
    let signature = signature.as_deref().unwrap_or("(there is no key)");
    format!(
        "POST {url}\nContent-Type: application/json\nX-Repo-Secret: {repository}\nX-Signature: {signature}\n\n{body}\n"
    )
}

/// The key, without the byte order mark and the line break that files and pasted secrets may have.
pub(crate) fn key(file: Option<&Path>, provider: Provider) -> Result<Option<HmacKey>, Unusable> {
    let text = match file {
        Some(path) => {
            let read = fs::read_to_string(path);
            Some(read.map_err(|source| Unusable::KeyFile { path: path.display().to_string(), source })?)
        }
        // Azure Pipelines leaves a variable that is not there as it is written.
        None => env::optional("BADGESMITH_KEY").filter(|value| {
            provider != Provider::AzurePipelines || !(value.starts_with("$(") && value.ends_with(')'))
        }),
    };
    let text = text.map(|text| text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']).to_owned());
    let text = text.filter(|text| file.is_some() || !text.is_empty());
    text.map(|text| HmacKey::new(text.into_bytes()).ok_or(Unusable::ShortKey)).transpose()
}

fn event(path: &Path) -> Option<String> {
    let size = fs::metadata(path).ok()?.len();
    (size <= EVENT_BYTES_MAX).then(|| fs::read_to_string(path).ok()).flatten()
}

fn runner_files() -> RunnerFiles {
    RunnerFiles {
        output: env::optional("GITHUB_OUTPUT").map(Into::into),
        step_summary: env::optional("GITHUB_STEP_SUMMARY").map(Into::into),
    }
}

/// How messages are given: in GitHub Actions so that they show on the run's page.
struct Says {
    actions: bool,
}

impl Says {
    /// Nobody may be reading there any more, which is no reason to fail.
    fn print(&self, text: &str) {
        if let Err(error) = terminal::print(text) {
            self.warning(&format!("this cannot be printed: {error}"));
        }
    }

    fn error(&self, message: &str) {
        self.say("error", message);
    }

    fn warning(&self, message: &str) {
        self.say("warning", message);
    }

    fn notice(&self, message: &str) {
        self.say("notice", message);
    }

    fn say(&self, level: &str, message: &str) {
        if self.actions {
            // A line break or a percent sign would end or change the command.
            let message = message.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
            terminal::note(&format!("::{level} title=BadgeSmith::{message}"));
        } else {
            terminal::note(&format!("{level}: {message}"));
        }
    }
}
