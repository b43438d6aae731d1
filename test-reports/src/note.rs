//! What is worth knowing about a report that was read.

use std::fmt;

use crate::format::Format;

/// Something about a report that its counts do not show. Displays as a sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The file is no test report, and was passed over. Names what it is.
    PassedOver(&'static str),
    /// Several tests of the file have the same name, and count as attempts of one test. The number of such tests.
    Repeated(u64),
    /// A test has an outcome that is in no table.
    #[non_exhaustive]
    UnknownOutcome {
        word: String,
        format: Format,
        /// Where the format has such words, in Markdown.
        place: &'static str,
        /// `passed`, `failed` or `skipped`.
        counts_as: &'static str,
    },
    /// A suite states errors, but shows that all its tests ended otherwise, as when a runner counts messages.
    ErrorsWithoutTests(u64),
    /// A log without a report of each test: only what it shows could be counted.
    Incomplete(Format),
    /// The encoding that an XML document declares is unknown, and was read as UTF-8.
    UnknownEncoding(String),
    /// The lines of the log have a prefix, which was removed.
    Prefixed,
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PassedOver(what) => write!(formatter, "passed over, because it is {what}"),
            Self::Repeated(1) => formatter.write_str("1 test occurs several times, and counts once"),
            Self::Repeated(tests) => {
                write!(formatter, "{tests} tests occur several times, and each counts once")
            }
            Self::UnknownOutcome { word, format, place, counts_as } => {
                write!(formatter, "unknown word {word:?} in {format} ({place}) counts as {counts_as}")
            }
            Self::ErrorsWithoutTests(errors) => {
                write!(formatter, "{errors} stated errors belong to no test and do not count")
            }
            Self::Incomplete(Format::GoText) => formatter.write_str(
                "`go test` shows passed tests only with -v or -json, so only failures were counted",
            ),
            Self::Incomplete(format) => {
                write!(formatter, "the {format} ends before its summary, so the run counts as failed")
            }
            Self::UnknownEncoding(encoding) => {
                write!(formatter, "the encoding {encoding:?} is unknown; read as UTF-8")
            }
            Self::Prefixed => formatter.write_str("removed the prefix of each line"),
        }
    }
}
