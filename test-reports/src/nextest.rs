//! The output of `cargo nextest run`: <https://nexte.st/docs/reporting/>.
//!
//! - Between `Starting 4 tests` and `Summary [`, each line such as `PASS [   0.017s] kit::api gets` is
//!   a test. Lines that start with `TRY` are attempts.
//! - Tests without a line, as with `--status-level fail`, count by the summary. Tests that it calls skipped are
//!   skipped.
//! - A run without a summary failed.

use std::collections::HashMap;

use crate::counts::{Counts, Outcome};
use crate::format::Format;
use crate::note::Note;
use crate::recorder::{Recorder, Scope, Test};
use crate::vocabulary::NEXTEST;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    /// How many tests were announced.
    pub(crate) tests: u64,
    /// Whether fewer tests ran.
    is_canceled: bool,
    counts: Counts,
}

/// The line of a test.
struct TestLine<'a> {
    binary: &'a str,
    name: &'a str,
    outcome: Outcome,
    retried: bool,
}

#[derive(Default)]
pub(crate) struct Reader<'a> {
    /// The tests of a run without a summary so far.
    running: Option<Vec<TestLine<'a>>>,
    any: bool,
    /// Whether the output of a test follows, after the summary.
    is_in_output: bool,
}

impl<'a> Reader<'a> {
    /// Reads a line outside of other tools' runs. Returns whether it belongs to this format.
    pub(crate) fn read(&mut self, line: &'a str, recorder: &mut Recorder) -> bool {
        if self.any && self.running.is_none() && line.ends_with(" ---") && line.starts_with("--- STDOUT: ") {
            self.is_in_output = true;
        } else if line.starts_with("--- STDERR: ") || line.starts_with("error: test run failed") {
            self.is_in_output = false;
            return false;
        } else if announced(line).is_some() {
            self.is_in_output = false;
            self.end(recorder);
            self.running = Some(Vec::new());
            self.any = true;
        } else if let Some(summary) = summary(line) {
            self.any = true;
            let tests = self.running.take().unwrap_or_default();
            let shown = record(&tests, recorder);
            recorder.add(summary.counts.without(shown));
            if summary.is_canceled && summary.counts.failed == 0 {
                recorder.fail_run();
            }
        } else {
            return self.read_output(line);
        }
        true
    }

    pub(crate) fn is_in_output(&self) -> bool {
        self.is_in_output
    }

    /// Ends the output of a test, which is a run of libtest with this test.
    pub(crate) fn end_output(&mut self) {
        self.is_in_output = false;
    }

    /// Reads a line between the first and the last line of a run. Returns whether it is the result of a test.
    pub(crate) fn read_output(&mut self, line: &'a str) -> bool {
        let (Some(tests), Some(test)) = (&mut self.running, test(line)) else { return false };
        tests.push(test);
        true
    }

    /// Ends a run that has no summary.
    fn end(&mut self, recorder: &mut Recorder) {
        if let Some(tests) = self.running.take() {
            record(&tests, recorder);
            recorder.fail_run();
            recorder.note(Note::Incomplete(Format::Nextest));
        }
    }

    pub(crate) fn finish(mut self, recorder: &mut Recorder) {
        self.end(recorder);
        if self.any {
            recorder.format(Format::Nextest);
        }
    }
}

