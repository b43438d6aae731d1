//! `badgesmith submit`: from reports to an accepted result.

mod annotator;
mod collect;
mod dry_run;
mod id_token;
mod key;
mod metadata;
mod options;
mod outcome;
mod output;
mod payload;
mod proof;
mod retire;
mod send;
mod slots;
mod submission_marker;
mod urls;

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_aws::env;
use badgesmith_domain::service_url::ServiceUrl;
use badgesmith_domain::test_result::{Conclusion, Outcome, Suite, TestRun};
use ci_env::{CiRun, NoSecretReason, Provider};
use serde::Serialize;

use self::annotator::Annotator;
use self::dry_run::DryRun;
use self::metadata::MetadataError;
pub(crate) use self::options::Options;
use self::outcome::{Decision, OutcomeError, RunOutcome, outcome};
use self::output::{NothingSent, RunnerFiles, SubmitOutput};
use self::proof::{NeedsKey, ProofError};
pub(crate) use self::proof::{NoProof, Proof, check_token, with_token_branch};
use self::retire::RetireError;
pub(crate) use self::send::{SendError, Service, client, send};
use self::slots::fetch_slots;
use self::submission_marker::SubmissionMarker;
use self::urls::{BadgeUrls, InvalidServiceUrl, is_plain_http};
pub(crate) use self::urls::{is_this_machine, parse_service_url};
use crate::terminal;

