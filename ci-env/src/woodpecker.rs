//! Woodpecker: <https://woodpecker-ci.org/docs/usage/environment>.
//!
//! There is no attempt, because a pipeline that runs again has another number; and no platform. No variable says that
//! a pull request comes from a fork.

use crate::branches;
use crate::environment::Environment;
use crate::provider::Provider;
use crate::run::{CiRun, MissingReason, NoSecretReason};

pub(crate) fn run(environment: &Environment<'_>) -> CiRun {
    let repository = environment.repository("CI_REPO");
    CiRun {
        // The last commit of the source branch, for a pull request, too.
        commit: environment.parse("CI_COMMIT_SHA"),
        // Unique within the repository, and the same for all workflows of the pipeline.
        run_id: environment.parse("CI_PIPELINE_NUMBER"),
        // A workflow has no page.
        run_url: environment.parse("CI_PIPELINE_URL"),
        default_branch: environment.parse("CI_REPO_DEFAULT_BRANCH"),
        // https://woodpecker-ci.org/docs/usage/secrets
        no_secret_reason: environment.get("CI_COMMIT_PULL_REQUEST").map(|_| NoSecretReason::PullRequest),
        ..CiRun::new(Provider::Woodpecker, repository, branch(environment))
    }
}

/// `CI_COMMIT_BRANCH` of a pull request is the target.
fn branch(environment: &Environment<'_>) -> Result<String, MissingReason> {
    if let Some(tag) = environment.get("CI_COMMIT_TAG") {
        return Err(MissingReason::Tag(tag));
    }
    let Some(number) = environment.get("CI_COMMIT_PULL_REQUEST") else {
        return environment.require("CI_COMMIT_BRANCH").and_then(branches::unless_merge_queue);
    };
    let Some(source) = environment.get("CI_COMMIT_SOURCE_BRANCH") else {
        return Ok(branches::pull_request(&number));
    };
    let others = ["CI_COMMIT_TARGET_BRANCH", "CI_REPO_DEFAULT_BRANCH"].map(|name| environment.get(name));
    Ok(branches::of_pull_request(source, &others, Some(&number)))
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    const ANY: &str = "CI=woodpecker\nCI_SYSTEM_NAME=woodpecker\nCI_REPO=acme/kit\nCI_REPO_DEFAULT_BRANCH=main\n\
        CI_PIPELINE_NUMBER=8\nCI_PIPELINE_URL=https://ci.test/repos/7/pipeline/8\nCI_WORKFLOW_NAME=test\n\
        CI_STEP_URL=https://ci.test/repos/7/pipeline/8/3\nCI_COMMIT_SHA=eba09b46064473a1d345da7abf28b477468e8dbd";

    #[track_caller]
    fn check_with(more: &str, branch: &str, tail: &str) {
        check(
            &format!("{more}\n{ANY}"),
            "",
            &format!(
                "Woodpecker\nrepository acme/kit\nbranch {branch}\n\
                 commit eba09b46064473a1d345da7abf28b477468e8dbd\nrun 8\n\
                 url https://ci.test/repos/7/pipeline/8\ndefault main\n{tail}"
            ),
        );
    }

    #[test]
    fn pushes_and_schedules_count_for_their_branch() {
        for event in ["push", "cron", "manual"] {
            check_with(&format!("CI_PIPELINE_EVENT={event}\nCI_COMMIT_BRANCH=feature/x"), "feature/x", "");
        }
        check_with("", "! CI_COMMIT_BRANCH is not set", "");
    }

    #[test]
    fn pull_requests_count_for_a_source_branch_that_cannot_be_a_fork_s_main() {
        let not_allowed = "no key: pull requests get no secrets by default";
        for (source, target, expected) in [
            ("feature/x", "main", "feature/x"),
            ("main", "main", "pull/14"),
            ("main", "develop", "pull/14"),
            ("", "", "pull/14"),
        ] {
            let pull_request = format!(
                "CI_PIPELINE_EVENT=pull_request\nCI_COMMIT_PULL_REQUEST=14\nCI_COMMIT_BRANCH={target}\n\
                 CI_COMMIT_SOURCE_BRANCH={source}\nCI_COMMIT_TARGET_BRANCH={target}"
            );
            check_with(&pull_request, expected, not_allowed);
        }
    }

    #[test]
    fn tags_releases_and_merge_queues_have_no_branch() {
        for event in ["tag", "release"] {
            let tag = format!("CI_PIPELINE_EVENT={event}\nCI_COMMIT_TAG=v1.0\nCI_COMMIT_BRANCH=main");
            check_with(&tag, "! this is a build of the tag \"v1.0\"", "");
        }
        check_with(
            "CI_COMMIT_BRANCH=gh-readonly-queue/main/pr-104",
            "! this is a build of a merge queue, whose branch is temporary",
            "",
        );
    }

    #[test]
    fn invalid_values_are_left_out_or_explained() {
        check(
            "CI=woodpecker\nCI_REPO=kit\nCI_COMMIT_BRANCH=a//b\nCI_COMMIT_SHA=HEAD\nCI_PIPELINE_NUMBER=a b\n\
             CI_PIPELINE_URL=http://ci.test/1",
            "",
            &format!(
                "Woodpecker
                 repository ! \"kit\" is not OWNER/REPO, each 1 to 100 characters of A-Z a-z 0-9 . _ -
                 branch ! \"a//b\" is not {}",
                badgesmith_domain::ids::Branch::EXPECTED
            ),
        );
    }
}
