//! The metadata of a result: from options, then from the CI system, then from git.

use std::process::{Command, Stdio};
use std::str::FromStr;

use badgesmith_domain::ids::{Branch, ParseError, Repository};
use badgesmith_domain::test_result::{Commit, Outcome, Suite, TestRun};
use badgesmith_domain::timestamp::Timestamp;
use ci_env::{CiRun, MissingReason, Provider};

use super::options::Options;

/// Why there is no result to send. Names the option that helps.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetadataError {
    /// A run without a branch that a badge could show, such as a build of a tag; it is not a failure.
    #[error("{0}")]
    NothingToSubmit(MissingReason),
    #[error("failed to determine the {what}: {reason}; pass {option}")]
    Missing { what: &'static str, reason: String, option: &'static str },
    #[error("invalid {option}: {value:?} is not {expected}")]
    Invalid { option: &'static str, value: String, expected: &'static str },
}

/// Resolves the metadata of the run that `options` and `ci_run` describe.
pub(crate) fn resolve(
    options: &Options,
    ci_run: &CiRun,
    outcome: Outcome,
    now: Timestamp,
) -> Result<TestRun, MetadataError> {
    let repository =
        required("repository", "--repo", options.repo.as_deref(), &ci_run.repository, git_repository)?;
    let branch = required("branch", "--branch", options.branch.as_deref(), &ci_run.branch, git_branch)?;
    // A retirement is not a run.
    let retirement = outcome.is_retired().then_some("retirement");
    let run_id = optional("--run-id", options.run_id.as_deref().or(retirement), ci_run.run_id.as_ref())?
        .ok_or_else(|| {
            let reason = "no CI system provides one".to_owned();
            MetadataError::Missing { what: "run ID", reason, option: "--run-id" }
        })?;
    let platform = match optional("--platform", options.platform.as_deref(), ci_run.platform.as_ref())? {
        Some(platform) => platform,
        None => parse("--platform", std::env::consts::OS)?,
    };
    let attempt_option = options.run_attempt.map(|attempt| attempt.to_string());
    let run_attempt = optional("--run-attempt", attempt_option.as_deref(), ci_run.run_attempt.as_ref())?;
    let commit = optional("--commit", options.commit.as_deref(), ci_run.commit.as_ref())?;
    Ok(TestRun {
        repository,
        platform,
        branch,
        suite: suite(options, ci_run)?,
        outcome,
        timestamp: now,
        run_id,
        run_attempt: run_attempt.unwrap_or_default(),
        commit: commit.or_else(git_commit),
        url_html: None,
        workflow_run_url: optional("--run-url", options.run_url.as_deref(), ci_run.run_url.as_ref())?,
        default_branch: ci_run.default_branch.clone(),
        failures: Vec::new(),
    })
}

/// The suite from the option, where an empty one is the unnamed suite, or else the job's.
fn suite(options: &Options, ci_run: &CiRun) -> Result<Option<Suite>, MetadataError> {
    // A retirement takes its suites from the service.
    if options.retire {
        return Ok(None);
    }
    match (options.suite.as_deref(), &ci_run.job) {
        (Some(""), _) => Ok(None),
        (Some(suite), _) => parse("--suite", suite).map(Some),
        (None, Some(job)) => Ok(Suite::of_job(job)),
        (None, None) if ci_run.provider == Provider::Local => Ok(None),
        // Jobs under one name would overwrite each other's results.
        (None, None) if ci_run.provider == Provider::GitHubActions => Err(MetadataError::Missing {
            what: "suite",
            reason: "only the action knows the matrix of a job".to_owned(),
            option: "--suite \"$GITHUB_JOB\", with the values of the matrix if there is one",
        }),
        (None, None) => Err(MetadataError::Missing {
            what: "suite",
            reason: "the CI system does not name the job".to_owned(),
            option: "--suite NAME, different for each job",
        }),
    }
}

fn parse<T: FromStr<Err = ParseError>>(option: &'static str, value: &str) -> Result<T, MetadataError> {
    value.parse().map_err(|ParseError { expected }| MetadataError::Invalid {
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
) -> Result<Option<T>, MetadataError> {
    value.map_or_else(|| Ok(from_ci.cloned()), |value| parse(option, value).map(Some))
}

/// The value of an option, or else from the CI system, or else from git.
fn required<T: Clone + FromStr<Err = ParseError>>(
    what: &'static str,
    option: &'static str,
    value: Option<&str>,
    from_ci: &Result<T, MissingReason>,
    from_git: fn() -> Option<T>,
) -> Result<T, MetadataError> {
    match (value, from_ci) {
        (Some(value), _) => parse(option, value),
        (None, Ok(value)) => Ok(value.clone()),
        (None, Err(reason)) if reason.is_expected() => Err(MetadataError::NothingToSubmit(reason.clone())),
        (None, Err(reason)) => {
            let missing = || MetadataError::Missing { what, reason: reason.to_string(), option };
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
