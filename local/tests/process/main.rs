//! The program as users run it: options, signals, exit codes, and the data that survives a `kill -9`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

mod durability;
mod keyless;
mod restarts;
mod self_hosting;

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_types::SdkConfig;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::secrets_manager::{SecretsManager, Stage};
use embedded_aws::template::Template;
use embedded_aws::{Aws, Storage};
use futures_util::future::join_all;
use local::stack::{Stack, UpstreamConfig};
use serde_json::json;
use tempfile::TempDir;
use tests::client::{Answer, KEY, Post, REPOSITORY, result, with};
use tests::http::{Api, send_again_after};
use tests::upstream::{Account, RecordedRequest, Upstream, Visibility};

const SECRET: &str = "acme/kit=correct horse battery staple";
/// Enough for a thousand posts in a minute.
const REPOSITORIES: [&str; 4] = [REPOSITORY, "acme/two", "acme/three", "acme/four"];

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running `local`, killed when it is dropped.
struct Local {
    process: Child,
    stdout: BufReader<ChildStdout>,
    url: String,
}

impl Local {
    fn start(arguments: &[&str]) -> Self {
        Self::start_with_stderr(arguments, Stdio::null())
    }

    fn start_with_stderr(arguments: &[&str], stderr: Stdio) -> Self {
        let mut command = command(arguments);
        command.stderr(stderr);
        Self::run(command)
    }

    fn run(mut command: Command) -> Self {
        let mut process = command.args(["--port", "0"]).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect("the first line").to_owned();
        Self { process, stdout, url }
    }

    /// The address of the AWS port, from the second line.
    fn aws_url(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim().strip_prefix("AWS at ").expect("the second line").to_owned()
    }

    /// The lines of stdout up to one that contains `end`.
    fn read_until(&mut self, end: &str) -> String {
        let mut lines = String::new();
        while !lines.contains(end) {
            assert_ne!(self.stdout.read_line(&mut lines).unwrap(), 0, "{lines}");
        }
        lines
    }

    fn api(&self) -> Api {
        Api::new(&self.url)
    }

    fn start_in(data: &Path) -> Self {
        let secrets = REPOSITORIES.map(|repository| format!("{repository}={KEY}"));
        let secrets = secrets.iter().flat_map(|secret| ["--secret", secret]);
        let options = ["--data-dir", data.to_str().unwrap(), "--no-demo"].into_iter();
        Self::start(&options.chain(secrets).collect::<Vec<_>>())
    }

    /// Starts with a log in a file.
    fn start_with_log(arguments: &[&str]) -> (Self, Log) {
        let log = tempfile::tempfile().unwrap();
        (Self::start_with_stderr(arguments, log.try_clone().unwrap().into()), Log(log))
    }

    /// Sends a signal, and returns the exit code and the rest of stdout.
    fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        // The builtin of the shell, because not every machine has the program.
        let kill = format!("kill {signal} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.process.wait().unwrap().code(), rest)
    }
}

/// What a `local` has written to stderr.
struct Log(File);

impl Log {
    fn read(mut self) -> String {
        let mut lines = String::new();
        self.0.rewind().unwrap();
        self.0.read_to_string(&mut lines).unwrap();
        lines
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // The process may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A data directory in memory, if the system has one: a busy disk exceeds the time limits of calls to AWS.
fn data_directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// The ids of all results of [`REPOSITORIES`].
async fn history(api: &Api) -> Vec<String> {
    let mut ids = Vec::new();
    for repository in REPOSITORIES {
        let results = api.history(repository, "", 200).await.unwrap();
        ids.extend(results.iter().map(|result| result["test_result_id"].as_str().unwrap().to_owned()));
    }
    ids
}

#[test]
fn signals_stop_the_program_as_soon_as_it_listens() {
    for options in [&["--ephemeral"][..], &["--ephemeral", "--no-demo"]] {
        for signal in ["-TERM", "-INT"] {
            assert_eq!(Local::start(options).stop(signal).0, Some(0), "{options:?} {signal}");
        }
    }
}

#[test]
fn only_the_owner_can_read_the_data_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let readable_by_all = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    readable_by_all(folder.path(), 0o755);
    let tables = folder.path().join("tables.sqlite3");
    std::fs::write(&tables, "").unwrap();
    readable_by_all(&tables, 0o644);
    let local = Local::start_in(folder.path());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.path()), 0o700);
    for file in folder.path().read_dir().unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(local);

    // A link that another user left there would overwrite its target.
    let precious = folder.path().join("precious");
    std::fs::write(&precious, "precious").unwrap();
    for name in ["lock", "services.sqlite3"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
        std::os::unix::fs::symlink(&precious, folder.path().join(name)).unwrap();
        let data = folder.path().to_str().unwrap();
        rejects(&["--port", "0", "--data-dir", data], &[name, "not a regular file"]);
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    assert_eq!(std::fs::read_to_string(precious).unwrap(), "precious");
}

