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
