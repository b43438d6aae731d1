//! `AppVeyor`: <https://www.appveyor.com/docs/environment-variables/>.
//!
//! There is no attempt, because a build that runs again is another build; and no platform.

use badgesmith_domain::test_result::{HttpsUrl, RunId};

use crate::branches;
use crate::environment::Environment;
use crate::provider::Provider;
use crate::run::{CiRun, MissingReason, NoSecretReason};

pub(crate) fn run(environment: &Environment<'_>) -> CiRun {
    let repository = environment.repository("APPVEYOR_REPO_NAME");
    let run_id = environment.parse("APPVEYOR_BUILD_ID");
    // For a pull request, it is a merge commit.
    let commit = environment.get("APPVEYOR_PULL_REQUEST_HEAD_COMMIT");
    CiRun {
        commit: commit
            .or_else(|| environment.get("APPVEYOR_REPO_COMMIT"))
            .and_then(|commit| commit.parse().ok()),
        run_url: url(environment, run_id.as_ref()),
        run_id,
        no_secret_reason: no_secret_reason(environment),
        ..CiRun::new(Provider::AppVeyor, repository, branch(environment))
    }
}

/// The repository of a pull request's branch, if it is a fork.
fn fork(environment: &Environment<'_>) -> Option<String> {
    let own = environment.get("APPVEYOR_REPO_NAME")?;
    environment.get("APPVEYOR_PULL_REQUEST_HEAD_REPO_NAME").filter(|head| !head.eq_ignore_ascii_case(&own))
}

/// For a pull request, `APPVEYOR_REPO_BRANCH` is the target branch.
fn branch(environment: &Environment<'_>) -> Result<String, MissingReason> {
    if let Some(tag) = environment.get("APPVEYOR_REPO_TAG_NAME") {
        return Err(MissingReason::Tag(tag));
    }
    let Some(number) = environment.get("APPVEYOR_PULL_REQUEST_NUMBER") else {
        return environment.require("APPVEYOR_REPO_BRANCH").and_then(branches::unless_merge_queue);
    };
    let branch = environment.require("APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH")?;
    Ok(match fork(environment) {
        Some(fork) => branches::in_fork(fork.split_once('/').map(|(owner, _)| owner), &branch, Some(&number)),
        None => branch,
    })
}

/// Pull requests get secure variables only if the project allows it:
/// <https://www.appveyor.com/docs/build-configuration/#secure-variables>.
fn no_secret_reason(environment: &Environment<'_>) -> Option<NoSecretReason> {
    environment.get("APPVEYOR_PULL_REQUEST_NUMBER")?;
    Some(fork(environment).map_or(NoSecretReason::PullRequest, |_| NoSecretReason::Fork))
}

/// The page of the job.
fn url(environment: &Environment<'_>, run_id: Option<&RunId>) -> Option<HttpsUrl> {
    let server = environment.get("APPVEYOR_URL").unwrap_or_else(|| "https://ci.appveyor.com".to_owned());
    let server = server.trim_end_matches('/');
    let account = environment.get("APPVEYOR_ACCOUNT_NAME")?;
    let project = environment.get("APPVEYOR_PROJECT_SLUG")?;
    let job = environment.get("APPVEYOR_JOB_ID").map(|id| format!("/job/{id}")).unwrap_or_default();
    format!("{server}/project/{account}/{project}/builds/{}{job}", run_id?).parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    const ANY: &str = "APPVEYOR=True\nCI=True\nAPPVEYOR_URL=https://ci.appveyor.com\nAPPVEYOR_ACCOUNT_NAME=acme\n\
        APPVEYOR_PROJECT_SLUG=kit-x\nAPPVEYOR_BUILD_ID=16428432\nAPPVEYOR_BUILD_NUMBER=7\n\
        APPVEYOR_JOB_ID=v8xadmxjx5ys0fhw\nAPPVEYOR_REPO_NAME=acme/kit\nAPPVEYOR_REPO_TAG=false\n\
        APPVEYOR_REPO_COMMIT=ef2023102ad644dce35319c9c0d9a97b369aae19";
    const COMMIT: &str = "ef2023102ad644dce35319c9c0d9a97b369aae19";
    const HEAD: &str = "1f34500d2065743b317a1fb034024b31d28d9183";

    #[track_caller]
    fn check_with(more: &str, branch: &str, commit: &str, tail: &str) {
        let url = "url https://ci.appveyor.com/project/acme/kit-x/builds/16428432/job/v8xadmxjx5ys0fhw";
        check(
            &format!("{more}\n{ANY}"),
            "",
            &format!(
                "AppVeyor\nrepository acme/kit\nbranch {branch}\ncommit {commit}\nrun 16428432\n{url}\n{tail}"
            ),
        );
    }

    #[test]
    fn pushes_count_for_their_branch() {
        check_with("APPVEYOR_REPO_BRANCH=feature/x", "feature/x", COMMIT, "");
    }

    #[test]
    fn pull_requests_count_for_their_source_branch() {
        let pull_request = format!(
            "APPVEYOR_REPO_BRANCH=main\nAPPVEYOR_PULL_REQUEST_NUMBER=14\nAPPVEYOR_PULL_REQUEST_HEAD_COMMIT={HEAD}"
        );
        let from = |repository: &str, branch: &str| {
            format!(
                "{pull_request}\nAPPVEYOR_PULL_REQUEST_HEAD_REPO_NAME={repository}\n\
                 APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH={branch}"
            )
        };
        let not_allowed = "no key: pull requests get no secrets by default";
        check_with(&from("Acme/Kit", "feature/x"), "feature/x", HEAD, not_allowed);
        check_with(&from("mona/kit", "main"), "mona:main", HEAD, "no key: builds of forks get no secrets");
        let unset = "! APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH is not set";
        check_with(&pull_request, unset, HEAD, not_allowed);
    }

    #[test]
    fn tags_and_merge_queues_have_no_branch() {
        let tag = "APPVEYOR_REPO_BRANCH=v1.0\nAPPVEYOR_REPO_TAG=true\nAPPVEYOR_REPO_TAG_NAME=v1.0";
        check_with(tag, "! this is a build of the tag \"v1.0\"", COMMIT, "");
        check_with(
            "APPVEYOR_REPO_BRANCH=gh-readonly-queue/main/pr-104",
            "! this is a build of a merge queue, whose branch is temporary",
            COMMIT,
            "",
        );
    }

    #[test]
    fn invalid_values_are_left_out_or_explained() {
        check(
            "APPVEYOR=true\nAPPVEYOR_REPO_NAME=kit\nAPPVEYOR_REPO_BRANCH=main\nAPPVEYOR_REPO_COMMIT=4711\n\
             APPVEYOR_BUILD_ID=1\nAPPVEYOR_URL=http://ci.test\nAPPVEYOR_ACCOUNT_NAME=acme\nAPPVEYOR_PROJECT_SLUG=kit",
            "",
            "AppVeyor
             repository ! \"kit\" is not OWNER/REPO, each 1 to 100 characters of A-Z a-z 0-9 . _ -
             branch main
             run 1",
        );
    }
}
