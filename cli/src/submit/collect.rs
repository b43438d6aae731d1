//! Finds and reads reports, and adds up their counts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use badgesmith_domain::test_result::{Counts, FailedTest};
use glob::{MatchOptions, Pattern};
use test_reports::{ReadReport, Repetitions, ReportError, Reports, Summary};
use walkdir::WalkDir;

use crate::terminal;

/// A report is read into memory as a whole.
const REPORT_BYTES_MAX: u64 = 256 * 1024 * 1024;
const WILDCARDS: [char; 3] = ['*', '?', '['];
const WHOLE_NAMES: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Why there are no counts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    #[error("invalid pattern {pattern:?}: {reason}")]
    Pattern { pattern: String, reason: &'static str },
    #[error(
        "{} is a directory: name the reports in it, for example {}",
        .0.display(),
        .0.join("**/*.xml").display()
    )]
    Directory(PathBuf),
    #[error("no file matches {0:?}: check that the tests ran and wrote a report")]
    NoMatch(String),
    #[error("every file that matches is excluded: check the patterns that begin with !")]
    AllExcluded,
    #[error("{} is not a regular file: pass - to read stdin", .0.display())]
    NotAFile(PathBuf),
    #[error("failed to read {path}: {source}")]
    Read { path: String, source: io::Error },
    #[error("failed to read {path}: {source}{}", advice(.source))]
    Report { path: String, source: ReportError },
    #[error("{0} is larger than 256 MiB: split the report")]
    TooLarge(String),
    #[error("more than {} tests: a badge cannot show that many", u32::MAX)]
    TooManyTests,
}

impl CollectError {
    /// Whether a report is missing or invalid, as after a crash.
    pub(crate) fn is_about_a_report(&self) -> bool {
        matches!(self, Self::NoMatch(_) | Self::AllExcluded | Self::Read { .. } | Self::Report { .. })
    }
}

fn advice(error: &ReportError) -> &'static str {
    match error {
        ReportError::Empty => "; check that the tests ran",
        ReportError::UnknownFormat => "; `badgesmith submit --help` lists the formats",
        ReportError::Invalid { .. } => "",
    }
}

/// The combined reports of a run.
#[derive(Debug)]
pub(crate) struct Collected {
    /// All zero if there is no test in any report.
    pub(crate) counts: Counts,
    /// How many of the passed tests were retried.
    pub(crate) retried: u64,
    /// Whether the run failed outside the tests that are counted.
    pub(crate) run_failed: bool,
    /// Names of up to 20 tests that failed in the end.
    pub(crate) failed_tests: Vec<FailedTest>,
}

/// Adds up all reports that match the patterns, except files that match a pattern with a leading `!`; `-` is stdin. A
/// file counts once, even if several patterns and links lead to it.
///
/// # Errors
/// [`CollectError`] if any report is missing or invalid: a partial result would be wrong.
pub(crate) fn collect(patterns: &[String], repetitions: Repetitions) -> Result<Collected, CollectError> {
    let (stdin, patterns): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| *pattern == "-");
    let (excluding, patterns): (Vec<_>, Vec<_>) =
        patterns.into_iter().partition(|pattern| pattern.starts_with('!') && !Path::new(pattern).exists());
    let excluded = excluding.into_iter().map(|pattern| parse(&normalized(pattern.trim_start_matches('!'))));
    let excluded = excluded.collect::<Result<Vec<_>, _>>()?;
    let mut paths = BTreeMap::new();
    for pattern in patterns {
        for path in matching_files(pattern)? {
            if !is_excluded(&path, &excluded) {
                paths.entry(path.canonicalize().unwrap_or_else(|_| path.clone())).or_insert(path);
            }
        }
    }
    if stdin.is_empty() && paths.is_empty() {
        return Err(CollectError::AllExcluded);
    }
    let mut reports = Reports::new(repetitions);
    if !stdin.is_empty() {
        read_report("stdin", io::stdin().lock(), &mut reports)?;
    }
    for path in paths.into_values() {
        let name = path.display().to_string();
        let file = File::open(&path).map_err(|source| CollectError::Read { path: name.clone(), source })?;
        read_report(&name, file, &mut reports)?;
    }
    let Summary { counts, retried, run_failed, failed_tests, .. } = reports.summary(FailedTest::COUNT_MAX);
    if retried > 0 {
        terminal::note(&format!("tests that passed after a retry: {retried}"));
    }
    let failed_tests = failed_tests.iter().filter_map(|name| FailedTest::from_name(name)).collect();
    Ok(Collected { counts: checked(counts)?, retried, run_failed, failed_tests })
}

