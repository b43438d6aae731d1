//! Whose result it is, of what, and of which run: options first, then the CI system, then git.

use std::fmt::Display;
use std::process::{Command, Stdio};
use std::str::FromStr;

use badgesmith_domain::ids::{Branch, ParseError, Repository};
use badgesmith_domain::test_result::{Commit, Counts};

use super::options::Options;
use super::result::RunResult;
use ci_env::{self, Absent, Found, Run};

/// Why there is no result to send.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// A run that has nothing to report, in order.
    #[error("{0}: there is no badge of it, and nothing is sent")]
    NothingToReport(Absent),
    /// Something is not known.
    #[error("{reason}: name {what} with {option}")]
    Missing {
        /// What.
        what: &'static str,
        /// How to tell.
        option: &'static str,
        /// Why it is not known.
        reason: String,
    },
    /// Something is not as it should be.
    #[error("{option}: {value:?} is not {expected}")]
    Invalid {
        /// How to tell it otherwise.
        option: &'static str,
        /// What it is.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// The result of the run that `options` and `run` describe.
///
/// # Errors
/// [`RunError`], which names the option that helps.
pub(crate) fn result(options: &Options, run: &Run, counts: Counts) -> Result<RunResult, RunError> {
    let repository =
        known("the repository", "--repo", options.repo.as_deref(), &run.repository, repository_of_git)?;
    let branch = known("the branch", "--branch", options.branch.as_deref(), &run.branch, branch_of_git)?;
    let run_id = option_or("--run-id", options.run_id.as_deref(), run.run_id.as_ref())?;
    let run_id = run_id.ok_or_else(|| missing("the run", "--run-id", &"the CI system does not say"))?;
    let platform = match option_or("--platform", options.platform.as_deref(), run.platform.as_ref())? {
        Some(platform) => platform,
        None => parse("--platform", std::env::consts::OS)?,
    };
    let run_attempt = options.run_attempt.map(|attempt| attempt.to_string());
    let run_attempt = option_or("--run-attempt", run_attempt.as_deref(), run.run_attempt.as_ref())?;
    let commit = option_or("--commit", options.commit.as_deref(), run.commit.as_ref())?;
    Ok(RunResult {
        repository,
        platform,
        branch,
        counts,
        run_id,
        run_attempt: run_attempt.unwrap_or_default(),
        commit: commit.or_else(commit_of_git),
        run_url: option_or("--run-url", options.run_url.as_deref(), run.run_url.as_ref())?,
    })
}

fn missing(what: &'static str, option: &'static str, reason: &dyn Display) -> RunError {
    RunError::Missing { what, option, reason: reason.to_string() }
}

fn parse<T: FromStr<Err = ParseError>>(option: &'static str, value: &str) -> Result<T, RunError> {
    value.parse().map_err(|ParseError { expected }| RunError::Invalid {
        option,
        value: value.to_owned(),
        expected,
    })
}

/// An option's value, else what the CI system says.
fn option_or<T: Clone + FromStr<Err = ParseError>>(
    option: &'static str,
    value: Option<&str>,
    said: Option<&T>,
) -> Result<Option<T>, RunError> {
    value.map_or_else(|| Ok(said.cloned()), |value| parse(option, value).map(Some))
}

/// The same of what there must be; where the CI system does not say, git may know.
fn known<T: Clone + FromStr<Err = ParseError>>(
    what: &'static str,
    option: &'static str,
    value: Option<&str>,
    found: &Found<T>,
    git: fn() -> Option<T>,
) -> Result<T, RunError> {
    match (value, found) {
        (Some(value), _) => parse(option, value),
        (None, Ok(value)) => Ok(value.clone()),
        (None, Err(absent)) if absent.is_expected() => Err(RunError::NothingToReport(absent.clone())),
        (None, Err(absent)) => {
            absent.may_ask_git().then(git).flatten().ok_or_else(|| missing(what, option, absent))
        }
    }
}

fn repository_of_git() -> Option<Repository> {
    // The URL may hold a password: it is read, and never shown.
    ci_env::repository_of(&git(&["remote", "get-url", "origin"])?).ok()
}

fn branch_of_git() -> Option<Branch> {
    git(&["branch", "--show-current"])?.parse().ok()
}

fn commit_of_git() -> Option<Commit> {
    git(&["rev-parse", "--verify", "HEAD"])?.parse().ok()
}

/// What git answers, if it is there and this is a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !answer.is_empty()).then_some(answer)
}
