//! GitLab CI/CD: <https://docs.gitlab.com/ci/variables/predefined_variables/>.
//!
//! There is no attempt: a job that is retried has the same pipeline and another `CI_JOB_URL`.
//! There is no platform either: `CI_RUNNER_EXECUTABLE_ARCH` "might not be the same as the environment of the
//! executor". A group within a group makes a repository of three parts, which is [`MissingReason::Invalid`].

use badgesmith_domain::test_result::Commit;

use crate::branches;
use crate::environment::Environment;
use crate::provider::Provider;
use crate::run::{CiRun, MissingReason, NoSecretReason};

pub(crate) fn run(environment: &Environment<'_>) -> CiRun {
    // The repository that the pipeline runs in. For a merge request of a fork that is the fork, unless a member of
    // the parent project starts the pipeline there:
    // https://docs.gitlab.com/ci/pipelines/merge_request_pipelines/#use-with-forked-projects
    let repository = environment.repository("CI_PROJECT_PATH");
    CiRun {
        commit: commit(environment),
        // Unique on the whole instance, and the same for all jobs.
        run_id: environment.parse("CI_PIPELINE_ID"),
        run_url: environment.parse("CI_JOB_URL"),
        default_branch: environment.parse("CI_DEFAULT_BRANCH"),
        no_secret_reason: no_secret_reason(environment),
        ..CiRun::new(Provider::GitLab, repository, branch(environment))
    }
}

fn branch(environment: &Environment<'_>) -> Result<String, MissingReason> {
    if let Some(tag) = environment.get("CI_COMMIT_TAG") {
        return Err(MissingReason::Tag(tag));
    }
    // Only merge request pipelines have it, merge trains included. The branch may be that of another project.
    if let Some(branch) = environment.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") {
        let source = environment.get("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH").unwrap_or_default();
        let is_same_project =
            environment.get("CI_PROJECT_PATH").is_some_and(|project| project.eq_ignore_ascii_case(&source));
        let namespace = source.rsplit_once('/').map(|(namespace, _)| namespace);
        let number = environment.get("CI_MERGE_REQUEST_IID");
        return Ok(if is_same_project {
            branch
        } else {
            branches::in_fork(namespace, &branch, number.as_deref())
        });
    }
    // Not `CI_COMMIT_REF_NAME`: after a merge request is closed, it still holds the bare name of the branch,
    // even of a fork's.
    environment.require("CI_COMMIT_BRANCH").and_then(branches::unless_merge_queue)
}

/// The source branch's last commit; where the pipeline tests a merge, `CI_COMMIT_SHA` is the merge commit.
fn commit(environment: &Environment<'_>) -> Option<Commit> {
    let source = environment.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA");
    source.or_else(|| environment.get("CI_COMMIT_SHA"))?.parse().ok()
}

/// A fork's pipeline has the fork's variables; that of an unprotected branch has no protected ones
/// (<https://docs.gitlab.com/ci/variables/#protect-a-cicd-variable>).
fn no_secret_reason(environment: &Environment<'_>) -> Option<NoSecretReason> {
    let target = environment.get("CI_MERGE_REQUEST_PROJECT_PATH");
    let runs_in_fork = target.is_some() && target != environment.get("CI_PROJECT_PATH");
    let is_unprotected = environment.get("CI_COMMIT_REF_PROTECTED").is_some_and(|value| value == "false");
    runs_in_fork.then_some(NoSecretReason::Fork).or(is_unprotected.then_some(NoSecretReason::Unprotected))
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
    fn pushes_count_for_their_branch() {
        check_with(
            "CI_COMMIT_BRANCH=main\nCI_COMMIT_REF_NAME=main\nCI_COMMIT_REF_PROTECTED=true",
            "repository acme/kit\nbranch main",
            "",
        );
        check_with(
            "CI_COMMIT_BRANCH=feature/x\nCI_COMMIT_REF_PROTECTED=false",
            "repository acme/kit\nbranch feature/x",
            "no key: unprotected branches get no protected variables",
        );
    }

    #[test]
    fn a_retried_job_has_only_another_url() {
        check(
            "CI_JOB_URL=https://gitlab.com/acme/kit/-/jobs/51\nGITLAB_CI=true\n\
             CI_PROJECT_PATH=acme/kit\nCI_COMMIT_BRANCH=main\nCI_PIPELINE_ID=1030",
            "",
            "GitLab\nrepository acme/kit\nbranch main\nrun 1030\nurl https://gitlab.com/acme/kit/-/jobs/51",
        );
    }

    #[test]
    fn tags_have_no_branch() {
        check_with(
            "CI_COMMIT_TAG=v1.0\nCI_COMMIT_REF_NAME=v1.0",
            "repository acme/kit\nbranch ! this is a build of the tag \"v1.0\"",
            "",
        );
    }

    const MERGE_REQUEST: &str = "CI_PIPELINE_SOURCE=merge_request_event\nCI_MERGE_REQUEST_PROJECT_PATH=acme/kit\n\
        CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=main\nCI_COMMIT_REF_NAME=main\nCI_MERGE_REQUEST_TARGET_BRANCH_NAME=main";

    #[test]
    fn merge_requests_count_for_their_source_branch() {
        let same_project = format!("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH=acme/kit\n{MERGE_REQUEST}");
        check_with(&same_project, "repository acme/kit\nbranch main", "");
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
    fn repositories_in_nested_groups_are_not_guessed() {
        check(
            "GITLAB_CI=true\nCI_PROJECT_PATH=acme/tools/kit\nCI_COMMIT_BRANCH=main\nCI_JOB_URL=http://gitlab.test/1",
            "",
            "GitLab
             repository ! \"acme/tools/kit\" is not OWNER/REPO, each 1 to 100 characters of A-Z a-z 0-9 . _ -
             branch main",
        );
    }
}
