//! Counts of tests by outcome.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// How many tests passed, failed and were skipped. Sums saturate at [`u64::MAX`].
///
/// The counts of a run with several reports are their sum:
///
/// ```
/// use test_reports::{Counts, read};
///
/// let mut counts = Counts::default();
/// for report in ["1..1\nok 1\n", "1..2\nok 1\nnot ok 2\n"] {
///     counts += read(report.as_bytes())?.counts;
/// }
/// assert_eq!(counts, Counts { passed: 2, failed: 1, skipped: 0 });
/// # Ok::<(), test_reports::ReportError>(())
/// ```
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

impl From<Outcome> for Counts {
    fn from(outcome: Outcome) -> Self {
        let one = |of| u64::from(outcome == of);
        Self { passed: one(Outcome::Passed), failed: one(Outcome::Failed), skipped: one(Outcome::Skipped) }
    }
}
