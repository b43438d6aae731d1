//! `badgesmith submit`: from reports to an accepted result.

mod annotator;
mod collect;
mod dry_run;
mod key;
mod metadata;
mod options;
mod output;
mod payload;
mod send;
mod urls;

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::env;
use badgesmith_domain::signature::HmacKey;
use badgesmith_domain::test_result::{Conclusion, Counts, Outcome, TestRun};
use ci_env::{CiRun, Provider};
use serde::Serialize;

use self::annotator::Annotator;
use self::collect::{CollectError, checked, collect};
use self::dry_run::DryRun;
use self::key::KeyError;
pub(crate) use self::key::read_key;
use self::metadata::MetadataError;
pub(crate) use self::options::Options;
use self::output::{NothingSent, RunnerFiles, SubmitOutput};
pub(crate) use self::send::{Service, client, send};
use self::urls::{BadgeUrls, InvalidServiceUrl};
pub(crate) use self::urls::{ServiceUrl, is_this_machine};
use crate::terminal;

/// The event file of GitHub Actions usually has about ten kilobytes, but a push may have many commits.
const EVENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why a result could not be sent. Each message says what to do.
#[derive(Debug, thiserror::Error)]
enum SubmitError {
    #[error(transparent)]
    Collect(#[from] CollectError),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error("no service URL: pass --url or set BADGESMITH_URL")]
    NoUrl,
    #[error(transparent)]
    Url(#[from] InvalidServiceUrl),
    #[error("no key: set BADGESMITH_KEY to the key of {repository}, or pass --key-file{hint}")]
    NoKey { repository: String, hint: String },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("invalid --conclusion: {0:?} is not success, failure, cancelled or skipped")]
    Conclusion(String),
}

/// What to do, after all input has been checked.
enum Plan {
    Send(ServiceUrl, Box<TestRun>, HmacKey),
    DryRun(DryRun),
    /// Send nothing, for a reason that is not a failure.
    Skip(String),
}

pub(crate) async fn run(options: &Options) -> ExitCode {
    let ci_run = ci_env::detect(env::optional, read_event);
    let annotator = Annotator { github_actions: ci_run.provider == Provider::GitHubActions };
    match plan(options, &ci_run) {
        Ok(Plan::Send(service, test_run, key)) => {
            submit(options, &annotator, &service, &test_run, &key).await
        }
        Ok(Plan::DryRun(request)) => {
            annotator.print(&render(&request, options.json));
            ExitCode::SUCCESS
        }
        Ok(Plan::Skip(reason)) => {
            annotator.notice(&format!("nothing was submitted: {reason}"));
            if options.json {
                annotator.print(&terminal::json(&NothingSent::skipped(reason)));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            annotator.error(&error.to_string());
            if options.json {
                annotator.print(&terminal::json(&NothingSent::error(error.to_string())));
            }
            ExitCode::from(2)
        }
    }
}

fn plan(options: &Options, ci_run: &CiRun) -> Result<Plan, SubmitError> {
    let key = read_key(options.key_file.as_deref(), ci_run.provider)?;
    // A job that cannot have a key is skipped before anything else is checked.
    if key.is_none()
        && !options.dry_run
        && let Some(reason) = ci_run.no_secret_reason.filter(|reason| reason.is_expected())
    {
        return Ok(Plan::Skip(reason.to_string()));
    }
    let url = options.url.as_deref().filter(|url| !url.is_empty()).ok_or(SubmitError::NoUrl)?;
    let service = ServiceUrl::parse(url)?;
    let Some(outcome) = outcome(options)? else {
        return Ok(Plan::Skip("the run was cancelled".to_owned()));
    };
    let test_run = match metadata::resolve(options, ci_run, outcome, Clock::System.now()) {
        Err(MetadataError::NothingToSubmit(reason)) => return Ok(Plan::Skip(reason.to_string())),
        test_run => Box::new(test_run?),
    };
    if options.dry_run {
        return Ok(Plan::DryRun(DryRun::new(&service, &test_run, key.as_ref(), Clock::System.now())));
    }
    let key = key.ok_or_else(|| SubmitError::NoKey {
        repository: test_run.repository.to_string(),
        hint: ci_run.no_secret_reason.map(|reason| format!(" ({reason})")).unwrap_or_default(),
    })?;
    Ok(Plan::Send(service, test_run, key))
}

/// How the run ended; `None` if it was cancelled, which says nothing about the tests.
fn outcome(options: &Options) -> Result<Option<Outcome>, SubmitError> {
    if options.retire {
        return Ok(Some(Outcome::retired()));
    }
    let conclusion = match options.conclusion.as_deref() {
        None | Some("" | "skipped") => None,
        Some("cancelled") => return Ok(None),
        Some(conclusion) => {
            Some(conclusion.parse().map_err(|_| SubmitError::Conclusion(conclusion.to_owned()))?)
        }
    };
    let counts = match counts(options) {
        // A run that crashed may have left no report, or half of one.
        Err(error) if conclusion == Some(Conclusion::Failure) && error.is_about_a_report() => {
            terminal::note(&format!("{error}; submitting a failed run without counts"));
            Counts::NONE
        }
        counts => counts?,
    };
    let outcome = Outcome::new(counts, conclusion).or_else(|_| {
        terminal::note("ignored --conclusion success, because tests failed");
        Outcome::new(counts, None)
    });
    Ok(outcome.ok())
}

/// The counts from the options, or the sum of all reports.
fn counts(options: &Options) -> Result<Counts, CollectError> {
    let Some(passed) = options.passed else { return collect(&options.reports) };
    checked(test_reports::Counts {
        passed: passed.into(),
        failed: options.failed.into(),
        skipped: options.skipped.into(),
    })
}

async fn submit(
    options: &Options,
    annotator: &Annotator,
    service: &ServiceUrl,
    test_run: &TestRun,
    key: &HmacKey,
) -> ExitCode {
    let TestRun { repository, platform, branch, outcome: reported, .. } = test_run;
    let retrying = |reason: &str, wait: Duration| {
        terminal::note(&format!("{reason}; retrying in {:.1} s", wait.as_secs_f64()));
    };
    let retry_for = Duration::from_secs(options.retry_for);
    if service.is_plain_http() {
        annotator.warning(&format!(
            "{service} is not encrypted: anybody in between can replace its answers; use https"
        ));
    }
    let outcome =
        send(&Service { url: service, key, retry_for, clock: Clock::System }, test_run, retrying).await;
    let urls = BadgeUrls::new(service, repository, *platform, branch);
    let output = SubmitOutput::new(test_run, urls, &outcome);
    if let Err(error) = output.write(&runner_files()) {
        annotator.warning(&format!("failed to write the outputs and the summary of this step: {error}"));
    }
    if outcome.is_ok() && !options.json {
        let reported = describe(*reported);
        let suite = test_run.suite.as_ref().map(|suite| format!(", suite {suite}")).unwrap_or_default();
        terminal::note(&format!(
            "accepted: {reported} for {repository}, {branch} on {platform}{suite}; badge for the README:"
        ));
    }
    if outcome.is_ok() || options.json {
        annotator.print(&render(&output, options.json));
    }
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) if options.fail_on_error => {
            annotator.error(&error.to_string());
            ExitCode::FAILURE
        }
        Err(error) => {
            annotator.warning(&error.to_string());
            ExitCode::SUCCESS
        }
    }
}

fn describe(outcome: Outcome) -> String {
    let counts = outcome.counts();
    match outcome.conclusion() {
        None => "retirement".to_owned(),
        Some(Conclusion::Failure) if counts.failed() == 0 => format!("{counts}, run failed"),
        Some(_) => counts.to_string(),
    }
}

fn render(output: &(impl Serialize + Display), as_json: bool) -> String {
    if as_json { terminal::json(output) } else { format!("{output}\n") }
}

fn read_event(path: &Path) -> Option<String> {
    let size = fs::metadata(path).ok()?.len();
    (size <= EVENT_BYTES_MAX).then(|| fs::read_to_string(path).ok()).flatten()
}

fn runner_files() -> RunnerFiles {
    RunnerFiles {
        output: env::optional("GITHUB_OUTPUT").map(Into::into),
        step_summary: env::optional("GITHUB_STEP_SUMMARY").map(Into::into),
    }
}