#[test]
fn a_lost_database_is_not_replaced_by_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    drop(Local::start_in(folder.path()));
    for name in ["tables.sqlite3", "services.sqlite3"] {
        let path = folder.path().join(name);
        let data = std::fs::read(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        rejects(&["--port", "0", "--data-dir", folder.path().to_str().unwrap()], &[name, "missing or empty"]);
        std::fs::write(&path, data).unwrap();
    }
}

#[tokio::test]
async fn a_stop_that_leaves_results_in_the_queue_fails() {
    let (mut local, log) = Local::start_with_log(&["--ephemeral", "--no-demo", "--aws-port", "0"]);
    let sqs = aws_sdk_sqs::Client::new(&sdk_config(local.aws_url()));
    let queue = sqs.get_queue_url().queue_name("badge-results").send().await.unwrap().queue_url.unwrap();
    sqs.send_message().queue_url(queue).delay_seconds(900).message_body("late").send().await.unwrap();
    assert_eq!(local.stop("-TERM").0, Some(1));
    let lines = log.read();
    assert!(lines.contains("stored, with 1 left; the rest is lost, because of --ephemeral"), "{lines}");
}

#[tokio::test]
async fn an_ephemeral_run_writes_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut process =
        command(&["--ephemeral", "--no-demo", "--port", "0"]).current_dir(folder.path()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}");
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

fn sdk_config(url: String) -> SdkConfig {
    let credentials = Credentials::new("any", "any", None, None, "test");
    let http_client = aws_smithy_http_client::Builder::new().build_http();
    let config = badgesmith_aws::sdk::config("us-east-1".to_owned(), credentials, http_client);
    config.into_builder().endpoint_url(url).build()
}

#[tokio::test]
async fn the_aws_port_serves_sdks_and_logs_requests() {
    let arguments = ["--ephemeral", "--no-demo", "--aws-port", "0", "--secret", SECRET];
    let (mut local, log) = Local::start_with_log(&arguments);
    let secrets = SecretsManager::new(&sdk_config(local.aws_url()));
    let key = secrets.read("badge/repo/acme/kit", Stage::Current).await.unwrap().unwrap();
    assert!(key.value.contains("correct horse battery staple"));
    assert_eq!(local.stop("-TERM").0, Some(0));
    let lines = log.read();
    assert!(lines.contains("AWS secretsmanager.GetSecretValue 200"), "{lines}");
}

/// Asserts that the program ends with exit code 2 and one line that contains these parts.
#[track_caller]
fn rejects(arguments: &[&str], expected: &[&str]) {
    let Output { status, stdout, stderr } = command(arguments).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(stdout.is_empty());
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for part in expected {
        assert!(stderr.contains(part), "{stderr} does not contain {part}");
    }
    assert!(!stderr.contains("hunter2"), "the error shows a key: {stderr}");
}

/// Every process on the machine can read arguments.
#[tokio::test]
async fn keys_come_from_the_environment_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let in_file = format!("acme/two=@{}", file.to_str().unwrap());
    let mut command = command(&["--ephemeral", "--no-demo", "--secret", REPOSITORY, "--secret", &in_file]);
    command.env("BADGESMITH_KEY", KEY).stderr(Stdio::null());
    let local = Local::run(command);
    let arguments = std::fs::read(format!("/proc/{}/cmdline", local.process.id())).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&arguments).contains(KEY));
    for repo in ["kit", "two"] {
        let post = Post::json(&with(result(Clock::System.now()), &json!({ "repo": repo })));
        assert_eq!(local.api().send(&post).await.unwrap().status, 202, "{repo}");
    }
    let missing = format!("acme/kit=@{}/none", folder.path().to_str().unwrap());
    rejects(&["--ephemeral", "--secret", &missing], &["--secret", "failed to read"]);
    rejects(&["--ephemeral", "--github-token", "acme"], &["--github-token", "BADGESMITH_GITHUB_TOKEN"]);
}

