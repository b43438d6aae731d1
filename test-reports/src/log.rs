//! The output of test runners, mixed with that of other programs. Every line belongs to one tool, or to none.

use crate::error::Located;
use crate::note::Note;
use crate::recorder::Recorder;
use crate::spans::{self, Span, Tool};
use crate::text::Prefixed;
use crate::{cargo, dart, go, json, libtest, nextest, tap, text, xml_reports};

/// A reader for each format.
#[derive(Default)]
struct Readers<'a> {
    nextest: nextest::Reader<'a>,
    cargo: cargo::Reader<'a>,
    go: go::Reader,
    libtest: libtest::Reader,
    dart: dart::Reader,
    tap: tap::Reader,
}

/// A document at a line of a log. No other begins in the text of its length, so that time is linear.
pub(crate) enum InLog {
    Report {
        length: usize,
    },
    /// Not a report; its lines are read like others.
    Other {
        length: usize,
    },
    /// A report that cannot be read; its lines are read like others.
    Invalid {
        length: usize,
        error: Located,
    },
}

/// The documents of a log.
#[derive(Default)]
struct Documents {
    no_xml_before: usize,
    no_json_before: usize,
    /// The error in the first report that cannot be read.
    error: Option<Located>,
}

impl Documents {
    /// Reads the document that begins at a line, if it is a report. Returns the offset of its end.
    fn read(&mut self, text: &str, offset: usize, line: &str, recorder: &mut Recorder) -> Option<usize> {
        let content = text.get(offset..).unwrap_or_default();
        let (document, no_other_before) = if offset >= self.no_xml_before && xml_reports::detects(line) {
            (xml_reports::read_in_log(content, recorder), &mut self.no_xml_before)
        } else if offset >= self.no_json_before && json::detects(line) {
            (json::read_in_log(content, recorder), &mut self.no_json_before)
        } else {
            return None;
        };
        match document {
            InLog::Report { length } => return Some(offset + length),
            InLog::Other { length } => *no_other_before = offset + length,
            InLog::Invalid { length, error } => {
                *no_other_before = offset + length;
                self.error.get_or_insert(Located { offset: error.offset + offset, ..error });
            }
        }
        None
    }
}

/// Reads all results in a log, and then those behind prefixes.
pub(crate) fn read(text: &str, recorder: &mut Recorder) -> Result<(), Located> {
    let plain = text::without_colors(text);
    let (mut error, prefixed) = read_lines(&plain, false, recorder);
    let (before, is_first) = (recorder.results(), recorder.formats.is_empty());
    for source in prefixed.sources.values() {
        // If other lines have no prefix either, a source needs more than a line that looks like a result.
        let (in_source, _) = read_lines(source, !prefixed.is_most(), recorder);
        error = error.or(in_source);
    }
    if recorder.results() != before || is_first && !recorder.formats.is_empty() {
        recorder.note(Note::Prefixed);
    }
    error.filter(|_| recorder.formats.is_empty()).map_or(Ok(()), Err)
}

/// Reads all results in lines. Returns the first error in a document, and the lines with a prefix.
fn read_lines<'a>(
    plain: &'a str,
    only_certain: bool,
    recorder: &mut Recorder,
) -> (Option<Located>, Prefixed<'a>) {
    let mut prefixed = Prefixed::default();
    let mut readers = Readers::default();
    let mut documents = Documents::default();
    let mut spans = spans::find(plain).into_iter().peekable();
    let mut enclosing: Option<Span> = None;
    let mut skip_to = 0;
    for (offset, line) in text::lines(plain) {
        if offset < skip_to {
            continue;
        }
        enclosing = enclosing.filter(|span| offset <= span.end);
        while let Some(span) = spans.next_if(|span| span.start <= offset) {
            if span.start < offset {
                continue;
            }
            if enclosing.is_none() && !readers.is_in_output() {
                enclosing = Some(span);
            } else {
                // The output of a test.
                skip_to = span.end + 1;
                readers.nextest.end_output();
            }
        }
        if offset < skip_to {
            continue;
        }
        match enclosing {
            Some(span) if offset == span.start || offset == span.end => {
                readers.read_edge(span.tool, line, recorder);
            }
            Some(span) => readers.read_output(span.tool, line),
            None => {
                let is_in_output = readers.is_in_output();
                let document =
                    if is_in_output { None } else { documents.read(plain, offset, line, recorder) };
                if let Some(end) = document {
                    skip_to = end;
                } else if !readers.read(line, recorder) {
                    prefixed.read(line);
                }
            }
        }
    }
    readers.finish(only_certain, recorder);
    (documents.error, prefixed)
}

impl<'a> Readers<'a> {
    /// Reads the first or the last line of a run.
    fn read_edge(&mut self, tool: Tool, line: &'a str, recorder: &mut Recorder) {
        match tool {
            Tool::Cargo => drop(self.cargo.read(line, recorder)),
            Tool::Nextest => drop(self.nextest.read(line, recorder)),
        }
    }

    /// Reads a line within a run. It may be the result of a test.
    fn read_output(&mut self, tool: Tool, line: &'a str) {
        match tool {
            Tool::Cargo => self.cargo.read_output(line),
            Tool::Nextest => drop(self.nextest.read_output(line)),
        }
    }

    /// Whether lines are the output of a test.
    fn is_in_output(&self) -> bool {
        self.go.is_running() || self.cargo.is_listing() || self.nextest.is_in_output()
    }

