//! The end of a command's `--help`.

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
