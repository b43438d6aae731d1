//! Which tests of several files are attempts of one test.
//!
//! Runners write attempts into files beside or below each other, and some write all tests twice. Other files
//! have tests with the same names because they are of another module, target or machine. The rules here:
//!
//! - Files in the same directory, or one below the other, may belong together. Parts of a path with a
//!   word such as `attempt` or `retry` do not distinguish directories. Files in other directories do not belong
//!   together.
//! - A file belongs to another one if it has no test that the other lacks. What they have in common counts once.
//! - A test that failed in one of them and passed in another has passed if they are attempts: no test passed in
//!   both, so that only what had failed was tried again. If everything ran again, it has passed only if a path shows
//!   an attempt, and all of that file passed. Otherwise it has failed: it was run in two ways, with two versions of a
//!   language for example.

use std::collections::{HashMap, HashSet};

use super::path::Directory;
use crate::counts::Outcome;

/// With how many files of other directories a test is compared, so that time is linear.
const HOMES_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct File {
    pub(super) directory: Directory,
    pub(super) shows_attempt: bool,
    /// The number of tests with a name.
    pub(super) tests: usize,
    pub(super) has_failures: bool,
}

/// A test in one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: u64,
    pub(super) file: u32,
    pub(super) outcome: Outcome,
    pub(super) retried: bool,
}

pub(super) fn same_test(a: &Entry, b: &Entry) -> bool {
    a.key == b.key
}

/// What a file has in common with the file to which it may belong.
#[derive(Debug, Default, Clone, Copy)]
struct Overlap {
    tests: usize,
    both_passed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Files<'a>(&'a [File]);

/// Which files belong to which, and which of them ran tests again that had passed.
#[derive(Debug)]
pub(super) struct Reruns<'a> {
    files: Files<'a>,
    belonging: HashSet<(u32, u32)>,
    repeat_passes: HashSet<u32>,
}

impl<'a> Files<'a> {
    pub(super) fn new(files: &'a [File]) -> Self {
        Self(files)
    }

    fn get(self, file: u32) -> Option<&'a File> {
        self.0.get(usize::try_from(file).ok()?)
    }

    pub(super) fn size(self, file: u32) -> usize {
        self.get(file).map_or(0, |file| file.tests)
    }

    fn are_related(self, a: u32, b: u32) -> bool {
        match (self.get(a), self.get(b)) {
            (Some(a), Some(b)) => a.directory.contains(&b.directory) || b.directory.contains(&a.directory),
            _ => false,
        }
    }

    /// The entries of one test with the entry of the file to which theirs may belong: the first that is related.
    fn with_homes(self, entries: &[Entry]) -> Vec<(Entry, Entry)> {
        let mut homes: Vec<Entry> = Vec::new();
        let mut pairs = Vec::with_capacity(entries.len());
        for entry in entries {
            let known = homes.iter().take(HOMES_MAX).find(|home| self.are_related(home.file, entry.file));
            let home = known.copied().unwrap_or(*entry);
            if known.is_none() {
                homes.push(home);
            }
            pairs.push((*entry, home));
        }
        pairs
    }

    /// Compares the files, given their entries in the order of tests, and within a test the largest file first.
    pub(super) fn reruns(self, entries: &[Entry]) -> Reruns<'a> {
        let mut overlaps: HashMap<(u32, u32), Overlap> = HashMap::new();
        for entries in entries.chunk_by(same_test).filter(|entries| entries.len() > 1) {
            for (entry, home) in self.with_homes(entries) {
                let overlap = overlaps.entry((entry.file, home.file)).or_default();
                overlap.tests += 1;
                overlap.both_passed |= entry.outcome == Outcome::Passed && home.outcome == Outcome::Passed;
            }
        }
        overlaps.retain(|(file, home), overlap| file != home && overlap.tests == self.size(*file));
        let repeating = overlaps.iter().filter(|(_, overlap)| overlap.both_passed);
        Reruns {
            files: self,
            repeat_passes: repeating.flat_map(|((file, home), _)| [*file, *home]).collect(),
            belonging: overlaps.into_keys().collect(),
        }
    }
}

impl Reruns<'_> {
    /// The tests behind the entries with one key.
    pub(super) fn merge(&self, entries: &[Entry]) -> Vec<Entry> {
        if let [only] = entries {
            return vec![*only];
        }
        let mut families: Vec<(u32, Vec<Entry>)> = Vec::new();
        let mut positions = HashMap::new();
        for (entry, home) in self.files.with_homes(entries) {
            if entry.file == home.file || self.belonging.contains(&(entry.file, home.file)) {
                let position = *positions.entry(home.file).or_insert(families.len());
                if position == families.len() {
                    families.push((home.file, Vec::new()));
                }
                if let Some((_, family)) = families.get_mut(position) {
                    family.push(entry);
                }
            } else {
                families.push((entry.file, vec![entry]));
            }
        }
        families.iter().filter_map(|(_, family)| self.merge_family(family)).collect()
    }

    /// How a test ended whose entries belong together.
    fn merge_family(&self, entries: &[Entry]) -> Option<Entry> {
        let first = entries.first()?;
        let of = |outcome| entries.iter().filter(move |entry| entry.outcome == outcome);
        let repeats = |entry: &Entry| self.repeat_passes.contains(&entry.file);
        let shows_attempt = |entry: &Entry| self.files.get(entry.file).is_some_and(|file| file.shows_attempt);
        let has_failures = |entry: &Entry| self.files.get(entry.file).is_none_or(|file| file.has_failures);
        let failed_in_rerun = of(Outcome::Failed).any(repeats);
        let failed_in_other_run = of(Outcome::Failed).any(|entry| repeats(entry) && !shows_attempt(entry));
        let ends_failure = |pass: &Entry| {
            !failed_in_rerun
                || !repeats(pass)
                || (!has_failures(pass) && (shows_attempt(pass) || !failed_in_other_run))
        };
        let failed = of(Outcome::Failed).next().is_some();
        let outcome = if of(Outcome::Passed).any(ends_failure) {
            Outcome::Passed
        } else if failed {
            Outcome::Failed
        } else {
            Outcome::Skipped
        };
        let retried = failed || entries.iter().any(|entry| entry.retried);
        Some(Entry { outcome, retried, ..*first })
    }
}
