//! `badgesmith submit` as a CI job runs it, against a `local` in this process, which is for Unix.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use local::config::{Config, Secret};
use local::server::Server;
use local::stack::UpstreamConfig;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::client::{KEY, REPOSITORY};
use tests::http::Api;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../test-reports/tests/fixtures");

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

#[tokio::test(flavor = "multi_thread")]
async fn reports_become_a_badge() {
    let job = Job::start().await;
    fs::create_dir_all(job.path("results/unit")).unwrap();
    let suite = |failures: &str| {
        format!(r#"<testsuite><testcase name="a"/><testcase name="b">{failures}</testcase></testsuite>"#)
    };
    fs::write(job.path("results/unit/one.xml"), suite("")).unwrap();
    fs::write(job.path("results/two [x].xml"), suite("<failure/>")).unwrap();
    let options = ["--repo", "Acme/Kit", "--platform", "linux", "--branch", "feature/x#1", "--run-id", "7"];
    let reports = ["results/**/*.xml", "results/unit/one.xml", "results/two [x].xml"];
    let output = job.submit(&[&options[..], &reports].concat(), &[]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let stored = job.stored("feature%2Fx%231").await;
    assert_eq!(
        (&stored["passed"], &stored["failed"], &stored["run_id"]),
        (&3.into(), &1.into(), &"7".into())
    );

    // The Markdown begins with the image.
    let image = output.stdout.strip_prefix("[![Tests](").unwrap().split(')').next().unwrap();
    let path = image.strip_prefix(&job.url()).unwrap();
    let image = Api::new(&job.url()).get(path).await.unwrap();
    assert!(image.text.contains("<title>tests: 3 passed, 1 failed</title>"), "{}", image.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_a_suite_and_a_conclusion() {
    let job = Job::start().await;
    let options = ["--repo", REPOSITORY, "--platform", "linux", "--run-id", "7"];
    let submit = async |more: &[&str]| {
        let output = job.submit(&[&options[..], more].concat(), &[]).await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        output.stderr
    };
    submit(&["--branch", "main", "--suite", "build", "--passed", "0", "--conclusion", "failure"]).await;
    let broken = job.stored("main").await;
    assert_eq!((&broken["suite"], &broken["conclusion"]), (&"build".into(), &"failure".into()));
    let note =
        submit(&["--passed", "1", "--failed", "1", "--conclusion", "success", "--branch", "red"]).await;
    assert!(note.contains("ignored --conclusion success, because tests failed"), "{note}");
    let skipped = submit(&["--branch", "main", "--passed", "1", "--conclusion", "cancelled"]).await;
    assert!(skipped.contains("nothing was submitted: the run was cancelled"), "{skipped}");
    let crashed = submit(&["--branch", "crashed", "--conclusion", "failure", "nothing/*.xml"]).await;
    assert!(crashed.contains("no file matches") && crashed.contains("submitting a failed run"), "{crashed}");
    assert_eq!(job.stored("crashed").await["conclusion"], "failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_of_failed_tests_are_sent_only_on_request() {
    let job = Job::start().await;
    let options = ["--repo", REPOSITORY, "--platform", "linux", "--run-id", "7", "red.xml"];
    let red = r#"<testsuite><testcase classname="kit" name="a&#9;b"><failure/></testcase><testcase name="c"/></testsuite>"#;
    fs::write(job.path("red.xml"), red).unwrap();
    for (branch, more, failures) in
        [("quiet", None, Value::Null), ("named", Some("--failures"), json!(["kit.a\u{fffd}b"]))]
    {
        let arguments: Vec<_> = options.into_iter().chain(["--branch", branch]).chain(more).collect();
        assert_eq!(job.submit(&arguments, &[]).await.code, Some(0));
        assert_eq!(job.stored(branch).await["failures"], failures);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn suites_are_retired_on_every_platform_or_on_one() {
    let job = Job::start().await;
    let options = ["--repo", REPOSITORY, "--branch", "main", "--run-id", "7"];
    let submit = async |more: &[&str]| {
        let output = job.submit(&[&options[..], more].concat(), &[]).await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        output
    };
    let retire = async |more: &[&str]| submit(&[&["--retire"], more].concat()).await.stdout;
    for (platform, suite) in [("linux", "a"), ("windows", "a"), ("linux", "b"), ("macos", "c"), ("linux", "")]
    {
        submit(&["--platform", platform, "--suite", suite, "--passed", "1"]).await;
    }
    job.wait_for_slots(5).await;
    let notice = submit(&["--platform", "linux", "--suite", "d", "--passed", "1"]).await.stderr;
    assert!(notice.contains("notice: results without a suite still count on this branch"), "{notice}");
    job.wait_for_slots(6).await;
    let again = submit(&["--platform", "linux", "--suite", "d", "--passed", "1"]).await.stderr;
    assert!(!again.contains("notice"), "{again}");

    assert_eq!(
        retire(&["--suite", "a", "--dry-run"]).await,
        "would retire a on linux\nwould retire a on windows\n"
    );
    assert_eq!(retire(&["--suite", "a", "--platform", "windows"]).await, "retired a on windows\n");
    job.wait_for_slots(5).await;
    let rest = retire(&["--all-but", "b", "c", "--json"]).await;
    let rest: Value = serde_json::from_str(&rest).unwrap();
    assert_eq!((&rest["accepted"], rest["suites"].as_array().unwrap().len()), (&true.into(), 3), "{rest}");
    job.wait_for_slots(2).await;
    for repeated in [&["--all-but", "b", "c"][..], &["--suite", "a"]] {
        let nothing = submit(&[&["--retire"], repeated].concat()).await.stderr;
        assert!(nothing.contains("nothing was submitted: nothing is left to retire"), "{nothing}");
    }
    for (branch, unknown, expected) in [
        (
            "main",
            &["--suite", "x"][..],
            "no suite x on branch main of acme/kit; its suites are: '' (unnamed) on linux; a on linux; ",
        ),
        (
            "main",
            &["--all-but", "b", "x"],
            "no suite x on branch main of acme/kit; its suites are: '' (unnamed) on linux; a on linux; ",
        ),
        (
            "main",
            &["--suite", "x", "--platform", "macos"],
            "no suite x on branch main on macos of acme/kit; its suites are: c on macos",
        ),
        ("dev", &["--suite", "x"], "no suite x on branch dev of acme/kit; it has none"),
    ] {
        let options = ["--repo", REPOSITORY, "--branch", branch, "--retire"];
        let retire = job.submit(&[&options[..], unknown].concat(), &[]).await;
        assert_eq!(retire.code, Some(2), "{}", retire.stderr);
        assert!(retire.stderr.contains(expected), "{}", retire.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_counts_once_even_under_several_names() {
    use std::os::unix::fs::symlink;
    let job = Job::start().await;
    fs::create_dir(job.path("sub")).unwrap();
    for name in ["sub/a.xml", "b.xml", ".hidden.xml"] {
        fs::write(job.path(name), r#"<testsuite><testcase name="a"/></testsuite>"#).unwrap();
    }
    for (link, target) in
        [("loop", "."), ("again", "."), ("sub/up", ".."), ("other", "sub"), ("c.xml", "b.xml")]
    {
        symlink(target, job.path(link)).unwrap();
    }
    let options =
        ["--repo", REPOSITORY, "--platform", "linux", "--branch", "main", "--run-id", "1", "--json"];
    let total = async |reports: &[&str]| -> Value {
        let output = job.submit(&[&options[..], reports].concat(), &[]).await;
        serde_json::from_str::<Value>(&output.stdout).expect(&output.stderr)["total"].take()
    };
    assert_eq!(total(&["**/*.xml"]).await, 3);
    assert_eq!(total(&["./**/*.xml", "sub/*.xml", &job.path("sub/a.xml"), "./sub/a.xml"]).await, 3);
    assert_eq!(total(&["s?b/[a-z].xml"]).await, 1);
    assert_eq!(total(&["*.xml"]).await, 2);
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
    command.args([
        "--url",
        "http://127.0.0.1:9",
        "--repo",
        "acme/kit",
        "--platform",
        "linux",
        "--run-id",
        "1",
    ]);
    command.args(["--branch", "##[group]", "--retry-for", "0", "--json", "--fail-on-error", "*.xml"]);
    let output = CommandOutput::from(command.env("BADGESMITH_KEY", KEY).output().unwrap());
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    let log = format!("{}{}", output.stdout, output.stderr);
    assert_eq!(log.matches("JUnit XML").count(), 3, "{log}");
    assert!(!log.contains("##[") && !log.contains("##vso["), "{log}");
    assert!(log.lines().all(|line| !line.starts_with("::")), "{log}");
    assert_eq!(serde_json::from_str::<Value>(&output.stdout).unwrap()["branch"], "##[group]");
}

#[tokio::test(flavor = "multi_thread")]
async fn github_actions_provides_everything_but_the_report() {
    let job = Job::start().await;
    let (output_file, summary_file) = (job.path("output"), job.path("summary"));
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "acme/kit"),
        ("GITHUB_EVENT_NAME", "push"),
        ("GITHUB_REF", "refs/heads/evil`$(touch x)`\u{202e}"),
        ("GITHUB_SHA", "4d8474bda0b16fbbb69887d0d08c3885843bbdc7"),
        ("GITHUB_RUN_ID", "16814735762"),
        ("GITHUB_RUN_ATTEMPT", "2"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_WORKFLOW", "ci"),
        ("GITHUB_JOB", "test"),
        ("BADGESMITH_MATRIX", r#"{"python":"3.12"}"#),
        ("RUNNER_OS", "Windows"),
        ("RUNNER_TEMP", &job.path("")),
        ("GITHUB_OUTPUT", &output_file),
        ("GITHUB_STEP_SUMMARY", &summary_file),
    ];
    let output = job.submit(&["--json", &fixture("pytest/report.xml")], &variables).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    let stored = job.stored("evil%60%24(touch%20x)%60%E2%80%AE").await;
    assert_eq!(json["accepted"], true);
    assert_eq!(json["suite"], "ci / test (3.12)");
    for field in ["test_result_id", "platform", "branch", "suite", "passed", "failed", "skipped", "total"] {
        assert_eq!(stored[field], json[field], "{field}");
    }
    assert_eq!((&stored["platform"], &stored["run_attempt"]), (&"windows".into(), &2.into()));
    assert_eq!(stored["workflow_run_url"], "https://github.com/acme/kit/actions/runs/16814735762/attempts/2");
    let outputs = fs::read_to_string(&output_file).unwrap();
    let names: Vec<_> = outputs.lines().map(|line| line.split('=').next().unwrap()).collect();
    assert_eq!(
        names,
        ["passed", "failed", "skipped", "total", "conclusion", "badge-url", "markdown", "test-result-id"]
    );
    let summary = fs::read_to_string(&summary_file).unwrap();
    assert!(summary.contains(json["markdown"].as_str().unwrap()), "{summary}");
    assert!(summary.starts_with("### Tests of `evil'$(touch x)'"), "{summary}");
    assert!(summary.contains("Suite: `ci / test (3.12)`"), "{summary}");

    let second = job.submit(&["--passed", "1"], &variables).await;
    assert_eq!(second.code, Some(2));
    assert!(second.stderr.contains("this job already submitted a result for suite"), "{}", second.stderr);
    let named = job.submit(&["--passed", "1", "--suite", "doc tests"], &variables).await;
    assert_eq!(named.code, Some(0), "{}", named.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_result_fails_the_job_only_with_fail_on_error() {
    let job = Job::start().await;
    let options =
        ["--repo", "acme/other", "--platform", "linux", "--branch", "main", "--run-id", "1", "--passed", "1"];
    let output = job.submit(&options, &[]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""));
    assert!(output.stderr.starts_with("warning: the service rejected the result: 401"), "{}", output.stderr);
    let output = job.submit(&[&options[..], &["--fail-on-error", "--json"]].concat(), &[]).await;
    assert_eq!(output.code, Some(1));
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(json["accepted"], false);
    assert!(!output.stderr.contains(KEY));
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
fn errors_name_the_option_that_helps() {
    let key = [("BADGESMITH_KEY", KEY)];
    let all = ["--repo", "acme/kit", "--platform", "linux", "--branch", "main", "--run-id", "1"];
    let with = |more: &[&'static str]| [&all[..], more].concat();
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
    check(&["--repo", "acme/kit", "--passed", "1"], &key, 2, "--branch");
    check(&["--repo", "acme/kit", "--branch", "main", "--passed", "1"], &key, 2, "--run-id");
    check(
        &["--repo", "acme/kit", "--platform", "beos", "--branch", "m", "--run-id", "1", "--passed", "1"],
        &key,
        2,
        "linux, windows or macos",
    );
    check(&with(&["nothing/*.xml"]), &key, 2, "no file matches");
    for folder in ["/tests", "/tests/", "/t?sts"] {
        let folder = format!("{}{folder}", env!("CARGO_MANIFEST_DIR"));
        check(
            &[&all[..], &[&folder]].concat(),
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
        command.args([
            "--url",
            "http://127.0.0.1:9",
            "--dry-run",
            "--repo",
            "acme/kit",
            "--platform",
            "linux",
        ]);
        CommandOutput::from(
            command.args(["--branch", "main", "--run-id", "1"]).args(reports).output().unwrap(),
        )
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
    let all = ["--repo", "acme/kit", "--platform", "linux", "--branch", "main", "--run-id", "1", "--dry-run"];
    check(
        &[&all[..], &[pipe.to_str().unwrap()]].concat(),
        &[],
        2,
        "is not a regular file: pass - to read stdin",
    );
}

#[test]
fn a_failure_that_no_test_shows_makes_the_run_failed() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("r.xml");
    fs::write(&report, "<testsuites failures='1'><testsuite><testcase/></testsuite></testsuites>").unwrap();
    let all = ["--repo", "acme/kit", "--platform", "linux", "--branch", "main", "--run-id", "1", "--dry-run"];
    for more in [&[][..], &["--conclusion", "success"]] {
        let arguments = [&all[..], more, &[report.to_str().unwrap()]].concat();
        check(&arguments, &[], 0, "\"conclusion\":\"failure\"");
    }
}

#[test]
fn stdin_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.stdin(fs::File::open(fixture("pytest/report.xml")).unwrap());
    command.args(["--url", "https://badges.test", "--repo", REPOSITORY, "--platform", "linux"]);
    command.args(["--branch", "main", "--run-id", "1", "--dry-run", "-", "-"]);
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
         the permissions that are listed), or set BADGESMITH_KEY to the key of acme/kit",
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
    command.args([
        "--url",
        "https://badges.test",
        "--repo",
        "acme/kit",
        "--platform",
        "linux",
        "--branch",
        "main",
    ]);
    command.args(["--run-id", "1", "--passed", "190", "--dry-run"]).env("BADGESMITH_KEY", KEY);
    let output = CommandOutput::from(command.output().unwrap());
    let (head, body) = output.stdout.trim_end().split_once("\n\n").unwrap();
    let signature = head.split("X-Signature: ").nth(1).unwrap().lines().next().unwrap();
    let key = badgesmith_domain::signature::HmacKey::new(KEY.as_bytes()).unwrap();
    assert!(key.verifies(body.as_bytes(), &signature.parse().unwrap()), "{head}");
}
