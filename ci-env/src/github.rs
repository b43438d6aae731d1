//! GitHub Actions, and the compatible Forgejo Actions and Gitea Actions.
//!
//! Variables: <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>.
//! `GITHUB_REF` and `GITHUB_SHA` of each event:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>.
//! Fields of the event file: <https://docs.github.com/en/webhooks/webhook-events-and-payloads>.
//!
//! Forgejo and Gitea set the same variables and write the same event file:
//! <https://forgejo.org/docs/latest/user/actions/reference/>, <https://docs.gitea.com/usage/actions/comparison>.

mod tags;

use std::str::FromStr;

use badgesmith_domain::id_token::Job;
use badgesmith_domain::test_result::{Commit, HttpsUrl};
use serde_json::Value;

use crate::branches;
use crate::environment::Environment;
use crate::provider::Provider;
use crate::run::{CiRun, MissingReason, NoSecretReason};

/// The run that the variables describe. For `workflow_run` it is the run that triggered this one.
pub(crate) fn run(provider: Provider, environment: &Environment<'_>) -> CiRun {
    let event = Event::read(environment);
    let run = event.run(provider, environment);
    let run_url = if provider == Provider::GitHubActions {
        url(environment, &run)
    } else {
        event.url_of_number(environment)
    };
    CiRun {
        run_url,
        default_branch: event.parse("/repository/default_branch"),
        // `Linux`, `Windows` or `macOS`.
        platform: environment.parse("RUNNER_OS"),
        // The claims `event_name` and `ref`: https://docs.github.com/en/actions/reference/security/oidc
        token_job: Some(Job {
            reference: environment.get("GITHUB_REF").unwrap_or_default(),
            event: event.name,
        }),
        ..run
    }
}

fn new_run(
    provider: Provider,
    environment: &Environment<'_>,
    branch: Result<String, MissingReason>,
) -> CiRun {
    // `GITHUB_REPOSITORY`: owner and name of the workflow's repository.
    CiRun::new(provider, environment.repository("GITHUB_REPOSITORY"), branch)
}

/// `GITHUB_EVENT_NAME`, and the webhook's payload in the file `GITHUB_EVENT_PATH`, `null` if unreadable.
struct Event {
    name: String,
    payload: Value,
}

