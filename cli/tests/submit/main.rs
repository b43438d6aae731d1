//! `badgesmith submit` as a CI job runs it, against a `local` in this process, which is for Unix.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

mod command_line;
mod sending;

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
