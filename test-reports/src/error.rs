//! Why a report could not be read, and where.

use thiserror::Error;

/// Why a report could not be read. Displays as a fragment that fits after `report.xml: `, and never shows more than 60
/// characters of any text from the report.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReportError {
    /// The report contains only whitespace.
    #[error("the report is empty")]
    Empty,
    /// No line matches a known format.
    #[error(
        "not a test report: neither XML nor JSON of a known format, nor the output of a known test runner"
    )]
    UnknownFormat,
    /// The format is known, and the content breaks its rules.
    #[error("{kind} at line {line}, column {column}")]
    Invalid {
        /// The broken rule.
        kind: ReportErrorKind,
        /// The line number, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
}

/// Which rule of its format a report breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReportErrorKind {
    /// Carries the message of the XML parser.
    #[error("malformed XML: {0}")]
    MalformedXml(String),
    /// Carries the message of the JSON parser.
    #[error("malformed JSON: {0}")]
    MalformedJson(String),
    /// Deeper than any test runner nests.
    #[error("elements are nested more than {max} deep")]
    ElementsTooDeep {
        /// The deepest level that is read.
        max: usize,
    },
    /// Deeper than any test runner nests.
    #[error("subtests are nested more than {max} deep")]
    SubtestsTooDeep {
        /// The deepest level that is read.
        max: usize,
    },
    /// The file was cut short.
    #[error("the element <{element}> is never closed")]
    Unclosed { element: String },
    /// XML without any element.
    #[error("there is no XML element")]
    NoRoot,
    /// XML in another format.
    #[error("<{element}> is not the root element of a known report format")]
    UnknownRoot { element: String },
    /// The root element of a known format, without the content of that format.
    #[error("<{element}> has no content of a known report format")]
    UnknownContent { element: String },
}

/// A [`ReportErrorKind`] at a byte of the decoded text.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) offset: usize,
    pub(crate) kind: ReportErrorKind,
}

impl Located {
    /// Counts lines and characters up to the offset.
    pub(crate) fn in_text(self, text: &str) -> ReportError {
        let before = text.get(..self.offset).unwrap_or(text);
        let last_line = before.rsplit('\n').next().unwrap_or_default();
        ReportError::Invalid {
            kind: self.kind,
            line: before.matches('\n').count() + 1,
            column: last_line.chars().count() + 1,
        }
    }
}

/// The beginning of a text from a report, at most 60 characters and without control characters.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    let beginning = text.chars().take(CHARACTERS_MAX);
    let mut excerpt: String =
        beginning.map(|character| if character.is_control() { ' ' } else { character }).collect();
    if text.chars().nth(CHARACTERS_MAX).is_some() {
        excerpt.push_str("...");
    }
    excerpt
}
