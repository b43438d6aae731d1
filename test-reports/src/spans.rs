//! The completed runs of test binaries in a log.
//!
//! A test may print anything. For example, a test of a build tool prints the results of the tests that it ran. Lines
//! between the start of a run (`running 2 tests`) and its summary with the same number of tests therefore belong only
//! to the tool of that run.

use crate::{cargo, nextest, text};

/// The maximum depth of nested runs.
const DEPTH_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Cargo,
    Nextest,
}

/// A run: from the offset of its first line to that of its last line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) tool: Tool,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

struct Open {
    tool: Tool,
    tests: u64,
    start: usize,
}

/// The runs in the order of their starts, so that nested runs follow the enclosing one.
pub(crate) fn find(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for (offset, line) in text::lines(text) {
        let started = cargo::announced(line)
            .map(|tests| (Tool::Cargo, tests))
            .or_else(|| nextest::announced(line).map(|tests| (Tool::Nextest, tests)));
        if let Some((tool, tests)) = started {
            if open.len() == DEPTH_MAX {
                open.remove(0);
            }
            open.push(Open { tool, tests, start: offset });
            continue;
        }
        let ended = cargo::summary(line)
            .map(|summary| (Tool::Cargo, summary.total()))
            .or_else(|| nextest::summary(line).map(|summary| (Tool::Nextest, summary.tests)));
        if let Some((tool, tests)) = ended
            && let Some(position) = open.iter().rposition(|run| run.tool == tool && run.tests == tests)
        {
            let start = open.drain(position..).next().map_or(offset, |run| run.start);
            spans.push(Span { tool, start, end: offset });
        }
    }
    spans.sort_unstable_by_key(|span| span.start);
    spans
}
