//! The totals that a report states, besides the tests that it shows.
//!
//! - Tests that are shown count by their outcome. Failures and skipped tests that are only stated count if no test
//!   shows one, up to the room that the stated number of tests leaves.
//! - A stated failure without room fails a test that is shown as passed, or else the run.
//! - Stated errors without room, in a suite that shows all its tests, are something else, such as messages.

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
    /// Whether any failure or failed attempt shows, even if it does not count in the end.
    pub(crate) failure: bool,
    pub(crate) skipped: bool,
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
        Shown { tests, failure: self.failed() > 0, skipped: skipped > 0 }
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
        if !shown.failure && rest.failed() > 0 {
            let failures = rest.failures.min(room);
            let errors = rest.errors.min(room - failures);
            room -= failures + errors;
            now.tests += failures + errors;
            recorder.add(Counts::failed(failures + errors));
            now.failure = failures + errors > 0;
            if rest.failures > failures {
                let more = self.failures_of_shown(rest.failures - failures, inner.is_some());
                now.failure = true;
                if recorder.relabel(since, more, Outcome::Failed) + failures == 0 {
                    recorder.fail_run();
                }
            } else if rest.errors > errors && inner.is_some() {
                now.failure = true;
                recorder.fail_run();
            } else if rest.errors > errors && shown.tests == 0 {
                recorder.fail_run();
            } else if rest.errors > errors {
                recorder.note(Note::ErrorsWithoutTests(rest.errors - errors));
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
