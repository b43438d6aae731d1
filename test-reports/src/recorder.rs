//! The tests of one file, each counted once.
//!
//! Results with the same name in a file are attempts of one test. The test passed if all of them passed, or if only the
//! last one did. A test is not retried after a pass, so a second pass shows that they are not attempts, and then a
//! failure among them stays a failure. A skipped attempt decides nothing.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::counts::{Counts, Outcome};
use crate::format::Format;
use crate::note::Note;
use crate::vocabulary::Vocabulary;
use crate::{Repetitions, error};

/// The maximum number of names of failed tests that a run keeps, including those of tests that pass later.
pub(crate) const NAMES_MAX: usize = 10_000;
/// The longest name that is kept, in bytes.
const NAME_BYTES_MAX: usize = 1024;
/// The maximum number of notes about a report.
const NOTES_MAX: usize = 20;

/// The scope in which the name of a test is unique.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) enum Scope<'a> {
    /// Its class, package or module, whose name is unique in the project.
    Class(&'a str),
    /// Its suite.
    Suite(&'a str),
    /// The whole project.
    Project,
    /// Its report file.
    File,
}

/// A test, or an attempt of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Test<'a> {
    pub(crate) scope: Scope<'a>,
    /// If empty, the test is different from all others.
    pub(crate) name: &'a str,
    /// Tests of one file with the same name are different tests if this differs: the suite, a line or an ID.
    pub(crate) variant: u64,
    pub(crate) outcome: Outcome,
    /// Whether the report shows a failed attempt before this one.
    pub(crate) retried: bool,
}

impl<'a> Test<'a> {
    pub(crate) fn new(scope: Scope<'a>, name: &'a str, outcome: Outcome) -> Self {
        Self { scope, name, variant: 0, outcome, retried: false }
    }

    fn full_name(&self) -> String {
        let mut name = match self.scope {
            Scope::Class(class) => {
                let class = class.lines().next().unwrap_or_default();
                let separator = if class.is_empty() || self.name.starts_with(class) { "" } else { "." };
                let class = if separator.is_empty() { "" } else { class };
                [class, separator, self.name].concat()
            }
            Scope::Suite(_) | Scope::Project | Scope::File => self.name.to_owned(),
        };
        name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
        name
    }
}

impl<'a> Scope<'a> {
    /// The class if there is one, or else the suite.
    pub(crate) fn of(class: &'a str, suite: &'a str) -> Self {
        match (class, suite) {
            ("", "") => Self::File,
            ("", suite) => Self::Suite(suite),
            (class, _) => Self::Class(class),
        }
    }
}

/// A test with all its attempts in one file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recorded {
    /// The hash of what identifies the test. Among a million tests, two have the same with a probability below
    /// one in ten million.
    pub(crate) key: u64,
    pub(crate) outcome: Outcome,
    /// Whether it had another attempt.
    pub(crate) retried: bool,
    passes: u32,
    failures: u32,
    /// How many results it has.
    results: u32,
}

impl Recorded {
    fn add(&mut self, outcome: Outcome) {
        self.count(outcome);
        self.results = self.results.saturating_add(1);
        match outcome {
            Outcome::Skipped => {}
            Outcome::Passed if self.failures > 0 && self.passes > 1 => self.outcome = Outcome::Failed,
            Outcome::Passed | Outcome::Failed => self.outcome = outcome,
        }
        self.retried |= self.passes + self.failures > 1;
    }

    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Passed => self.passes = self.passes.saturating_add(1),
            Outcome::Failed => self.failures = self.failures.saturating_add(1),
            Outcome::Skipped => {}
        }
    }
}

/// The name of a failed test. Without a key, no later attempt can make it pass.
#[derive(Debug)]
pub(crate) struct FailedName {
    pub(crate) key: Option<u64>,
    pub(crate) name: String,
}

/// Collects the tests of one file.
#[derive(Debug)]
pub(crate) struct Recorder<'a> {
    repetitions: Repetitions,
    /// Distinguishes tests without a class and a suite from those of other files.
    file: &'a str,
    pub(crate) formats: Vec<Format>,
    pub(crate) tests: Vec<Recorded>,
    /// The tests without a name.
    pub(crate) unnamed: Counts,
    /// How many tests without a key passed after a failed attempt.
    pub(crate) retried_unnamed: u64,
    pub(crate) names: Vec<FailedName>,
    /// Whether the run failed outside the tests that are counted.
    pub(crate) run_failed: bool,
    pub(crate) notes: Vec<Note>,
    suites: u64,
    positions: HashMap<(u64, u64), usize>,
    variants: HashMap<u64, u64>,
}

