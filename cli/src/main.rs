//! `badgesmith`: what CI jobs and operators do with BadgeSmith.

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

/// Badges of test results and packages: what CI jobs send, and what operators do
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
    /// Make, replace and delete the keys that repositories sign with
    #[command(subcommand, arg_required_else_help = true)]
    Secret(secret::Command),
    /// Register and withdraw tokens for GitHub Packages
    #[command(subcommand, arg_required_else_help = true)]
    Token(token::Command),
    /// Look into the dead-letter queues, replay or purge them
    #[command(subcommand, arg_required_else_help = true)]
    Dlq(dlq::Command),
    /// Say which packages are kept up to date
    #[command(subcommand, arg_required_else_help = true)]
    Package(package::Command),
    /// Show how the pipeline is doing
    Status(status::Options),
    /// Check that everything is there and answers
    Doctor(doctor::Options),
    /// Print a script that has a shell complete this command
    Completions(completions::Options),
    /// Print the manual page, or write one for each command
    Man(man::Options),
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
