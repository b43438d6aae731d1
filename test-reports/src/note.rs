//! Notes about a report that was read.

use std::fmt;

use crate::format::Format;

/// Something about a report that its counts do not show. Displays as a sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The file is not a test report, and was ignored. Names what it is.
    Ignored(&'static str),
    /// How many tests have several results in the file, which count as attempts of one test.
    Repeated(u64),
    /// A test has an outcome that is not in the vocabulary of its format.
    #[non_exhaustive]
    UnknownOutcome {
        word: String,
        format: Format,
        /// Where the format has such words, in Markdown.
        place: &'static str,
        /// `passed`, `failed` or `skipped`.
        counts_as: &'static str,
    },
    /// A suite states errors, but lists all its tests, and none of them ended with an error. Qt counts messages.
    ErrorsWithoutTests(u64),
    /// A log does not list every test. Only those that it lists were counted.
    Incomplete(Format),
    /// The encoding that an XML document declares is unknown, and was read as UTF-8.
    UnknownEncoding(String),
    /// The lines of the log have a prefix, which was removed.
    Prefixed,
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored(what) => write!(formatter, "ignored, because it is {what}"),
            Self::Repeated(1) => formatter.write_str("1 test occurs several times, and counts once"),
            Self::Repeated(tests) => {
                write!(formatter, "{tests} tests occur several times, and each counts once")
            }
            Self::UnknownOutcome { word, format, place, counts_as } => {
                write!(formatter, "unknown outcome {word:?} in {format} ({place}) counts as {counts_as}")
            }
            Self::ErrorsWithoutTests(errors) => {
                write!(formatter, "ignored {errors} errors that the report states without a test")
            }
            Self::Incomplete(Format::GoText) => formatter.write_str(
                "`go test` shows passed tests only with -v or -json, so only failures were counted",
            ),
            Self::Incomplete(format) => {
                write!(formatter, "the {format} ends before its summary, so the run counts as failed")
            }
            Self::UnknownEncoding(encoding) => {
                write!(formatter, "unknown encoding {encoding:?}, read as UTF-8")
            }
            Self::Prefixed => formatter.write_str("removed the prefix of each line"),
        }
    }
}
