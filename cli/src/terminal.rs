//! stdout, stderr and stdin.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use badgesmith_aws::env;
use serde::Serialize;

use crate::duration::format_duration;
use crate::error::CliError;

/// Prints to stdout.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// JSON on one line. Escapes control characters, and commands to a CI system that reads the output.
pub(crate) fn json(value: &impl Serialize) -> String {
    #[expect(clippy::expect_used, reason = "every key is a string, and no number is infinite")]
    let json = serde_json::to_string(value).expect("values of JSON");
    let escaped = |character: char| match character {
        // All of them fit in 16 bits.
        _ if controls(character) => format!("\\u{:04x}", u32::from(character)),
        _ => character.to_string(),
    };
    json.replace("##", "#\\u0023").chars().map(escaped).chain(["\n".to_owned()]).collect()
}

/// Prints one line to stderr. It may contain untrusted text, such as the name of a file or a branch.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(line).replace('\n', "\u{fffd}"));
}

/// Replaces control characters in untrusted text, and commands to a CI system that reads the output. Keeps line breaks.
///
/// GitHub's runner takes `##[` and Azure's agent `##vso[` for a command anywhere in a line. GitHub's other form, `::`, only
/// counts at the beginning of a line, where no command prints untrusted text.
pub(crate) fn printable(text: &str) -> String {
    let harmless = |character: char| !controls(character) || character == '\n';
    text.replace("##", "#\u{fffd}")
        .chars()
        .map(|character| if harmless(character) { character } else { '\u{fffd}' })
        .collect()
}

/// Whether a character moves, colors or reorders the text of a terminal: control characters, and those of
/// <https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>
fn controls(character: char) -> bool {
    let is_directional = matches!(character, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || is_directional
}

/// Asks the user to confirm with `y`, unless `yes` is set.
///
/// # Errors
/// [`CliError::Usage`] when stdin is not a terminal, [`CliError::Failed`] when the user declines.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(format!("stdin is not a terminal, so confirm with --yes: {question}")));
    }
    let _ = write!(io::stderr(), "{} [y/N] ", printable(question));
    let mut answer = String::new();
    let _ = io::stdin().read_line(&mut answer);
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(CliError::Failed("not confirmed, so nothing was changed".to_owned()))
}

/// A progress line on stderr, if that is a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    is_shown: bool,
    ticks: usize,
    started: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal(), ticks: 0, started: Instant::now() }
    }

    /// Replaces the line.
    pub(crate) fn show(&mut self, line: &str) {
        if self.is_shown {
            self.ticks += 1;
            let spinner = ["-", "\\", "|", "/"].into_iter().cycle().nth(self.ticks % 4).unwrap_or_default();
            let _ = write!(io::stderr(), "\r\x1b[K{spinner} {}", printable(line));
        }
    }

    /// Replaces the line with a bar, for example `[==---] moved 250 of about 1000`.
    pub(crate) fn bar(&mut self, verb: &str, done: usize, total: u64) {
        self.show(&bar(verb, u64::try_from(done).unwrap_or(u64::MAX), total, self.started.elapsed()));
    }
}

/// `[=====---------------] moved 250 of about 1000, 50 per second, 15s left`
fn bar(verb: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let total = total.max(done);
    let part = usize::try_from(done * 20 / total.max(1)).unwrap_or_default();
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let left = Duration::from_millis((total - done).saturating_mul(milliseconds) / done.max(1));
    let rate = done.saturating_mul(1000) / milliseconds;
    let rest = if done == 0 { String::new() } else { format!(", {} left", format_duration(left)) };
    let bar = format!("{}{}", "=".repeat(part), "-".repeat(20 - part));
    format!("[{bar}] {verb} {done} of about {total}, {rate} per second{rest}")
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// A color of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Bold,
    Red,
    Green,
    Yellow,
}

impl Paint {
    /// `text` in this color, if stdout is a terminal and `NO_COLOR` is not set: <https://no-color.org/>
    pub(crate) fn on(self, text: &str) -> String {
        if !io::stdout().is_terminal() || env::optional("NO_COLOR").is_some() {
            return text.to_owned();
        }
        let code = match self {
            Self::Bold => 1,
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_escapes_control_characters_and_commands() {
        let value = serde_json::json!({ "body": "\u{9b}31m\u{202e}##vso[\u{7f}\n\"ä" });
        let line = json(&value);
        assert_eq!(line, "{\"body\":\"\\u009b31m\\u202e#\\u0023vso[\\u007f\\n\\\"ä\"}\n");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }

    #[test]
    fn a_bar_shows_progress_rate_and_remaining_time() {
        let five = Duration::from_secs(5);
        for (done, total, text) in [
            (0, 0, "[--------------------] moved 0 of about 0, 0 per second"),
            (250, 1000, "[=====---------------] moved 250 of about 1000, 50 per second, 15s left"),
            (9, 3, "[====================] moved 9 of about 9, 1 per second, 0s left"),
        ] {
            assert_eq!(bar("moved", done, total, five), text);
        }
    }

    #[test]
    fn untrusted_text_contains_no_commands() {
        assert_eq!(printable("##vso[x]\n\u{1b}[2J"), "#\u{fffd}vso[x]\n\u{fffd}[2J");
    }
}
