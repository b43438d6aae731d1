//! Which tests of several files are attempts of one test.
//!
//! Runners write attempts to files in the same directory or in one below, and some write all tests twice. Other files
//! have tests with the same names because they come from another module, target or machine. The rules here:
//!
//! - Files are related if they are in the same directory, or one is in a directory below the other. Parts of a path
//!   that show an attempt, such as `attempt_1`, are ignored.
//! - A file is a subset of a related one, its base, if it has no test that the base lacks. The tests of both count
//!   once.
//! - A test that failed in one of them has passed if it passed in a smaller one that retried only failures: no test
//!   passed in both.
//! - If a path shows that one of them is an attempt, it has passed if only failures were retried, or if all tests of
//!   the file with the pass passed.
//! - Otherwise it has failed: the runs differ, for example in the browser or the version of a language.

use std::collections::{HashMap, HashSet};

use super::path::Directory;
use crate::counts::Outcome;

/// The maximum number of bases that a test is compared with, so that time is linear.
const BASES_MAX: usize = 64;

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

/// What a file has in common with its base.
#[derive(Debug, Default, Clone, Copy)]
struct Overlap {
    tests: usize,
    both_passed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Files<'a>(&'a [File]);

/// Which files are subsets of others, and which of them ran tests again that had passed.
#[derive(Debug)]
pub(super) struct Reruns<'a> {
    files: Files<'a>,
    /// Pairs of a file and its base.
    subsets: HashSet<(u32, u32)>,
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

    /// The entries with one key, each with the entry of its possible base: the first file that is related.
    fn with_bases(self, entries: &[Entry]) -> Vec<(Entry, Entry)> {
        let mut bases: Vec<Entry> = Vec::new();
        let mut pairs = Vec::with_capacity(entries.len());
        for entry in entries {
            let known = bases.iter().take(BASES_MAX).find(|base| self.are_related(base.file, entry.file));
            let base = known.copied().unwrap_or(*entry);
            if known.is_none() {
                bases.push(base);
            }
            pairs.push((*entry, base));
        }
        pairs
    }

    /// Compares the files, given their entries in the order of tests, and within a test the largest file first.
    pub(super) fn reruns(self, entries: &[Entry]) -> Reruns<'a> {
        let mut overlaps: HashMap<(u32, u32), Overlap> = HashMap::new();
        for entries in entries.chunk_by(same_test).filter(|entries| entries.len() > 1) {
            for (entry, base) in self.with_bases(entries) {
                let overlap = overlaps.entry((entry.file, base.file)).or_default();
                overlap.tests += 1;
                overlap.both_passed |= entry.outcome == Outcome::Passed && base.outcome == Outcome::Passed;
            }
        }
        overlaps.retain(|(file, base), overlap| file != base && overlap.tests == self.size(*file));
        let repeating = overlaps.iter().filter(|(_, overlap)| overlap.both_passed);
        Reruns {
            files: self,
            repeat_passes: repeating.flat_map(|((file, base), _)| [*file, *base]).collect(),
            subsets: overlaps.into_keys().collect(),
        }
    }
}

impl Reruns<'_> {
    /// The tests that the entries with one key belong to.
    pub(super) fn merge(&self, entries: &[Entry]) -> Vec<Entry> {
        if let [only] = entries {
            return vec![*only];
        }
        let mut groups: Vec<(u32, Vec<Entry>)> = Vec::new();
        let mut positions = HashMap::new();
        for (entry, base) in self.files.with_bases(entries) {
            if entry.file == base.file || self.subsets.contains(&(entry.file, base.file)) {
                let position = *positions.entry(base.file).or_insert(groups.len());
                if position == groups.len() {
                    groups.push((base.file, Vec::new()));
                }
                if let Some((_, group)) = groups.get_mut(position) {
                    group.push(entry);
                }
            } else {
                groups.push((entry.file, vec![entry]));
            }
        }
        groups.iter().filter_map(|(_, group)| self.merge_group(group)).collect()
    }

    /// The final outcome of the test that the entries belong to.
    fn merge_group(&self, entries: &[Entry]) -> Option<Entry> {
        let first = entries.first()?;
        let of = |outcome| entries.iter().filter(move |entry| entry.outcome == outcome);
        let file = |entry: &Entry| self.files.get(entry.file);
        let shows_attempt = |entry: &Entry| file(entry).is_some_and(|file| file.shows_attempt);
        let has_failures = |entry: &Entry| file(entry).is_none_or(|file| file.has_failures);
        let failed_runs = of(Outcome::Failed).filter(|entry| !shows_attempt(entry));
        let smallest_failed = failed_runs.map(|entry| self.files.size(entry.file)).min();
        let ends_failure = |pass: &Entry| {
            let repeats = self.repeat_passes.contains(&pass.file);
            let is_smaller =
                smallest_failed.is_none_or(|failed| !repeats && self.files.size(pass.file) < failed);
            (!repeats || !has_failures(pass)) && (shows_attempt(pass) || is_smaller)
        };
        let failed = of(Outcome::Failed).next().is_some();
        let outcome = if failed && !of(Outcome::Passed).any(ends_failure) {
            Outcome::Failed
        } else if of(Outcome::Passed).next().is_some() {
            Outcome::Passed
        } else {
            Outcome::Skipped
        };
        let retried = failed || entries.iter().any(|entry| entry.retried);
        Some(Entry { outcome, retried, ..*first })
    }
}
