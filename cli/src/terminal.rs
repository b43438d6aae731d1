//! What people and pipes are told.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use badgesmith_shared::env;

use crate::failure::Failure;
use crate::told::duration;

/// Prints to stdout. Nobody may be reading there any more, which is no reason to stop.
pub(crate) fn print(text: &str) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Tells on stderr, one line. Texts of strangers are in it, names of files and of branches.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(line).replace('\n', "\u{fffd}"));
}

/// Text of strangers, so that nothing in it controls the terminal, or gives a command to a CI system that reads along;
/// lines stay. GitHub's runner takes `##[` and Azure's agent `##vso[` anywhere in a line; `::`, which GitHub takes at its
/// beginning, is never the beginning of a stranger's text here.
pub(crate) fn printable(text: &str) -> String {
    let harmless = |character: char| !character.is_control() || character == '\n';
    let text = text.replace("##", "#\u{fffd}");
    text.chars().map(|character| if harmless(character) { character } else { '\u{fffd}' }).collect()
}

/// Asks a question that is answered with `y` or `n`, on a terminal.
///
/// # Errors
/// When there is nobody to ask, or the answer is no: [`Failure`] says how to go on.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("{question} There is nobody to ask: say --yes")));
    }
    let _ = write!(std::io::stderr(), "{} [y/N] ", printable(question));
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::Failed("nothing was done".to_owned()))
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
        Self { shown: std::io::stderr().is_terminal(), turns: 0, begun: Instant::now() }
    }

    /// Shows `line` in place of what was there.
    pub(crate) fn show(&mut self, line: &str) {
        if self.shown {
            self.turns += 1;
            let spinner = ["-", "\\", "|", "/"].into_iter().cycle().nth(self.turns % 4).unwrap_or_default();
            let _ = write!(std::io::stderr(), "\r\x1b[K{spinner} {}", printable(line));
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
    let rest = if done == 0 { String::new() } else { format!(", {} left", duration(left)) };
    let bar = format!("{}{}", "=".repeat(part), "-".repeat(20 - part));
    format!("[{bar}] {verb} {done} of about {total}, {rate} a second{rest}")
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
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
        if !std::io::stdout().is_terminal() || env::optional("NO_COLOR").is_some() {
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
