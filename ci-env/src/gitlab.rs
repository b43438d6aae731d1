//! GitLab CI/CD: <https://docs.gitlab.com/ci/variables/predefined_variables/>.
//!
//! There is no attempt: a job that is retried has the same pipeline and another `CI_JOB_URL`.
//! There is no platform either: `CI_RUNNER_EXECUTABLE_ARCH` "might not be the same as the environment of the
//! executor". A group within a group makes a repository of three parts, which is [`Absent::Invalid`].

use badgesmith_domain::test_result::Commit;

use super::{Absent, Environment, Found, Provider, Run, Withheld, branch_unless_queue, fork_branch};

/// The run that the variables describe.
pub(super) fn run(environment: &Environment<'_>) -> Run {
    // The repository is that which the pipeline runs in. For a merge request of a fork that is the
    // fork, unless a member of the parent project starts it there:
    // https://docs.gitlab.com/ci/pipelines/merge_request_pipelines/#use-with-forked-projects
    let repository = environment.repository("CI_PROJECT_PATH");
    Run {
        commit: commit(environment),
        // Unique on the whole instance, and the same for all jobs.
        run_id: environment.parse("CI_PIPELINE_ID"),
        run_url: environment.parse("CI_JOB_URL"),
        key_withheld: key_withheld(environment),
        ..Run::new(Provider::GitLab, repository, branch(environment))
    }
}

fn branch(environment: &Environment<'_>) -> Found<String> {
    if let Some(tag) = environment.get("CI_COMMIT_TAG") {
        return Err(Absent::Tag(tag));
    }
    // In merge request pipelines only, merge trains among them; the branch may be that of another project.
    if let Some(branch) = environment.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") {
        let theirs = environment.get("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH").unwrap_or_default();
        let is_ours =
            environment.get("CI_PROJECT_PATH").is_some_and(|ours| ours.eq_ignore_ascii_case(&theirs));
        let namespace = theirs.rsplit_once('/').map(|(namespace, _)| namespace);
        return Ok(if is_ours { branch } else { fork_branch(namespace, &branch) });
    }
    // Not `CI_COMMIT_REF_NAME`: once a merge request is closed, all that is left of it is the bare name of
    // its branch there, whosever that is.
    environment.require("CI_COMMIT_BRANCH").and_then(branch_unless_queue)
}

/// The source branch's last commit where the pipeline tests a merge, which has one of its own.
fn commit(environment: &Environment<'_>) -> Option<Commit> {
    let source = environment.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA");
    source.or_else(|| environment.get("CI_COMMIT_SHA"))?.parse().ok()
}