#[tokio::test]
async fn invalid_options_and_unusable_resources_end_with_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let local = Local::start(&["--data-dir", data, "--no-demo"]);
    let port = local.url.rsplit(':').next().unwrap();
    rejects(&["--ephemeral", "--port", port], &[port, "--port 0"]);
    rejects(&["--ephemeral", "--port", "0", "--aws-port", port], &[port, "--aws-port 0"]);
    rejects(&["--ephemeral", "--port", "9", "--aws-port", "9"], &["--aws-port", "different"]);
    rejects(&["--port", "0", "--data-dir", data], &["in use", data, "--data-dir"]);
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    rejects(&["--port", "0", "--data-dir", file.to_str().unwrap()], &["not a directory", "--data-dir"]);
    for secret in ["hunter2", "acme=hunter2", "acme/kit=hunter2", "/=hunter2", "acme/kit="] {
        rejects(&["--ephemeral", "--port", "0", "--secret", secret], &["--secret", "expected"]);
    }
    for token in
        ["hunter2", "acme=hunter 2", "acme/=hunter2", "a b=hunter2", "acme/kit/x=hunter2", "=hunter2"]
    {
        rejects(&["--ephemeral", "--port", "0", "--github-token", token], &["--github-token", "expected"]);
    }
    for url in ["https://me:hunter2@feed.test/", "https://feed.test/?key=hunter2", "ftp://hunter2", "hunter2"]
    {
        for option in ["--nuget-service-index", "--github-api"] {
            rejects(&["--ephemeral", "--port", "0", option, url], &[option, "expected"]);
        }
    }
}

/// Sends the same bytes, even while the server restarts, and returns the id of the result.
///
/// `None` if an earlier attempt, such as one that was killed, still has the reservation, for up to 15 seconds.
async fn submit(api: &RwLock<Api>, post: &Post) -> Option<String> {
    loop {
        let present = api.read().unwrap().clone();
        let wait = match present.send(post).await {
            Ok(answer) if answer.is_accepted() => {
                return Some(answer.json()["test_result_id"].as_str().unwrap().to_owned());
            }
            Ok(answer) if answer.verdict() == "409 SUBMISSION_IN_PROGRESS" => return None,
            Ok(answer) => send_again_after(&answer).unwrap_or_else(|| panic!("{}", answer.text)),
            Err(_) => Duration::from_millis(20),
        };
        tokio::time::sleep(wait).await;
    }
}

