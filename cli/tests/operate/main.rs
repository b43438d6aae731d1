//! What operators do, with the command as they run it, against a `local` in this process that serves its AWS.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

mod dead_letters;
mod help;
mod keys;
mod packages;
mod proxy;
mod redelivery;
mod status;

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use embedded_aws::Storage;
use embedded_aws::endpoint::Endpoint;
use local::server::{Server, Setup};
use local::stack::Upstreams;
use refresher::Patience;
use serde_json::Value;
use tests::http::Api;
use tests::upstream::Upstream;

/// A pipeline, its AWS, and what it looks packages up in.
struct World {
    server: Server,
    aws: SocketAddr,
    upstream: Upstream,
}

/// What a command came to.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It ended well, and said this on stdout.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// It ended with this code, and said something of this on stderr.
    #[track_caller]
    fn failed(&self, code: i32, why: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.contains(why), "{self:?}");
    }
}

impl From<Output> for Ended {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

impl World {
    async fn start() -> Self {
        let upstream = Upstream::start();
        let setup = Setup {
            storage: Storage::Memory,
            port: 0,
            secrets: Vec::new(),
            tokens: Vec::new(),
            upstreams: Upstreams {
                nuget_service_index: upstream.nuget_service_index().parse().unwrap(),
                github_api: upstream.github_api().parse().unwrap(),
                fresh_for: Duration::from_mins(15),
                patience: Patience::default(),
            },
            refresh_every: Duration::from_secs(1),
        };
        let mut server = Server::start(setup).await.unwrap();
        let endpoint = Endpoint::bind(0).await.unwrap();
        let aws = endpoint.address();
        server.serve_aws(endpoint);
        Self { server, aws, upstream }
    }

    fn api(&self) -> Api {
        Api::new(&self.url())
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The command with these arguments, and nothing else in its environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = badgesmith(arguments);
        command.args(["--endpoint-url", &format!("http://{}", self.aws)]);
        command
    }

    /// Runs the command; the server answers in this process meanwhile.
    async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
    }

    /// The same, with something on stdin.
    async fn run_with(&self, arguments: &[&str], input: &'static str) -> Ended {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        tokio::task::spawn_blocking(move || {
            let mut process: Child = command.spawn().unwrap();
            process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            process.wait_with_output().unwrap().into()
        })
        .await
        .unwrap()
    }
}

fn badgesmith(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_badgesmith"));
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits until `there` is.
async fn until(there: impl AsyncFn() -> bool) {
    for _ in 0..1000 {
        if there().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come");
}
