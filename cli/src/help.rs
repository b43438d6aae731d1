//! The end of a command's `--help`.

/// The positions of the last options, after those of each command.
pub(crate) const YES_ORDER: usize = 900;
pub(crate) const JSON_ORDER: usize = 901;

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  failure or partial success
  2  usage error: an argument is missing or invalid
  3  not found";

/// The examples of a command, and the exit codes.
pub(crate) fn with_examples(examples: &str) -> String {
    format!("Examples:\n{examples}\n\n{EXIT_CODES}")
}
