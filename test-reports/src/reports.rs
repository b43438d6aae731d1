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

/// What tests with the same name are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Repetitions {
    /// Attempts of one test, which counts once, by how it ended.
    #[default]
    Merge,
    /// Tests that are repeated on purpose, which all count.
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
    /// How many of the passed tests were tried more than once.
    pub retried: u64,
    /// Whether the run failed for a reason that no test shows, such as a crash after the last test.
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
    /// format is told by the content alone.
    ///
    /// # Errors
    ///
    /// [`ReportError`] if the report is empty, unknown or invalid. It then counts as not added.
    pub fn add(&mut self, path: &str, content: &[u8]) -> Result<ReadReport, ReportError> {
        let location = Location::new(path);
        let mut recorder = Recorder::new(self.repetitions, &location.name);
        read_into(&mut recorder, content)?;
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
        // The file to which others may belong comes first: the largest.
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
