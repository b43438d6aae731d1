//! Reads test reports: from the bytes of files to how many tests passed, failed and were skipped.
//!
//! [`Reports`] adds up the reports of a run. The content determines the [`Format`], not the file name. In every format,
//! a test counts once, by its final outcome:
//!
//! - passed: it passed in the end, whatever its earlier attempts did;
//! - failed: it failed, or did not finish because of an error;
//! - skipped: it was skipped, ignored, disabled, inconclusive, not executed or is still to be done.
//!
//! A failure outside tests that the report lists (a broken build, a crashed process, a failed setup) counts as one
//! failed test. A failure that the report only states makes the run a failed run. A failed run therefore never counts
//! as passed, as far as its report shows the failure. `vocabulary.rs` has the words for outcomes. The module of each
//! format has its rules and their sources.
//!
//! Reading takes linear time, expands no entities, opens no other file and does not panic, whatever the bytes
//! are. XML elements may nest 256 deep, TAP subtests 64 deep. The caller limits the size of a report.

mod cargo;
mod counts;
mod cppunit;
mod dart;
mod error;
mod format;
mod go;
mod json;
mod junit;
mod libtest;
mod log;
mod nextest;
mod note;
mod nunit;
mod other_files;
mod recorder;
mod reports;
mod spans;
mod stated;
mod tap;
#[cfg(test)]
mod tests;
mod text;
mod trx;
mod vocabulary;
mod xml;
mod xml_reports;
mod xunit;

pub use counts::Counts;
use error::Located;
pub use error::{ReportError, ReportErrorKind};
pub use format::Format;
pub use note::Note;
use recorder::Recorder;
pub use reports::{Repetitions, Reports, Summary};

/// A report by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadReport {
    /// The formats of its results: several in a log of several tools, and none in a file that is not a report.
    pub formats: Vec<Format>,
    pub counts: Counts,
    /// Whether the run failed outside the tests that are counted.
    pub run_failed: bool,
    pub notes: Vec<Note>,
}

fn read_into(recorder: &mut Recorder, content: &[u8]) -> Result<(), ReportError> {
    let text::Decoded { text, unknown_encoding } = text::decode(content);
    if text.trim().is_empty() {
        return Err(ReportError::Empty);
    }
    if let Some(encoding) = unknown_encoding {
        recorder.note(Note::UnknownEncoding(encoding));
    }
    read_text(recorder, &text).map_err(|error| error.in_text(&text))?;
    if recorder.formats.is_empty() && recorder.notes.is_empty() {
        return Err(ReportError::UnknownFormat);
    }
    Ok(())
}

/// Reads a text in any format. Records nothing if the format is unknown.
fn read_text(recorder: &mut Recorder, text: &str) -> Result<(), Located> {
    let start = text.len() - text.trim_start().len();
    let at = |start: usize| move |error: Located| Located { offset: error.offset + start, ..error };
    let document = text.get(start..).unwrap_or_default();
    if document.starts_with('<') {
        let end = start + xml_reports::read_file(document, recorder).map_err(at(start))?;
        return log::read(text.get(end..).unwrap_or_default(), recorder).map_err(at(end));
    }
    log::read(text, recorder)
}
