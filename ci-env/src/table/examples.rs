//! An example of each CI system: repository `acme/kit`, branch `main`, pull request 14 from `feature/x` or from `main`
//! of `mona/kit`, tag `v1.0`.

use crate::Provider;

/// The environment of a job, and the content of the file `/event.json`.
pub(super) struct Event {
    pub(super) variables: String,
    pub(super) file: String,
}

pub(super) struct Example {
    pub(super) provider: Provider,
    /// The CI system, and the plugin where several build pull requests.
    pub(super) name: &'static str,
    /// Whether the repository and the run come from variables of its own.
    pub(super) has_own_run: bool,
    pub(super) push: Event,
    pub(super) pull_request: Option<Event>,
    /// None where the fork's own project runs the job.
    pub(super) fork: Option<Event>,
    pub(super) tag: Event,
}

/// An example whose events differ in the variables alone.
fn example(
    (provider, name): (Provider, &'static str),
    common: &str,
    [push, pull_request, fork, tag]: [&str; 4],
) -> Example {
    let event = |variables: &str| Event { variables: format!("{common}\n{variables}"), file: String::new() };
    let optional = |variables: &str| (!variables.is_empty()).then(|| event(variables));
    Example {
        provider,
        name,
        has_own_run: true,
        push: event(push),
        pull_request: optional(pull_request),
        fork: optional(fork),
        tag: event(tag),
    }
}

/// An example whose events have the same variables, apart from those given, and different files.
fn with_files(mut example: Example, [push, pull_request, fork, tag]: [String; 4]) -> Example {
    example.push.file = push;
    example.tag.file = tag;
    for (event, file) in [(&mut example.pull_request, pull_request), (&mut example.fork, fork)] {
        if let Some(event) = event {
            event.file = file;
        }
    }
    example
}

const SHA: &str = "ffac537e6cbbf934b08745a378932722df287a53";

pub(super) fn examples() -> Vec<Example> {
    let mut examples = vec![
        github(Provider::GitHubActions, "GitHub Actions", "GITHUB_ACTIONS=true"),
        github(
            Provider::Forgejo,
            "Forgejo Actions",
            "FORGEJO_ACTIONS=true\nGITEA_ACTIONS=true\nGITHUB_ACTIONS=true",
        ),
        github(Provider::Gitea, "Gitea Actions", "GITEA_ACTIONS=true\nGITHUB_ACTIONS=true"),
        gitlab(),
        azure(),
        bitbucket(),
        circle(),
        buildkite(),
        appveyor(),
        travis(),
        woodpecker(),
        drone(),
        teamcity(),
    ];
    examples.extend(jenkins());
    examples
}

fn github(provider: Provider, name: &'static str, identification: &str) -> Example {
    let common = format!(
        "{identification}\nGITHUB_REPOSITORY=acme/kit\nGITHUB_SHA={SHA}\nGITHUB_RUN_ID=44\nGITHUB_RUN_NUMBER=36\n\
         GITHUB_RUN_ATTEMPT=1\nGITHUB_SERVER_URL=https://git.test\nGITHUB_WORKFLOW=ci\nGITHUB_JOB=test\n\
         BADGESMITH_MATRIX=[12]\nRUNNER_OS=Linux\nGITHUB_EVENT_PATH=/event.json"
    );
    let pull_request = "GITHUB_EVENT_NAME=pull_request\nGITHUB_REF=refs/pull/14/merge";
    let head = |repository: &str, branch: &str| {
        format!(
            r#"{{"pull_request": {{"number": 14, "head": {{"ref": "{branch}", "sha": "{SHA}",
                "repo": {{"full_name": "{repository}"}}}}}}}}"#
        )
    };
    let events = [
        "GITHUB_EVENT_NAME=push\nGITHUB_REF=refs/heads/main",
        pull_request,
        pull_request,
        "GITHUB_EVENT_NAME=push\nGITHUB_REF=refs/tags/v1.0",
    ];
    let files = [String::new(), head("acme/kit", "feature/x"), head("mona/kit", "main"), String::new()];
    with_files(example((provider, name), &common, events), files)
}

