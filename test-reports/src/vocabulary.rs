//! The words for outcomes in each format: those of its documentation, and others that writers of the format use.

use crate::counts::Outcome::{self, Failed, Passed, Skipped};
use crate::format::Format;

/// The words for outcomes in one place of a format.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pub(crate) format: Format,
    /// Where the words are, in Markdown.
    pub(crate) place: &'static str,
    /// In the spelling that writers use. Case, spaces, `-` and `_` make no difference.
    pub(crate) words: &'static [(&'static str, Outcome)],
}

impl Vocabulary {
    /// The outcome of a word; `None` if it is unknown.
    pub(crate) fn outcome(&self, word: &str) -> Option<Outcome> {
        let is_same = |known: &str| normalized(known).eq(normalized(word));
        self.words.iter().find(|(known, _)| is_same(known)).map(|(_, outcome)| *outcome)
    }

    /// The outcome of the longest word that `text` begins with.
    pub(crate) fn prefix(&self, text: &str) -> Option<Outcome> {
        let matching = self.words.iter().filter(|(known, _)| text.starts_with(known));
        matching.max_by_key(|(known, _)| known.len()).map(|(_, outcome)| *outcome)
    }

    /// The outcome of the longest word that `text` ends with.
    pub(crate) fn suffix(&self, text: &str) -> Option<Outcome> {
        let matching = self.words.iter().filter(|(known, _)| text.ends_with(known));
        matching.max_by_key(|(known, _)| known.len()).map(|(_, outcome)| *outcome)
    }
}

fn normalized(word: &str) -> impl Iterator<Item = char> {
    word.trim().chars().filter(|c| !matches!(c, ' ' | '-' | '_')).map(|c| c.to_ascii_lowercase())
}

/// All vocabularies, in the order of the documentation.
#[cfg(test)]
pub(crate) const ALL: &[&Vocabulary] = &[
    &JUNIT_ELEMENTS,
    &JUNIT_TYPES,
    &JUNIT_STATUS,
    &JUNIT_NOT_RUN,
    &TRX,
    &NUNIT,
    &NUNIT2,
    &XUNIT,
    &CPPUNIT,
    &TAP,
    &CARGO,
    &NEXTEST,
    &LIBTEST,
    &GO_JSON,
    &GO_TEXT,
    &DART,
    &CTRF,
    &MOCHA,
    &RSPEC,
];

/// A test case with a failed element failed, and otherwise one with a skipped element is skipped. Others decide
/// nothing.
pub(crate) const JUNIT_ELEMENTS: Vocabulary = Vocabulary {
    format: Format::JUnit,
    place: "elements in `<testcase>`",
    words: &[
        ("failure", Failed),
        ("error", Failed),
        ("timeout", Failed),
        ("skipped", Skipped),
        ("skip", Skipped),
        ("disabled", Skipped),
        ("blocked", Skipped),
        ("inconclusive", Skipped),
        ("canceled", Skipped),
        ("cancelled", Skipped),
        ("ignored", Skipped),
        ("pending", Skipped),
        ("notrun", Skipped),
        ("incomplete", Skipped),
    ],
};

/// Suffixes of a `type` that change the outcome of an element: runners of PHP, Java, Python and Perl write these as
/// failures or errors.
pub(crate) const JUNIT_TYPES: Vocabulary = Vocabulary {
    format: Format::JUnit,
    place: "end of the `type` of such an element",
    words: &[
        ("RiskyTestError", Passed),
        ("RiskyTest", Passed),
        ("RiskyBecauseNoAssertionsWerePerformedException", Passed),
        ("OutputError", Passed),
        ("UnintentionallyCoveredCodeError", Passed),
        ("TodoTestSucceeded", Passed),
        ("IncompleteTestError", Skipped),
        ("SkippedTestError", Skipped),
        ("SkippedTestSuiteError", Skipped),
        ("SyntheticSkippedError", Skipped),
        ("AssumptionViolatedException", Skipped),
        ("TestAbortedException", Skipped),
        ("SkipException", Skipped),
        ("SkipTest", Skipped),
        ("todo", Skipped),
    ],
};

