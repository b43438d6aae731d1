//! Jenkins.
//!
//! - `BUILD_*`: <https://www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables>.
//! - `GIT_*`, where the git plugin checked out, which in a scripted pipeline only the step's result tells:
//!   <https://plugins.jenkins.io/git/#plugin-content-environment-variables>.
//! - `BRANCH_NAME`, `TAG_NAME` and `CHANGE_*`, in multibranch projects:
//!   <https://github.com/jenkinsci/branch-api-plugin/blob/master/src/main/resources/jenkins/branch/BranchNameContributor/buildEnv.properties>.
//!
//! There is no attempt, since a build that is run again has another number; and no platform.

use super::{
    Absent, Environment, Found, Provider, Run, Withheld, branch_of, branch_unless_queue, fork_branch, git_url,
};

/// The run that the variables describe.
pub(super) fn run(environment: &Environment<'_>) -> Run {
    let repository = environment.require("GIT_URL").and_then(|url| git_url::repository_of(&url));
    // The fork's owner, or `OWNER/REPO` where its name differs.
    let fork = environment.get("CHANGE_FORK");
    Run {
        // Of a change it may be a merge that Jenkins made itself.
        commit: environment.parse("GIT_COMMIT"),
        // Unique in its job, thus in the branch of a multibranch project.
        run_id: environment.parse("BUILD_NUMBER"),
        // Often `http`, which the service refuses.
        run_url: environment.parse("BUILD_URL"),
        key_withheld: fork.as_ref().map(|_| Withheld::Fork),
        ..Run::new(Provider::Jenkins, repository, branch(environment, fork.as_deref()))
    }
}

fn branch(environment: &Environment<'_>, fork: Option<&str>) -> Found<String> {
    if let Some(tag) = environment.get("TAG_NAME") {
        return Err(Absent::Tag(tag));
    }
    // Of a change, `BRANCH_NAME` is something like `PR-24`.
    if environment.get("CHANGE_ID").is_some() {
        let branch = environment.require("CHANGE_BRANCH")?;
        let owner = fork.map(|fork| fork.split_once('/').map_or(fork, |(owner, _)| owner));
        return Ok(if owner.is_some() { fork_branch(owner, &branch) } else { branch });
    }
    match environment.get("BRANCH_NAME").or_else(|| environment.get("GIT_LOCAL_BRANCH")) {
        Some(branch) => branch_unless_queue(branch),
        None => environment.require("GIT_BRANCH").and_then(|branch| of_remote(&branch)),
    }
}

/// `GIT_BRANCH` with the remote's name, `origin/main`, or `detached` where a commit is checked out. Of remotes
/// with other names the name stays: nothing tells where it ends.
fn of_remote(branch: &str) -> Found<String> {
    if branch.starts_with("refs/heads/") || branch.starts_with("refs/tags/") {
        return branch_of(branch);
    }
    let branch = branch.strip_prefix("refs/remotes/").unwrap_or(branch);
    let branch = branch.strip_prefix("origin/").unwrap_or(branch);
    if matches!(branch, "detached" | "HEAD") {
        return Err(Absent::NotABranch(branch.to_owned()));
    }
    branch_unless_queue(branch.to_owned())
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
    fn multibranch_projects() {
        check_with("BRANCH_NAME=feature/x\nGIT_BRANCH=feature/x", "feature/x", "");
        check_with("BRANCH_NAME=v1.0\nTAG_NAME=v1.0", "! this is a build of the tag \"v1.0\"", "");
        let change =
            "BRANCH_NAME=PR-24\nCHANGE_ID=24\nCHANGE_BRANCH=main\nCHANGE_TARGET=main\nGIT_BRANCH=PR-24";
        check_with(change, "main", "");
        let none = "no key: builds of forks get no secrets";
        check_with(&format!("{change}\nCHANGE_FORK=mona"), "mona:main", none);
        check_with(&format!("{change}\nCHANGE_FORK=mona/tools"), "mona:main", none);
        check_with("BRANCH_NAME=PR-24\nCHANGE_ID=24", "! CHANGE_BRANCH is not set", "");
    }

    #[test]
    fn other_projects() {
        check_with("GIT_BRANCH=origin/release/1.0", "release/1.0", "");
        check_with("GIT_BRANCH=refs/remotes/origin/main", "main", "");
        check_with("GIT_BRANCH=refs/tags/v1.0", "! this is a build of the tag \"v1.0\"", "");
        check_with("GIT_BRANCH=origin/main\nGIT_LOCAL_BRANCH=main", "main", "");
        check_with("GIT_BRANCH=detached", "! \"detached\" is not a branch", "");
        check_with(
            "GIT_BRANCH=origin/gh-readonly-queue/main/pr-104",
            "! this is a build of a merge queue, whose branch is temporary",
            "",
        );
    }

    #[test]
    fn scripted_pipelines_on_plain_http_know_little() {
        check(
            "JENKINS_HOME=/var/jenkins\nBUILD_NUMBER=153\nBUILD_URL=http://ci.test/job/kit/153/",
            "",
            "Jenkins\nrepository ! GIT_URL is not set\nbranch ! GIT_BRANCH is not set\nrun 153",
        );
    }
}
