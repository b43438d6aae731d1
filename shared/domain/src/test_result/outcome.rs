//! How a run ended.

use serde::{Deserialize, Serialize};

use super::Counts;
use crate::ids::ParseError;

/// Whether a run as a whole succeeded. A build that breaks before its tests has the conclusion `failure` and no
/// counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conclusion {
    Success,
    Failure,
}

impl Conclusion {
    /// A description of a valid value, as a noun phrase.
    pub const EXPECTED: &str = "success or failure";

    /// The name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

impl std::str::FromStr for Conclusion {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "success" => Ok(Self::Success),
            "failure" => Ok(Self::Failure),
            _ => Err(ParseError { expected: Self::EXPECTED }),
        }
    }
}

/// The counts and the conclusion of a run, or the retirement of its suite. A run with failed tests is a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    counts: Counts,
    /// `None` for a retirement.
    conclusion: Option<Conclusion>,
}

impl Outcome {
    /// The outcome of a run without a conclusion, which fails only if a test failed.
    pub fn from_counts(counts: Counts) -> Self {
        let conclusion = if counts.failed() > 0 { Conclusion::Failure } else { Conclusion::Success };
        Self { counts, conclusion: Some(conclusion) }
    }

    /// The outcome of a run. Without a conclusion, the run fails only if a test failed.
    ///
    /// # Errors
    /// [`ParseError`] for a success with failed tests.
    pub fn new(counts: Counts, conclusion: Option<Conclusion>) -> Result<Self, ParseError> {
        match conclusion {
            Some(Conclusion::Success) if counts.failed() > 0 => {
                Err(ParseError { expected: "failure, because tests failed" })
            }
            Some(_) => Ok(Self { counts, conclusion }),
            None => Ok(Self::from_counts(counts)),
        }
    }

    /// The outcome that retires a suite, so that it stops counting.
    pub fn retired() -> Self {
        Self { counts: Counts::NONE, conclusion: None }
    }

    /// All zero for a retired suite.
    pub fn counts(self) -> Counts {
        self.counts
    }

    /// The conclusion; `None` for a retired suite.
    pub fn conclusion(self) -> Option<Conclusion> {
        self.conclusion
    }

    pub fn is_retired(self) -> bool {
        self.conclusion.is_none()
    }
}