/// Sends the same bytes until they are accepted, and returns the id of the result.
async fn submit_until_accepted(api: &RwLock<Api>, post: &Post) -> String {
    loop {
        if let Some(id) = submit(api, post).await {
            return id;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Submits posts that were killed, after their reservations of 15 seconds, and stores their results. The program must
/// have stopped: this process takes its place, with a clock of its own.
async fn submit_later(data: &Path, posts: &[Post]) -> Vec<String> {
    let clock = Clock::manual(Clock::System.now().plus(Duration::from_secs(15)));
    let storage = Storage::Directory(data.to_owned());
    let aws = Aws::open(&storage, &Template::load().unwrap(), &clock).unwrap();
    let stack = Stack::new(&aws.sdk_config(), &UpstreamConfig::default(), None, &clock);
    let mut ids = Vec::new();
    for post in posts {
        let answer = Answer::from(stack.gateway.answer(post.request()).await);
        assert!(answer.is_accepted(), "{}", answer.text);
        ids.push(answer.json()["test_result_id"].as_str().unwrap().to_owned());
    }
    while stack.results.poll(0).await.unwrap() > 0 {}
    ids
}

/// The message of a badge as soon as it is none of `before`; panics after 30 s.
async fn badge_after(api: &Api, path: &str, before: &[&str]) -> String {
    for _ in 0..600 {
        let badge = api.get(path).await.unwrap().json();
        let message = badge["message"].as_str().unwrap();
        if !before.contains(&message) {
            return message.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} stays {before:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_are_fetched_and_refreshed() {
    let upstream = Upstream::start();
    upstream.publish("Acme.Kit", &["1.0.0", "1.1.0-beta"]);
    upstream.github_token("ghp_public", &[]);
    upstream.github_token("ghp_private", &["acme"]);
    upstream.github_publish(Account::Org("acme"), "Open", Visibility::Public, &["2.0.0"]);
    upstream.github_publish(Account::Org("acme"), "Closed", Visibility::Private, &["3.0.0"]);
    upstream.github_publish(Account::Org("acme"), "Shown", Visibility::Private, &["4.0.0"]);
    let folder = tempfile::tempdir().unwrap();
    let (index, api) = (upstream.nuget_service_index(), upstream.github_api());
    let arguments = [
        "--data-dir",
        folder.path().to_str().unwrap(),
        "--no-demo",
        "--nuget-service-index",
        &index,
        "--github-api",
        &api,
        "--refresh-every",
        "1",
    ];
    let tokens = ["--github-token", "acme=ghp_public", "--github-token", "Acme/Shown=ghp_private"];
    let local = Local::start(&[&arguments[..], &tokens].concat());
    let api = local.api();
    for (package, message) in [
        ("nuget/Acme.Kit", "1.0.0"),
        ("nuget/Acme.None", "not found"),
        ("github/acme/Open", "2.0.0"),
        ("github/acme/Closed", "not found"),
        ("github/acme/Shown", "4.0.0"),
        ("github/others/Open", "not found"),
    ] {
        let path = format!("/badges/packages/{package}");
        assert_eq!(badge_after(&api, &path, &["pending"]).await, message, "{package}");
    }
    assert_eq!(local.stop("-TERM").0, Some(0));

    // The tokens are stored, and the schedule finds new versions without any read.
    upstream.publish("Acme.Kit", &["2.0.0"]);
    upstream.github_publish(Account::Org("acme"), "Shown", Visibility::Private, &["4.1.0"]);
    let local = Local::start(&arguments);
    upstream.take_requests();
    let mut asked = Vec::new();
    // A second request for a package comes after its first refresh was stored.
    let twice = |asked: &[RecordedRequest], name: &str| {
        asked.iter().filter(|request| request.path.to_lowercase().contains(name)).count() > 1
    };
    while !(twice(&asked, "acme.kit") && twice(&asked, "shown")) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        asked.extend(upstream.take_requests());
    }
    for (package, message) in [("nuget/acme.kit", "2.0.0"), ("github/acme/shown", "4.1.0")] {
        let badge = local.api().get(&format!("/badges/packages/{package}")).await.unwrap().json();
        assert_eq!(badge["message"], message, "{package}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_survive_kill_9() {
    const POSTS: usize = 300;
    const LAST: usize = 40;
    const CLIENTS: usize = 8;
    let folder = data_directory();
    let mut local = Local::start_in(folder.path());
    let api = Arc::new(RwLock::new(local.api()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let api = Arc::clone(&api);
            tokio::spawn(async move {
                let mut results = Vec::new();
                for run in (number..POSTS).step_by(CLIENTS) {
                    let (_, repo) = REPOSITORIES[run % REPOSITORIES.len()].split_once('/').unwrap();
                    let fields = json!({ "run_id": run, "repo": repo });
                    let post = Post::json(&with(result(Clock::System.now()), &fields));
                    let id = submit(&api, &post).await;
                    results.push((post, id));
                }
                results
            })
        })
        .collect();
    let mut kills = 0;
    while clients.iter().any(|client| !client.is_finished()) && kills < 5 {
        let milliseconds = u64::from(uuid::Uuid::new_v4().as_bytes()[0] / 2);
        tokio::time::sleep(Duration::from_millis(20 + milliseconds)).await;
        local.process.kill().unwrap();
        local.process.wait().unwrap();
        local = Local::start_in(folder.path());
        *api.write().unwrap() = local.api();
        kills += 1;
    }
    assert!(kills > 0);
    let (mut accepted, mut killed) = (HashSet::new(), Vec::new());
    for (post, id) in join_all(clients).await.into_iter().flat_map(Result::unwrap) {
        match id {
            Some(id) => {
                accepted.insert(id);
            }
            None => killed.push(post),
        }
    }

    // A stop drains the queue, even just after a burst.
    let last = (0..LAST).map(|run| {
        let fields = json!({ "run_id": POSTS + run, "repo": "kit" });
        let (api, post) = (Arc::clone(&api), Post::json(&with(result(Clock::System.now()), &fields)));
        async move { submit_until_accepted(&api, &post).await }
    });
    accepted.extend(join_all(last).await);
    assert_eq!(local.stop("-TERM").0, Some(0));
    let services = rusqlite::Connection::open(folder.path().join("services.sqlite3")).unwrap();
    let left: i64 = services.query_row("SELECT count(*) FROM message", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    accepted.extend(submit_later(folder.path(), &killed).await);
    assert_eq!(accepted.len(), POSTS + LAST, "every submission has a unique id");
    let local = Local::start_in(folder.path());
    let stored = history(&local.api()).await;
    assert_eq!(stored.len(), accepted.len(), "no result is stored twice");
    assert_eq!(stored.into_iter().collect::<HashSet<_>>(), accepted, "no result is lost");
}
