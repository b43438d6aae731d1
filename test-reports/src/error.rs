//! Why a report could not be read, and where.

use thiserror::Error;

use super::{tap, xml};

/// Why a report could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReportError {
    /// There is nothing but white space.
    #[error("the report is empty")]
    Empty,
    /// No line tells a format.
    #[error(
        "not a report in a known format: neither XML nor TAP nor what `cargo test` or `go test -json` print"
    )]
    UnknownFormat,
    /// The format is known and the content breaks its rules.
    #[error("{problem} at line {line}, column {column}")]
    Invalid {
        /// What is wrong.
        problem: Problem,
        /// Where it is, from 1.
        line: usize,
        /// Where it is in that line, in characters from 1.
        column: usize,
    },
}

/// What is wrong with a report at one place. Texts from the report are shortened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// The XML parser gave up.
    #[error("malformed XML: {0}")]
    MalformedXml(String),
    /// A JSON value does not parse.
    #[error("malformed JSON: {0}")]
    MalformedJson(String),
    /// A `<!DOCTYPE>`. The entities and attributes that it declares would be passed over. The formats here have
    /// none; others with the same root do, such as `DejaGnu`'s `<testsuite>`.
    #[error("document type declarations are refused")]
    DocumentType,
    /// An encoding in which the bytes of ASCII may mean something else.
    #[error("the encoding {0:?} is not supported, use UTF-8 or UTF-16")]
    Encoding(String),
    /// Deeper than any test runner nests.
    #[error("elements are nested more than {max} deep", max = xml::DEPTH_MAX)]
    ElementsTooDeep,
    /// Deeper than any test runner nests.
    #[error("subtests are nested more than {max} deep", max = tap::DEPTH_MAX)]
    SubtestsTooDeep,
    /// The file was cut short.
    #[error("the element <{element}> is never closed")]
    Unclosed {
        /// Its name.
        element: String,
    },
    /// There is no root element at all.
    #[error("there is no XML element")]
    NoRoot,
    /// A second root element: reports were joined.
    #[error("another document begins, give one report per file")]
    SecondRoot,
    /// XML of something else.
    #[error("<{element}> is the root of no known test report")]
    UnknownRoot {
        /// Its name.
        element: String,
    },
    /// An attribute that the counts need is not there.
    #[error("<{element}> has no attribute {attribute:?}")]
    MissingAttribute {
        /// The element's name.
        element: String,
        /// The attribute's name.
        attribute: &'static str,
    },
    /// An attribute that the counts need says something else.
    #[error("{attribute}={value:?} of <{element}> is not {expected}")]
    Attribute {
        /// The element's name.
        element: String,
        /// The attribute's name.
        attribute: &'static str,
        /// What it says.
        value: String,
        /// What a valid value looks like, as a noun phrase.
        expected: &'static str,
    },
    /// A TAP stream has a plan although another one is not fulfilled yet.
    #[error("a second plan, but the first is not fulfilled")]
    SecondPlan,
}

/// A [`Problem`] at a byte of the decoded text.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) problem: Problem,
}

impl Fault {
    /// Counts lines and characters up to the fault.
    pub(super) fn locate(self, text: &str) -> ReportError {
        let before = text.get(..self.offset).unwrap_or(text);
        let last_line = before.rsplit('\n').next().unwrap_or_default();
        ReportError::Invalid {
            problem: self.problem,
            line: before.matches('\n').count() + 1,
            column: last_line.chars().count() + 1,
        }
    }
}

/// The beginning of a text from a report, short enough for a message and without control characters.
pub(super) fn excerpt(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    let shown = text.chars().take(CHARACTERS_MAX);
    let mut excerpt: String = shown.map(|shown| if shown.is_control() { ' ' } else { shown }).collect();
    if text.chars().nth(CHARACTERS_MAX).is_some() {
        excerpt.push_str("...");
    }
    excerpt
}
