//! The output of `cargo test`.
//!
//! Each test binary announces `running 4 tests` and ends with the line of
//! <https://doc.rust-lang.org/book/ch11-01-writing-tests.html>, which the standard library's
//! `library/test/src/formatters/pretty.rs` writes: `test result: ok. 3 passed; 0 failed; 1 ignored;
//! 0 measured; 2 filtered out; finished in 0.00s`. Other harnesses write it in another order. The rules here:
//!
//! - The summaries of all binaries add up. Measured benchmarks have passed; filtered tests do not count.
//! - If the lines of a binary's tests agree with its summary, its tests are recorded with their names. A binary is
//!   identified by the line `Running tests/api.rs (target/debug/deps/api-0123)` before it.
//! - A binary without a summary crashed: those of its tests that are known to have passed or to be
//!   ignored count as such, all others that it announced as failed, and at least one.
//! - Lines between the announcement and the summary with the same number of tests are the output of these tests.
//! - A test target with its own harness may print none of this. If it fails, or a crate does not compile, `cargo`
//!   prints an error to stderr, which counts as one failed test unless the text has another failure.

use crate::counts::{Counts, Outcome};
use crate::format::Format;
use crate::recorder::{Recorder, Scope, Test};
use crate::vocabulary::CARGO;

/// The message of `cargo` when a crate does not compile.
const NOT_COMPILED: &str = "error: could not compile ";

/// The test binaries of a log.
#[derive(Default)]
pub(crate) struct Reader<'a> {
    running: Option<Binary<'a>>,
    /// The name of the binary that comes next.
    next: Option<&'a str>,
    any: bool,
    rest: Rest<'a>,
}

/// What counts only if nothing else does.
#[derive(Default)]
pub(crate) struct Rest<'a> {
    /// Whether there is more than the announcements of tests.
    is_certain: bool,
    /// The announced tests of binaries that show nothing else.
    silent: u64,
    /// The first error of a target.
    target_failure: Option<&'a str>,
}

impl Rest<'_> {
    pub(crate) fn finish(self, recorder: &mut Recorder) {
        // Without other signs of `cargo`, the results of another tool show that this is its output.
        if self.silent > 0 && (self.is_certain || recorder.formats.is_empty()) {
            recorder.format(Format::CargoTest);
            recorder.add(Counts::failed(self.silent));
        }
        if let Some(error) = self.target_failure
            && recorder.counts().failed == 0
            && !recorder.run_failed
        {
            recorder.failure(error.trim_start_matches("error: "));
        }
    }
}

/// A test binary that has announced its tests and not summed them up yet.
struct Binary<'a> {
    announced: u64,
    name: Option<&'a str>,
    tests: Vec<(&'a str, Outcome)>,
    /// Names in the list of failures at the end.
    listed: Vec<&'a str>,
    lists_failures: bool,
    /// Whether all tests have ended, and their output follows.
    lists_output: bool,
}

impl<'a> Reader<'a> {
    /// Whether lines are the output of tests, unless they end the binary.
    pub(crate) fn is_listing(&self) -> bool {
        self.running.as_ref().is_some_and(|binary| binary.lists_output)
    }

    /// Reads a line outside of other tools' runs. Returns whether it belongs to this format.
    pub(crate) fn read(&mut self, line: &'a str, recorder: &mut Recorder) -> bool {
        let is_end = |binary: &Binary<'_>| summary(line).is_some_and(|sum| sum.total() == binary.announced);
        if let Some(binary) = self.running.as_mut().filter(|binary| binary.lists_output && !is_end(binary)) {
            return binary.read(line);
        }
        if let Some(announced) = announced(line) {
            self.end(recorder);
            self.running = Some(Binary {
                announced,
                name: self.next.take(),
                tests: Vec::new(),
                listed: Vec::new(),
                lists_failures: false,
                lists_output: false,
            });
        } else if let Some(summary) = summary(line) {
            self.rest.is_certain = true;
            self.sum_up(summary, recorder);
        } else if let Some(name) = binary_name(line) {
            self.next = Some(name);
            self.rest.is_certain = true;
            return false;
        } else if is_target_failure(line) {
            self.rest.is_certain = true;
            self.rest.target_failure.get_or_insert(line);
        } else if let Some(binary) = &mut self.running {
            return binary.read(line);
        } else {
            return false;
        }
        self.any = true;
        true
    }

