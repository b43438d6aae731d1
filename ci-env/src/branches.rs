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

/// `OWNER:BRANCH`, as GitHub writes the branch of a fork. If the owner is unknown, `pull/NUMBER`, which a fork cannot
/// choose, or `fork:BRANCH` if the number is unknown, too.
pub(crate) fn in_fork(owner: Option<&str>, branch: &str, number: Option<&str>) -> String {
    match (owner, number) {
        (Some(owner), _) => format!("{owner}:{branch}"),
        (None, Some(number)) => pull_request(number),
        (None, None) => format!("fork:{branch}"),
    }
}

/// A pull request whose branch or whose repository is unknown.
pub(crate) fn pull_request(number: &str) -> String {
    format!("pull/{number}")
}

/// The source branch of a pull request if the CI system does not distinguish forks. A pull request whose source and
/// target have the same name comes from a fork, and so does nearly every one whose source is named like the default
/// branch.
pub(crate) fn of_pull_request(source: String, others: &[Option<String>], number: Option<&str>) -> String {
    if others.contains(&Some(source.clone())) { in_fork(None, &source, number) } else { source }
}
