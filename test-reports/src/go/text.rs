//! The text of `go test -v`. The line of a package comes after those of its tests.

use super::Reader;
use crate::counts::Outcome;
use crate::format::Format;
use crate::recorder::Recorder;
use crate::vocabulary::GO_TEXT;

/// Tests whose package has not ended yet.
#[derive(Default)]
pub(super) struct Pending {
    /// Starts (`None`) and ends, in order.
    lines: Vec<(String, Option<Outcome>)>,
    running: std::collections::HashSet<String>,
    /// The outcome in the `PASS` or `FAIL` after the tests of a binary.
    outcome: Option<Outcome>,
}

impl Pending {
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }
}

impl Reader {
    pub(super) fn read_text(&mut self, line: &str, recorder: &mut Recorder) -> bool {
        if let Some(name) = test_start(line) {
            self.format(Format::GoText);
            self.pending.running.insert(name.to_owned());
            self.pending.lines.push((name.to_owned(), None));
        } else if let Some((name, outcome)) = self.test_end(line) {
            self.incomplete |= !self.pending.running.remove(name) && outcome != Outcome::Skipped;
            self.pending.lines.push((name.to_owned(), Some(outcome)));
        } else if let Some((package, outcome)) = package_end(line) {
            self.incomplete |= outcome == Outcome::Failed && self.pending.lines.is_empty();
            self.has_failed_package |= outcome == Outcome::Failed;
            self.end_package(package, outcome, recorder);
        } else if let Some(package) = build_failure(line) {
            self.has_failed_package = true;
            self.end_package(package, Outcome::Failed, recorder);
        } else if !self.pending.lines.is_empty() && matches!(line, "PASS" | "FAIL") {
            self.pending.running.clear();
            self.pending.outcome = GO_TEXT.outcome(line);
        } else {
            return false;
        }
        true
    }

    /// The end of a test. If the test is known to be running, its output may precede the end on the same line.
    fn test_end<'a>(&self, line: &'a str) -> Option<(&'a str, Outcome)> {
        let (before, rest) = line.rsplit_once("--- ")?;
        let (word, rest) = rest.split_once(": ")?;
        let (name, time) = match rest.rsplit_once(" (") {
            Some(parts) => parts,
            // A benchmark has no time here.
            None if rest.starts_with("Benchmark") && !rest.contains(' ') => (rest, "s)"),
            None => return None,
        };
        let outcome = GO_TEXT.words.iter().find(|(known, _)| *known == word)?.1;
        let is_end =
            time.ends_with("s)") && (before.trim().is_empty() || self.pending.running.contains(name));
        is_end.then_some((name, outcome))
    }

    fn end_package(&mut self, name: &str, outcome: Outcome, recorder: &mut Recorder) {
        let pending = std::mem::take(&mut self.pending);
        if pending.lines.is_empty() && outcome != Outcome::Failed {
            return;
        }
        if !pending.lines.is_empty() {
            self.format(Format::GoText);
        }
        let package = self.package(name);
        for (test, outcome) in pending.lines {
            match outcome {
                None => package.start(&test),
                Some(outcome) => package.end_test(&test, outcome, recorder),
            }
        }
        package.end(outcome);
    }

    /// Ends the tests of a binary that ran by itself, without `go test`.
    pub(super) fn end_text(&mut self, recorder: &mut Recorder) {
        let has_run = self.pending.lines.iter().any(|(_, outcome)| outcome.is_none());
        if !has_run {
            self.pending = Pending::default();
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let package = self.package("");
        for (test, outcome) in pending.lines {
            match outcome {
                None => package.start(&test),
                Some(outcome) => package.end_test(&test, outcome, recorder),
            }
        }
        if let Some(outcome) = pending.outcome {
            package.end(outcome);
        }
    }
}

/// The name in `=== RUN   TestA/x`. Go writes a space in a name as `_`.
fn test_start(line: &str) -> Option<&str> {
    let name = line.strip_prefix("=== RUN   ")?.trim_end();
    (!name.is_empty() && !name.contains(char::is_whitespace)).then_some(name)
}

