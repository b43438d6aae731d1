//! `badgesmith submit` without a key, in jobs that may request OIDC tokens.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use ingest_api::OidcSettings;
use local::config::Config;
use local::server::Server;
use local::stack::UpstreamConfig;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::client::KEY;
use tests::http::Api;
use tests::id_token::request_token;
use tests::upstream::Upstream;

const SHA: &str = "4d8474bda0b16fbbb69887d0d08c3885843bbdc7";
/// Nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A job of `acme/kit` in GitHub Actions.
struct Job {
    folder: TempDir,
    event: &'static str,
    reference: &'static str,
    /// The URL of the issuer of the tokens.
    issuer: Option<String>,
    variables: Vec<(&'static str, String)>,
}

impl Job {
    fn new(event: &'static str, reference: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, event, reference, issuer: Some(NOWHERE.to_owned()), variables: Vec::new() }
    }

    /// With tokens of this issuer.
    fn of(self, upstream: &Upstream) -> Self {
        Self { issuer: Some(upstream.issuer()), ..self }
    }

    fn without_permission(self) -> Self {
        Self { issuer: None, ..self }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// With this event file.
    fn with_event(self, event: &Value) -> Self {
        let path = self.folder.path().join("event.json");
        fs::write(&path, event.to_string()).unwrap();
        self.with("GITHUB_EVENT_PATH", path.to_str().unwrap())
    }

    /// A command that submits 190 passed tests.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program();
        command.args(["submit", "--passed", "190", "--suite", "unit"]).args(arguments);
        command
    }

