//! Azure Pipelines: <https://learn.microsoft.com/en-us/azure/devops/pipelines/build/variables>.
//!
//! A variable `Build.SourceBranch` is `BUILD_SOURCEBRANCH` in the environment.

use badgesmith_domain::ids::Platform;
use badgesmith_domain::test_result::{Commit, HttpsUrl, RunAttempt, RunId};

use crate::environment::Environment;
use crate::provider::Provider;
use crate::run::{CiRun, MissingReason, NoSecretReason};
use crate::{branches, git_url};

pub(crate) fn run(environment: &Environment<'_>) -> CiRun {
    // `OWNER/REPO` for repositories on GitHub and Bitbucket. For Azure Repos it is the last part alone, which is not
    // enough: organization and project are above it.
    let repository = environment.repository("BUILD_REPOSITORY_NAME");
    let run_id = environment.parse("BUILD_BUILDID");
    // Forks' builds get no secrets by default:
    // https://learn.microsoft.com/en-us/azure/devops/pipelines/security/repos#dont-provide-secrets-to-fork-builds
    let from_fork = environment.is_true("SYSTEM_PULLREQUEST_ISFORK");
    CiRun {
        commit: commit(environment),
        run_url: url(environment, run_id.as_ref()),
        run_id,
        run_attempt: run_attempt(environment),
        platform: platform(environment),
        no_secret_reason: from_fork.then_some(NoSecretReason::Fork),
        ..CiRun::new(Provider::AzurePipelines, repository, branch(environment, from_fork))
    }
}

/// The source branch of a pull request is documented as `refs/heads/x`, and is `x` for repositories on GitHub.
/// `BUILD_SOURCEBRANCH` of a pull request is `refs/pull/1/merge`.
fn branch(environment: &Environment<'_>, from_fork: bool) -> Result<String, MissingReason> {
    let Some(source) = environment.get("SYSTEM_PULLREQUEST_SOURCEBRANCH") else {
        return environment
            .require("BUILD_SOURCEBRANCH")
            .and_then(|reference| branches::from_reference(&reference));
    };
    let branch = source.strip_prefix("refs/heads/").unwrap_or(&source);
    if from_fork {
        let url = environment.get("SYSTEM_PULLREQUEST_SOURCEREPOSITORYURI");
        // The number at GitHub, or the ID at Azure Repos.
        let number = environment.get("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER");
        let number = number.or_else(|| environment.get("SYSTEM_PULLREQUEST_PULLREQUESTID"));
        Ok(branches::in_fork(url.as_deref().and_then(git_url::owner_of), branch, number.as_deref()))
    } else {
        branches::unless_merge_queue(branch.to_owned())
    }
}

/// `BUILD_SOURCEVERSION` of a pull request is a merge that Azure made
/// (<https://github.com/microsoft/azure-pipelines-tasks/issues/9801>).
fn commit(environment: &Environment<'_>) -> Option<Commit> {
    let source = environment.get("SYSTEM_PULLREQUEST_SOURCECOMMITID");
    // For TFVC it is the number of a changeset, which is not a commit.
    source.or_else(|| environment.get("BUILD_SOURCEVERSION"))?.parse().ok()
}

/// A job can be retried, and so can its stage; each counts from 1.
fn run_attempt(environment: &Environment<'_>) -> Option<RunAttempt> {
    environment.parse("SYSTEM_STAGEATTEMPT").max(environment.parse("SYSTEM_JOBATTEMPT"))
}

/// The build's page, with the project's ID because its name may have spaces. `_links.web` has the same form:
/// <https://learn.microsoft.com/en-us/rest/api/azure/devops/build/builds/get>.
fn url(environment: &Environment<'_>, run_id: Option<&RunId>) -> Option<HttpsUrl> {
    let collection = environment.get("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI")?;
    let collection = collection.trim_end_matches('/');
    let project = environment.get("SYSTEM_TEAMPROJECTID")?;
    format!("{collection}/{project}/_build/results?buildId={}", run_id?).parse().ok()
}

