//! Bitbucket Pipelines: <https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/>.
//!
//! There is no platform. A pull request of a fork runs in the fork, with the fork's variables. A pipeline that was
//! started for a commit has no `BITBUCKET_BRANCH`.

use badgesmith_domain::test_result::{HttpsUrl, RunId};

use crate::branches;
use crate::environment::Environment;
use crate::provider::Provider;
use crate::run::{CiRun, MissingReason};

pub(crate) fn run(environment: &Environment<'_>) -> CiRun {
    let repository = environment.repository("BITBUCKET_REPO_FULL_NAME");
    // Unique within the repository, and the same for all steps.
    let run_id = environment.parse("BITBUCKET_BUILD_NUMBER");
    CiRun {
        commit: environment.parse("BITBUCKET_COMMIT"),
        run_url: url(environment, run_id.as_ref()),
        run_id,
        // How many times the step has run, from 1.
        run_attempt: environment.parse("BITBUCKET_STEP_RUN_NUMBER"),
        ..CiRun::new(Provider::Bitbucket, repository, branch(environment))
    }
}

/// For a pull request, `BITBUCKET_BRANCH` is the source branch.
fn branch(environment: &Environment<'_>) -> Result<String, MissingReason> {
    if let Some(tag) = environment.get("BITBUCKET_TAG") {
        return Err(MissingReason::Tag(tag));
    }
    environment.require("BITBUCKET_BRANCH").and_then(branches::unless_merge_queue)
}

/// The page of the pipeline. Pipelines exist only in Bitbucket Cloud, so the host is fixed; `BITBUCKET_GIT_HTTP_ORIGIN`
/// begins with `http://`.
fn url(environment: &Environment<'_>, run_id: Option<&RunId>) -> Option<HttpsUrl> {
    let repository = environment.get("BITBUCKET_REPO_FULL_NAME")?;
    format!("https://bitbucket.org/{repository}/pipelines/results/{}", run_id?).parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    const ANY: &str = "CI=true\nBITBUCKET_BUILD_NUMBER=7\nBITBUCKET_STEP_RUN_NUMBER=1\nBITBUCKET_WORKSPACE=acme\n\
        BITBUCKET_REPO_SLUG=kit\nBITBUCKET_REPO_FULL_NAME=acme/kit\n\
        BITBUCKET_GIT_HTTP_ORIGIN=http://bitbucket.org/acme/kit\n\
        BITBUCKET_PIPELINE_UUID={8b6a52c8-2b6a-4b0a-9d0e-0f7f8d3c2d11}\n\
        BITBUCKET_COMMIT=83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d";

    #[track_caller]
    fn check_with(more: &str, branch: &str, attempt: u16) {
        check(
            &format!("{more}\n{ANY}"),
            "",
            &format!(
                "Bitbucket\nrepository acme/kit\nbranch {branch}\n\
                 commit 83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d\nrun 7\nattempt {attempt}\n\
                 url https://bitbucket.org/acme/kit/pipelines/results/7"
            ),
        );
    }

    #[test]
    fn pushes_and_pull_requests_count_for_their_branch_and_reruns_as_attempts() {
        check_with("BITBUCKET_BRANCH=main", "main", 1);
        check_with("BITBUCKET_BRANCH=main\nBITBUCKET_STEP_RUN_NUMBER=3", "main", 3);
        let pull_request =
            "BITBUCKET_BRANCH=feature/x\nBITBUCKET_PR_ID=14\nBITBUCKET_PR_DESTINATION_BRANCH=main";
        check_with(pull_request, "feature/x", 1);
    }

    #[test]
    fn tags_have_no_branch() {
        check_with("BITBUCKET_TAG=v1.0", "! this is a build of the tag \"v1.0\"", 1);
    }

    #[test]
    fn pipelines_for_a_commit_have_no_branch() {
        check_with("", "! BITBUCKET_BRANCH is not set", 1);
    }

    #[test]
    fn invalid_values_are_left_out_or_explained() {
        check(
            "BITBUCKET_BUILD_NUMBER=a b\nBITBUCKET_REPO_FULL_NAME=kit\nBITBUCKET_BRANCH=main\nBITBUCKET_COMMIT=HEAD\n\
             BITBUCKET_STEP_RUN_NUMBER=0",
            "",
            "Bitbucket
             repository ! \"kit\" is not OWNER/REPO, each 1 to 100 characters of A-Z a-z 0-9 . _ -
             branch main",
        );
    }
}