fn gitlab() -> Example {
    let common = format!(
        "GITLAB_CI=true\nCI_PROJECT_PATH=acme/kit\nCI_COMMIT_SHA={SHA}\nCI_PIPELINE_ID=1030\nCI_JOB_NAME=test\n\
         CI_JOB_URL=https://gitlab.com/acme/kit/-/jobs/50"
    );
    let events = [
        "CI_COMMIT_BRANCH=main",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=feature/x\nCI_MERGE_REQUEST_SOURCE_PROJECT_PATH=acme/kit",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=main\nCI_MERGE_REQUEST_SOURCE_PROJECT_PATH=mona/kit",
        "CI_COMMIT_TAG=v1.0",
    ];
    example((Provider::GitLab, "GitLab CI"), &common, events)
}

fn azure() -> Example {
    let common = format!(
        "TF_BUILD=True\nBUILD_REPOSITORY_NAME=acme/kit\nBUILD_SOURCEVERSION={SHA}\nBUILD_BUILDID=4711\n\
         SYSTEM_STAGEATTEMPT=1\nSYSTEM_JOBATTEMPT=2\nSYSTEM_TEAMFOUNDATIONCOLLECTIONURI=https://dev.azure.com/acme/\n\
         SYSTEM_TEAMPROJECTID=eb6e4656\nAGENT_OS=Linux\nBUILD_DEFINITIONNAME=kit\nSYSTEM_JOBIDENTIFIER=Test.Unit"
    );
    let events = [
        "BUILD_SOURCEBRANCH=refs/heads/main",
        "SYSTEM_PULLREQUEST_SOURCEBRANCH=feature/x\nSYSTEM_PULLREQUEST_ISFORK=False",
        "SYSTEM_PULLREQUEST_SOURCEBRANCH=main\nSYSTEM_PULLREQUEST_ISFORK=True\n\
         SYSTEM_PULLREQUEST_SOURCEREPOSITORYURI=https://github.com/mona/kit",
        "BUILD_SOURCEBRANCH=refs/tags/v1.0",
    ];
    example((Provider::AzurePipelines, "Azure Pipelines"), &common, events)
}

fn bitbucket() -> Example {
    let common = format!(
        "BITBUCKET_BUILD_NUMBER=7\nBITBUCKET_REPO_FULL_NAME=acme/kit\nBITBUCKET_COMMIT={SHA}\n\
         BITBUCKET_STEP_RUN_NUMBER=1"
    );
    let events =
        ["BITBUCKET_BRANCH=main", "BITBUCKET_BRANCH=feature/x\nBITBUCKET_PR_ID=14", "", "BITBUCKET_TAG=v1.0"];
    example((Provider::Bitbucket, "Bitbucket Pipelines"), &common, events)
}

fn circle() -> Example {
    let common = format!(
        "CIRCLECI=true\nCIRCLE_PROJECT_USERNAME=acme\nCIRCLE_PROJECT_REPONAME=kit\nCIRCLE_SHA1={SHA}\n\
         CIRCLE_WORKFLOW_ID=5034460f\nCIRCLE_BUILD_URL=https://circleci.com/gh/acme/kit/618\nCIRCLE_JOB=test\n\
         CIRCLE_NODE_INDEX=1\nCIRCLE_NODE_TOTAL=4"
    );
    let events = [
        "CIRCLE_BRANCH=main",
        "CIRCLE_BRANCH=feature/x",
        "CIRCLE_BRANCH=main\nCIRCLE_PR_USERNAME=mona",
        "CIRCLE_TAG=v1.0",
    ];
    example((Provider::CircleCi, "CircleCI"), &common, events)
}

fn buildkite() -> Example {
    let common = format!(
        "BUILDKITE=true\nBUILDKITE_REPO=https://github.com/acme/kit\nBUILDKITE_COMMIT={SHA}\n\
         BUILDKITE_BUILD_ID=47350057\nBUILDKITE_RETRY_COUNT=1\nBUILDKITE_JOB_ID=e44f9784\n\
         BUILDKITE_BUILD_URL=https://buildkite.com/acme/kit/builds/1514\nBUILDKITE_PIPELINE_SLUG=kit\n\
         BUILDKITE_LABEL=test\nBUILDKITE_PARALLEL_JOB=1\nBUILDKITE_PARALLEL_JOB_COUNT=4"
    );
    let events = [
        "BUILDKITE_BRANCH=main",
        "BUILDKITE_BRANCH=feature/x\nBUILDKITE_PULL_REQUEST_REPO=https://github.com/acme/kit",
        "BUILDKITE_BRANCH=main\nBUILDKITE_PULL_REQUEST_REPO=https://github.com/mona/kit",
        "BUILDKITE_TAG=v1.0",
    ];
    example((Provider::Buildkite, "Buildkite"), &common, events)
}