pub(crate) const JUNIT_STATUS: Vocabulary = Vocabulary {
    format: Format::JUnit,
    place: "attributes `status` and `result` of a `<testcase>` without such an element",
    words: &[
        ("run", Passed),
        ("completed", Passed),
        ("complete", Passed),
        ("pass", Passed),
        ("passed", Passed),
        ("success", Passed),
        ("successful", Passed),
        ("succeeded", Passed),
        ("ok", Passed),
        ("fixed", Passed),
        ("flaky", Passed),
        ("warning", Passed),
        ("risky", Passed),
        ("executed", Passed),
        ("finished", Passed),
        ("done", Passed),
        ("xfail", Passed),
        ("bpass", Passed),
        ("bxfail", Passed),
        ("xpass", Failed),
        ("fail", Failed),
        ("failed", Failed),
        ("failure", Failed),
        ("error", Failed),
        ("errored", Failed),
        ("broken", Failed),
        ("regression", Failed),
        ("timeout", Failed),
        ("timed out", Failed),
        ("crash", Failed),
        ("crashed", Failed),
        ("aborted", Failed),
        ("interrupted", Failed),
        ("unexpected", Failed),
        ("undefined", Failed),
        ("ambiguous", Failed),
        ("ko", Failed),
        ("not ok", Failed),
        ("nok", Failed),
        ("fatal", Failed),
        ("exception", Failed),
        ("killed", Failed),
        ("unsuccessful", Failed),
        ("not run", Skipped),
        ("disabled", Skipped),
        ("suppressed", Skipped),
        ("skip", Skipped),
        ("skipped", Skipped),
        ("ignored", Skipped),
        ("pending", Skipped),
        ("todo", Skipped),
        ("incomplete", Skipped),
        ("untested", Skipped),
        ("no run", Skipped),
        ("manual", Skipped),
        ("allowed to fail", Skipped),
        ("not executed", Skipped),
        ("not started", Skipped),
        ("inconclusive", Skipped),
        ("blocked", Skipped),
        ("canceled", Skipped),
        ("cancelled", Skipped),
        ("excluded", Skipped),
        ("filtered", Skipped),
        ("deselected", Skipped),
        ("xfailed", Skipped),
        ("expected failure", Skipped),
        ("allowed failure", Skipped),
        ("known failure", Skipped),
        ("quarantined", Skipped),
        ("muted", Skipped),
        ("bfail", Skipped),
        ("bxpass", Skipped),
        ("bskip", Skipped),
        ("n/a", Skipped),
        ("na", Skipped),
    ],
};

/// Why a test with `status="notrun"` could not run. `CTest` counts such a test as failed.
pub(crate) const JUNIT_NOT_RUN: Vocabulary = Vocabulary {
    format: Format::JUnit,
    place: "start of the `message` of `<skipped>`, with `status=\"notrun\"`",
    words: &[
        ("Unable to find executable", Failed),
        ("Unable to find required file", Failed),
        ("Required Files Missing", Failed),
        ("Fixture dependency failed", Failed),
        ("Failed test dependencies", Failed),
        ("Missing Configuration", Failed),
        ("Insufficient resources", Failed),
        ("Not Available", Failed),
        ("Failed to start", Failed),
        ("Could not start", Failed),
        ("Exec Failed", Failed),
        ("BAD_COMMAND", Failed),
    ],
};

/// The outcomes of vstest's `ObjectModel/TestOutcome.cs`, and words of other writers.
pub(crate) const TRX: Vocabulary = Vocabulary {
    format: Format::Trx,
    place: "`outcome` of a result",
    words: &[
        ("Passed", Passed),
        ("Pass", Passed),
        ("PassedButRunAborted", Passed),
        ("Completed", Passed),
        ("Warning", Passed),
        ("Success", Passed),
        ("Failed", Failed),
        ("Fail", Failed),
        ("Failure", Failed),
        ("Error", Failed),
        ("Timeout", Failed),
        ("Aborted", Failed),
        ("Disconnected", Failed),
        ("InProgress", Failed),
        // `MSTest` itself reports a mistake in the test as failed by default.
        ("NotRunnable", Failed),
        ("NotExecuted", Skipped),
        ("Inconclusive", Skipped),
        ("Pending", Skipped),
        ("Blocked", Skipped),
        ("Skipped", Skipped),
        ("Ignored", Skipped),
        ("NotFound", Skipped),
        ("None", Skipped),
        ("Unspecified", Skipped),
        ("NotApplicable", Skipped),
        ("Paused", Skipped),
    ],
};

pub(crate) const NUNIT: Vocabulary = Vocabulary {
    format: Format::NUnit,
    place: "`result` of a `<test-case>`, up to a `:`",
    words: &[
        ("Passed", Passed),
        ("Warning", Passed),
        ("Success", Passed),
        ("Failed", Failed),
        ("Failure", Failed),
        ("Error", Failed),
        ("Invalid", Failed),
        ("NotRunnable", Failed),
        ("Cancelled", Failed),
        ("Skipped", Skipped),
        ("Inconclusive", Skipped),
        ("Ignored", Skipped),
        ("Explicit", Skipped),
        ("NotRun", Skipped),
        ("Pending", Skipped),
    ],
};

