//! The tag of the run that triggered a `workflow_run`.
//!
//! The event has the tag's name in `head_branch`, but no field for the type of the reference:
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_run>.

use serde_json::Value;

use super::Event;

const V: [char; 2] = ['v', 'V'];

impl Event {
    /// The tag, if the event shows that the triggering run was for a tag. A tag that is not named like a version looks
    /// like a branch.
    pub(super) fn triggering_tag(&self, head_branch: &str) -> Option<String> {
        if let Some(tag) = head_branch.strip_prefix("refs/tags/") {
            return Some(tag.to_owned());
        }
        let is_tag = match self.text("/workflow_run/event") {
            // These can be for a branch or for a tag. Runs for other events are for a branch.
            Some("push" | "create" | "workflow_dispatch" | "deployment" | "deployment_status") | None => {
                !self.is_known_branch(head_branch)
                    && (self.calls_workflow_at("refs/tags/", head_branch) || is_version(head_branch))
            }
            event => event == Some("release"),
        };
        is_tag.then(|| head_branch.to_owned())
    }

    /// Whether the event shows that the name is a branch: it has a pull request, it is the default branch, or the run
    /// called a workflow of its repository at that branch.
    fn is_known_branch(&self, name: &str) -> bool {
        let pull_requests = self.payload.pointer("/workflow_run/pull_requests").and_then(Value::as_array);
        pull_requests.is_some_and(|pull_requests| !pull_requests.is_empty())
            || self.text("/repository/default_branch") == Some(name)
            || self.calls_workflow_at("refs/heads/", name)
    }

    fn calls_workflow_at(&self, prefix: &str, name: &str) -> bool {
        let workflows = self.payload.pointer("/workflow_run/referenced_workflows").and_then(Value::as_array);
        workflows.into_iter().flatten().any(|workflow| {
            let reference = workflow.get("ref").and_then(Value::as_str);
            reference.and_then(|reference| reference.strip_prefix(prefix)) == Some(name)
        })
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.payload.pointer(pointer)?.as_str()
    }
}

/// Whether a name is or ends with a full version: `v1.2.3`, `1.2.3-rc.1`, `kit@1.2.3`, `kit-v1.2.3` of release-please,
/// `kit/v1.2.3` of Go modules. Branches are called `1.2`, `v1.2.x`, or as git-flow does: `release/v1.2.3`.
fn is_version(name: &str) -> bool {
    if ["feature/", "hotfix/", "release/", "releases/"].iter().any(|prefix| name.starts_with(prefix)) {
        return false;
    }
    let name = name.rsplit_once('@').map_or(name, |(_, version)| version);
    let mut tails = name.rmatch_indices(['/', '-']).filter_map(|(index, _)| name.get(index + 1..));
    let after_name = tails.find(|tail| tail.strip_prefix(V).is_some_and(starts_with_digit));
    has_three_numbers(name) || after_name.is_some_and(has_three_numbers)
}

/// Whether a version has at least three numbers. The last one may have a suffix without a separator: `1.2.3rc1`.
fn has_three_numbers(version: &str) -> bool {
    let version = version.strip_prefix(V).unwrap_or(version);
    let core = version.split(['-', '+']).next().unwrap_or_default();
    core.split('.').count() >= 3 && core.split('.').all(starts_with_digit)
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|character: char| character.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn versions_have_three_numbers() {
        for name in
            ["v1.2.3", "1.2.3", "V1.2.3", "2026.11.27", "1.2.3.4", "v1.2.3-rc.1", "1.2.3+5", "1.2.3rc1"]
        {
            assert!(is_version(name), "{name}");
        }
        for name in [
            "kit@1.2.3",
            "@acme/kit@1.2.3",
            "kit-v1.2.3",
            "my-kit-v1.2.3-rc.1",
            "kit/v1.2.3",
            "libs/kit/v1.2.3",
            "libs/kit-v1.2.3",
            "1.2.3-v2",
        ] {
            assert!(is_version(name), "{name}");
        }
        for name in [
            "main",
            "v1",
            "1.2",
            "v1.2",
            "1.2.x",
            "v1.x",
            "release/1.2.3",
            "release-1.2.3",
            "bump-1.2.3",
            "a.b.c",
            "dependabot/npm/kit-1.2.3",
            "feature/v1.2",
            "release/v1.2.3",
            "kit-v1",
            "fix-v1.2.x",
            "kit-dev1.2.3",
            "kit-version1.2.3",
            "kit/1.2.3",
            "kit-v",
            "1..2",
            "",
            "v",
            "..",
        ] {
            assert!(!is_version(name), "{name}");
        }
    }
}
