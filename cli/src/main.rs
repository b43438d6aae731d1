//! `badgesmith`: the command line for CI jobs and operators.

mod aws_hint;
mod completions;
mod counted;
mod dlq;
mod doctor;
mod duration;
mod error;
mod help;
mod man;
mod output;
mod package;
mod secret;
mod stack;
mod status;
mod submit;
mod table;
mod terminal;
mod token;
mod told;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Submit test results to BadgeSmith, and operate it
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Submit the results of a test run, and print the badge for a README
    Submit(Box<submit::Options>),
    /// Manage the keys that repositories sign results with
    #[command(subcommand, arg_required_else_help = true)]
    Secret(secret::Command),
    /// Manage the tokens that packages of GitHub are read with
    #[command(subcommand, arg_required_else_help = true)]
    Token(token::Command),
    /// Inspect, replay and purge dead letters
    #[command(subcommand, arg_required_else_help = true)]
    Dlq(dlq::Command),
    /// Manage the packages that are kept up to date
    #[command(subcommand, arg_required_else_help = true)]
    Package(package::Command),
    /// Show queues, dead letters, overdue packages, and the last results of a repository
    Status(status::Options),
    /// Check credentials, the clock, tables, queues and secrets, and send a result through the pipeline
    Doctor(doctor::Options),
    /// Print a shell completion script
    Completions(completions::Options),
    /// Print the manual page, or write one for each command
    Man(man::Options),
}

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::note(&format!("error: failed to start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match command {
        Command::Submit(options) => runtime.block_on(submit::run(&options)),
        Command::Secret(command) => output::emit(runtime.block_on(command.run()), command.target().json),
        Command::Dlq(command) => output::emit(runtime.block_on(command.run()), command.target().json),
        Command::Package(command) => output::emit(runtime.block_on(command.run()), command.target().json),
        Command::Status(options) => output::emit(runtime.block_on(options.run()), options.target.json),
        Command::Doctor(options) => output::emit(runtime.block_on(options.run()), options.target.json),
        Command::Completions(options) => output::emit(Ok(options.run(Cli::command())), false),
        Command::Man(options) => output::emit(options.run(Cli::command()), false),
        Command::Token(command) => output::emit(runtime.block_on(command.run()), command.target().json),
    }
}