pub(crate) const NUNIT2: Vocabulary = Vocabulary {
    format: Format::NUnit2,
    place: "`result` of a `<test-case>`; without one, `success`, and skipped with `executed=\"False\"`",
    words: &[
        ("Success", Passed),
        ("Passed", Passed),
        ("True", Passed),
        ("Warning", Passed),
        ("Failure", Failed),
        ("Failed", Failed),
        ("False", Failed),
        ("Error", Failed),
        ("Cancelled", Failed),
        ("NotRunnable", Failed),
        ("Invalid", Failed),
        ("Ignored", Skipped),
        ("Skipped", Skipped),
        ("Inconclusive", Skipped),
        ("Explicit", Skipped),
        ("NotRun", Skipped),
        ("Pending", Skipped),
    ],
};

pub(crate) const XUNIT: Vocabulary = Vocabulary {
    format: Format::XUnit,
    place: "`result` of a `<test>`",
    words: &[
        ("Pass", Passed),
        ("Passed", Passed),
        ("Success", Passed),
        ("Fail", Failed),
        ("Failed", Failed),
        ("Failure", Failed),
        ("Error", Failed),
        ("Skip", Skipped),
        ("Skipped", Skipped),
        ("NotRun", Skipped),
        ("Ignored", Skipped),
        ("Inconclusive", Skipped),
    ],
};

pub(crate) const CPPUNIT: Vocabulary = Vocabulary {
    format: Format::CppUnit,
    place: "element around the tests",
    words: &[("SuccessfulTests", Passed), ("FailedTests", Failed), ("IgnoredTests", Skipped)],
};

pub(crate) const TAP: Vocabulary = Vocabulary {
    format: Format::Tap,
    place: "test point, and the directive after `#`",
    words: &[("ok", Passed), ("not ok", Failed), ("SKIP", Skipped), ("TODO", Skipped), ("XFAIL", Skipped)],
};

pub(crate) const CARGO: Vocabulary = Vocabulary {
    format: Format::CargoTest,
    place: "end of a `test NAME ... ` line, and in `test result:`",
    words: &[
        ("ok", Passed),
        ("passed", Passed),
        ("measured", Passed),
        ("bench:", Passed),
        ("FAILED", Failed),
        ("failed", Failed),
        ("ignored", Skipped),
    ],
};

pub(crate) const NEXTEST: Vocabulary = Vocabulary {
    format: Format::Nextest,
    place: "start of a line",
    words: &[
        ("PASS", Passed),
        ("LEAK", Passed),
        ("FLAKY", Passed),
        ("FAIL", Failed),
        ("LEAK-FAIL", Failed),
        ("FLKY-FL", Failed),
        ("TIMEOUT", Failed),
        ("TMT", Failed),
        ("ABORT", Failed),
        ("XFAIL", Failed),
        ("SIG", Failed),
        ("SKIP", Skipped),
    ],
};

pub(crate) const LIBTEST: Vocabulary = Vocabulary {
    format: Format::Libtest,
    place: "`event` of a `test` or `bench`",
    words: &[("ok", Passed), ("failed", Failed), ("ignored", Skipped), ("allowed_failure", Skipped)],
};

pub(crate) const GO_JSON: Vocabulary = Vocabulary {
    format: Format::GoTest,
    place: "`Action` that ends a test or a package",
    words: &[("pass", Passed), ("bench", Passed), ("fail", Failed), ("skip", Skipped)],
};

pub(crate) const GO_TEXT: Vocabulary = Vocabulary {
    format: Format::GoText,
    place: "after `---`",
    words: &[("PASS", Passed), ("BENCH", Passed), ("FAIL", Failed), ("SKIP", Skipped)],
};

pub(crate) const DART: Vocabulary = Vocabulary {
    format: Format::Dart,
    place: "`result` of `testDone`, unless `skipped` is true",
    words: &[("success", Passed), ("failure", Failed), ("error", Failed)],
};

pub(crate) const CTRF: Vocabulary = Vocabulary {
    format: Format::Ctrf,
    place: "`status` of a test",
    words: &[
        ("passed", Passed),
        ("failed", Failed),
        ("skipped", Skipped),
        ("pending", Skipped),
        ("other", Skipped),
    ],
};

pub(crate) const MOCHA: Vocabulary = Vocabulary {
    format: Format::Mocha,
    place: "list with the test",
    words: &[("passes", Passed), ("failures", Failed), ("pending", Skipped)],
};

pub(crate) const RSPEC: Vocabulary = Vocabulary {
    format: Format::RSpec,
    place: "`status` of an example",
    words: &[("passed", Passed), ("failed", Failed), ("pending", Skipped)],
};