/// `AGENT_OS`, the host of the agent.
fn platform(environment: &Environment<'_>) -> Option<Platform> {
    match environment.get("AGENT_OS")?.as_str() {
        "Linux" => Some(Platform::Linux),
        "Windows_NT" => Some(Platform::Windows),
        "Darwin" => Some(Platform::MacOs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    const ANY: &str = "TF_BUILD=True\nBUILD_REPOSITORY_NAME=acme/kit\nBUILD_REPOSITORY_PROVIDER=GitHub\nBUILD_BUILDID=4711\n\
        BUILD_SOURCEVERSION=83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d\nSYSTEM_JOBATTEMPT=1\nSYSTEM_STAGEATTEMPT=1\n\
        SYSTEM_TEAMFOUNDATIONCOLLECTIONURI=https://dev.azure.com/fabrikam/\nSYSTEM_TEAMPROJECT=My project\n\
        SYSTEM_TEAMPROJECTID=eb6e4656-77fc-42a1-9181-4c6d8e9da5d1\nAGENT_OS=Windows_NT";
    const URL: &str =
        "url https://dev.azure.com/fabrikam/eb6e4656-77fc-42a1-9181-4c6d8e9da5d1/_build/results?buildId=4711";

    #[track_caller]
    fn check_with(more: &str, branch: &str, commit: &str, attempt: u16, tail: &str) {
        check(
            &format!("{more}\n{ANY}"),
            "",
            &format!(
                "AzurePipelines\nrepository acme/kit\nbranch {branch}\ncommit {commit}\nrun 4711\n\
                 attempt {attempt}\n{URL}\nplatform windows\n{tail}"
            ),
        );
    }

    const COMMIT: &str = "83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d";
    const HEAD: &str = "44af8aa0007898d08f1bec401df7c077c1df0722";

    #[test]
    fn pushes_count_for_their_branch_and_retries_as_attempts() {
        check_with(
            "BUILD_SOURCEBRANCH=refs/heads/feature/x\nBUILD_SOURCEBRANCHNAME=x",
            "feature/x",
            COMMIT,
            1,
            "",
        );
        check_with("BUILD_SOURCEBRANCH=refs/heads/main\nSYSTEM_JOBATTEMPT=2", "main", COMMIT, 2, "");
        check_with("BUILD_SOURCEBRANCH=refs/heads/main\nSYSTEM_STAGEATTEMPT=3", "main", COMMIT, 3, "");
    }

    #[test]
    fn tags_and_merge_queues_have_no_branch() {
        check_with(
            "BUILD_SOURCEBRANCH=refs/tags/v1.0",
            "! this is a build of the tag \"v1.0\"",
            COMMIT,
            1,
            "",
        );
        check_with(
            "BUILD_SOURCEBRANCH=refs/heads/gh-readonly-queue/main/pr-104-44af8aa0007898d08f1bec401df7c077c1df0722",
            "! this is a build of a merge queue, whose branch is temporary",
            COMMIT,
            1,
            "",
        );
    }

    #[test]
    fn pull_requests_count_for_their_source_branch() {
        let any = format!(
            "BUILD_REASON=PullRequest\nBUILD_SOURCEBRANCH=refs/pull/5/merge\nSYSTEM_PULLREQUEST_SOURCECOMMITID={HEAD}"
        );
        let at_azure = format!(
            "SYSTEM_PULLREQUEST_SOURCEBRANCH=refs/heads/feature/x\nSYSTEM_PULLREQUEST_ISFORK=False\n{any}"
        );
        check_with(&at_azure, "feature/x", HEAD, 1, "");
        let of_fork = format!(
            "SYSTEM_PULLREQUEST_SOURCEBRANCH=main\nSYSTEM_PULLREQUEST_ISFORK=True\n\
             SYSTEM_PULLREQUEST_SOURCEREPOSITORYURI=https://github.com/mona/kit.git\n{any}"
        );
        check_with(&of_fork, "mona:main", HEAD, 1, "no key: builds of forks get no secrets");
        let of_azure_fork = of_fork
            .replace("https://github.com/mona/kit.git", "https://dev.azure.com/acme/kit/_git/kit.mona");
        check_with(&of_azure_fork, "fork:main", HEAD, 1, "no key: builds of forks get no secrets");
        let with_number = format!("SYSTEM_PULLREQUEST_PULLREQUESTID=14\n{of_azure_fork}");
        check_with(&with_number, "pull/14", HEAD, 1, "no key: builds of forks get no secrets");
        check_with(&any, "pull/5", HEAD, 1, "");
    }

    #[test]
    fn repositories_of_azure_repos_and_tfvc_are_not_guessed() {
        check(
            "TF_BUILD=True\nBUILD_REPOSITORY_NAME=kit\nBUILD_SOURCEBRANCH=$/kit/main\nBUILD_SOURCEVERSION=C123\n\
             SYSTEM_TEAMFOUNDATIONCOLLECTIONURI=http://tfs.test/DefaultCollection/\nSYSTEM_TEAMPROJECTID=1\nBUILD_BUILDID=7",
            "",
            "AzurePipelines
             repository ! \"kit\" is not OWNER/REPO, each 1 to 100 characters of A-Z a-z 0-9 . _ -
             branch ! \"$/kit/main\" is not a branch
             run 7",
        );
    }
}
