//! From reports to counts: files by pattern, stdin, or counts given by hand.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use badgesmith_domain::test_result::Counts;
use glob::{MatchOptions, Pattern};
use walkdir::WalkDir;

use crate::submit::Options;
use crate::terminal;
use test_reports::{self, ReportError};

/// A report is read as a whole.
const REPORT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why there are no counts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CountError {
    /// Not a pattern.
    #[error("{pattern:?} is not a pattern: {reason}")]
    Pattern {
        /// As given.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A folder, and no file.
    #[error(
        "{} is a folder: name the reports in it, for example {}",
        .0.display(),
        .0.join("**/*.xml").display()
    )]
    Folder(PathBuf),
    /// No file is there.
    #[error("no file matches {0:?}; did the tests run, and write their report?")]
    NoMatch(String),
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file is no report.
    #[error("{path}: {source}")]
    Report {
        /// Which.
        path: String,
        /// What is wrong with it.
        source: ReportError,
    },
    /// No report is so large.
    #[error("{0} is larger than 256 MB")]
    TooLarge(String),
    /// More tests than a badge can show.
    #[error("there are more than {} tests", u32::MAX)]
    TooMany,
}

/// The counts that the options give, or those of all reports together.
///
/// # Errors
/// [`CountError`] when a report is missing or cannot be understood: part of a result is no result.
pub(crate) fn counts(options: &Options) -> Result<Counts, CountError> {
    let counts = match options.passed {
        Some(passed) => test_reports::Counts {
            passed: passed.into(),
            failed: options.failed.into(),
            skipped: options.skipped.into(),
        },
        None => of_reports(&options.reports)?,
    };
    checked(counts)
}

fn checked(counts: test_reports::Counts) -> Result<Counts, CountError> {
    let part = |count: u64| u32::try_from(count).map_err(|_| CountError::TooMany);
    let (passed, failed, skipped) = (part(counts.passed)?, part(counts.failed)?, part(counts.skipped)?);
    let total = part(counts.total())?;
    Counts::new(passed, failed, skipped, total).map_err(|_| CountError::TooMany)
}

fn of_reports(patterns: &[String]) -> Result<test_reports::Counts, CountError> {
    let (stdin, patterns): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| *pattern == "-");
    // Patterns overlap, and a file may have two names; it counts once.
    let mut paths = BTreeMap::new();
    for pattern in patterns {
        for path in matches(pattern)? {
            paths.entry(path.canonicalize().unwrap_or_else(|_| path.clone())).or_insert(path);
        }
    }
    let mut counts = test_reports::Counts::default();
    if !stdin.is_empty() {
        counts += of_report("stdin", io::stdin().lock())?;
    }
    for path in paths.into_values() {
        let name = path.display().to_string();
        let file = File::open(&path).map_err(|source| CountError::Read { path: name.clone(), source })?;
        counts += of_report(&name, file)?;
    }
    Ok(counts)
}

fn of_report(path: &str, from: impl Read) -> Result<test_reports::Counts, CountError> {
    let mut content = Vec::new();
    let read = from.take(REPORT_BYTES_MAX + 1).read_to_end(&mut content);
    read.map_err(|source| CountError::Read { path: path.to_owned(), source })?;
    if u64::try_from(content.len()).is_ok_and(|length| length > REPORT_BYTES_MAX) {
        return Err(CountError::TooLarge(path.to_owned()));
    }
    let report = test_reports::read(&content)
        .map_err(|source| CountError::Report { path: path.to_owned(), source })?;
    terminal::note(&format!("read {path}: {}, {}", report.format, checked(report.counts)?));
    Ok(report.counts)
}

/// The files that a pattern matches; a path that exists is no pattern, whatever characters it has. Linked folders are
/// not entered: they lead in circles, and to what was counted already.
fn matches(pattern: &str) -> Result<Vec<PathBuf>, CountError> {
    const WILDCARDS: [char; 3] = ['*', '?', '['];
    const WHOLE_NAMES: MatchOptions = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: false,
    };
    let path = Path::new(pattern);
    if path.is_dir() {
        return Err(CountError::Folder(path.to_owned()));
    }
    if path.exists() {
        return Ok(vec![path.to_owned()]);
    }
    let glob = Pattern::new(pattern)
        .map_err(|error| CountError::Pattern { pattern: pattern.to_owned(), reason: error.msg })?;
    let fixed = path.components().take_while(|part| !part.as_os_str().to_string_lossy().contains(WILDCARDS));
    let root: PathBuf = fixed.collect();
    let here = root.as_os_str().is_empty();
    let (mut files, mut folder) = (Vec::new(), None);
    for entry in WalkDir::new(if here { Path::new(".") } else { &root }) {
        let entry = match entry {
            Ok(entry) => entry,
            // The fixed part leads nowhere, so that nothing matches.
            Err(error) if error.depth() == 0 => break,
            Err(error) => {
                let path = error.path().unwrap_or(&root).display().to_string();
                return Err(CountError::Read { path, source: error.into() });
            }
        };
        let path = if here { entry.path().strip_prefix(".").unwrap_or(entry.path()) } else { entry.path() };
        if glob.matches_path_with(path, WHOLE_NAMES) {
            if path.is_file() {
                files.push(path.to_owned());
            } else if path.is_dir() {
                folder = Some(path.to_owned());
            }
        }
    }
    if files.is_empty() {
        Err(folder.map_or_else(|| CountError::NoMatch(pattern.to_owned()), CountError::Folder))
    } else {
        Ok(files)
    }
}
