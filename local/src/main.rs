//! Runs the whole pipeline on this machine; see `local --help`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use embedded_aws::Storage;
use embedded_aws::endpoint::Endpoint;
use local::config::Config;
use local::demo;
use local::options::Options;
use local::server::{Server, StartError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Exit code for invalid options, and for a port or data directory that cannot be used.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let options = Options::parse();
    let config = match options.config() {
        Ok(config) => config,
        Err(error) => return fail(&error, UNUSABLE),
    };
    start_logging(options.quiet);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("failed to start threads: {error}"), 1),
    };
    runtime.block_on(run(config, options.aws_port, options.no_demo))
}

async fn run(config: Config, aws_port: Option<u16>, no_demo: bool) -> ExitCode {
    let remedy = match config.storage {
        Storage::Memory => "the rest is lost, because of --ephemeral",
        Storage::Directory(_) => "start again to store the rest",
    };
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(&format!("failed to register signal handlers: {error}"), 1),
    };
    let server = match start(config, aws_port).await {
        Ok(server) => server,
        Err(error) => return fail(&advice(&error), UNUSABLE),
    };
    let demo = async {
        match demo::run(&server).await {
            Ok(text) => print(&text),
            Err(error) => tracing::error!(error, "the demo failed"),
        }
    };
    tokio::select! {
        () = signals.next() => {}
        () = demo, if !no_demo => signals.next().await,
    }
    tracing::info!("stopping after all accepted results are processed; a second signal stops immediately");
    tokio::select! {
        stopped = server.stop() => match stopped {
            Ok(0) => ExitCode::SUCCESS,
            Ok(left) => {
                fail(&format!("stopped before all accepted results were stored, with {left} left; {remedy}"), 1)
            }
            Err(error) => fail(&error.to_string(), 1),
        },
        () = signals.next() => fail(&format!("stopped before all accepted results were stored; {remedy}"), 1),
    }
}

/// Starts the pipeline, and prints its addresses.
async fn start(config: Config, aws_port: Option<u16>) -> Result<Server, StartError> {
    // Before the server, so that an unusable port leaves the data directory unchanged.
    let endpoint = match aws_port {
        Some(port) => {
            let endpoint = Endpoint::bind(port).await;
            Some(endpoint.map_err(|source| StartError::AwsPort { port, source })?)
        }
        None => None,
    };
    let mut server = Server::start(config).await?;
    if !server.address().ip().is_loopback() {
        tracing::warn!("--listen: other machines can connect, and connections have no TLS");
    }
    print(&format!("listening on http://{}\n", server.address()));
    if let Some(endpoint) = endpoint {
        let address = endpoint.address();
        server.serve_aws(endpoint);
        print(&format!("AWS at http://{address}\n"));
    }
    Ok(server)
}

/// The signals that stop the program: Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on, neither signal ends the process by itself.
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Logs to stderr, one line per event.
fn start_logging(quiet: bool) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let levels = if quiet {
        Targets::new().with_default(LevelFilter::WARN)
    } else {
        Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("local", LevelFilter::INFO)
            .with_target("embedded_aws", LevelFilter::INFO)
            .with_target("processor", LevelFilter::INFO)
            .with_target("refresher", LevelFilter::INFO)
    };
    tracing_subscriber::registry().with(lines).with(levels).init();
}

/// The error and its remedy, on one line.
fn advice(error: &StartError) -> String {
    use embedded_aws::OpenError;
    let remedy = match error {
        StartError::Address { .. } => "choose another with --listen or --port, or --port 0 for a free port",
        StartError::AwsPort { .. } => "choose another with --aws-port, or --aws-port 0 for a free port",
        StartError::Open(OpenError::Directory { .. }) => {
            "fix this, choose another directory with --data-dir, or use --ephemeral"
        }
        StartError::Open(OpenError::InUse(_)) => {
            "stop that process, or choose another directory with --data-dir"
        }
        StartError::Open(OpenError::Sqlite(_) | OpenError::Tables(_)) => {
            "fix this, restore a backup, or choose another directory with --data-dir"
        }
        StartError::Open(OpenError::Template(_)) => "fix it and build again",
        StartError::Register(_) => "use another directory with --data-dir",
    };
    format!("{error}; {remedy}")
}

#[expect(clippy::print_stderr, reason = "a command reports its error on stderr")]
fn fail(message: &str, code: u8) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(code)
}

/// Prints to stdout, and ignores a closed pipe.
fn print(text: &str) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