impl Event {
    fn read(environment: &Environment<'_>) -> Self {
        let file = environment.get("GITHUB_EVENT_PATH").and_then(|path| environment.read(&path));
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

    fn run(&self, provider: Provider, environment: &Environment<'_>) -> CiRun {
        if self.name == "workflow_run" {
            return self.triggering_run(provider, environment);
        }
        let (branch, commit, no_secret_reason) = if self.is_pull_request() {
            self.pull_request(environment)
        } else {
            // `GITHUB_REF` is a full reference; in a merge queue it is `refs/heads/gh-readonly-queue/...`.
            let branch =
                environment.require("GITHUB_REF").and_then(|reference| branches::from_reference(&reference));
            let in_fork = self.payload.pointer("/repository/fork").and_then(Value::as_bool) == Some(true);
            (branch, environment.parse("GITHUB_SHA"), in_fork.then_some(NoSecretReason::Fork))
        };
        // `GITHUB_ACTOR` started the first attempt, and its permissions hold for reruns by others, too:
        // https://docs.github.com/en/code-security/dependabot/working-with-dependabot/troubleshooting-dependabot-on-github-actions
        let by_dependabot = environment.get("GITHUB_ACTOR").is_some_and(|actor| actor == "dependabot[bot]");
        CiRun {
            commit,
            run_id: environment.parse("GITHUB_RUN_ID"),
            run_attempt: environment.parse("GITHUB_RUN_ATTEMPT"),
            no_secret_reason: if by_dependabot { Some(NoSecretReason::Dependabot) } else { no_secret_reason },
            ..new_run(provider, environment, branch)
        }
    }

    /// `pull_request`, `pull_request_target`, reviews, and comments, unless they are known to be on a plain issue:
    /// the branch of a comment's run is the default one, which is not what it tests. In a reusable workflow, Gitea
    /// replaces the name by `workflow_call`.
    fn is_pull_request(&self) -> bool {
        let is_issue = self.payload.get("issue").is_some_and(|issue| issue.get("pull_request").is_none());
        match self.name.as_str() {
            "issue_comment" => !is_issue,
            "workflow_call" => self.payload.pointer("/pull_request/head").is_some(),
            name => name.starts_with("pull_request"),
        }
    }

    /// The head of the pull request: `GITHUB_SHA` is a temporary merge commit, or the base.
    ///
    /// Only forks' runs of `pull_request` and of reviews have no secrets. A payload without the head's
    /// repository is from a fork that was deleted.
    fn pull_request(
        &self,
        environment: &Environment<'_>,
    ) -> (Result<String, MissingReason>, Option<Commit>, Option<NoSecretReason>) {
        let repository = "/pull_request/head/repo/full_name";
        let from_fork = self.is_fork(environment, repository);
        let number = self.number("/pull_request/number").map(|number| number.to_string());
        let number = number.as_deref();
        let branch = match (self.parse::<String>("/pull_request/head/ref"), number) {
            // On Gitea and Forgejo, the branch was deleted, or never existed (AGit).
            (Some(branch), Some(number)) if branch.starts_with("refs/pull/") => {
                Ok(branches::pull_request(number))
            }
            (Some(branch), _) if from_fork => Ok(self.fork_branch(repository, &branch, number)),
            (Some(branch), _) => Ok(branch),
            (None, _) => Err(MissingReason::NotInEvent),
        };
        let has_secrets = matches!(self.name.as_str(), "pull_request_target" | "issue_comment");
        // Without the event nothing is known, and a missing key is a mistake.
        let is_known = self.payload.pointer("/pull_request/head").is_some();
        let no_secret_reason = (is_known && from_fork && !has_secrets).then_some(NoSecretReason::Fork);
        (branch, self.parse("/pull_request/head/sha"), no_secret_reason)
    }

    /// The run that triggered a `workflow_run`, which is how results of forks' runs are submitted: the
    /// `workflow_run` has secrets, and its branch is always the default one.
    fn triggering_run(&self, provider: Provider, environment: &Environment<'_>) -> CiRun {
        let repository = "/workflow_run/head_repository/full_name";
        let from_fork = self.is_fork(environment, repository);
        let head_branch: Option<String> = self.parse("/workflow_run/head_branch");
        let branch = match head_branch.filter(|branch| !branch.is_empty()) {
            Some(branch) if from_fork => Ok(self.fork_branch(repository, &branch, None)),
            Some(branch) => match self.triggering_tag(&branch) {
                Some(tag) => Err(MissingReason::Tag(tag)),
                None => branches::unless_merge_queue(branch),
            },
            None => Err(MissingReason::NotInEvent),
        };
        CiRun {
            commit: self.parse("/workflow_run/head_sha"),
            run_id: self.number("/workflow_run/id").and_then(|id| id.to_string().parse().ok()),
            run_attempt: self.number("/workflow_run/run_attempt").and_then(|number| number.try_into().ok()),
            ..new_run(provider, environment, branch)
        }
    }

    /// Whether the repository at `pointer` is not the workflow's, or is unknown. `fork` in the payload does not
    /// decide: the workflow's own repository may be a fork.
    fn is_fork(&self, environment: &Environment<'_>, pointer: &str) -> bool {
        let own = environment.get("GITHUB_REPOSITORY").unwrap_or_default();
        self.parse::<String>(pointer).is_none_or(|repository| !repository.eq_ignore_ascii_case(&own))
    }

    /// The branch with the owner of the repository at `pointer`.
    fn fork_branch(&self, pointer: &str, branch: &str, number: Option<&str>) -> String {
        let full_name: Option<String> = self.parse(pointer);
        let owner = full_name.as_deref().and_then(|name| name.split_once('/')).map(|(owner, _)| owner);
        branches::in_fork(owner, branch, number)
    }

    /// `/actions/runs/NUMBER`: URLs of Forgejo and Gitea have the run's number within the repository instead of its ID,
    /// and no attempt (<https://github.com/go-gitea/gitea/issues/28621>). Gitea 1.26 has IDs in its URLs, and redirects
    /// from numbers (<https://github.com/go-gitea/gitea/pull/37008>).
    fn url_of_number(&self, environment: &Environment<'_>) -> Option<HttpsUrl> {
        let number = match self.name.as_str() {
            "workflow_run" => self.number("/workflow_run/run_number")?.to_string(),
            _ => environment.get("GITHUB_RUN_NUMBER")?,
        };
        format!("{}/{number}", runs_url(environment)?).parse().ok()
    }
}

/// `$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID`, as the page on variables documents it,
/// with the attempt.
fn url(environment: &Environment<'_>, run: &CiRun) -> Option<HttpsUrl> {
    let run_id = run.run_id.as_ref()?;
    let attempt = run.run_attempt.map(|attempt| format!("/attempts/{}", attempt.get())).unwrap_or_default();
    format!("{}/{run_id}{attempt}", runs_url(environment)?).parse().ok()
}

/// The page of all runs. Gitea's `GITHUB_SERVER_URL` ends with a slash.
fn runs_url(environment: &Environment<'_>) -> Option<String> {
    let server = environment.get("GITHUB_SERVER_URL")?;
    let repository = environment.get("GITHUB_REPOSITORY")?;
    Some(format!("{}/{repository}/actions/runs", server.trim_end_matches('/')))
}

#[cfg(test)]
mod tests;