/// A fork's pipeline has the fork's variables; one of a branch that is not protected no protected ones
/// (<https://docs.gitlab.com/ci/variables/#protect-a-cicd-variable>).
fn key_withheld(environment: &Environment<'_>) -> Option<Withheld> {
    let target = environment.get("CI_MERGE_REQUEST_PROJECT_PATH");
    let runs_in_fork = target.is_some() && target != environment.get("CI_PROJECT_PATH");
    let is_unprotected = environment.get("CI_COMMIT_REF_PROTECTED").is_some_and(|value| value == "false");
    runs_in_fork.then_some(Withheld::Fork).or(is_unprotected.then_some(Withheld::Unprotected))
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    const ANY: &str = "GITLAB_CI=true\nCI=true\nCI_PROJECT_PATH=acme/kit\n\
        CI_COMMIT_SHA=1ecfd275763eff1d6b4844ea3168962458c9f27a\nCI_PIPELINE_ID=1030\nCI_JOB_ID=50\n\
        CI_JOB_URL=https://gitlab.com/acme/kit/-/jobs/50\nCI_RUNNER_EXECUTABLE_ARCH=linux/amd64";
    const ANY_RUN: &str = "commit 1ecfd275763eff1d6b4844ea3168962458c9f27a\nrun 1030\n\
        url https://gitlab.com/acme/kit/-/jobs/50";

    #[track_caller]
    fn check_with(more: &str, head: &str, tail: &str) {
        check(&format!("{more}\n{ANY}"), "", &format!("GitLab\n{head}\n{ANY_RUN}\n{tail}"));
    }

    #[test]
    fn pushes() {
        check_with(
            "CI_COMMIT_BRANCH=main\nCI_COMMIT_REF_NAME=main\nCI_COMMIT_REF_PROTECTED=true",
            "repository acme/kit\nbranch main",
            "",
        );
        check_with(
            "CI_COMMIT_BRANCH=feature/x\nCI_COMMIT_REF_PROTECTED=false",
            "repository acme/kit\nbranch feature/x",
            "no key: branches that are not protected get no protected variables",
        );
    }

    #[test]
    fn a_retried_job_has_another_address_only() {
        check(
            "CI_JOB_URL=https://gitlab.com/acme/kit/-/jobs/51\nGITLAB_CI=true\n\
             CI_PROJECT_PATH=acme/kit\nCI_COMMIT_BRANCH=main\nCI_PIPELINE_ID=1030",
            "",
            "GitLab\nrepository acme/kit\nbranch main\nrun 1030\nurl https://gitlab.com/acme/kit/-/jobs/51",
        );
    }

    #[test]
    fn tags() {
        check_with(
            "CI_COMMIT_TAG=v1.0\nCI_COMMIT_REF_NAME=v1.0",
            "repository acme/kit\nbranch ! this is a build of the tag \"v1.0\"",
            "",
        );
    }

    const MERGE_REQUEST: &str = "CI_PIPELINE_SOURCE=merge_request_event\nCI_MERGE_REQUEST_PROJECT_PATH=acme/kit\n\
        CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=main\nCI_COMMIT_REF_NAME=main\nCI_MERGE_REQUEST_TARGET_BRANCH_NAME=main";

    #[test]
    fn merge_requests() {
        let ours = format!("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH=acme/kit\n{MERGE_REQUEST}");
        check_with(&ours, "repository acme/kit\nbranch main", "");
        let of_fork = format!("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH=mona/tools/kit\n{MERGE_REQUEST}");
        check_with(&of_fork, "repository acme/kit\nbranch mona/tools:main", "");
        check_with(
            &format!(
                "CI_PROJECT_PATH=mona/kit\nCI_MERGE_REQUEST_SOURCE_PROJECT_PATH=mona/kit\n{MERGE_REQUEST}"
            ),
            "repository mona/kit\nbranch main",
            "no key: builds of forks get no secrets",
        );
    }

    #[test]
    fn merge_trains_count_for_the_source_branch_and_its_commit() {
        check(
            "GITLAB_CI=true\nCI_PROJECT_PATH=acme/kit\nCI_MERGE_REQUEST_EVENT_TYPE=merge_train\n\
             CI_MERGE_REQUEST_SOURCE_PROJECT_PATH=acme/kit\nCI_MERGE_REQUEST_PROJECT_PATH=acme/kit\n\
             CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=feature/x\nCI_COMMIT_SHA=1ecfd275763eff1d6b4844ea3168962458c9f27a\n\
             CI_MERGE_REQUEST_SOURCE_BRANCH_SHA=44af8aa0007898d08f1bec401df7c077c1df0722",
            "",
            "GitLab\nrepository acme/kit\nbranch feature/x\ncommit 44af8aa0007898d08f1bec401df7c077c1df0722",
        );
    }

    #[test]
    fn groups_within_groups_are_not_guessed_at() {
        check(
            "GITLAB_CI=true\nCI_PROJECT_PATH=acme/tools/kit\nCI_COMMIT_BRANCH=main\nCI_JOB_URL=http://gitlab.test/1",
            "",
            "GitLab
             repository ! \"acme/tools/kit\" is not OWNER/REPO, each 1 to 100 characters of A-Z a-z 0-9 . _ -
             branch main",
        );
    }
}
