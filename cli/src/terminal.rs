//! What people and pipes are told.

use std::io::Write;

/// Prints to stdout. Nobody may be reading there any more, which is no reason to stop.
pub(crate) fn print(text: &str) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Tells on stderr, one line. Texts of strangers are among them: nothing in them controls the terminal.
pub(crate) fn note(line: &str) {
    let line: String =
        line.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect();
    let _ = writeln!(std::io::stderr(), "{line}");
}