fn appveyor() -> Example {
    let common = format!(
        "APPVEYOR=True\nAPPVEYOR_REPO_NAME=acme/kit\nAPPVEYOR_REPO_COMMIT={SHA}\nAPPVEYOR_BUILD_ID=16428432\n\
         APPVEYOR_URL=https://ci.appveyor.com\nAPPVEYOR_ACCOUNT_NAME=acme\nAPPVEYOR_PROJECT_SLUG=kit\n\
         APPVEYOR_JOB_ID=v8xadmxjx5ys0fhw\nAPPVEYOR_JOB_NAME=Image: Ubuntu"
    );
    let head = |repository: &str, branch: &str| {
        format!(
            "APPVEYOR_PULL_REQUEST_NUMBER=14\nAPPVEYOR_PULL_REQUEST_HEAD_REPO_NAME={repository}\n\
             APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH={branch}"
        )
    };
    let events = [
        "APPVEYOR_REPO_BRANCH=main",
        &head("acme/kit", "feature/x"),
        &head("mona/kit", "main"),
        "APPVEYOR_REPO_TAG_NAME=v1.0",
    ];
    example((Provider::AppVeyor, "AppVeyor"), &common, events)
}

fn travis() -> Example {
    let common = format!(
        "TRAVIS=true\nTRAVIS_REPO_SLUG=acme/kit\nTRAVIS_COMMIT={SHA}\nTRAVIS_BUILD_ID=46812085\n\
         TRAVIS_JOB_WEB_URL=https://app.travis-ci.com/acme/kit/jobs/46812086\nTRAVIS_OS_NAME=linux\n\
         TRAVIS_JOB_NAME=test"
    );
    let head = |repository: &str, branch: &str| {
        format!(
            "TRAVIS_PULL_REQUEST=14\nTRAVIS_PULL_REQUEST_SLUG={repository}\nTRAVIS_PULL_REQUEST_BRANCH={branch}"
        )
    };
    let events =
        ["TRAVIS_BRANCH=main", &head("acme/kit", "feature/x"), &head("mona/kit", "main"), "TRAVIS_TAG=v1.0"];
    example((Provider::Travis, "Travis CI"), &common, events)
}

fn woodpecker() -> Example {
    let common = format!(
        "CI=woodpecker\nCI_REPO=acme/kit\nCI_COMMIT_SHA={SHA}\nCI_PIPELINE_NUMBER=8\n\
         CI_PIPELINE_URL=https://ci.test/repos/7/pipeline/8"
    );
    let events = [
        "CI_COMMIT_BRANCH=main",
        "CI_COMMIT_PULL_REQUEST=14\nCI_COMMIT_SOURCE_BRANCH=feature/x\nCI_COMMIT_TARGET_BRANCH=main",
        "CI_COMMIT_PULL_REQUEST=14\nCI_COMMIT_SOURCE_BRANCH=main\nCI_COMMIT_TARGET_BRANCH=main",
        "CI_COMMIT_TAG=v1.0",
    ];
    example((Provider::Woodpecker, "Woodpecker"), &common, events)
}

fn drone() -> Example {
    let common = format!(
        "DRONE=true\nDRONE_REPO=acme/kit\nDRONE_COMMIT_SHA={SHA}\nDRONE_BUILD_NUMBER=42\n\
         DRONE_BUILD_LINK=https://drone.test/acme/kit/42\nDRONE_STAGE_OS=linux\nDRONE_STAGE_NAME=default\n\
         DRONE_STEP_NAME=test"
    );
    let events = [
        "DRONE_BRANCH=main",
        "DRONE_PULL_REQUEST=14\nDRONE_SOURCE_BRANCH=feature/x\nDRONE_TARGET_BRANCH=main",
        "DRONE_PULL_REQUEST=14\nDRONE_SOURCE_BRANCH=main\nDRONE_TARGET_BRANCH=main",
        "DRONE_TAG=v1.0",
    ];
    example((Provider::Drone, "Drone"), &common, events)
}

