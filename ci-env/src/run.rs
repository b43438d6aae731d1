//! A CI run, and why parts of it may be missing.

use std::str::FromStr;

use badgesmith_domain::id_token::Job;
use badgesmith_domain::ids::{Branch, ParseError, Platform, Repository};
use badgesmith_domain::test_result::{Commit, HttpsUrl, RunAttempt, RunId};

use crate::provider::Provider;

/// A run of a CI system, as its variables describe it to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiRun {
    pub provider: Provider,
    /// The repository that is built.
    pub repository: Result<Repository, MissingReason>,
    /// The branch that is built; `OWNER:BRANCH` for a fork.
    pub branch: Result<Branch, MissingReason>,
    /// The commit that is built; for a pull request its last commit, not the merge with the target.
    pub commit: Option<Commit>,
    /// The same for all jobs of a run, where the CI system has such an ID.
    pub run_id: Option<RunId>,
    /// The attempt of the run or the job, from 1.
    pub run_attempt: Option<RunAttempt>,
    /// The page of the job, or of the run if jobs have no page.
    pub run_url: Option<HttpsUrl>,
    /// The name of the job, different from those of the other jobs of the run.
    pub job: Option<String>,
    /// Identifies this execution of the job: another job, or another attempt, has a different ID. Jobs with different
    /// names may share it.
    pub job_id: Option<String>,
    /// The repository's default branch.
    pub default_branch: Option<Branch>,
    /// The platform of this job. Other jobs of the run may have a different one.
    pub platform: Option<Platform>,
    /// Why the job may have no secrets. Meaningless for a job that has them.
    pub no_secret_reason: Option<NoSecretReason>,
    /// What started the job, as its OIDC tokens say. `None` if the CI system has no such tokens.
    pub token_job: Option<Job>,
}

impl CiRun {
    pub(crate) fn new(
        provider: Provider,
        repository: Result<Repository, MissingReason>,
        branch: Result<String, MissingReason>,
    ) -> Self {
        Self {
            provider,
            repository,
            branch: branch.and_then(parse),
            commit: None,
            run_id: None,
            run_attempt: None,
            run_url: None,
            job: None,
            job_id: None,
            default_branch: None,
            platform: None,
            no_secret_reason: None,
            token_job: None,
        }
    }
}

/// Why a run has no repository or no branch. Displays as a sentence without a full stop.
///
/// ```
/// use ci_env::detect;
///
/// let variable = |name: &str| match name {
///     "CIRCLECI" => Some("true".to_owned()),
///     "CIRCLE_TAG" => Some("v1.0".to_owned()),
///     _ => None,
/// };
/// let reason = detect(variable, |_| None).branch.unwrap_err();
/// assert_eq!(reason.to_string(), r#"this is a build of the tag "v1.0""#);
/// assert!(reason.is_expected(), "the job has nothing to report");
/// ```
///
/// Names are displayed with `{:?}`, so that they cannot write control characters to a terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MissingReason {
    /// No CI system was detected; git may know.
    #[error("no known CI system was detected")]
    NoCiSystem,
    /// The CI system does not set this variable; git may know.
    #[error("{0} is not set")]
    Unset(&'static str),
    /// The run builds this tag.
    #[error("this is a build of the tag {0:?}")]
    Tag(String),
    /// The run builds the temporary branch of a merge queue.
    #[error("this is a build of a merge queue, whose branch is temporary")]
    MergeQueue,
    /// The run builds this reference.
    #[error("{0:?} is not a branch")]
    NotABranch(String),
    /// The event is about a pull request or another run, and does not name its branch. The job's own branch is
    /// a different one, such as the default branch.
    #[error("the event does not name the branch")]
    NotInEvent,
    /// BadgeSmith would reject the value. A repository with more or fewer than two parts is never guessed from
    /// its parts, because its key is stored under the name that its operator chose.
    #[error("{value:?} is not {expected}")]
    Invalid {
        /// As the CI system sets it.
        value: String,
        /// What a valid value looks like, as a noun phrase.
        expected: &'static str,
    },
}

impl MissingReason {
    /// Whether a job without a branch is normal. A workflow that also runs for tags or in a merge queue has
    /// nothing to report there, and should not fail.
    pub fn is_expected(&self) -> bool {
        matches!(self, Self::Tag(_) | Self::MergeQueue)
    }

    /// Whether git may know what the CI system does not set.
    pub fn may_ask_git(&self) -> bool {
        matches!(self, Self::NoCiSystem | Self::Unset(_))
    }
}

/// Why a job may have no secrets. Displays as a sentence without a full stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSecretReason {
    /// The code comes from a fork, or the build runs in one.
    #[error("builds of forks get no secrets")]
    Fork,
    /// The CI system gives secrets to pull requests only if the repository's owner allows it.
    #[error("pull requests get no secrets by default")]
    PullRequest,
    /// Dependabot started the run.
    #[error("runs started by Dependabot get only the secrets of Dependabot")]
    Dependabot,
    /// GitLab's protected variables are only for protected branches.
    #[error("unprotected branches get no protected variables")]
    Unprotected,
}

impl NoSecretReason {
    /// Whether contributors get no secrets even in a well-configured repository, so that the job should not fail.
    pub fn is_expected(self) -> bool {
        matches!(self, Self::Fork | Self::PullRequest | Self::Dependabot)
    }
}

/// Parses a value as BadgeSmith does.
pub(crate) fn parse<T: FromStr<Err = ParseError>>(value: String) -> Result<T, MissingReason> {
    value.parse().map_err(|ParseError { expected }| MissingReason::Invalid { value, expected })
}
