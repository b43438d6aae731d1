//! The metadata of a result: from options, then from the CI system, then from git.

use std::process::{Command, Stdio};
use std::str::FromStr;

use badgesmith_domain::ids::{Branch, ParseError, Platform, Repository};
use badgesmith_domain::test_result::{Commit, Outcome, RunId, Suite, TestRun};
use badgesmith_domain::timestamp::Timestamp;
use ci_env::{CiRun, MissingReason, Provider};

use super::options::Options;
use crate::terminal;

/// Why there is no result to send.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetadataError {
    /// A run without a branch that a badge could show, such as a build of a tag; it is not a failure.
    #[error("{0}")]
    NothingToSubmit(MissingReason),
    /// All errors at once, so that the user can fix them in one step.
    #[error("{}", list(.0))]
    Values(Vec<ValueError>),
}

/// A value that is missing or invalid, with the option that helps.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValueError {
    #[error("failed to determine the {what}: {reason}; pass {option}")]
    Missing { what: &'static str, reason: String, option: &'static str },
    #[error("invalid {option}: {value:?} is not {expected}")]
    Invalid { option: &'static str, value: String, expected: &'static str },
}

/// The message of a single error, or a numbered list of several, in one line.
fn list(errors: &[ValueError]) -> String {
    if let [error] = errors {
        return error.to_string();
    }
    let numbered = errors.iter().enumerate().map(|(index, error)| format!(" ({}) {error}", index + 1));
    format!("{} values are missing or invalid:{}", errors.len(), numbered.collect::<String>())
}

/// The value; `None` if it is an error, which is added to `errors`.
fn keep<T>(errors: &mut Vec<ValueError>, value: Result<T, ValueError>) -> Option<T> {
    value.map_err(|error| errors.push(error)).ok()
}

/// Resolves the metadata of the run that `options` and `ci_run` describe.
pub(crate) fn resolve(
    options: &Options,
    ci_run: &CiRun,
    outcome: Outcome,
    now: Timestamp,
) -> Result<TestRun, MetadataError> {
    if options.branch.is_none()
        && let Err(reason) = &ci_run.branch
        && reason.is_expected()
    {
        return Err(MetadataError::NothingToSubmit(reason.clone()));
    }
    let mut errors = Vec::new();
    let repository =
        required("repository", "--repo", options.repo.as_deref(), &ci_run.repository, git_repository);
    let repository = keep(&mut errors, repository);
    // Some CI variables have the full reference.
    let branch = options.branch.as_deref().map(|branch| branch.strip_prefix("refs/heads/").unwrap_or(branch));
    let branch = required("branch", "--branch", branch, &ci_run.branch, git_branch);
    let branch = keep(&mut errors, branch);
    let platform = keep(&mut errors, platform(options, ci_run));
    let run_id = keep(&mut errors, run_id(options, ci_run, outcome));
    let run_attempt = optional("--run-attempt", options.run_attempt.as_deref(), ci_run.run_attempt.as_ref());
    let run_attempt = keep(&mut errors, run_attempt);
    let commit = optional("--commit", options.commit.as_deref(), ci_run.commit.as_ref());
    let commit = keep(&mut errors, commit);
    let run_url = optional("--run-url", options.run_url.as_deref(), ci_run.run_url.as_ref());
    let run_url = keep(&mut errors, run_url);
    let suite = match suite(options, ci_run) {
        Err(missing) if options.dry_run && errors.is_empty() => dry_run_without_suite(missing),
        suite => suite,
    };
    let suite = keep(&mut errors, suite);
    let (
        Some(repository),
        Some(branch),
        Some(platform),
        Some(suite),
        Some(run_id),
        Some(run_attempt),
        Some(commit),
        Some(workflow_run_url),
    ) = (repository, branch, platform, suite, run_id, run_attempt, commit, run_url)
    else {
        return Err(MetadataError::Values(errors));
    };
    Ok(TestRun {
        suite,
        run_attempt: run_attempt.unwrap_or_default(),
        commit: commit.or_else(git_commit),
        workflow_run_url,
        default_branch: ci_run.default_branch.clone(),
        ..TestRun::new(repository, platform, branch, outcome, now, run_id)
    })
}

