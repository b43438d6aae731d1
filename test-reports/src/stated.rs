//! The totals that a report states, besides the tests that it shows.
//!
//! - Tests that are shown count by their outcome. Failures beyond those that are shown, and skipped tests if none is
//!   shown, count up to the room that the stated number of tests leaves.
//! - If no failure is shown, a stated one without room fails a test that is shown as passed, or else the run.
//! - Qt states the messages of its tests as errors.

use crate::counts::{Counts, Outcome};
use crate::note::Note;
use crate::recorder::Recorder;

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Stated {
    pub(crate) tests: Option<u64>,
    pub(crate) failures: u64,
    pub(crate) errors: u64,
    pub(crate) skipped: u64,
}

/// What a suite shows.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) tests: u64,
    /// The number of failures and failed attempts, even if they do not count in the end.
    pub(crate) failures: u64,
    pub(crate) skipped: bool,
    /// Whether its errors may be messages.
    pub(crate) has_messages: bool,
}

impl Shown {
    pub(crate) fn test(&mut self, outcome: Outcome) {
        self.tests += 1;
        self.failures += u64::from(outcome == Outcome::Failed);
        self.skipped |= outcome == Outcome::Skipped;
    }

    pub(crate) fn add(&mut self, inner: Self) {
        self.tests += inner.tests;
        self.failures += inner.failures;
        self.skipped |= inner.skipped;
    }
}

impl Stated {
    fn failed(self) -> u64 {
        self.failures.saturating_add(self.errors)
    }

    fn without(self, inner: Self) -> Self {
        Self {
            tests: self.tests,
            failures: self.failures.saturating_sub(inner.failures),
            errors: self.errors.saturating_sub(inner.errors),
            skipped: self.skipped.saturating_sub(inner.skipped),
        }
    }

    /// The larger of each number, because a suite may leave out what its inner suites state.
    pub(crate) fn max(self, inner: Self) -> Self {
        Self {
            tests: self.tests.max(inner.tests),
            failures: self.failures.max(inner.failures),
            errors: self.errors.max(inner.errors),
            skipped: self.skipped.max(inner.skipped),
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            tests: Some(self.tests.unwrap_or_default() + other.tests.unwrap_or_default()),
            failures: self.failures + other.failures,
            errors: self.errors + other.errors,
            skipped: self.skipped + other.skipped,
        }
    }

    /// Counts a suite that shows nothing. Returns whether a failure is stated.
    pub(crate) fn count_alone(self, recorder: &mut Recorder) -> Shown {
        let tests = self.tests.unwrap_or(self.failed().saturating_add(self.skipped));
        let failed = self.failed().min(tests);
        let skipped = self.skipped.min(tests - failed);
        recorder.add(Counts { passed: tests - failed - skipped, failed, skipped });
        if self.failed() > 0 && failed == 0 {
            recorder.fail_run();
        }
        Shown { tests, failures: self.failed(), skipped: skipped > 0, has_messages: false }
    }

    /// Counts what a whole report states but does not show.
    pub(crate) fn count(self, shown: Shown, since: usize, recorder: &mut Recorder) -> Shown {
        if shown.tests == 0 && shown.failures == 0 {
            self.count_alone(recorder)
        } else {
            self.count_rest(Some(Self::default()), shown, since, recorder)
        }
    }

    /// Counts what a suite states but does not show. `inner` is what the suites in it state, if there are any. The
    /// tests of the suite were recorded from the position `since` on. Returns what the suite shows together with what
    /// was counted.
    pub(crate) fn count_rest(
        self,
        inner: Option<Self>,
        shown: Shown,
        since: usize,
        recorder: &mut Recorder,
    ) -> Shown {
        let rest = self.without(inner.unwrap_or_default());
        let mut now = shown;
        let mut room = self.tests.unwrap_or_default().saturating_sub(shown.tests);
        let left = self.failed().saturating_sub(shown.failures.max(inner.unwrap_or_default().failed()));
        if left > 0 {
            let (left_failures, left_errors) = (rest.failures.min(left), left.saturating_sub(rest.failures));
            let failures = left_failures.min(room);
            let errors = left_errors.min(room - failures);
            room -= failures + errors;
            now.tests += failures + errors;
            recorder.add(Counts::failed(failures + errors));
            let mut failed = failures + errors;
            if shown.failures == 0 {
                let more = self.failures_of_shown(left_failures - failures, inner.is_some());
                failed += recorder.relabel(since, more, Outcome::Failed);
            }
            now.failures += failed;
            if shown.failures == 0 && failed == 0 {
                if left_failures == 0 && shown.has_messages {
                    recorder.note(Note::ErrorsWithoutTests(left_errors));
                } else {
                    recorder.fail_run();
                    now.failures += left;
                }
            }
        }
        if !shown.skipped && rest.skipped > 0 {
            let skipped = rest.skipped.min(room);
            recorder.add(Counts::skipped(skipped));
            now.tests += skipped;
            now.skipped = true;
            if inner.is_none() && self.tests.is_some_and(|tests| tests >= rest.skipped) {
                recorder.relabel(since, rest.skipped - skipped, Outcome::Skipped);
            }
        }
        now
    }

    /// How many of the tests that are shown as passed failed. If more failures are stated than tests, they count
    /// something else, such as subtests, and one test failed.
    fn failures_of_shown(self, failures: u64, has_suites: bool) -> u64 {
        match self.tests {
            None => 0,
            Some(_) if has_suites => 0,
            Some(tests) if self.failures > tests => 1,
            Some(_) => failures,
        }
    }
}
