//! The reports of one run, in which a test may be in several files.

mod attempts;
mod path;

use std::cmp::Reverse;
use std::collections::HashSet;

use self::attempts::{Entry, File, Files, same_test};
use self::path::Location;
use crate::counts::{Counts, Outcome};
use crate::recorder::{FailedName, NAMES_MAX, Recorder};
use crate::{ReadReport, ReportError, read_into};

/// How to count several results of one test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Repetitions {
    /// As attempts: the test counts once, by its final outcome.
    #[default]
    Merge,
    /// Separately, for runs that repeat tests on purpose.
    Count,
}

/// The reports of one run, added up.
///
/// ```
/// use test_reports::{Counts, Repetitions, Reports};
///
/// let mut reports = Reports::new(Repetitions::Merge);
/// reports.add("first.xml", br#"<testsuite><testcase name="a"/><testcase name="b"><failure/></testcase></testsuite>"#)?;
/// reports.add("unit.tap", b"1..2\nok 1\nok 2 # SKIP\n")?;
/// let summary = reports.summary(20);
/// assert_eq!(summary.counts, Counts { passed: 2, failed: 1, skipped: 1 });
/// assert_eq!(summary.failed_tests, ["b"]);
/// # Ok::<(), test_reports::ReportError>(())
/// ```
#[derive(Debug, Default)]
pub struct Reports {
    repetitions: Repetitions,
    files: Vec<File>,
    tests: Vec<Entry>,
    unnamed: Counts,
    retried_unnamed: u64,
    names: Vec<FailedName>,
    run_failed: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    pub counts: Counts,
    /// How many of the passed tests were retried.
    pub retried: u64,
    /// Whether the run failed outside the tests that are counted, such as by a crash after the last test.
    pub run_failed: bool,
    /// The names of tests that failed in the end, as the reports have them, in the order of the reports. They may contain
    /// any character, and are at most 1024 bytes long.
    pub failed_tests: Vec<String>,
}

impl Reports {
    /// No reports yet.
    pub fn new(repetitions: Repetitions) -> Self {
        Self { repetitions, ..Self::default() }
    }

    /// Reads a report, and adds it to the others. Its path, with `/` or `\`, shows which files belong together. The
    /// content alone determines the format.
    ///
    /// # Errors
    ///
    /// [`ReportError`] if the report is empty, unknown or invalid. It then counts as not added.
    pub fn add(&mut self, path: &str, content: &[u8]) -> Result<ReadReport, ReportError> {
        let location = Location::new(path);
        let mut recorder = Recorder::new(self.repetitions, &location.name);
        read_into(&mut recorder, content)?;
        recorder.finish();
        let counts = recorder.counts();
        let file = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.files.push(File {
            directory: location.directory,
            shows_attempt: location.shows_attempt,
            tests: recorder.tests.len(),
            has_failures: counts.failed > 0,
        });
        self.tests.extend(recorder.tests.iter().map(|test| Entry {
            key: test.key,
            file,
            outcome: test.outcome,
            retried: test.retried,
        }));
        self.unnamed += recorder.unnamed;
        self.retried_unnamed += recorder.retried_unnamed;
        self.run_failed |= recorder.run_failed;
        let space = NAMES_MAX.saturating_sub(self.names.len());
        self.names.extend(recorder.names.drain(..).take(space));
        Ok(ReadReport {
            formats: recorder.formats,
            counts,
            run_failed: recorder.run_failed,
            notes: recorder.notes,
        })
    }