/// The counts as a result has them, of at most [`u32::MAX`] tests.
pub(crate) fn checked(counts: test_reports::Counts) -> Result<Counts, CollectError> {
    let part = |count: u64| u32::try_from(count).map_err(|_| CollectError::TooManyTests);
    let (passed, failed, skipped) = (part(counts.passed)?, part(counts.failed)?, part(counts.skipped)?);
    Counts::new(passed, failed, skipped, part(counts.total())?).map_err(|_| CollectError::TooManyTests)
}

fn read_report(path: &str, reader: impl Read, reports: &mut Reports) -> Result<(), CollectError> {
    let mut content = Vec::new();
    reader
        .take(REPORT_BYTES_MAX + 1)
        .read_to_end(&mut content)
        .map_err(|source| CollectError::Read { path: path.to_owned(), source })?;
    if u64::try_from(content.len()).is_ok_and(|length| length > REPORT_BYTES_MAX) {
        return Err(CollectError::TooLarge(path.to_owned()));
    }
    let report = reports
        .add(path, &content)
        .map_err(|source| CollectError::Report { path: path.to_owned(), source })?;
    let ReadReport { formats, counts, run_failed, notes } = report;
    if !formats.is_empty() {
        let formats = formats.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        let run_failed = if run_failed { ", run failed" } else { "" };
        terminal::note(&format!("read {path}: {formats}, {}{run_failed}", checked(counts)?));
    }
    for note in notes {
        terminal::note(&format!("{path}: {note}"));
    }
    Ok(())
}

/// A path without `.` components, and without repeated and trailing slashes, so that equal paths have equal text.
fn normalized(path: impl AsRef<Path>) -> PathBuf {
    path.as_ref().components().filter(|component| *component != Component::CurDir).collect()
}

fn parse(pattern: &Path) -> Result<Pattern, CollectError> {
    let pattern = pattern.to_string_lossy();
    Pattern::new(&pattern)
        .map_err(|error| CollectError::Pattern { pattern: pattern.into_owned(), reason: error.msg })
}

/// Whether a file or one of its directories matches a pattern.
fn is_excluded(path: &Path, patterns: &[Pattern]) -> bool {
    let path = normalized(path);
    let matches = |part: &Path| patterns.iter().any(|pattern| pattern.matches_path_with(part, WHOLE_NAMES));
    path.ancestors().any(matches)
}

/// The files that a pattern matches. An existing path is never a pattern, whatever characters it contains. Symbolic
/// links to directories are not followed: they may form a cycle, or lead to files that are already counted. Pipes and
/// devices are errors.
fn matching_files(pattern: &str) -> Result<Vec<PathBuf>, CollectError> {
    let path = Path::new(pattern);
    if path.is_dir() {
        return Err(CollectError::Directory(path.to_owned()));
    }
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    // A pipe or a device may never end.
    if path.exists() {
        return Err(CollectError::NotAFile(path.to_owned()));
    }
    let path = normalized(path);
    let glob = parse(&path)?;
    let without_wildcards =
        path.components().take_while(|part| !part.as_os_str().to_string_lossy().contains(WILDCARDS));
    let root: PathBuf = without_wildcards.collect();
    let start = if root.as_os_str().is_empty() { Path::new(".") } else { &root };
    let (mut files, mut directory) = (Vec::new(), None);
    for entry in WalkDir::new(start) {
        let entry = match entry {
            Ok(entry) => entry,
            // The root does not exist, so nothing matches.
            Err(error) if error.depth() == 0 => break,
            Err(error) => {
                let path = error.path().unwrap_or(start).display().to_string();
                return Err(CollectError::Read { path, source: error.into() });
            }
        };
        let path = normalized(entry.path());
        if glob.matches_path_with(&path, WHOLE_NAMES) {
            if path.is_file() {
                files.push(path);
            } else if path.is_dir() {
                directory = Some(path);
            }
        }
    }
    if files.is_empty() {
        Err(directory.map_or_else(|| CollectError::NoMatch(pattern.to_owned()), CollectError::Directory))
    } else {
        Ok(files)
    }
}
