//! `CircleCI`: <https://circleci.com/docs/reference/variables/>.
//!
//! There is no attempt, because a workflow that runs again is another workflow; and no platform.

use badgesmith_domain::ids::Repository;

use crate::environment::Environment;
use crate::provider::Provider;
use crate::run::{CiRun, MissingReason, NoSecretReason, parse};
use crate::{branches, git_url};

pub(crate) fn run(environment: &Environment<'_>) -> CiRun {
    let repository = repository(environment);
    let fork = Fork::of(environment, repository.as_ref().ok());
    CiRun {
        commit: environment.parse("CIRCLE_SHA1"),
        // The same for every job of the workflow.
        run_id: environment.parse("CIRCLE_WORKFLOW_ID"),
        run_url: environment.parse("CIRCLE_BUILD_URL"),
        // Builds of forks get no secrets by default:
        // https://circleci.com/docs/guides/integration/pull-request-build-settings/
        no_secret_reason: fork.as_ref().map(|_| NoSecretReason::Fork),
        ..CiRun::new(Provider::CircleCi, repository, branch(environment, fork.as_ref()))
    }
}

/// The project's owner and name, or else the target repository of the pull request, or else the repository in the URL
/// of the checkout, which may be a fork. A project that is connected as a GitHub App may have any name.
fn repository(environment: &Environment<'_>) -> Result<Repository, MissingReason> {
    let pull_request = environment.get("CIRCLE_PULL_REQUEST");
    let from_url = || match pull_request.as_deref().and_then(git_url::of_pull_request) {
        Some(repository) => Ok(repository),
        None => {
            environment.require("CIRCLE_REPOSITORY_URL").and_then(|url| git_url::repository_from_url(&url))
        }
    };
    match (environment.get("CIRCLE_PROJECT_USERNAME"), environment.get("CIRCLE_PROJECT_REPONAME")) {
        (Some(owner), Some(repo)) => {
            parse(format!("{owner}/{repo}")).or_else(|invalid| from_url().or(Err(invalid)))
        }
        _ => from_url(),
    }
}

/// The fork that a pull request comes from.
struct Fork {
    owner: Option<String>,
    number: Option<String>,
}

impl Fork {
    /// `CIRCLE_PR_*` are set only for pull requests of forks, and not where `CircleCI` is connected as a GitHub App.
    /// There, the URL of the checkout names the fork. Its owner decides, because the project may have another name than
    /// the repository.
    fn of(environment: &Environment<'_>, repository: Option<&Repository>) -> Option<Self> {
        let number = environment.get("CIRCLE_PR_NUMBER");
        let owner = environment.get("CIRCLE_PR_USERNAME").or_else(|| {
            let url = environment.get("CIRCLE_REPOSITORY_URL")?;
            let owner = git_url::owner_of(&url)?;
            let is_fork = !owner.eq_ignore_ascii_case(repository?.owner.as_str());
            is_fork.then(|| owner.to_owned())
        });
        (owner.is_some() || number.is_some()).then_some(Self { owner, number })
    }
}