    /// Reads a line outside completed runs. Returns whether it belongs to a tool.
    fn read(&mut self, line: &'a str, recorder: &mut Recorder) -> bool {
        if self.nextest.is_in_output() {
            return self.nextest.read(line, recorder) || self.nextest.is_in_output();
        }
        let is_read = self.go.read(line, recorder)
            || self.go.is_running()
            || self.nextest.read(line, recorder)
            || self.cargo.read(line, recorder)
            || self.libtest.read(line, recorder)
            || self.dart.read(line, recorder);
        if !is_read && !self.is_in_output() {
            self.tap.read(line);
        }
        is_read || self.is_in_output()
    }

    /// Ends all runs. TAP depends on whether the log has anything else, and so does what is left of cargo.
    fn finish(self, only_certain: bool, recorder: &mut Recorder) {
        self.nextest.finish(recorder);
        let cargo = self.cargo.finish(recorder);
        self.go.finish(recorder);
        self.libtest.finish(recorder);
        self.dart.finish(recorder);
        self.tap.finish(only_certain, recorder);
        cargo.finish(recorder);
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{check_counts, check_error, check_failed};

    const CARGO: &str =
        "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n";
    const TAP: &str = "1..2\nok 1 - b\nnot ok 2 - c\n";
    const GO: &str = "=== RUN   TestD\n--- PASS: TestD (0.00s)\nPASS\nok  \tkit\t0.01s\n";
    const XML: &str = "<?xml version='1.0'?>\n<testsuite><testcase name='e'/></testsuite>\n";

    #[test]
    fn the_results_of_several_tools_add_up() {
        check_counts(
            &[CARGO, "bats test/\n", TAP, "make: *** [test] Error 1\n", GO, XML].concat(),
            (4, 1, 0),
        );
        check_counts(&[XML, TAP, XML].concat(), (3, 1, 0));
        check_failed(&[GO, TAP].concat(), &["c"]);
    }

    #[test]
    fn other_lines_do_not_count() {
        for noise in [
            "ok 7 files copied\n",
            "1..10\n",
            "ok\n",
            "not ok\n",
            "--- FAIL: is what a failed test prints\n",
            "Summary [of changes] 3 files\n",
            "<?xml version='1.0'?><svg/>\n",
            "running 2 tests in parallel\n",
            "test result: see below\n",
            "{\"type\":\"suite\",\"event\":\"failed\"}\n",
            "FAIL\tis not a package\n",
            "    PASS [ok] everything\n",
            "=== RUN the unit tests ===\n",
            "Summary [of changes] 4 tests run: 3 passed, 1 failed\n",
            "<testsuite is what a test prints\n",
        ] {
            check_counts(&["make\n", noise, CARGO, noise, TAP, noise].concat(), (2, 1, 0));
            check_counts(&["make\n", noise, GO, noise].concat(), (1, 0, 0));
            let unknown = "not a test report: neither XML nor JSON of a known format, nor the output of a known test runner";
            if !noise.starts_with("1..") {
                check_error(&["make\n", noise].concat(), unknown);
            }
        }
    }

    #[test]
    fn the_output_of_a_test_belongs_to_its_tool() {
        let nested = format!(
            "running 1 test\n{TAP}{XML}{GO}test z ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n"
        );
        check_counts(&nested, (1, 0, 0));
        let nested = format!(
            "=== RUN   TestX\n{TAP}{CARGO}{XML}{{\"Action\":\"fail\",\"Package\":\"k\",\"Test\":\"T\"}}\n    --- is output\n--- PASS: TestX (0.00s)\nPASS\nok  \tkit\t0.01s\n"
        );
        check_counts(&nested, (1, 0, 0));
    }

    #[test]
    fn lines_may_have_a_prefix() {
        let prefixed = |prefix: &str, log: &str| {
            log.lines().map(|line| [prefix, line, "\n"].concat()).collect::<Vec<_>>().concat()
        };
        for prefix in ["tests-1  | ", "[0] ", "2026-01-05T10:00:00.123Z ", "[   12.345678] "] {
            check_counts(&prefixed(prefix, &[CARGO, TAP].concat()), (2, 1, 0));
        }
        check_counts(&[prefixed("a-1  | ", CARGO), prefixed("b-1 | ", TAP)].concat(), (2, 1, 0));
        let mixed = [CARGO, &prefixed("e2e-1  | ", TAP), &"building\n".repeat(20)].concat();
        check_counts(&mixed, (2, 1, 0));
        check_counts(&mixed.replace(CARGO, ""), (1, 1, 0));
        check_counts(&[CARGO, "e2e-1  | not ok\ne2e-1  | ok 1\n"].concat(), (1, 0, 0));
    }

    #[test]
    fn one_failure_counts_once() {
        let error = "error: test failed, to rerun pass `--test custom`\n";
        check_counts(&[TAP, error].concat(), (1, 1, 0));
        let libtest = "{ \"type\": \"suite\", \"event\": \"started\", \"test_count\": 1 }\n\
            { \"type\": \"test\", \"name\": \"b\", \"event\": \"failed\" }\n\
            { \"type\": \"suite\", \"event\": \"failed\" }\n";
        check_counts(&[libtest, error].concat(), (0, 1, 0));
        check_counts(&[GO, error].concat(), (1, 1, 0));
    }

    #[test]
    fn an_announcement_alone_is_other_output() {
        check_counts(&[GO, "running 3 tests\n"].concat(), (1, 0, 0));
        check_counts(&["running 3 tests\n", TAP].concat(), (1, 1, 0));
        check_counts("running 3 tests\n", (0, 3, 0));
    }
}