    /// The program in the environment of the job.
    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_badgesmith"));
        command.current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.envs([
            ("BADGESMITH_URL", NOWHERE),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "acme/kit"),
            ("GITHUB_RUN_ID", "16814735762"),
            ("GITHUB_SHA", SHA),
            ("GITHUB_EVENT_NAME", self.event),
            ("GITHUB_REF", self.reference),
            ("RUNNER_OS", "Linux"),
        ]);
        if let Some(issuer) = &self.issuer {
            command.env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{issuer}/idtoken?api-version=2.0"));
            command.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", self.request_token());
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn request_token(&self) -> String {
        let repository = self.variables.iter().find(|(name, _)| *name == "GITHUB_REPOSITORY");
        let repository = repository.map_or("acme/kit", |(_, repository)| repository);
        request_token(&json!({ "event_name": self.event, "ref": self.reference, "repository": repository }))
    }

    /// Runs the command, and expects an exit code and a text in its output, which never has the request token.
    #[track_caller]
    fn check(&self, arguments: &[&str], code: i32, text: &str) {
        check(self.command(arguments).output().unwrap(), code, text, &self.request_token());
    }

    /// The same while a service runs in this process.
    async fn run(&self, mut command: Command, code: i32, text: &str) {
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        check(output, code, text, &self.request_token());
    }
}

#[track_caller]
fn check(output: Output, code: i32, text: &str, request_token: &str) {
    let Output { status, stdout, stderr } = output;
    let output = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert_eq!(status.code(), Some(code), "{output}");
    assert!(output.contains(text), "{output}");
    assert!(!output.contains(request_token), "{output}");
    // Every token begins with the header of a JWT.
    assert!(!output.contains("eyJ"), "{output}");
}

/// A service that registers the repositories of `acme` by tokens of the issuer, and its URL.
async fn start(upstream: &Upstream) -> (Server, String) {
    let oidc = OidcSettings {
        issuer: upstream.issuer().parse().unwrap(),
        owners: "acme".parse().unwrap(),
        services: Vec::new(),
    };
    let upstreams = UpstreamConfig { oidc: Some(oidc), ..UpstreamConfig::default() };
    let server = Server::start(Config::ephemeral(upstreams)).await.unwrap();
    let url = format!("http://{}", server.address());
    (server, url)
}

/// How many results of a branch are stored, as soon as there is one.
async fn results(url: &str, repository: &str, branch: &str) -> usize {
    let api = Api::new(url);
    for _ in 0..200 {
        let history = api.get(&format!("/tests/results/{repository}?branch={branch}")).await.unwrap().json();
        match history.get("results").and_then(Value::as_array).map_or(0, Vec::len) {
            0 => tokio::time::sleep(Duration::from_millis(50)).await,
            count => return count,
        }
    }
    0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_needs_nothing_but_the_permission_to_request_tokens() {
    let upstream = Upstream::start();
    let (_server, url) = start(&upstream).await;
    let fork = json!({ "workflow_run": { "event": "pull_request", "head_branch": "main", "head_sha": SHA, "id": 1,
        "head_repository": { "full_name": "mona/kit" } } });
    for (job, branch) in [
        (Job::new("push", "refs/heads/main"), "main"),
        (Job::new("pull_request", "refs/pull/14/merge"), "pull%2F14"),
        (Job::new("workflow_run", "refs/heads/main").with_event(&fork), "mona%3Amain"),
    ] {
        let job = job.of(&upstream);
        job.run(job.command(&["--url", &url, "--fail-on-error"]), 0, "accepted: 190 passed").await;
        assert_eq!(results(&url, "acme/kit", branch).await, 1, "{branch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_token_is_a_warning_that_says_what_to_check() {
    let upstream = Upstream::start();
    let (_server, url) = start(&upstream).await;
    let job = || Job::new("push", "refs/heads/main").of(&upstream).with("GITHUB_REPOSITORY", "mona/kit");
    let message = "check that it registers repositories of mona (OidcOwners)";
    job().run(job().command(&["--url", &url]), 0, message).await;
    job().run(job().command(&["--url", &url, "--fail-on-error"]), 1, message).await;
    let fork = job().with_event(&json!({ "repository": { "fork": true } }));
    let notice = "::notice title=BadgeSmith::nothing was submitted: this is a build of a fork";
    fork.run(fork.command(&["--url", &url, "--fail-on-error"]), 0, notice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_checks_a_job_without_sending_a_result() {
    let upstream = Upstream::start();
    let (_server, url) = start(&upstream).await;
    let doctor = |job: &Job| {
        let mut command = job.program();
        command.args(["doctor", "--url", &url]);
        command
    };
    let job = Job::new("push", "refs/heads/main").of(&upstream);
    job.run(doctor(&job), 0, "accepts tokens of this job for acme/kit, branch main").await;
    let other = Job::new("push", "refs/heads/main").of(&upstream).with("GITHUB_REPOSITORY", "mona/kit");
    other.run(doctor(&other), 1, "check that it registers repositories of mona (OidcOwners)").await;
    let tag = Job::new("push", "refs/tags/v1").of(&upstream);
    tag.run(doctor(&tag), 1, r#"this is a build of the tag "v1""#).await;
    let history = Api::new(&url).get("/tests/results/acme/kit").await.unwrap().json();
    assert_eq!(history["results"], Value::Array(Vec::new()));
    let unable = Job::new("push", "refs/heads/main").without_permission();
    unable.run(doctor(&unable), 1, "\n\npermissions:\n  id-token: write\n\n").await;
    let mut without_url = job.program();
    without_url.arg("doctor").env_remove("BADGESMITH_URL");
    job.run(without_url, 2, "use --url").await;
}

#[test]
fn a_result_that_needs_a_key_is_an_error_before_anything_is_sent() {
    let tag = Job::new("push", "refs/tags/v1");
    tag.check(&[], 0, r#"nothing was submitted: this is a build of the tag "v1""#);
    tag.check(&["--branch", "main"], 2, r#"branch main needs a key: this is a build of the tag "v1""#);
    let queue = Job::new("push", "refs/heads/gh-readonly-queue/main/pr-7");
    queue.check(&[], 0, "nothing was submitted: this is a build of a merge queue");
    let push = Job::new("push", "refs/heads/main");
    push.check(
        &["--repo", "acme/other"],
        2,
        "acme/other needs a key: without one, this job submits only for acme/kit; set BADGESMITH_KEY",
    );
    push.check(&["--branch", "dev", "--dry-run"], 2, "without one, this job submits only for branch main");
    let pull_request = Job::new("pull_request", "refs/pull/14/merge");
    pull_request.check(&["--branch", "feature/x"], 2, "this job submits only for branch pull/14");
    let own_run = json!({ "workflow_run": { "event": "push", "head_branch": "dev", "head_sha": SHA, "id": 1,
        "head_repository": { "full_name": "acme/kit" } } });
    Job::new("workflow_run", "refs/heads/main").with_event(&own_run).check(
        &[],
        2,
        r#"branch dev needs a key: without one, a job for "workflow_run" submits at most for branches of forks"#,
    );
}

#[test]
fn a_missing_permission_is_answered_with_the_lines_to_add() {
    let job = Job::new("push", "refs/heads/main").without_permission();
    job.check(&[], 2, "%0A%0Apermissions:%0A  id-token: write%0A%0A");
    job.with("FORGEJO_ACTIONS", "true").check(
        &[],
        2,
        "add `enable-openid-connect: true` to the job or the workflow",
    );
    let incomplete = Job::new("push", "refs/heads/main").without_permission();
    incomplete.with("ACTIONS_ID_TOKEN_REQUEST_URL", NOWHERE).check(&[], 2, "id-token: write");
    let plain =
        Job::new("push", "refs/heads/main").with("ACTIONS_ID_TOKEN_REQUEST_URL", "http://token.test/");
    plain.check(&[], 2, "invalid ACTIONS_ID_TOKEN_REQUEST_URL in the environment: expected an https URL");
}

#[test]
fn jobs_of_forks_end_with_a_notice() {
    let head = json!({ "ref": "main", "sha": SHA, "repo": { "full_name": "mona/kit" } });
    let pull_request = json!({ "pull_request": { "number": 14, "head": head } });
    let fork = json!({ "repository": { "fork": true } });
    let notice = "::notice title=BadgeSmith::nothing was submitted: builds of forks get no secrets";
    for job in [
        Job::new("pull_request", "refs/pull/14/merge").with_event(&pull_request).without_permission(),
        Job::new("push", "refs/heads/main").with_event(&fork).without_permission(),
        // The variables of the parent repository, such as the URL, are missing, too.
        Job::new("push", "refs/heads/main").with_event(&fork).with("BADGESMITH_URL", ""),
    ] {
        job.check(&[], 0, notice);
    }
}

#[test]
fn a_dry_run_says_which_proof_it_would_use() {
    let job = Job::new("pull_request", "refs/pull/14/merge");
    let token = "X-Id-Token: (an OIDC token of this job for http://127.0.0.1:9/sha256/";
    job.check(&["--dry-run"], 0, token);
    job.check(&["--dry-run"], 0, r#""branch":"pull/14""#);
    let event = json!({ "pull_request": { "number": 14,
        "head": { "ref": "feature/x", "sha": SHA, "repo": { "full_name": "acme/kit" } } } });
    let job = job.with_event(&event);
    job.check(&["--dry-run"], 0, r#""branch":"pull/14""#);
    // A key wins, and pull requests count for their head as before.
    let job = job.with("BADGESMITH_KEY", KEY);
    job.check(&["--dry-run"], 0, "X-Signature: sha256=");
    job.check(&["--dry-run"], 0, r#""branch":"feature/x""#);
}

#[test]
fn an_endpoint_that_does_not_respond_is_reported() {
    let job = Job::new("push", "refs/heads/main");
    job.check(&["--fail-on-error", "--retry-for", "0"], 1, "the CI system did not issue an OIDC token: ");
}