    /// Reads a line between the first and the last line of a binary.
    pub(crate) fn read_output(&mut self, line: &'a str) {
        if let Some(binary) = &mut self.running {
            binary.read(line);
        }
    }

    /// Ends the binary that is running: it crashed.
    fn end(&mut self, recorder: &mut Recorder) {
        let Some(binary) = self.running.take() else { return };
        if binary.tests.is_empty() {
            self.rest.silent += binary.announced.max(1);
            return;
        }
        self.rest.is_certain = true;
        let known: Counts = binary.tests.iter().map(|(_, outcome)| Counts::from(*outcome)).sum();
        let failed = binary.announced.saturating_sub(known.passed + known.skipped).max(1);
        let lost = Counts::failed(failed.saturating_sub(known.failed));
        Self::record(&binary, recorder);
        recorder.add(lost);
    }

    fn sum_up(&mut self, summary: Counts, recorder: &mut Recorder) {
        let Some(binary) = self.running.take() else {
            recorder.add(summary);
            return;
        };
        let known: Counts = binary.tests.iter().map(|(_, outcome)| Counts::from(*outcome)).sum();
        if known == summary {
            Self::record(&binary, recorder);
            return;
        }
        let failed = binary.tests.iter().filter(|(_, outcome)| *outcome == Outcome::Failed);
        let names: Vec<&str> = failed.map(|(name, _)| *name).collect();
        let names = if names.is_empty() { &binary.listed } else { &names };
        recorder.add(summary);
        for name in names {
            recorder.failed_name(name);
        }
    }

    fn record(binary: &Binary<'_>, recorder: &mut Recorder) {
        let id = recorder.next_suite();
        let (scope, suite) = match binary.name {
            Some(binary) => (Scope::suite(binary), 0),
            None => (Scope::FILE, id),
        };
        for (name, outcome) in &binary.tests {
            recorder.test(&Test { suite, ..Test::new(scope, name, *outcome) });
        }
    }

    /// Ends the last binary. Other tools end before [`Rest::finish`].
    pub(crate) fn finish(mut self, recorder: &mut Recorder) -> Rest<'a> {
        self.end(recorder);
        if self.any && self.rest.is_certain {
            recorder.format(Format::CargoTest);
        }
        self.rest
    }
}

impl<'a> Binary<'a> {
    /// Reads a line between the announcement and the summary. Returns whether it is that of a test.
    fn read(&mut self, line: &'a str) -> bool {
        if matches!(line, "failures:" | "successes:") {
            self.lists_output = true;
            self.lists_failures = line == "failures:";
        } else if self.lists_failures
            && let Some(name) = line.strip_prefix("    ")
        {
            if !name.starts_with(' ') && self.listed.len() < 1000 {
                self.listed.push(name);
            }
        } else if let Some((name, outcome)) = test(line).filter(|_| !self.lists_output) {
            self.tests.push((name, outcome));
            return true;
        } else if !line.is_empty() {
            // The output of a test comes between two such lists.
            self.listed.clear();
        }
        false
    }
}

/// The name and the outcome in `test tests::adds ... ok`.
fn test(line: &str) -> Option<(&str, Outcome)> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    Some((name, CARGO.prefix(outcome)?))
}

/// The binary in `Running unittests src/lib.rs (target/debug/deps/kit-0123)`, or the crate in `Doc-tests kit`.
fn binary_name(line: &str) -> Option<&str> {
    let line = line.trim();
    (line.starts_with("Running ") && line.ends_with(')') || line.starts_with("Doc-tests ")).then_some(line)
}

/// Whether `cargo` reports that a target failed, in `error: test failed, to rerun pass ...` for example:
/// <https://github.com/rust-lang/cargo/blob/master/src/cargo/ops/cargo_test.rs>
fn is_target_failure(line: &str) -> bool {
    let Some(error) = line.strip_prefix("error: ") else { return false };
    if line.starts_with(NOT_COMPILED) {
        return true;
    }
    ["test failed, to rerun", "doctest failed", "bench failed, to rerun"]
        .iter()
        .any(|failed| error.starts_with(failed))
        || (error.contains(" target") && error.trim_end().ends_with(" failed:"))
}

/// The number in `running 4 tests`.
pub(crate) fn announced(line: &str) -> Option<u64> {
    let number = line.strip_prefix("running ")?;
    let number = number.strip_suffix(" tests").or_else(|| number.strip_suffix(" test"))?;
    number.parse::<u32>().ok().map(u64::from)
}