/// `CIRCLE_BRANCH` of a fork is `pull/14`, a name that the fork cannot choose:
/// <https://discuss.circleci.com/t/access-real-branch-name-for-pull-request-fork-build/907>.
fn branch(environment: &Environment<'_>, fork: Option<&Fork>) -> Result<String, MissingReason> {
    if let Some(tag) = environment.get("CIRCLE_TAG") {
        return Err(MissingReason::Tag(tag));
    }
    let branch = environment.require("CIRCLE_BRANCH")?;
    match fork {
        Some(Fork { owner, number }) if !branch.starts_with("pull/") => {
            Ok(branches::in_fork(owner.as_deref(), &branch, number.as_deref()))
        }
        // A pipeline that is triggered for a pull request has `pull/14/head`:
        // https://circleci.com/docs/api/v2/index.html#tag/Pipeline/operation/triggerPipelineRun
        _ => branches::from_name(&branch),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    const ANY: &str = "CIRCLECI=true\nCI=true\nCIRCLE_PROJECT_USERNAME=acme\nCIRCLE_PROJECT_REPONAME=kit\n\
        CIRCLE_REPOSITORY_URL=git@github.com:acme/kit.git\nCIRCLE_SHA1=a0bd708bcdebced545b62a842a0350ccd1d683b7\n\
        CIRCLE_BUILD_NUM=618\nCIRCLE_BUILD_URL=https://circleci.com/gh/acme/kit/618\n\
        CIRCLE_WORKFLOW_ID=5034460f-c7c4-4c43-9457-de07e2029e7b";

    #[track_caller]
    fn check_with(more: &str, branch: &str, tail: &str) {
        let run = "commit a0bd708bcdebced545b62a842a0350ccd1d683b7\nrun 5034460f-c7c4-4c43-9457-de07e2029e7b\n\
            url https://circleci.com/gh/acme/kit/618";
        check(
            &format!("{more}\n{ANY}"),
            "",
            &format!("CircleCi\nrepository acme/kit\nbranch {branch}\n{run}\n{tail}"),
        );
    }

    #[test]
    fn pushes_and_pull_requests_count_for_their_branch() {
        check_with("CIRCLE_BRANCH=main", "main", "");
        let pull_request = "CIRCLE_BRANCH=feature/x\nCIRCLE_PULL_REQUEST=https://github.com/acme/kit/pull/14";
        check_with(pull_request, "feature/x", "");
        let fork = "CIRCLE_PR_USERNAME=mona\nCIRCLE_PR_REPONAME=kit\nCIRCLE_PR_NUMBER=14";
        let none = "no key: builds of forks get no secrets";
        check_with("CIRCLE_BRANCH=pull/14/head", "pull/14", "");
        check_with(&format!("CIRCLE_BRANCH=pull/14\n{fork}"), "pull/14", none);
        check_with(&format!("CIRCLE_BRANCH=main\n{fork}"), "mona:main", none);
    }

    #[test]
    fn the_url_of_the_checkout_shows_a_fork_if_there_are_no_pull_request_variables() {
        let none = "no key: builds of forks get no secrets";
        let fork = "CIRCLE_BRANCH=main\nCIRCLE_REPOSITORY_URL=https://github.com/mona/kit";
        check_with(fork, "mona:main", none);
        check_with(&format!("CIRCLE_PR_NUMBER=14\n{fork}"), "mona:main", none);
        check_with("CIRCLE_BRANCH=main\nCIRCLE_PR_NUMBER=14", "pull/14", none);
        check_with("CIRCLE_BRANCH=pull/14\nCIRCLE_PR_NUMBER=14", "pull/14", none);
        check_with("CIRCLE_BRANCH=main\nCIRCLE_REPOSITORY_URL=https://gitlab.test/group/sub/kit", "main", "");
        check(
            "CIRCLECI=true\nCIRCLE_REPOSITORY_URL=git@github.com:mona/kit.git\nCIRCLE_BRANCH=main\n\
             CIRCLE_PULL_REQUEST=https://github.com/acme/kit/pull/14",
            "",
            &format!("CircleCi\nrepository acme/kit\nbranch mona:main\n{none}"),
        );
    }

    #[test]
    fn a_renamed_repository_of_the_same_owner_is_not_a_fork() {
        for url in ["https://github.com/acme/kit.git", "git@github.com:Acme/kit.git"] {
            let push =
                format!("CIRCLE_BRANCH=main\nCIRCLE_PROJECT_REPONAME=kit-ci\nCIRCLE_REPOSITORY_URL={url}");
            check(
                &format!("CIRCLECI=true\nCIRCLE_PROJECT_USERNAME=acme\n{push}"),
                "",
                "CircleCi\nrepository acme/kit-ci\nbranch main",
            );
        }
    }

    #[test]
    fn tags_and_merge_queues_have_no_branch() {
        check_with("CIRCLE_TAG=v1.0", "! this is a build of the tag \"v1.0\"", "");
        check_with(
            "CIRCLE_BRANCH=gh-readonly-queue/main/pr-14-a0bd708",
            "! this is a build of a merge queue, whose branch is temporary",
            "",
        );
    }

    #[test]
    fn the_repository_comes_from_the_url_if_the_project_has_no_name() {
        check(
            "CIRCLECI=true\nCIRCLE_REPOSITORY_URL=https://bitbucket.org/acme/kit\nCIRCLE_BRANCH=main",
            "",
            "CircleCi\nrepository acme/kit\nbranch main",
        );
        check(
            "CIRCLECI=true\nCIRCLE_PROJECT_USERNAME=Acme Inc\nCIRCLE_PROJECT_REPONAME=The kit\n\
             CIRCLE_REPOSITORY_URL=https://github.com/acme/kit\nCIRCLE_BRANCH=main",
            "",
            "CircleCi\nrepository acme/kit\nbranch main",
        );
        check(
            "CIRCLECI=true\nCIRCLE_PROJECT_USERNAME=acme inc",
            "",
            "CircleCi\nrepository ! CIRCLE_REPOSITORY_URL is not set\nbranch ! CIRCLE_BRANCH is not set",
        );
    }
}
