//! What a command has to tell: a text for people, or the same as JSON.

use std::io::ErrorKind;
use std::process::ExitCode;
use std::time::Duration;

use badgesmith_domain::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::terminal::{self, Paint};

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Told {
    /// For programs.
    pub(crate) json: Value,
    /// For people and pipes, on stdout.
    pub(crate) text: String,
    /// For people, on stderr.
    pub(crate) notes: Vec<String>,
    /// It was not done as a whole.
    pub(crate) failed: bool,
    /// What to do when it cannot be printed, though it cannot be had again.
    pub(crate) unprinted: Option<String>,
}

impl Told {
    /// All is well.
    pub(crate) fn new(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into(), notes: Vec::new(), failed: false, unprinted: None }
    }

    /// Says something more to people.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// Tells what came of a command; the exit code.
pub(crate) fn tell(told: Result<Told, Failure>, json: bool) -> ExitCode {
    let (printed, unprinted, code) = match told {
        Ok(Told { json: value, text, notes, failed, unprinted }) => {
            let printed = match text.as_str() {
                _ if json => terminal::print(&terminal::json(&value)),
                "" => Ok(()),
                text => terminal::print(&format!("{text}\n")),
            };
            for note in notes {
                terminal::note(&note);
            }
            (printed, unprinted, ExitCode::from(u8::from(failed)))
        }
        Err(failure) => {
            terminal::note(&format!("error: {failure}"));
            let error = json!({ "error": failure.to_string() });
            let printed = if json { terminal::print(&terminal::json(&error)) } else { Ok(()) };
            (printed, None, failure.code())
        }
    };
    match (printed, unprinted) {
        (Ok(()), _) => code,
        // Whoever has read enough closes a pipe.
        (Err(error), None) if error.kind() == ErrorKind::BrokenPipe => code,
        (Err(error), unprinted) => {
            let advice = unprinted.map(|unprinted| format!("; {unprinted}")).unwrap_or_default();
            terminal::note(&format!("error: it was done, and cannot be printed: {error}{advice}"));
            ExitCode::FAILURE
        }
    }
}

/// Rows below each other, in columns as wide as they need to be.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cells = cells.map(|cell| terminal::printable(&cell).replace('\n', " "));
        self.rows.push(cells.into());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            let line = line.trim_end();
            match number {
                0 => write!(f, "{}", Paint::Bold.on(line))?,
                _ => write!(f, "\n{line}")?,
            }
        }
        Ok(())
    }
}

/// How long ago something was, in its two largest units at most.
pub(crate) fn age(of: Timestamp, now: Timestamp) -> String {
    duration(now.since(of))
}

/// A duration as people write it: `45s`, `12m`, `3h 20m`, `5d 1h`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// Reads a duration: a number and `s`, `m`, `h` or `d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number and s, m, h or d, for example 90m".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(expected)?;
    let number: u64 = number.parse().map_err(|_| expected())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(expected()),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_and_read() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (720, "12m"), (12_000, "3h 20m"), (435_600, "5d 1h")]
        {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(parse_duration("90m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_hours(48)));
        for bad in ["", "m", "1", "1w", "-1s", "1.5h", "99999999999999999999d", "9999999999999999999d", "1é"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_in_a_table_controls_the_terminal() {
        let mut table = Table::new(&["A", "LONG"]);
        table.row(["bell\u{7}".to_owned(), "two\nlines".to_owned()]);
        assert_eq!(table.to_string(), "A      LONG\nbell\u{fffd}  two lines");
    }
}
