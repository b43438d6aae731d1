//! Reads how a CI system describes the run of a job: repository, branch, commit, run and platform.
//!
//! ```
//! use std::collections::HashMap;
//!
//! use ci_env::{Provider, detect};
//!
//! let variables = HashMap::from([
//!     ("BUILDKITE", "true"),
//!     ("BUILDKITE_REPO", "git@github.com:acme/kit.git"),
//!     ("BUILDKITE_BRANCH", "main"),
//! ]);
//! let run = detect(|name| Some((*variables.get(name)?).to_owned()), |_| None);
//! assert_eq!(run.provider, Provider::Buildkite);
//! assert_eq!(run.repository?.to_string(), "acme/kit");
//! assert_eq!(run.branch?.as_str(), "main");
//! # Ok::<(), ci_env::MissingReason>(())
//! ```
//!
//! The crate does no I/O: variables and files come from closures. Values are untrusted text, branches of forks above
//! all; they are passed on and compared, never interpreted. A value that BadgeSmith would reject counts as absent: for
//! the repository and the branch with the reason, for all others as `None`.
//!
//! These rules hold for every CI system; the rules of each, with their sources, are in its module:
//! - **A pull request** counts for its source branch and that branch's last commit, even where CI tests a
//!   merge with the target.
//! - **The branch of a fork** is `OWNER:BRANCH`. Git forbids `:` in names, so a fork's `main` is never confused with
//!   the repository's own, even where builds of forks have the key. If the owner is unknown, it is `pull/NUMBER`.
//! - **A tag or a merge queue** has no branch that a badge could show: see [`MissingReason::is_expected`].
//! - **The jobs of one run** on one platform (a matrix over versions) share branch, platform and run ID. Their
//!   names differ, where the CI system provides them: see [`CiRun::job`].

mod appveyor;
mod azure;
mod bitbucket;
mod branches;
mod buildkite;
mod circle;
mod drone;
mod environment;
mod git_url;
mod github;
mod gitlab;
mod jenkins;
mod job;
mod provider;
mod run;
#[cfg(test)]
mod table;
mod teamcity;
#[cfg(test)]
mod testing;
mod travis;
mod woodpecker;

use std::path::Path;

use environment::Environment;
pub use git_url::repository_from_url;
pub use provider::Provider;
pub use run::{CiRun, MissingReason, NoSecretReason};

/// Detects the CI system and reads its description of the run.
///
/// `variable` returns the value of an environment variable, for example `|name| std::env::var(name).ok()`.
/// `read_file` returns the content of a file, for example `|path| std::fs::read_to_string(path).ok()`; GitHub Actions
/// and `TeamCity` describe part of the run in files whose paths are in variables.
///
/// The branch of a pull request from a fork has the owner of the fork:
///
/// ```
/// use ci_env::{NoSecretReason, detect};
///
/// let variable = |name: &str| {
///     let value = match name {
///         "GITHUB_ACTIONS" => "true",
///         "GITHUB_REPOSITORY" => "acme/kit",
///         "GITHUB_EVENT_NAME" => "pull_request",
///         "GITHUB_EVENT_PATH" => "/event.json",
///         _ => return None,
///     };
///     Some(value.to_owned())
/// };
/// let event = r#"{"pull_request":{"head":{"ref":"main","repo":{"full_name":"mona/kit"}}}}"#;
/// let run = detect(variable, |_| Some(event.to_owned()));
/// assert_eq!(run.branch?.as_str(), "mona:main");
/// assert_eq!(run.no_secret_reason, Some(NoSecretReason::Fork));
/// # Ok::<(), ci_env::MissingReason>(())
/// ```
pub fn detect(
    variable: impl Fn(&str) -> Option<String>,
    read_file: impl Fn(&Path) -> Option<String>,
) -> CiRun {
    let environment = Environment { variable: &variable, read_file: &read_file };
    let run = Provider::detect(&environment).run(&environment);
    CiRun { job: job::name(&environment, run.provider), job_id: job::id(&environment, run.provider), ..run }
}

#[cfg(test)]
mod tests {
    use badgesmith_domain::ids::Branch;

    use crate::testing::check;

    #[test]
    fn nothing_is_known_outside_ci() {
        check(
            "HOME=/home/mona\nCI=\nGITHUB_ACTIONS=",
            "",
            "Local\nrepository ! no known CI system was detected\nbranch ! no known CI system was detected",
        );
    }

    #[test]
    fn invalid_values_are_left_out_or_explained() {
        check(
            "BUILDKITE=true\nBUILDKITE_REPO=git@github.com:acme/kit.git\nBUILDKITE_BRANCH=a//b\n\
             BUILDKITE_COMMIT=HEAD\nBUILDKITE_BUILD_ID=a b\nBUILDKITE_RETRY_COUNT=9999\n\
             BUILDKITE_BUILD_URL=http://ci.test",
            "",
            &format!("Buildkite\nrepository acme/kit\nbranch ! \"a//b\" is not {}", Branch::EXPECTED),
        );
    }

    #[test]
    fn a_ci_system_that_jenkins_started_is_detected() {
        check(
            "JENKINS_URL=https://ci.test/\nBUILDKITE=true\nBUILDKITE_REPO=git@github.com:acme/kit.git\n\
             BUILDKITE_BRANCH=main",
            "",
            "Buildkite\nrepository acme/kit\nbranch main",
        );
    }
}
