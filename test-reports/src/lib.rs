//! Reads test reports: from the bytes of a file to how many tests passed, failed and were skipped.
//!
//! ```
//! use test_reports::{Counts, Format, read};
//!
//! let report = read(b"1..3\nok 1 - adds\nnot ok 2 - divides\nok 3 # SKIP no database\n")?;
//! assert_eq!(report.format, Format::Tap);
//! assert_eq!(report.counts, Counts { passed: 1, failed: 1, skipped: 1 });
//! # Ok::<(), test_reports::ReportError>(())
//! ```
//!
//! The content decides the [`Format`]; file names do not matter. In every format a test counts once, by how
//! it ended:
//!
//! - passed: it passed in the end, whatever its earlier attempts did;
//! - failed: it failed, or an error kept it from finishing;
//! - skipped: it was skipped, ignored, disabled, inconclusive, not executed or is still to be done.
//!
//! A failure outside of any test (a broken build, a crashed process, a failed set-up) counts as one failed
//! test. A run that failed is therefore never shown as one that passed, as far as its report shows. Each
//! format's module has its rules and their sources.
//!
//! Reading takes linear time, expands no entities, opens no other file and does not panic, whatever the bytes
//! are. XML elements may nest 256 deep, TAP subtests 64 deep. The caller limits the size of a report.

mod cargo;
mod counts;
mod error;
mod go;
mod junit;
mod nunit;
mod tap;
#[cfg(test)]
mod tests;
mod text;
mod trx;
mod xml;
mod xunit;

use std::fmt;

pub use counts::Counts;
use error::Located;
pub use error::{ReportError, ReportErrorKind};

/// A report's format, and the counts of its tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    pub format: Format,
    pub counts: Counts,
}

/// The format of a test report. Displays as its common name, for example `JUnit XML`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `<testsuites>` or `<testsuite>`, which runners of all languages write.
    JUnit,
    /// `<TestRun>`, from `dotnet test --logger trx` and Visual Studio.
    Trx,
    /// `<test-run>`, from `NUnit` 3 and later.
    NUnit,
    /// `<assemblies>` or `<assembly>`, from xUnit.net 2 and later.
    XUnit,
    /// Test Anything Protocol, versions 12 to 14.
    Tap,
    /// The text that `cargo test` prints.
    CargoTest,
    /// The lines of JSON that `go test -json` prints.
    GoTest,
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::JUnit => "JUnit XML",
            Self::Trx => "TRX",
            Self::NUnit => "NUnit XML",
            Self::XUnit => "xUnit.net XML",
            Self::Tap => "TAP",
            Self::CargoTest => "cargo test output",
            Self::GoTest => "go test JSON",
        })
    }
}

/// Reads a report in any of the known formats, encoded as UTF-8 or UTF-16.
///
/// # Errors
///
/// - [`ReportError::Empty`] and [`ReportError::UnknownFormat`] if there is nothing to read;
/// - [`ReportError::Invalid`] if the format is known and the content breaks its rules.
///
/// # Examples
///
/// ```
/// use test_reports::{Counts, Format, read};
///
/// let junit = r#"<testsuite name="kit">
///   <testcase name="adds"/>
///   <testcase name="divides"><failure message="division by zero"/></testcase>
/// </testsuite>"#;
/// let report = read(junit.as_bytes())?;
/// assert_eq!(report.format, Format::JUnit);
/// assert_eq!(report.counts, Counts { passed: 1, failed: 1, skipped: 0 });
///
/// let cut_short = junit.trim_end_matches("</testsuite>");
/// let error = read(cut_short.as_bytes()).unwrap_err();
/// assert_eq!(error.to_string(), "the element <testsuite> is never closed at line 1, column 1");
/// # Ok::<(), test_reports::ReportError>(())
/// ```
pub fn read(content: &[u8]) -> Result<Report, ReportError> {
    let text = text::decode(content);
    if text.trim().is_empty() {
        return Err(ReportError::Empty);
    }
    let report = match detect(&text).ok_or(ReportError::UnknownFormat)? {
        Detected::Xml { offset } => {
            let (_, document) = text.split_at_checked(offset).unwrap_or_default();
            read_xml(document).map_err(|error| Located { offset: error.offset + offset, ..error })
        }
        Detected::Tap => tap::read(&text).map(|counts| Report { format: Format::Tap, counts }),
        Detected::CargoTest => Ok(Report { format: Format::CargoTest, counts: cargo::read(&text) }),
        Detected::GoTest => go::read(&text).map(|counts| Report { format: Format::GoTest, counts }),
    };
    report.map_err(|error| error.in_text(&text))
}

/// The finding from the first line that belongs to a format.
enum Detected {
    /// XML from this byte on; only its root element shows the format.
    Xml {
        offset: usize,
    },
    Tap,
    CargoTest,
    GoTest,
}

/// Skips what package managers and compilers print before a report, as in `npm test > report.xml`.
fn detect(text: &str) -> Option<Detected> {
    if text.trim_start().starts_with('<') {
        return Some(Detected::Xml { offset: text.len() - text.trim_start().len() });
    }
    text::lines(text).find_map(|(offset, line)| match line {
        line if line.starts_with("<?xml ") => Some(Detected::Xml { offset }),
        line if tap::detects(line) => Some(Detected::Tap),
        line if cargo::detects(line) => Some(Detected::CargoTest),
        line if go::detects(line) => Some(Detected::GoTest),
        _ => None,
    })
}

/// Reads an XML document in the format that its root element shows.
fn read_xml(text: &str) -> Result<Report, Located> {
    let mut document = xml::Document::new(text);
    let root = document.root()?;
    let (format, counts) = match root.name() {
        "testsuites" | "testsuite" => (Format::JUnit, junit::read(&mut document, &root)?),
        "TestRun" => (Format::Trx, trx::read(&mut document)?),
        "test-run" => (Format::NUnit, nunit::read(&mut document, &root)?),
        "assemblies" | "assembly" => (Format::XUnit, xunit::read(&mut document, &root)?),
        other => return Err(root.located(ReportErrorKind::UnknownRoot { element: error::excerpt(other) })),
    };
    document.end()?;
    Ok(Report { format, counts })
}
