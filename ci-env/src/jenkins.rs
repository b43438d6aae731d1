//! Jenkins.
//!
//! - `BUILD_*`: <https://www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables>.
//! - `GIT_*`, set by the git plugin when it checks out; a scripted pipeline has them only in the step's result:
//!   <https://plugins.jenkins.io/git/#plugin-content-environment-variables>.
//! - `BRANCH_NAME`, `TAG_NAME` and `CHANGE_*`, in multibranch projects:
//!   <https://github.com/jenkinsci/branch-api-plugin/blob/master/src/main/resources/jenkins/branch/BranchNameContributor/buildEnv.properties>.
//! - Those of the plugins that build pull requests in other projects: see [`pull_request`].
//!
//! There is no attempt, because a build that runs again has another number; and no platform.

mod pull_request;

use badgesmith_domain::ids::Repository;

use self::pull_request::PullRequest;
use crate::environment::Environment;
use crate::provider::Provider;
use crate::run::{CiRun, MissingReason, NoSecretReason};
use crate::{branches, git_url};

pub(crate) fn run(environment: &Environment<'_>) -> CiRun {
    let pull_request = PullRequest::read(environment);
    let is_from_fork = pull_request.as_ref().is_some_and(|pull_request| pull_request.is_from_fork);
    let commit = pull_request.as_ref().and_then(|pull_request| pull_request.commit.clone());
    CiRun {
        // For a pull request it may be a merge that Jenkins made.
        commit: commit.or_else(|| environment.parse("GIT_COMMIT")),
        // Unique within its job, which is one branch of a multibranch project.
        run_id: environment.parse("BUILD_NUMBER"),
        // Often `http`, which BadgeSmith rejects.
        run_url: environment.parse("BUILD_URL"),
        no_secret_reason: is_from_fork.then_some(NoSecretReason::Fork),
        ..CiRun::new(
            Provider::Jenkins,
            repository(environment, pull_request.as_ref()),
            branch(environment, pull_request.as_ref()),
        )
    }
}

/// The target repository of the pull request, or else the repository of the checkout, which may be a fork.
fn repository(
    environment: &Environment<'_>,
    pull_request: Option<&PullRequest>,
) -> Result<Repository, MissingReason> {
    match pull_request.and_then(|pull_request| pull_request.repository.clone()) {
        Some(repository) => Ok(repository),
        None => environment.require("GIT_URL").and_then(|url| git_url::repository_from_url(&url)),
    }
}

fn branch(
    environment: &Environment<'_>,
    pull_request: Option<&PullRequest>,
) -> Result<String, MissingReason> {
    if let Some(tag) = environment.get("TAG_NAME") {
        return Err(MissingReason::Tag(tag));
    }
    if let Some(pull_request) = pull_request {
        return pull_request.branch.clone();
    }
    // The GitLab plugin's name for what was pushed.
    let pushed = environment.get("gitlabBranch");
    if environment.get("gitlabActionType").is_some_and(|action| action == "TAG_PUSH")
        && let Some(tag) = &pushed
    {
        return Err(MissingReason::Tag(tag.strip_prefix("refs/tags/").unwrap_or(tag).to_owned()));
    }
    match environment.get("BRANCH_NAME").or_else(|| environment.get("GIT_LOCAL_BRANCH")).or(pushed) {
        Some(branch) => branches::unless_merge_queue(branch),
        None => environment.require("GIT_BRANCH").and_then(|branch| from_git_branch(&branch)),
    }
}

