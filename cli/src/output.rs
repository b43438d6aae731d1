//! The output of a command: text, or with `--json` one JSON object.

use std::fmt::Display;
use std::io::ErrorKind;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use crate::error::CliError;
use crate::terminal;

/// What a command prints, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Output {
    json: String,
    text: String,
    notes: Vec<String>,
    failed: bool,
    recovery_hint: Option<String>,
}

impl Output {
    /// The output of a command that succeeded: the JSON of `result` with `--json`, its text without.
    pub(crate) fn new(result: &(impl Serialize + Display)) -> Self {
        Self {
            json: terminal::json(result),
            text: result.to_string(),
            notes: Vec::new(),
            failed: false,
            recovery_hint: None,
        }
    }

    /// Adds a line for the user. It is printed to stderr, even with `--json`.
    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        self.notes([note.into()])
    }

    /// Adds a line for each of `notes`, as [`Self::note`] does.
    pub(crate) fn notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// Makes the command exit with code 1 if `failed`.
    pub(crate) fn failed_if(mut self, failed: bool) -> Self {
        self.failed |= failed;
        self
    }

    /// Adds advice for output that a second run would not print again, in case stdout cannot be written.
    pub(crate) fn recovery_hint(mut self, hint: impl Into<String>) -> Self {
        self.recovery_hint = Some(hint.into());
        self
    }
}

/// Prints what a command returned, and returns the exit code.
pub(crate) fn emit(output: Result<Output, CliError>, json: bool) -> ExitCode {
    let output = match output {
        Ok(output) => output,
        Err(error) => return emit_error(&error, json),
    };
    let printed = match output.text.as_str() {
        _ if json => terminal::print(&output.json),
        "" => Ok(()),
        text => terminal::print(&format!("{text}\n")),
    };
    for note in output.notes {
        terminal::note(&note);
    }
    match (printed, output.recovery_hint) {
        (Ok(()), _) => ExitCode::from(u8::from(output.failed)),
        // The reader of a pipe, such as `head`, has read enough.
        (Err(error), None) if error.kind() == ErrorKind::BrokenPipe => {
            ExitCode::from(u8::from(output.failed))
        }
        (Err(error), hint) => {
            let advice = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            terminal::note(&format!(
                "error: the command succeeded, but its output could not be printed: {error}{advice}"
            ));
            ExitCode::FAILURE
        }
    }
}

fn emit_error(error: &CliError, json: bool) -> ExitCode {
    terminal::note(&format!("error: {error}"));
    if json {
        // The exit code reports the failure, too.
        let _ = terminal::print(&terminal::json(&json!({ "error": error.to_string() })));
    }
    error.exit_code()
}