pub(crate) fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(repetitions: Repetitions, file: &'a str) -> Self {
        Self {
            repetitions,
            file,
            formats: Vec::new(),
            tests: Vec::new(),
            unnamed: Counts::default(),
            retried_unnamed: 0,
            names: Vec::new(),
            run_failed: false,
            notes: Vec::new(),
            suites: 0,
            positions: HashMap::new(),
            variants: HashMap::new(),
        }
    }

    pub(crate) fn merges_attempts(&self) -> bool {
        self.repetitions == Repetitions::Merge
    }

    pub(crate) fn format(&mut self, format: Format) {
        if !self.formats.contains(&format) {
            self.formats.push(format);
        }
    }

    /// A number for each suite of the file.
    pub(crate) fn next_suite(&mut self) -> u64 {
        self.suites += 1;
        self.suites
    }

    pub(crate) fn test(&mut self, test: &Test<'_>) {
        if test.name.is_empty() || !self.merges_attempts() {
            self.unnamed += test.outcome.into();
            self.retried_unnamed += u64::from(test.retried && test.outcome == Outcome::Passed);
            if test.outcome == Outcome::Failed && !test.name.is_empty() {
                self.keep_name(None, || test.full_name());
            }
            return;
        }
        let file = if matches!(test.scope, Scope::File) { self.file } else { "" };
        let scope = hash((file, test.scope, test.name));
        let position = match self.positions.get(&(scope, test.variant)) {
            Some(position) => *position,
            None => self.first_attempt(scope, test),
        };
        let Some(recorded) = self.tests.get_mut(position) else { return };
        recorded.add(test.outcome);
        recorded.retried |= test.retried;
        let key = recorded.key;
        if test.outcome == Outcome::Failed {
            self.keep_name(Some(key), || test.full_name());
        }
    }

    /// Adds a test, and returns its position.
    fn first_attempt(&mut self, scope: u64, test: &Test<'_>) -> usize {
        let variant = self.variants.entry(scope).or_default();
        let key = hash((scope, *variant));
        *variant += 1;
        self.positions.insert((scope, test.variant), self.tests.len());
        let (retried, outcome) = (test.retried, Outcome::Skipped);
        self.tests.push(Recorded { key, outcome, retried, passes: 0, failures: 0, results: 0 });
        self.tests.len() - 1
    }

    /// Counts tests without a name.
    pub(crate) fn add(&mut self, counts: Counts) {
        self.unnamed += counts;
    }

    /// Counts a failure outside of tests as one failed test.
    pub(crate) fn failure(&mut self, name: &str) {
        self.unnamed.failed += 1;
        if !name.is_empty() {
            self.failed_name(name);
        }
    }

    /// Keeps the name of a failed test that is counted without it.
    pub(crate) fn failed_name(&mut self, name: &str) {
        self.keep_name(None, || Test::new(Scope::File, name, Outcome::Failed).full_name());
    }

    pub(crate) fn fail_run(&mut self) {
        self.run_failed = true;
    }

    pub(crate) fn note(&mut self, note: Note) {
        if self.notes.len() < NOTES_MAX && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub(crate) fn note_repetitions(&mut self) {
        let repeated = self.tests.iter().filter(|test| test.results > 1).count();
        if repeated > 0 {
            self.note(Note::Repeated(u64::try_from(repeated).unwrap_or(u64::MAX)));
        }
    }

    pub(crate) fn unknown_word(&mut self, words: &Vocabulary, word: &str, outcome: Outcome) {
        self.note(Note::UnknownOutcome {
            word: error::excerpt(word),
            format: words.format,
            place: words.place,
            counts_as: outcome.as_str(),
        });
    }

    /// Changes the outcome of up to `number` tests that passed, from the last one recorded at or after `since`. Returns
    /// how many changed.
    pub(crate) fn relabel(&mut self, since: usize, number: u64, outcome: Outcome) -> u64 {
        let mut left = number;
        for test in self.tests.iter_mut().skip(since).rev() {
            if left > 0 && test.outcome == Outcome::Passed {
                test.outcome = outcome;
                left -= 1;
            }
        }
        number - left
    }

    /// The counts of this file by itself.
    pub(crate) fn counts(&self) -> Counts {
        self.tests.iter().map(|test| Counts::from(test.outcome)).sum::<Counts>() + self.unnamed
    }

    fn keep_name(&mut self, key: Option<u64>, name: impl FnOnce() -> String) {
        // The attempts of a test are close to each other.
        let is_repeated = key.is_some() && self.names.last().is_some_and(|last| last.key == key);
        if self.names.len() < NAMES_MAX && !is_repeated {
            self.names.push(FailedName { key, name: name() });
        }
    }
}
