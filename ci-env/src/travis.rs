//! Travis CI: <https://docs.travis-ci.com/user/environment-variables/#default-environment-variables>.
//!
//! There is no attempt: a build or a job that is restarted keeps its ID.

use badgesmith_domain::ids::Platform;
use badgesmith_domain::test_result::{Commit, HttpsUrl};

use crate::branches;
use crate::environment::Environment;
use crate::provider::Provider;
use crate::run::{CiRun, MissingReason, NoSecretReason};

pub(crate) fn run(environment: &Environment<'_>) -> CiRun {
    let repository = environment.repository("TRAVIS_REPO_SLUG");
    CiRun {
        commit: commit(environment),
        // The same for all jobs of the build.
        run_id: environment.parse("TRAVIS_BUILD_ID"),
        run_url: url(environment),
        platform: platform(environment),
        // https://docs.travis-ci.com/user/pull-requests#pull-requests-and-security-restrictions
        no_secret_reason: fork(environment).map(|_| NoSecretReason::Fork),
        ..CiRun::new(Provider::Travis, repository, branch(environment))
    }
}

/// The number of the pull request, which is `false` for other builds.
fn pull_request(environment: &Environment<'_>) -> Option<String> {
    environment.get("TRAVIS_PULL_REQUEST").filter(|number| number != "false")
}

/// The repository of a pull request's branch, if it is a fork.
fn fork(environment: &Environment<'_>) -> Option<String> {
    let own = environment.get("TRAVIS_REPO_SLUG")?;
    pull_request(environment)?;
    environment.get("TRAVIS_PULL_REQUEST_SLUG").filter(|head| !head.eq_ignore_ascii_case(&own))
}

/// `TRAVIS_BRANCH` of a pull request is the target, and that of a tag is the tag.
fn branch(environment: &Environment<'_>) -> Result<String, MissingReason> {
    if let Some(tag) = environment.get("TRAVIS_TAG") {
        return Err(MissingReason::Tag(tag));
    }
    let Some(number) = pull_request(environment) else {
        return environment.require("TRAVIS_BRANCH").and_then(branches::unless_merge_queue);
    };
    let branch = environment.require("TRAVIS_PULL_REQUEST_BRANCH")?;
    Ok(match fork(environment) {
        Some(fork) => branches::in_fork(fork.split_once('/').map(|(owner, _)| owner), &branch, Some(&number)),
        None => branch,
    })
}

/// `TRAVIS_COMMIT` of a pull request is a merge.
fn commit(environment: &Environment<'_>) -> Option<Commit> {
    let head = environment.get("TRAVIS_PULL_REQUEST_SHA");
    head.or_else(|| environment.get("TRAVIS_COMMIT"))?.parse().ok()
}

fn url(environment: &Environment<'_>) -> Option<HttpsUrl> {
    environment.parse("TRAVIS_JOB_WEB_URL").or_else(|| environment.parse("TRAVIS_BUILD_WEB_URL"))
}

fn platform(environment: &Environment<'_>) -> Option<Platform> {
    match environment.get("TRAVIS_OS_NAME")?.as_str() {
        "linux" => Some(Platform::Linux),
        "windows" => Some(Platform::Windows),
        "osx" => Some(Platform::MacOs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    const ANY: &str = "CI=true\nTRAVIS=true\nTRAVIS_REPO_SLUG=acme/kit\nTRAVIS_BUILD_ID=46812085\n\
        TRAVIS_BUILD_NUMBER=60\nTRAVIS_JOB_NUMBER=60.1\nTRAVIS_OS_NAME=osx\n\
        TRAVIS_BUILD_WEB_URL=https://app.travis-ci.com/acme/kit/builds/46812085\n\
        TRAVIS_JOB_WEB_URL=https://app.travis-ci.com/acme/kit/jobs/46812086\n\
        TRAVIS_COMMIT=e7090ffc4ef844d1a066a34037c913b429d7dc2a";
    const COMMIT: &str = "e7090ffc4ef844d1a066a34037c913b429d7dc2a";
    const HEAD: &str = "44af8aa0007898d08f1bec401df7c077c1df0722";

    #[track_caller]
    fn check_with(more: &str, branch: &str, commit: &str, tail: &str) {
        check(
            &format!("{more}\n{ANY}"),
            "",
            &format!(
                "Travis\nrepository acme/kit\nbranch {branch}\ncommit {commit}\nrun 46812085\n\
                 url https://app.travis-ci.com/acme/kit/jobs/46812086\nplatform macos\n{tail}"
            ),
        );
    }

    #[test]
    fn pushes_count_for_their_branch() {
        let push = "TRAVIS_EVENT_TYPE=push\nTRAVIS_PULL_REQUEST=false\nTRAVIS_PULL_REQUEST_SLUG=";
        check_with(&format!("{push}\nTRAVIS_BRANCH=feature/x"), "feature/x", COMMIT, "");
    }

    #[test]
    fn pull_requests_count_for_their_source_branch() {
        let from = |repository: &str, branch: &str| {
            format!(
                "TRAVIS_BRANCH=main\nTRAVIS_PULL_REQUEST=14\nTRAVIS_PULL_REQUEST_SHA={HEAD}\n\
                 TRAVIS_PULL_REQUEST_SLUG={repository}\nTRAVIS_PULL_REQUEST_BRANCH={branch}"
            )
        };
        check_with(&from("acme/kit", "feature/x"), "feature/x", HEAD, "");
        check_with(&from("mona/kit", "main"), "mona:main", HEAD, "no key: builds of forks get no secrets");
        check_with(&from("acme/kit", ""), "! TRAVIS_PULL_REQUEST_BRANCH is not set", HEAD, "");
    }

    #[test]
    fn tags_and_merge_queues_have_no_branch() {
        let tag = "TRAVIS_TAG=v1.0\nTRAVIS_BRANCH=v1.0\nTRAVIS_PULL_REQUEST=false";
        check_with(tag, "! this is a build of the tag \"v1.0\"", COMMIT, "");
        check_with(
            "TRAVIS_BRANCH=gh-readonly-queue/main/pr-104",
            "! this is a build of a merge queue, whose branch is temporary",
            COMMIT,
            "",
        );
    }

    #[test]
    fn invalid_values_are_left_out_or_explained() {
        check(
            "TRAVIS=true\nTRAVIS_REPO_SLUG=kit\nTRAVIS_BRANCH=main\nTRAVIS_COMMIT=HEAD\nTRAVIS_OS_NAME=freebsd\n\
             TRAVIS_BUILD_WEB_URL=http://travis.test/1",
            "",
            "Travis
             repository ! \"kit\" is not OWNER/REPO, each 1 to 100 characters of A-Z a-z 0-9 . _ -
             branch main",
        );
    }
}
