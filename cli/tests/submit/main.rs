//! `badgesmith submit` as a CI job runs it, against a `local` in this process, which is for Unix.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod sending;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use local::config::{Config, Secret};
use local::server::Server;
use local::stack::UpstreamConfig;
use serde_json::Value;
use tempfile::TempDir;
use tests::client::{KEY, REPOSITORY};
use tests::http::Api;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../test-reports/tests/fixtures");

/// A run that no CI system describes.
const RUN: [&str; 8] = ["--repo", REPOSITORY, "--platform", "linux", "--branch", "main", "--run-id", "1"];

/// A service, and the directory that the job runs in.
struct Job {
    server: Server,
    folder: TempDir,
}

struct CommandOutput {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for CommandOutput {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

impl Job {
    async fn start() -> Self {
        let config = Config {
            secrets: vec![Secret::new(REPOSITORY.parse().unwrap(), KEY).unwrap()],
            ..Config::ephemeral(UpstreamConfig::default())
        };
        Self { server: Server::start(config).await.unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs the command with these arguments; its environment has only the key and `variables`.
    async fn submit(&self, arguments: &[&str], variables: &[(&str, &str)]) -> CommandOutput {
        let mut command = command(self.folder.path());
        command.args(["--url", &self.url()]).args(arguments).env("BADGESMITH_KEY", KEY);
        command.envs(variables.iter().copied());
        // The server responds in this process meanwhile.
        tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
    }

    /// Waits until so many slots of `main` count.
    async fn wait_for_slots(&self, count: usize) {
        let api = Api::new(&self.url());
        let mut live = 0;
        for _ in 0..200 {
            let latest = api.get(&format!("/tests/latest/{REPOSITORY}?branch=main")).await.unwrap().json();
            let slots = latest["slots"].as_array().unwrap();
            live = slots.iter().filter(|slot| slot["state"] == "live").count();
            if live == count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(live, count);
    }

    /// The newest result of a branch, as soon as it is stored.
    async fn stored(&self, branch: &str) -> Value {
        let api = Api::new(&self.url());
        for _ in 0..200 {
            let history =
                api.get(&format!("/tests/results/{REPOSITORY}?branch={branch}")).await.unwrap().json();
            if let Some(result) = history["results"].get(0) {
                return result.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Value::Null
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_badgesmith"));
    command.arg("submit").current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

fn fixture(name: &str) -> String {
    format!("{FIXTURES}/{name}")
}

/// Runs the command without a service, and expects an exit code and a text in its output.
#[track_caller]
fn check(arguments: &[&str], variables: &[(&str, &str)], code: i32, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.env("BADGESMITH_URL", "http://127.0.0.1:9").args(arguments).envs(variables.iter().copied());
    let output = CommandOutput::from(command.output().unwrap());
    assert_eq!(output.code, Some(code), "{}{}", output.stdout, output.stderr);
    assert!(
        format!("{}{}", output.stdout, output.stderr).contains(text),
        "{}{}",
        output.stdout,
        output.stderr
    );
}

#[test]
fn file_names_cannot_inject_commands_into_ci_systems() {
    let folder = tempfile::tempdir().unwrap();
    let names =
        ["::error::pwned.xml", "a##[set-output name=x]b.xml", "a##vso[task.setvariable variable=PATH]b.xml"];
    for name in names {
        fs::write(folder.path().join(name), r#"<testsuite><testcase name="a"/></testsuite>"#).unwrap();
    }
    let mut command = command(folder.path());
    command.args(["--repo", REPOSITORY, "--platform", "linux", "--branch", "##[group]", "--run-id", "1"]);
    command.args(["--url", "http://127.0.0.1:9", "--retry-for", "0", "--json", "--fail-on-error", "*.xml"]);
    let output = CommandOutput::from(command.env("BADGESMITH_KEY", KEY).output().unwrap());
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    let log = format!("{}{}", output.stdout, output.stderr);
    assert_eq!(log.matches("JUnit XML").count(), 3, "{log}");
    assert!(!log.contains("##[") && !log.contains("##vso["), "{log}");
    assert!(log.lines().all(|line| !line.starts_with("::")), "{log}");
    assert_eq!(serde_json::from_str::<Value>(&output.stdout).unwrap()["branch"], "##[group]");
}

#[test]
fn errors_name_the_option_that_helps() {
    let key = [("BADGESMITH_KEY", KEY)];
    let with = |more: &[&'static str]| [&RUN[..], more].concat();
    check(&with(&["--passed", "1"]), &[], 2, "set BADGESMITH_KEY to the key of acme/kit");
    check(&with(&["--passed", "1"]), &[("BADGESMITH_KEY", "short")], 2, "at least 16 bytes");
    check(
        &["--passed", "1", "--platform", "beos", "--commit", "HEAD"],
        &key,
        2,
        "error: 5 values are missing or invalid: \
         (1) failed to determine the repository: no known CI system was detected; pass --repo \
         (2) failed to determine the branch: no known CI system was detected; pass --branch \
         (3) invalid --platform: \"beos\" is not linux, windows or macos \
         (4) failed to determine the run ID: no CI system provides one; pass --run-id \
         (5) invalid --commit: \"HEAD\" is not 7 to 64 hex digits\n",
    );
    check(&with(&["nothing/*.xml"]), &key, 2, "no file matches");
    for folder in ["/tests", "/tests/", "/t?sts"] {
        let folder = format!("{}{folder}", env!("CARGO_MANIFEST_DIR"));
        check(
            &[&RUN[..], &[&folder]].concat(),
            &key,
            2,
            "is a directory: name the reports in it, for example",
        );
    }
    check(&with(&[]), &key, 2, "nothing to submit: pass reports or --passed, or --job-status");
    check(&with(&["--retire"]), &key, 2, "--suite <NAME>|--all-but <NAME>...");
    check(&with(&["--passed", "1", "report.xml"]), &key, 2, "cannot be used with");
    check(&with(&["--passed", "4294967295", "--failed", "1"]), &key, 2, "more than 4294967295 tests");
    check(&with(&["--key-file", "nowhere", "--passed", "1"]), &[], 2, "failed to read --key-file nowhere");
    check(&with(&[concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]), &key, 2, "Cargo.toml: ");
    check(&with(&["--passed", "1", "--suite", "a\tb"]), &key, 2, "invalid --suite");
    check(
        &with(&["--passed", "1", "--conclusion", "red"]),
        &key,
        2,
        "is not success, failure, cancelled or skipped",
    );
    check(&with(&["--passed", "190", "--dry-run"]), &[], 0, "\"passed\":190");
}

#[test]
fn reports_may_be_matched_and_excluded_however_their_paths_are_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("old")).unwrap();
    for name in ["a.xml", "b.xml", "old/c.xml"] {
        let report = format!("<testsuite name='{name}'><testcase name='a'/></testsuite>");
        fs::write(folder.path().join(name), report).unwrap();
    }
    let absolute = folder.path().join(".//old/./*.xml");
    let submit = |reports: &[&str]| {
        let mut command = command(folder.path());
        command.args(["--url", "http://127.0.0.1:9", "--dry-run"]).args(RUN).args(reports);
        CommandOutput::from(command.output().unwrap())
    };
    for (reports, passed) in [
        (&["**/*.xml"][..], 3),
        (&["**/*.xml", "!b.xml"], 2),
        (&["!./b.xml", "./**/*.xml"], 2),
        (&["**/*.xml", "!**/old/**", "!**/b.xml"], 1),
        (&["**/*.xml", "!old"], 2),
        (&["./old/**/*.xml"], 1),
        (&["./old/*.xml", "old//*.xml", "old/./*.xml"], 1),
        (&["./*.xml"], 2),
        (&[absolute.to_str().unwrap()], 1),
        (&["**/*.xml", "!old/"], 2),
        (&["**/*.xml", "!old/./c.xml"], 2),
        (&["./**/*.xml", "!old//c.xml"], 2),
        (&["*.xml", ".//old//./c.xml", "!old/*.xml"], 2),
    ] {
        let output = submit(reports);
        assert!(
            output.stdout.contains(&format!("\"passed\":{passed},")),
            "{reports:?} {} {}",
            output.stdout,
            output.stderr
        );
    }
    assert!(submit(&["*.xml", "!*.xml"]).stderr.contains("every file that matches is excluded"));
    assert!(submit(&["*.xml", "!a**b"]).stderr.contains("invalid pattern"));
}

#[test]
fn pipes_are_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let arguments = [&RUN[..], &["--dry-run", pipe.to_str().unwrap()]].concat();
    check(&arguments, &[], 2, "is not a regular file: pass - to read stdin");
}

#[test]
fn a_failure_that_no_test_shows_makes_the_run_failed() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("r.xml");
    fs::write(&report, "<testsuites failures='1'><testsuite><testcase/></testsuite></testsuites>").unwrap();
    for more in [&[][..], &["--conclusion", "success"]] {
        let arguments = [&RUN[..], more, &["--dry-run", report.to_str().unwrap()]].concat();
        check(&arguments, &[], 0, "\"conclusion\":\"failure\"");
    }
}

#[test]
fn stdin_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.stdin(fs::File::open(fixture("pytest/report.xml")).unwrap());
    command.args(["--url", "https://badges.test", "--dry-run", "-", "-"]).args(RUN);
    let output = CommandOutput::from(command.output().unwrap());
    assert!(output.stdout.contains(r#""passed":5,"failed":8,"skipped":2"#), "{}", output.stderr);
}

#[test]
fn jobs_that_cannot_have_the_key_or_a_branch_succeed() {
    let event = format!("{}/event.json", env!("CARGO_TARGET_TMPDIR"));
    fs::write(&event, r#"{"pull_request":{"head":{"ref":"fix","sha":"4d8474bda0b16fbbb69887d0d08c3885843bbdc7","repo":{"full_name":"mona/kit"}}}}"#).unwrap();
    let actions = [("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "acme/kit"), ("GITHUB_RUN_ID", "1")];
    let fork = [
        &actions[..],
        &[
            ("GITHUB_EVENT_NAME", "pull_request"),
            ("GITHUB_REF", "refs/pull/1/merge"),
            ("GITHUB_EVENT_PATH", &event),
        ],
    ]
    .concat();
    check(
        &["--passed", "1"],
        &fork,
        0,
        "::notice title=BadgeSmith::nothing was submitted: builds of forks get no secrets",
    );
    check(&["--url", "", "--passed", "1"], &fork, 0, "builds of forks get no secrets");
    let tag = [
        &actions[..],
        &[("GITHUB_EVENT_NAME", "push"), ("GITHUB_REF", "refs/tags/v1"), ("BADGESMITH_KEY", KEY)],
    ]
    .concat();
    check(&["--passed", "1"], &tag, 0, "this is a build of the tag");
    let push = [&actions[..], &[("GITHUB_EVENT_NAME", "push"), ("GITHUB_REF", "refs/heads/main")]].concat();
    check(
        &["--passed", "1", "--suite", "test"],
        &push,
        2,
        "::error title=BadgeSmith::no key, and no permission to request an OIDC token: add to the job or the workflow\
         %0A%0Apermissions:%0A  id-token: write%0A%0A(with `contents: read` for actions/checkout, because a job has only \
         the permissions that are listed), or set BADGESMITH_KEY (`key` in the action) to the key of acme/kit",
    );
    check(
        &["--passed", "1"],
        &push,
        2,
        "failed to determine the suite: only the action can see the matrix of a job",
    );
    let azure = [
        ("TF_BUILD", "True"),
        ("BUILD_REPOSITORY_NAME", "acme/kit"),
        ("BUILD_SOURCEBRANCH", "refs/heads/main"),
        ("BUILD_BUILDID", "1"),
        ("BUILD_DEFINITIONNAME", "kit"),
        ("SYSTEM_JOBIDENTIFIER", "Job.__default"),
        ("BADGESMITH_KEY", "$(BADGESMITH_KEY)"),
    ];
    check(&["--passed", "1"], &azure, 2, "no key: set BADGESMITH_KEY");
}

#[test]
fn a_dry_run_prints_the_signed_request() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.args(["--url", "https://badges.test", "--passed", "190", "--dry-run"]).args(RUN);
    command.env("BADGESMITH_KEY", KEY);
    let output = CommandOutput::from(command.output().unwrap());
    let (head, body) = output.stdout.trim_end().split_once("\n\n").unwrap();
    let signature = head.split("X-Signature: ").nth(1).unwrap().lines().next().unwrap();
    let key = badgesmith_domain::signature::HmacKey::new(KEY.as_bytes()).unwrap();
    assert!(key.verifies(body.as_bytes(), &signature.parse().unwrap()), "{head}");
}
