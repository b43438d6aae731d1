//! `badgesmith`: the command line for CI jobs and operators.

mod aws_hint;
mod completions;
mod dlq;
mod doctor;
mod duration;
mod error;
mod feed;
mod help;
mod import;
mod man;
mod output;
mod package;
mod quantity;
mod repo;
mod secret_input;
mod stack;
mod status;
mod submit;
mod table;
mod terminal;
mod token;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Submit test results to BadgeSmith, and operate it
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Submit the results of a test run, and print the badge for a README
    Submit(Box<submit::Options>),
    /// Manage the repositories that may submit results, and their keys
    #[command(subcommand)]
    Repo(repo::Command),
    /// Manage the NuGet feeds besides the default one
    #[command(subcommand)]
    Feed(feed::Command),
    /// Manage the tokens for reading GitHub packages
    #[command(subcommand)]
    Token(token::Command),
    /// Inspect, replay and purge dead letters
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// Manage the packages that are kept up to date
    #[command(subcommand)]
    Package(package::Command),
    /// Show queues, dead letters, overdue packages, and a repository's suites and latest results
    Status(status::Options),
    /// Check a stack, from credentials to a stored result
    ///
    /// Checks credentials, the clock, tables, queues, the event bus and the master key. With --repo, it also checks the
    /// registration and the key of that repository, sends a result and waits until the result is stored.
    Doctor(doctor::Options),
    /// Import the test results of the .NET service
    ///
    /// Reads an export of its table, and sends the results to the results queue, from which the processor stores them.
    /// Importing a result again changes nothing, and an older result never replaces a newer one. Invalid items are
    /// skipped and listed, and the command then exits with 1.
    Import(import::Options),
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
    let exit_code = match command {
        Command::Submit(options) => runtime.block_on(submit::run(&options)),
        Command::Repo(command) => output::emit(runtime.block_on(command.run()), command.target().json),
        Command::Feed(command) => output::emit(runtime.block_on(command.run()), command.target().json),
        Command::Token(command) => output::emit(runtime.block_on(command.run()), command.target().json),
        Command::Dlq(command) => output::emit(runtime.block_on(command.run()), command.target().json),
        Command::Package(command) => output::emit(runtime.block_on(command.run()), command.target().json),
        Command::Status(options) => output::emit(runtime.block_on(options.run()), options.target.json),
        Command::Doctor(options) => output::emit(runtime.block_on(options.run()), options.target.json),
        Command::Import(options) => output::emit(runtime.block_on(options.run()), options.target.json),
        Command::Completions(options) => output::emit(Ok(options.run(Cli::command())), false),
        Command::Man(options) => output::emit(options.run(Cli::command()), false),
    };
    // An import that has failed may still read its input.
    runtime.shutdown_background();
    exit_code
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    /// Calls `check` with each command that has no subcommands, and the words that name it.
    fn each_leaf(command: &clap::Command, path: &[&str], check: &mut impl FnMut(&clap::Command, &[&str])) {
        let path = [path, &[command.get_name()]].concat();
        let mut subcommands = command.get_subcommands().peekable();
        if subcommands.peek().is_none() {
            check(command, &path);
        }
        subcommands.for_each(|subcommand| each_leaf(subcommand, &path, check));
    }

    /// The words of a shell's command line. Quotes group words, and `(`, `)` and `;` are words.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quote) = (vec![String::new()], None);
        for character in line.chars() {
            let last = words.last_mut().unwrap();
            match character {
                _ if quote == Some(character) => quote = None,
                '\'' | '"' if quote.is_none() => quote = Some(character),
                ' ' if quote.is_none() => words.push(String::new()),
                '(' | ')' | ';' if quote.is_none() => words.extend([character.to_string(), String::new()]),
                _ => last.push(character),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    /// The `badgesmith` commands in the examples of a help text: the lines that are indented by four spaces.
    fn examples(help: &str) -> Vec<Vec<String>> {
        let commands = help.replace("\\\n", "");
        let lines = commands.lines().filter_map(|line| line.strip_prefix("    "));
        let calls = lines.filter_map(|line| {
            let words = words(line);
            let start = (0..words.len())
                .find(|&at| words[at] == "badgesmith" && (at == 0 || words[at - 1] != "--stack"))?;
            let is_end = |word: &String| matches!(word.as_str(), ")" | ";" | "|" | ">" | "&&");
            Some(words[start..].iter().take_while(|word| !is_end(word)).cloned().collect())
        });
        calls.collect()
    }

    #[test]
    fn every_command_has_examples_that_parse_and_exit_codes() {
        let mut leaves = 0;
        each_leaf(&Cli::command(), &[], &mut |command, path| {
            leaves += 1;
            let help = command
                .get_after_long_help()
                .unwrap_or_else(|| panic!("{path:?} has no examples"))
                .to_string();
            assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
            let is_wrapped = |line: &&str| line.starts_with("    ") && line.len() > 100;
            assert_eq!(help.lines().find(is_wrapped), None, "{path:?}");
            let examples = examples(&help);
            let of_this = |example: &Vec<String>| example.iter().zip(path).all(|(word, part)| word == part);
            assert!(!examples.is_empty() && examples.iter().all(of_this), "{path:?}: {examples:?}");
            for example in examples {
                let parsed = Cli::try_parse_from(&example).map_err(|error| error.kind());
                assert!(parsed.is_ok(), "{example:?}: {:?}", parsed.err());
            }
        });
        assert_ne!(leaves, 0);
    }

    #[test]
    fn options_have_a_description_in_sentence_case() {
        each_leaf(&Cli::command(), &[], &mut |command, path| {
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let is_plain = help.starts_with(|first: char| first.is_uppercase()) && !help.ends_with('.');
                assert!(is_plain, "{path:?} {}: {help:?}", argument.get_id());
            }
        });
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        let error = Cli::try_parse_from(["badgesmith", "repo"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    }
}