/// Parses `GIT_BRANCH`: `origin/main` with the remote's name, or `detached` when a commit is checked out. The name
/// of any other remote stays: nothing shows where it ends.
fn from_git_branch(branch: &str) -> Result<String, MissingReason> {
    if branch.starts_with("refs/heads/") || branch.starts_with("refs/tags/") {
        return branches::from_reference(branch);
    }
    let with_remote = branch.strip_prefix("refs/remotes/").unwrap_or(branch);
    let branch = with_remote.strip_prefix("origin/").unwrap_or(with_remote);
    if matches!(branch, "detached" | "HEAD") {
        return Err(MissingReason::NotABranch(branch.to_owned()));
    }
    branches::from_name(branch)
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    const ANY: &str = "JENKINS_URL=https://ci.test/\nJENKINS_HOME=/var/jenkins\nBUILD_NUMBER=153\nBUILD_ID=153\n\
        BUILD_URL=https://ci.test/job/acme/job/kit/job/main/153/\nJOB_NAME=acme/kit/main\n\
        GIT_URL=https://github.com/acme/kit.git\nGIT_COMMIT=ce9a3c1404e8c91be604088670e93434c4253f03";

    #[track_caller]
    fn check_with(more: &str, branch: &str, tail: &str) {
        let run = "commit ce9a3c1404e8c91be604088670e93434c4253f03\nrun 153\n\
            url https://ci.test/job/acme/job/kit/job/main/153/";
        check(
            &format!("{more}\n{ANY}"),
            "",
            &format!("Jenkins\nrepository acme/kit\nbranch {branch}\n{run}\n{tail}"),
        );
    }

    #[test]
    fn multibranch_projects_count_for_the_source_branch() {
        check_with("BRANCH_NAME=feature/x\nGIT_BRANCH=feature/x", "feature/x", "");
        check_with("BRANCH_NAME=v1.0\nTAG_NAME=v1.0", "! this is a build of the tag \"v1.0\"", "");
        let change =
            "BRANCH_NAME=PR-24\nCHANGE_ID=24\nCHANGE_BRANCH=main\nCHANGE_TARGET=main\nGIT_BRANCH=PR-24";
        check_with(change, "main", "");
        let none = "no key: builds of forks get no secrets";
        check_with(&format!("{change}\nCHANGE_FORK=mona"), "mona:main", none);
        check_with(&format!("{change}\nCHANGE_FORK=mona/tools"), "mona:main", none);
        check_with("BRANCH_NAME=PR-24\nCHANGE_ID=24", "! CHANGE_BRANCH is not set", "");
        // Where a fork is checked out from its own URL, the page of the change names the repository it goes to.
        let url = "CHANGE_URL=https://github.com/acme/kit/pull/24\nGIT_URL=https://github.com/mona/kit.git";
        check_with(&format!("{change}\nCHANGE_FORK=mona\n{url}"), "mona:main", none);
    }

    #[test]
    fn other_projects_count_for_the_branch_of_git() {
        check_with("GIT_BRANCH=origin/release/1.0", "release/1.0", "");
        check_with("GIT_BRANCH=refs/remotes/origin/main", "main", "");
        check_with("GIT_BRANCH=refs/tags/v1.0", "! this is a build of the tag \"v1.0\"", "");
        check_with("GIT_BRANCH=origin/main\nGIT_LOCAL_BRANCH=main", "main", "");
        check_with("GIT_BRANCH=detached", "! \"detached\" is not a branch", "");
        for reference in [
            "origin/pr/14/merge",
            "origin/pull/14/head",
            "refs/pull/14/head",
            "refs/remotes/origin/merge-requests/14/head",
        ] {
            check_with(&format!("GIT_BRANCH={reference}"), "pull/14", "");
        }
        for branch in ["pr/fix/merge", "pull/14", "pull/14/head/x"] {
            check_with(&format!("GIT_BRANCH=origin/{branch}"), branch, "");
        }
        check_with(
            "GIT_BRANCH=origin/gh-readonly-queue/main/pr-104",
            "! this is a build of a merge queue, whose branch is temporary",
            "",
        );
    }

    #[test]
    fn scripted_pipelines_on_plain_http_have_only_a_run() {
        check(
            "JENKINS_HOME=/var/jenkins\nBUILD_NUMBER=153\nBUILD_URL=http://ci.test/job/kit/153/",
            "",
            "Jenkins\nrepository ! GIT_URL is not set\nbranch ! GIT_BRANCH is not set\nrun 153",
        );
    }
}
