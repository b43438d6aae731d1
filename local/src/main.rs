//! Runs the whole pipeline on this machine; `local --help` says how.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use embedded_aws::endpoint::Endpoint;
use local::demo;
use local::options::Options;
use local::server::{Server, Setup, StartError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Could not start as asked.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let options = Options::parse();
    let setup = match options.setup() {
        Ok(setup) => setup,
        Err(error) => return fail(&error, UNUSABLE),
    };
    start_logging(options.quiet);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start threads: {error}"), 1),
    };
    runtime.block_on(run(setup, options.aws_port, options.no_demo))
}

async fn run(setup: Setup, aws_port: Option<u16>, no_demo: bool) -> ExitCode {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(&format!("cannot receive signals: {error}"), 1),
    };
    let server = match start(setup, aws_port).await {
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
    tracing::info!("stopping: finishing what was accepted; once more to stop at once");
    tokio::select! {
        () = server.stop() => ExitCode::SUCCESS,
        () = signals.next() => fail("stopped before everything was processed", 1),
    }
}

/// Starts the pipeline, and says where it is.
async fn start(setup: Setup, aws_port: Option<u16>) -> Result<Server, StartError> {
    // Taken first, so that nothing has been registered yet if it cannot be had.
    let endpoint = match aws_port {
        Some(port) => {
            let endpoint = Endpoint::bind(port).await;
            Some(endpoint.map_err(|source| StartError::AwsPort { port, source })?)
        }
        None => None,
    };
    let mut server = Server::start(setup).await?;
    print(&format!("listening on http://{}\n", server.address()));
    if let Some(endpoint) = endpoint {
        let address = endpoint.address();
        server.serve_aws(endpoint);
        print(&format!("AWS at http://{address}\n"));
    }
    Ok(server)
}

/// What asks the program to stop: Ctrl-C or SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From here on neither ends the process by itself.
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

/// One readable line for each request, message and failure.
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
            .with_target("processor", LevelFilter::INFO)
            .with_target("refresher", LevelFilter::INFO)
    };
    tracing_subscriber::registry().with(lines).with(levels).init();
}

/// One sentence with what to do.
fn advice(error: &StartError) -> String {
    use embedded_aws::OpenError;
    let remedy = match error {
        StartError::Port { .. } => "choose another with --port, or --port 0 for a free one",
        StartError::AwsPort { .. } => "choose another with --aws-port, or --aws-port 0 for a free one",
        StartError::Open(OpenError::Directory { .. }) => {
            "name one that can be written with --data-dir, or use --ephemeral"
        }
        StartError::Open(OpenError::InUse(_)) => {
            "stop that process, or name another directory with --data-dir"
        }
        StartError::Open(OpenError::Sqlite(_) | OpenError::Tables(_)) => {
            "make that file readable and writable, or name another directory with --data-dir"
        }
        StartError::Open(OpenError::Template(_)) => "repair it and build again",
        StartError::Register(_) => "use another directory with --data-dir",
    };
    format!("{error}; {remedy}")
}

#[expect(clippy::print_stderr, reason = "a command says on stderr why it ends")]
fn fail(message: &str, code: u8) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(code)
}

/// Prints to stdout. Nobody may be reading there any more, which is no reason to stop.
fn print(text: &str) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
