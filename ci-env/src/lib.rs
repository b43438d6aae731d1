//! What a CI system tells a job about itself, in the terms of a submission.
//!
//! Pure: variables and files come in as closures. Values are strangers' text, branches of forks above
//! all: they are passed on and compared, never interpreted. What the service would refuse is no value:
//! commit, run, attempt, address and platform are left out then; repository and branch say why they are absent.
//!
//! What holds for every provider:
//! - **A pull request** counts for its source branch and that branch's last commit, also where CI tests
//!   a merge with the target.
//! - **A fork's branch** is `OWNER:BRANCH`. Git forbids `:` in names, so that a fork's `main` can never
//!   be shown as ours, even where fork builds have the key.
//! - **A tag or a merge queue** has no branch that a badge could be of: see [`Absent::is_expected`].
//! - **Jobs of one run** on one platform (a matrix over versions) have the same branch, platform and
//!   run: all are kept, told apart by nonce and often by address, and the badge shows the latest. Add
//!   their counts up first to show all.

mod azure;
mod buildkite;
mod circle;
mod git_url;
mod github;
mod gitlab;
mod jenkins;
#[cfg(test)]
mod testing;

use std::path::Path;
use std::str::FromStr;

use badgesmith_domain::ids::{Branch, ParseError, Platform, Repository};
use badgesmith_domain::test_result::{Commit, HttpsUrl, RunAttempt, RunId};

pub use git_url::repository_of;

/// A CI system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Azure Pipelines, `TF_BUILD`.
    AzurePipelines,
    /// Buildkite, `BUILDKITE`.
    Buildkite,
    /// `CircleCI`, `CIRCLECI`.
    CircleCi,
    /// GitHub Actions, `GITHUB_ACTIONS`.
    GitHubActions,
    /// GitLab CI/CD, `GITLAB_CI`.
    GitLab,
    /// Jenkins, `JENKINS_URL` or `JENKINS_HOME`.
    Jenkins,
    /// None of these: a developer's machine, or a CI system that is not known here.
    Local,
}

/// A value, or why there is none.
pub type Found<T> = Result<T, Absent>;

/// Why a run has no repository or branch. Displays as a fragment that can follow "no branch: ".
///
/// Names are shown as Rust strings, so that none can write control characters to a terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Absent {
    /// There is no CI system to ask; git may know.
    #[error("no known CI system runs this")]
    Local,
    /// The CI system does not say; git may know.
    #[error("{0} is not set")]
    Unset(&'static str),
    /// The run is of this tag.
    #[error("this is a build of the tag {0:?}")]
    Tag(String),
    /// The run is of a merge queue's temporary branch.
    #[error("this is a build of a merge queue, whose branch is temporary")]
    MergeQueue,
    /// The run is of this reference or change, which is no branch.
    #[error("{0:?} is not a branch")]
    NotABranch(String),
    /// The event is about a pull request or another run, but does not tell the branch; the job's own branch
    /// is another one, such as the default branch.
    #[error("the event does not tell which branch it is about")]
    NotInEvent,
    /// The service would refuse it. A repository is never guessed from another number of parts than two: its
    /// key is stored under a name that somebody chose.
    #[error("{value:?} is not {expected}")]
    Invalid {
        /// What the CI system says.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl Absent {
    /// Whether a job without a branch is in order: it runs for a tag or a merge queue too, and has
    /// nothing to report then, which is no reason to fail.
    pub fn is_expected(&self) -> bool {
        matches!(self, Self::Tag(_) | Self::MergeQueue)
    }

    /// Whether git may know what the CI system does not say.
    pub fn may_ask_git(&self) -> bool {
        matches!(self, Self::Local | Self::Unset(_))
    }
}

/// Why a job may have no key. Means nothing where there is one. Displays as a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// The code comes from a fork, or the build runs in one.
    #[error("builds of forks get no secrets")]
    Fork,
    /// Dependabot started the run.
    #[error("runs that Dependabot starts get its own secrets only")]
    Dependabot,
    /// GitLab: the branch is not protected.
    #[error("branches that are not protected get no protected variables")]
    Unprotected,
}

impl Withheld {
    /// Whether nobody in the job's repository can do anything about it, so that it should not fail.
    pub fn is_expected(self) -> bool {
        matches!(self, Self::Fork | Self::Dependabot)
    }
}

/// A run of a CI system, as the job knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What runs it.
    pub provider: Provider,
    /// Whose tests run.
    pub repository: Found<Repository>,
    /// What they run of; `OWNER:BRANCH` of a fork.
    pub branch: Found<Branch>,
    /// The commit that is tested.
    pub commit: Option<Commit>,
    /// The run's name.
    pub run_id: Option<RunId>,
    /// Which attempt of the run or job.
    pub run_attempt: Option<RunAttempt>,
    /// The run, or the job if it has an address of its own.
    pub run_url: Option<HttpsUrl>,
    /// What this job runs on, if the CI system tells. Results of other jobs may be of other platforms.
    pub platform: Option<Platform>,
    /// Why a key may be missing.
    pub key_withheld: Option<Withheld>,
}

