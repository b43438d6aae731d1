//! The test counts of a run.

use std::fmt;

use serde::Serialize;

use crate::ids::ParseError;

/// The numbers of passed, failed and skipped tests, which add up to the total. Displays as
/// `190 passed, 2 failed, 1 skipped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    passed: u32,
    failed: u32,
    skipped: u32,
    total: u32,
}

impl Counts {
    /// No tests.
    pub const NONE: Self = Self { passed: 0, failed: 0, skipped: 0, total: 0 };
    /// A description of a valid count, as a noun phrase.
    pub const EXPECTED: &str = "an integer from 0 to 4294967295";

    /// # Errors
    /// [`ParseError`] when `passed`, `failed` and `skipped` do not add up to `total`.
    pub fn new(passed: u32, failed: u32, skipped: u32, total: u32) -> Result<Self, ParseError> {
        let sum = u64::from(passed) + u64::from(failed) + u64::from(skipped);
        if sum == u64::from(total) {
            Ok(Self { passed, failed, skipped, total })
        } else {
            Err(ParseError { expected: "the sum of passed, failed and skipped" })
        }
    }

    pub fn passed(self) -> u32 {
        self.passed
    }

    pub fn failed(self) -> u32 {
        self.failed
    }

    /// Tests that did not run.
    pub fn skipped(self) -> u32 {
        self.skipped
    }

    pub fn total(self) -> u32 {
        self.total
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped, .. } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}
