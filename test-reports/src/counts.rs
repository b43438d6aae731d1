//! Counts of tests by outcome.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// How many tests passed, failed and were skipped. Sums saturate at [`u64::MAX`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed in the end, after failed attempts too.
    pub passed: u64,
    /// Tests that failed, and errors outside of tests.
    pub failed: u64,
    /// Tests that did not run, and tests without a decisive outcome.
    pub skipped: u64,
}

impl Counts {
    /// The sum of all three.
    pub fn total(self) -> u64 {
        self.passed.saturating_add(self.failed).saturating_add(self.skipped)
    }

    pub(crate) const fn failed(failed: u64) -> Self {
        Self { passed: 0, failed, skipped: 0 }
    }

    pub(crate) const fn skipped(skipped: u64) -> Self {
        Self { passed: 0, failed: 0, skipped }
    }

    pub(crate) fn of(outcome: Outcome, number: u64) -> Self {
        let number = |of| if outcome == of { number } else { 0 };
        Self {
            passed: number(Outcome::Passed),
            failed: number(Outcome::Failed),
            skipped: number(Outcome::Skipped),
        }
    }

    /// What is left of each part without `other`.
    pub(crate) fn without(self, other: Self) -> Self {
        Self {
            passed: self.passed.saturating_sub(other.passed),
            failed: self.failed.saturating_sub(other.failed),
            skipped: self.skipped.saturating_sub(other.skipped),
        }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed.saturating_add(other.passed),
            failed: self.failed.saturating_add(other.failed),
            skipped: self.skipped.saturating_add(other.skipped),
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    Skipped,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl From<Outcome> for Counts {
    fn from(outcome: Outcome) -> Self {
        Self::of(outcome, 1)
    }
}