fn platform(options: &Options, ci_run: &CiRun) -> Result<Platform, ValueError> {
    match optional("--platform", options.platform.as_deref(), ci_run.platform.as_ref())? {
        Some(platform) => Ok(platform),
        None => parse("--platform", std::env::consts::OS),
    }
}

/// A retirement is not a run, and needs no ID.
fn run_id(options: &Options, ci_run: &CiRun, outcome: Outcome) -> Result<RunId, ValueError> {
    let retirement = outcome.is_retired().then_some("retirement");
    let run_id = optional("--run-id", options.run_id.as_deref().or(retirement), ci_run.run_id.as_ref())?;
    run_id.ok_or_else(|| {
        let reason = "no CI system provides one".to_owned();
        ValueError::Missing { what: "run ID", reason, option: "--run-id" }
    })
}

/// The suite from the option, where an empty one is the unnamed suite, or else the job's.
fn suite(options: &Options, ci_run: &CiRun) -> Result<Option<Suite>, ValueError> {
    // A retirement takes its suites from the service.
    if options.retire {
        return Ok(None);
    }
    match (options.suite.as_deref(), &ci_run.job, ci_run.provider) {
        (Some(""), ..) | (None, None, Provider::Local) => Ok(None),
        (Some(suite), ..) => parse("--suite", suite).map(Some),
        (None, Some(job), _) => Ok(Suite::from_job_name(job)),
        (None, None, Provider::GitHubActions | Provider::Forgejo | Provider::Gitea) => {
            Err(ValueError::Missing {
                what: "suite",
                reason: "only the action can see the matrix of a job".to_owned(),
                option: "--suite \"$GITHUB_JOB\", with the values of the matrix if there is one, and with \
                         \"$GITHUB_WORKFLOW\" if several workflows have such a job",
            })
        }
        (None, None, Provider::Woodpecker) => Err(ValueError::Missing {
            what: "suite",
            reason: "Woodpecker does not name the matrix of a workflow".to_owned(),
            option: "--suite \"$CI_WORKFLOW_NAME\", with the values of the matrix if there is one",
        }),
        (None, None, provider) => Err(ValueError::Missing {
            what: "suite",
            reason: format!("{provider} does not name the job"),
            option: "--suite NAME, different for each job",
        }),
    }
}

/// Jobs under one name would overwrite each other's results, but a dry run stores none.
fn dry_run_without_suite(error: ValueError) -> Result<Option<Suite>, ValueError> {
    if matches!(error, ValueError::Invalid { .. }) {
        return Err(error);
    }
    terminal::note(&format!("{error}; without it, only a dry run succeeds"));
    Ok(None)
}

fn parse<T: FromStr<Err = ParseError>>(option: &'static str, value: &str) -> Result<T, ValueError> {
    value.parse().map_err(|ParseError { expected }| ValueError::Invalid {
        option,
        value: value.to_owned(),
        expected,
    })
}

/// The value of an option, or else from the CI system.
fn optional<T: Clone + FromStr<Err = ParseError>>(
    option: &'static str,
    value: Option<&str>,
    from_ci: Option<&T>,
) -> Result<Option<T>, ValueError> {
    value.map_or_else(|| Ok(from_ci.cloned()), |value| parse(option, value).map(Some))
}

/// The value of an option, or else from the CI system, or else from git.
fn required<T: Clone + FromStr<Err = ParseError>>(
    what: &'static str,
    option: &'static str,
    value: Option<&str>,
    from_ci: &Result<T, MissingReason>,
    from_git: fn() -> Option<T>,
) -> Result<T, ValueError> {
    match (value, from_ci) {
        (Some(value), _) => parse(option, value),
        (None, Ok(value)) => Ok(value.clone()),
        (None, Err(reason)) => {
            let missing = || ValueError::Missing { what, reason: reason.to_string(), option };
            reason.may_ask_git().then(from_git).flatten().ok_or_else(missing)
        }
    }
}

fn git_repository() -> Option<Repository> {
    // The URL may contain a password, so it is never displayed.
    ci_env::repository_from_url(&git(&["remote", "get-url", "origin"])?).ok()
}

fn git_branch() -> Option<Branch> {
    git(&["branch", "--show-current"])?.parse().ok()
}

fn git_commit() -> Option<Commit> {
    git(&["rev-parse", "--verify", "HEAD"])?.parse().ok()
}

/// The output of a git command; None without git, or outside of a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
