//! Drone: <https://docs.drone.io/pipeline/environment/reference/>. Harness Open Source sets the same variables:
//! <https://developer.harness.io/docs/open-source/reference/pipelines/shell_variables>.
//!
//! There is no attempt, because a build that runs again has another number. No variable says that a pull request
//! comes from a fork.

use badgesmith_domain::ids::Platform;

use crate::branches;
use crate::environment::Environment;
use crate::provider::Provider;
use crate::run::{CiRun, MissingReason, NoSecretReason};

pub(crate) fn run(environment: &Environment<'_>) -> CiRun {
    let repository = environment.repository("DRONE_REPO");
    CiRun {
        // The last commit of the source branch, for a pull request, too.
        commit: environment.parse("DRONE_COMMIT_SHA"),
        // Unique within the repository, and the same for all pipelines of the build.
        run_id: environment.parse("DRONE_BUILD_NUMBER"),
        run_url: environment.parse("DRONE_BUILD_LINK"),
        platform: platform(environment),
        default_branch: environment.parse("DRONE_REPO_BRANCH"),
        // https://docs.drone.io/secret/repository/
        no_secret_reason: environment.get("DRONE_PULL_REQUEST").map(|_| NoSecretReason::PullRequest),
        ..CiRun::new(Provider::Drone, repository, branch(environment))
    }
}

/// For a pull request, `DRONE_BRANCH` is the target branch.
fn branch(environment: &Environment<'_>) -> Result<String, MissingReason> {
    if let Some(tag) = environment.get("DRONE_TAG") {
        return Err(MissingReason::Tag(tag));
    }
    let Some(number) = environment.get("DRONE_PULL_REQUEST") else {
        return environment.require("DRONE_BRANCH").and_then(branches::unless_merge_queue);
    };
    // Empty for some source control systems.
    let Some(source) = environment.get("DRONE_SOURCE_BRANCH") else {
        return Ok(branches::pull_request(&number));
    };
    let others = ["DRONE_TARGET_BRANCH", "DRONE_REPO_BRANCH"].map(|name| environment.get(name));
    Ok(branches::of_pull_request(source, &others, Some(&number)))
}

/// `DRONE_STAGE_OS`, in Go's words.
fn platform(environment: &Environment<'_>) -> Option<Platform> {
    match environment.get("DRONE_STAGE_OS")?.as_str() {
        "linux" => Some(Platform::Linux),
        "windows" => Some(Platform::Windows),
        "darwin" => Some(Platform::MacOs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    const ANY: &str = "CI=true\nDRONE=true\nDRONE_REPO=acme/kit\nDRONE_REPO_BRANCH=main\nDRONE_BUILD_NUMBER=42\n\
        DRONE_BUILD_LINK=https://drone.test/acme/kit/42\nDRONE_STAGE_OS=linux\nDRONE_STAGE_NAME=default\n\
        DRONE_COMMIT_SHA=83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d\n\
        DRONE_COMMIT_LINK=https://github.com/acme/kit/pull/14";

    #[track_caller]
    fn check_with(more: &str, branch: &str, tail: &str) {
        check(
            &format!("{more}\n{ANY}"),
            "",
            &format!(
                "Drone\nrepository acme/kit\nbranch {branch}\ncommit 83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d\n\
                 run 42\nurl https://drone.test/acme/kit/42\nplatform linux\ndefault main\n{tail}"
            ),
        );
    }

    #[test]
    fn pushes_count_for_their_branch() {
        check_with("DRONE_BRANCH=feature/x\nDRONE_SOURCE_BRANCH=feature/x", "feature/x", "");
        check_with("", "! DRONE_BRANCH is not set", "");
    }

    #[test]
    fn pull_requests_count_for_their_source_branch_unless_it_may_be_that_of_a_fork() {
        let not_allowed = "no key: pull requests get no secrets by default";
        for (source, target, expected) in [
            ("feature/x", "main", "feature/x"),
            ("main", "main", "pull/14"),
            ("develop", "develop", "pull/14"),
            ("main", "develop", "pull/14"),
            ("", "main", "pull/14"),
        ] {
            let pull_request = format!(
                "DRONE_BUILD_EVENT=pull_request\nDRONE_PULL_REQUEST=14\nDRONE_BRANCH={target}\n\
                 DRONE_TARGET_BRANCH={target}\nDRONE_SOURCE_BRANCH={source}"
            );
            check_with(&pull_request, expected, not_allowed);
        }
    }

    #[test]
    fn tags_and_merge_queues_have_no_branch() {
        check_with("DRONE_TAG=v1.0\nDRONE_BRANCH=main", "! this is a build of the tag \"v1.0\"", "");
        check_with(
            "DRONE_BRANCH=gh-readonly-queue/main/pr-104",
            "! this is a build of a merge queue, whose branch is temporary",
            "",
        );
    }

    #[test]
    fn invalid_values_are_left_out_or_explained() {
        check(
            "DRONE=true\nDRONE_REPO=group/sub/kit\nDRONE_BRANCH=main\nDRONE_BUILD_NUMBER=\nDRONE_COMMIT_SHA=none\n\
             DRONE_BUILD_LINK=http://drone.test/1\nDRONE_STAGE_OS=plan9",
            "",
            "Drone
             repository ! \"group/sub/kit\" is not OWNER/REPO, each 1 to 100 characters of A-Z a-z 0-9 . _ -
             branch main",
        );
    }
}
