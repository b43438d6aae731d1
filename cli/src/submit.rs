//! `badgesmith submit`: from reports to an accepted result.

mod address;
mod announce;
mod options;
mod result;
mod run;
mod send;

use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use badgesmith_shared::clock::Clock;
use badgesmith_shared::signature::{HmacKey, KEY_BYTES_MIN};
use reqwest::Url;

use self::address::BadgeAddress;
use self::announce::{Announcement, RunnerFiles};
pub(crate) use self::options::Options;
use self::result::RunResult;
use self::run::RunError;
use self::send::Service;
use crate::ci::{self, Provider};
use crate::counted::{self, CountError};
use crate::environment;
use crate::terminal;

/// The event file of GitHub Actions has some ten kilobytes; it describes commits, of which there may be many.
const EVENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why nothing was sent, though it should have been.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Counts(#[from] CountError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("--url: {0:?} is not an http or https address of a service")]
    Url(String),
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
    Send(Box<RunResult>, HmacKey),
    Show(Box<RunResult>, Option<HmacKey>),
    /// Nothing, in order, and why.
    Nothing(String),
}

/// Runs the command.
pub(crate) async fn run(options: &Options) -> ExitCode {
    let run = ci::detect(environment::variable, event);
    let says = Says { actions: run.provider == Provider::GitHubActions };
    let (base, plan) = match base(&options.url).and_then(|base| Ok((base, plan(options, &run)?))) {
        Ok(planned) => planned,
        Err(error) => {
            says.error(&error.to_string());
            return ExitCode::from(2);
        }
    };
    match plan {
        Plan::Nothing(reason) => {
            says.notice(&reason);
            ExitCode::SUCCESS
        }
        Plan::Show(result, key) => {
            terminal::print(&shown(&base, &result, key.as_ref()));
            ExitCode::SUCCESS
        }
        Plan::Send(result, key) => send(options, &says, &base, &result, &key).await,
    }
}

fn plan(options: &Options, run: &ci::Run) -> Result<Plan, Unusable> {
    let key = key(options.key_file.as_deref())?;
    // Who can have no key has nothing to send, and no fault to find with its reports.
    if key.is_none()
        && !options.dry_run
        && let Some(withheld) = run.key_withheld.filter(|withheld| withheld.is_expected())
    {
        return Ok(Plan::Nothing(format!("{withheld}: nothing is sent")));
    }
    let counts = counted::counts(options)?;
    let result = match run::result(options, run, counts) {
        Err(reason @ RunError::NothingToReport(_)) => return Ok(Plan::Nothing(reason.to_string())),
        result => Box::new(result?),
    };
    match key {
        key if options.dry_run => Ok(Plan::Show(result, key)),
        Some(key) => Ok(Plan::Send(result, key)),
        None => {
            let hint = run.key_withheld.map(|withheld| format!(" ({withheld})")).unwrap_or_default();
            Err(Unusable::NoKey { repository: result.repository.to_string(), hint })
        }
    }
}

async fn send(options: &Options, says: &Says, base: &str, result: &RunResult, key: &HmacKey) -> ExitCode {
    let RunResult { repository, platform, branch, .. } = result;
    let mut announcement = Announcement::new(result, BadgeAddress::new(base, repository, *platform, branch));
    let patience = Duration::from_secs(options.retry_for);
    let retrying = |reason: &str, wait: Duration| {
        terminal::note(&format!("{reason}; trying again in {:.1} s", wait.as_secs_f64()));
    };
    let service = Service { base, key, patience, clock: Clock::System };
    match send::send(&service, result, retrying).await {
        Ok(accepted) => {
            announcement.accepted = true;
            announcement.test_result_id = Some(accepted.test_result_id);
        }
        Err(error) => announcement.error = Some(error.to_string()),
    }
    if let Err(error) = announcement.write(&runner_files()) {
        says.warning(&format!("the runner cannot be told: {error}"));
    }
    if options.json {
        #[expect(clippy::expect_used, reason = "strings, booleans and integers are always JSON")]
        let json = serde_json::to_string(&announcement).expect("a flat object");
        terminal::print(&format!("{json}\n"));
    }
    match &announcement.error {
        None => {
            if !options.json {
                terminal::print(&told(&announcement, result));
            }
            ExitCode::SUCCESS
        }
        Some(error) if options.fail_on_error => {
            says.error(error);
            ExitCode::FAILURE
        }
        Some(error) => {
            says.warning(error);
            ExitCode::SUCCESS
        }
    }
}

/// What a person reads when all is well. The Markdown is all that goes to a pipe.
fn told(announcement: &Announcement, result: &RunResult) -> String {
    let markdown = &announcement.markdown;
    if !io::stdout().is_terminal() {
        return format!("{markdown}\n");
    }
    let RunResult { repository, platform, branch, .. } = result;
    let counts = announcement.counts();
    format!(
        "accepted: {counts}, of {repository}, {branch} on {platform}\n\nThe badge, for a README:\n\n{markdown}\n"
    )
}

/// The request, as `--dry-run` shows it.
fn shown(base: &str, result: &RunResult, key: Option<&HmacKey>) -> String {
    let key_or_any = key.cloned().or_else(|| HmacKey::new(*b"there is no key."));
    let Some(signing) = key_or_any else { return String::new() };
    let signed = result.sign(&signing, Clock::System.now());
    let signature = if key.is_some() { signed.signature } else { "there is no key to sign with".to_owned() };
    format!(
        "POST {base}/tests/results\nContent-Type: application/json\nX-Repo-Secret: {}\nX-Signature: {signature}\n\n{}\n",
        signed.repository, signed.body
    )
}

/// The address of the service, without a slash at the end.
fn base(url: &str) -> Result<String, Unusable> {
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let parsed =
        parsed.filter(|url| url.query().is_none() && url.fragment().is_none() && url.password().is_none());
    let parsed = parsed.ok_or_else(|| Unusable::Url(url.to_owned()))?;
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}

/// The key, without the line break at the end that files and pasted secrets have.
fn key(file: Option<&Path>) -> Result<Option<HmacKey>, Unusable> {
    let text = match file {
        Some(path) => Some(
            fs::read_to_string(path)
                .map_err(|source| Unusable::KeyFile { path: path.display().to_string(), source })?,
        ),
        None => environment::variable("BADGESMITH_KEY"),
    };
    let text =
        text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()).filter(|text| !text.is_empty());
    text.map(|text| HmacKey::new(text.into_bytes()).ok_or(Unusable::ShortKey)).transpose()
}

fn event(path: &Path) -> Option<String> {
    let size = fs::metadata(path).ok()?.len();
    (size <= EVENT_BYTES_MAX).then(|| fs::read_to_string(path).ok()).flatten()
}

fn runner_files() -> RunnerFiles {
    RunnerFiles {
        output: environment::variable("GITHUB_OUTPUT").map(Into::into),
        step_summary: environment::variable("GITHUB_STEP_SUMMARY").map(Into::into),
    }
}

/// How messages are given: in GitHub Actions so that they show on the run's page.
struct Says {
    actions: bool,
}

impl Says {
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
