//! Names of branches: full references, merge queues and forks.

use crate::run::MissingReason;

/// The branch of a full reference, such as `refs/heads/main`.
pub(crate) fn from_reference(reference: &str) -> Result<String, MissingReason> {
    if let Some(branch) = reference.strip_prefix("refs/heads/") {
        unless_merge_queue(branch.to_owned())
    } else if let Some(tag) = reference.strip_prefix("refs/tags/") {
        Err(MissingReason::Tag(tag.to_owned()))
    } else {
        Err(MissingReason::NotABranch(reference.to_owned()))
    }
}

/// The branch, unless GitHub's merge queue made it. Other CI systems see those as pushed branches.
///
/// <https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/configuring-pull-request-merges/managing-a-merge-queue>
pub(crate) fn unless_merge_queue(branch: String) -> Result<String, MissingReason> {
    if branch.starts_with("gh-readonly-queue/") { Err(MissingReason::MergeQueue) } else { Ok(branch) }
}

/// `OWNER:BRANCH`, as GitHub writes the branch of a fork, or `fork:BRANCH` if the owner is unknown.
pub(crate) fn in_fork(owner: Option<&str>, branch: &str) -> String {
    format!("{}:{branch}", owner.unwrap_or("fork"))
}