/// Records each test by its last line.
fn record(tests: &[TestLine<'_>], recorder: &mut Recorder) -> Counts {
    let lines = tests.iter().enumerate();
    let last: HashMap<_, _> = lines.map(|(index, test)| ((test.binary, test.name), index)).collect();
    let mut shown = Counts::default();
    for (index, &TestLine { binary, name, outcome, retried }) in tests.iter().enumerate() {
        if last.get(&(binary, name)) == Some(&index) {
            shown += outcome.into();
            recorder.test(&Test { retried, ..Test::new(Scope::suite(binary), name, outcome) });
        }
    }
    shown
}

/// The number in `Starting 4 tests across 2 binaries`.
pub(crate) fn announced(line: &str) -> Option<u64> {
    let line = line.trim_start().strip_prefix("Starting ")?;
    let (number, rest) = line.split_once(' ')?;
    (rest.starts_with("tests across ") || rest.starts_with("test across "))
        .then(|| number.parse::<u32>().ok().map(u64::from))?
}

/// The numbers in `Summary [   0.100s] 4 tests run: 3 passed (1 slow, 1 flaky), 1 failed, 2 skipped`. A run that was
/// canceled has `2/4 tests run`.
pub(crate) fn summary(line: &str) -> Option<Summary> {
    let (time, rest) = line.trim_start().strip_prefix("Summary [")?.split_once("] ")?;
    time.trim().strip_suffix('s')?.parse::<f64>().ok()?;
    let (number, mut parts) = rest.split_once(" run: ")?;
    let number = number.strip_suffix(" tests").or_else(|| number.strip_suffix(" test"))?;
    let (run, tests) = number.split_once('/').unwrap_or((number, number));
    let (run, tests): (u32, u32) = (run.parse().ok()?, tests.parse().ok()?);
    let mut counts = Counts::default();
    while let Some((number, rest)) = parts.trim_start().split_once(' ') {
        let Ok(number) = number.parse::<u32>() else { break };
        let end = rest.find(['(', ',']).unwrap_or(rest.len());
        let (words, rest) = rest.split_at(end);
        counts += match words.trim() {
            "passed" => Counts::of(Outcome::Passed, number.into()),
            "failed" | "timed out" | "exec failed" => Counts::failed(number.into()),
            "skipped" => Counts::skipped(number.into()),
            _ => Counts::default(),
        };
        let rest = rest.strip_prefix('(').map_or(rest, |inner| inner.split_once(')').unwrap_or_default().1);
        parts = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(Summary { tests: tests.into(), is_canceled: run < tests, counts })
}

/// The test in `PASS [   0.017s] (1/4) kit::api gets`.
fn test(line: &str) -> Option<TestLine<'_>> {
    let (status, rest) = line.trim_start().split_once('[')?;
    let (time, rest) = rest.split_once(']')?;
    if !time.trim().ends_with('s') {
        return None;
    }
    let status = status.trim();
    // `TRY 2 PASS` or, in short, `TRY 2 FL`.
    let attempt = status.strip_prefix("TRY ").and_then(|status| status.split_once(' '));
    let word = attempt.map_or(status, |(_, status)| status);
    let outcome = NEXTEST.prefix(word)?;
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest);
    let (binary, name) = rest.trim().split_once(' ')?;
    let retried = attempt.is_some_and(|(number, _)| number != "1") || word.starts_with("FLAKY");
    Some(TestLine { binary, name: name.trim(), outcome, retried })
}

#[cfg(test)]
mod tests {
    use crate::Counts;
    use crate::tests::{check, check_counts, check_failed};

    #[test]
    fn each_line_is_a_test() {
        let log = "   Compiling kit\n    Starting 5 tests across 2 binaries (run ID: 1)\n\
            \u{20}       PASS [   0.010s] (1/5) kit a\n        SLOW [> 60.000s] kit b\n        LEAK [   0.010s] kit b\n\
            \u{20} TRY 1 FAIL [   0.010s] kit::api c\n  TRY 2 PASS [   0.010s] kit::api c\n\
            \u{20}    SIGSEGV [   0.010s] kit d\n     TIMEOUT [  60.010s] kit e\n------------\n\
            \u{20}    Summary [  60.100s] 5 tests run: 3 passed (1 flaky, 1 leaky), 1 failed, 1 timed out, 2 skipped\n\
            \u{20}    SIGSEGV [   0.010s] kit d\nerror: test run failed\n";
        check_counts(log, (3, 2, 2));
        check_failed(log, &["d", "e"]);
    }

    #[test]
    fn tests_without_a_line_count_by_the_summary() {
        let log = "Starting 9 tests across 1 binary\n  FAIL [   0.010s] kit a\nrunning 1 test\ntest a ... FAILED\n\
            test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured\n\
            Summary [   0.100s] 7/9 tests run: 6 passed, 1 failed, 0 skipped\n";
        check_counts(log, (6, 1, 0));
    }

    #[test]
    fn a_canceled_run_failed() {
        let log = "Starting 4 tests across 1 binary\n  PASS [   0.010s] kit a\n  PASS [   0.010s] kit b\n\
            Summary [   1.100s] 2/4 tests run: 2 passed, 0 skipped\n";
        check(log, Counts { passed: 2, failed: 0, skipped: 0 }, true);
        check_counts(
            "Starting 1 test across 1 binary\n  XFAIL [   0.010s] kit a\nSummary [ 1s] 1 test run: 0 passed, 1 exec failed\n",
            (0, 1, 0),
        );
    }

    #[test]
    fn the_output_after_the_summary_does_not_count() {
        let output = "--- STDOUT:              kit b ---\n\nrunning 1 test\ntest b ... FAILED\n\nfailures:\n    b\n\n\
            test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured\n";
        let log = format!(
            "Starting 1 test across 1 binary\n  FAIL [   0.010s] kit b\nSummary [   0.100s] 1 test run: 0 passed, 1 failed\n\
            {output}--- STDERR:              kit b ---\npanicked\n{output}"
        );
        check_counts(&log, (0, 1, 0));
        let doctests = "running 1 test\ntest x ... FAILED\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured\n";
        check_counts(&[&log, "   Doc-tests kit\n\n", doctests].concat(), (0, 2, 0));
    }

    #[test]
    fn a_run_without_a_summary_failed() {
        let log = "Starting 2 tests across 1 binary\n  PASS [   0.010s] kit a\n";
        check(log, Counts { passed: 1, failed: 0, skipped: 0 }, true);
    }
}
