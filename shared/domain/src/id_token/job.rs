//! What started a job, and the branches that it may report results for.

use crate::ids::{Branch, Owner};

/// What started a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The name of the event: `push`.
    pub event: String,
    /// The git reference that the event belongs to: `refs/heads/main`.
    pub reference: String,
}

impl Job {
    /// Whether the job may report results for `branch`.
    ///
    /// Only events whose jobs run the code of a branch prove that branch. A job of `pull_request_target`,
    /// `workflow_run` or `issue_comment` has the default branch as its reference, but may have run the code of anyone.
    /// It may report only under `OWNER:BRANCH`, the branch of a fork, which is the name of no git branch. So may jobs
    /// of events that this version does not know.
    pub fn may_report_for(&self, branch: &Branch) -> bool {
        let branch = branch.as_str();
        match self.event.as_str() {
            "push" | "schedule" | "workflow_dispatch" | "repository_dispatch" => {
                self.reference.strip_prefix("refs/heads/") == Some(branch)
            }
            // Not the branch that the pull request comes from: anyone with a branch can open one from main.
            "pull_request" => {
                let number = branch.strip_prefix("pull/").filter(|number| is_number(number));
                number.is_some_and(|number| self.is_of_pull_request(number))
            }
            _ => is_of_fork(branch),
        }
    }

    /// GitHub tests the merge of a pull request, and Forgejo its head.
    fn is_of_pull_request(&self, number: &str) -> bool {
        let rest = self.reference.strip_prefix("refs/pull/").and_then(|rest| rest.strip_prefix(number));
        matches!(rest, Some("/merge" | "/head"))
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// git allows no colon in the name of a branch: <https://git-scm.com/docs/git-check-ref-format>
fn is_of_fork(branch: &str) -> bool {
    let parts = branch.split_once(':');
    parts.is_some_and(|(owner, branch)| {
        owner.parse::<Owner>().is_ok() && !branch.contains(':') && branch.parse::<Branch>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: &str, reference: &str, branch: &str, expected: bool) {
        let job = Job { event: event.to_owned(), reference: reference.to_owned() };
        assert_eq!(
            job.may_report_for(&branch.parse().unwrap()),
            expected,
            "{event} of {reference} for {branch}"
        );
    }

    #[test]
    fn jobs_of_a_branch_report_for_that_branch() {
        for event in ["push", "schedule", "workflow_dispatch", "repository_dispatch"] {
            check(event, "refs/heads/main", "main", true);
            check(event, "refs/heads/feature/X", "feature/X", true);
            check(event, "refs/heads/feature/X", "feature/x", false);
            check(event, "refs/heads/main2", "main", false);
            check(event, "refs/tags/main", "main", false);
            check(event, "main", "main", false);
            check(event, "refs/pull/7/merge", "pull/7", false);
            check(event, "refs/heads/main", "octocat:main", false);
            check(event, "refs/heads/refs/heads/main", "main", false);
        }
    }

    #[test]
    fn a_pull_request_reports_only_for_its_number() {
        check("pull_request", "refs/pull/7/merge", "pull/7", true);
        check("pull_request", "refs/pull/7/head", "pull/7", true);
        for (reference, branch) in [
            ("refs/pull/7/merge", "main"),
            ("refs/pull/7/merge", "pull/8"),
            ("refs/pull/77/merge", "pull/7"),
            ("refs/pull/7/merge", "pull/77"),
            ("refs/pull/7/merge", "octocat:main"),
            ("refs/heads/main", "main"),
            ("refs/heads/pull/7", "pull/7"),
            ("refs/pull/merge/merge", "pull/merge"),
            ("refs/pull/7/merge/merge", "pull/7/merge"),
        ] {
            check("pull_request", reference, branch, false);
        }
    }

    /// All events, and some that do not exist:
    /// <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>
    #[test]
    fn every_other_event_reports_only_for_branches_of_forks() {
        for event in [
            "branch_protection_rule",
            "check_run",
            "check_suite",
            "create",
            "delete",
            "deployment",
            "deployment_status",
            "discussion",
            "discussion_comment",
            "fork",
            "gollum",
            "image_version",
            "issue_comment",
            "issues",
            "label",
            "merge_group",
            "milestone",
            "page_build",
            "project",
            "project_card",
            "project_column",
            "public",
            "pull_request_comment",
            "pull_request_review",
            "pull_request_review_comment",
            "pull_request_target",
            "registry_package",
            "release",
            "status",
            "watch",
            "workflow_call",
            "workflow_run",
            "dynamic",
            "a_new_event",
            "PUSH",
            "push ",
            "push\0",
            "Pull_Request",
            "",
        ] {
            check(event, "refs/heads/main", "main", false);
            check(event, "refs/pull/7/merge", "pull/7", false);
            check(event, "refs/heads/main", "octocat:main", true);
            for branch in [":main", "octocat:", "a b:main", "octocat:a:b", "octocat:a//b"] {
                if let Ok(branch) = branch.parse::<Branch>() {
                    check(event, "refs/heads/main", branch.as_str(), false);
                }
            }
        }
    }
}