    /// How the run ended, with up to `names_max` names of failed tests.
    pub fn summary(mut self, names_max: usize) -> Summary {
        // The largest file comes first, because the others may be subsets of it.
        let files = Files::new(&self.files);
        self.tests.sort_unstable_by_key(|entry| (entry.key, Reverse(files.size(entry.file)), entry.file));
        let reruns = files.reruns(&self.tests);
        let mut summary = Summary {
            counts: self.unnamed,
            retried: self.retried_unnamed,
            run_failed: self.run_failed,
            ..Summary::default()
        };
        let mut failed = HashSet::new();
        for entries in self.tests.chunk_by(same_test) {
            for test in reruns.merge(entries) {
                summary.counts += test.outcome.into();
                match test.outcome {
                    Outcome::Passed => summary.retried += u64::from(test.retried),
                    Outcome::Failed => drop(failed.insert(test.key)),
                    Outcome::Skipped => {}
                }
            }
        }
        let mut names = self.names;
        let mut named = HashSet::new();
        names.retain(|name| name.key.is_none_or(|key| failed.contains(&key) && named.insert(key)));
        summary.failed_tests = names.into_iter().map(|name| name.name).take(names_max).collect();
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report with a test for each letter, which passed if it is a capital.
    fn report(tests: &str) -> String {
        let cases = tests.chars().map(|test| {
            let failure = if test.is_uppercase() { "" } else { "<failure/>" };
            format!("<testcase classname='K' name='{}'>{failure}</testcase>", test.to_lowercase())
        });
        format!("<testsuite>{}</testsuite>", cases.collect::<String>())
    }

    #[track_caller]
    fn check(files: &[(&str, &str)], (passed, failed, retried): (u64, u64, u64)) {
        let mut reports = Reports::new(Repetitions::Merge);
        for (path, tests) in files {
            reports.add(path, report(tests).as_bytes()).unwrap();
        }
        let summary = reports.summary(100);
        let counts = Counts { passed, failed, skipped: 0 };
        assert_eq!((summary.counts, summary.retried), (counts, retried), "{files:?}");
        assert_eq!(summary.failed_tests.len() as u64, failed, "{files:?}");
    }

    #[test]
    fn attempts_in_other_files_count_once() {
        check(&[("r/1.xml", "Abc"), ("r/2.xml", "Bc"), ("r/3.xml", "C")], (3, 0, 2));
        check(&[("r/3.xml", "C"), ("r/1.xml", "Abc"), ("r/2.xml", "Bc")], (3, 0, 2));
        check(&[("r/a.xml", "aB"), ("r/again/a.xml", "A")], (2, 0, 1));
        check(&[("r/a.xml", "aB"), ("r/b.xml", "a")], (1, 1, 0));
        check(&[("r/a.xml", "ab"), ("r/b.xml", "A")], (1, 1, 1));
    }

    #[test]
    fn copies_count_once() {
        check(&[("r/all.xml", "ABcD"), ("r/junit/first.xml", "AB"), ("r/junit/second.xml", "cD")], (3, 1, 0));
        check(&[("r/all.xml", "ABc"), ("r/copy.xml", "ABc"), ("r/later.xml", "C")], (3, 0, 1));
    }

    #[test]
    fn a_failure_in_one_of_two_complete_runs_stays_a_failure() {
        check(&[("r/python311.xml", "Ab"), ("r/python312.xml", "AB")], (1, 1, 0));
        check(&[("r/python311.xml", "AB"), ("r/python312.xml", "AB")], (2, 0, 0));
        check(&[("r/chrome.xml", "ab"), ("r/firefox.xml", "AB")], (0, 2, 0));
        check(&[("r/full.xml", "ABCD"), ("r/smoke.xml", "a")], (3, 1, 0));
        check(&[("r/1.xml", "abC"), ("r/2.xml", "aB"), ("r/3.xml", "Ab")], (1, 2, 0));
    }

    #[test]
    fn a_directory_without_a_number_shows_no_attempt() {
        check(&[("k/retry/chrome.xml", "ab"), ("k/retry/firefox.xml", "AB")], (0, 2, 0));
        check(&[("k/x.xml", "aB"), ("k/retry/x.xml", "AB")], (1, 1, 0));
        check(&[("k/retry/x.xml", "Ab"), ("k/x.xml", "ABC")], (2, 1, 0));
        check(&[("k/x.xml", "Ab"), ("k/x-retry.xml", "AB")], (2, 0, 1));
    }

    #[test]
    fn complete_runs_are_attempts_if_a_path_says_so() {
        check(&[("k/test.xml", "AB"), ("k/test_attempts/attempt_1.xml", "Ab")], (2, 0, 1));
        check(&[("attempt-1/k.xml", "Ab"), ("attempt-2/k.xml", "AB")], (2, 0, 1));
        check(&[("k\\Retries\\x1\\1\\k.trx", "aB"), ("k\\k.trx", "A")], (2, 0, 1));
        // No attempt passed completely.
        check(&[("k/test.xml", "Ab"), ("k/test_attempts/attempt_1.xml", "Ab")], (1, 1, 0));
        check(&[("k/test.xml", "Abc"), ("k/attempts/1.xml", "ABc"), ("k/attempts/2.xml", "AbC")], (1, 2, 0));
    }

    #[test]
    fn tests_in_unrelated_directories_are_different() {
        check(&[("a/r.xml", "Ab"), ("b/r.xml", "B")], (2, 1, 0));
        check(&[("linux/r.xml", "AB"), ("windows/r.xml", "Ab")], (3, 1, 0));
        check(&[("./r/a.xml", "AB"), ("r/b.xml", "A")], (2, 0, 0));
    }

    #[test]
    fn files_with_tests_that_others_lack_are_different() {
        check(&[("r/a.xml", "abC"), ("r/b.xml", "AD")], (3, 2, 0));
    }

    #[test]
    fn tests_without_a_class_belong_to_their_file() {
        let tap = |reports: &mut Reports, path: &str, content: &str| {
            reports.add(path, content.as_bytes()).unwrap();
        };
        let mut reports = Reports::new(Repetitions::Merge);
        tap(&mut reports, "t/a.tap", "1..1\nnot ok 1 - works\n");
        tap(&mut reports, "t/b.tap", "1..1\nok 1 - works\n");
        assert_eq!(reports.summary(0).counts, Counts { passed: 1, failed: 1, skipped: 0 });
        let mut reports = Reports::new(Repetitions::Merge);
        tap(&mut reports, "t/a.tap", "1..2\nnot ok 1 - works\nok 2 - works\n");
        tap(&mut reports, "t/a-retry.tap", "1..1\nok 1 - works\n");
        assert_eq!(reports.summary(0).counts, Counts { passed: 2, failed: 0, skipped: 0 });
    }

    #[test]
    fn the_files_of_a_retried_trx_run_are_attempts() {
        let run = |tests: &str| {
            let results = tests.chars().map(|test| {
                let outcome = if test.is_uppercase() { "Passed" } else { "Failed" };
                format!("<UnitTestResult testName='{}' outcome='{outcome}'/>", test.to_ascii_lowercase())
            });
            format!("<TestRun><Results>{}</Results></TestRun>", results.collect::<String>())
        };
        let mut reports = Reports::new(Repetitions::Merge);
        reports.add("TestResults/Retries/k3/1/kit.trx", run("AbC").as_bytes()).unwrap();
        reports.add("TestResults/kit.trx", run("B").as_bytes()).unwrap();
        assert_eq!(reports.summary(0).counts, Counts { passed: 3, failed: 0, skipped: 0 });
    }

    #[test]
    fn tests_of_different_packages_are_different() {
        let report =
            |status: &str| format!(r#"{{"results": {{"tests": [{{"name": "a", "status": "{status}"}}]}}}}"#);
        let mut reports = Reports::new(Repetitions::Merge);
        reports.add("r/a.json", report("failed").as_bytes()).unwrap();
        reports.add("r/b.json", report("passed").as_bytes()).unwrap();
        assert_eq!(reports.summary(0).counts, Counts { passed: 1, failed: 1, skipped: 0 });
    }

    #[test]
    fn intentional_repetitions_all_count() {
        let mut reports = Reports::new(Repetitions::Count);
        reports.add("a.xml", report("aAAb").as_bytes()).unwrap();
        reports.add("b.xml", report("A").as_bytes()).unwrap();
        let summary = reports.summary(1);
        assert_eq!(summary.counts, Counts { passed: 3, failed: 2, skipped: 0 });
        assert_eq!(summary.failed_tests, ["K.a"]);
    }

    #[test]
    fn many_files_with_the_same_tests_take_linear_time() {
        let mut reports = Reports::new(Repetitions::Merge);
        for number in 0..2000 {
            reports.add(&format!("{number}/r.xml"), report("ABCDEFGHIJ").as_bytes()).unwrap();
        }
        assert_eq!(reports.summary(0).counts.passed, 20_000);
    }
}
