//! Buildkite: <https://buildkite.com/docs/pipelines/configure/environment-variables>.
//!
//! There is no platform. The hooks of the agents decide whether builds of forks have secrets.

use badgesmith_domain::test_result::{HttpsUrl, RunAttempt};

use crate::environment::Environment;
use crate::provider::Provider;
use crate::run::{CiRun, MissingReason, NoSecretReason};
use crate::{branches, git_url};

pub(crate) fn run(environment: &Environment<'_>) -> CiRun {
    // The URL of the pipeline's repository, in any of git's forms.
    let repository = environment.require("BUILDKITE_REPO").and_then(|url| git_url::repository_from_url(&url));
    let fork = fork(environment);
    CiRun {
        // May be `HEAD`.
        commit: environment.parse("BUILDKITE_COMMIT"),
        // Unlike the build number, it is unique across pipelines.
        run_id: environment.parse("BUILDKITE_BUILD_ID"),
        run_attempt: run_attempt(environment),
        run_url: url(environment),
        default_branch: environment.parse("BUILDKITE_PIPELINE_DEFAULT_BRANCH"),
        no_secret_reason: fork.as_ref().map(|_| NoSecretReason::Fork),
        ..CiRun::new(Provider::Buildkite, repository, branch(environment, fork.as_deref()))
    }
}

/// The URL of the pull request's repository, if it is a different one. `BUILDKITE_PULL_REQUEST_REPO` is empty
/// outside of pull requests.
fn fork(environment: &Environment<'_>) -> Option<String> {
    let pipeline_url = environment.get("BUILDKITE_REPO")?;
    environment
        .get("BUILDKITE_PULL_REQUEST_REPO")
        .filter(|url| !git_url::is_same_repository(&pipeline_url, url))
}

/// `BUILDKITE_BRANCH` is the tag for tags, and may be `mona:main` for forks if the pipeline is configured so
/// (<https://buildkite.com/docs/pipelines/source-control/github#running-builds-on-pull-requests>).
fn branch(environment: &Environment<'_>, fork: Option<&str>) -> Result<String, MissingReason> {
    if let Some(tag) = environment.get("BUILDKITE_TAG") {
        return Err(MissingReason::Tag(tag));
    }
    if environment.get("BUILDKITE_MERGE_QUEUE_BASE_BRANCH").is_some() {
        return Err(MissingReason::MergeQueue);
    }
    let branch = environment.require("BUILDKITE_BRANCH")?;
    match fork {
        Some(url) if !branch.contains(':') => {
            let number = environment.get("BUILDKITE_PULL_REQUEST").filter(|number| number != "false");
            Ok(branches::in_fork(git_url::owner_of(url), &branch, number.as_deref()))
        }
        Some(_) => Ok(branch),
        None => branches::unless_merge_queue(branch),
    }
}

/// `BUILDKITE_RETRY_COUNT`: how many times the job has been retried, from 0.
fn run_attempt(environment: &Environment<'_>) -> Option<RunAttempt> {
    environment.parse::<u64>("BUILDKITE_RETRY_COUNT")?.checked_add(1)?.try_into().ok()
}

/// The job on the build's page, in the form of `web_url` of <https://buildkite.com/docs/apis/rest-api/jobs>.
fn url(environment: &Environment<'_>) -> Option<HttpsUrl> {
    let build = environment.get("BUILDKITE_BUILD_URL")?;
    let job = environment.get("BUILDKITE_JOB_ID").map(|id| format!("#{id}")).unwrap_or_default();
    format!("{build}{job}").parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    const ANY: &str = "BUILDKITE=true\nCI=true\nBUILDKITE_REPO=git@github.com:acme/kit.git\n\
        BUILDKITE_COMMIT=83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d\nBUILDKITE_BUILD_NUMBER=1514\n\
        BUILDKITE_BUILD_ID=4735ba57-80d0-46e2-8fa0-b28223a86586\nBUILDKITE_RETRY_COUNT=0\n\
        BUILDKITE_BUILD_URL=https://buildkite.com/acme-inc/kit/builds/1514\n\
        BUILDKITE_JOB_ID=e44f9784-e20e-4b93-a21d-f41fd5869db9\nBUILDKITE_PULL_REQUEST=false\n\
        BUILDKITE_PULL_REQUEST_REPO=\nBUILDKITE_TAG=";

    #[track_caller]
    fn check_with(more: &str, branch: &str, attempt: u16, tail: &str) {
        check(
            &format!("{more}\n{ANY}"),
            "",
            &format!(
                "Buildkite\nrepository acme/kit\nbranch {branch}\n\
                 commit 83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d\nrun 4735ba57-80d0-46e2-8fa0-b28223a86586\n\
                 attempt {attempt}\n\
                 url https://buildkite.com/acme-inc/kit/builds/1514#e44f9784-e20e-4b93-a21d-f41fd5869db9\n{tail}"
            ),
        );
    }

    #[test]
    fn pushes_count_for_their_branch_and_retries_as_attempts() {
        check_with("BUILDKITE_BRANCH=main", "main", 1, "");
        check_with("BUILDKITE_BRANCH=main\nBUILDKITE_RETRY_COUNT=1", "main", 2, "");
    }

    #[test]
    fn tags_and_merge_queues_have_no_branch() {
        check_with(
            "BUILDKITE_BRANCH=v1.0\nBUILDKITE_TAG=v1.0",
            "! this is a build of the tag \"v1.0\"",
            1,
            "",
        );
        check_with(
            "BUILDKITE_BRANCH=gh-readonly-queue/main/pr-104\nBUILDKITE_MERGE_QUEUE_BASE_BRANCH=main",
            "! this is a build of a merge queue, whose branch is temporary",
            1,
            "",
        );
    }

    #[test]
    fn pull_requests_count_for_their_source_branch() {
        let same = "BUILDKITE_PULL_REQUEST=12\nBUILDKITE_PULL_REQUEST_REPO=git://github.com/acme/kit.git";
        check_with(&format!("BUILDKITE_BRANCH=feature/x\n{same}"), "feature/x", 1, "");
        let fork = "BUILDKITE_PULL_REQUEST=12\nBUILDKITE_PULL_REQUEST_REPO=git://github.com/mona/kit.git";
        let none = "no key: builds of forks get no secrets";
        check_with(&format!("BUILDKITE_BRANCH=main\n{fork}"), "mona:main", 1, none);
        check_with(&format!("BUILDKITE_BRANCH=mona:main\n{fork}"), "mona:main", 1, none);
    }

    #[test]
    fn a_symbolic_commit_is_left_out() {
        check(
            "BUILDKITE=true\nBUILDKITE_REPO=/srv/kit.git\nBUILDKITE_BRANCH=main\nBUILDKITE_COMMIT=HEAD",
            "",
            "Buildkite
             repository ! \"srv/kit\" is not OWNER/REPO, each 1 to 100 characters of A-Z a-z 0-9 . _ -
             branch main",
        );
    }
}