fn teamcity() -> Example {
    let common = format!(
        "TEAMCITY_VERSION=2025.11\nBUILD_VCS_NUMBER={SHA}\nBUILD_URL=https://teamcity.test/build/4711\n\
         TEAMCITY_PROJECT_NAME=kit\nTEAMCITY_BUILDCONF_NAME=test\nTEAMCITY_BUILD_PROPERTIES_FILE=/event.json"
    );
    let file = |more: &str| {
        format!(
            "teamcity.configuration.properties.file=/event.json\nteamcity.build.id=4711\n\
             vcsroot.url=https\\://github.com/acme/kit\n{more}"
        )
    };
    let files = [
        file("teamcity.build.branch=main"),
        file("teamcity.pullRequest.number=14\nteamcity.pullRequest.source.branch=feature/x"),
        file("teamcity.pullRequest.number=14"),
        file("teamcity.build.vcs.branch.Kit=refs/tags/v1.0"),
    ];
    with_files(example((Provider::TeamCity, "TeamCity"), &common, [" ", " ", " ", " "]), files)
}

fn jenkins() -> Vec<Example> {
    let common = format!(
        "JENKINS_URL=https://ci.test/\nJENKINS_HOME=/var/jenkins\nGIT_URL=https://github.com/acme/kit.git\n\
         GIT_COMMIT={SHA}\nBUILD_NUMBER=153\nBUILD_URL=https://ci.test/job/kit/153/\nJOB_NAME=kit\nSTAGE_NAME=test"
    );
    let multibranch = [
        "BRANCH_NAME=main",
        "CHANGE_ID=14\nCHANGE_BRANCH=feature/x",
        "CHANGE_ID=14\nCHANGE_BRANCH=main\nCHANGE_FORK=mona",
        "TAG_NAME=v1.0",
    ];
    let other = ["GIT_BRANCH=origin/main", "", "", "GIT_BRANCH=refs/tags/v1.0"];
    // `BRANCH;` and `OWNER;` stand for those of the pull request.
    let plugin = |name: &'static str, variables: &str| {
        let from = |branch: &str, owner: &str| variables.replace("BRANCH;", branch).replace("OWNER;", owner);
        let events = [other[0], &from("feature/x", "acme"), &from("main", "mona"), other[3]];
        Example { has_own_run: false, ..example((Provider::Jenkins, name), &common, events) }
    };
    vec![
        example((Provider::Jenkins, "Jenkins, multibranch projects"), &common, multibranch),
        example((Provider::Jenkins, "Jenkins, other projects"), &common, other),
        plugin(
            "Jenkins, GitHub Pull Request Builder",
            "ghprbPullId=14\nghprbSourceBranch=BRANCH;\nghprbAuthorRepoGitUrl=https://github.com/OWNER;/kit\n\
             ghprbGhRepository=acme/kit",
        ),
        plugin(
            "Jenkins, GitHub Integration",
            "GITHUB_PR_NUMBER=14\nGITHUB_PR_SOURCE_BRANCH=BRANCH;\nGITHUB_PR_SOURCE_REPO_OWNER=OWNER;\n\
             GITHUB_PR_URL=https://github.com/acme/kit/pull/14",
        ),
        plugin(
            "Jenkins, GitLab",
            "gitlabMergeRequestIid=14\ngitlabSourceBranch=BRANCH;\n\
             gitlabSourceRepoHttpUrl=https://gitlab.com/OWNER;/kit\n\
             gitlabTargetRepoHttpUrl=https://gitlab.com/acme/kit",
        ),
        plugin(
            "Jenkins, Bitbucket Push and Pull Request",
            "BITBUCKET_PULL_REQUEST_ID=14\nBITBUCKET_SOURCE_BRANCH=BRANCH;\nBITBUCKET_TARGET_BRANCH=main",
        ),
        plugin(
            "Jenkins, Bitbucket Pull Request Builder",
            "pullRequestId=14\nsourceBranch=BRANCH;\nrepositoryOwner=OWNER;\nrepositoryName=kit\n\
             destinationRepositoryOwner=acme\ndestinationRepositoryName=kit",
        ),
        plugin(
            "Jenkins, Stash Pull Request Builder",
            "pullRequestId=14\nsourceBranch=BRANCH;\nsourceRepositoryOwner=OWNER;\nsourceRepositoryName=kit\n\
             destinationRepositoryOwner=acme\ndestinationRepositoryName=kit",
        ),
    ]
}
