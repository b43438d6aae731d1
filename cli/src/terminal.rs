//! What people and pipes are told.

use std::io::Write;

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
