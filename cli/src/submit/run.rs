//! Whose result it is, of what, and of which run: options first, then the CI system, then git.

use std::fmt::Display;
use std::process::{Command, Stdio};
use std::str::FromStr;

use badgesmith_shared::name::{Invalid, Platform};
use badgesmith_shared::test_result::{Counts, RunAttempt};

use super::options::Options;
use super::result::RunResult;
use crate::ci::{self, Absent, Found, Run};

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
    let repository = option_or(options.repo.as_ref(), &run.repository, repository_of_git)
        .map_err(|absent| missing("the repository", "--repo", &absent))?;
    let branch = match option_or(options.branch.as_ref(), &run.branch, branch_of_git) {
        Err(absent) if absent.is_expected() => return Err(RunError::NothingToReport(absent)),
        branch => branch.map_err(|absent| missing("the branch", "--branch", &absent))?,
    };
    let platform = options.platform.as_deref().or(run.platform).unwrap_or(std::env::consts::OS);
    let commit = options.commit.clone().or_else(|| run.commit.clone()).or_else(commit_of_git);
    let run_id = options.run_id.as_ref().or(run.run_id.as_ref());
    let run_id = run_id.ok_or_else(|| missing("the run", "--run-id", &"the CI system does not say"))?;
    let run_attempt = options.run_attempt.or(run.run_attempt.map(u64::from)).unwrap_or(1);
    let run_url = options.run_url.as_ref().or(run.run_url.as_ref());
    Ok(RunResult {
        repository: parse("--repo", &repository)?,
        platform: parse::<Platform>("--platform", platform)?,
        branch: parse("--branch", &branch)?,
        counts,
        run_id: parse("--run-id", run_id)?,
        run_attempt: RunAttempt::try_from(run_attempt).map_err(|Invalid { expected }| RunError::Invalid {
            option: "--run-attempt",
            value: run_attempt.to_string(),
            expected,
        })?,
        commit: commit.map(|commit| parse("--commit", &commit)).transpose()?,
        run_url: run_url.map(|url| parse("--run-url", url)).transpose()?,
    })
}

fn missing(what: &'static str, option: &'static str, reason: &dyn Display) -> RunError {
    RunError::Missing { what, option, reason: reason.to_string() }
}

fn parse<T: FromStr<Err = Invalid>>(option: &'static str, value: &str) -> Result<T, RunError> {
    value.parse().map_err(|Invalid { expected }| RunError::Invalid {
        option,
        value: value.to_owned(),
        expected,
    })
}

/// An option's value, else what the CI system says, else what git knows where the CI system does not.
fn option_or(option: Option<&String>, found: &Found, git: fn() -> Option<String>) -> Found {
    match (option, found) {
        (Some(value), _) => Ok(value.clone()),
        (None, Err(absent)) if absent.may_ask_git() => git().ok_or_else(|| absent.clone()),
        (None, found) => found.clone(),
    }
}

fn repository_of_git() -> Option<String> {
    // The URL may hold a password: it is read, and never shown.
    ci::repository_of(&git(&["remote", "get-url", "origin"])?).ok()
}

fn branch_of_git() -> Option<String> {
    git(&["branch", "--show-current"])
}

fn commit_of_git() -> Option<String> {
    git(&["rev-parse", "--verify", "HEAD"])
}

/// What git answers, if it is there and this is a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !answer.is_empty()).then_some(answer)
}
