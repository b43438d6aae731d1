//! The tests of one file, each counted once.
//!
//! Results with the same name in a suite are attempts of one test. The test passed if all of them passed, or if only the
//! last one did. A test is not retried after a pass, so a second pass of any test shows that the suite repeats its tests
//! for another reason, and then each of its failures stays a failure. A skipped attempt decides nothing.

use std::collections::{HashMap, HashSet};
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

/// The scope in which the name of a test is unique. Its hash is computed once, because many tests may share a long name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The class, package or module, which is a part of the full name.
    class: &'a str,
    /// `None` for the report file.
    hash: Option<u64>,
}

/// A test, or an attempt of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Test<'a> {
    pub(crate) scope: Scope<'a>,
    /// If empty, the test is different from all others.
    pub(crate) name: &'a str,
    /// The number of its suite, from [`Recorder::next_suite`]. Zero if the scope is the suite.
    pub(crate) suite: u64,
    /// Tests of one suite with the same name are different tests if this differs: a line, an ID or a position.
    pub(crate) variant: u64,
    pub(crate) outcome: Outcome,
    /// Whether the report shows a failed attempt before this one.
    pub(crate) retried: bool,
}

impl<'a> Test<'a> {
    pub(crate) fn new(scope: Scope<'a>, name: &'a str, outcome: Outcome) -> Self {
        Self { scope, name, suite: 0, variant: 0, outcome, retried: false }
    }

    fn full_name(&self) -> String {
        let class = self.scope.class;
        let has_class = class.is_empty() || self.name.starts_with(class);
        let (class, separator) = if has_class { ("", "") } else { (shortened(class), ".") };
        let mut name = [class, separator, shortened(self.name)].concat();
        name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
        name
    }
}

fn shortened(name: &str) -> &str {
    name.get(..name.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default()
}

impl<'a> Scope<'a> {
    /// The report file.
    pub(crate) const FILE: Self = Self { class: "", hash: None };

    /// A class, package or module, whose name is unique in the project; the file if there is no name.
    pub(crate) fn class(class: &'a str) -> Self {
        Self::class_in(class, "")
    }

    /// A class in one of several assemblies.
    pub(crate) fn class_in(class: &'a str, assembly: &str) -> Self {
        let is_file = class.is_empty() && assembly.is_empty();
        Self { class, hash: (!is_file).then(|| hash(("class", class, assembly))) }
    }

    /// A class whose hash is known.
    pub(crate) fn class_hashed(class: &'a str, hash: u64) -> Self {
        if class.is_empty() { Self::FILE } else { Self { class, hash: Some(hash) } }
    }

    /// A suite; the file if there is no name.
    pub(crate) fn suite(name: &str) -> Self {
        if name.is_empty() { Self::FILE } else { Self::hashed(hash(("suite", name))) }
    }

    /// A suite that is identified by a hash.
    pub(crate) fn hashed(hash: u64) -> Self {
        Self { class: "", hash: Some(hash) }
    }

    /// This scope, or another if this is the file.
    pub(crate) fn or(self, other: Self) -> Self {
        if self.hash.is_none() { other } else { self }
    }
}

/// A test with all its attempts in one file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recorded {
    /// The hash of what identifies the test. Among a million tests, two have the same with a probability below
    /// one in ten million.
    pub(crate) key: u64,
    pub(crate) outcome: Outcome,
    /// Whether it had a failed attempt.
    pub(crate) retried: bool,
    /// The hash of its suite.
    suite: u64,
    passes: u32,
    /// Whether any attempt failed.
    failed: bool,
    /// How many results it has.
    results: u32,
}

impl Recorded {
    fn add(&mut self, outcome: Outcome) {
        self.results = self.results.saturating_add(1);
        match outcome {
            Outcome::Passed => self.passes = self.passes.saturating_add(1),
            Outcome::Failed => self.failed = true,
            Outcome::Skipped => return,
        }
        self.outcome = outcome;
        self.retried |= self.failed;
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
pub(crate) struct Recorder {
    repetitions: Repetitions,
    /// Distinguishes tests without a class and a suite from those of other files.
    file: u64,
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
    positions: HashMap<(u64, u64, u64), usize>,
    variants: HashMap<u64, u64>,
}

pub(crate) fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Recorder {
    pub(crate) fn new(repetitions: Repetitions, file: &str) -> Self {
        Self {
            repetitions,
            file: hash(("file", file)),
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
        let scope = test.scope.hash.unwrap_or(self.file);
        let name = hash((scope, test.name));
        let position = match self.positions.get(&(name, test.suite, test.variant)) {
            Some(position) => *position,
            None => self.first_attempt(scope, name, test),
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
    fn first_attempt(&mut self, scope: u64, name: u64, test: &Test<'_>) -> usize {
        let variant = self.variants.entry(name).or_default();
        let key = hash((name, *variant));
        *variant += 1;
        self.positions.insert((name, test.suite, test.variant), self.tests.len());
        let suite = if test.suite == 0 { scope } else { hash(test.suite) };
        let (retried, outcome) = (test.retried, Outcome::Skipped);
        self.tests.push(Recorded { key, outcome, retried, suite, passes: 0, failed: false, results: 0 });
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
        self.keep_name(None, || Test::new(Scope::FILE, name, Outcome::Failed).full_name());
    }

    pub(crate) fn fail_run(&mut self) {
        self.run_failed = true;
    }

    pub(crate) fn note(&mut self, note: Note) {
        if self.notes.len() < NOTES_MAX && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Decides which results are attempts, after the last test.
    pub(crate) fn finish(&mut self) {
        let repeated = self.tests.iter().filter(|test| test.passes > 1);
        let repeating: HashSet<u64> = repeated.map(|test| test.suite).collect();
        for test in self.tests.iter_mut().filter(|test| test.failed) {
            if repeating.contains(&test.suite) {
                test.outcome = Outcome::Failed;
            }
        }
        let repeated = self.tests.iter().filter(|test| test.results > 1).count();
        if repeated > 0 {
            self.note(Note::Repeated(u64::try_from(repeated).unwrap_or(u64::MAX)));
        }
    }

    /// The outcome of a word. An unknown one counts as `otherwise`, with a note.
    pub(crate) fn outcome(&mut self, words: &Vocabulary, word: &str, otherwise: Outcome) -> Outcome {
        words.outcome(word).unwrap_or_else(|| {
            self.note(Note::UnknownOutcome {
                word: error::excerpt(word),
                format: words.format,
                place: words.place,
                counts_as: otherwise.as_str(),
            });
            otherwise
        })
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

    /// Changes with each result.
    pub(crate) fn results(&self) -> (usize, Counts, bool) {
        (self.tests.len(), self.unnamed, self.run_failed)
    }

    /// Whether any test recorded at or after `since` has failed in the end.
    pub(crate) fn failed_since(&self, since: usize) -> bool {
        self.tests.iter().skip(since).any(|test| test.outcome == Outcome::Failed)
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
