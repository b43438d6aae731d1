//! What people and pipes are told.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use badgesmith_aws::env;
use serde::Serialize;

use crate::duration::format_duration;
use crate::error::CliError;

/// Prints to stdout.
///
/// # Errors
/// When it cannot be written, or nobody is reading there any more.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// JSON in one line. In its strings, what would control a terminal or a CI system that reads along is escaped.
pub(crate) fn json(value: &impl Serialize) -> String {
    #[expect(clippy::expect_used, reason = "no key of ours is anything but a string, and no number infinite")]
    let json = serde_json::to_string(value).expect("values of JSON");
    let escaped = |character: char| match character {
        // All of them have 16 bits.
        _ if controls(character) => format!("\\u{:04x}", u32::from(character)),
        _ => character.to_string(),
    };
    json.replace("##", "#\\u0023").chars().map(escaped).chain(["\n".to_owned()]).collect()
}

/// Tells on stderr, one line. Texts of strangers are in it, names of files and of branches.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(line).replace('\n', "\u{fffd}"));
}

/// Text of strangers, so that nothing in it controls the terminal, or gives a command to a CI system that reads along;
/// lines stay. GitHub's runner takes `##[` and Azure's agent `##vso[` anywhere in a line; `::`, which GitHub takes at its
/// beginning, is never the beginning of a stranger's text here.
pub(crate) fn printable(text: &str) -> String {
    let harmless = |character: char| !controls(character) || character == '\n';
    let text = text.replace("##", "#\u{fffd}");
    text.chars().map(|character| if harmless(character) { character } else { '\u{fffd}' }).collect()
}

/// Whether a character moves, colours or reorders what a terminal shows: the control characters, and those of
/// <https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>
fn controls(character: char) -> bool {
    let is_directional = matches!(character, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || is_directional
}

/// Asks a question that is answered with `y` or `n`, on a terminal.
///
/// # Errors
/// When there is nobody to ask, or the answer is no: [`CliError`] says how to go on.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(format!("{question} There is nobody to ask: say --yes")));
    }
    let _ = write!(io::stderr(), "{} [y/N] ", printable(question));
    let mut answer = String::new();
    let _ = io::stdin().read_line(&mut answer);
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(CliError::Failed("nothing was done".to_owned()))
}

/// A line on stderr that tells how far it is, where somebody looks at it.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    turns: usize,
    begun: Instant,
}

impl Progress {
    /// Shows nothing unless stderr is a terminal.
    pub(crate) fn new() -> Self {
        Self { shown: io::stderr().is_terminal(), turns: 0, begun: Instant::now() }
    }

    /// Shows `line` in place of what was there.
    pub(crate) fn show(&mut self, line: &str) {
        if self.shown {
            self.turns += 1;
            let spinner = ["-", "\\", "|", "/"].into_iter().cycle().nth(self.turns % 4).unwrap_or_default();
            let _ = write!(io::stderr(), "\r\x1b[K{spinner} {}", printable(line));
        }
    }

    /// Shows that `done` of about `total` are what `verb` says.
    pub(crate) fn bar(&mut self, verb: &str, done: usize, total: u64) {
        self.show(&bar(verb, u64::try_from(done).unwrap_or(u64::MAX), total, self.begun.elapsed()));
    }
}

/// `[=====---------------] moved 250 of about 1000, 50 a second, 15s left`
fn bar(verb: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let total = total.max(done);
    let part = usize::try_from(done * 20 / total.max(1)).unwrap_or_default();
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let left = Duration::from_millis((total - done).saturating_mul(milliseconds) / done.max(1));
    let rate = done.saturating_mul(1000) / milliseconds;
    let rest = if done == 0 { String::new() } else { format!(", {} left", format_duration(left)) };
    let bar = format!("{}{}", "=".repeat(part), "-".repeat(20 - part));
    format!("[{bar}] {verb} {done} of about {total}, {rate} a second{rest}")
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// A colour, or none where nobody sees it: <https://no-color.org/>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Bold,
    Red,
    Green,
    Yellow,
}

impl Paint {
    /// `text` in this colour, on a terminal.
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
    fn json_of_strangers_is_the_same_and_harmless() {
        let value = serde_json::json!({ "body": "\u{9b}31m\u{202e}##vso[\u{7f}\n\"ä" });
        let line = json(&value);
        assert_eq!(line, "{\"body\":\"\\u009b31m\\u202e#\\u0023vso[\\u007f\\n\\\"ä\"}\n");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }

    #[test]
    fn a_bar_tells_how_far_it_is_how_fast_and_how_long_it_takes() {
        let five = Duration::from_secs(5);
        for (done, total, text) in [
            (0, 0, "[--------------------] moved 0 of about 0, 0 a second"),
            (250, 1000, "[=====---------------] moved 250 of about 1000, 50 a second, 15s left"),
            (9, 3, "[====================] moved 9 of about 9, 1 a second, 0s left"),
        ] {
            assert_eq!(bar("moved", done, total, five), text);
        }
    }

    #[test]
    fn strangers_give_no_commands() {
        assert_eq!(printable("##vso[x]\n\u{1b}[2J"), "#\u{fffd}vso[x]\n\u{fffd}[2J");
    }
}
