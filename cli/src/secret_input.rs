//! Tokens and passwords that a command reads. They are never arguments, because every process on the machine can read those.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use badgesmith_aws::env;

use crate::error::CliError;

const BYTES_MAX: u64 = 4096;

/// Reads one word from a file, from an environment variable, or from stdin, without white space around it. `what` names
/// it in errors.
pub(crate) fn read(file: Option<&Path>, variable: &str, what: &str) -> Result<String, CliError> {
    let (source, text) = if let Some(path) = file {
        (path.display().to_string(), File::open(path).and_then(read_text))
    } else if let Some(text) = env::optional(variable) {
        (variable.to_owned(), Ok(text))
    } else if io::stdin().is_terminal() {
        return Err(CliError::Usage(format!(
            "the {what} is missing; pipe it to stdin, set {variable}, or use --{what}-file"
        )));
    } else {
        ("stdin".to_owned(), read_text(io::stdin()))
    };
    let text = text.map_err(|error| CliError::Usage(format!("failed to read {source}: {error}")))?;
    let word = text.trim();
    let is_too_long = u64::try_from(text.len()).is_ok_and(|length| length > BYTES_MAX);
    if word.is_empty() || is_too_long || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CliError::Usage(format!(
            "invalid {what} from {source}: expected one word of visible ASCII characters, at most {BYTES_MAX} bytes"
        )));
    }
    Ok(word.to_owned())
}

/// At most one byte more than the limit.
fn read_text(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    Ok(text)
}
