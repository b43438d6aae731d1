//! The output of `cargo test`.
//!
//! Each test binary announces `running 4 tests` and ends with the line of
//! <https://doc.rust-lang.org/book/ch11-01-writing-tests.html>, which the standard library's
//! `library/test/src/formatters/pretty.rs` writes: `test result: ok. 3 passed; 0 failed; 1 ignored;
//! 0 measured; 2 filtered out; finished in 0.00s`. The rules here:
//!
//! - The summaries of all binaries add up. Measured benchmarks have passed; filtered tests do not count.
//! - A binary without a summary crashed: those of its tests that are known to have passed or to be
//!   ignored count as such, all others that it announced as failed, and at least one.
//! - The output of failing tests is listed between `failures:` and the summary. Summaries in it do not
//!   count, unless they match the announced number.
//! - A test target without the standard harness prints nothing of this. If it fails, or a crate does not
//!   compile, `cargo` prints an error to stderr: one failure, unless the text has another.

use crate::counts::Counts;
use crate::text;

/// The message of `cargo` when a crate does not compile.
const NOT_COMPILED: &str = "error: could not compile ";

/// Whether this line shows that the text is the output of `cargo test`.
pub(crate) fn detects(line: &str) -> bool {
    announced(line).is_some() || summary(line).is_some() || line.starts_with(NOT_COMPILED)
}

/// A test binary that has announced its tests and not summed them up yet.
struct Binary {
    announced: u64,
    passed: u64,
    ignored: u64,
    /// Whether it is listing the output of its tests.
    lists_output: bool,
}

impl Binary {
    fn crashed(&self) -> Counts {
        let failed = self.announced.saturating_sub(self.passed + self.ignored).max(1);
        Counts { passed: self.passed, failed, skipped: self.ignored }
    }

    /// Counts one test by its line, as in `test tests::adds ... ok`.
    fn count(&mut self, line: &str) {
        let Some((_, outcome)) = line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... ")) else {
            return;
        };
        let plain = outcome.strip_prefix('\u{1b}').and_then(|colored| colored.split_once('m'));
        let outcome = plain.map_or(outcome, |(_, outcome)| outcome);
        if outcome.starts_with("ok") {
            self.passed += 1;
        } else if outcome.starts_with("ignored") {
            self.ignored += 1;
        }
    }
}

/// Adds up the output of all test binaries.
pub(crate) fn read(text: &str) -> Counts {
    let mut counts = Counts::default();
    let mut running: Option<Binary> = None;
    let mut target_failed = false;
    for (_, line) in text::lines(text) {
        target_failed |= is_target_failure(line);
        if let Some(announced) = announced(line) {
            if running.as_ref().is_some_and(|binary| binary.lists_output) {
                continue;
            }
            counts += running.map_or(Counts::default(), |binary| binary.crashed());
            running = Some(Binary { announced, passed: 0, ignored: 0, lists_output: false });
        } else if let Some(summary) = summary(line) {
            let printed_by_a_test = running
                .as_ref()
                .is_some_and(|binary| binary.lists_output && binary.announced != summary.total());
            if !printed_by_a_test {
                counts += summary;
                running = None;
            }
        } else if let Some(binary) = running.as_mut().filter(|binary| !binary.lists_output) {
            match line {
                "failures:" | "successes:" => binary.lists_output = true,
                line => binary.count(line),
            }
        }
    }
    counts += running.map_or(Counts::default(), |binary| binary.crashed());
    if target_failed && counts.failed == 0 {
        counts.failed = 1;
    }
    counts
}

/// Whether `cargo` reports that a target failed, in `error: test failed, to rerun pass ...` for example:
/// <https://github.com/rust-lang/cargo/blob/master/src/cargo/ops/cargo_test.rs>
fn is_target_failure(line: &str) -> bool {
    let Some(error) = line.strip_prefix("error: ") else { return false };
    if line.starts_with(NOT_COMPILED) {
        return true;
    }
    ["test failed", "doctest failed", "bench failed"].iter().any(|failed| error.starts_with(failed))
        || (error.contains(" target") && error.trim_end().ends_with(" failed:"))
}

/// The number in `running 4 tests`.
fn announced(line: &str) -> Option<u64> {
    let number = line.strip_prefix("running ")?;
    let number = number.strip_suffix(" tests").or_else(|| number.strip_suffix(" test"))?;
    number.parse::<u32>().ok().map(u64::from)
}

/// The counts in `test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out`, where the
/// verdict may be colored.
fn summary(line: &str) -> Option<Counts> {
    let mut parts = line.strip_prefix("test result: ")?.split(';');
    let mut next = |label: &str| {
        let number = parts.next()?.strip_suffix(label)?.trim_end().rsplit(' ').next()?;
        number.parse::<u32>().ok().map(u64::from)
    };
    let (passed, failed, skipped) = (next("passed")?, next("failed")?, next("ignored")?);
    Some(Counts { passed: passed + next("measured").unwrap_or_default(), failed, skipped })
}

#[cfg(test)]
mod tests {
    use crate::tests::check_counts;

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
        let nested = format!(
            "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b stdout ----\nrunning 3 tests\n\
             {PASSED}\n\nfailures:\n    b\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured\n"
        );
        check_counts(&nested, (1, 1, 0));
    }
}
