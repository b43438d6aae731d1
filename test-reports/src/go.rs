//! The output of `go test`: the events of `-json`, one per line (<https://pkg.go.dev/cmd/test2json>), and the text
//! of `-v`.
//!
//! - Every test counts, subtests as well as their parents, as in gotestsum
//!   (`testjson/execution.go` of <https://github.com/gotestyourself/gotestsum>).
//! - A test that ran again after its package had ended counts once, by its last run, as in the file of
//!   `gotestsum --rerun-fails --jsonfile`. Within one run of the package, as with `-count=2`, a failure
//!   stays a failure, and so it does if tests that had passed ran again.
//! - A test that started and did not end failed with its package: it panicked or timed out.
//! - A package that failed without a failed test counts as one failed test: it does not build, or its
//!   `TestMain` or `init` failed. A package without an end, because the run was cut short, counts the same.
//! - Without `-v`, a failed package counts as one failed test, too, unless its failed tests show.
//! - `FAIL example.com/kit [build failed]` is all that Go before 1.20 prints for a package that does not build.
//! - Other lines are output of other programs.

mod events;
mod text;

use std::collections::HashMap;

use crate::counts::Outcome;
use crate::format::Format;
use crate::note::Note;
use crate::recorder::{Recorder, Scope, Test, hash};

use self::text::Pending;

/// All packages of a log.
#[derive(Default)]
pub(crate) struct Reader {
    packages: Vec<Package>,
    positions: HashMap<String, usize>,
    /// Tests in the text whose package is not known yet.
    pending: Pending,
    formats: Vec<Format>,
    has_failed_package: bool,
    /// The first package that the events show as not built.
    not_built: Option<String>,
    incomplete: bool,
}

#[derive(Default)]
struct Package {
    name: String,
    hash: u64,
    outcome: Option<Outcome>,
    /// How often it has run.
    runs: u32,
    tests: Vec<TestState>,
    positions: HashMap<String, usize>,
    /// Whether a test that had passed in an earlier run passed again, so that the runs are not attempts. Subtests do when
    /// their test is retried.
    repeats_passes: bool,
}

struct TestState {
    name: String,
    /// `None` while it is running.
    outcome: Option<Outcome>,
    run: u32,
    failed_before: bool,
    passed_before: bool,
}

impl TestState {
    /// Begins this test again, in this run of its package.
    fn repeat(&mut self, run: u32) {
        self.failed_before |= self.outcome == Some(Outcome::Failed) && self.run < run;
        self.passed_before |= self.outcome == Some(Outcome::Passed) && self.run < run;
        // Within one run, a failure stays.
        if !(self.outcome == Some(Outcome::Failed) && self.run == run) {
            self.outcome = None;
        }
        self.run = run;
    }
}

impl Reader {
    /// Reads a line outside of other tools' runs. Returns whether it belongs to this format.
    pub(crate) fn read(&mut self, line: &str, recorder: &mut Recorder) -> bool {
        (!self.is_running() && self.read_event(line, recorder)) || self.read_text(line, recorder)
    }

    /// Whether a test is running, so that other lines are its output.
    pub(crate) fn is_running(&self) -> bool {
        self.pending.is_running()
    }

    fn format(&mut self, format: Format) {
        if !self.formats.contains(&format) {
            self.formats.push(format);
        }
    }

    fn package(&mut self, name: &str) -> &mut Package {
        let known = self.positions.get(name).copied();
        let position = known.unwrap_or_else(|| {
            self.positions.insert(name.to_owned(), self.packages.len());
            self.packages.push(Package { name: name.to_owned(), hash: hash(name), ..Package::default() });
            self.packages.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "positions are those of packages, which stay")]
        &mut self.packages[position]
    }

    pub(crate) fn finish(mut self, recorder: &mut Recorder) {
        self.end_text(recorder);
        if self.has_failed_package && self.formats.is_empty() {
            self.format(Format::GoText);
        }
        // A line such as `ok	kit	0.1s` alone shows no test.
        if self.formats.is_empty() {
            return;
        }
        for package in &self.packages {
            package.record(recorder);
        }
        let failed = |package: &Package| package.outcome == Some(Outcome::Failed);
        if let Some(name) = self.not_built
            && !self.packages.iter().any(failed)
        {
            recorder.failure(&name);
        }
        if self.incomplete {
            recorder.note(Note::Incomplete(Format::GoText));
        }
        for format in self.formats {
            recorder.format(format);
        }
    }
}

impl Package {
    fn start(&mut self, name: &str) {
        // In another run the package has not ended either.
        self.outcome = None;
        let run = self.runs;
        if let Some(test) = self.position(name).and_then(|position| self.tests.get_mut(position)) {
            test.repeat(run);
        } else {
            self.insert(name, None);
        }
    }

    fn end_test(&mut self, name: &str, outcome: Outcome, recorder: &mut Recorder) {
        if !recorder.merges_attempts() {
            recorder.test(&Test::new(Scope::class_hashed(&self.name, self.hash), name, outcome));
        }
        let run = self.runs;
        match self.position(name).and_then(|position| self.tests.get_mut(position)) {
            Some(test) => {
                test.repeat(run);
                test.outcome.get_or_insert(outcome);
                self.repeats_passes |=
                    test.passed_before && outcome == Outcome::Passed && !name.contains('/');
            }
            None => self.insert(name, Some(outcome)),
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
        self.runs += 1;
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    fn insert(&mut self, name: &str, outcome: Option<Outcome>) {
        self.positions.insert(name.to_owned(), self.tests.len());
        self.tests.push(TestState {
            name: name.to_owned(),
            outcome,
            run: self.runs,
            failed_before: false,
            passed_before: false,
        });
    }

    fn record(&self, recorder: &mut Recorder) {
        // Benchmarks start and never end, in packages that pass.
        let scope = Scope::class_hashed(&self.name, self.hash);
        let unfinished = match self.outcome {
            Some(Outcome::Passed | Outcome::Skipped) => Outcome::Passed,
            Some(Outcome::Failed) | None => Outcome::Failed,
        };
        let mut failed = false;
        for test in &self.tests {
            let outcome = match test.outcome.unwrap_or(unfinished) {
                Outcome::Passed if test.failed_before && self.repeats_passes => Outcome::Failed,
                outcome @ (Outcome::Passed | Outcome::Failed | Outcome::Skipped) => outcome,
            };
            failed |= outcome == Outcome::Failed;
            // The others are recorded already.
            if recorder.merges_attempts() || test.outcome.is_none() {
                recorder.test(&Test { retried: test.failed_before, ..Test::new(scope, &test.name, outcome) });
            }
        }
        if !failed && unfinished == Outcome::Failed {
            recorder.failure(&self.name);
        }
    }
}
