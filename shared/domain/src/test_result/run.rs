//! Identifiers of a run in its CI system.

use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{ParseError, string_newtype};

string_newtype! {
    /// The id of a run in its CI system. GitHub's ids are numeric; other systems also use letters.
    RunId, "1 to 64 characters of A-Z a-z 0-9 _ -", |text| {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        fits.then(|| text.to_owned())
    }
}

string_newtype! {
    /// A commit hash in lower case, possibly abbreviated.
    Commit, "7 to 64 hex digits", |text| {
        let fits = (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| text.to_ascii_lowercase())
    }
}

/// The attempt of a run, 1 to 9999. The default is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u16")]
pub struct RunAttempt(NonZeroU16);

impl RunAttempt {
    /// A description of a valid value, as a noun phrase.
    pub const EXPECTED: &str = "an integer from 1 to 9999";

    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl Default for RunAttempt {
    fn default() -> Self {
        Self(NonZeroU16::MIN)
    }
}

impl FromStr for RunAttempt {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse::<u64>().map_err(|_| ParseError { expected: Self::EXPECTED })?.try_into()
    }
}

impl TryFrom<u64> for RunAttempt {
    type Error = ParseError;

    fn try_from(number: u64) -> Result<Self, ParseError> {
        u16::try_from(number)
            .ok()
            .filter(|number| *number <= 9999)
            .and_then(NonZeroU16::new)
            .map(Self)
            .ok_or(ParseError { expected: Self::EXPECTED })
    }
}

impl From<RunAttempt> for u16 {
    fn from(attempt: RunAttempt) -> Self {
        attempt.get()
    }
}
