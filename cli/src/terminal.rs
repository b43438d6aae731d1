//! What people and pipes are told.

use std::io::{IsTerminal, Write};

use badgesmith_shared::env;

use crate::failure::Failure;

/// Prints to stdout. Nobody may be reading there any more, which is no reason to stop.
pub(crate) fn print(text: &str) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Tells on stderr, one line. Texts of strangers are in it, names of files and of branches: nothing in them controls the
/// terminal, or gives a command to a CI system that reads along. GitHub's runner takes `##[` and Azure's agent `##vso[`
/// anywhere in a line; `::`, which GitHub takes at its beginning, is never the beginning of a stranger's text here.
pub(crate) fn note(line: &str) {
    let line = line.replace("##", "#\u{fffd}");
    let line: String =
        line.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect();
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Text of strangers, so that nothing in it controls the terminal; lines stay.
pub(crate) fn printable(text: &str) -> String {
    let harmless = |character: char| !character.is_control() || character == '\n';
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
}

impl Progress {
    /// Shows nothing unless stderr is a terminal.
    pub(crate) fn new() -> Self {
        Self { shown: std::io::stderr().is_terminal(), turns: 0 }
    }

    /// Shows `line` in place of what was there.
    pub(crate) fn show(&mut self, line: &str) {
        if self.shown {
            self.turns += 1;
            let spinner = ["-", "\\", "|", "/"].into_iter().cycle().nth(self.turns % 4).unwrap_or_default();
            let _ = write!(std::io::stderr(), "\r\x1b[K{spinner} {}", printable(line));
        }
    }
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