/// The package in `ok example.com/kit 0.01s` or `FAIL example.com/kit 0.02s`, with tabs between.
fn package_end(line: &str) -> Option<(&str, Outcome)> {
    let mut parts = line.split('\t');
    let outcome = match parts.next()?.trim_end() {
        "ok" => Outcome::Passed,
        "FAIL" => Outcome::Failed,
        _ => return None,
    };
    let (package, time) = (parts.next()?, parts.next()?);
    let is_time =
        time.starts_with("(cached)") || time.starts_with(|character: char| character.is_ascii_digit());
    is_time.then_some((package, outcome))
}

/// The package in `FAIL example.com/kit [build failed]`, or `[setup failed]` when an import cannot be found.
fn build_failure(line: &str) -> Option<&str> {
    let package = line.strip_prefix("FAIL\t")?;
    package.strip_suffix(" [build failed]").or_else(|| package.strip_suffix(" [setup failed]"))
}

#[cfg(test)]
mod tests {
    use crate::tests::{check_counts, check_error, check_failed, check_repetitions};

    const LOG: &str = "=== RUN   TestA\n=== RUN   TestA/x\n=== PAUSE TestA/x\n=== RUN   TestB\nnoise\n    a_test.go:3: no\n\
        half a line--- FAIL: TestB (0.00s)\n--- PASS: TestA (0.01s)\n    --- PASS: TestA/x (0.00s)\n\
        === RUN   TestC\n--- SKIP: TestC (0.00s)\nFAIL\nFAIL\texample.com/kit\t0.01s\n\
        ?   \texample.com/none\t[no test files]\n=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\n\
        ok  \texample.com/kit/b\t(cached)\tcoverage: 3%\nFAIL\n";

    #[test]
    fn tests_belong_to_the_package_after_them() {
        check_counts(LOG, (3, 1, 1));
        check_failed(LOG, &["example.com/kit.TestB"]);
    }

    #[test]
    fn tests_that_do_not_end_fail_with_their_package() {
        check_counts("=== RUN   TestA\npanic: oh\nFAIL\texample.com/kit\t0.01s\nFAIL\n", (0, 1, 0));
        check_counts("=== RUN   TestA\n", (0, 1, 0));
        check_counts("=== RUN   TestA\n--- PASS: TestA (0.00s)\nFAIL\texample.com/kit\t0.01s\n", (1, 1, 0));
        check_counts("=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\n", (1, 0, 0));
    }

    #[test]
    fn a_package_that_does_not_build_is_one_failure() {
        check_counts("# kit\n./a.go:3: undefined: x\nFAIL\tkit [build failed]\n", (0, 1, 0));
        check_counts(&format!("{LOG}FAIL\tkit [setup failed]\n"), (3, 2, 1));
    }

    #[test]
    fn repetitions_count_as_often_as_they_ran() {
        let run = "=== RUN   TestA\n--- FAIL: TestA (0.00s)\n=== RUN   TestA\n--- PASS: TestA (0.00s)\nFAIL\nFAIL\tkit\t0.01s\n";
        check_counts(run, (0, 1, 0));
        check_repetitions(run, (1, 1, 0));
        let first = "=== RUN   TestA\n--- FAIL: TestA (0.00s)\n=== RUN   TestB\n--- PASS: TestB (0.00s)\nFAIL\nFAIL\tkit\t0.01s\n";
        let retry = "=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\nok  \tkit\t0.01s\n";
        check_counts(&[first, retry].concat(), (2, 0, 0));
        let all = first.replace("FAIL\tkit", "ok  \tkit").replace("FAIL", "PASS");
        check_counts(&[first, &all].concat(), (1, 1, 0));
    }

    #[test]
    fn benchmarks_that_failed_count() {
        let log = "BenchmarkA\n    a_test.go:3: no\n--- FAIL: BenchmarkA\nBenchmarkB\n--- SKIP: BenchmarkB\nFAIL\nFAIL\tkit\t0.01s\n";
        check_counts(log, (0, 1, 1));
    }

    #[test]
    fn without_v_only_failures_show() {
        check_counts(
            "--- FAIL: TestA (0.00s)\n    a_test.go:3: no\nFAIL\nFAIL\tkit\t0.01s\nok  \tkit/b\t0.01s\n",
            (0, 1, 0),
        );
        check_counts("FAIL\nFAIL\tkit\t0.12s\nok  \tkit/b\t0.01s\nFAIL\n", (0, 1, 0));
        check_error(
            "ok  \texample.com/kit\t0.01s\n",
            "not a test report: neither XML nor JSON of a known format, nor the output of a known test runner",
        );
    }
}
