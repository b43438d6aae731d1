//! Reading of test reports: from the bytes of a file to how many tests passed, failed and were skipped.
//!
//! The format is recognised by the content, see [`Format`]; names of files say nothing. Whatever the
//! format, a test counts once, by how it ended:
//!
//! - passed: it passed in the end, whatever its earlier attempts did;
//! - failed: it failed, or an error kept it from finishing;
//! - skipped: it was skipped, ignored, disabled, inconclusive, not executed or still to be done.
//!
//! Failures that belong to no test (a broken build, a crashed process, a set-up that failed) count as
//! one failed test each, so that a run that failed is never shown as one that passed, as far as its
//! report tells. The rules of each format, with their sources, are in the module of that format.
//!
//! Reading takes linear time, nests at most `xml::DEPTH_MAX` or `tap::DEPTH_MAX` deep, expands no
//! entities and opens no other file. It does not panic, whatever the bytes are.

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
use error::Fault;
pub use error::{Problem, ReportError};

/// What a test report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// What it is written in.
    pub format: Format,
    /// How the tests ended.
    pub counts: Counts,
}

/// What test reports are written in. Its `Display` is the name to show to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `<testsuites>` or `<testsuite>`, which runners of all languages write.
    JUnit,
    /// `<TestRun>`, of `dotnet test --logger trx` and Visual Studio.
    Trx,
    /// `<test-run>`, of `NUnit` 3 and later.
    NUnit,
    /// `<assemblies>` or `<assembly>`, of xUnit.net 2 and later.
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

/// Reads a report in whichever of the known formats it is.
///
/// # Errors
///
/// [`ReportError::Empty`] and [`ReportError::UnknownFormat`] when there is nothing to be read,
/// [`ReportError::Invalid`] when the format is known and the content breaks its rules.
pub fn read(content: &[u8]) -> Result<Report, ReportError> {
    let text = text::decode(content);
    if text.trim().is_empty() {
        return Err(ReportError::Empty);
    }
    let start = recognise(&text).ok_or(ReportError::UnknownFormat)?;
    let read = match start {
        Start::Xml(offset) => {
            let (_, document) = text.split_at_checked(offset).unwrap_or_default();
            read_xml(document).map_err(|fault| Fault { offset: fault.offset + offset, ..fault })
        }
        Start::Tap => tap::read(&text).map(|counts| Report { format: Format::Tap, counts }),
        Start::CargoTest => Ok(Report { format: Format::CargoTest, counts: cargo::read(&text) }),
        Start::GoTest => go::read(&text).map(|counts| Report { format: Format::GoTest, counts }),
    };
    read.map_err(|fault| fault.locate(&text))
}

/// What a text starts to be, as far as its first telling line says.
enum Start {
    /// XML from this byte on.
    Xml(usize),
    Tap,
    CargoTest,
    GoTest,
}

/// Finds the first line that tells the format. What comes before it is the talk of package managers and
/// compilers, as in `npm test > report.xml`.
fn recognise(text: &str) -> Option<Start> {
    if text.trim_start().starts_with('<') {
        return Some(Start::Xml(text.len() - text.trim_start().len()));
    }
    text::lines(text).find_map(|(offset, line)| match line {
        line if line.starts_with("<?xml ") => Some(Start::Xml(offset)),
        line if tap::tells(line) => Some(Start::Tap),
        line if cargo::tells(line) => Some(Start::CargoTest),
        line if go::tells(line) => Some(Start::GoTest),
        _ => None,
    })
}

/// The root element tells the format of an XML document.
fn read_xml(text: &str) -> Result<Report, Fault> {
    let mut document = xml::Document::new(text);
    let root = document.root()?;
    let (format, counts) = match root.name() {
        "testsuites" | "testsuite" => (Format::JUnit, junit::read(&mut document, &root)?),
        "TestRun" => (Format::Trx, trx::read(&mut document)?),
        "test-run" => (Format::NUnit, nunit::read(&mut document, &root)?),
        "assemblies" | "assembly" => (Format::XUnit, xunit::read(&mut document, &root)?),
        other => return Err(root.fault(Problem::UnknownRoot { element: error::excerpt(other) })),
    };
    document.end()?;
    Ok(Report { format, counts })
}