impl Run {
    fn new(provider: Provider, repository: Found<Repository>, branch: Found<String>) -> Self {
        Self {
            provider,
            repository,
            branch: branch.and_then(valid),
            commit: None,
            run_id: None,
            run_attempt: None,
            run_url: None,
            platform: None,
            key_withheld: None,
        }
    }
}

/// What the environment tells.
///
/// `variable` reads an environment variable, `read` a file: the event of GitHub Actions, nothing else.
/// Jenkins comes last, since its variables are inherited by whatever it starts.
pub fn detect(variable: impl Fn(&str) -> Option<String>, read: impl Fn(&Path) -> Option<String>) -> Run {
    let environment = Environment { variable: &variable, read: &read };
    if environment.is_true("GITHUB_ACTIONS") {
        github::run(&environment)
    } else if environment.is_true("GITLAB_CI") {
        gitlab::run(&environment)
    } else if environment.is_true("TF_BUILD") {
        azure::run(&environment)
    } else if environment.is_true("CIRCLECI") {
        circle::run(&environment)
    } else if environment.is_true("BUILDKITE") {
        buildkite::run(&environment)
    } else if environment.get("JENKINS_URL").or_else(|| environment.get("JENKINS_HOME")).is_some() {
        jenkins::run(&environment)
    } else {
        Run::new(Provider::Local, Err(Absent::Local), Err(Absent::Local))
    }
}

/// The variables and files of a job.
struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    read: &'a dyn Fn(&Path) -> Option<String>,
}

impl Environment<'_> {
    /// The value of a variable; an empty one counts as unset, as several providers write an absent value.
    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// The value of a variable that cannot be done without.
    fn require(&self, name: &'static str) -> Found<String> {
        self.get(name).ok_or(Absent::Unset(name))
    }

    /// The value of a variable that can be done without.
    fn parse<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// Whether a flag is set; Azure Pipelines writes `True`.
    fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The repository that a variable names.
    fn repository(&self, name: &'static str) -> Found<Repository> {
        self.require(name).and_then(valid)
    }
}

fn valid<T: FromStr<Err = ParseError>>(value: String) -> Found<T> {
    value.parse().map_err(|ParseError { expected }| Absent::Invalid { value, expected })
}

/// The branch of a full reference, `refs/heads/main`.
fn branch_of(reference: &str) -> Found<String> {
    if let Some(branch) = reference.strip_prefix("refs/heads/") {
        branch_unless_queue(branch.to_owned())
    } else if let Some(tag) = reference.strip_prefix("refs/tags/") {
        Err(Absent::Tag(tag.to_owned()))
    } else {
        Err(Absent::NotABranch(reference.to_owned()))
    }
}

/// The branch, unless it is one that GitHub's merge queue made; other CI systems see those as pushed branches.
///
/// <https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/configuring-pull-request-merges/managing-a-merge-queue>
fn branch_unless_queue(branch: String) -> Found<String> {
    if branch.starts_with("gh-readonly-queue/") { Err(Absent::MergeQueue) } else { Ok(branch) }
}

/// The branch of a fork, which must not look like one of ours. GitHub writes it the same way.
fn fork_branch(owner: Option<&str>, branch: &str) -> String {
    format!("{}:{branch}", owner.unwrap_or("fork"))
}

#[cfg(test)]
mod tests {
    use super::Branch;
    use super::testing::check;

    #[test]
    fn outside_ci_nothing_is_known() {
        check(
            "HOME=/home/mona\nCI=\nGITHUB_ACTIONS=",
            "",
            "Local\nrepository ! no known CI system runs this\nbranch ! no known CI system runs this",
        );
    }

    #[test]
    fn what_the_service_would_refuse_is_left_out_or_explained() {
        check(
            "BUILDKITE=true\nBUILDKITE_REPO=git@github.com:acme/kit.git\nBUILDKITE_BRANCH=a//b\n\
             BUILDKITE_COMMIT=HEAD\nBUILDKITE_BUILD_ID=a b\nBUILDKITE_RETRY_COUNT=9999\n\
             BUILDKITE_BUILD_URL=http://ci.test",
            "",
            &format!("Buildkite\nrepository acme/kit\nbranch ! \"a//b\" is not {}", Branch::EXPECTED),
        );
    }

    #[test]
    fn variables_of_jenkins_do_not_hide_the_system_that_it_started() {
        check(
            "JENKINS_URL=https://ci.test/\nBUILDKITE=true\nBUILDKITE_REPO=git@github.com:acme/kit.git\n\
             BUILDKITE_BRANCH=main",
            "",
            "Buildkite\nrepository acme/kit\nbranch main",
        );
    }
}
