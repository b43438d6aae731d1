//! `badgesmith`: what CI jobs and operators do with BadgeSmith.

mod ci;
mod counted;
mod environment;
mod report;
mod submit;
mod terminal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Badges of test results, from a CI job's side
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send the results of a test run, and print the badge for a README
    Submit(Box<submit::Options>),
}

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::note(&format!("error: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match command {
        Command::Submit(options) => runtime.block_on(submit::run(&options)),
    }
}