/// The event file of GitHub Actions usually has about ten kilobytes, but a push may have many commits.
const EVENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How long to wait for slots that only a notice needs.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a result could not be sent. Each message says what to do.
#[derive(Debug, thiserror::Error)]
enum SubmitError {
    #[error(transparent)]
    Outcome(#[from] OutcomeError),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error("no service URL: pass --url (`url` in the action), or set BADGESMITH_URL")]
    NoUrl,
    #[error(transparent)]
    Url(#[from] InvalidServiceUrl),
    #[error(transparent)]
    NoProof(#[from] NoProof),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    NeedsKey(#[from] NeedsKey),
    #[error(transparent)]
    Retire(#[from] RetireError),
    #[error(
        "this job already submitted a result for suite {0:?}, and a second one would replace it: submit all reports at \
         once, or pass a different --suite for each"
    )]
    AlreadySubmitted(Suite),
}

/// What to do, after all input has been checked.
enum Plan {
    Submit(Box<Submission>),
    /// Without a proof, it is a dry run.
    Retire(ServiceUrl, Box<TestRun>, Option<Proof>),
    DryRun(DryRun),
    /// Send nothing, for a reason that is not a failure.
    Skip(String),
}

struct Submission {
    service: ServiceUrl,
    test_run: TestRun,
    /// How many of the passed tests were retried.
    retried: u64,
    proof: Proof,
    /// Whether the job runs for a fork, which the service need not accept.
    is_for_fork: bool,
    marker: Option<SubmissionMarker>,
}

pub(crate) async fn run(options: &Options) -> ExitCode {
    let ci_run = ci_run();
    let annotator = Annotator { github_actions: ci_run.provider == Provider::GitHubActions };
    let done = match plan(options, &ci_run) {
        Ok(Plan::Submit(submission)) => Ok(submit(options, &annotator, &submission).await),
        Ok(Plan::Retire(service, test_run, proof)) => {
            retire_suites(options, &annotator, &service, &test_run, proof.as_ref()).await
        }
        Ok(Plan::DryRun(request)) => {
            annotator.print(&render(&request, options.json));
            Ok(ExitCode::SUCCESS)
        }
        Ok(Plan::Skip(reason)) => {
            skip(options, &annotator, reason);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(error),
    };
    done.unwrap_or_else(|error| {
        annotator.error(&error.to_string());
        if options.json {
            annotator.print(&terminal::json(&NothingSent::error(error.to_string())));
        }
        ExitCode::from(2)
    })
}

/// The run that the environment describes.
pub(crate) fn ci_run() -> CiRun {
    ci_env::detect(env::optional, read_event)
}

fn skip(options: &Options, annotator: &Annotator, reason: String) {
    annotator.notice(&format!("nothing was submitted: {reason}"));
    if options.json {
        annotator.print(&terminal::json(&NothingSent::skipped(reason)));
    }
}

fn plan(options: &Options, ci_run: &CiRun) -> Result<Plan, SubmitError> {
    let proof = Proof::find(options.key_file.as_deref(), ci_run.provider)?;
    let url = options.url.as_deref().filter(|url| !url.is_empty());
    let is_configured = match &proof {
        Some(Proof::Key(_)) => true,
        Some(Proof::IdToken(_)) => url.is_some(),
        None => false,
    };
    // A job that cannot have a key is skipped before anything else is checked.
    if !is_configured
        && !options.dry_run
        && let Some(reason) = ci_run.no_secret_reason.filter(|reason| reason.is_expected())
    {
        return Ok(Plan::Skip(reason.to_string()));
    }
    let service = parse_service_url(url.ok_or(SubmitError::NoUrl)?)?;
    let has_token = matches!(proof, Some(Proof::IdToken(_)));
    let ci_run = &if has_token { with_token_branch(ci_run) } else { ci_run.clone() };
    let RunOutcome { outcome, retried, failures } = match outcome(options)? {
        Decision::Submit(ended) => ended,
        Decision::Skip(reason) => return Ok(Plan::Skip(reason.to_owned())),
    };
    let test_run = match metadata::resolve(options, ci_run, outcome, Clock::System.now()) {
        Err(MetadataError::NothingToSubmit(reason)) => return Ok(Plan::Skip(reason.to_string())),
        test_run => TestRun { failures, ..test_run? },
    };
    if has_token {
        check_token(ci_run, &test_run)?;
    }
    if options.dry_run && options.retire {
        return Ok(Plan::Retire(service, Box::new(test_run), None));
    }
    if options.dry_run {
        return Ok(Plan::DryRun(DryRun::new(&service, &test_run, proof.as_ref(), Clock::System.now())));
    }
    let proof = proof.ok_or_else(|| NoProof::new(ci_run, test_run.repository.to_string()))?;
    if options.retire {
        return Ok(Plan::Retire(service, Box::new(test_run), Some(proof)));
    }
    let marker = SubmissionMarker::new(options, ci_run, &test_run);
    match &test_run.suite {
        Some(suite) if marker.as_ref().is_some_and(SubmissionMarker::exists) => {
            Err(SubmitError::AlreadySubmitted(suite.clone()))
        }
        Some(_) | None => {
            let is_for_fork = ci_run.no_secret_reason == Some(NoSecretReason::Fork);
            Ok(Plan::Submit(Box::new(Submission { service, test_run, retried, proof, is_for_fork, marker })))
        }
    }
}

async fn submit(options: &Options, annotator: &Annotator, submission: &Submission) -> ExitCode {
    let Submission { service, test_run, retried, proof, is_for_fork, marker } = submission;
    let TestRun { repository, platform, branch, outcome: reported, .. } = test_run;
    if is_plain_http(service) {
        annotator.warning(&format!(
            "{service} is not encrypted: anybody in between can replace its answers; use https"
        ));
    }
    let sender = sender(options, service, proof);
    let (suggests_retiring, outcome) =
        tokio::join!(should_suggest_retiring_unnamed(service, test_run), send(&sender, test_run, note_retry));
    if suggests_retiring {
        annotator.notice(
            "results without a suite still count on this branch; if no job sends them anymore, retire them with: \
             badgesmith submit --retire --suite ''",
        );
    }
    if let Err(SendError::TokenRejected { .. }) = &outcome
        && *is_for_fork
    {
        skip(
            options,
            annotator,
            "this is a build of a fork, and the service does not accept its token".to_owned(),
        );
        return ExitCode::SUCCESS;
    }
    let urls = BadgeUrls::new(service, repository, branch);
    let output = SubmitOutput::new(test_run, *retried, urls, &outcome);
    if let Err(error) = output.write(&runner_files()) {
        annotator.warning(&format!("failed to write the outputs and the summary of this step: {error}"));
    }
    if outcome.is_ok() {
        if let Some(Err(error)) = marker.as_ref().map(SubmissionMarker::create) {
            terminal::note(&format!(
                "failed to create the marker file of this job: {error}; a second submission would replace this result"
            ));
        }
        if !options.json {
            let suite = test_run.suite.as_ref().map(|suite| format!(", suite {suite}")).unwrap_or_default();
            terminal::note(&format!(
                "accepted: {} for {repository}, {branch} on {platform}{suite}; badge for the README:",
                describe(*reported)
            ));
        }
    }
    if outcome.is_ok() || options.json {
        annotator.print(&render(&output, options.json));
    }
    exit_code(options, annotator, outcome.map(drop))
}

/// Whether `run` is the first result of its suite on a branch where results without a suite still count. False if the
/// service does not respond.
async fn should_suggest_retiring_unnamed(service: &ServiceUrl, run: &TestRun) -> bool {
    if run.suite.is_none() {
        return false;
    }
    let slots = fetch_slots(service, &run.repository, &run.branch, NOTICE_TIMEOUT).await.unwrap_or_default();
    slots.iter().any(|slot| slot.suite.is_none() && slot.is_live())
        && !slots.iter().any(|slot| slot.suite == run.suite && slot.platform == run.platform)
}

async fn retire_suites(
    options: &Options,
    annotator: &Annotator,
    service: &ServiceUrl,
    run: &TestRun,
    proof: Option<&Proof>,
) -> Result<ExitCode, SubmitError> {
    let slots = match retire::select(options, service, run).await {
        Err(RetireError::Slots(error)) => return Ok(exit_code(options, annotator, Err(error))),
        slots => slots?,
    };
    if slots.is_empty() {
        skip(options, annotator, "nothing is left to retire".to_owned());
        return Ok(ExitCode::SUCCESS);
    }
    let sender = proof.map(|proof| sender(options, service, proof));
    let (output, outcome) = retire::retire(sender.as_ref(), run, slots).await;
    if let Err(error) = runner_files().append_summary(&output.step_summary()) {
        annotator.warning(&format!("failed to write the summary of this step: {error}"));
    }
    annotator.print(&render(&output, options.json));
    Ok(exit_code(options, annotator, outcome))
}

fn sender<'a>(options: &Options, url: &'a ServiceUrl, proof: &'a Proof) -> Service<'a> {
    let retry_for = options.retry_for.map_or_else(|| default_retry_for(proof), Duration::from_secs);
    Service { url, proof, retry_for, clock: Clock::System }
}

/// The refresher fetches new keys of a CI system within 5 minutes, and ingest-api reads them within another one.
fn default_retry_for(proof: &Proof) -> Duration {
    match proof {
        Proof::Key(_) => Duration::from_mins(2),
        Proof::IdToken(_) => Duration::from_mins(7),
    }
}

pub(crate) fn note_retry(reason: &str, wait: Duration) {
    terminal::note(&format!("{reason}; retrying in {:.1} s", wait.as_secs_f64()));
}

/// An undelivered result fails the job only with `--fail-on-error`.
fn exit_code(options: &Options, annotator: &Annotator, outcome: Result<(), impl Display>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
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
        Some(Conclusion::Success) if counts.total() == 0 => "success without tests".to_owned(),
        Some(Conclusion::Failure) if counts.total() == 0 => "run failed".to_owned(),
        Some(Conclusion::Failure) if counts.failed() == 0 => format!("{counts}, run failed"),
        Some(_) | None => counts.to_string(),
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
