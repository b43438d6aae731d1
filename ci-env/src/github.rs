//! GitHub Actions.
//!
//! Variables: <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>.
//! What `GITHUB_REF` and `GITHUB_SHA` are for each event:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>.
//! Fields of the event's file: <https://docs.github.com/en/webhooks/webhook-events-and-payloads>.

use std::path::Path;
use std::str::FromStr;

use badgesmith_domain::test_result::{Commit, HttpsUrl};
use serde_json::Value;

use super::{
    Absent, Environment, Found, Provider, Run, Withheld, branch_of, branch_unless_queue, fork_branch,
};

/// The run that the variables describe, or for `workflow_run` the run that it follows.
pub(super) fn run(environment: &Environment<'_>) -> Run {
    let run = Event::of(environment).run(environment);
    Run {
        run_url: url(environment, &run),
        // `Linux`, `Windows` or `macOS`.
        platform: environment.parse("RUNNER_OS"),
        ..run
    }
}

/// A run of this branch, of which nothing else is known yet.
fn run_of(environment: &Environment<'_>, branch: Found<String>) -> Run {
    // `GITHUB_REPOSITORY`: owner and name of the workflow's repository.
    Run::new(Provider::GitHubActions, environment.repository("GITHUB_REPOSITORY"), branch)
}

/// `GITHUB_EVENT_NAME`, and the webhook's payload in the file `GITHUB_EVENT_PATH`, null if unreadable.
struct Event {
    name: String,
    payload: Value,
}

impl Event {
    fn of(environment: &Environment<'_>) -> Self {
        let file = environment.get("GITHUB_EVENT_PATH").and_then(|path| (environment.read)(Path::new(&path)));
        Self {
            name: environment.get("GITHUB_EVENT_NAME").unwrap_or_default(),
            payload: file.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default(),
        }
    }

    fn parse<T: FromStr>(&self, pointer: &str) -> Option<T> {
        self.payload.pointer(pointer)?.as_str()?.parse().ok()
    }

    fn number(&self, pointer: &str) -> Option<u64> {
        self.payload.pointer(pointer)?.as_u64()
    }

    fn run(&self, environment: &Environment<'_>) -> Run {
        if self.name == "workflow_run" {
            return self.run_before(environment);
        }
        let (branch, commit, key_withheld) = if self.is_of_pull_request() {
            self.pull_request(environment)
        } else {
            // `GITHUB_REF`: the full reference that the run is of; of a merge group it is
            // `refs/heads/gh-readonly-queue/...`.
            let branch = environment.require("GITHUB_REF").and_then(|reference| branch_of(&reference));
            let in_fork = self.payload.pointer("/repository/fork").and_then(Value::as_bool) == Some(true);
            (branch, environment.parse("GITHUB_SHA"), in_fork.then_some(Withheld::Fork))
        };
        // `GITHUB_ACTOR` is who started it first, whose rights count also when somebody else runs it again:
        // https://docs.github.com/en/code-security/dependabot/working-with-dependabot/troubleshooting-dependabot-on-github-actions
        let by_dependabot = environment.get("GITHUB_ACTOR").is_some_and(|actor| actor == "dependabot[bot]");
        Run {
            commit,
            run_id: environment.parse("GITHUB_RUN_ID"),
            run_attempt: environment.parse("GITHUB_RUN_ATTEMPT"),
            key_withheld: if by_dependabot { Some(Withheld::Dependabot) } else { key_withheld },
            ..run_of(environment, branch)
        }
    }

    /// `pull_request`, `pull_request_target`, reviews, and comments that are not known to be on a plain issue:
    /// their own branch is the default one, which is not what such a run tests.
    fn is_of_pull_request(&self) -> bool {
        let is_of_issue = self.payload.get("issue").is_some_and(|issue| issue.get("pull_request").is_none());
        self.name.starts_with("pull_request") || (self.name == "issue_comment" && !is_of_issue)
    }

    /// The head of the pull request: `GITHUB_SHA` is a merge commit that nobody can find later, or the base.
    ///
    /// Only forks' runs of `pull_request` and of reviews have no secrets. A payload without the head's
    /// repository is that of a fork that was deleted.
    fn pull_request(
        &self,
        environment: &Environment<'_>,
    ) -> (Found<String>, Option<Commit>, Option<Withheld>) {
        let repository = "/pull_request/head/repo/full_name";
        let from_fork = self.is_fork(environment, repository);
        let branch = match self.parse("/pull_request/head/ref") {
            Some(branch) => Ok(self.named(from_fork, repository, branch)),
            None => Err(Absent::NotInEvent),
        };
        let has_secrets = matches!(self.name.as_str(), "pull_request_target" | "issue_comment");
        // Without the event nothing is known, and a key that is missing is a mistake.
        let is_known = self.payload.pointer("/pull_request/head").is_some();
        let key_withheld = (is_known && from_fork && !has_secrets).then_some(Withheld::Fork);
        (branch, self.parse("/pull_request/head/sha"), key_withheld)
    }

    /// The run before a `workflow_run`, which is how results of forks' runs are submitted: this run has
    /// secrets, and its own branch is always the default one. Of a run for a tag, GitHub gives the tag as
    /// branch, and nothing tells them apart.
    fn run_before(&self, environment: &Environment<'_>) -> Run {
        let repository = "/workflow_run/head_repository/full_name";
        let from_fork = self.is_fork(environment, repository);
        let branch = match self.parse("/workflow_run/head_branch") {
            Some(branch) if from_fork => Ok(self.named(true, repository, branch)),
            Some(branch) => branch_unless_queue(branch),
            None => Err(Absent::NotInEvent),
        };
        Run {
            commit: self.parse("/workflow_run/head_sha"),
            run_id: self.number("/workflow_run/id").and_then(|id| id.to_string().parse().ok()),
            run_attempt: self.number("/workflow_run/run_attempt").and_then(|number| number.try_into().ok()),
            ..run_of(environment, branch)
        }
    }

    /// Whether the repository at `pointer` is another one than the workflow's, or unknown. `fork` in the
    /// payload does not tell: the workflow's own repository may be a fork.
    fn is_fork(&self, environment: &Environment<'_>, pointer: &str) -> bool {
        let ours = environment.get("GITHUB_REPOSITORY").unwrap_or_default();
        self.parse::<String>(pointer).is_none_or(|theirs| !theirs.eq_ignore_ascii_case(&ours))
    }

    /// The branch by the name that it has among ours.
    fn named(&self, from_fork: bool, repository: &str, branch: String) -> String {
        if !from_fork {
            return branch;
        }
        let repository: Option<String> = self.parse(repository);
        let owner = repository.as_deref().and_then(|name| name.split_once('/')).map(|(owner, _)| owner);
        fork_branch(owner, &branch)
    }
}

/// `$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID`, as the page on variables has it,
/// of this attempt.
fn url(environment: &Environment<'_>, run: &Run) -> Option<HttpsUrl> {
    let server = environment.get("GITHUB_SERVER_URL")?;
    let repository = environment.get("GITHUB_REPOSITORY")?;
    let run_id = run.run_id.as_ref()?;
    let attempt = run.run_attempt.map(|attempt| format!("/attempts/{}", attempt.get())).unwrap_or_default();
    format!("{server}/{repository}/actions/runs/{run_id}{attempt}").parse().ok()
}

#[cfg(test)]
mod tests;
