//! Operators' commands as processes, against a `local` in this process that serves AWS.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

mod dead_letters;
mod feeds;
mod help;
mod imports;
mod keyless;
mod packages;
mod proxy;
mod redelivery;
mod repositories;
mod status;
mod tokens;

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use badgesmith_aws::clock::Clock;
use badgesmith_domain::oidc_owners::OidcOwners;
use badgesmith_domain::service_url::ServiceUrl;
use embedded_aws::endpoint::Endpoint;
use ingest_api::OidcSettings;
use local::config::Config;
use local::gateway::Gateway;
use local::server::Server;
use local::stack::{Stack, UpstreamConfig};
use serde_json::Value;
use tests::http::Api;
use tests::upstream::Upstream;

/// The address of each world for ID tokens.
const SERVICE: &str = "https://badges.example.com";

/// A pipeline, its AWS, and its upstreams.
struct World {
    server: Server,
    aws: SocketAddr,
    upstream: Upstream,
    upstreams: UpstreamConfig,
}

#[derive(Debug)]
struct CommandOutput {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl CommandOutput {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts exit code 0; returns stdout.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// Asserts the exit code, and that stderr contains `why`.
    #[track_caller]
    fn failed(&self, code: i32, why: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.contains(why), "{self:?}");
    }
}

impl From<Output> for CommandOutput {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

impl World {
    async fn start() -> Self {
        let upstream = Upstream::start();
        let oidc = OidcSettings {
            issuer: upstream.issuer().parse().unwrap(),
            owners: OidcOwners::default(),
            services: ServiceUrl::parse_list(SERVICE).unwrap(),
        };
        let upstreams = UpstreamConfig {
            oidc: Some(oidc),
            ..UpstreamConfig::new(
                upstream.nuget_service_index().parse().unwrap(),
                upstream.github_api().parse().unwrap(),
            )
        };
        let config = Config { refresh_every: Duration::from_secs(1), ..Config::ephemeral(upstreams.clone()) };
        let mut server = Server::start(config).await.unwrap();
        let endpoint = Endpoint::bind(0).await.unwrap();
        let aws = endpoint.address();
        server.serve_aws(endpoint);
        Self { server, aws, upstream, upstreams }
    }

    fn api(&self) -> Api {
        Api::new(&self.url())
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The functions with empty memory, as they are after five minutes.
    fn restarted(&self) -> Gateway {
        let config = self.server.aws().sdk_config();
        Stack::new(&config, &self.upstreams, None, &Clock::System).gateway
    }

    /// The command with these arguments and an empty environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = badgesmith(arguments);
        command.args(["--endpoint-url", &format!("http://{}", self.aws)]);
        command
    }

    async fn run(&self, arguments: &[&str]) -> CommandOutput {
        output_of(self.command(arguments)).await
    }

    /// Runs the command with `input` on stdin.
    async fn run_with(&self, arguments: &[&str], input: &'static str) -> CommandOutput {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        tokio::task::spawn_blocking(move || {
            let mut process: Child = command.spawn().unwrap();
            // The statement closes stdin. A command that rejects its arguments exits without reading it.
            let written = process.stdin.take().unwrap().write_all(input.as_bytes());
            assert!(written.is_ok() || written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe));
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

/// Runs the command on another thread, while the server answers in this process.
async fn output_of(mut command: Command) -> CommandOutput {
    tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
}

/// Polls until `condition` holds, for 20 s at most.
async fn until(condition: impl AsyncFn() -> bool) {
    for _ in 0..1000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the condition did not hold within 20 s");
}
