//! Names of branches: full references, merge queues and forks.

use crate::run::MissingReason;

/// The branch of a full reference, such as `refs/heads/main`.
pub(crate) fn from_reference(reference: &str) -> Result<String, MissingReason> {
    if let Some(branch) = reference.strip_prefix("refs/heads/") {
        unless_merge_queue(branch.to_owned())
    } else if let Some(tag) = reference.strip_prefix("refs/tags/") {
        Err(MissingReason::Tag(tag.to_owned()))
    } else if let Some(number) = number_of_pull_request(reference) {
        Ok(pull_request(number))
    } else {
        Err(MissingReason::NotABranch(reference.to_owned()))
    }
}

/// The branch of a name that may be the reference of a pull request.
pub(crate) fn from_name(name: &str) -> Result<String, MissingReason> {
    match number_of_pull_request(name) {
        Some(number) => Ok(pull_request(number)),
        None => unless_merge_queue(name.to_owned()),
    }
}

/// The number in the reference of a pull request, which a job can fetch without a plugin: `pull/14/head` of GitHub,
/// which many jobs call `pr/14/head`, `merge-requests/14/head` of GitLab, `pull-requests/14/from` of Bitbucket.
fn number_of_pull_request(reference: &str) -> Option<&str> {
    let mut parts = reference.strip_prefix("refs/").unwrap_or(reference).split('/');
    let is_pull_request = matches!(parts.next()?, "pr" | "pull" | "pull-requests" | "merge-requests");
    let number = parts.next()?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_head = matches!(parts.next()?, "head" | "merge" | "from");
    (is_pull_request && is_number && is_head && parts.next().is_none()).then_some(number)
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