/// The counts in `test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out`, in any order.
pub(crate) fn summary(line: &str) -> Option<Counts> {
    let (_, parts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = Counts::default();
    let mut any = false;
    for part in parts.split(';') {
        let mut words = part.split_whitespace();
        let number = words.next().and_then(|number| number.parse::<u32>().ok());
        if let (Some(number), Some(outcome)) = (number, words.next().and_then(|word| CARGO.outcome(word))) {
            any = true;
            counts += Counts::of(outcome, number.into());
        }
    }
    any.then_some(counts)
}

#[cfg(test)]
mod tests {
    use crate::tests::{check_counts, check_failed};

    const PASSED: &str = "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out";

    #[test]
    fn summaries_add_up() {
        check_counts(
            &format!("   Compiling kit\n\nrunning 3 tests\n...\n{PASSED}\n\n{PASSED}\r\n"),
            (4, 0, 2),
        );
        check_counts("test result: ok. 1 passed; 0 failed; 0 ignored; 2 measured; 0 filtered out", (3, 0, 0));
        let colored = "test result: \u{1b}[31mFAILED\u{1b}[m. 1 passed; 2 failed; 3 ignored; 0 measured";
        check_counts(colored, (1, 2, 3));
        check_counts("test result: FAIL. 1 failed; 4 passed; 2 ignored; 9 filtered out;", (4, 1, 2));
    }

    #[test]
    fn binaries_without_a_summary_crashed() {
        let crashed = "running 5 tests\ntest a ... ok\ntest b ... ignored, slow\ntest c ... ";
        check_counts(crashed, (1, 3, 1));
        check_counts(&format!("{crashed}\nrunning 3 tests\n{PASSED}"), (3, 3, 2));
        check_counts("running 1 test\ntest a ... \u{1b}[32mok\u{1b}[m", (1, 1, 0));
        check_counts("running 0 tests", (0, 1, 0));
    }

    #[test]
    fn a_failed_target_without_a_summary_is_one_failure() {
        for error in [
            "error: test failed, to rerun pass `--test custom`",
            "error: doctest failed",
            "error: 1 target failed:",
        ] {
            check_counts(&format!("{PASSED}\n{error}"), (2, 1, 1));
            let summary = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured";
            check_counts(&format!("{summary}\n{error}"), (1, 2, 0));
        }
        let broken = "   Compiling kit v0.1.0\nerror[E0425]: cannot find value `x`\n\n\
                      error: could not compile `kit` (lib test) due to 1 previous error";
        check_counts(broken, (0, 1, 0));
    }

    #[test]
    fn the_output_of_tests_does_not_count() {
        let nested = "running 2 tests\nrunning 3 tests\ntest x ... ok\ntest y ... FAILED\ntest z ... ok\n\
            test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured\nrunning 9 tests\n1..2\nnot ok 1\n\
            error: test failed, to rerun pass `--lib`\ntest a ... ok\ntest b ... ok\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n";
        check_counts(nested, (2, 0, 0));
        let listed = format!(
            "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b stdout ----\nrunning 3 tests\n\
             {PASSED}\n\nfailures:\n    b\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured\n"
        );
        check_counts(&listed, (1, 1, 0));
    }

    #[test]
    fn failed_tests_have_names() {
        let pretty = "running 2 tests\ntest a::b ... FAILED\ntest c ... ok\n\nfailures:\n\n---- a::b stdout ----\noh\n\n\
            failures:\n    a::b\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured\n";
        check_failed(pretty, &["a::b"]);
        let quiet = pretty.replace("test a::b ... FAILED\ntest c ... ok\n", "F.\n");
        check_failed(&quiet, &["a::b"]);
    }

    #[test]
    fn a_binary_that_runs_again_has_the_same_tests() {
        let run = |outcome: &str, failed: u32| {
            format!(
                "     Running tests/api.rs (target/debug/deps/api-01)\n\nrunning 2 tests\ntest a ... ok\n\
                 test b ... {outcome}\n\ntest result: x. {} passed; {failed} failed; 0 ignored; 0 measured\n",
                2 - failed
            )
        };
        // The first test passed twice, so the second run is no attempt.
        check_counts(&(run("FAILED", 1) + &run("ok", 0)), (1, 1, 0));
        let other = run("ok", 0).replace("api", "other");
        check_counts(&(run("FAILED", 1) + &other), (3, 1, 0));
    }
}
